/* sim/test-money.c - orders that run out, are refused, are followed by others; and a XenoCorp that
 * is away. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sim/stage.h"
#include "corp/orders.h"
#include "corp/validate.h"

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
    chain = order_text(&st, 100000000);
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
    /* A new session cannot be validated: it is built, but nothing runs in it; then it ends, and
     * says why. */
    req = sim_requirement(&st.w, true);
    chain = sim_present(&st.corp, &st.me.self, chain, &st.server.self.id, 0);
    assert_int_equal(create(&st, req, chain, late, NULL), 0);
    assert_int_equal(sim_client_deploy(&st.me, &st.server, late), 0);
    world_run_ms(&st.w, 5000);
    assert_state(&st, late, "held");
    assert_true(taskman_has(st.server.tm, late));
    assert_true(task_is(&st, late, "pending"));
    world_run_ms(&st.w, 35000);
    assert_state(&st, late, "ended");
    assert_false(taskman_has(st.server.tm, late));
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

/* Somebody sets the XenoServer's clock, by hours, while a session runs, and puts it right a minute
 * later: what it is charged is what it would have been, and none of it is refused. */
static void clock_is_set(void **state)
{
    static const int64_t set_ms[] = { 0, -2 * HOUR_MS, 2 * HOUR_MS };
    int64_t charged[XENO_LEN(set_ms)];

    (void)state;
    for (size_t i = 0; i < XENO_LEN(set_ms); i++) {
        struct stage st;
        char id[XENO_SESSION_CHARS + 1];
        int64_t before;

        stage_open(&st, NULL);
        run_one(&st, 100000000, 12 * 3600, id);
        world_run_ms(&st.w, 600000);
        before = number_in(&st, id, "charges", true);
        st.server.clock.set_ms = set_ms[i];
        world_run_ms(&st.w, 60000);
        assert_true(number_in(&st, id, "charges", true) > before); /* they go on */
        st.server.clock.set_ms = 0;
        world_run_ms(&st.w, 600000);
        assert_state(&st, id, "running");
        assert_int_equal(xeno_host_do(host_of(&st), NULL, id, XENO_HOST_END, NULL), 0);
        world_run_ms(&st.w, 60000);
        assert_int_equal(number_in(&st, id, "refused_amount", true), 0);
        charged[i] = number_in(&st, id, "charged", true);
        assert_books(&st, id);
        stage_close(&st);
    }
    for (size_t i = 1; i < XENO_LEN(set_ms); i++) /* but for what messages take to arrive */
        assert_in_range(charged[i], charged[0] - charged[0] / 200, charged[0] + charged[0] / 200);
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
    more = sim_present(&st.corp, &st.me.self,
                       sim_corp_order(&st.corp, &st.me.self, 60000000, 24 * HOUR_MS, order),
                       &st.server.self.id, 0);
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
    more = sim_present(&st.corp, &st.me.self,
                       sim_corp_order(&st.corp, &st.me.self, 60000000, 24 * HOUR_MS, order),
                       &st.server.self.id, 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(out_of_money),    cmocka_unit_test(suspended_pays_for_disk),
        cmocka_unit_test(corp_away),       cmocka_unit_test(clock_is_set),
        cmocka_unit_test(charge_refused),  cmocka_unit_test(fenced),
        cmocka_unit_test(extend_by_order), cmocka_unit_test(extend_while_creating),
    };

    return cmocka_run_group_tests_name("money", tests, NULL, NULL);
}
