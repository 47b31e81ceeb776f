/* src/image/tests/test-hostile.c - archives that mean harm are refused whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "image/layer.h"
#include "image/tests/tar-make.h"
#include "image/tree.h"
#include "image/unpack.h"

#define LIMITED                                                                                    \
    {                                                                                              \
        .total_bytes = 1 << 20, .file_bytes = 1 << 16, .entries = 20, .ratio = 300,                \
        .name_bytes = 300, .all_names_bytes = 2000, .depth = 8, .xattr_bytes = 1000                \
    }

#define A15  "aaaaaaaaaaaaaaa"
#define A51  A15 A15 A15 "aaaaaa"
#define N255 A51 A51 A51 A51 A51

static const struct {
    const char *name;
    struct member m[4]; /* up to the first without a type */
    const char *token;  /* NULL: this one is fine */
} rows[] = {
    { "a plain file", { { '0', "a", .data = "x" } }, NULL },
    { "dots and slashes", { { '5', "./a//./b/" }, { '0', "a/b/c" } }, NULL },
    { "only the root", { { '5', "./" } }, NULL },
    { "up", { { '0', "../a" } }, "unpack.name" },
    { "up from below", { { '0', "a/../../b" } }, "unpack.name" },
    { "up that stays inside", { { '0', "a/../b" } }, "unpack.name" },
    { "up at the end", { { '5', "a/.." } }, "unpack.name" },
    { "absolute", { { '0', "/etc/passwd" } }, "unpack.name" },
    { "absolute folder", { { '5', "/" } }, "unpack.name" },
    { "three dots are a name", { { '0', ".../a" } }, NULL },
    { "the root as a file", { { '0', "." } }, "unpack.type" },
    { "the root as a link", { { '2', "./", .link = "/etc" } }, "unpack.type" },

    { "link out is only a name", { { '2', "l", .link = "/etc/passwd" } }, NULL },
    { "through a link", { { '2', "l", .link = "/etc" }, { '0', "l/passwd" } }, "unpack.name" },
    { "through a link up", { { '2', "l", .link = ".." }, { '0', "l/a" } }, "unpack.name" },
    { "through a link to the inside",
      { { '5', "d" }, { '2', "l", .link = "d" }, { '0', "l/a" } },
      "unpack.name" },
    { "through a file", { { '0', "f" }, { '0', "f/a" } }, "unpack.name" },
    { "folder over a link", { { '2', "l", .link = "/etc" }, { '5', "l" } }, "unpack.twice" },
    { "link over a folder", { { '5', "d" }, { '2', "d", .link = "/etc" } }, "unpack.twice" },
    { "file over a link", { { '2', "l", .link = "/etc/passwd" }, { '0', "l" } }, "unpack.twice" },
    { "long link", { { '2', "l", .link = "" } }, "unpack.link" },

    { "hard link", { { '0', "a" }, { '1', "b", .link = "a" } }, NULL },
    { "hard link out", { { '1', "b", .link = "/etc/passwd" } }, "unpack.name" },
    { "hard link up", { { '1', "b", .link = "../a" } }, "unpack.name" },
    { "hard link to nothing", { { '1', "b", .link = "a" } }, "unpack.link" },
    { "hard link forwards", { { '1', "b", .link = "a" }, { '0', "a" } }, "unpack.link" },
    { "hard link to a folder", { { '5', "a" }, { '1', "b", .link = "a" } }, "unpack.link" },
    { "hard link to itself", { { '1', "a", .link = "a" } }, "unpack.link" },
    { "hard link through a link",
      { { '2', "l", .link = "/etc" }, { '1', "b", .link = "l/passwd" } },
      "unpack.link" },
    { "hard link to a hidden name",
      { { '0', ".wh.a" }, { '1', "b", .link = "a" } },
      "unpack.link" },

    { "character device", { { '3', "null" } }, "unpack.type" },
    { "block device", { { '4', "sda" } }, "unpack.type" },
    { "device by way of a whiteout", { { '3', ".wh.a" } }, "unpack.type" },
    { "fifo", { { '6', "f" } }, NULL },

    { "twice", { { '0', "a" }, { '0', "a" } }, "unpack.twice" },
    { "twice, spelt otherwise", { { '0', "a/b" }, { '0', "./a//b" } }, "unpack.twice" },
    { "folder twice", { { '5', "a" }, { '5', "a/" } }, "unpack.twice" },
    { "folder after what is in it", { { '0', "a/b" }, { '5', "a" } }, NULL },
    { "root twice", { { '5', "." }, { '5', "./" } }, "unpack.twice" },
    { "file over a passed folder", { { '0', "a/b" }, { '0', "a" } }, "unpack.twice" },

    { "whiteout", { { '0', ".wh.a" } }, NULL },
    { "whiteout twice", { { '0', ".wh.a" }, { '0', ".wh.a" } }, "unpack.twice" },
    { "whiteout of nothing", { { '0', ".wh." } }, "unpack.name" },
    { "whiteout of dot", { { '0', "d/.wh.." } }, "unpack.name" },
    { "whiteout of dot dot", { { '0', "d/.wh..." } }, "unpack.name" },
    { "whiteout folder", { { '5', ".wh.a" } }, "unpack.name" },
    { "below a whiteout folder", { { '0', ".wh.a/b" } }, "unpack.name" },
    { "whiteout link", { { '2', ".wh.a", .link = "/etc" } }, "unpack.type" },
    { "whiteout and file", { { '0', ".wh.a" }, { '0', "a" } }, NULL },
    { "file and whiteout", { { '0', "a" }, { '0', ".wh.a" } }, NULL },
    { "opaque", { { '0', "d/.wh..wh..opq" } }, NULL },
    { "opaque link", { { '2', "d/.wh..wh..opq", .link = "/" } }, "unpack.type" },

    { "owner too high", { { '0', "a", .uid = 65536 } }, "unpack.owner" },
    { "highest owner", { { '0', "a", .uid = 65535 } }, NULL },
    { "negative owner", { { '0', "a", .uid = -2 } }, "unpack.owner" },

    { "long part", { { '0', N255 } }, NULL },
    { "too long part", { { '0', N255 "a" } }, "unpack.limit" },
    { "too long name", { { '0', N255 "/" N255 } }, "unpack.limit" },
    { "deep", { { '0', "1/2/3/4/5/6/7/8" } }, NULL },
    { "too deep", { { '0', "1/2/3/4/5/6/7/8/9" } }, "unpack.limit" },
    { "too deep a folder", { { '5', "1/2/3/4/5/6/7/8/9/" } }, "unpack.limit" },
    { "large file", { { '0', "a", .size = 65537 } }, "unpack.limit" },
    { "huge file", { { '0', "a", .size = INT64_C(1) << 50 } }, "unpack.limit" },
    { "largest number", { { '0', "a", .size = INT64_MAX } }, "image.corrupt" },
    { "cut short", { { '0', "a", .size = 60000 } }, "image.corrupt" },
};

