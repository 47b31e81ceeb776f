/* sim/test-life.c - sessions as their owners see them, one story a test. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sim/stage.h"
#include "spec/task-doc.h"

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

/* Whether it would be refused can be known before its image is, and costs nothing. */
static void possible_or_not(void **state)
{
    struct stage st;
    xeno_auto(xeno_requirement) req = NULL;
    struct xeno_host_quote quote;
    struct xeno_err err = XENO_ERR_INIT;
    const struct xeno_id *me;
    int64_t left;

    (void)state;
    stage_open(&st, NULL);
    me = &st.me.self.id;
    req = sim_requirement(&st.w, true);
    req->cpu_msps = left = st.server.cfg.capacity.cpu_msps * 8 / 10;
    for (int i = 0; i < 100; i++)
        assert_int_equal(xeno_host_possible(host_of(&st), me, req, i % 2, &err), 0);
    assert_int_equal(xeno_host_hold(host_of(&st), me, req, 0, &quote, &err), 0);
    assert_int_equal(xeno_host_possible(host_of(&st), me, req, true, &err), -EAGAIN);
    assert_string_equal(err.token, "admission.cpu");
    assert_int_equal(xeno_host_hold_release(host_of(&st), me, quote.hold, NULL), 0);
    req->max_per_hour = 1;
    assert_int_equal(xeno_host_possible(host_of(&st), me, req, true, &err), -EDQUOT);
    assert_string_equal(err.token, "price.per-hour");
    req->max_per_hour = 0;
    req->cpu_msps = left * 100;
    assert_int_equal(xeno_host_possible(host_of(&st), me, req, false, &err), -ERANGE);
    assert_int_equal(xeno_host_sound(host_of(&st), NULL), 0);
    stage_close(&st);
}

/* A hold is free, so that nobody may keep the host for itself by holds alone; what is paid goes on.
 */
static void idle_holds(void **state)
{
    struct stage st;
    xeno_auto(xeno_requirement) all = NULL;
    xeno_auto(xeno_requirement) one = NULL;
    xeno_autofree char *chain = NULL;
    struct xeno_host_quote quote;
    struct xeno_err err = XENO_ERR_INIT;
    char id[XENO_SESSION_CHARS + 1];
    const struct xeno_id *me;
    int taken = 0;

    (void)state;
    stage_open(&st, NULL);
    me = &st.me.self.id;
    one = sim_requirement(&st.w, true);
    all = sim_requirement(&st.w, true);
    all->cpu_msps = st.server.cfg.capacity.cpu_msps * 8 / 10;
    while (taken < 20 && xeno_host_hold(host_of(&st), me, all, 300000, &quote, &err) == 0) {
        taken++;
        world_run_ms(&st.w, 301000);
    }
    assert_true(taken >= 2 && taken < 5);
    assert_string_equal(err.token, "hold.idle");
    assert_int_equal(xeno_host_hold(host_of(&st), me, one, 0, &quote, &err), -EAGAIN);
    assert_int_equal(xeno_host_hold(host_of(&st), &st.other.self.id, one, 0, &quote, NULL), 0);
    chain = order_chain(&st, 100000000);
    assert_int_equal(create(&st, one, chain, id, NULL), 0);
    /* It is forgotten, and holds that are given back at once are nobody's trouble. */
    world_run_ms(&st.w, 2 * HOUR_MS);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(xeno_host_hold(host_of(&st), me, all, 300000, &quote, NULL), 0);
        assert_int_equal(xeno_host_hold_release(host_of(&st), me, quote.hold, NULL), 0);
    }
    stage_close(&st);
}

/* A session over most of the host that is 30 s in the making, and ends after `run_ms`. Returns: 0,
 * or why it was refused. */
static int make_and_end(struct stage *st, int64_t run_ms, struct xeno_err *err)
{
    xeno_auto(xeno_requirement) all = sim_requirement(&st->w, true);
    xeno_autofree char *chain = order_chain(st, 100000000);
    char id[XENO_SESSION_CHARS + 1];
    int r;

    all->cpu_msps = st->server.cfg.capacity.cpu_msps * 8 / 10;
    st->server.free_ms = world_ms(&st->w) + 30000; /* its task manager is busy */
    r = create(st, all, chain, id, err);
    world_run_ms(&st->w, 31000);
    if (r < 0)
        return r;
    assert_state(st, id, "running");
    world_run_ms(&st->w, run_ms);
    assert_int_equal(xeno_host_do(host_of(st), NULL, id, XENO_HOST_END, NULL), 0);
    world_run_ms(&st->w, 5000);
    assert_state(st, id, "ended");
    return 0;
}

/* What a session takes while it is made and ends is free, too: who only ever does that is refused,
 * and who lets them run is not. */
