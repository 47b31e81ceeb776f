/* src/corp/tests/test-storage.c - nodes bind orders to certificates, and are audited. */
#include "corp/storage.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "corp/tests/fixture.h"

#define CERT  "cccccccccccccccc"
#define BYTES (5 * XENO_STORED_BLOCK + 77)
#define NODES 3

struct world {
    struct fixture f;
    struct fixture_party owner, other, server, nodes[NODES];
    char *chain, *cert;
    char order[XENO_ORDER_ID_CHARS + 1];
    uint8_t data[2][BYTES];
    struct xeno_writecert *c;
};

static struct xeno_stored_object object_of(const uint8_t *data, size_t len)
{
    xeno_auto(xeno_blocktree) t = NULL;
    struct xeno_stored_object o = { .size = (int64_t)len };
    uint8_t sha[32];

    xeno_sha256_of(data, len, sha);
    xeno_digest_text(sha, o.digest);
    assert_int_equal(xeno_blocktree_new(o.size, -1, &t, NULL), 0);
    xeno_blocktree_add(t, data, len);
    assert_int_equal(xeno_blocktree_end(t, &o.root, NULL, NULL), 0);
    return o;
}

static int set_up(void **state)
{
    struct world *w = xeno_new0(struct world);

    fixture_open(&w->f, 7);
    fixture_join(&w->f, XENO_ROLE_CLIENT, &w->owner);
    fixture_join(&w->f, XENO_ROLE_CLIENT, &w->other);
    fixture_join(&w->f, XENO_ROLE_SERVER, &w->server);
    for (int i = 0; i < NODES; i++)
        fixture_join(&w->f, XENO_ROLE_NODE, &w->nodes[i]);
    fixture_fund(&w->f, &w->owner, 5000000);
    w->chain = fixture_order(&w->f, &w->owner, 1000000, w->order);
    for (size_t i = 0; i < sizeof w->data; i++)
        w->data[i / BYTES][i % BYTES] = (uint8_t)(i * 7 + i / 253);
    w->c = xeno_new0(struct xeno_writecert);
    *w->c = (struct xeno_writecert){ .id = CERT, .copies = 2, .issued = w->f.env.now, .count = 2 };
    w->c->expires = xeno_time_add(w->f.env.now, xeno_s(3600));
    w->c->objects = xeno_new0_n(struct xeno_stored_object, 2);
    for (int i = 0; i < 2; i++)
        w->c->objects[i] = object_of(w->data[i], BYTES);
    memcpy(w->c->digest, w->c->objects[0].digest, sizeof w->c->digest);
    assert_int_equal(xeno_writecert_sign(w->owner.key, w->c, &w->cert, NULL), 0);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    assert_balanced(&w->f);
    fixture_party_release(&w->owner);
    fixture_party_release(&w->other);
    fixture_party_release(&w->server);
    for (int i = 0; i < NODES; i++)
        fixture_party_release(&w->nodes[i]);
    fixture_close(&w->f);
    xeno_writecert_free(w->c);
    free(w->chain);
    free(w->cert);
    free(w);
    return 0;
}

static int bind_to(struct world *w, const struct fixture_party *who, const char *chain,
                   const char *cert, const char *env, struct xeno_bound *b, struct xeno_err *err)
{
    xeno_auto(xeno_validation) v = NULL;
    xeno_autofree char *shown = fixture_present(&w->f, &w->owner, chain, who);
    struct xeno_validate_ask ask = {
        .chain = shown,
        .chain_len = strlen(shown),
        .server = who->id.s,
        .session = CERT,
        .env_type = env,
        .rate_per_hour = xeno_micro(1000),
        .holder = *xeno_key_pub(w->owner.key),
        .certificate = cert,
    };
    int r = xeno_validate_check(xeno_corp_pub(w->f.corp), w->f.env.now, &ask, &v, err);

    return r < 0 ? r : IN_GROUP(&w->f, xeno_validate_apply(w->f.corp, v, b, err));
}

