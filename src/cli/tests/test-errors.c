/* src/cli/tests/test-errors.c */
#include "cli/cli.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *name;
    int code;
    const char *token;
    enum cli_exit status;
    const char *hint; /* a part of it; NULL: none */
} rows[] = {
    { "no money", -EDQUOT, "ledger.funds", CLI_REFUSED, "xeno account" },
    { "a rule of the order", -EPERM, "order.server", CLI_REFUSED, "xeno order show" },
    { "no room", -EAGAIN, "admission.cpu", CLI_REFUSED, "another server" },
    { "never any room", -EINVAL, "admission.cpu", CLI_REFUSED, "another server" },
    { "bound elsewhere", -EBUSY, "order.bound", CLI_REFUSED, "xeno order create" },
    { "not found", -ENOENT, "session.unknown", CLI_FAILED, "xeno session ls" },
    { "nobody there", -ECONNREFUSED, "http.connect", CLI_UNREACHABLE, "is it running" },
    { "no answer", -ETIMEDOUT, "http.timeout", CLI_UNREACHABLE, "is it running" },
    { "not registered", -ENOENT, "profile.missing", CLI_FAILED, "xeno register" },
    { "old credential", -EPERM, "x509.expired", CLI_REFUSED, "--renew" },
    { "anything else", -EIO, "some.thing", CLI_FAILED, NULL },
};

static void error_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_err err = XENO_ERR_INIT;
        const char *hint;

        xeno_fail(&err, rows[i].code, rows[i].token, "why");
        print_message("%s\n", rows[i].name);
        assert_int_equal(cli_exit_of(&err), rows[i].status);
        hint = cli_hint(&err);
        if (rows[i].hint) {
            assert_non_null(hint);
            assert_non_null(strstr(hint, rows[i].hint));
        } else
            assert_null(hint);
    }
}

static void usage(void **state)
{
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(cli_usage(&err, "no %s", "way"), -EINVAL);
    assert_string_equal(err.text, "no way");
    assert_int_equal(cli_exit_of(&err), CLI_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_rows),
        cmocka_unit_test(usage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
