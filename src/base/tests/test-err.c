/* src/base/tests/test-err.c */
#include "base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void fills_and_keeps_errno(void **state)
{
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    errno = EPIPE;
    assert_int_equal(xeno_fail(&err, -ENOENT, "a.b", "no %s", "x"), -ENOENT);
    assert_int_equal(errno, EPIPE);
    assert_string_equal(err.token, "a.b");
    assert_string_equal(err.text, "no x");
    assert_true(xeno_err_is(&err, "a.b"));
    assert_false(xeno_err_is(&err, "a.c"));
    assert_int_equal(xeno_context(&err, err.code, "in %d", 7), -ENOENT);
    assert_string_equal(err.text, "in 7: no x");
    assert_string_equal(err.token, "a.b");
    assert_int_equal(xeno_fail_errno(&err, -EACCES, "io.open", "open 'f'"), -EACCES);
    assert_string_equal(err.text, "open 'f': Permission denied");
}

static void null_and_wrong_sign(void **state)
{
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(xeno_fail(NULL, -EBUSY, "t", "x"), -EBUSY);
    assert_int_equal(xeno_context(NULL, -EBUSY, "x"), -EBUSY);
    assert_int_equal(xeno_fail(&err, 5, "t", "x"), -EINVAL);
    assert_false(xeno_err_is(NULL, "t"));
}

static void long_text_is_cut_with_a_mark(void **state)
{
    struct xeno_err err = XENO_ERR_INIT;
    char big[2000];

    (void)state;
    memset(big, 'a', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    xeno_fail(&err, -EIO, "t", "%s", big);
    assert_int_equal(strlen(err.text), XENO_ERR_TEXT_MAX - 1);
    assert_string_equal(err.text + XENO_ERR_TEXT_MAX - 4, "...");
    xeno_context(&err, -EIO, "where");
    assert_int_equal(strncmp(err.text, "where: aaa", 10), 0);
    assert_string_equal(err.text + XENO_ERR_TEXT_MAX - 4, "...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_and_keeps_errno),
        cmocka_unit_test(null_and_wrong_sign),
        cmocka_unit_test(long_text_is_cut_with_a_mark),
    };
    return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
