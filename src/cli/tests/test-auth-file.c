/* src/cli/tests/test-auth-file.c - passwords are added, and what else is in the file stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cli/auth-file.h"
#include "json/json.h"

/* "ann:secret" and "bob:other" */
#define ANN "{\"auth\":\"YW5uOnNlY3JldA==\"}"
#define BOB "{\"auth\":\"Ym9iOm90aGVy\"}"

static void puts_passwords(void **state)
{
    static const struct {
        const char *old, *host, *want; /* NULL want: refused */
    } rows[] = {
        { NULL, "h:1", "{\"auths\":{\"h:1\":" ANN "}}" },
        { "{}", "h:1", "{\"auths\":{\"h:1\":" ANN "}}" },
        { "{\"auths\":{}}", "h:1", "{\"auths\":{\"h:1\":" ANN "}}" },
        { "{\"auths\":{\"h:1\":" BOB "}}", "h:1", "{\"auths\":{\"h:1\":" ANN "}}" },
        { "{\"credHelpers\":{\"x\":\"y\"},\"auths\":{\"g\":" BOB "}}", "h",
          "{\"credHelpers\":{\"x\":\"y\"},\"auths\":{\"g\":" BOB ",\"h\":" ANN "}}" },
        { "{\"auths\":7}", "h", NULL },
        { "[]", "h", NULL },
        { "nonsense", "h", NULL },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_autofree char *text = NULL;
        xeno_autofree char *flat = NULL;
        xeno_auto(xeno_json) doc = NULL;
        struct xeno_err err = XENO_ERR_INIT;
        int r = cli_auth_put(rows[i].old, rows[i].host, "ann", "secret", &text, &err);

        print_message("%s: %s\n", rows[i].old ? rows[i].old : "no file", err.text);
        assert_int_equal(r == 0, rows[i].want != NULL);
        if (r < 0) {
            assert_null(text);
            continue;
        }
        assert_int_equal(xeno_json_parse(text, strlen(text), 4096, &doc, NULL), 0);
        flat = xeno_json_format(doc, false, NULL);
        assert_string_equal(flat, rows[i].want);
    }
}

static void names_the_file(void **state)
{
    static const struct {
        const char *given, *runtime, *home, *want;
    } rows[] = {
        { "/a/b.json", "/run/u", "/home/u", "/a/b.json" },
        { "", "/run/u", "/home/u", "/run/u/containers/auth.json" },
        { NULL, "/run/u", "/home/u", "/run/u/containers/auth.json" },
        { NULL, NULL, "/home/u", "/home/u/.config/containers/auth.json" },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        const char *const names[] = { "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "HOME" };
        const char *const values[] = { rows[i].given, rows[i].runtime, rows[i].home };
        xeno_autofree char *path = NULL;

        for (size_t k = 0; k < XENO_LEN(names); k++) {
            if (values[k])
                setenv(names[k], values[k], 1);
            else
                unsetenv(names[k]);
        }
        path = cli_auth_file();
        assert_string_equal(path, rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(puts_passwords),
        cmocka_unit_test(names_the_file),
    };
    return cmocka_run_group_tests_name("cli-auth-file", tests, NULL, NULL);
}
