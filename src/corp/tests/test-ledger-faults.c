/* src/corp/tests/test-ledger-faults.c - the n-th database call fails, for every n until none does.
 *
 * The linker puts the functions below in front of src/db's. A scenario of every kind of change is
 * run as its callers would: each in a group, again when the group failed. Whatever fails, the
 * invariants hold after each step and the scenario ends in the same books.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "corp/tests/fixture.h"

#define S1 "aaaaaaaaaaaaaaaa"

/* --- faults --- */

static long fault_at, fault_calls; /* 0: none */
static bool fault_hit;

static bool faulty(void)
{
    if (fault_at == 0 || ++fault_calls != fault_at)
        return false;
    fault_hit = true;
    return true;
}

#define FAULT(err) xeno_fail((err), -EIO, "db.io", "a fault was put here")

int __real_xeno_query_begin(struct xeno_db *, struct xeno_query *, const char *, struct xeno_err *);
int __wrap_xeno_query_begin(struct xeno_db *, struct xeno_query *, const char *, struct xeno_err *);
int __wrap_xeno_query_begin(struct xeno_db *db, struct xeno_query *q, const char *sql,
                            struct xeno_err *err)
{
    return faulty() ? FAULT(err) : __real_xeno_query_begin(db, q, sql, err);
}

int __real_xeno_query_step(struct xeno_query *, struct xeno_err *);
int __wrap_xeno_query_step(struct xeno_query *, struct xeno_err *);
int __wrap_xeno_query_step(struct xeno_query *q, struct xeno_err *err)
{
    return faulty() ? FAULT(err) : __real_xeno_query_step(q, err);
}

int __real_xeno_db_begin(struct xeno_db *, struct xeno_err *);
int __wrap_xeno_db_begin(struct xeno_db *, struct xeno_err *);
int __wrap_xeno_db_begin(struct xeno_db *db, struct xeno_err *err)
{
    return faulty() ? FAULT(err) : __real_xeno_db_begin(db, err);
}

/* A commit that fails undoes the transaction, as src/db does. */
int __real_xeno_db_commit(struct xeno_db *, struct xeno_err *);
int __wrap_xeno_db_commit(struct xeno_db *, struct xeno_err *);
int __wrap_xeno_db_commit(struct xeno_db *db, struct xeno_err *err)
{
    if (!faulty())
        return __real_xeno_db_commit(db, err);
    xeno_db_rollback(db);
    return FAULT(err);
}

/* Whole statements take their arguments by "...": pass them on as the query they are. */
static void bind_all(struct xeno_query *q, const char *types, va_list ap)
{
    for (int i = 1; *types; types++, i++) {
        if (*types == 'i') {
            xeno_query_int(q, i, va_arg(ap, int64_t));
        } else if (*types == 't') {
            xeno_query_text(q, i, va_arg(ap, const char *));
        } else {
            const void *data = va_arg(ap, const void *);

            xeno_query_blob(q, i, data, va_arg(ap, size_t));
        }
    }
}

/* Rows changed on this connection so far. */
static int64_t changes(struct xeno_db *db)
{
    xeno_autoquery q = XENO_QUERY_INIT;

    assert_int_equal(__real_xeno_query_begin(db, &q, "SELECT total_changes()", NULL), 0);
    assert_int_equal(__real_xeno_query_step(&q, NULL), 1);
    return xeno_query_col_int(&q, 0);
}

int __wrap_xeno_db_run(struct xeno_db *, struct xeno_err *, const char *, const char *, ...);
int __wrap_xeno_db_run(struct xeno_db *db, struct xeno_err *err, const char *sql, const char *types,
                       ...)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    va_list ap;
    int64_t before = changes(db);
    int r = faulty() ? FAULT(err) : __real_xeno_query_begin(db, &q, sql, err);

    if (r < 0)
        return r;
    va_start(ap, types);
    bind_all(&q, types, ap);
    va_end(ap);
    while ((r = __real_xeno_query_step(&q, err)) > 0)
        continue;
    return r < 0 ? r : (int)(changes(db) - before);
}

int __wrap_xeno_db_one_int(struct xeno_db *, int64_t, int64_t *, struct xeno_err *, const char *,
                           const char *, ...);
int __wrap_xeno_db_one_int(struct xeno_db *db, int64_t none, int64_t *ret, struct xeno_err *err,
                           const char *sql, const char *types, ...)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    va_list ap;
    int r = faulty() ? FAULT(err) : __real_xeno_query_begin(db, &q, sql, err);

    if (r < 0)
        return r;
    va_start(ap, types);
    bind_all(&q, types, ap);
    va_end(ap);
    r = __real_xeno_query_step(&q, err);
    if (r >= 0)
        *ret = r > 0 ? xeno_query_col_int(&q, 0) : none;
    return r < 0 ? r : 0;
}

/* --- the scenario --- */

struct scene {
    struct fixture f;
    struct fixture_party client, server;
    char order[33], second[33];
    char *chain, *second_chain;
    struct xeno_charges *batch;
    struct xeno_charge_results results;
};

static int do_fund(struct scene *s)
{
    return xeno_ledger_fund(s->f.corp, "op", s->client.id.s, xeno_micro(100000), "paid", NULL);
}

static int create(struct scene *s, int64_t amount, int64_t life_s, char order[33], char **chain)
{
    struct xeno_order_ask ask = { .amount = xeno_micro(amount),
                                  .expires = xeno_time_add(s->f.env.now, xeno_s(life_s)) };
    struct xeno_order_view v;
    char *text = NULL;
    int r = xeno_order_create(s->f.corp, s->client.id.s, &ask, &v, &text, NULL);

    if (r < 0)
        return r;
    free(*chain);
    *chain = text;
    memcpy(order, v.order, sizeof v.order);
    return 0;
}

