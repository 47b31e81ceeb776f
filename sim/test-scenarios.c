/* sim/test-scenarios.c - what a XenoServer does when things go wrong, one story a test: the real
 * host, the real books, a model of a task manager, virtual time.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "corp/ledger.h"
#include "corp/orders.h"
#include "corp/validate.h"
#include "sim/economy.h"
#include "spec/requirement.h"
#include "spec/task-doc.h"

#define HOUR_MS INT64_C(3600000)
#define MIB     (INT64_C(1) << 20)

/* --- the stage: one XenoCorp, one server, two clients, and a diary of events --- */

struct stage {
    struct world w;
    struct sim_corp corp;
    struct sim_server server;
    struct sim_client me, other;
    char diary[16384]; /* "type key=value;" for each event */
};

static void note(void *ctx, const struct xeno_host_event *ev)
{
    struct stage *st = ctx;
    size_t len = strlen(st->diary);

    snprintf(st->diary + len, sizeof(st->diary) - len, "%s %s\n", ev->type, ev->data);
}

static void stage_open(struct stage *st, const struct xeno_host_config *cfg)
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

static void stage_close(struct stage *st)
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

static struct xeno_host *host_of(struct stage *st)
{
    assert_non_null(st->server.host);
    return st->server.host;
}

static char *order_chain(struct stage *st, int64_t micro)
{
    char order[XENO_ORDER_ID_CHARS + 1];
    char *chain = sim_corp_order(&st->corp, &st->me.self, micro, 24 * HOUR_MS, order);

    assert_non_null(chain);
    return chain;
}

static int create(struct stage *st, const struct xeno_requirement *req, const char *chain,
                  char id[XENO_SESSION_CHARS + 1], struct xeno_err *err)
{
    struct xeno_host_create ask = {
        .who = &st->me.self.id, .holder = xeno_key_pub(st->me.self.key), .req = req, .chain = chain
    };

    return xeno_host_create(host_of(st), &ask, false, id, err);
}

/* A small session that runs, with one task in it, on an order of `micro`. */
static void run_one(struct stage *st, int64_t micro, int64_t lifetime_s,
                    char id[XENO_SESSION_CHARS + 1])
{
    xeno_auto(xeno_requirement) req = sim_requirement(&st->w, true);
    xeno_autofree char *chain = order_chain(st, micro);

    req->lifetime_s = lifetime_s;
    assert_int_equal(create(st, req, chain, id, NULL), 0);
    assert_int_equal(sim_client_deploy(&st->me, &st->server, id), 0);
    world_run_ms(&st->w, 2000);
}

static int64_t number_in(struct stage *st, const char *id, const char *key, bool usage)
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

static bool text_is(struct stage *st, const char *id, const char *key, const char *want)
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
#define assert_state(st, id, want)  assert_true(text_is(st, id, "state", want))
#define assert_reason(st, id, want) assert_true(text_is(st, id, "reason", want))

/* The state of the session's first task. */
static bool task_is(struct stage *st, const char *id, const char *want)
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

static bool told(const struct stage *st, const char *what)
{
    return strstr(st->diary, what) != NULL;
}

/* Everything used was charged, and XenoCorp's books say the same. */
static void assert_books(struct stage *st, const char *id)
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

/* --- stories --- */

static void life_of_a_session(void **state)
{
    struct stage st;
    char id[XENO_SESSION_CHARS + 1];
    int64_t spent;

    (void)state;
    stage_open(&st, NULL);
    run_one(&st, 100000000, 3600, id);
    assert_state(&st, id, "running");
    assert_true(task_is(&st, id, "running"));
    world_run_ms(&st.w, 60000);
    spent = number_in(&st, id, "spent", false);
    assert_true(spent > 0);
    assert_true(number_in(&st, id, "charged", true) > 0);

    assert_int_equal(xeno_host_do(host_of(&st), NULL, id, XENO_HOST_PAUSE, NULL), 0);
    assert_int_equal(xeno_host_do(host_of(&st), NULL, id, XENO_HOST_PAUSE, NULL), 0);
    world_run_ms(&st.w, 1000);
    assert_state(&st, id, "paused");
    assert_true(task_is(&st, id, "paused"));
    assert_int_equal(xeno_host_do(host_of(&st), NULL, id, XENO_HOST_RESUME, NULL), 0);
    world_run_ms(&st.w, 1000);
    assert_state(&st, id, "running");

    assert_int_equal(xeno_host_do(host_of(&st), NULL, id, XENO_HOST_SUSPEND, NULL), 0);
    assert_int_equal(xeno_host_do(host_of(&st), NULL, id, XENO_HOST_PAUSE, NULL), -EBUSY);
    world_run_ms(&st.w, 5000);
    assert_state(&st, id, "suspended");
    assert_true(task_is(&st, id, "stopped"));
    assert_int_equal(xeno_host_restore(host_of(&st), NULL, NULL, id, NULL, NULL), 0);
    world_run_ms(&st.w, 5000);
    assert_state(&st, id, "running");
    assert_true(task_is(&st, id, "running")); /* started again */

    assert_int_equal(xeno_host_do(host_of(&st), NULL, id, XENO_HOST_END, NULL), 0);
    world_run_ms(&st.w, 5000);
    assert_state(&st, id, "ended");
    assert_int_equal(xeno_host_do(host_of(&st), NULL, id, XENO_HOST_END, NULL), 0);
    assert_int_equal(taskman_sessions(st.server.tm), 0);
    assert_true(number_in(&st, id, "spent", false) > spent);
    assert_books(&st, id);
    stage_close(&st);
}

