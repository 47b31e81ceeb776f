/* src/corp/tests/fixture.c */
#include "corp/tests/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

void fixture_open(struct fixture *f, uint64_t seed)
{
    memset(f, 0, sizeof *f);
    xeno_crypto_init();
    xeno_env_test_init(&f->env, xeno_s(START_S), seed);
    f->policy = xeno_corp_policy_default;
    f->ca = xeno_key_new(&f->env.env);
    assert_int_equal(xeno_ca_make(f->ca, xeno_s(START_S - 3600), xeno_s(START_S + 10 * 365 * 86400),
                                  &f->ca_pem, NULL),
                     0);
    assert_int_equal(xeno_db_open("sqlite::memory:", &f->db, NULL), 0);
    assert_int_equal(
        xeno_corp_open(f->db, &f->env.env, f->ca, f->ca_pem, &f->policy, &f->corp, NULL), 0);
}

void fixture_close(struct fixture *f)
{
    xeno_corp_free(f->corp);
    xeno_db_free(f->db);
    xeno_key_free(f->ca);
    free(f->ca_pem);
}

void fixture_wait(struct fixture *f, int64_t ms)
{
    f->env.now = xeno_time_add(f->env.now, xeno_ms(ms));
}

void fixture_join(struct fixture *f, enum xeno_role role, struct fixture_party *ret)
{
    char token[XENO_TOKEN_TEXT];
    xeno_autofree char *cert = NULL;
    struct xeno_join join = { .token = token, .name = "a name", .contact = "" };

    ret->key = xeno_key_new(&f->env.env);
    join.pub = *xeno_key_pub(ret->key);
    join.kind = xeno_role_party(role);
    join.endpoint = join.kind == XENO_PARTY_CLIENT ? NULL : "https://127.0.0.1:1";
    assert_int_equal(IN_GROUP(f, xeno_token_issue(f->corp, "test", role, xeno_s(60), token, NULL)),
                     0);
    assert_int_equal(IN_GROUP(f, xeno_register(f->corp, &join, &ret->id, &cert, NULL)), 0);
}

void fixture_party_release(struct fixture_party *p)
{
    xeno_key_free(p->key);
}

void fixture_fund(struct fixture *f, const struct fixture_party *p, int64_t micro)
{
    assert_int_equal(
        IN_GROUP(f, xeno_ledger_fund(f->corp, "test", p->id.s, xeno_micro(micro), "paid", NULL)),
        0);
}

char *fixture_order(struct fixture *f, const struct fixture_party *client, int64_t micro,
                    char ret_order[XENO_ORDER_ID_CHARS + 1])
{
    struct xeno_order_ask ask = { .amount = xeno_micro(micro),
                                  .expires = xeno_time_add(f->env.now, xeno_s(3600)) };
    struct xeno_order_view v;
    char *chain = NULL;

    assert_int_equal(IN_GROUP(f, xeno_order_create(f->corp, client->id.s, &ask, &v, &chain, NULL)),
                     0);
    memcpy(ret_order, v.order, sizeof v.order);
    return chain;
}

char *fixture_present(struct fixture *f, const struct fixture_party *holder, const char *chain,
                      const struct fixture_party *server)
{
    char *shown = NULL;

    (void)xeno_order_present(
        chain, strlen(chain), xeno_corp_pub(f->corp), holder->key, server->id.s, xeno_micro(0),
        xeno_time_add(f->env.now, xeno_ms(++f->presented % 100000)), &shown, NULL);
    return shown;
}

int fixture_validate(struct fixture *f, const struct fixture_party *server,
                     const struct fixture_party *holder, const char *chain, const char *session,
                     int64_t epoch, struct xeno_bound *ret, struct xeno_err *err)
{
    xeno_auto(xeno_validation) v = NULL;
    xeno_autofree char *shown = fixture_present(f, holder, chain, server);
    const char *text = shown ? shown : chain;
    struct xeno_validate_ask ask = {
        .chain = text,
        .chain_len = strlen(text),
        .server = server->id.s,
        .session = session,
        .epoch = epoch,
        .env_type = "Linux",
        .rate_per_hour = xeno_micro(1000),
        .holder = *xeno_key_pub(holder->key),
    };
    int r = xeno_validate_check(xeno_corp_pub(f->corp), f->env.now, &ask, &v, err);

    if (r < 0)
        return r;
    return IN_GROUP(f, xeno_validate_apply(f->corp, v, ret, err));
}

struct xeno_charge fixture_charge(const struct fixture *f, const char *order, const char *session,
                                  int64_t epoch, int64_t seq, int64_t micro)
{
    struct xeno_charge c = {
        .epoch = epoch,
        .seq = seq,
        .from = f->env.now,
        .to = f->env.now,
        .tariff = 1,
        .amount = xeno_micro(micro),
        .item_count = 1,
        .items = { { .res = XENO_RES_CPU,
                     .used = 1000,
                     .reserved = 1000,
                     .price_used = xeno_micro(1),
                     .amount = xeno_micro(micro) } },
    };

    snprintf(c.order, sizeof c.order, "%s", order);
    snprintf(c.session, sizeof c.session, "%s", session);
    snprintf(c.activity, sizeof c.activity, "a test");
    return c;
}

int fixture_post(struct fixture *f, const struct fixture_party *server,
                 const struct xeno_charge *charges, size_t count, struct xeno_charge_results *ret,
                 struct xeno_err *err)
{
    xeno_auto(xeno_charges) c = NULL;
    xeno_autofree char *text = NULL;

    assert_int_equal(xeno_charge_batch_sign(server->key, charges, count, &text, NULL), 0);
    assert_int_equal(xeno_charges_check(text, strlen(text), xeno_key_pub(server->key), &c, NULL),
                     0);
    return IN_GROUP(f, xeno_charges_apply(f->corp, c, ret, err));
}

struct xeno_account_view fixture_account(struct fixture *f, const struct fixture_party *p)
{
    struct xeno_account_view v;

    assert_int_equal(IN_GROUP(f, xeno_ledger_account(f->corp, p->id.s, &v, NULL)), 0);
    return v;
}