static int do_create(struct scene *s)
{
    return create(s, 50000, 3600, s->order, &s->chain);
}

static int do_second(struct scene *s)
{
    return create(s, 700, 20, s->second, &s->second_chain);
}

static int do_validate(struct scene *s)
{
    xeno_auto(xeno_validation) v = NULL;
    xeno_autofree char *shown = fixture_present(&s->f, &s->client, s->chain, &s->server);
    struct xeno_validate_ask ask = { .chain = shown,
                                     .chain_len = strlen(shown),
                                     .server = s->server.id.s,
                                     .session = S1,
                                     .env_type = "Linux",
                                     .holder = *xeno_key_pub(s->client.key) };
    struct xeno_bound b;

    assert_int_equal(xeno_validate_check(xeno_corp_pub(s->f.corp), s->f.env.now, &ask, &v, NULL),
                     0);
    return xeno_validate_apply(s->f.corp, v, &b, NULL);
}

static int do_charge(struct scene *s)
{
    xeno_charge_results_release(&s->results);
    return xeno_charges_apply(s->f.corp, s->batch, &s->results, NULL);
}

static int do_close(struct scene *s)
{
    struct xeno_order_view v;

    return xeno_order_close(s->f.corp, s->client.id.s, s->order, &v, NULL);
}

static int do_release(struct scene *s)
{
    return xeno_validate_release(s->f.corp, s->server.id.s, s->order, S1, NULL);
}

static int do_tick(struct scene *s)
{
    return xeno_corp_tick(s->f.corp, 100, NULL);
}

static int do_statement(struct scene *s)
{
    struct xeno_statement_line line[50];
    int r = xeno_statement(s->f.corp, s->client.id.s, 0, 50, line, NULL);

    return r < 0 ? r : 0;
}

static int do_renew(struct scene *s)
{
    xeno_autofree char *pem = NULL;

    return xeno_renew(s->f.corp, s->client.id.s, &pem, NULL);
}

static int do_disable(struct scene *s)
{
    return xeno_disable(s->f.corp, "op", s->client.id.s, NULL);
}

static void make_batch(struct scene *s)
{
    xeno_autofree char *text = NULL;
    struct xeno_charge c[4];

    for (size_t i = 0; i < XENO_LEN(c); i++)
        c[i] = fixture_charge(&s->f, s->order, S1, 1, (int64_t)i + 1, i == 2 ? 60000 : 1001);
    assert_int_equal(xeno_charge_batch_sign(s->server.key, c, XENO_LEN(c), &text, NULL), 0);
    assert_int_equal(
        xeno_charges_check(text, strlen(text), xeno_key_pub(s->server.key), &s->batch, NULL), 0);
}

/* As a daemon does: a group; when it fails, the same again. */
static void retry(struct scene *s, int (*step)(struct scene *s))
{
    long keep;
    int r = -1;

    for (int tries = 0; r < 0; tries++) {
        assert_in_range(tries, 0, 2);
        r = xeno_corp_begin(s->f.corp, NULL);
        if (r == 0) {
            r = step(s);
            if (r < 0)
                xeno_corp_rollback(s->f.corp);
            else
                r = xeno_corp_commit(s->f.corp, NULL);
        }
        keep = fault_at; /* the check itself is not under test */
        fault_at = 0;
        assert_balanced(&s->f);
        fault_at = keep;
    }
}

static void play(long fault)
{
    struct scene s = { .batch = NULL };
    struct xeno_account_view v;
    int64_t n = 0;

    fixture_open(&s.f, 1);
    fixture_join(&s.f, XENO_ROLE_CLIENT, &s.client);
    fixture_join(&s.f, XENO_ROLE_SERVER, &s.server);
    fault_calls = 0;
    fault_hit = false;
    fault_at = fault;
    retry(&s, do_fund);
    retry(&s, do_create);
    retry(&s, do_second);
    retry(&s, do_validate);
    make_batch(&s);
    retry(&s, do_charge);
    assert_int_equal(s.results.posted, 3);
    retry(&s, do_charge);
    assert_int_equal(s.results.repeated, 3);
    retry(&s, do_statement);
    retry(&s, do_close);
    fixture_wait(&s.f, 30000);
    retry(&s, do_tick); /* the second order expires */
    retry(&s, do_release);
    retry(&s, do_renew);
    retry(&s, do_disable);
    fault_at = 0;

    v = fixture_account(&s.f, &s.client);
    assert_int_equal(v.free.micro, 100000 - 3 * 1001);
    assert_int_equal(v.held.micro, 0);
    assert_int_equal(fixture_account(&s.f, &s.server).earned.micro, 3 * 1001 - 150);
    assert_int_equal(xeno_db_one_int(s.f.db, 0, &n, NULL,
                                     "SELECT 100 * (SELECT count(*) FROM orders WHERE state >= 3)"
                                     " + (SELECT count(*) FROM batch)",
                                     ""),
                     0);
    assert_int_equal(n, 201);
    xeno_charge_results_release(&s.results);
    xeno_charges_free(s.batch);
    free(s.chain);
    free(s.second_chain);
    fixture_party_release(&s.client);
    fixture_party_release(&s.server);
    fixture_close(&s.f);
}

static void every_call_fails_once(void **state)
{
    long n = 0;

    (void)state;
    do
        play(++n);
    while (fault_hit);
    print_message("# %ld calls\n", n - 1);
    assert_true(n > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_call_fails_once) };

    return cmocka_run_group_tests_name("ledger-faults", tests, NULL, NULL);
}