/* Others see nothing of it, not even that it is there. */
static void whose_it_is(void **state)
{
    struct stage st;
    char id[XENO_SESSION_CHARS + 1];
    xeno_auto(xeno_json) view = NULL;
    struct xeno_host_quote quote;
    xeno_auto(xeno_requirement) req = NULL;
    const struct xeno_id *other;

    (void)state;
    stage_open(&st, NULL);
    other = &st.other.self.id;
    run_one(&st, 100000000, 3600, id);
    assert_int_equal(xeno_host_do(host_of(&st), other, id, XENO_HOST_END, NULL), -ENOENT);
    assert_int_equal(xeno_host_session_json(host_of(&st), other, id, &view, NULL), -ENOENT);
    assert_int_equal(xeno_host_usage_json(host_of(&st), other, id, &view, NULL), -ENOENT);
    assert_int_equal(xeno_host_check(host_of(&st), other, id, NULL, true, NULL), -ENOENT);
    assert_int_equal(xeno_host_signal(host_of(&st), other, id, "t1", 9, NULL, NULL), -ENOENT);
    req = sim_requirement(&st.w, true);
    assert_int_equal(xeno_host_hold(host_of(&st), &st.me.self.id, req, 0, &quote, NULL), 0);
    assert_int_equal(xeno_host_hold_release(host_of(&st), other, quote.hold, NULL), -ENOENT);
    assert_int_equal(xeno_host_hold_release(host_of(&st), &st.me.self.id, quote.hold, NULL), 0);
    assert_state(&st, id, "running");
    stage_close(&st);
}

/* Drill of issue 2: 300 creates at once for a capacity of 100. */
static void drill(void **state)
{
    struct xeno_host_config cfg;
    struct stage st;
    xeno_auto(xeno_json) status = NULL;
    xeno_auto(xeno_requirement) req = NULL;
    xeno_autofree char *chain = NULL;
    struct xeno_json_at top, capacity;
    int admitted = 0, refused = 0;
    int64_t claims = -1;

    (void)state;
    sim_server_config(&cfg);
    cfg.capacity.cpu_msps = 100 * 100 * 10 / 9 + 400 + 12; /* after reserve and headroom: 100 */
    stage_open(&st, &cfg);
    req = sim_requirement(&st.w, true);
    req->memory_bytes = 4 * MIB;
    req->port_count = 0;
    chain = order_chain(&st, 100000000);
    for (int i = 0; i < 300; i++) {
        char id[XENO_SESSION_CHARS + 1];
        struct xeno_err err = XENO_ERR_INIT;
        int r = create(&st, req, chain, id, &err);

        if (r == 0) {
            admitted++;
            continue;
        }
        refused++;
        assert_int_equal(r, -EAGAIN);
        assert_string_equal(err.token, "admission.cpu");
        assert_non_null(strstr(err.text, "asked 100"));
    }
    assert_int_equal(admitted, 100);
    assert_int_equal(refused, 200);
    /* One order pays for one session: 99 end at once, that one when its time is over. */
    world_run_ms(&st.w, 60000);
    assert_int_equal(taskman_sessions(st.server.tm), 1);
    world_run_ms(&st.w, 2 * HOUR_MS);
    assert_int_equal(taskman_sessions(st.server.tm), 0);
    status = xeno_host_status_json(host_of(&st));
    top = xeno_json_top(status);
    assert_int_equal(xeno_json_obj(&top, "capacity", &capacity, NULL), 0);
    assert_int_equal(xeno_json_int(&capacity, "claims", 0, 1000, &claims, NULL), 0);
    assert_int_equal(claims, 0);
    stage_close(&st);
}

static void holds(void **state)
{
    struct stage st;
    struct xeno_host_quote quote = { .expires_ms = 0 }, again;
    xeno_auto(xeno_requirement) req = NULL;
    xeno_autofree char *chain = NULL;
    struct xeno_host_create ask;
    struct xeno_err err = XENO_ERR_INIT;
    char id[XENO_SESSION_CHARS + 1] = "unchanged";

    (void)state;
    stage_open(&st, NULL);
    req = sim_requirement(&st.w, true);
    chain = order_chain(&st, 100000000);
    ask = (struct xeno_host_create){ .who = &st.me.self.id,
                                     .holder = xeno_key_pub(st.me.self.key),
                                     .chain = chain,
                                     .name = "my own name" };
    assert_int_equal(xeno_host_hold(host_of(&st), ask.who, req, 5000, &quote, NULL), 0);
    assert_int_equal(quote.expires_ms, world_ms(&st.w) + 5000);
    assert_true(quote.per_hour_max > quote.reserved_per_hour && quote.reserved_per_hour > 0);
    assert_true(quote.grant.ports[0].host_port >= 20000);
    world_run_ms(&st.w, 7000);
    ask.hold = quote.hold;
    assert_int_equal(xeno_host_create(host_of(&st), &ask, false, id, &err), -ENOENT);
    assert_string_equal(err.token, "hold.unknown");
    /* A dry run says yes and changes nothing; then it is done, with what was held. */
    assert_int_equal(xeno_host_hold(host_of(&st), ask.who, req, 0, &again, NULL), 0);
    ask.hold = again.hold;
    assert_int_equal(xeno_host_create(host_of(&st), &ask, true, id, &err), 0);
    assert_string_equal(id, "unchanged");
    sim_server_crash(&st.server, 1000); /* a hold outlives the daemon */
    world_run_ms(&st.w, 3000);
    assert_int_equal(xeno_host_create(host_of(&st), &ask, false, id, &err), 0);
    world_run_ms(&st.w, 3000);
    assert_state(&st, id, "running");
    assert_true(text_is(&st, id, "name", "my own name"));
    assert_true(text_is(&st, id, "address", again.grant.address));
    assert_int_equal(xeno_host_create(host_of(&st), &ask, false, id, &err), -ENOENT); /* used */
    stage_close(&st);
}

