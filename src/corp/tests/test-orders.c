/* src/corp/tests/test-orders.c - making, listing, closing and expiring orders; statements. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "corp/schema.h"
#include "corp/tests/fixture.h"

#define S1 "aaaaaaaaaaaaaaaa"

static const struct {
    const char *name;
    int64_t funds, amount, life_ms;
    int want;
    const char *word;
} create_rows[] = {
    { "part", 100, 40, 60000, 0, "" },
    { "all", 100, 100, 60000, 0, "" },
    { "one too many", 100, 101, 60000, -EDQUOT, "ledger.funds" },
    { "nothing there", 0, 1, 60000, -EDQUOT, "ledger.funds" },
    { "zero", 100, 0, 60000, -EINVAL, "order.amount" },
    { "negative", 100, -1, 60000, -EINVAL, "order.amount" },
    { "lowest", 100, INT64_MIN, 60000, -EINVAL, "order.amount" },
    { "the largest", XENO_CREDIT_MAX, XENO_CREDIT_MAX, 60000, 0, "" },
    { "above the largest", XENO_CREDIT_MAX, XENO_CREDIT_MAX + 1, 60000, -EINVAL, "order.amount" },
    { "shortest life", 100, 1, 10000, 0, "" },
    { "too short a life", 100, 1, 9999, -EINVAL, "order.lifetime" },
    { "a life in the past", 100, 1, -1, -EINVAL, "order.lifetime" },
    { "longest life", 100, 1, 366 * INT64_C(86400000), 0, "" },
    { "too long a life", 100, 1, 366 * INT64_C(86400000) + 1, -EINVAL, "order.lifetime" },
};

static void creating(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(create_rows); i++) {
        struct xeno_err err = XENO_ERR_INIT;
        struct fixture_party client;
        struct xeno_account_view a;
        struct xeno_order_view v = { .n = 0 };
        struct xeno_order_terms t;
        struct fixture f;
        xeno_autofree char *chain = NULL;
        int64_t taken = create_rows[i].want == 0 ? create_rows[i].amount : 0;

        print_message("# %s\n", create_rows[i].name);
        fixture_open(&f, 1);
        fixture_join(&f, XENO_ROLE_CLIENT, &client);
        if (create_rows[i].funds)
            fixture_fund(&f, &client, create_rows[i].funds);
        struct xeno_order_ask ask = {
            .amount = xeno_micro(create_rows[i].amount),
            .expires = xeno_time_add(f.env.now, xeno_ms(create_rows[i].life_ms)),
        };

        assert_int_equal(
            IN_GROUP(&f, xeno_order_create(f.corp, client.id.s, &ask, &v, &chain, &err)),
            create_rows[i].want);
        assert_string_equal(err.token, create_rows[i].word);
        a = fixture_account(&f, &client);
        assert_int_equal(a.free.micro, create_rows[i].funds - taken);
        assert_int_equal(a.held.micro, taken);
        if (chain) {
            assert_int_equal(xeno_order_read(chain, strlen(chain), xeno_corp_pub(f.corp), &t, NULL),
                             0);
            assert_int_equal(t.limit.micro, create_rows[i].amount);
            assert_string_equal(t.order, v.order);
            assert_string_equal(t.sponsor.s, client.id.s);
            assert_string_equal(v.state, "open");
        }
        assert_balanced(&f);
        fixture_party_release(&client);
        fixture_close(&f);
    }
}

static const struct {
    const char *name;
    int64_t amount;
    int want;
} fund_rows[] = {
    { "least", 1, 0 },
    { "most", XENO_CREDIT_MAX, 0 },
    { "zero", 0, -EINVAL },
    { "negative", -1, -EINVAL },
    { "above", XENO_CREDIT_MAX + 1, -EINVAL },
};

static void funding(void **state)
{
    struct fixture_party client, server;
    struct xeno_err err = XENO_ERR_INIT;
    struct fixture f;

    (void)state;
    fixture_open(&f, 1);
    fixture_join(&f, XENO_ROLE_CLIENT, &client);
    fixture_join(&f, XENO_ROLE_SERVER, &server);
    for (size_t i = 0; i < XENO_LEN(fund_rows); i++) {
        int64_t before = fixture_account(&f, &client).free.micro;

        print_message("# %s\n", fund_rows[i].name);
        assert_int_equal(IN_GROUP(&f, xeno_ledger_fund(f.corp, "op", client.id.s,
                                                       xeno_micro(fund_rows[i].amount), "", NULL)),
                         fund_rows[i].want);
        assert_int_equal(fixture_account(&f, &client).free.micro,
                         before + (fund_rows[i].want ? 0 : fund_rows[i].amount));
        assert_balanced(&f);
    }
    assert_int_equal(
        IN_GROUP(&f, xeno_ledger_fund(f.corp, "op", server.id.s, xeno_micro(1), "", &err)), -EPERM);
    assert_string_equal(err.token, "registry.kind");
    fixture_party_release(&client);
    fixture_party_release(&server);
    fixture_close(&f);
}

static void closing_and_expiring(void **state)
{
    struct fixture_party client, stranger;
    char a[33], b[33];
    struct xeno_order_view v, list[3];
    struct xeno_err err = XENO_ERR_INIT;
    xeno_autofree char *ca = NULL, *cb = NULL, *chain = NULL;
    struct fixture f;

    (void)state;
    fixture_open(&f, 1);
    fixture_join(&f, XENO_ROLE_CLIENT, &client);
    fixture_join(&f, XENO_ROLE_CLIENT, &stranger);
    fixture_fund(&f, &client, 1000);
    ca = fixture_order(&f, &client, 300, a);
    cb = fixture_order(&f, &client, 200, b);
    assert_int_equal(IN_GROUP(&f, xeno_order_get(f.corp, client.id.s, a, &v, &chain, NULL)), 0);
    assert_string_equal(chain, ca);
    assert_int_equal(IN_GROUP(&f, xeno_order_get(f.corp, stranger.id.s, a, &v, NULL, &err)),
                     -ENOENT);
    assert_int_equal(IN_GROUP(&f, xeno_order_close(f.corp, stranger.id.s, a, &v, &err)), -ENOENT);
    assert_int_equal(IN_GROUP(&f, xeno_orders(f.corp, client.id.s, 0, 3, list, NULL)), 2);
    assert_string_equal(list[0].order, a);
    assert_string_equal(list[1].order, b);
    assert_int_equal(IN_GROUP(&f, xeno_orders(f.corp, client.id.s, list[0].n, 3, list, NULL)), 1);
    assert_string_equal(list[0].order, b);
    assert_int_equal(IN_GROUP(&f, xeno_orders(f.corp, stranger.id.s, 0, 3, list, NULL)), 0);

    for (int i = 0; i < 2; i++) { /* again: no effect */
        assert_int_equal(IN_GROUP(&f, xeno_order_close(f.corp, client.id.s, a, &v, NULL)), 0);
        assert_string_equal(v.state, "closed");
        assert_int_equal(v.held.micro, 0);
        assert_int_equal(fixture_account(&f, &client).free.micro, 800);
        assert_balanced(&f);
    }
    fixture_wait(&f, 3600 * 1000 - 1);
    assert_int_equal(IN_GROUP(&f, xeno_corp_tick(f.corp, 100, NULL)), 0);
    assert_int_equal(fixture_account(&f, &client).free.micro, 800);
    fixture_wait(&f, 1);
    assert_int_equal(IN_GROUP(&f, xeno_corp_tick(f.corp, 100, NULL)), 0);
    assert_int_equal(fixture_account(&f, &client).free.micro, 1000);
    assert_int_equal(IN_GROUP(&f, xeno_order_close(f.corp, client.id.s, b, &v, NULL)), 0);
    assert_string_equal(v.state, "expired");
    assert_balanced(&f);
    fixture_party_release(&client);
    fixture_party_release(&stranger);
    fixture_close(&f);
}

