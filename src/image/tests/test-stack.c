/* src/image/tests/test-stack.c - the file that says which layers lie over each other. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "image/stack.h"

#define HEX    "00000000000000000000000000000000000000000000000000000000000000ff"
#define DIGEST "sha256:" HEX
#define TABLE  "\"table\":{\"offset\":10,\"size\":20,\"raw_size\":300,\"digest\":\"" DIGEST "\"}"
#define LAYER  "{\"layer\":\"" DIGEST "\",\"size\":30," TABLE "}"

static void comes_back(void **state)
{
    const char *text = "{\"version\":1,\"layers\":[{\"dir\":\"/a\"}," LAYER ",{\"dir\":\"/b\"}]}";
    xeno_auto(xeno_stack) s = NULL;
    xeno_autofree char *again = NULL;
    size_t len;

    (void)state;
    assert_int_equal(xeno_stack_parse(text, strlen(text), &s, NULL), 0);
    assert_int_equal(s->count, 3);
    assert_string_equal(s->parts[2].dir, "/b");
    assert_null(s->parts[1].dir);
    assert_string_equal(s->parts[1].layer.digest, DIGEST);
    assert_int_equal(s->parts[1].layer.size_bytes, 30);
    assert_int_equal(s->parts[1].layer.toc.offset, 10);
    assert_int_equal(s->parts[1].layer.toc.bytes, 20);
    assert_int_equal(s->parts[1].layer.toc.raw_bytes, 300);
    assert_int_equal(s->parts[1].layer.toc.sha[31], 0xff);
    assert_true(xeno_stack_by_pieces(s));
    again = xeno_stack_format(s, &len);
    assert_string_equal(again, text);
    assert_int_equal(len, strlen(text));
}

static const struct {
    const char *name, *layers, *token;
} rows[] = {
    { "nothing", "", "image.stack" },
    { "a folder by a relative path", "{\"dir\":\"a\"}", "image.stack" },
    { "a folder without a name", "{\"dir\":\"\"}", "json.range" },
    { "both", "{\"dir\":\"/a\",\"size\":1}", "json.unknown" },
    { "a layer without a table", "{\"layer\":\"" DIGEST "\",\"size\":30}", "json.missing" },
    { "a layer by name", "{\"layer\":\"debian\",\"size\":30," TABLE "}", "image.stack" },
    { "an empty layer", "{\"layer\":\"" DIGEST "\",\"size\":0," TABLE "}", "json.range" },
    { "a table that is not in its layer", "{\"layer\":\"" DIGEST "\",\"size\":29," TABLE "}",
      "json.range" },
    { "a table without a digest",
      "{\"layer\":\"" DIGEST "\",\"size\":30,\"table\":{\"offset\":1,\"size\":2,\"raw_size\":3}}",
      "json.missing" },
    { "a number", "7", "json.type" },
};

static void nonsense_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_autofree char *text = xeno_asprintf("{\"version\":1,\"layers\":[%s]}", rows[i].layers);
        xeno_auto(xeno_stack) s = NULL;
        struct xeno_err err = XENO_ERR_INIT;

        assert_int_equal(xeno_stack_parse(text, strlen(text), &s, &err), -EINVAL);
        print_message("%s: %s\n", rows[i].name, err.text);
        assert_string_equal(err.token, rows[i].token);
        assert_null(s);
    }
}

static void of_another_version(void **state)
{
    const char *text = "{\"version\":2,\"layers\":[{\"dir\":\"/a\"}]}";
    xeno_auto(xeno_stack) s = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(xeno_stack_parse(text, strlen(text), &s, &err), -EINVAL);
    assert_string_equal(err.token, "json.range");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(of_another_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