static void too_much_cpu(struct xeno_requirement *req, struct xeno_host_create *ask)
{
    (void)ask;
    req->cpu_msps = 4000; /* the machine has it, and does not sell it all */
}
static void strange_type(struct xeno_requirement *req, struct xeno_host_create *ask)
{
    (void)ask;
    snprintf(req->env_type, sizeof(req->env_type), "Plan9");
}
static void too_dear(struct xeno_requirement *req, struct xeno_host_create *ask)
{
    (void)ask;
    req->max_per_hour = 1;
}
static void tiny_total(struct xeno_requirement *req, struct xeno_host_create *ask)
{
    (void)ask;
    req->max_total = 10;
}
static void no_chain(struct xeno_requirement *req, struct xeno_host_create *ask)
{
    (void)req;
    ask->chain = "this.is.none";
}
static void bad_name(struct xeno_requirement *req, struct xeno_host_create *ask)
{
    (void)req;
    ask->name = "a \"quoted\" name";
}
static void strangers_key(struct xeno_requirement *req, struct xeno_host_create *ask)
{
    static const struct xeno_pub pub = { .b = { 1, 2, 3 } };

    (void)req;
    ask->holder = &pub;
}
static void old_hold(struct xeno_requirement *req, struct xeno_host_create *ask)
{
    (void)req;
    ask->req = NULL;
    ask->hold = "aaaaaaaaaaaaaaaa";
}

static const struct {
    const char *name;
    void (*change)(struct xeno_requirement *req, struct xeno_host_create *ask);
    int want;
    const char *token;
} refusals[] = {
    { "more CPU than is for sale", too_much_cpu, -ERANGE, "admission.cpu" },
    { "an unknown environment type", strange_type, -ENOTSUP, "host.env-type" },
    { "above MaxPricePerHour", too_dear, -EDQUOT, "price.per-hour" },
    { "MaxTotal pays for nothing", tiny_total, -EDQUOT, "order.too-small" },
    { "not an order", no_chain, -EINVAL, "order.format" },
    { "a name with quotes", bad_name, -EINVAL, "session.name" },
    { "somebody else's order", strangers_key, -EPERM, "order.holder" },
    { "a hold that is none", old_hold, -ENOENT, "hold.unknown" },
    { NULL, NULL, 0, NULL },
};

static void stage_refusals(struct stage *st)
{
    xeno_autofree char *chain = order_chain(st, 100000000);

    for (size_t i = 0; refusals[i].name; i++) {
        xeno_auto(xeno_requirement) req = sim_requirement(&st->w, true);
        struct xeno_host_create ask = { .who = &st->me.self.id,
                                        .holder = xeno_key_pub(st->me.self.key),
                                        .req = req,
                                        .chain = chain };
        struct xeno_err err = XENO_ERR_INIT;
        char id[XENO_SESSION_CHARS + 1] = "unchanged";

        print_message("%s\n", refusals[i].name);
        refusals[i].change(req, &ask);
        for (int dry = 1; dry >= 0; dry--) {
            assert_int_equal(xeno_host_create(host_of(st), &ask, dry, id, &err), refusals[i].want);
            assert_string_equal(err.token, refusals[i].token);
            assert_string_equal(id, "unchanged");
            assert_int_equal(xeno_host_sound(host_of(st), NULL), 0);
        }
    }
}

static void refused_creates(void **state)
{
    struct stage st;

    (void)state;
    stage_open(&st, NULL);
    stage_refusals(&st);
    assert_int_equal(taskman_sessions(st.server.tm), 0);
    stage_close(&st);
}

/* An order is bound to one session; a second one is refused by XenoCorp and ends, saying so. */
static void order_used_twice(void **state)
{
    struct stage st;
    xeno_auto(xeno_requirement) req = NULL;
    xeno_autofree char *chain = NULL;
    char a[XENO_SESSION_CHARS + 1], b[XENO_SESSION_CHARS + 1];

    (void)state;
    stage_open(&st, NULL);
    req = sim_requirement(&st.w, true);
    chain = order_chain(&st, 100000000);
    assert_int_equal(create(&st, req, chain, a, NULL), 0);
    world_run_ms(&st.w, 3000);
    assert_int_equal(create(&st, req, chain, b, NULL), 0);
    world_run_ms(&st.w, 60000);
    assert_state(&st, a, "running");
    assert_state(&st, b, "ended");
    assert_reason(&st, b, "order.bound");
    /* When the first has ended, the order is free again. */
    assert_int_equal(xeno_host_do(host_of(&st), NULL, a, XENO_HOST_END, NULL), 0);
    world_run_ms(&st.w, 30000);
    assert_int_equal(create(&st, req, chain, b, NULL), 0);
    world_run_ms(&st.w, 5000);
    assert_state(&st, b, "running");
    stage_close(&st);
}