static enum xeno_charge_status charge(struct world *w, const struct fixture_party *node,
                                      const char *order, int64_t seq, int64_t micro, bool final,
                                      char token[64])
{
    struct xeno_charge c = fixture_charge(&w->f, order, CERT, 1, seq, micro);
    struct xeno_charge_results res;
    enum xeno_charge_status status;

    c.final = final;
    c.items[0].res = XENO_RES_DISK;
    assert_int_equal(fixture_post(&w->f, node, &c, 1, &res, NULL), 0);
    status = res.items[0].status;
    snprintf(token, 64, "%s", res.items[0].token ? res.items[0].token : "");
    xeno_charge_results_release(&res);
    return status;
}

static void kinds(void **state)
{
    struct world *w = *state;
    struct xeno_err err = XENO_ERR_INIT;
    xeno_autofree char *forged = NULL;
    struct xeno_bound b;

    /* No certificate, one of a session's server, and one that another signed. */
    assert_int_equal(bind_to(w, &w->nodes[0], w->chain, NULL, "storage", &b, &err), -EINVAL);
    assert_int_equal(bind_to(w, &w->nodes[0], w->chain, NULL, "Linux", &b, &err), -EPERM);
    assert_string_equal(err.token, "registry.kind");
    assert_int_equal(bind_to(w, &w->server, w->chain, w->cert, "storage", &b, &err), -EPERM);
    assert_int_equal(bind_to(w, &w->server, w->chain, w->cert, "Linux", &b, &err), -EINVAL);
    assert_int_equal(xeno_writecert_sign(w->other.key, w->c, &forged, NULL), 0);
    assert_int_equal(bind_to(w, &w->nodes[0], w->chain, forged, "storage", &b, &err), -EPERM);
    assert_int_equal(bind_to(w, &w->nodes[0], w->chain, w->cert, "storage", &b, &err), 0);
    assert_int_equal(b.copy, 1);
    assert_int_equal(b.epoch, 1);
    assert_int_equal(b.left.micro, 1000000);
    /* Again: the same answer. */
    assert_int_equal(bind_to(w, &w->nodes[0], w->chain, w->cert, "storage", &b, &err), 0);
    assert_int_equal(b.copy, 1);
    assert_int_equal(b.epoch, 1);
}

static void paid_and_returned(void **state)
{
    struct world *w = *state;
    struct xeno_statement_line lines[8];
    struct xeno_ledger_totals totals;
    struct xeno_order_view v;
    struct xeno_bound b;
    char token[64];
    int n;

    assert_int_equal(bind_to(w, &w->nodes[0], w->chain, w->cert, "storage", &b, NULL), 0);
    assert_int_equal(
        IN_GROUP(&w->f, xeno_order_close(w->f.corp, w->owner.id.s, w->order, &v, NULL)), 0);
    assert_string_equal(v.state, "closing");
    fixture_wait(&w->f, 1000);
    assert_int_equal(charge(w, &w->nodes[0], w->order, 1, 300, false, token), XENO_CHARGE_POSTED);
    assert_int_equal(charge(w, &w->nodes[1], w->order, 1, 300, false, token), XENO_CHARGE_REFUSED);
    assert_string_equal(token, "charge.server");
    assert_int_equal(charge(w, &w->nodes[0], w->order, 2, 200, true, token), XENO_CHARGE_POSTED);
    assert_int_equal(fixture_account(&w->f, &w->owner).free.micro, 5000000 - 500);
    assert_int_equal(fixture_account(&w->f, &w->nodes[0]).earned.micro, 475);
    assert_int_equal(IN_GROUP(&w->f, xeno_ledger_totals(w->f.corp, &totals, NULL)), 0);
    assert_int_equal(totals.sum.micro, 0);
    assert_int_equal(totals.earned.micro, 475);
    n = IN_GROUP(&w->f, xeno_statement(w->f.corp, w->owner.id.s, 0, 8, lines, NULL));
    assert_int_equal(n, 5);
    assert_string_equal(lines[2].session, CERT);
    assert_string_equal(lines[2].server, w->nodes[0].id.s);
    assert_string_equal(lines[4].kind, "return");
    assert_int_equal(lines[4].free, 1000000 - 500);
}

