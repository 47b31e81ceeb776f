/* src/cli/tests/test-where.c - queries as a person writes them. */
#include "cli/where.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *text, *want; /* NULL: what it says of it is `says` */
    const char *says;
} rows[] = {
    { "CPUmsps >= 150", "{\"token\":\"CPUmsps\",\"min\":150}", NULL },
    { "CPUmsps>=150", "{\"token\":\"CPUmsps\",\"min\":150}", NULL },
    { "A<=0.5", "{\"token\":\"A\",\"max\":0.5}", NULL },
    { "A > -2", "{\"not\":{\"token\":\"A\",\"max\":-2}}", NULL },
    { "A<3", "{\"not\":{\"token\":\"A\",\"min\":3}}", NULL },
    { "Location/Country is CH", "{\"token\":\"Location/Country\",\"is\":\"CH\"}", NULL },
    { "Name = \"a, (b)\"", "{\"token\":\"Name\",\"is\":\"a, (b)\"}", NULL },
    { "Name == a\\b", "{\"token\":\"Name\",\"is\":\"a\\\\b\"}", NULL },
    { "A is 007", "{\"token\":\"A\",\"is\":\"007\"}", NULL },
    { "A is 7", "{\"token\":\"A\",\"is\":7}", NULL },
    { "A is not b", "{\"not\":{\"token\":\"A\",\"is\":\"b\"}}", NULL },
    { "A != b", "{\"not\":{\"token\":\"A\",\"is\":\"b\"}}", NULL },
    { "A in x, 2,\"y z\"", "{\"token\":\"A\",\"in\":[\"x\",2,\"y z\"]}", NULL },
    { "A from 1 to 2", "{\"token\":\"A\",\"min\":1,\"max\":2}", NULL },
    { "A exists", "{\"token\":\"A\",\"exists\":true}", NULL },
    { "A is b and C is d or E is f",
      "{\"or\":[{\"and\":[{\"token\":\"A\",\"is\":\"b\"},{\"token\":\"C\",\"is\":\"d\"}]},"
      "{\"token\":\"E\",\"is\":\"f\"}]}",
      NULL },
    { "A is b and (C is d or not E is f)",
      "{\"and\":[{\"token\":\"A\",\"is\":\"b\"},{\"or\":[{\"token\":\"C\",\"is\":\"d\"},"
      "{\"not\":{\"token\":\"E\",\"is\":\"f\"}}]}]}",
      NULL },
    { "is is is", "{\"token\":\"is\",\"is\":\"is\"}", NULL },
    { "", NULL, "character 1: a token is missing" },
    { "A", NULL, "character 2: what it must be" },
    { "A >=", NULL, "character 5: a number is missing" },
    { "A >= many", NULL, "character 6: a number is missing" },
    { "A is", NULL, "character 5: a value is missing" },
    { "A is \"b", NULL, "character 6: the quotation mark is not closed" },
    { "A from 1", NULL, "'to' and a number" },
    { "(A is b", NULL, "')' is missing" },
    { "A is b)", NULL, "'and' or 'or' is missing" },
    { "A is b C is d", NULL, "'and' or 'or' is missing" },
    { "A is b and", NULL, "a token is missing" },
    { "not not not not not not not not not not not not not not not not A is b", NULL, "deeper" },
    { "((((((((((((((((((A is b", NULL, "deeper" },
    { "A is \xff", NULL, "no text that can be sent" },
};

static void queries(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_auto(xeno_json) j = NULL;
        xeno_autofree char *got = NULL;
        struct xeno_err err = XENO_ERR_INIT;
        int r = cli_where(rows[i].text, &j, &err);

        print_message("%s\n", rows[i].text);
        assert_int_equal(r, rows[i].want ? 0 : -EINVAL);
        if (r < 0) {
            assert_string_equal(err.token, "cli.usage");
            assert_non_null(strstr(err.text, rows[i].says));
            continue;
        }
        got = xeno_json_format(j, false, NULL);
        assert_string_equal(got, rows[i].want);
    }
}

static void several(void **state)
{
    static const char *const both[] = { "A is b", "C >= 1" };
    xeno_auto(xeno_json) j = NULL;
    xeno_autofree char *got = NULL;

    (void)state;
    assert_int_equal(cli_where_all(both, 2, &j, NULL), 0);
    got = xeno_json_format(j, false, NULL);
    assert_string_equal(got,
                        "{\"and\":[{\"token\":\"A\",\"is\":\"b\"},{\"token\":\"C\",\"min\":1}]}");
}

static void long_one(void **state)
{
    char text[CLI_WHERE_BYTES + 2];
    xeno_auto(xeno_json) j = NULL;

    (void)state;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(cli_where(text, &j, NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries),
        cmocka_unit_test(several),
        cmocka_unit_test(long_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