/* Out of money: warned twice, suspended, kept for the grace time, restored by another order; and
 * without one ended. At no time is more charged than the order allows. */
static void out_of_money(void **state)
{
    struct stage st;
    char id[XENO_SESSION_CHARS + 1];
    xeno_autofree char *more = NULL, *tiny = NULL;
    const struct xeno_pub *pub;
    int64_t at;

    (void)state;
    stage_open(&st, NULL);
    pub = xeno_key_pub(st.me.self.key);
    run_one(&st, 20000, 86400, id);
    assert_state(&st, id, "running");
    for (int i = 0; i < 24 * 3600 && !told(&st, "\"suspended\""); i++)
        world_run_ms(&st.w, 1000);
    assert_state(&st, id, "suspended");
    assert_reason(&st, id, "order.spent");
    assert_true(strstr(st.diary, "\"percent\":20") < strstr(st.diary, "\"percent\":5"));
    assert_true(strstr(st.diary, "\"percent\":5") < strstr(st.diary, "\"suspending\""));
    assert_true(told(&st, "\"percent\":20") && told(&st, "\"percent\":5"));
    assert_int_equal(xeno_host_restore(host_of(&st), NULL, pub, id, NULL, NULL), -EDQUOT);
    world_run_ms(&st.w, 60000);
    assert_true(number_in(&st, id, "grace_ends_ms", false) > world_ms(&st.w));

    /* Another order in time. One that is too small is refused at once. */
    tiny = order_chain(&st, 10);
    assert_int_equal(xeno_host_restore(host_of(&st), NULL, pub, id, tiny, NULL), -EDQUOT);
    more = order_chain(&st, 40000);
    assert_int_equal(xeno_host_restore(host_of(&st), NULL, pub, id, more, NULL), 0);
    assert_int_equal(xeno_host_restore(host_of(&st), NULL, pub, id, more, NULL), -EBUSY);
    world_run_ms(&st.w, 5000);
    assert_state(&st, id, "running");
    assert_true(task_is(&st, id, "running"));
    assert_true(told(&st, "session.order {\"order\""));

    /* And this time nobody comes. */
    st.diary[0] = '\0';
    for (int i = 0; i < 24 * 3600 && !told(&st, "\"suspended\""); i++)
        world_run_ms(&st.w, 1000);
    at = world_ms(&st.w);
    for (int i = 0; i < 24 * 3600 && !told(&st, "\"ended\""); i++)
        world_run_ms(&st.w, 1000);
    assert_in_range(world_ms(&st.w) - at, 900 * 1000, 920 * 1000); /* the grace time */
    assert_reason(&st, id, "order.grace");
    world_run_ms(&st.w, 30000);
    assert_true(number_in(&st, id, "charged", true) <= 60000);
    assert_true(number_in(&st, id, "charged", true) > 50000); /* and hardly less */
    assert_books(&st, id);
    stage_close(&st);
}

/* A session its owner suspended pays for its disk only, from the whole order, until its time is
 * over. */
static void suspended_pays_for_disk(void **state)
{
    struct stage st;
    char id[XENO_SESSION_CHARS + 1];
    int64_t before, disk_hour = 300 / 4; /* a quarter of a GiB at 300 */

    (void)state;
    stage_open(&st, NULL);
    run_one(&st, 100000000, 7 * 3600, id);
    assert_int_equal(xeno_host_do(host_of(&st), NULL, id, XENO_HOST_SUSPEND, NULL), 0);
    world_run_ms(&st.w, 20000);
    before = number_in(&st, id, "spent", false);
    world_run_ms(&st.w, 4 * HOUR_MS);
    assert_state(&st, id, "suspended");
    assert_in_range(number_in(&st, id, "spent", false) - before, 4 * disk_hour - 1,
                    4 * (disk_hour + 25) + 1);
    world_run_ms(&st.w, 4 * HOUR_MS);
    assert_state(&st, id, "ended");
    assert_reason(&st, id, "session.lifetime");
    assert_books(&st, id);
    stage_close(&st);
}

/* XenoCorp is away for an hour: no session notices, no charge is lost or doubled. */
static void corp_away(void **state)
{
    struct stage st;
    char id[XENO_SESSION_CHARS + 1], late[XENO_SESSION_CHARS + 1];
    xeno_auto(xeno_requirement) req = NULL;
    xeno_autofree char *chain = NULL;
    int64_t pending;

    (void)state;
    stage_open(&st, NULL);
    run_one(&st, 100000000, 3 * 3600, id);
    chain = order_chain(&st, 100000000);
    world_run_ms(&st.w, 60000);
    st.diary[0] = '\0';
    st.corp.away = true;
    world_run_ms(&st.w, HOUR_MS / 2);
    sim_server_crash(&st.server, 20000); /* and as if that were not enough */
    world_run_ms(&st.w, HOUR_MS / 4);
    sim_server_link_loss(&st.server, 30000);
    world_run_ms(&st.w, HOUR_MS / 4);
    assert_state(&st, id, "running");
    assert_true(task_is(&st, id, "running"));
    pending = number_in(&st, id, "pending", true);
    assert_true(pending > 0);
    /* A new session cannot be validated: it ends, and says why. */
    req = sim_requirement(&st.w, true);
    assert_int_equal(create(&st, req, chain, late, NULL), 0);
    world_run_ms(&st.w, 40000);
    assert_state(&st, late, "ended");
    assert_reason(&st, late, "corp.timeout");

    st.corp.away = false;
    world_run_ms(&st.w, 120000);
    assert_true(number_in(&st, id, "pending", true) < pending / 10);
    assert_state(&st, id, "running");
    assert_int_equal(xeno_host_do(host_of(&st), NULL, id, XENO_HOST_END, NULL), 0);
    world_run_ms(&st.w, 120000);
    assert_books(&st, id);
    stage_close(&st);
}

