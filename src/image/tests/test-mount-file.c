/* src/image/tests/test-mount-file.c - what a mount file may say, line by line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "image/mount-file.h"

#define HEX    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST "sha256:" HEX

static const struct {
    const char *name, *text;
    int want;          /* the count, or an error */
    const char *token; /* of an error; else the last reference */
    bool fixed;        /* of that */
} rows[] = {
    { "nothing", "", 0, NULL, false },
    { "only words", "# template://a\n\n\n#\n", 0, NULL, false },
    { "one", "template://debian-12\n", 1, "template://debian-12", false },
    { "no end of line", "template://debian-12", 1, "template://debian-12", false },
    { "a name of several words", "template://debian/12/current\n", 1,
      "template://debian/12/current", false },
    { "in their order", "overlay://b\ntemplate://a\n", 2, "template://a", false },
    { "by digest", "template://" DIGEST "\n", 1, "template://" DIGEST, true },
    { "of a registry", "oci://h.example:5000/a/b:1\n", 1, "oci://h.example:5000/a/b:1", false },
    { "of a registry by digest", "oci://h/a:1@" DIGEST "\n", 1, "oci://h/a:1@" DIGEST, true },
    { "a directory", "file:///srv/shared\n", 1, "file:///srv/shared", false },
    { "a digest in a directory's name", "file:///a@" DIGEST, 1, "file:///a@" DIGEST, false },
    { "no scheme", "debian-12\n", -EINVAL, "mount.ref", false },
    { "another scheme", "nfs://h/a\n", -EINVAL, "mount.ref", false },
    { "a scheme's beginning", "template:/a\n", -EINVAL, "mount.ref", false },
    { "letters of the scheme", "TEMPLATE://a\n", -EINVAL, "mount.ref", false },
    { "names nothing", "template://\n", -EINVAL, "mount.ref", false },
    { "a space", "template://a b\n", -EINVAL, "mount.ref", false },
    { "a space before", " template://a\n", -EINVAL, "mount.ref", false },
    { "an option after", "template://a ro\n", -EINVAL, "mount.ref", false },
    { "ends of lines of elsewhere", "template://a\r\n", -EINVAL, "mount.ref", false },
    { "beyond ASCII", "template://\xc3\xa4\n", -EINVAL, "mount.ref", false },
    { "a short digest", "oci://h/a@sha256:12\n", -EINVAL, "mount.ref", false },
    { "another digest", "oci://h/a@sha512:" HEX "\n", -EINVAL, "mount.ref", false },
    { "a host in a directory", "file://host/srv\n", -EINVAL, "mount.ref", false },
    { "the root", "file:///\n", -EINVAL, "mount.ref", false },
    { "a directory above", "file:///srv/../etc\n", -EINVAL, "mount.ref", false },
    { "a directory above at the end", "file:///srv/..\n", -EINVAL, "mount.ref", false },
    { "a directory twice slashed", "file:///srv//a\n", -EINVAL, "mount.ref", false },
    { "a slash at the end", "file:///srv/\n", -EINVAL, "mount.ref", false },
    { "twice", "template://a\noverlay://b\ntemplate://a\n", -EEXIST, "mount.twice", false },
};

static void table(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_auto(xeno_mount_file) f = NULL;
        struct xeno_err err = XENO_ERR_INIT;
        int r = xeno_mount_file_parse(rows[i].text, strlen(rows[i].text), &f, &err);

        print_message("%s: %s\n", rows[i].name, err.text);
        if (rows[i].want < 0) {
            assert_int_equal(r, rows[i].want);
            assert_string_equal(err.token, rows[i].token);
            assert_null(f);
            continue;
        }
        assert_int_equal(r, 0);
        assert_int_equal(f->count, rows[i].want);
        if (rows[i].token) {
            assert_string_equal(f->refs[f->count - 1].text, rows[i].token);
            assert_int_equal(f->refs[f->count - 1].fixed, rows[i].fixed);
        }
    }
}

/* n lines "template://aNNN", each with `pad` letters more. */
static int parse_many(unsigned n, unsigned pad, struct xeno_err *err)
{
    xeno_auto(xeno_mount_file) f = NULL;
    xeno_autobuf b = XENO_BUF_INIT;

    for (unsigned i = 0; i < n; i++) {
        xeno_autofree char *line = xeno_asprintf("template://a%03u%0*d\n", i, (int)pad, 0);

        xeno_buf_add(&b, line, strlen(line));
    }
    return xeno_mount_file_parse(b.data, b.len, &f, err);
}

static void bounds(void **state)
{
    struct xeno_err err = XENO_ERR_INIT;
    xeno_auto(xeno_mount_file) f = NULL;
    static char words[XENO_MOUNT_BYTES_MAX + 1];
    const char zero[] = "template://a\0b";

    (void)state;
    assert_int_equal(parse_many(XENO_MOUNT_REFS_MAX, 1, &err), 0);
    assert_int_equal(parse_many(XENO_MOUNT_REFS_MAX + 1, 1, &err), -EFBIG);
    assert_string_equal(err.token, "mount.size");
    assert_non_null(strstr(err.text, "line 33"));
    assert_int_equal(parse_many(1, XENO_MOUNT_REF_MAX - 15, &err), 0);
    assert_int_equal(parse_many(1, XENO_MOUNT_REF_MAX - 14, &err), -EINVAL);
    memset(words, '#', sizeof words);
    assert_int_equal(xeno_mount_file_parse(words, sizeof words - 1, &f, &err), 0);
    xeno_mount_file_free(xeno_take(&f));
    assert_int_equal(xeno_mount_file_parse(words, sizeof words, &f, &err), -EFBIG);
    assert_int_equal(xeno_mount_file_parse(zero, sizeof zero - 1, &f, &err), -EINVAL);
    assert_non_null(strstr(err.text, "'template://a?b'")); /* and a terminal is told nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(table), cmocka_unit_test(bounds) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