/* What an escape would change. */
struct canary {
    char *dir, *in;
};

static struct canary canary_new(void)
{
    struct canary c = { .dir = temp_new() };

    temp_write(c.dir, "passwd", "root", 4);
    c.in = temp_path(c.dir, "in");
    assert_int_equal(mkdir(c.in, 0755), 0);
    return c;
}

static void canary_check(struct canary *c)
{
    xeno_autofree char *text = NULL, *path = temp_path(c->dir, "passwd");
    struct stat sb;
    size_t len;

    assert_int_equal(xeno_file_read(AT_FDCWD, path, 100, &text, &len, NULL), 0);
    assert_string_equal(text, "root");
    assert_int_equal(stat(path, &sb), 0);
    assert_int_equal(sb.st_nlink, 1);
    assert_int_equal(stat(c->dir, &sb), 0);
    assert_int_equal(sb.st_nlink, 3); /* ., .. and in */
    free(c->in);
    temp_drop(c->dir);
}

static void make(struct xeno_buf *b, const struct member *m)
{
    for (size_t k = 0; k < 4 && m[k].type; k++)
        tar_add(b, &m[k]);
    if (!(m[0].size > 0 && m[0].size <= 65536)) /* the one that is cut */
        tar_end(b);
}

static void expect(int r, const struct xeno_err *err, const char *token)
{
    if (r < 0)
        print_message("  %s: %s\n", err->token, err->text);
    assert_int_equal(r < 0, token != NULL);
    if (token)
        assert_string_equal(err->token, token);
}

/* Judged, with nothing written. */
static void judged(void **state)
{
    static const struct xeno_unpack_limits limits = LIMITED;
    struct xeno_unpack_opts opts = { .limits = &limits };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_autobuf b = XENO_BUF_INIT;
        struct xeno_err err = XENO_ERR_INIT;
        struct xeno_unpacked got;
        struct xeno_layer layer;
        xeno_autoclose int fd = -1;

        print_message("%s\n", rows[i].name);
        make(&b, rows[i].m);
        fd = layer_fd(&b, &layer);
        expect(xeno_unpack_check(fd, &layer, &opts, &got, &err), &err, rows[i].token);
    }
}

