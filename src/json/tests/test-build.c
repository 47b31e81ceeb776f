/* src/json/tests/test-build.c */
#include "json/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void build_and_format(void **state)
{
    xeno_auto(xeno_json) j = xeno_json_object();
    struct xeno_json *list = xeno_json_array();
    xeno_autofree char *text = NULL;
    xeno_autofree char *pretty = NULL;
    size_t len;

    (void)state;
    xeno_json_set_int(j, "z", INT64_MIN);
    xeno_json_set_str(j, "name", "a \"b\"\n");
    xeno_json_set_str(j, "skipped", NULL);
    xeno_json_set_bool(j, "yes", true);
    xeno_json_append_str(list, "x");
    xeno_json_append(list, xeno_json_object());
    xeno_json_set(j, "list", list);
    xeno_json_set_int(j, "z", 1); /* again: the new value, the old place */

    text = xeno_json_format(j, false, &len);
    assert_string_equal(text, "{\"z\":1,\"name\":\"a \\\"b\\\"\\n\",\"yes\":true,"
                              "\"list\":[\"x\",{}]}");
    assert_int_equal(len, strlen(text));
    pretty = xeno_json_format(j, true, NULL);
    assert_non_null(strstr(pretty, "{\n  \"z\": 1,\n"));
}

static const struct {
    const char *name, *in, *want;
} utf8[] = {
    { "ASCII", "abc", "\"abc\"" },
    { "well-formed", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
      "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"" },
    { "stray bytes", "a\xff\x80z", "\"a??z\"" },
    { "cut short", "a\xe2\x82", "\"a??\"" },
    { "overlong", "\xc0\xaf", "\"??\"" },
    { "overlong, three bytes", "\xe0\x80\xaf", "\"???\"" },
    { "surrogate", "\xed\xa0\x80", "\"???\"" },
    { "past the last", "\xf4\x90\x80\x80", "\"????\"" },
    { "good after bad", "\xff\xc3\xa4", "\"?\xc3\xa4\"" },
};

static void strings_are_made_valid(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(utf8); i++) {
        xeno_auto(xeno_json) j = xeno_json_string(utf8[i].in);
        xeno_autofree char *text = xeno_json_format(j, false, NULL);

        print_message("%s\n", utf8[i].name);
        assert_string_equal(text, utf8[i].want);
    }
}

static void references(void **state)
{
    xeno_auto(xeno_json) a = xeno_json_object();
    xeno_auto(xeno_json) b = xeno_json_ref(a);

    (void)state;
    assert_ptr_equal(a, b);
    xeno_json_unref(NULL);
    assert_null(xeno_json_ref(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(build_and_format),
        cmocka_unit_test(strings_are_made_valid),
        cmocka_unit_test(references),
    };
    return cmocka_run_group_tests_name("json-build", tests, NULL, NULL);
}
