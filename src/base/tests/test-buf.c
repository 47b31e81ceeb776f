/* src/base/tests/test-buf.c */
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void grows_shifts_and_is_taken(void **state)
{
    xeno_autobuf b = XENO_BUF_INIT;
    xeno_autofree char *s = NULL;
    size_t len = 99;

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_true(xeno_buf_printf(&b, "%03d,", i));
    assert_int_equal(b.len, 4000);
    xeno_buf_shift(&b, 3996);
    assert_string_equal(b.data, "999,");
    s = xeno_buf_take(&b, &len);
    assert_string_equal(s, "999,");
    assert_int_equal(len, 4);
    assert_null(b.data);
    free(s);
    s = xeno_buf_take(&b, &len); /* an empty one is an empty string */
    assert_string_equal(s, "");
    assert_int_equal(len, 0);
}

static void bound_refuses_whole(void **state)
{
    xeno_autobuf b = { .max = 5 };

    (void)state;
    assert_true(xeno_buf_puts(&b, "abc"));
    assert_false(xeno_buf_puts(&b, "def"));
    assert_string_equal(b.data, "abc");
    assert_true(xeno_buf_puts(&b, "de"));
    assert_false(xeno_buf_add(&b, "x", SIZE_MAX));
    assert_string_equal(b.data, "abcde");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_shifts_and_is_taken),
        cmocka_unit_test(bound_refuses_whole),
    };
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
