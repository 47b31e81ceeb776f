/* sim/test-crashes.c - daemons and machines that die, or never answer. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sim/stage.h"

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

static void lose(struct stage *st, const char *id, bool told)
{
    struct xeno_task_event event = { .kind = XENO_TASK_EVENT_LOST };

    taskman_lose(st->server.tm, id);
    snprintf(event.session, sizeof(event.session), "%s", id);
    if (told)
        xeno_host_task_event(host_of(st), &event);
    else
        sim_server_link_loss(&st->server, 500); /* the list says it */
    world_run_ms(&st->w, 30000);
}

/* Who serves a session's file system is killed: it comes back, its tasks are started again; the
 * second time in a row it is suspended, and its owner may bring it back. */
static void file_system_lost(void **state)
{
    struct stage st;
    char id[XENO_SESSION_CHARS + 1], paused[XENO_SESSION_CHARS + 1];

    (void)state;
    for (int listed = 0; listed < 2; listed++) {
        stage_open(&st, NULL);
        run_one(&st, 100000000, 3600, id);
        run_one(&st, 100000000, 3600, paused);
        assert_int_equal(xeno_host_do(host_of(&st), NULL, paused, XENO_HOST_PAUSE, NULL), 0);
        world_run_ms(&st.w, 5000);
        lose(&st, paused, !listed);
        assert_state(&st, paused, "suspended");
        assert_reason(&st, paused, "task.lost");
        lose(&st, id, !listed);
        assert_state(&st, id, "running");
        assert_true(task_is(&st, id, "running"));
        lose(&st, id, !listed);
        assert_state(&st, id, "suspended");
        assert_reason(&st, id, "task.lost");
        assert_int_equal(
            xeno_host_restore(host_of(&st), NULL, xeno_key_pub(st.me.self.key), id, NULL, NULL), 0);
        world_run_ms(&st.w, 30000);
        assert_true(task_is(&st, id, "running"));
        world_run_ms(&st.w, 900000);
        lose(&st, id, !listed);
        assert_true(task_is(&st, id, "running"));
        assert_int_equal(xeno_host_sound(host_of(&st), NULL), 0);
        stage_close(&st);
    }
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

/* A task manager that is there and does not answer: every state gives up in its time and says why;
 * only an end never does, but it is told. */
static void never_answers(void **state)
{
    struct stage st;
    xeno_auto(xeno_requirement) req = NULL;
    xeno_autofree char *chain = NULL;
    char id[XENO_SESSION_CHARS + 1];

    (void)state;
    stage_open(&st, NULL);
    req = sim_requirement(&st.w, true);
    chain = order_chain(&st, 100000000);
    st.server.deaf = 1u << XENO_TASK_CREATE;
    assert_int_equal(create(&st, req, chain, id, NULL), 0);
    world_run_ms(&st.w, 590000);
    assert_state(&st, id, "creating");
    world_run_ms(&st.w, 20000);
    assert_state(&st, id, "ended");
    assert_reason(&st, id, "task.timeout");

    st.server.deaf = 0;
    run_one(&st, 100000000, 7200, id);
    st.server.deaf = 1u << XENO_TASK_SNAPSHOT;
    assert_int_equal(xeno_host_do(host_of(&st), NULL, id, XENO_HOST_SUSPEND, NULL), 0);
    world_run_ms(&st.w, 50000);
    assert_state(&st, id, "suspending");
    world_run_ms(&st.w, 20000);
    assert_state(&st, id, "ending");
    assert_reason(&st, id, "task.timeout");
    st.server.deaf = 0;
    world_run_ms(&st.w, 120000);
    assert_state(&st, id, "ended");

    run_one(&st, 100000000, 7200, id);
    assert_int_equal(xeno_host_do(host_of(&st), NULL, id, XENO_HOST_SUSPEND, NULL), 0);
    world_run_ms(&st.w, 20000);
    assert_state(&st, id, "suspended");
    st.server.deaf = 1u << XENO_TASK_RESTORE;
    assert_int_equal(
        xeno_host_restore(host_of(&st), NULL, xeno_key_pub(st.me.self.key), id, NULL, NULL), 0);
    world_run_ms(&st.w, 590000);
    assert_state(&st, id, "restoring");
    world_run_ms(&st.w, 20000);
    assert_state(&st, id, "suspended");

    st.server.deaf = 1u << XENO_TASK_DESTROY;
    assert_int_equal(xeno_host_do(host_of(&st), NULL, id, XENO_HOST_END, NULL), 0);
    world_run_ms(&st.w, 600000);
    assert_state(&st, id, "ending");
    assert_true(told(&st, "host.stuck"));
    st.server.deaf = 0;
    world_run_ms(&st.w, 120000);
    assert_state(&st, id, "ended");
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
        cmocka_unit_test(boot),           cmocka_unit_test(file_system_lost),
        cmocka_unit_test(lost_and_found), cmocka_unit_test(ends_from_suspended),
        cmocka_unit_test(never_answers),  cmocka_unit_test(die_everywhere),
    };

    return cmocka_run_group_tests_name("crashes", tests, NULL, NULL);
}