/* Read a whole statement in pages of `page` lines; its lines and balances must add up. */
static int64_t add_up(struct fixture *f, const char *id, int page, int *ret_lines,
                      int64_t *ret_free)
{
    struct xeno_statement_line lines[8];
    int64_t after = 0, sum = 0, held = 0;
    int count;

    *ret_lines = 0;
    *ret_free = 0;
    while ((count = IN_GROUP(f, xeno_statement(f->corp, id, after, page, lines, NULL))) > 0) {
        for (int i = 0; i < count; i++) {
            assert_true(lines[i].entry > after);
            after = lines[i].entry;
            sum += lines[i].amount;
            *ret_free += lines[i].free;
            held += lines[i].held;
            assert_int_equal(lines[i].balance, sum);
        }
        *ret_lines += count;
    }
    assert_int_equal(count, 0);
    assert_true(*ret_free + held == sum || *ret_free == 0);
    return sum;
}

static void statements_add_up(void **state)
{
    struct fixture_party client, server;
    struct xeno_charge_results r = { 0 };
    struct xeno_statement_line line[2];
    struct xeno_charge c[20];
    struct xeno_bound b;
    struct fixture f;
    xeno_autofree char *chain = NULL;
    char order[33];
    int lines;
    int64_t free_sum;

    (void)state;
    fixture_open(&f, 1);
    fixture_join(&f, XENO_ROLE_CLIENT, &client);
    fixture_join(&f, XENO_ROLE_SERVER, &server);
    fixture_fund(&f, &client, 100000);
    chain = fixture_order(&f, &client, 50000, order);
    assert_int_equal(fixture_validate(&f, &server, &client, chain, S1, 0, &b, NULL), 0);
    for (size_t i = 0; i < 20; i++)
        c[i] = fixture_charge(&f, order, S1, 1, (int64_t)i + 1, 111);
    c[19].final = true;
    assert_int_equal(fixture_post(&f, &server, c, 20, &r, NULL), 0);
    assert_int_equal(r.posted, 20);
    xeno_charge_results_release(&r);
    fixture_wait(&f, 3600 * 1000);
    assert_int_equal(IN_GROUP(&f, xeno_corp_tick(f.corp, 100, NULL)), 0);

    assert_int_equal(add_up(&f, client.id.s, 3, &lines, &free_sum), 100000 - 20 * 111);
    assert_int_equal(lines, 1 + 1 + 20 + 1);
    assert_int_equal(free_sum, fixture_account(&f, &client).free.micro);
    assert_int_equal(add_up(&f, server.id.s, 8, &lines, &free_sum),
                     fixture_account(&f, &server).earned.micro);
    assert_int_equal(lines, 20);
    assert_int_equal(IN_GROUP(&f, xeno_statement(f.corp, server.id.s, 0, 1, line, NULL)), 1);
    assert_string_equal(line[0].kind, "charge");
    assert_string_equal(line[0].session, S1);
    assert_string_equal(line[0].server, "");
    assert_int_equal(line[0].amount + line[0].fee, 111);
    assert_int_equal(IN_GROUP(&f, xeno_statement(f.corp, client.id.s, 2, 1, line, NULL)), 1);
    assert_string_equal(line[0].server, server.id.s);
    assert_string_equal(line[0].text, "a test");
    assert_balanced(&f);
    fixture_party_release(&client);
    fixture_party_release(&server);
    fixture_close(&f);
}

