/* src/json/tests/test-read.c */
#include "json/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char doc[] = "{\"s\":\"four\",\"e\":\"\",\"n\":7,\"neg\":-1,\"r\":1.5,\"b\":true,"
                          "\"nil\":null,\"o\":{\"in\":{\"n\":3}},\"a\":[{\"n\":1},\"two\",3],"
                          "\"empty\":[]}";

static struct xeno_json *parse(const char *text)
{
    struct xeno_json *j = NULL;

    assert_int_equal(xeno_json_parse(text, strlen(text), 4096, &j, NULL), 0);
    return j;
}

enum what { STR, INT, BOOL, OBJ, ARR };

static const struct {
    const char *name;
    enum what what;
    const char *key;
    int64_t min, max;
    int want, want_opt; /* from the plain and the _opt form */
    const char *token, *in_text;
} rows[] = {
    { "string", STR, "s", 1, 10, 0, 0, "", "" },
    { "string of exactly max", STR, "s", 4, 4, 0, 0, "", "" },
    { "string too long", STR, "s", 0, 3, -EINVAL, -EINVAL, "json.range", "s: 4 bytes" },
    { "string too short", STR, "e", 1, 3, -EINVAL, -EINVAL, "json.range", "must be 1 to 3" },
    { "empty allowed", STR, "e", 0, 3, 0, 0, "", "" },
    { "string missing", STR, "x", 0, 3, -EINVAL, 1, "json.missing", "x: missing" },
    { "string null", STR, "nil", 0, 3, -EINVAL, 1, "json.missing", "nil: missing" },
    { "string is number", STR, "n", 0, 3, -EINVAL, -EINVAL, "json.type", "n: must be a string" },
    { "integer", INT, "n", 7, 7, 0, 0, "", "" },
    { "integer above", INT, "n", 0, 6, -EINVAL, -EINVAL, "json.range", "7 is not within 0 to 6" },
    { "integer below", INT, "neg", 0, 6, -EINVAL, -EINVAL, "json.range", "neg: -1" },
    { "integer is real", INT, "r", 0, 6, -EINVAL, -EINVAL, "json.type", "fraction" },
    { "integer is boolean", INT, "b", 0, 6, -EINVAL, -EINVAL, "json.type", "is a boolean" },
    { "integer missing", INT, "x", 0, 6, -EINVAL, 1, "json.missing", "x" },
    { "boolean", BOOL, "b", 0, 0, 0, 0, "", "" },
    { "boolean is string", BOOL, "s", 0, 0, -EINVAL, -EINVAL, "json.type", "is a string" },
    { "object", OBJ, "o", 0, 0, 0, 0, "", "" },
    { "object is array", OBJ, "a", 0, 0, -EINVAL, -EINVAL, "json.type", "is an array" },
    { "array", ARR, "a", 0, 3, 0, 0, "", "" },
    { "array too long", ARR, "a", 0, 2, -EINVAL, -EINVAL, "json.range", "3 items, at most 2" },
    { "empty array", ARR, "empty", 0, 0, 0, 0, "", "" },
    { "array is object", ARR, "o", 0, 9, -EINVAL, -EINVAL, "json.type", "is an object" },
};

/* Read row i, plain or _opt, and check that a failure changes nothing. */
static int read_row(const struct xeno_json_at *at, size_t i, bool opt, struct xeno_err *err)
{
    struct xeno_json_at sub = { .path = "kept" };
    const char *s = "kept", *key = rows[i].key;
    int64_t n = 4711;
    size_t count = 4711;
    bool b = false, kept;
    int r;

    switch (rows[i].what) {
    case STR:
        r = (opt ? xeno_json_str_opt : xeno_json_str)(at, key, (size_t)rows[i].min,
                                                      (size_t)rows[i].max, &s, err);
        break;
    case INT:
        r = (opt ? xeno_json_int_opt : xeno_json_int)(at, key, rows[i].min, rows[i].max, &n, err);
        break;
    case BOOL:
        r = (opt ? xeno_json_bool_opt : xeno_json_bool)(at, key, &b, err);
        break;
    case OBJ:
        r = (opt ? xeno_json_obj_opt : xeno_json_obj)(at, key, &sub, err);
        break;
    default:
        r = (opt ? xeno_json_arr_opt : xeno_json_arr)(at, key, (size_t)rows[i].max, &sub, &count,
                                                      err);
    }
    kept = strcmp(s, "kept") == 0 && n == 4711 && count == 4711 && !b && !sub.j;
    assert_int_equal(kept, r != 0);
    return r;
}

static void read_rows(void **state)
{
    xeno_auto(xeno_json) j = parse(doc);
    struct xeno_json_at top = xeno_json_top(j);

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_err err = XENO_ERR_INIT;

        assert_int_equal(read_row(&top, i, true, NULL), rows[i].want_opt);
        assert_int_equal(read_row(&top, i, false, &err), rows[i].want);
        print_message("%s: %s\n", rows[i].name, err.text);
        assert_string_equal(err.token, rows[i].token);
        assert_non_null(strstr(err.text, rows[i].in_text));
    }
}

