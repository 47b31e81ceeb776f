/* src/image/tests/test-diff.c - two images compared by their tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image/build-priv.h"
#include "image/diff.h"
#include "image/tests/tar-make.h"

#define FILES_MAX 8

/* type 0 ends a layer; a layer without members ends the image. */
struct layer_rows {
    struct member members[FILES_MAX];
};

static int setup(void **state)
{
    *state = temp_new();
    return 0;
}

static int teardown(void **state)
{
    temp_drop(*state);
    return 0;
}

static void pack_layer(struct xeno_store *st, const struct layer_rows *rows, struct xeno_layer *ret)
{
    xeno_auto(xeno_layer_writer) w = NULL;
    xeno_auto(xeno_pack) p = NULL;
    struct xeno_pack_output out;

    assert_int_equal(xeno_layer_new(st, XENO_COMPRESS_ZSTD, &w, NULL), 0);
    assert_int_equal(xeno_layer_pack(w, &out, NULL), 0);
    assert_int_equal(xeno_pack_new(&out, &p, NULL), 0);
    for (const struct member *m = rows->members; m->type; m++) {
        struct xeno_tar_entry e = {
            .type = m->type == '5'   ? XENO_TAR_DIR
                    : m->type == '2' ? XENO_TAR_SYMLINK
                                     : XENO_TAR_FILE,
            .name = m->name,
            .link = m->link ? m->link : "",
            .mode = m->mode ? m->mode : 0755,
            .size_bytes = m->data ? (int64_t)strlen(m->data) : 0,
        };

        assert_int_equal(xeno_pack_add(p, &e, NULL), 0);
        assert_int_equal(xeno_pack_data(p, m->data, (size_t)e.size_bytes, NULL), 0);
    }
    assert_int_equal(xeno_pack_end(p, NULL), 0);
    assert_int_equal(xeno_layer_commit(w, ret, NULL, NULL), 0);
}

static void make_image(struct xeno_store *st, const char *name, const struct layer_rows *layers)
{
    xeno_auto(xeno_image) im = xeno_image_new();

    im->kind = XENO_IMAGE_TEMPLATE;
    snprintf(im->arch, sizeof(im->arch), "%s", xeno_image_host_arch());
    snprintf(im->os, sizeof(im->os), "linux");
    for (; layers->members[0].type; layers++) {
        struct xeno_layer layer;

        pack_layer(st, layers, &layer);
        xeno_image_add_layer(im, &layer);
    }
    assert_int_equal(xeno_store_commit(st, im, name, NULL), 0);
}

static int note(void *arg, const struct xeno_diff_item *item, struct xeno_err *err)
{
    static const char marks[] = "+-~m";

    (void)err;
    xeno_buf_printf(arg, "%c%s ", marks[item->kind], item->path);
    return 0;
}

static const struct {
    const char *what;
    struct layer_rows old[4], new[4];
    const char *diff;
} rows[] = {
    { "the same",
      { { { { '0', "a", .data = "1" } } } },
      { { { { '0', "a", .data = "1" } } } },
      "" },
    { "one of each",
      { { { { '0', "a", .data = "1" }, { '0', "b", .data = "1" }, { '0', "c", .data = "1" } } } },
      { { { { '0', "a", .data = "2" },
            { '0', "b", .data = "1", .mode = 04755 },
            { '0', "d", .data = "1" } } } },
      "~a mb -c +d " },
    { "another target", { { { { '2', "l", "a" } } } }, { { { { '2', "l", "b" } } } }, "~l " },
    { "the same in two layers",
      { { { { '0', "a", .data = "1" } } } },
      { { { { '0', "a", .data = "0" } } }, { { { '0', "a", .data = "1" } } } },
      "" },
    { "a whiteout hides a folder with all in it",
      { { { { '5', "d" }, { '0', "d/a", .data = "1" }, { '0', "e", .data = "1" } } } },
      { { { { '5', "d" }, { '0', "d/a", .data = "1" }, { '0', "e", .data = "1" } } },
        { { { '0', ".wh.d" } } } },
      "-d -d/a " },
    { "what comes back is there",
      { { { { '5', "d" }, { '0', "d/a", .data = "1" } } } },
      { { { { '5', "d" }, { '0', "d/a", .data = "1" }, { '0', "d/b", .data = "1" } } },
        { { { '0', ".wh.d" } } },
        { { { '5', "d" }, { '0', "d/a", .data = "1" } } } },
      "" },
    { "an opaque folder shows its own only",
      { { { { '5', "d" }, { '0', "d/b", .data = "1" } } } },
      { { { { '5', "d" }, { '0', "d/a", .data = "1" } } },
        { { { '5', "d" }, { '0', "d/.wh..wh..opq" }, { '0', "d/b", .data = "1" } } } },
      "" },
    { "the root is made opaque",
      { { { { '0', "b", .data = "1" } } } },
      { { { { '0', "a", .data = "1" } } },
        { { { '0', ".wh..wh..opq" }, { '0', "b", .data = "1" } } } },
      "" },
    { "a file in place of a folder",
      { { { { '0', "d", .data = "1" } } } },
      { { { { '5', "d" }, { '0', "d/a", .data = "1" } } }, { { { '0', "d", .data = "1" } } } },
      "" },
    { "and a folder again",
      { { { { '5', "d" } } } },
      { { { { '5', "d" }, { '0', "d/a", .data = "1" } } },
        { { { '0', "d", .data = "1" } } },
        { { { '5', "d" } } } },
      "" },
};