static void copies(void **state)
{
    struct world *w = *state;
    struct xeno_err err = XENO_ERR_INIT;
    char orders[NODES][XENO_ORDER_ID_CHARS + 1];
    char *chains[NODES];
    struct xeno_bound b;

    for (int i = 0; i < NODES; i++) {
        chains[i] = fixture_order(&w->f, &w->owner, 1000, orders[i]);
        assert_int_equal(bind_to(w, &w->nodes[i], chains[i], w->cert, "storage", &b, &err),
                         i < 2 ? 0 : -EDQUOT);
        assert_true(i == 2 || b.copy == i + 1);
    }
    assert_string_equal(err.token, "storage.copies");
    assert_int_equal(
        IN_GROUP(&w->f, xeno_validate_release(w->f.corp, w->nodes[0].id.s, orders[0], CERT, NULL)),
        0);
    assert_int_equal(bind_to(w, &w->nodes[2], chains[2], w->cert, "storage", &b, &err), 0);
    assert_int_equal(b.copy, 1);
    for (int i = 0; i < NODES; i++)
        free(chains[i]);
}

/* --- audits --- */

static int answer(struct world *w, const struct fixture_party *node, const struct xeno_challenge *h,
                  struct xeno_challenge *ret)
{
    xeno_autofree struct xeno_store_answer *a = xeno_new0(struct xeno_store_answer);
    xeno_auto(xeno_blocktree) t = NULL;
    struct xeno_stored_object o = object_of(w->data[0], BYTES);
    const uint8_t *data = strcmp(o.digest, h->digest) == 0 ? w->data[0] : w->data[1];
    struct xeno_hash root;

    assert_int_equal(xeno_blocktree_new(BYTES, h->block, &t, NULL), 0);
    xeno_blocktree_add(t, data, BYTES);
    assert_int_equal(xeno_blocktree_end(t, &root, a, NULL), 0);
    a->audit = h->n;
    memcpy(a->certificate, CERT, sizeof a->certificate);
    memcpy(a->digest, h->digest, sizeof a->digest);
    return IN_GROUP(&w->f,
                    xeno_challenge_answer(w->f.corp, node->id.s, h->n, a, "signed", ret, NULL));
}

static void tick(struct world *w)
{
    while (IN_GROUP(&w->f, xeno_corp_tick(w->f.corp, 100, NULL)) > 0)
        ;
}

