/* src/host/tests/test-session.c - the transition table, all of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "host/session.h"

/* The diagram at the top of session.h, row by row. What is not here must not exist. */
static const struct {
    enum xeno_state from;
    enum xeno_trigger on;
    enum xeno_state to;
} rows[] = {
    { XENO_HELD, XENO_ON_VALIDATED, XENO_CREATING },
    { XENO_HELD, XENO_ON_FAIL, XENO_ENDING },
    { XENO_HELD, XENO_ON_END, XENO_ENDING },
    { XENO_HELD, XENO_ON_TIMEOUT, XENO_ENDING },
    { XENO_CREATING, XENO_ON_CREATED, XENO_RUNNING },
    { XENO_CREATING, XENO_ON_FAIL, XENO_ENDING },
    { XENO_CREATING, XENO_ON_END, XENO_ENDING },
    { XENO_CREATING, XENO_ON_TIMEOUT, XENO_ENDING },
    { XENO_RUNNING, XENO_ON_PAUSE, XENO_PAUSED },
    { XENO_RUNNING, XENO_ON_SUSPEND, XENO_SUSPENDING },
    { XENO_RUNNING, XENO_ON_LOST, XENO_RESTORING },
    { XENO_RUNNING, XENO_ON_END, XENO_ENDING },
    { XENO_RUNNING, XENO_ON_TIMEOUT, XENO_ENDING },
    { XENO_PAUSED, XENO_ON_RESUME, XENO_RUNNING },
    { XENO_PAUSED, XENO_ON_SUSPEND, XENO_SUSPENDING },
    { XENO_PAUSED, XENO_ON_LOST, XENO_SUSPENDED },
    { XENO_PAUSED, XENO_ON_END, XENO_ENDING },
    { XENO_PAUSED, XENO_ON_TIMEOUT, XENO_ENDING },
    { XENO_SUSPENDING, XENO_ON_STOPPED, XENO_SUSPENDED },
    { XENO_SUSPENDING, XENO_ON_END, XENO_ENDING },
    { XENO_SUSPENDING, XENO_ON_TIMEOUT, XENO_ENDING },
    { XENO_SUSPENDED, XENO_ON_RESTORE, XENO_RESTORING },
    { XENO_SUSPENDED, XENO_ON_END, XENO_ENDING },
    { XENO_SUSPENDED, XENO_ON_TIMEOUT, XENO_ENDING },
    { XENO_RESTORING, XENO_ON_RESTORED, XENO_RUNNING },
    { XENO_RESTORING, XENO_ON_SUSPEND, XENO_SUSPENDING },
    { XENO_RESTORING, XENO_ON_FAIL, XENO_SUSPENDING },
    { XENO_RESTORING, XENO_ON_END, XENO_ENDING },
    { XENO_RESTORING, XENO_ON_TIMEOUT, XENO_SUSPENDING },
    { XENO_ENDING, XENO_ON_GONE, XENO_ENDED },
};

static void every_pair(void **state)
{
    (void)state;
    for (int from = 0; from < XENO_STATE_COUNT; from++)
        for (int on = 0; on < XENO_TRIGGER_COUNT; on++) {
            int want = -1;

            for (size_t i = 0; i < XENO_LEN(rows); i++)
                if ((int)rows[i].from == from && (int)rows[i].on == on)
                    want = (int)rows[i].to;
            print_message("%s, trigger %d\n", xeno_state_name(from), on);
            assert_int_equal(xeno_state_next(from, on), want);
        }
}

/* From every state the owner's END leads to ended in two steps at most, and nothing leaves it. */
static void all_end(void **state)
{
    (void)state;
    for (int from = 0; from < XENO_ENDED; from++) {
        int next = from == XENO_ENDING ? XENO_ENDING : xeno_state_next(from, XENO_ON_END);

        assert_true(next == XENO_ENDING || next == XENO_ENDED);
    }
    for (int on = 0; on < XENO_TRIGGER_COUNT; on++)
        assert_int_equal(xeno_state_next(XENO_ENDED, on), -1);
}

static void names(void **state)
{
    enum xeno_state parsed;

    (void)state;
    for (int i = 0; i < XENO_STATE_COUNT; i++) {
        assert_true(xeno_state_parse(xeno_state_name(i), &parsed));
        assert_int_equal(parsed, i);
    }
    assert_false(xeno_state_parse("migrating", &parsed));
    assert_false(xeno_state_parse("", &parsed));
}

/* Invariants 2 to 4 of session.h, as far as they are about states alone. */
static void meanings(void **state)
{
    (void)state;
    for (int i = 0; i < XENO_STATE_COUNT; i++) {
        const struct xeno_state_info *info = xeno_state_info(i);

        assert_int_equal(info->claimed, i != XENO_ENDED);
        assert_true(info->share == XENO_SHARE_NONE || info->built);
        assert_true(!info->processes || info->share == XENO_SHARE_ALL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair),
        cmocka_unit_test(all_end),
        cmocka_unit_test(names),
        cmocka_unit_test(meanings),
    };

    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
