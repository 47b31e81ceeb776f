/* src/line/tests/test-matrix.c */
#include "line/matrix.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void reading(void **state)
{
    static const char text[] = "0\t10.5\t-1\n10.5 0 0.0004\nnan\t7\t0\n\n";
    xeno_auto(xeno_matrix) m = NULL;

    (void)state;
    assert_int_equal(xeno_matrix_read(text, strlen(text), &m, NULL), 0);
    assert_int_equal(xeno_matrix_nodes(m), 3);
    assert_int_equal(xeno_matrix_rtt_us(m, 1, 2), 10500);
    assert_int_equal(xeno_matrix_rtt_us(m, 2, 3), 0);
    assert_int_equal(xeno_matrix_rtt_us(m, 3, 2), 7000);
    assert_int_equal(xeno_matrix_rtt_us(m, 1, 3), 1000000); /* neither way is known */
    assert_int_equal(xeno_matrix_site(m, 3), 3);
    assert_int_equal(xeno_matrix_site(m, 2), 2);
}

static void refusing(void **state)
{
    static const struct {
        const char *text;
        int want;
    } rows[] = {
        { "", -E2BIG },
        { "0\n", -E2BIG },
        { "0 1\n", -EINVAL },
        { "0 1\n1\n", -EINVAL },
        { "0 1\n1 0 2\n", -EINVAL },
        { "0 1\n1 0\n0 0\n", -EINVAL },
        { "0 x\n1 0\n", -EINVAL },
        { "0 1ms\n1 0\n", -EINVAL },
        { "0 60001\n1 0\n", -EINVAL },
        { "0 inf\n1 0\n", -EINVAL },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_matrix *m = NULL;

        print_message("'%s'\n", rows[i].text);
        assert_int_equal(xeno_matrix_read(rows[i].text, strlen(rows[i].text), &m, NULL),
                         rows[i].want);
        assert_null(m);
    }
}

/* As many places as nodes have each node once. */
static void spreading(void **state)
{
    (void)state;
    for (size_t n = 2; n <= XENO_MATRIX_NODES; n++) {
        bool seen[XENO_MATRIX_NODES + 1] = { false };

        for (size_t i = 0; i < n; i++) {
            size_t at = xeno_matrix_spread(n, i);

            assert_in_range(at, 1, n);
            assert_false(seen[at]);
            seen[at] = true;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading),
        cmocka_unit_test(refusing),
        cmocka_unit_test(spreading),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