static void asked_by_owner(void **state)
{
    struct world *w = *state;
    struct xeno_challenge h, again, list[4];
    struct xeno_bound b;
    char token[64];

    assert_int_equal(
        IN_GROUP(&w->f, xeno_challenge_ask(w->f.corp, w->owner.id.s, w->order, &h, NULL)), -ENOENT);
    assert_int_equal(bind_to(w, &w->nodes[0], w->chain, w->cert, "storage", &b, NULL), 0);
    assert_int_equal(
        IN_GROUP(&w->f, xeno_challenge_ask(w->f.corp, w->other.id.s, w->order, &h, NULL)), -ENOENT);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(
            IN_GROUP(&w->f, xeno_challenge_ask(w->f.corp, w->owner.id.s, w->order, &h, NULL)), 0);
        assert_int_equal(
            IN_GROUP(&w->f, xeno_challenge_ask(w->f.corp, w->owner.id.s, w->order, &again, NULL)),
            0);
        assert_int_equal(again.n, h.n);
        assert_int_equal(
            IN_GROUP(&w->f, xeno_challenges(w->f.corp, w->nodes[0].id.s, 0, 4, list, NULL)), 1);
        assert_int_equal(
            IN_GROUP(&w->f, xeno_challenges(w->f.corp, w->nodes[1].id.s, 0, 4, list, NULL)), 0);
        assert_int_equal(answer(w, &w->nodes[1], &h, &again), -ENOENT);
        assert_int_equal(answer(w, &w->nodes[0], &h, &again), 0);
        assert_int_equal(again.result, XENO_CHALLENGE_PASSED);
    }
    /* A lost byte: the block that has it is wrong, and nothing is paid from the question on. */
    fixture_wait(&w->f, 100000);
    assert_int_equal(
        IN_GROUP(&w->f, xeno_challenge_ask(w->f.corp, w->owner.id.s, w->order, &h, NULL)), 0);
    assert_int_equal(charge(w, &w->nodes[0], w->order, 1, 10, false, token), XENO_CHARGE_POSTED);
    fixture_wait(&w->f, 5000);
    {
        struct xeno_store_answer wrong = { .audit = h.n, .block = h.block, .len = 1 };

        memcpy(wrong.certificate, CERT, sizeof wrong.certificate);
        memcpy(wrong.digest, h.digest, sizeof wrong.digest);
        assert_int_equal(IN_GROUP(&w->f, xeno_challenge_answer(w->f.corp, w->nodes[0].id.s, h.n,
                                                               &wrong, "signed", &again, NULL)),
                         0);
    }
    assert_int_equal(again.result, XENO_CHALLENGE_WRONG);
    assert_int_equal(charge(w, &w->nodes[0], w->order, 2, 10, false, token), XENO_CHARGE_REFUSED);
    assert_string_equal(token, "charge.audit");
    /* What was before it is paid, also when it arrives later. */
    w->f.env.now.ns -= 6000 * XENO_NS_PER_MS;
    assert_int_equal(charge(w, &w->nodes[0], w->order, 3, 10, false, token), XENO_CHARGE_POSTED);
    w->f.env.now.ns += 6000 * XENO_NS_PER_MS;
}

static void unanswered(void **state)
{
    struct world *w = *state;
    struct xeno_challenge list[64];
    struct xeno_order_view v;
    struct xeno_bound b;
    char token[64];
    int n, open = 0;

    w->f.policy.audit_every = xeno_s(60);
    w->f.policy.audit_patience = xeno_s(100);
    assert_int_equal(xeno_corp_set_policy(w->f.corp, &w->f.policy, NULL), 0);
    assert_int_equal(bind_to(w, &w->nodes[0], w->chain, w->cert, "storage", &b, NULL), 0);
    for (int i = 0; i < 13 && open == 0; i++) { /* twice the mean at most */
        fixture_wait(&w->f, 10000);
        tick(w);
        open = IN_GROUP(&w->f, xeno_challenges(w->f.corp, w->nodes[0].id.s, 0, 64, list, NULL));
    }
    assert_int_equal(open, 1);
    fixture_wait(&w->f, 100001);
    assert_int_equal(answer(w, &w->nodes[0], &list[0], &list[1]), 0);
    assert_int_equal(list[1].result, XENO_CHALLENGE_LATE);
    tick(w);
    n = IN_GROUP(&w->f, xeno_challenges(w->f.corp, w->owner.id.s, 0, 64, list, NULL));
    assert_int_equal(list[0].result, XENO_CHALLENGE_LATE);
    assert_false(list[0].owner);
    assert_int_equal(charge(w, &w->nodes[0], w->order, 1, 10, false, token), XENO_CHARGE_REFUSED);
    /* No more questions, and the owner has the rest back when he closes the order. */
    fixture_wait(&w->f, 1000000);
    tick(w);
    assert_int_equal(IN_GROUP(&w->f, xeno_challenges(w->f.corp, w->owner.id.s, 0, 64, list, NULL)),
                     n);
    assert_int_equal(
        IN_GROUP(&w->f, xeno_order_close(w->f.corp, w->owner.id.s, w->order, &v, NULL)), 0);
    assert_string_equal(v.state, "closed");
    assert_int_equal(fixture_account(&w->f, &w->owner).free.micro, 5000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(kinds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(paid_and_returned, set_up, tear_down),
        cmocka_unit_test_setup_teardown(copies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(asked_by_owner, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unanswered, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
