/* sim/stage.c - the stage for stories. */
#include "sim/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "corp/ledger.h"

static void note(void *ctx, const struct xeno_host_event *ev)
{
    struct stage *st = ctx;
    size_t len = strlen(st->diary);

    snprintf(st->diary + len, sizeof(st->diary) - len, "%s %s\n", ev->type, ev->data);
}

void stage_open(struct stage *st, const struct xeno_host_config *cfg)
{
    struct xeno_host_config c;

    memset(st, 0, sizeof(*st));
    xeno_spec_init();
    world_init(&st->w, 5, &sim_faults_none);
    sim_corp_open(&st->corp, &st->w);
    st->corp.check_each = 50; /* and at the end of each story */
    if (cfg)
        c = *cfg;
    else
        sim_server_config(&c);
    sim_server_open(&st->server, &st->w, &st->corp, &c);
    st->server.on_event = note;
    st->server.on_event_ctx = st;
    sim_client_open(&st->me, &st->w, &st->corp, &st->server, 1, INT64_C(1000000000000));
    sim_client_open(&st->other, &st->w, &st->corp, &st->server, 1, INT64_C(1000000000));
    world_run_ms(&st->w, 2000); /* connected */
}

void stage_close(struct stage *st)
{
    if (st->w.failed)
        print_message("%s\n", st->w.failure);
    assert_false(st->w.failed);
    world_release(&st->w);
    sim_server_release(&st->server);
    sim_client_release(&st->me);
    sim_client_release(&st->other);
    sim_corp_release(&st->corp);
}

struct xeno_host *host_of(struct stage *st)
{
    assert_non_null(st->server.host);
    return st->server.host;
}

char *order_text(struct stage *st, int64_t micro)
{
    char order[XENO_ORDER_ID_CHARS + 1];
    char *chain = sim_corp_order(&st->corp, &st->me.self, micro, 24 * HOUR_MS, order);

    assert_non_null(chain);
    return chain;
}

char *order_chain(struct stage *st, int64_t micro)
{
    return sim_present(&st->corp, &st->me.self, order_text(st, micro), &st->server.self.id, 0);
}

int create(struct stage *st, const struct xeno_requirement *req, const char *chain,
           char id[XENO_SESSION_CHARS + 1], struct xeno_err *err)
{
    struct xeno_host_create ask = {
        .who = &st->me.self.id, .holder = xeno_key_pub(st->me.self.key), .req = req, .chain = chain
    };

    return xeno_host_create(host_of(st), &ask, false, id, err);
}

void run_one(struct stage *st, int64_t micro, int64_t lifetime_s, char id[XENO_SESSION_CHARS + 1])
{
    xeno_auto(xeno_requirement) req = sim_requirement(&st->w, true);
    xeno_autofree char *chain = order_chain(st, micro);

    req->lifetime_s = lifetime_s;
    assert_int_equal(create(st, req, chain, id, NULL), 0);
    assert_int_equal(sim_client_deploy(&st->me, &st->server, id), 0);
    world_run_ms(&st->w, 2000);
}

int64_t number_in(struct stage *st, const char *id, const char *key, bool usage)
{
    xeno_auto(xeno_json) view = NULL;
    struct xeno_json_at top;
    int64_t n = -1;

    if (usage)
        assert_int_equal(xeno_host_usage_json(host_of(st), NULL, id, &view, NULL), 0);
    else
        assert_int_equal(xeno_host_session_json(host_of(st), NULL, id, &view, NULL), 0);
    top = xeno_json_top(view);
    assert_true(xeno_json_int_opt(&top, key, INT64_MIN, INT64_MAX, &n, NULL) >= 0);
    return n;
}

bool text_is(struct stage *st, const char *id, const char *key, const char *want)
{
    xeno_auto(xeno_json) view = NULL;
    struct xeno_json_at top;
    const char *text = "";

    assert_int_equal(xeno_host_session_json(host_of(st), NULL, id, &view, NULL), 0);
    top = xeno_json_top(view);
    (void)xeno_json_str_opt(&top, key, 0, 4096, &text, NULL);
    if (strncmp(text, want, strlen(want)) == 0)
        return true;
    print_message("%s is '%s', not '%s'\n", key, text, want);
    return false;
}

bool task_is(struct stage *st, const char *id, const char *want)
{
    xeno_auto(xeno_json) view = NULL;
    struct xeno_json_at top, list, first;
    const char *text = "";
    size_t count;

    assert_int_equal(xeno_host_tasks_json(host_of(st), NULL, id, &view, NULL), 0);
    top = xeno_json_top(view);
    assert_int_equal(xeno_json_arr(&top, "tasks", 100, &list, &count, NULL), 0);
    assert_true(count > 0);
    first = xeno_json_item(&list, 0);
    assert_int_equal(xeno_json_str(&first, "state", 1, 32, &text, NULL), 0);
    if (strcmp(text, want) == 0)
        return true;
    print_message("the task is '%s', not '%s'\n", text, want);
    return false;
}

bool told(const struct stage *st, const char *what)
{
    return strstr(st->diary, what) != NULL;
}

void assert_books(struct stage *st, const char *id)
{
    struct xeno_account_view account = { .free = { 0 } };
    struct xeno_ledger_totals totals;
    int64_t charged = number_in(st, id, "charged", true);

    assert_int_equal(number_in(st, id, "amount", true), charged);
    assert_int_equal(number_in(st, id, "posted", true), charged);
    assert_int_equal(number_in(st, id, "pending", true), 0);
    assert_int_equal(xeno_ledger_account(st->corp.corp, st->server.self.id.s, &account, NULL), 0);
    assert_int_equal(xeno_ledger_totals(st->corp.corp, &totals, NULL), 0);
    assert_int_equal(account.earned.micro + totals.fees.micro, charged);
    assert_int_equal(totals.orders_bound, 0);
    assert_int_equal(xeno_ledger_check(st->corp.db, NULL), 0);
}
