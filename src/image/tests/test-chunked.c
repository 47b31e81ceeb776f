/* src/image/tests/test-chunked.c - cutting by content, zstd:chunked blobs and their tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zstd.h>

#include "base/buf.h"
#include "image/build-priv.h"
#include "image/cdc.h"
#include "image/chunked.h"

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B64 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* Bytes that do not repeat, and are the same on every machine. */
static void fill(char *data, size_t len, uint64_t seed)
{
    for (size_t i = 0; i < len; i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        data[i] = (char)(seed >> 56);
    }
}

/* --- cutting --- */

#define PIECES_MAX 1024

struct cuts {
    size_t count;
    uint8_t sha[PIECES_MAX][32];
    size_t len[PIECES_MAX];
};

static void cut_all(const char *data, size_t len, struct cuts *ret)
{
    ret->count = 0;
    while (len > 0) {
        size_t n = xeno_cdc_cut(data, len < XENO_CDC_MAX ? len : XENO_CDC_MAX);

        assert_true(n > 0 && n <= len && n <= XENO_CDC_MAX);
        assert_true(n >= XENO_CDC_MIN || n == len);
        assert_true(ret->count < PIECES_MAX);
        xeno_sha256_of(data, n, ret->sha[ret->count]);
        ret->len[ret->count++] = n;
        data += n;
        len -= n;
    }
}

static size_t shared(const struct cuts *a, const struct cuts *b)
{
    size_t n = 0;

    for (size_t i = 0; i < a->count; i++) {
        for (size_t k = 0; k < b->count; k++) {
            if (memcmp(a->sha[i], b->sha[k], 32) == 0) {
                n++;
                break;
            }
        }
    }
    return n;
}

static void an_edit_costs_its_pieces(void **state)
{
    enum { LEN = 8 << 20 };
    xeno_autofree char *data = xeno_alloc0(1, LEN + 1);
    static struct cuts before, after;

    (void)state;
    fill(data, LEN, 1);
    cut_all(data, LEN, &before);
    assert_in_range(before.count, LEN / XENO_CDC_MAX, LEN / XENO_CDC_MIN);
    assert_in_range(LEN / before.count, XENO_CDC_AVG / 2, XENO_CDC_AVG * 2);
    memmove(data + LEN / 3 + 1, data + LEN / 3, LEN - LEN / 3); /* a byte is put in */
    cut_all(data, LEN + 1, &after);
    assert_true(shared(&before, &after) + 4 >= before.count);
}

/* As a few lines of another language cut it. Other cuts than these would share nothing with layers
 * that are stored already. */
static void cuts_are_part_of_the_format(void **state)
{
    static const size_t want[] = { 82292, 67941, 38634, 135025, 80624, 121114 };
    enum { LEN = 1 << 20 };
    xeno_autofree char *data = xeno_alloc0(1, LEN);
    static struct cuts cuts;

    (void)state;
    fill(data, LEN, 2);
    cut_all(data, LEN, &cuts);
    for (size_t i = 0; i < XENO_LEN(want); i++)
        assert_int_equal(cuts.len[i], want[i]);
    assert_int_equal(xeno_cdc_cut(data, 0), 0);
    assert_int_equal(xeno_cdc_cut(data, XENO_CDC_MIN), XENO_CDC_MIN);
    memset(data, 0, LEN);
    assert_int_equal(xeno_cdc_cut(data, LEN), XENO_CDC_MAX);
}

/* --- blobs --- */

static int to_buf(void *arg, const void *data, size_t len, struct xeno_err *err)
{
    (void)err;
    assert_true(xeno_buf_add(arg, data, len));
    return 0;
}

struct blob {
    struct xeno_buf data, tar; /* the blob; the tar that went in */
    struct xeno_toc_place place;
};

static void blob_release(struct blob *b)
{
    xeno_buf_release(&b->data);
    xeno_buf_release(&b->tar);
}

/* Both a copy of the tar and the blob. */
struct tee {
    struct blob *b;
    struct xeno_pack_output chunked;
};

static int tee_write(void *arg, const void *data, size_t len, struct xeno_err *err)
{
    struct tee *t = arg;

    assert_true(xeno_buf_add(&t->b->tar, data, len));
    return t->chunked.write(t->chunked.arg, data, len, err);
}

static int tee_member(void *arg, const struct xeno_tar_entry *e, struct xeno_err *err)
{
    struct tee *t = arg;

    return t->chunked.member(t->chunked.arg, e, err);
}