/* The binding ends behind the host's back: the charge is refused, the session suspended, not lost;
 * another order brings it back. */
static void charge_refused(void **state)
{
    struct stage st;
    char id[XENO_SESSION_CHARS + 1];
    xeno_autofree char *more = NULL;
    xeno_auto(xeno_json) view = NULL;
    struct xeno_json_at top;
    const char *order = "";

    (void)state;
    stage_open(&st, NULL);
    run_one(&st, 100000000, 3600, id);
    world_run_ms(&st.w, 30000);
    assert_int_equal(xeno_host_session_json(host_of(&st), NULL, id, &view, NULL), 0);
    top = xeno_json_top(view);
    assert_int_equal(xeno_json_str(&top, "order", 1, 64, &order, NULL), 0);
    assert_int_equal(xeno_corp_begin(st.corp.corp, NULL), 0);
    assert_int_equal(xeno_validate_release(st.corp.corp, st.server.self.id.s, order, id, NULL), 0);
    assert_int_equal(xeno_corp_commit(st.corp.corp, NULL), 0);
    world_run_ms(&st.w, 30000);
    assert_state(&st, id, "suspended");
    assert_reason(&st, id, "charge.closed");
    assert_true(told(&st, "charge.refused"));
    assert_true(number_in(&st, id, "refused_amount", true) > 0);
    assert_int_equal(number_in(&st, id, "left", false), 0);
    assert_int_equal(xeno_host_restore(host_of(&st), NULL, NULL, id, NULL, NULL), -EDQUOT);

    more = order_chain(&st, 100000000);
    assert_int_equal(
        xeno_host_restore(host_of(&st), NULL, xeno_key_pub(st.me.self.key), id, more, NULL), 0);
    world_run_ms(&st.w, 10000);
    assert_state(&st, id, "running");
    assert_int_equal(xeno_host_do(host_of(&st), NULL, id, XENO_HOST_END, NULL), 0);
    world_run_ms(&st.w, 60000);
    assert_state(&st, id, "ended");
    assert_int_equal(number_in(&st, id, "charged", true),
                     number_in(&st, id, "posted", true) +
                         number_in(&st, id, "refused_amount", true));
    stage_close(&st);
}

/* Somebody validates the session under a higher epoch: this host is fenced, and stops. */
static void fenced(void **state)
{
    struct stage st;
    xeno_auto(xeno_requirement) req = NULL;
    xeno_auto(xeno_validation) v = NULL;
    xeno_autofree char *chain = NULL;
    struct xeno_validate_ask ask;
    struct xeno_bound b;
    char id[XENO_SESSION_CHARS + 1];

    (void)state;
    stage_open(&st, NULL);
    req = sim_requirement(&st.w, true);
    chain = order_chain(&st, 100000000);
    assert_int_equal(create(&st, req, chain, id, NULL), 0);
    world_run_ms(&st.w, 15000);
    ask = (struct xeno_validate_ask){ .chain = chain,
                                      .chain_len = strlen(chain),
                                      .server = st.server.self.id.s,
                                      .session = id,
                                      .epoch = 2,
                                      .env_type = "Linux",
                                      .holder = *xeno_key_pub(st.me.self.key) };
    assert_int_equal(xeno_validate_check(xeno_corp_pub(st.corp.corp), st.w.t.now, &ask, &v, NULL),
                     0);
    assert_int_equal(xeno_corp_begin(st.corp.corp, NULL), 0);
    assert_int_equal(xeno_validate_apply(st.corp.corp, v, &b, NULL), 0);
    assert_int_equal(xeno_corp_commit(st.corp.corp, NULL), 0);
    world_run_ms(&st.w, 30000);
    assert_state(&st, id, "ended");
    assert_reason(&st, id, "charge.epoch");
    assert_int_equal(taskman_sessions(st.server.tm), 0);
    stage_close(&st);
}

/* The machine boots: what ran runs again, what was paused is suspended. */
static void boot(void **state)
{
    struct stage st;
    char id[XENO_SESSION_CHARS + 1], paused[XENO_SESSION_CHARS + 1];

    (void)state;
    stage_open(&st, NULL);
    run_one(&st, 100000000, 3600, id);
    run_one(&st, 100000000, 3600, paused);
    assert_int_equal(xeno_host_do(host_of(&st), NULL, paused, XENO_HOST_PAUSE, NULL), 0);
    world_run_ms(&st.w, 5000);
    sim_server_boot(&st.server);
    world_run_ms(&st.w, 60000);
    assert_state(&st, id, "running");
    assert_true(task_is(&st, id, "running"));
    assert_state(&st, paused, "suspended");
    assert_reason(&st, paused, "host.restart");
    stage_close(&st);
}

