/* src/line/tests/test-held.c */
#include "line/held.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 2000

/* Against a list that is searched: what comes out is always the first by time, then by order. */
static void order(void **state)
{
    static struct {
        int64_t due;
        bool there;
    } list[ROUNDS];
    xeno_auto(xeno_held) h = xeno_held_new(ROUNDS, 1 << 20);
    uint32_t seed = 7, out = 0;

    (void)state;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        seed = seed * 1664525u + 1013904223u;
        list[i].due = seed >> 24;
        list[i].there = true;
        assert_true(xeno_held_put(h, list[i].due, &i, sizeof i));
        if (seed >> 16 & 1) {
            const struct xeno_held_packet *p = xeno_held_take(h, INT64_MAX);
            uint32_t got, want = UINT32_MAX;

            for (uint32_t j = 0; j <= i; j++)
                if (list[j].there && (want == UINT32_MAX || list[j].due < list[want].due))
                    want = j;
            memcpy(&got, p->data, sizeof got);
            assert_int_equal(got, want);
            list[got].there = false;
            out++;
        }
    }
    assert_int_equal(xeno_held_count(h), ROUNDS - out);
}

static void not_before_its_time(void **state)
{
    xeno_auto(xeno_held) h = xeno_held_new(4, 100);

    (void)state;
    assert_true(xeno_held_next(h) == INT64_MAX);
    assert_true(xeno_held_put(h, 50, "a", 1));
    assert_true(xeno_held_next(h) == 50);
    assert_null(xeno_held_take(h, 49));
    assert_non_null(xeno_held_take(h, 50));
    assert_null(xeno_held_take(h, INT64_MAX));
}

static void bounds(void **state)
{
    static const uint8_t data[60];
    xeno_auto(xeno_held) h = xeno_held_new(3, 100);

    (void)state;
    assert_true(xeno_held_put(h, 1, data, 60));
    assert_false(xeno_held_put(h, 1, data, 41));
    assert_true(xeno_held_put(h, 1, data, 40));
    assert_true(xeno_held_put(h, 1, data, 0));
    assert_false(xeno_held_put(h, 1, data, 0)); /* three packets are three */
    assert_non_null(xeno_held_take(h, 1));
    assert_true(xeno_held_put(h, 1, data, 60)); /* there is room again */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order),
        cmocka_unit_test(not_before_its_time),
        cmocka_unit_test(bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
