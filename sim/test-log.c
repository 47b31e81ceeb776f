/* sim/test-log.c - a XenoServer watches its XenoCorp's log: what is honest, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "corp/log.h"
#include "sim/stage.h"

#define MINUTE_MS 60000

struct seen {
    int64_t size;
    bool consistent;
    char doubt[512];
};

/* As the status of the host shows it. */
static struct seen seen_by(struct stage *st)
{
    xeno_auto(xeno_json) status = xeno_host_status_json(host_of(st));
    struct xeno_json_at top = xeno_json_top(status), log;
    struct seen s = { .size = -1 };
    const char *doubt = "";

    assert_int_equal(xeno_json_obj(&top, "corp_log", &log, NULL), 0);
    assert_int_equal(xeno_json_int(&log, "size", 0, INT64_MAX, &s.size, NULL), 0);
    assert_int_equal(xeno_json_bool(&log, "consistent", &s.consistent, NULL), 0);
    (void)xeno_json_str_opt(&log, "doubt", 0, sizeof s.doubt - 1, &doubt, NULL);
    snprintf(s.doubt, sizeof s.doubt, "%s", doubt);
    return s;
}

static bool metric_is(struct stage *st, const char *line)
{
    xeno_autobuf out = XENO_BUF_INIT;

    xeno_host_metrics(host_of(st), &out);
    return strstr(out.data, line) != NULL;
}

static void honest(void **state)
{
    struct stage st;
    char id[XENO_SESSION_CHARS + 1];
    struct xeno_err err = XENO_ERR_INIT;
    struct seen first, later;

    (void)state;
    stage_open(&st, NULL);
    run_one(&st, 100000000, 3600, id);
    first = seen_by(&st);
    assert_true(first.size > 0 && first.consistent); /* by the answer to the validation */
    world_run_ms(&st.w, 5 * MINUTE_MS);
    later = seen_by(&st);
    assert_true(later.size > first.size && later.consistent);
    assert_false(xeno_host_log_doubt(host_of(&st), &err));
    /* one question a minute, however many answers there are */
    assert_false(metric_is(&st, "xeno_host_corp_log_proofs_total 0"));
    assert_true(metric_is(&st, "xeno_host_corp_log_proofs_total 4") ||
                metric_is(&st, "xeno_host_corp_log_proofs_total 5"));
    sim_server_crash(&st.server, 100);
    world_run_ms(&st.w, 5000);
    assert_true(seen_by(&st).size >= later.size); /* out of the journal */
    world_run_ms(&st.w, 3 * MINUTE_MS);
    assert_true(seen_by(&st).size > later.size && seen_by(&st).consistent);
    stage_close(&st);
}

/* The XenoCorp's operator has been at the books while it was down. */
static void tamper(struct stage *st, const char *const *sql)
{
    struct sim_corp *c = &st->corp;

    c->check_each = 0; /* the check would find it; here it is a XenoServer who must */
    xeno_corp_free(c->corp);
    for (; *sql; sql++)
        assert_true(xeno_db_run(c->db, NULL, *sql, "") >= 0);
    assert_int_equal(xeno_corp_open(c->db, &st->w.t.env, c->ca, c->ca_pem,
                                    &xeno_corp_policy_default, &c->corp, NULL),
                     0);
}

static const struct {
    const char *name, *sql[6], *token;
} tricks[] = {
    { "a leaf is another one",
      { "UPDATE log_hash SET hashes = zeroblob(length(hashes)) WHERE n = 15 * 281474976710656" },
      "log.unproved" },
    { "a log that starts over",
      { "DELETE FROM log_hash", "DELETE FROM log_act", "DELETE FROM log_charges",
        "DELETE FROM log_head" },
      "log.forked" },
};

static void dishonest(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(tricks); i++) {
        struct stage st;
        char id[XENO_SESSION_CHARS + 1];
        struct xeno_err err = XENO_ERR_INIT;
        struct seen before;
        int64_t posted;

        print_message("%s\n", tricks[i].name);
        stage_open(&st, NULL);
        run_one(&st, 100000000, 3600, id);
        world_run_ms(&st.w, 5 * MINUTE_MS);
        before = seen_by(&st);
        posted = number_in(&st, id, "posted", true);
        tamper(&st, tricks[i].sql);
        world_run_ms(&st.w, 5 * MINUTE_MS);
        assert_false(seen_by(&st).consistent);
        assert_int_equal(strncmp(seen_by(&st).doubt, tricks[i].token, strlen(tricks[i].token)), 0);
        assert_true(metric_is(&st, "xeno_host_corp_log_doubted 1"));
        assert_true(xeno_host_log_doubt(host_of(&st), &err)); /* told, once */
        assert_string_equal(err.token, tricks[i].token);
        assert_false(xeno_host_log_doubt(host_of(&st), &err));
        /* the session runs on, and is paid for */
        assert_state(&st, id, "running");
        assert_true(number_in(&st, id, "posted", true) > posted);
        /* what was seen is not given up, and a new life knows */
        assert_true(seen_by(&st).size >= before.size);
        sim_server_crash(&st.server, 100);
        world_run_ms(&st.w, 5000);
        assert_false(seen_by(&st).consistent);
        assert_true(xeno_host_log_doubt(host_of(&st), &err));
        stage_close(&st);
    }
}

/* An answer that is late or lost is no reason to doubt. */
static void away(void **state)
{
    struct stage st;
    char id[XENO_SESSION_CHARS + 1];
    struct seen before;

    (void)state;
    stage_open(&st, NULL);
    run_one(&st, 100000000, 7200, id);
    before = seen_by(&st);
    st.corp.away = true;
    world_run_ms(&st.w, 30 * MINUTE_MS);
    assert_true(seen_by(&st).consistent && seen_by(&st).size == before.size);
    st.corp.away = false;
    world_run_ms(&st.w, 5 * MINUTE_MS);
    assert_true(seen_by(&st).consistent && seen_by(&st).size > before.size);
    stage_close(&st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(honest),
        cmocka_unit_test(dishonest),
        cmocka_unit_test(away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
