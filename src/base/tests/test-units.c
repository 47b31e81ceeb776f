/* src/base/tests/test-units.c */
#include "base/units.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"

static void credit_text_rows(void **state)
{
    static const struct {
        int64_t micro;
        const char *text;
    } rows[] = {
        { 0, "0.00" },
        { 1, "0.000001" },
        { 1250000, "1.25" },
        { 1000000, "1.00" },
        { 100000, "0.10" },
        { -1, "-0.000001" },
        { -2500000, "-2.50" },
        { INT64_MAX, "9223372036854.775807" },
        { INT64_MIN, "-9223372036854.775808" },
    };
    char buf[XENO_CREDIT_TEXT];

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++)
        assert_string_equal(xeno_credit_text(xeno_micro(rows[i].micro), buf), rows[i].text);
}

static void credit_parse_rows(void **state)
{
    static const struct {
        const char *text;
        int64_t micro; /* -1: refused */
    } rows[] = {
        { "2", 2000000 },
        { "0.25", 250000 },
        { "0.000001", 1 },
        { "1000000000", XENO_CREDIT_MAX },
        { "1000000000.000001", -1 },
        { "1.0000001", -1 },
        { "", -1 },
        { ".5", -1 },
        { "1.", -1 },
        { "-1", -1 },
        { "+1", -1 },
        { "1e3", -1 },
        { " 1", -1 },
        { "99999999999999999999", -1 },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_credit c = { 77 };
        struct xeno_err err = XENO_ERR_INIT;
        int r = xeno_credit_parse(rows[i].text, &c, &err);

        if (rows[i].micro < 0) {
            assert_int_equal(r, -EINVAL);
            assert_int_equal(c.micro, 77);
            assert_true(xeno_err_is(&err, "units.credit"));
        } else {
            assert_int_equal(r, 0);
            assert_int_equal(c.micro, rows[i].micro);
        }
    }
}

static void lengths_and_sizes(void **state)
{
    xeno_time t = { 1 };
    int64_t n = 1;

    (void)state;
    assert_int_equal(xeno_duration_parse("15m", &t, NULL), 0);
    assert_int_equal(t.ns, 900 * XENO_NS_PER_S);
    assert_int_equal(xeno_duration_parse("250ms", &t, NULL), 0);
    assert_int_equal(t.ns, 250 * XENO_NS_PER_MS);
    assert_int_equal(xeno_duration_parse("3650d", &t, NULL), 0);
    assert_int_equal(xeno_duration_parse("3651d", &t, NULL), -EINVAL);
    assert_int_equal(xeno_duration_parse("0s", &t, NULL), -EINVAL);
    assert_int_equal(xeno_duration_parse("5", &t, NULL), -EINVAL);
    assert_int_equal(xeno_duration_parse("9999999999999999999s", &t, NULL), -EINVAL);
    assert_int_equal(t.ns, 3650 * 86400 * XENO_NS_PER_S);
    assert_int_equal(xeno_size_parse("512M", &n, NULL), 0);
    assert_int_equal(n, 512 << 20);
    assert_int_equal(xeno_size_parse("7", &n, NULL), 0);
    assert_int_equal(n, 7);
    assert_int_equal(xeno_size_parse("9000000T", &n, NULL), -EINVAL);
    assert_int_equal(xeno_size_parse("1MB", &n, NULL), -EINVAL);
    assert_int_equal(xeno_size_parse("-1", &n, NULL), -EINVAL);
    assert_int_equal(n, 7);
}

static void times(void **state)
{
    char buf[XENO_TIME_TEXT];
    xeno_time t = { 0 };

    (void)state;
    assert_int_equal(xeno_time_parse("2026-11-21T10:33:00Z", &t, NULL), 0);
    assert_string_equal(xeno_time_text(t, buf), "2026-11-21T10:33:00Z");
    assert_int_equal(xeno_time_parse("2026-11-21", &t, NULL), -EINVAL);
    assert_int_equal(xeno_time_parse("9999-01-01T00:00:00Z", &t, NULL), -EINVAL);
    assert_int_equal(xeno_time_add(xeno_ns(INT64_MAX), xeno_s(1)).ns, INT64_MAX);
}

static void arithmetic_refuses_overflow(void **state)
{
    xeno_credit c = { 3 };
    int64_t n = 3;

    (void)state;
    assert_false(xeno_credit_add(xeno_micro(INT64_MAX), xeno_micro(1), &c));
    assert_false(xeno_credit_sub(xeno_micro(INT64_MIN), xeno_micro(1), &c));
    assert_int_equal(c.micro, 3);
    assert_true(xeno_credit_add(c, xeno_micro(4), &c));
    assert_int_equal(c.micro, 7);
    assert_true(xeno_muldiv(INT64_MAX, 1000, 1000, &n));
    assert_int_equal(n, INT64_MAX);
    assert_false(xeno_muldiv(INT64_MAX, 2, 1, &n));
    assert_true(xeno_muldiv(-7, 1, 2, &n));
    assert_int_equal(n, -3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credit_text_rows),
        cmocka_unit_test(credit_parse_rows),
        cmocka_unit_test(lengths_and_sizes),
        cmocka_unit_test(times),
        cmocka_unit_test(arithmetic_refuses_overflow),
    };
    return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