/* The task manager has lost everything, and has things nobody knows. */
static void lost_and_found(void **state)
{
    struct stage st;
    xeno_auto(xeno_task_request) q = xeno_task_request_new(XENO_TASK_CREATE, "aaaaaaaaaaaaaaaa");
    struct xeno_json *ok = NULL;
    char id[XENO_SESSION_CHARS + 1];

    (void)state;
    stage_open(&st, NULL);
    run_one(&st, 100000000, 3600, id);
    snprintf(q->driver, sizeof(q->driver), "null");
    taskman_free(st.server.tm);
    st.server.tm = taskman_new(&st.w);
    assert_int_equal(taskman_handle(st.server.tm, q, &ok, NULL), 0);
    xeno_json_unref(ok);
    sim_server_link_loss(&st.server, 500);
    world_run_ms(&st.w, 30000);
    assert_state(&st, id, "ended");
    assert_reason(&st, id, "host.lost");
    assert_int_equal(taskman_sessions(st.server.tm), 0);
    assert_books(&st, id);
    stage_close(&st);
}

static void life_times(void **state)
{
    struct stage st;
    char id[XENO_SESSION_CHARS + 1];
    struct xeno_err err = XENO_ERR_INIT;
    int64_t ends;

    (void)state;
    stage_open(&st, NULL);
    run_one(&st, 100000000, 600, id);
    ends = number_in(&st, id, "ends_ms", false);
    world_run_ms(&st.w, 500000);
    assert_false(told(&st, "session.ends"));
    world_run_ms(&st.w, 50000);
    assert_true(told(&st, "session.ends"));
    assert_int_equal(xeno_host_extend(host_of(&st), NULL, NULL, id, 600000, NULL, NULL), 0);
    assert_int_equal(number_in(&st, id, "ends_ms", false), ends + 600000);
    assert_int_equal(xeno_host_extend(host_of(&st), NULL, NULL, id, 48 * HOUR_MS, NULL, &err),
                     -EDQUOT); /* beyond the order's window */
    assert_string_equal(err.token, "order.window");
    assert_int_equal(xeno_host_extend(host_of(&st), NULL, NULL, id, -1, NULL, NULL), -ERANGE);
    world_run_ms(&st.w, 600000);
    assert_state(&st, id, "running");
    world_run_ms(&st.w, 60000);
    assert_state(&st, id, "ended");
    assert_reason(&st, id, "session.lifetime");
    assert_books(&st, id);
    stage_close(&st);
}

/* Another order takes over while it runs: the first is closed off by a final charge. */
static void extend_by_order(void **state)
{
    struct stage st;
    char id[XENO_SESSION_CHARS + 1];
    xeno_autofree char *more = NULL, *strange = NULL;
    char order[XENO_ORDER_ID_CHARS + 1];
    struct xeno_order_view view;

    (void)state;
    stage_open(&st, NULL);
    run_one(&st, 50000000, 3600, id);
    world_run_ms(&st.w, 95000);
    strange = sim_corp_order(&st.corp, &st.other.self, 1000000, HOUR_MS, order);
    assert_int_equal(
        xeno_host_extend(host_of(&st), NULL, xeno_key_pub(st.me.self.key), id, 0, strange, NULL),
        -EPERM); /* not the holder's */
    more = sim_corp_order(&st.corp, &st.me.self, 60000000, 24 * HOUR_MS, order);
    assert_int_equal(
        xeno_host_extend(host_of(&st), NULL, xeno_key_pub(st.me.self.key), id, HOUR_MS, more, NULL),
        0);
    world_run_ms(&st.w, 20000);
    assert_true(text_is(&st, id, "order", order));
    assert_state(&st, id, "running");
    assert_int_equal(
        xeno_host_extend(host_of(&st), NULL, xeno_key_pub(st.me.self.key), id, 0, more, NULL),
        -EINVAL); /* the same */
    world_run_ms(&st.w, 60000);
    assert_int_equal(xeno_corp_begin(st.corp.corp, NULL), 0);
    assert_int_equal(xeno_order_get(st.corp.corp, st.me.self.id.s, order, &view, NULL, NULL), 0);
    xeno_corp_rollback(st.corp.corp);
    assert_string_equal(view.session, id);
    assert_true(view.charged.micro > 0);
    assert_int_equal(xeno_host_do(host_of(&st), NULL, id, XENO_HOST_END, NULL), 0);
    world_run_ms(&st.w, 60000);
    assert_books(&st, id);
    stage_close(&st);
}

