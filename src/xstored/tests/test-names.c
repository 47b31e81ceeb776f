/* src/xstored/tests/test-names.c - the grammar of requests, and what manifests say. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "xstored/doc.h"
#include "xstored/names.h"

#define ID     "abcdefghijklmnopqrstuvwxyz234567"
#define D      "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define TEN    "a/a/a/a/a/a/a/a/a/a"
#define FIFTY  "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee"
#define OCI    "application/vnd.oci.image.manifest.v1+json"
#define INDEX  "application/vnd.oci.image.index.v1+json"
#define CONFIG "\"config\":{\"mediaType\":\"c\",\"digest\":\"" D "\",\"size\":2}"
#define LAYER  "{\"mediaType\":\"l\",\"digest\":\"" D "\",\"size\":3}"
#define ALONE  "{\"schemaVersion\":2," CONFIG ",\"layers\":[]"

static void names(void **state)
{
    static const struct {
        const char *name;
        int want;
    } rows[] = {
        { ID "/web", 0 },
        { ID "/a/b/c", 0 },
        { ID "/a.b_c__d-e---f", 0 },
        { ID "/0", 0 },
        { ID "/" TEN "/a/a/a/a/a", 0 },
        { ID "/" TEN "/a/a/a/a/a/a", -EINVAL },
        { ID "/" FIFTY FIFTY FIFTY FIFTY "aaaaaaaaaaaaaaaaaaaaaa", 0 },
        { ID "/" FIFTY FIFTY FIFTY FIFTY "aaaaaaaaaaaaaaaaaaaaaaa", -EINVAL },
        { ID, -EINVAL },
        { ID "/", -EINVAL },
        { "/" ID "/a", -EINVAL },
        { ID "//a", -EINVAL },
        { ID "/a/", -EINVAL },
        { ID "/A", -EINVAL },
        { ID "/a_", -EINVAL },
        { ID "/a___b", -EINVAL },
        { ID "/a..b", -EINVAL },
        { ID "/.a", -EINVAL },
        { ID "/..", -EINVAL },
        { ID "/-a", -EINVAL },
        { ID "/a-", -EINVAL },
        { ID "/a._b", -EINVAL },
        { ID "/a b", -EINVAL },
        { ID "/a:b", -EINVAL },
        { ID "/\xc3\xa4", -EINVAL },
        { "library/web", -EINVAL },
        { ID "a/web", -EINVAL },
        { "abcdefghijklmnopqrstuvwxyz234561/web", -EINVAL },
        { "", -EINVAL },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        print_message("%s\n", rows[i].name);
        assert_int_equal(xstored_name_check(rows[i].name, NULL), rows[i].want);
    }
    assert_string_equal(xstored_name_owner(ID "/web").s, ID);
}

static void references(void **state)
{
    static const struct {
        const char *ref;
        int want;
        bool digest;
    } rows[] = {
        { "v1", 0, false },
        { "_1.2-x", 0, false },
        { "V", 0, false },
        { D, 0, true },
        { FIFTY FIFTY "aaaaaaaaaabbbbbbbbbbcccccccc", 0, false },
        { FIFTY FIFTY "aaaaaaaaaabbbbbbbbbbccccccccc", -EINVAL, false },
        { "", -EINVAL, false },
        { ".a", -EINVAL, false },
        { "-a", -EINVAL, false },
        { "a/b", -EINVAL, false },
        { "a b", -EINVAL, false },
        { "sha256:", -EINVAL, true },
        { D "0", -EINVAL, true },
        { "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855", -EINVAL,
          true },
        { "sha512:e3b0", -EINVAL, true },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        bool digest = !rows[i].digest;

        print_message("%s\n", rows[i].ref);
        assert_int_equal(xstored_reference_check(rows[i].ref, &digest, NULL), rows[i].want);
        assert_int_equal(digest, rows[i].digest);
    }
}

static void content_ranges(void **state)
{
    static const struct {
        const char *text;
        int64_t first, len; /* len 0: refused */
    } rows[] = {
        { "0-0", 0, 1 },
        { "5-9", 5, 5 },
        { "bytes 5-9/10", 5, 5 },
        { "bytes 5-9/*", 5, 5 },
        { "9223372036854775800-9223372036854775806", INT64_MAX - 7, 7 },
        { "0-9223372036854775807", 0, 0 },
        { "9-5", 0, 0 },
        { "5-9/10", 0, 0 },
        { "bytes 5-9/9", 0, 0 },
        { "bytes 5-9/", 0, 0 },
        { "bytes 5-9", 0, 0 },
        { "bytes */10", 0, 0 },
        { "-5", 0, 0 },
        { "5-", 0, 0 },
        { "+5-9", 0, 0 },
        { " 5-9", 0, 0 },
        { "5 -9", 0, 0 },
        { "99999999999999999999-99999999999999999999", 0, 0 },
        { "", 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        int64_t first = 77, len = 77;
        int r = xstored_content_range(rows[i].text, &first, &len, NULL);

        print_message("'%s'\n", rows[i].text);
        assert_int_equal(r, rows[i].len ? 0 : -EINVAL);
        assert_int_equal(first, rows[i].len ? rows[i].first : 77);
        assert_int_equal(len, rows[i].len ? rows[i].len : 77);
    }
}