static void idle_sessions(void **state)
{
    struct stage st;
    xeno_auto(xeno_requirement) one = NULL;
    struct xeno_host_quote quote;
    struct xeno_err err = XENO_ERR_INIT;
    int made = 0;

    (void)state;
    stage_open(&st, NULL);
    one = sim_requirement(&st.w, true);
    for (int i = 0; i < 60; i++)
        assert_int_equal(make_and_end(&st, 30000, NULL), 0);
    while (made < 60 && make_and_end(&st, 0, &err) == 0)
        made++;
    assert_in_range(made, 20, 30);
    assert_string_equal(err.token, "session.idle");
    assert_int_equal(xeno_host_hold(host_of(&st), &st.me.self.id, one, 0, &quote, &err), -EAGAIN);
    assert_string_equal(err.token, "session.idle");
    assert_int_equal(xeno_host_hold(host_of(&st), &st.other.self.id, one, 0, &quote, NULL), 0);
    world_run_ms(&st.w, 2 * HOUR_MS); /* it is forgotten */
    assert_int_equal(make_and_end(&st, 0, NULL), 0);
    stage_close(&st);
}

/* 300 creates for a capacity of 100: exactly 100 are admitted, 200 are told why. */
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
    xeno_autofree char *chain = NULL, *again = NULL;
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
    /* When the first has ended, the order is free again: for its holder, not for who was shown it.
     */
    assert_int_equal(xeno_host_do(host_of(&st), NULL, a, XENO_HOST_END, NULL), 0);
    world_run_ms(&st.w, 30000);
    assert_int_equal(create(&st, req, chain, b, NULL), 0);
    world_run_ms(&st.w, 5000);
    assert_state(&st, b, "ended");
    assert_reason(&st, b, "order.presented");
    again = sim_present(&st.corp, &st.me.self,
                        xeno_strndup(chain, (size_t)(strrchr(chain, '~') - chain)),
                        &st.server.self.id, 0);
    assert_int_equal(create(&st, req, again, b, NULL), 0);
    world_run_ms(&st.w, 5000);
    assert_state(&st, b, "running");
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

/* A kill for want of memory is told of the session, and is in the end of the task that died of it.
 */
static void out_of_memory(void **state)
{
    struct stage st;
    char id[XENO_SESSION_CHARS + 1], task[XENO_TASK_NAME_MAX + 1], session[sizeof(id)];
    struct xeno_task_event event = { .kind = XENO_TASK_EVENT_OOM };

    (void)state;
    stage_open(&st, NULL);
    run_one(&st, 100000000, 3600, id);
    assert_true(taskman_pick(st.server.tm, session, task));
    snprintf(event.session, sizeof(event.session), "%s", id);
    xeno_host_task_event(host_of(&st), &event);
    world_run_ms(&st.w, 1000);
    assert_true(told(&st, "task.oom {"));
    assert_true(task_is(&st, id, "running"));
    event.kind = XENO_TASK_EVENT_EXIT;
    event.code = 137;
    event.signal = 9;
    event.oom = true;
    snprintf(event.task, sizeof(event.task), "%s", task);
    assert_true(taskman_exit(st.server.tm, id, task));
    xeno_host_task_event(host_of(&st), &event);
    world_run_ms(&st.w, 1000);
    assert_true(told(&st, "\"oom\":true"));
    assert_true(task_is(&st, id, "exited"));
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

/* A task does not wait for the answer that its session is there, and is told after it: of some
 * sessions at least, since others are there before their order is bound. */
static void early_task(void **state)
{
    struct stage st;
    char id[XENO_SESSION_CHARS + 1];
    const char *running, *started;

    (void)state;
    stage_open(&st, NULL);
    for (int i = 0; i < 5; i++)
        run_one(&st, 100000000, 3600, id);
    assert_true(st.server.early > 0);
    assert_true(task_is(&st, id, "running"));
    running = strstr(st.diary, "\"running\"");
    started = strstr(st.diary, "task.started");
    assert_true(running && started && running < started);
    stage_close(&st);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(life_of_a_session),
        cmocka_unit_test(whose_it_is),
        cmocka_unit_test(possible_or_not),
        cmocka_unit_test(idle_holds),
        cmocka_unit_test(idle_sessions),
        cmocka_unit_test(drill),
        cmocka_unit_test(holds),
        cmocka_unit_test(refused_creates),
        cmocka_unit_test(order_used_twice),
        cmocka_unit_test(life_times),
        cmocka_unit_test(tasks),
        cmocka_unit_test(early_task),
        cmocka_unit_test(out_of_memory),
        cmocka_unit_test(events),
    };

    return cmocka_run_group_tests_name("life", tests, NULL, NULL);
}