static const size_t sizes[] = { 0, 1, 511, 512, 4096, XENO_CDC_MIN + 1, 900000, 3 << 20 };

static void add_files(struct xeno_pack *p, const char *odd)
{
    struct xeno_tar_xattr x = { .name = "user.note", .value = "a\0b", .len = 3 };
    struct xeno_tar_entry dir = { .type = XENO_TAR_DIR, .name = "etc", .link = "", .mode = 0755 };
    struct xeno_tar_entry link = {
        .type = XENO_TAR_SYMLINK, .name = "etc/link", .link = "f0", .mode = 0777
    };
    xeno_autofree char *data = xeno_alloc0(1, 3 << 20);

    fill(data, 3 << 20, 3);
    memset(data + (1 << 20), 0, 1 << 20); /* a run of zeros in the largest */
    assert_int_equal(xeno_pack_add(p, &dir, NULL), 0);
    for (size_t i = 0; i < XENO_LEN(sizes); i++) {
        char name[64];
        struct xeno_tar_entry e = {
            .name = name,
            .link = "",
            .mode = 04755,
            .uid = 7,
            .gid = 8,
            .size_bytes = (int64_t)sizes[i],
            .mtime = { .tv_sec = 1700000000, .tv_nsec = 250000000 },
        };

        snprintf(name, sizeof(name), "etc/f%zu%s", i, odd);
        if (i == 1) {
            e.xattrs[0] = x;
            e.xattr_count = 1;
        }
        assert_int_equal(xeno_pack_add(p, &e, NULL), 0);
        assert_int_equal(xeno_pack_data(p, data, sizes[i], NULL), 0);
    }
    assert_int_equal(xeno_pack_add(p, &link, NULL), 0);
    assert_int_equal(xeno_pack_end(p, NULL), 0);
}

static void make_blob(struct blob *b, const char *odd)
{
    struct xeno_pack_output out = { .write = to_buf, .arg = &b->data };
    xeno_auto(xeno_chunked) c = NULL;
    xeno_auto(xeno_pack) p = NULL;
    struct tee tee = { .b = b };

    memset(b, 0, sizeof(*b));
    assert_int_equal(xeno_chunked_new(&out, &c, NULL), 0);
    tee.chunked = xeno_pack_to_chunked(c);
    out = (struct xeno_pack_output){ .write = tee_write, .member = tee_member, .arg = &tee };
    assert_int_equal(xeno_pack_new(&out, &p, NULL), 0);
    add_files(p, odd);
    assert_int_equal(xeno_chunked_end(c, &b->place, NULL), 0);
}

/* What any decoder makes of it. */
static void assert_decodes(const struct blob *b)
{
    xeno_autofree char *tar = xeno_alloc0(1, b->tar.len + 1);

    assert_int_equal(ZSTD_decompress(tar, b->tar.len + 1, b->data.data, b->data.len), b->tar.len);
    assert_memory_equal(tar, b->tar.data, b->tar.len);
}

static struct xeno_toc *read_toc(const struct blob *b)
{
    struct xeno_toc *toc = NULL;

    assert_int_equal(xeno_chunked_toc(&b->place, b->data.data + b->place.offset,
                                      (int64_t)b->data.len, &xeno_unpack_defaults, &toc, NULL),
                     0);
    return toc;
}

static void any_decoder_reads_it(void **state)
{
    struct blob b, again;
    struct xeno_toc_place foot = { .bytes = 0 };

    (void)state;
    make_blob(&b, "");
    assert_decodes(&b);
    assert_true(xeno_chunked_foot(b.data.data + b.data.len - XENO_CHUNKED_FOOT, (int64_t)b.data.len,
                                  &foot));
    assert_int_equal(foot.offset, b.place.offset);
    assert_int_equal(foot.bytes, b.place.bytes);
    assert_int_equal(foot.raw_bytes, b.place.raw_bytes);
    make_blob(&again, "");
    assert_int_equal(again.data.len, b.data.len);
    assert_memory_equal(again.data.data, b.data.data, b.data.len);
    blob_release(&again);
    blob_release(&b);
}

