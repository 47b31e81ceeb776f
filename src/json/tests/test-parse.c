/* src/json/tests/test-parse.c */
#include "json/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define DEEP16 "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]"

static const struct {
    const char *name, *text, *token; /* token NULL: accepted */
    int want;
} rows[] = {
    { "object", "{\"a\":1}", NULL, 0 },
    { "array", "[1,2,3]", NULL, 0 },
    { "white space around", " \n[1]\t ", NULL, 0 },
    { "lowest integer", "[-9223372036854775808]", NULL, 0 },
    { "highest integer", "[9223372036854775807]", NULL, 0 },
    { "one above", "[9223372036854775808]", "json.syntax", -EINVAL },
    { "one below", "[-9223372036854775809]", "json.syntax", -EINVAL },
    { "real that overflows", "[1e999]", "json.syntax", -EINVAL },
    { "duplicate key", "{\"a\":1,\"a\":2}", "json.syntax", -EINVAL },
    { "duplicate key by escape", "{\"a\":1,\"\\u0061\":2}", "json.syntax", -EINVAL },
    { "zero byte in string", "[\"a\\u0000b\"]", "json.syntax", -EINVAL },
    { "zero byte in key", "{\"a\\u0000b\":1}", "json.syntax", -EINVAL },
    { "bad UTF-8", "[\"\xff\"]", "json.syntax", -EINVAL },
    { "surrogate in UTF-8", "[\"\xed\xa0\x80\"]", "json.syntax", -EINVAL },
    { "half a surrogate pair", "[\"\\ud800\"]", "json.syntax", -EINVAL },
    { "two values", "[1][2]", "json.syntax", -EINVAL },
    { "text after", "{} x", "json.syntax", -EINVAL },
    { "bare number", "1", "json.syntax", -EINVAL },
    { "bare string", "\"a\"", "json.syntax", -EINVAL },
    { "nothing", "", "json.syntax", -EINVAL },
    { "comment", "{} // no", "json.syntax", -EINVAL },
    { "trailing comma", "[1,]", "json.syntax", -EINVAL },
    { "NaN", "[NaN]", "json.syntax", -EINVAL },
    { "leading zero", "[01]", "json.syntax", -EINVAL },
    { "16 levels", DEEP16, NULL, 0 },
    { "17 levels", "{\"a\":" DEEP16 "}", "json.depth", -EINVAL },
    { "brackets in a string", "[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"]", NULL, 0 },
    { "escaped quote before brackets", "[\"\\\"[[[[[[[[[[[[[[[[[[[[[[\"]", NULL, 0 },
    { "many side by side", "[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]", NULL, 0 },
    { "closing first", "]]]]", "json.syntax", -EINVAL },
};

static void parse_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_auto(xeno_json) j = NULL;
        struct xeno_err err = XENO_ERR_INIT;
        int r = xeno_json_parse(rows[i].text, strlen(rows[i].text), 1024, &j, &err);

        print_message("%s: %s\n", rows[i].name, err.text);
        assert_int_equal(r, rows[i].want);
        assert_int_equal(r == 0, j != NULL);
        assert_string_equal(err.token, rows[i].token ? rows[i].token : "");
    }
}

static void parse_bounds(void **state)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(xeno_json_parse("[1] ", 4, 3, &j, &err), -EFBIG);
    assert_string_equal(err.token, "json.size");
    assert_null(j);
    assert_int_equal(xeno_json_parse("[1]x", 3, 3, &j, NULL), 0); /* only len bytes are read */
}

static void parse_says_where(void **state)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(xeno_json_parse("{\n\"a\": x}", 9, 99, &j, &err), -EINVAL);
    assert_non_null(strstr(err.text, "line 2, column"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_rows),
        cmocka_unit_test(parse_bounds),
        cmocka_unit_test(parse_says_where),
    };
    return cmocka_run_group_tests_name("json-parse", tests, NULL, NULL);
}