static void paths(void **state)
{
    xeno_auto(xeno_json) j = parse(doc);
    struct xeno_json_at top = xeno_json_top(j), at, item;
    struct xeno_err err = XENO_ERR_INIT;
    const char *s = NULL;
    int64_t n = 0;
    size_t count;

    (void)state;
    assert_int_equal(xeno_json_obj(&top, "o", &at, &err), 0);
    assert_int_equal(xeno_json_obj(&at, "in", &at, &err), 0); /* onto itself */
    assert_string_equal(at.path, "o.in");
    assert_int_equal(xeno_json_int(&at, "n", 0, 2, &n, &err), -EINVAL);
    assert_string_equal(err.text, "o.in.n: 3 is not within 0 to 2");

    assert_int_equal(xeno_json_arr(&top, "a", 9, &at, &count, &err), 0);
    assert_int_equal(count, 3);
    item = xeno_json_item(&at, 0);
    assert_int_equal(xeno_json_int(&item, "n", 0, 9, &n, &err), 0);
    assert_int_equal(n, 1);
    assert_int_equal(xeno_json_str(&item, "amount", 0, 9, &s, &err), -EINVAL);
    assert_string_equal(err.text, "a[0].amount: missing");
    item = xeno_json_item(&at, 2);
    assert_int_equal(xeno_json_int(&item, "n", 0, 9, &n, &err), -EINVAL);
    assert_string_equal(err.text, "a[2]: must be an object, is an integer");
    assert_int_equal(xeno_json_item_str(&at, 1, 1, 9, &s, &err), 0);
    assert_string_equal(s, "two");
    assert_int_equal(xeno_json_item_str(&at, 0, 1, 9, &s, &err), -EINVAL);
    assert_string_equal(err.text, "a[0]: must be a string, is an object");
    assert_int_equal(xeno_json_item_str(&at, 3, 1, 9, &s, &err), -EINVAL);
    assert_string_equal(err.text, "a[3]: must be a string, is nothing");
    assert_int_equal(xeno_json_item_int(&at, 2, 0, 99, &n, &err), 0);
    assert_int_equal(xeno_json_item_int(&at, 1, 0, 9, &n, &err), -EINVAL);
    assert_string_equal(err.text, "a[1]: must be an integer, is a string");
}

static void top_is_no_object(void **state)
{
    xeno_auto(xeno_json) j = parse("[1]");
    struct xeno_json_at top = xeno_json_top(j), none = xeno_json_top(NULL);
    struct xeno_err err = XENO_ERR_INIT;
    int64_t n = 0;

    (void)state;
    assert_int_equal(xeno_json_int(&top, "n", 0, 2, &n, &err), -EINVAL);
    assert_string_equal(err.text, "the document: must be an object, is an array");
    assert_int_equal(xeno_json_int_opt(&none, "n", 0, 2, &n, &err), -EINVAL);
    assert_null(xeno_json_key(&top, 0));
}

static void long_path_is_cut_in_front(void **state)
{
    struct xeno_json_at at = { .j = NULL };
    xeno_auto(xeno_json) j = parse("[0,1]");

    (void)state;
    at.j = j;
    for (int i = 0; i < 60; i++) {
        struct xeno_json_at next = xeno_json_item(&at, (size_t)(i % 2));

        next.j = j;
        at = next;
    }
    assert_int_equal(strlen(at.path), XENO_JSON_PATH - 1);
    assert_memory_equal(at.path, "...", 3);
    assert_string_equal(at.path + strlen(at.path) - 6, "[0][1]");
}

static void hostile_names_are_shown_safely(void **state)
{
    xeno_auto(xeno_json) j = parse("{\"a\\nb\":1}");
    struct xeno_json_at top = xeno_json_top(j);
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(xeno_json_only(&top, (const char *[]){ "a", NULL }, &err), -EINVAL);
    assert_string_equal(err.token, "json.unknown");
    assert_string_equal(err.text, "a?b: unknown member");
}

static void only_and_keys(void **state)
{
    xeno_auto(xeno_json) j = parse("{\"z\":1,\"a\":2}");
    struct xeno_json_at top = xeno_json_top(j);
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(xeno_json_only(&top, (const char *[]){ "a", "b", "z", NULL }, &err), 0);
    assert_int_equal(xeno_json_only(&top, (const char *[]){ "z", NULL }, &err), -EINVAL);
    assert_string_equal(err.text, "a: unknown member");
    assert_string_equal(xeno_json_key(&top, 0), "z"); /* in order */
    assert_string_equal(xeno_json_key(&top, 1), "a");
    assert_null(xeno_json_key(&top, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_rows),
        cmocka_unit_test(paths),
        cmocka_unit_test(top_is_no_object),
        cmocka_unit_test(long_path_is_cut_in_front),
        cmocka_unit_test(hostile_names_are_shown_safely),
        cmocka_unit_test(only_and_keys),
    };
    return cmocka_run_group_tests_name("json-read", tests, NULL, NULL);
}