/* Every piece by itself, as a range request would bring it. */
static void files_by_their_pieces(void **state)
{
    xeno_autofree char *data = xeno_alloc0(1, 3 << 20), *got = xeno_alloc0(1, 3 << 20);
    xeno_auto(xeno_toc) toc = NULL;
    size_t zeros = 0;
    struct blob b;

    (void)state;
    make_blob(&b, "");
    toc = read_toc(&b);
    fill(data, 3 << 20, 3);
    memset(data + (1 << 20), 0, 1 << 20);
    assert_int_equal(toc->count, XENO_LEN(sizes) + 2);
    for (size_t i = 0; i < XENO_LEN(sizes); i++) {
        const struct xeno_toc_file *f = &toc->files[i + 1];
        uint8_t sha[32];

        assert_int_equal(f->type, XENO_TAR_FILE);
        assert_int_equal(f->size_bytes, sizes[i]);
        assert_int_equal(f->mode, 04755);
        assert_int_equal(f->uid, 7);
        assert_int_equal(f->mtime.tv_sec, 1700000000);
        assert_int_equal(f->mtime.tv_nsec, 0); /* as in the tar */
        for (size_t k = 0; k < f->chunk_count; k++) {
            const struct xeno_toc_chunk *c = &toc->chunks[f->chunk + k];

            zeros += c->zeros;
            assert_int_equal(
                xeno_chunked_piece(c, b.data.data + c->blob_offset, got + c->file_offset, NULL), 0);
        }
        assert_memory_equal(got, data, sizes[i]);
        xeno_sha256_of(data, sizes[i], sha);
        if (sizes[i] > 0)
            assert_memory_equal(f->sha, sha, 32);
    }
    assert_true(zeros > 0);
    assert_int_equal(toc->files[2].xattr_count, 1);
    assert_string_equal(toc->files[2].xattrs[0].name, "user.note");
    assert_memory_equal(toc->files[2].xattrs[0].value, "a\0b", 3);
    assert_string_equal(toc->files[XENO_LEN(sizes) + 1].link, "f0");
    blob_release(&b);
}

static void what_was_changed_is_not_believed(void **state)
{
    xeno_auto(xeno_toc) toc = NULL, *none = NULL;
    xeno_autofree char *got = NULL;
    const struct xeno_toc_chunk *c;
    struct xeno_err err = XENO_ERR_INIT;
    struct blob b;

    (void)state;
    make_blob(&b, "");
    toc = read_toc(&b);
    c = &toc->chunks[toc->chunk_count - 1];
    got = xeno_alloc0(1, (size_t)c->size_bytes);
    for (int64_t i = 0; i < c->blob_bytes; i += 97) {
        b.data.data[c->blob_offset + i] ^= 1;
        assert_int_equal(xeno_chunked_piece(c, b.data.data + c->blob_offset, got, &err), -EBADMSG);
        b.data.data[c->blob_offset + i] ^= 1;
    }
    b.data.data[b.place.offset + 20] ^= 1;
    assert_int_equal(xeno_chunked_toc(&b.place, b.data.data + b.place.offset, (int64_t)b.data.len,
                                      &xeno_unpack_defaults, &none, &err),
                     -EBADMSG);
    assert_true(xeno_err_is(&err, "image.corrupt"));
    blob_release(&b);
}

static void names_that_no_table_can_say(void **state)
{
    struct blob b;

    (void)state;
    make_blob(&b, "\xff");
    assert_int_equal(b.place.bytes, 0);
    assert_decodes(&b);
    blob_release(&b);
}

/* --- tables that a stranger wrote --- */

#define FILE_HEAD  "{\"type\":\"reg\",\"name\":\"f\",\"size\":10,\"digest\":\"sha256:" A64 "\","
#define PIECE_HEAD "{\"type\":\"chunk\",\"name\":\"f\",\"chunkDigest\":\"sha256:" B64 "\","
#define FIRST                                                                                      \
    FILE_HEAD "\"offset\":8,\"endOffset\":90,\"chunkSize\":6,\"chunkDigest\":\"sha256:" B64 "\"}"