/* Unpacked in this very process: the walls inside hold without the child's. */
static void unpacked_bare(void **state)
{
    static const struct xeno_unpack_limits limits = LIMITED;

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_autobuf b = XENO_BUF_INIT;
        struct canary c = canary_new();
        struct xeno_err err = XENO_ERR_INIT;
        struct xeno_unpacked got;
        struct xeno_layer layer;
        xeno_autoclose int fd = -1;
        xeno_autoclose int dir = open(c.in, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct xeno_tar_input input = xeno_tar_fd(&fd);

        make(&b, rows[i].m);
        fd = layer_fd(&b, &layer);
        expect(xeno_tree_unpack(&input, XENO_TAR_ANY, dir, true, &limits, NULL, &got, &err), &err,
               rows[i].token);
        canary_check(&c);
    }
}

static void unpacked_confined(void **state)
{
    static const struct xeno_unpack_limits limits = LIMITED;
    struct xeno_unpack_opts opts = { .limits = &limits, .own = geteuid() != 0 };

    (void)state;
    if (!can_confine())
        skip();
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_autobuf b = XENO_BUF_INIT;
        struct canary c = canary_new();
        struct xeno_err err = XENO_ERR_INIT;
        struct xeno_unpacked got;
        struct xeno_layer layer;
        xeno_autoclose int fd = -1;
        xeno_autoclose int dir = open(c.in, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        make(&b, rows[i].m);
        fd = layer_fd(&b, &layer);
        expect(xeno_unpack_layer(fd, &layer, dir, &opts, &got, &err), &err, rows[i].token);
        canary_check(&c);
    }
}

static int judge(const struct xeno_buf *b, const struct xeno_unpack_limits *limits,
                 enum xeno_compression c, struct xeno_err *err)
{
    struct xeno_unpack_opts opts = { .limits = limits };
    struct xeno_unpacked got;
    struct xeno_layer layer;
    xeno_autoclose int fd = layer_fd(b, &layer);

    layer.compression = c;
    layer.diff_id[0] = '\0';
    return xeno_unpack_check(fd, &layer, &opts, &got, err);
}

static void too_many(void **state)
{
    static const struct xeno_unpack_limits limits = LIMITED;
    xeno_autobuf b = XENO_BUF_INIT;
    xeno_autobuf names = XENO_BUF_INIT;
    struct xeno_err err = XENO_ERR_INIT;
    char name[256];

    (void)state;
    for (int i = 0; i < 21; i++) {
        snprintf(name, sizeof(name), "%d", i);
        tar_add(&b, &(struct member){ '0', name });
    }
    assert_int_equal(judge(&b, &limits, XENO_COMPRESS_NONE, &err), -EFBIG);
    assert_non_null(strstr(err.text, "'20'")); /* names the entry and the limit */
    assert_non_null(strstr(err.text, "may have 20"));
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof(name), "%d%.200s", i, N255);
        tar_add(&names, &(struct member){ '0', name });
    }
    assert_int_equal(judge(&names, &limits, XENO_COMPRESS_NONE, &err), -EFBIG);
    assert_non_null(strstr(err.text, "names"));
}

/* A hole costs nothing in the archive, and counts in full. */
static void sparse_bomb(void **state)
{
    static const struct xeno_unpack_limits limits = LIMITED;
    static const char map[] = "1\n0\n0\n";
    xeno_autobuf b = XENO_BUF_INIT;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    (void)map;
    tar_pax(&b, "GNU.sparse.major", "0", 1);
    tar_pax(&b, "GNU.sparse.size", "1125899906842624", 16);
    tar_add(&b, &(struct member){ '0', "a", .data = "x" });
    tar_end(&b);
    (void)judge(&b, &limits, XENO_COMPRESS_NONE, &err);
    xeno_buf_release(&b);
    tar_pax(&b, "GNU.sparse.realsize", "1125899906842624", 16);
    tar_add(&b, &(struct member){ '0', "a", .data = "x" });
    tar_end(&b);
    assert_true(judge(&b, &limits, XENO_COMPRESS_NONE, &err) < 0);
    print_message("%s\n", err.text);
}