/* The same before it has run at all (seed 303): the first order is released, and never charged. */
static void extend_while_creating(void **state)
{
    struct stage st;
    char id[XENO_SESSION_CHARS + 1], order[XENO_ORDER_ID_CHARS + 1];
    xeno_auto(xeno_requirement) req = NULL;
    xeno_autofree char *chain = NULL, *more = NULL;

    (void)state;
    stage_open(&st, NULL);
    req = sim_requirement(&st.w, true);
    chain = order_chain(&st, 50000000);
    more = sim_corp_order(&st.corp, &st.me.self, 60000000, 24 * HOUR_MS, order);
    sim_server_link_loss(&st.server, 20000);
    assert_int_equal(create(&st, req, chain, id, NULL), 0);
    world_run_ms(&st.w, 1000);
    assert_state(&st, id, "creating");
    assert_int_equal(
        xeno_host_extend(host_of(&st), NULL, xeno_key_pub(st.me.self.key), id, 0, more, NULL), 0);
    world_run_ms(&st.w, 5000);
    assert_state(&st, id, "creating");
    assert_true(text_is(&st, id, "order", order));
    assert_int_equal(number_in(&st, id, "charges", true), 0);
    world_run_ms(&st.w, 60000);
    assert_state(&st, id, "running");
    assert_int_equal(xeno_host_do(host_of(&st), NULL, id, XENO_HOST_END, NULL), 0);
    world_run_ms(&st.w, 60000);
    assert_books(&st, id);
    stage_close(&st);
}

/* What a suspended session gave back stays given while it ends, also over a restart (seed 106). */
static void ends_from_suspended(void **state)
{
    struct stage st;
    struct xeno_host_config cfg;
    char id[XENO_SESSION_CHARS + 1], next[XENO_SESSION_CHARS + 1];

    (void)state;
    sim_server_config(&cfg);
    cfg.capacity.cpu_msps = 400 + 120; /* room for one */
    stage_open(&st, &cfg);
    run_one(&st, 100000000, 3600, id);
    assert_int_equal(xeno_host_do(host_of(&st), NULL, id, XENO_HOST_SUSPEND, NULL), 0);
    world_run_ms(&st.w, 5000);
    sim_server_link_loss(&st.server, 30000);
    assert_int_equal(xeno_host_do(host_of(&st), NULL, id, XENO_HOST_END, NULL), 0);
    run_one(&st, 100000000, 3600, next);
    sim_server_crash(&st.server, 100);
    world_run_ms(&st.w, 110);
    assert_state(&st, id, "ending");
    assert_int_equal(xeno_host_sound(host_of(&st), NULL), 0);
    world_run_ms(&st.w, 30000);
    assert_state(&st, id, "ended");
    assert_state(&st, next, "running");
    stage_close(&st);
}

static void tasks(void **state)
{
    struct stage st;
    char id[XENO_SESSION_CHARS + 1], name[XENO_TASK_NAME_MAX + 1];
    static char sleep[] = "sleep", one[] = "1", web[] = "web", bad[] = "-x", set[] = "A=b";
    char *argv[] = { sleep, one, NULL }, *env[] = { set, NULL };
    struct xeno_task_doc doc = { .name = web, .argv = argv, .argc = 2, .env = env, .env_count = 1 };
    uint64_t tag = 0;

    (void)state;
    stage_open(&st, NULL);
    run_one(&st, 100000000, 3600, id);
    assert_int_equal(xeno_host_deploy(host_of(&st), NULL, id, &doc, name, NULL), 0);
    assert_string_equal(name, "web");
    assert_int_equal(xeno_host_deploy(host_of(&st), NULL, id, &doc, name, NULL), 0); /* again */
    doc.env = NULL;
    assert_int_equal(xeno_host_deploy(host_of(&st), NULL, id, &doc, name, NULL), -EEXIST);
    doc.name = bad;
    assert_int_equal(xeno_host_deploy(host_of(&st), NULL, id, &doc, name, NULL), -EINVAL);
    doc.name = NULL;
    assert_int_equal(xeno_host_deploy(host_of(&st), NULL, id, &doc, name, NULL), 0);
    assert_string_equal(name, "t3"); /* the third */
    world_run_ms(&st.w, 1000);
    assert_int_equal(xeno_host_signal(host_of(&st), NULL, id, "web", 15, &tag, NULL), 0);
    assert_true(tag != 0);
    assert_int_equal(xeno_host_signal(host_of(&st), NULL, id, "web", 0, NULL, NULL), -EINVAL);
    assert_int_equal(xeno_host_signal(host_of(&st), NULL, id, "no", 15, NULL, NULL), -ENOENT);
    assert_int_equal(xeno_host_check(host_of(&st), NULL, id, "web", true, NULL), 0);
    sim_server_task_exit(&st.server);
    world_run_ms(&st.w, 1000);
    assert_true(told(&st, "task.exit"));
    for (int i = 0; i < 40; i++)
        (void)xeno_host_deploy(host_of(&st), NULL, id, &doc, name, NULL);
    assert_int_equal(xeno_host_deploy(host_of(&st), NULL, id, &doc, name, NULL), -EDQUOT);
    world_run_ms(&st.w, 1000);
    stage_close(&st);
}

/* What was told is told again to who comes back, and ids grow over restarts. */
struct seen {
    uint64_t last;
    int count;
};
static void see(void *ctx, const struct xeno_host_event *ev)
{
    struct seen *s = ctx;

    assert_true(ev->id > s->last);
    s->last = ev->id;
    s->count++;
}