static const struct {
    const char *what, *entries, *token; /* token NULL: fine */
} tables[] = {
    { "nothing", "", NULL },
    { "a folder", "{\"type\":\"dir\",\"name\":\"a\",\"mode\":493}", NULL },
    { "one piece", FILE_HEAD "\"offset\":8,\"endOffset\":90}", NULL },
    { "two", FIRST "," PIECE_HEAD "\"offset\":40,\"chunkOffset\":6,\"chunkSize\":4}", NULL },
    { "the last says no size", FIRST "," PIECE_HEAD "\"offset\":40,\"chunkOffset\":6}", NULL },
    { "a time", "{\"type\":\"dir\",\"name\":\"a\",\"modtime\":\"2026-01-02T03:04:05.5+01:30\"}",
      NULL },
    { "no time", "{\"type\":\"dir\",\"name\":\"a\",\"modtime\":\"yesterday\"}", "image.toc" },
    { "a device", "{\"type\":\"block\",\"name\":\"a\"}", "unpack.type" },
    { "no name", "{\"type\":\"dir\"}", "json.missing" },
    { "a link to nothing", "{\"type\":\"symlink\",\"name\":\"a\"}", "json.missing" },
    { "no digest", "{\"type\":\"reg\",\"name\":\"f\",\"size\":1,\"offset\":8,\"endOffset\":9}",
      "json.missing" },
    { "past the blob", FILE_HEAD "\"offset\":8,\"endOffset\":101}", "json.range" },
    { "empty range", FILE_HEAD "\"offset\":8,\"endOffset\":8}", "image.toc" },
    { "backwards", FILE_HEAD "\"offset\":20,\"endOffset\":8}", "image.toc" },
    { "a piece missing", FIRST, "image.toc" },
    { "a piece of nobody", PIECE_HEAD "\"offset\":40,\"chunkOffset\":6,\"chunkSize\":4}",
      "image.toc" },
    { "a gap", FIRST "," PIECE_HEAD "\"offset\":40,\"chunkOffset\":7,\"chunkSize\":3}",
      "image.toc" },
    { "too much", FIRST "," PIECE_HEAD "\"offset\":40,\"chunkOffset\":6,\"chunkSize\":5}",
      "image.toc" },
    { "a piece before the first",
      FIRST "," PIECE_HEAD "\"offset\":4,\"chunkOffset\":6,\"chunkSize\":4}", "image.toc" },
    { "a piece past the file",
      FIRST "," PIECE_HEAD "\"offset\":95,\"chunkOffset\":6,\"chunkSize\":4}", "image.toc" },
    { "16 GiB and more",
      "{\"type\":\"reg\",\"name\":\"f\",\"size\":17179869185,\"digest\":\"sha256:" A64
      "\",\"offset\":8,\"endOffset\":90}",
      "json.range" },
    { "a piece of 1 GiB",
      "{\"type\":\"reg\",\"name\":\"f\",\"size\":1073741824,\"digest\":\"sha256:" A64
      "\",\"offset\":8,\"endOffset\":90}",
      "unpack.limit" },
    { "no base64", "{\"type\":\"dir\",\"name\":\"a\",\"xattrs\":{\"user.a\":\"?\"}}", "image.toc" },
};

static void tables_of_strangers(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(tables); i++) {
        xeno_autofree char *text =
            xeno_asprintf("{\"version\":1,\"entries\":[%s]}", tables[i].entries);
        struct xeno_err err = XENO_ERR_INIT;
        xeno_auto(xeno_toc) toc = NULL;
        int r = xeno_toc_parse(text, strlen(text), 100, &xeno_unpack_defaults, &toc, &err);

        print_message("%s: %s %s\n", tables[i].what, err.token, err.text);
        if (tables[i].token) {
            assert_true(r < 0);
            assert_string_equal(err.token, tables[i].token);
            assert_null(toc);
        } else {
            xeno_autofree char *again = NULL;
            size_t len;

            assert_int_equal(r, 0);
            again = xeno_toc_format(toc, &len);
            xeno_toc_free(xeno_take(&toc));
            assert_int_equal(xeno_toc_parse(again, len, 100, &xeno_unpack_defaults, &toc, &err), 0);
        }
    }
}

static void limits_hold(void **state)
{
    static const char text[] = "{\"version\":1,\"entries\":[{\"type\":\"dir\",\"name\":\"a\"},"
                               "{\"type\":\"dir\",\"name\":\"b\"}]}";
    struct xeno_unpack_limits lim = XENO_UNPACK_LIMITS;
    struct xeno_err err = XENO_ERR_INIT;
    xeno_auto(xeno_toc) toc = NULL;

    (void)state;
    lim.entries = 1;
    assert_int_equal(xeno_toc_parse(text, strlen(text), 100, &lim, &toc, &err), -EFBIG);
    lim.entries = 2;
    lim.all_names_bytes = 1;
    assert_int_equal(xeno_toc_parse(text, strlen(text), 100, &lim, &toc, &err), -EFBIG);
    assert_true(xeno_err_is(&err, "unpack.limit"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_edit_costs_its_pieces),
        cmocka_unit_test(cuts_are_part_of_the_format),
        cmocka_unit_test(any_decoder_reads_it),
        cmocka_unit_test(files_by_their_pieces),
        cmocka_unit_test(what_was_changed_is_not_believed),
        cmocka_unit_test(names_that_no_table_can_say),
        cmocka_unit_test(tables_of_strangers),
        cmocka_unit_test(limits_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