static void differences(void **state)
{
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_autofree char *path = xeno_asprintf("%s/%zu", (char *)*state, i);
        xeno_auto(xeno_store) st = NULL;
        xeno_autobuf text = XENO_BUF_INIT;
        struct xeno_err err = XENO_ERR_INIT;
        struct xeno_diff d;

        assert_int_equal(xeno_store_open(path, XENO_STORE_CREATE, &st, NULL), 0);
        make_image(st, "old", rows[i].old);
        make_image(st, "new", rows[i].new);
        assert_int_equal(xeno_image_diff(st, "old", "new", note, &text, &d, &err), 0);
        print_message("%s: %s\n", rows[i].what, text.data ? text.data : "");
        assert_string_equal(text.data ? text.data : "", rows[i].diff);
    }
}

/* A large file with an edit in the middle: the pieces around it only. */
static void an_edit_is_small(void **state)
{
    enum { LEN = 4 << 20 };
    xeno_autofree char *data = xeno_alloc0(1, LEN + 1);
    struct layer_rows layer[2] = { { { { '0', "big", .data = data } } } };
    xeno_autofree char *path = temp_path(*state, "st");
    xeno_auto(xeno_store) st = NULL;
    struct xeno_diff d;
    uint64_t x = 7;

    for (size_t i = 0; i < LEN; i++) {
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        data[i] = (char)(x >> 56 | 1); /* no zero byte: it is measured by strlen() */
    }
    assert_int_equal(xeno_store_open(path, XENO_STORE_CREATE, &st, NULL), 0);
    make_image(st, "old", layer);
    data[LEN / 2] ^= 2;
    make_image(st, "new", layer);
    assert_int_equal(xeno_image_diff(st, "old", "new", NULL, NULL, &d, NULL), 0);
    assert_int_equal(d.changed, 1);
    assert_in_range(d.new_pieces, 1, 3);
    assert_true(d.new_bytes < 3 * (256 << 10) + 4096);
    assert_true(d.bytes > LEN / 2);
}

static void without_a_table(void **state)
{
    xeno_autofree char *path = temp_path(*state, "st");
    struct layer_rows layer[2] = { { { { '0', "a", .data = "1" } } } };
    xeno_auto(xeno_store) st = NULL;
    xeno_autobuf b = XENO_BUF_INIT;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_layer plain;
    struct xeno_diff d;

    assert_int_equal(xeno_store_open(path, XENO_STORE_CREATE, &st, NULL), 0);
    tar_add(&b, &(struct member){ '0', "a", .data = "1" });
    tar_end(&b);
    store_image(st, &b, "plain", &plain);
    make_image(st, "ours", layer);
    assert_int_equal(xeno_image_diff(st, "plain", "ours", NULL, NULL, &d, &err), -ENODATA);
    assert_string_equal(err.token, "image.toc");
    assert_int_equal(xeno_image_diff(st, "plain", "plain", NULL, NULL, &d, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(differences, setup, teardown),
        cmocka_unit_test_setup_teardown(an_edit_is_small, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_table, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