static void page_sizes(void **state)
{
    static const struct {
        const char *n;
        int want;
    } rows[] = { { NULL, 50 },          { "0", 0 }, { "7", 7 },   { "50", 50 }, { "51", 50 },
                 { "99999999999", 50 }, { "", -1 }, { "-1", -1 }, { "x", -1 },  { "7x", -1 } };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        int got = -1;

        assert_int_equal(xstored_page_size(rows[i].n, 50, &got, NULL),
                         rows[i].want < 0 ? -EINVAL : 0);
        assert_int_equal(got, rows[i].want);
    }
}

/* --- manifests --- */

static void manifests(void **state)
{
    static const struct {
        const char *what, *type, *text;
        int want;
        size_t refs;
        const char *artifact, *subject;
    } rows[] = {
        { "alone", OCI, ALONE "}", 0, 1, "c", "" },
        { "two layers", OCI, "{\"schemaVersion\":2," CONFIG ",\"layers\":[" LAYER "," LAYER "]}", 0,
          3, "c", "" },
        { "docker's", "application/vnd.docker.distribution.manifest.v2+json",
          ALONE ",\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+json\"}", 0, 1,
          "c", "" },
        { "an artifact", OCI, ALONE ",\"artifactType\":\"x\"}", 0, 1, "x", "" },
        { "a subject", OCI, ALONE ",\"subject\":" LAYER "}", 0, 1, "c", D },
        { "elsewhere", OCI,
          "{\"schemaVersion\":2," CONFIG ",\"layers\":[{\"mediaType\":"
          "\"application/vnd.oci.image.layer.nondistributable.v1.tar\",\"digest\":\"" D
          "\",\"size\":3}]}",
          0, 1, "c", "" },
        { "an index", INDEX, "{\"schemaVersion\":2,\"manifests\":[" LAYER "]}", 0, 1, "", "" },
        { "an empty index", INDEX, "{\"schemaVersion\":2,\"manifests\":[]}", 0, 0, "", "" },
        { "another type", "text/plain", ALONE "}", -EMEDIUMTYPE, 0, NULL, NULL },
        { "no type", "", ALONE "}", -EMEDIUMTYPE, 0, NULL, NULL },
        { "types differ", OCI, ALONE ",\"mediaType\":\"" INDEX "\"}", -EINVAL, 0, NULL, NULL },
        { "version 1", OCI, "{\"schemaVersion\":1," CONFIG ",\"layers\":[]}", -EINVAL, 0, NULL,
          NULL },
        { "no config", OCI, "{\"schemaVersion\":2,\"layers\":[]}", -EINVAL, 0, NULL, NULL },
        { "no layers", OCI, "{\"schemaVersion\":2," CONFIG "}", -EINVAL, 0, NULL, NULL },
        { "an index of layers", INDEX, "{\"schemaVersion\":2,\"layers\":[]}", -EINVAL, 0, NULL,
          NULL },
        { "a digest of another kind", OCI,
          "{\"schemaVersion\":2," CONFIG
          ",\"layers\":[{\"mediaType\":\"l\",\"digest\":\"sha512:00\",\"size\":3}]}",
          -EINVAL, 0, NULL, NULL },
        { "a negative size", OCI,
          "{\"schemaVersion\":2," CONFIG ",\"layers\":[{\"mediaType\":\"l\",\"digest\":\"" D
          "\",\"size\":-1}]}",
          -EINVAL, 0, NULL, NULL },
        { "annotations that are none", OCI, ALONE ",\"annotations\":[]}", -EINVAL, 0, NULL, NULL },
        { "an array", OCI, "[]", -EINVAL, 0, NULL, NULL },
        { "nothing", OCI, "", -EINVAL, 0, NULL, NULL },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_auto(xstored_doc) doc = NULL;
        struct xeno_err err = XENO_ERR_INIT;
        int r = xstored_doc_parse(rows[i].text, strlen(rows[i].text), rows[i].type, &doc, &err);

        print_message("%s: %s\n", rows[i].what, err.text);
        assert_int_equal(r, rows[i].want);
        if (r < 0) {
            assert_null(doc);
            continue;
        }
        assert_int_equal(doc->count, rows[i].refs);
        assert_string_equal(doc->artifact_type, rows[i].artifact);
        assert_string_equal(doc->subject, rows[i].subject);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),          cmocka_unit_test(references),
        cmocka_unit_test(content_ranges), cmocka_unit_test(page_sizes),
        cmocka_unit_test(manifests),
    };

    return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