static void events(void **state)
{
    struct stage st;
    struct seen all = { 0, 0 }, none = { 0, 0 }, later;
    char id[XENO_SESSION_CHARS + 1];

    (void)state;
    stage_open(&st, NULL);
    run_one(&st, 100000000, 3600, id);
    assert_int_equal(xeno_host_events(host_of(&st), NULL, id, 0, see, &all, NULL), 0);
    assert_int_equal(all.count, 4); /* held, creating, running, task.started */
    none.last = all.last;
    assert_int_equal(xeno_host_events(host_of(&st), NULL, id, all.last, see, &none, NULL), 0);
    assert_int_equal(none.count, 0);
    sim_server_crash(&st.server, 1000);
    world_run_ms(&st.w, 5000);
    later = (struct seen){ all.last, 0 };
    assert_int_equal(xeno_host_events(host_of(&st), NULL, id, all.last, see, &later, NULL), 0);
    assert_int_equal(later.count, 1); /* running, since a restart */
    assert_int_equal(xeno_host_events(host_of(&st), &st.other.self.id, id, 0, see, &later, NULL),
                     -ENOENT);
    stage_close(&st);
}

/* --- dying at every point --- */

enum phase { CREATE, SUSPEND, RESTORE, END, PHASES };

/* The session this client made before the server died and could not say its name. */
static bool find_mine(struct stage *st, char id[XENO_SESSION_CHARS + 1])
{
    xeno_auto(xeno_json) view = xeno_host_sessions_json(host_of(st), &st->me.self.id, NULL, 10);
    struct xeno_json_at top = xeno_json_top(view), list, first;
    const char *text;
    size_t count = 0;

    assert_int_equal(xeno_json_arr(&top, "sessions", 10, &list, &count, NULL), 0);
    if (count == 0)
        return false;
    assert_int_equal(count, 1);
    first = xeno_json_item(&list, 0);
    assert_int_equal(xeno_json_str(&first, "session", 16, 16, &text, NULL), 0);
    memcpy(id, text, XENO_SESSION_CHARS + 1);
    return true;
}

static int ask_phase(struct stage *st, enum phase phase, const struct xeno_requirement *req,
                     const char *chain, char id[XENO_SESSION_CHARS + 1])
{
    switch (phase) {
    case CREATE:
        return find_mine(st, id) ? 0 : create(st, req, chain, id, NULL);
    case SUSPEND:
        return xeno_host_do(host_of(st), NULL, id, XENO_HOST_SUSPEND, NULL);
    case RESTORE:
        return xeno_host_restore(host_of(st), NULL, NULL, id, NULL, NULL);
    default:
        return xeno_host_do(host_of(st), NULL, id, XENO_HOST_END, NULL);
    }
}

/* As a client does: when nobody answers, wait and ask again. */
static void surely(struct stage *st, enum phase phase, const struct xeno_requirement *req,
                   const char *chain, char id[XENO_SESSION_CHARS + 1])
{
    for (int tries = 0; tries < 3; tries++) {
        int r = -1;

        if (sim_server_begin(&st->server)) {
            r = ask_phase(st, phase, req, chain, id);
            if (sim_server_end(&st->server)) {
                assert_int_equal(r, 0);
                break;
            }
        }
        world_run_ms(&st->w, 100000);
    }
    world_run_ms(&st->w, 8000);
    if (!st->server.host)
        world_run_ms(&st->w, 100000);
}

static void die_once(enum phase at, int n, bool outer)
{
    static const char *const after[PHASES] = { "running", "suspended", "running", "ended" };
    xeno_auto(xeno_requirement) req = NULL;
    xeno_autofree char *chain = NULL;
    char id[XENO_SESSION_CHARS + 1];
    struct stage st;

    stage_open(&st, NULL);
    req = sim_requirement(&st.w, true);
    chain = order_chain(&st, 100000000);
    for (enum phase phase = CREATE; phase < PHASES; phase++) {
        if (phase == at) {
            st.server.die_in = n;
            st.server.die_outer = outer;
        }
        surely(&st, phase, req, chain, id);
        assert_state(&st, id, after[phase]);
        if (phase == CREATE)
            assert_int_equal(sim_client_deploy(&st.me, &st.server, id), 0);
    }
    world_run_ms(&st.w, 40000);
    assert_int_equal(st.server.crashes, 1);
    assert_int_equal(taskman_sessions(st.server.tm), 0);
    assert_books(&st, id);
    stage_close(&st);
}

/* Die in the n-th call from each thing a client asks, before or after it reached the disk; what
 * comes out is the same session with the same books. */
static void die_everywhere(void **state)
{
    (void)state;
    for (enum phase at = CREATE; at < PHASES; at++)
        for (int n = 1; n <= 6; n++)
            for (int outer = 0; outer < 2; outer++)
                die_once(at, n, outer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(life_of_a_session),
        cmocka_unit_test(whose_it_is),
        cmocka_unit_test(drill),
        cmocka_unit_test(holds),
        cmocka_unit_test(refused_creates),
        cmocka_unit_test(order_used_twice),
        cmocka_unit_test(out_of_money),
        cmocka_unit_test(suspended_pays_for_disk),
        cmocka_unit_test(corp_away),
        cmocka_unit_test(charge_refused),
        cmocka_unit_test(fenced),
        cmocka_unit_test(boot),
        cmocka_unit_test(lost_and_found),
        cmocka_unit_test(life_times),
        cmocka_unit_test(extend_by_order),
        cmocka_unit_test(extend_while_creating),
        cmocka_unit_test(ends_from_suspended),
        cmocka_unit_test(tasks),
        cmocka_unit_test(events),
        cmocka_unit_test(die_everywhere),
    };

    return cmocka_run_group_tests_name("scenarios", tests, NULL, NULL);
}