/* 128 MiB of zeros are some 12 KB as zstd. */
static void ratio_bomb(void **state)
{
    struct xeno_unpack_opts opts = { .limits = NULL };
    xeno_autofree char *zeros = xeno_alloc0(1, 1 << 20), *dir = temp_new();
    struct xeno_layer_writer *w = NULL;
    struct xeno_store *st = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_unpacked got;
    struct xeno_layer layer;
    int64_t size;
    int fd;

    (void)state;
    assert_int_equal(xeno_store_open(dir, XENO_STORE_CREATE, &st, &err), 0);
    assert_int_equal(xeno_layer_new(st, XENO_COMPRESS_ZSTD, &w, &err), 0);
    for (int i = 0; i < 128; i++)
        assert_int_equal(xeno_layer_add(w, zeros, 1 << 20, &err), 0);
    assert_int_equal(xeno_layer_commit(w, &layer, NULL, &err), 0);
    assert_true(layer.size_bytes < 65536);
    assert_int_equal(xeno_store_open_blob(st, layer.digest, &fd, &size, &err), 0);
    assert_int_equal(xeno_unpack_check(fd, &layer, &opts, &got, &err), -EFBIG);
    assert_string_equal(err.token, "unpack.limit");
    assert_non_null(strstr(err.text, "300-fold"));
    close(fd);
    xeno_layer_free(w);
    xeno_store_free(st);
    temp_drop(xeno_take(&dir));
}

static void attributes(void **state)
{
    static const struct xeno_unpack_limits limits = LIMITED;
    xeno_autofree char *big = xeno_alloc0(1, 2000);
    xeno_autobuf b = XENO_BUF_INIT;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    tar_pax(&b, "SCHILY.xattr.user.big", big, 2000);
    tar_add(&b, &(struct member){ '0', "a" });
    tar_end(&b);
    assert_int_equal(judge(&b, &limits, XENO_COMPRESS_NONE, &err), -EFBIG);
    assert_non_null(strstr(err.text, "attributes"));
}

static void not_archives(void **state)
{
    static const struct xeno_unpack_limits limits = XENO_UNPACK_LIMITS;
    static const struct {
        const char *what, *data;
        size_t len;
        enum xeno_compression c;
        int want;
    } cases[] = {
        { "nothing is an empty layer", "", 0, XENO_COMPRESS_NONE, 0 },
        { "nothing, zstd", "", 0, XENO_COMPRESS_ZSTD, 0 },
        { "text", "hello, world", 12, XENO_COMPRESS_NONE, -EBADMSG },
        { "text said to be gzip", "hello, world", 12, XENO_COMPRESS_GZIP, -EBADMSG },
        { "gzip cut short", "\x1f\x8b\x08\x00\x00\x00\x00\x00", 8, XENO_COMPRESS_GZIP, -EBADMSG },
        { "zstd cut short", "\x28\xb5\x2f\xfd\x04", 5, XENO_COMPRESS_ZSTD, -EBADMSG },
        { "cpio", "070701000000000000000000000000000000000000000000000000000", 57,
          XENO_COMPRESS_NONE, -EBADMSG },
        { "zip", "PK\003\004\024\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0a", 31,
          XENO_COMPRESS_NONE, -EBADMSG },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(cases); i++) {
        xeno_autobuf b = XENO_BUF_INIT;
        struct xeno_err err = XENO_ERR_INIT;
        int r;

        xeno_buf_add(&b, cases[i].data, cases[i].len);
        r = judge(&b, &limits, cases[i].c, &err);
        print_message("%s: %s\n", cases[i].what, err.text);
        assert_int_equal(r, cases[i].want);
    }
}

static void wrong_digests(void **state)
{
    struct xeno_unpack_opts opts = { .limits = NULL };
    xeno_autobuf b = XENO_BUF_INIT;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_unpacked got = { .entries = 77 };
    struct xeno_layer layer, other;
    xeno_autoclose int fd = -1;

    (void)state;
    tar_add(&b, &(struct member){ '0', "a", .data = "x" });
    tar_end(&b);
    fd = layer_fd(&b, &layer);

    other = layer;
    other.digest[10] ^= 1;
    assert_int_equal(xeno_unpack_check(fd, &other, &opts, &got, &err), -EBADMSG);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    other = layer;
    other.diff_id[10] ^= 1;
    assert_int_equal(xeno_unpack_check(fd, &other, &opts, &got, &err), -EBADMSG);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    other = layer;
    other.size_bytes++;
    assert_int_equal(xeno_unpack_check(fd, &other, &opts, &got, &err), -EBADMSG);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    other.size_bytes -= 2;
    assert_int_equal(xeno_unpack_check(fd, &other, &opts, &got, &err), -EBADMSG);
    assert_int_equal(got.entries, 77); /* untouched on failure */
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(xeno_unpack_check(fd, &layer, &opts, &got, &err), 0);
    assert_int_equal(got.entries, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judged),
        cmocka_unit_test(unpacked_bare),
        cmocka_unit_test(unpacked_confined),
        cmocka_unit_test(too_many),
        cmocka_unit_test(sparse_bomb),
        cmocka_unit_test(ratio_bomb),
        cmocka_unit_test(attributes),
        cmocka_unit_test(not_archives),
        cmocka_unit_test(wrong_digests),
    };

    xeno_crypto_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