/* A group that failed in the middle is undone in memory as well. */
static void a_group_is_all_or_nothing(void **state)
{
    struct fixture_party client;
    struct xeno_order_view v;
    struct fixture f;
    xeno_autofree char *chain = NULL, *again = NULL;

    (void)state;
    fixture_open(&f, 1);
    fixture_join(&f, XENO_ROLE_CLIENT, &client);
    fixture_fund(&f, &client, 1000);
    struct xeno_order_ask ask = { .amount = xeno_micro(600),
                                  .expires = xeno_time_add(f.env.now, xeno_s(60)) };
    assert_int_equal(xeno_corp_begin(f.corp, NULL), 0);
    assert_int_equal(xeno_order_create(f.corp, client.id.s, &ask, &v, &chain, NULL), 0);
    xeno_corp_rollback(f.corp);
    assert_int_equal(fixture_account(&f, &client).free.micro, 1000);
    assert_int_equal(IN_GROUP(&f, xeno_order_create(f.corp, client.id.s, &ask, &v, &again, NULL)),
                     0);
    assert_int_equal(fixture_account(&f, &client).free.micro, 400);
    assert_balanced(&f);
    fixture_party_release(&client);
    fixture_close(&f);
}

/* A database of the first schema keeps the chains of its bindings. */
static void an_older_database_is_brought_up_to_date(void **state)
{
    xeno_auto(xeno_db) db = NULL;
    xeno_autoquery q = XENO_QUERY_INIT;

    (void)state;
    assert_int_equal(xeno_db_open("sqlite::memory:", &db, NULL), 0);
    assert_int_equal(xeno_db_migrate(db, corp_schema, 1, NULL), 0);
    for (int64_t epoch = 1; epoch <= 2; epoch++)
        assert_int_equal(
            xeno_db_run(db, NULL,
                        "INSERT INTO binding VALUES (7, $1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, '',"
                        " '', 'chain ' || $1)",
                        "i", epoch),
            1);
    assert_int_equal(xeno_db_migrate(db, corp_schema, corp_schema_steps, NULL), 0);
    assert_int_equal(xeno_query_begin(db, &q,
                                      "SELECT t.chain FROM binding b JOIN binding_text t"
                                      " ON t.ord = b.ord AND t.epoch = b.epoch ORDER BY b.epoch",
                                      NULL),
                     0);
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(xeno_query_step(&q, NULL), 1);
        assert_string_equal(xeno_query_col_text(&q, 0), i == 1 ? "chain 1" : "chain 2");
    }
    assert_int_equal(xeno_query_step(&q, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_older_database_is_brought_up_to_date),
        cmocka_unit_test(creating),
        cmocka_unit_test(funding),
        cmocka_unit_test(closing_and_expiring),
        cmocka_unit_test(statements_add_up),
        cmocka_unit_test(a_group_is_all_or_nothing),
    };

    return cmocka_run_group_tests_name("orders", tests, NULL, NULL);
}
