/* src/image/tests/test-mount-tree.c - what an image's mount files name, and what hides them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "image/build.h"
#include "image/mount-tree.h"
#include "image/tests/tar-make.h"

struct world {
    char *dir;
    struct xeno_store *st;
};

static int setup(void **state)
{
    struct world *w = xeno_new0(struct world);
    xeno_autofree char *images = NULL;

    w->dir = temp_new();
    images = temp_path(w->dir, "images");
    assert_int_equal(xeno_store_open(images, XENO_STORE_CREATE, &w->st, NULL), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    xeno_store_free(w->st);
    temp_drop(w->dir);
    free(w);
    return 0;
}

/* --- where images are --- */

static int find(void *arg, const struct xeno_mount_ref *ref, struct xeno_image **ret,
                void **ret_place, struct xeno_err *err)
{
    struct world *w = arg;

    *ret_place = NULL;
    return xeno_store_resolve(w->st, ref->text, NULL, ret, err);
}

static int read_part(void *arg, void *place, const char *digest, int64_t offset, void *buf,
                     size_t len, struct xeno_err *err)
{
    struct world *w = arg;
    xeno_autoclose int fd = -1;
    int64_t size;
    int r = xeno_store_open_blob(w->st, digest, &fd, &size, err);

    (void)place;
    if (r >= 0)
        assert_int_equal(pread(fd, buf, len, offset), (ssize_t)len);
    return r;
}

static int open_whole(void *arg, void *place, const char *digest, int *ret_fd, struct xeno_err *err)
{
    struct world *w = arg;
    int64_t size;

    (void)place;
    return xeno_store_open_blob(w->st, digest, ret_fd, &size, err);
}

/* --- images of plain layers, and as chunked --- */

#define MEMBERS_MAX 8

/* A layer from members; packed: with a table of contents. */
static void add_layer(struct world *w, struct xeno_image *im, const struct member *members,
                      bool packed)
{
    xeno_autobuf b = XENO_BUF_INIT;
    struct xeno_layer layer;

    for (size_t i = 0; i < MEMBERS_MAX && members[i].name; i++)
        tar_add(&b, &members[i]);
    tar_end(&b);
    if (packed) {
        struct xeno_import_opts o = { .path = "l.tar", .name = "layer" };
        xeno_autofree char *path = temp_path(w->dir, "l.tar");
        xeno_auto(xeno_image) one = NULL;
        struct xeno_made made;

        temp_write(w->dir, "l.tar", b.data, b.len);
        o.path = path;
        assert_int_equal(xeno_image_import(w->st, &o, &made, NULL), 0);
        assert_int_equal(xeno_store_resolve(w->st, "layer", NULL, &one, NULL), 0);
        assert_true(one->layers[0].toc.bytes > 0);
        layer = one->layers[0];
    } else {
        int fd = layer_fd(&b, &layer);

        close(fd);
        assert_int_equal(xeno_store_put(w->st, b.data, b.len, layer.digest, NULL), 0);
    }
    xeno_image_add_layer(im, &layer);
}

/* layers: bottom first; of two at most. */
static void make_image(struct world *w, const char *name, const struct member *bottom,
                       const struct member *top, bool packed)
{
    xeno_auto(xeno_image) im = xeno_image_new();

    add_layer(w, im, bottom, packed);
    if (top)
        add_layer(w, im, top, packed);
    snprintf(im->arch, sizeof(im->arch), "%s", xeno_image_host_arch());
    snprintf(im->os, sizeof(im->os), "linux");
    assert_int_equal(xeno_store_commit(w->st, im, name, NULL), 0);
}

static struct xeno_mount_tree *tree_of(struct world *w, const char *name)
{
    struct xeno_mount_tree_opts opts = {
        .find = find, .read = read_part, .open = open_whole, .arg = w
    };
    xeno_auto(xeno_image) im = NULL;

    assert_int_equal(xeno_store_resolve(w->st, name, NULL, &im, NULL), 0);
    return xeno_mount_tree_make(&opts, name, im, NULL);
}

/* As one line: "[LAYER PATH(REF...) !hidden ...|LAYER ...]", topmost first. */
static void show(const struct xeno_mount_tree *t, struct xeno_buf *b)
{
    if (t->why.code != 0) {
        xeno_buf_printf(b, "%s", t->why.token);
        return;
    }
    for (size_t i = 0; i < t->layer_count; i++) {
        xeno_buf_printf(b, "%s%s", i > 0 ? "|" : "[", t->layers[i].why.token);
        for (size_t k = 0; k < t->layers[i].count; k++) {
            const struct xeno_mount_dir *d = &t->layers[i].dirs[k];

            xeno_buf_printf(b, " %s%s(%s", d->hidden ? "!" : "", d->path, d->why.token);
            for (size_t m = 0; m < d->count; m++) {
                xeno_buf_printf(b, "%s%s", m > 0 ? " " : "", d->mounts[m].ref);
                show(&d->mounts[m], b);
            }
            xeno_buf_puts(b, ")");
        }
    }
    xeno_buf_puts(b, t->layer_count > 0 ? "]" : "");
}

static const struct {
    const char *name;
    struct member bottom[MEMBERS_MAX], top[MEMBERS_MAX];
    const char *want;
} rows[] = {
    { "no mount files", { { '0', "a", .data = "x" } }, { { '0', "b", .data = "x" } }, "[|]" },
    { "one in each layer",
      { { '0', "a/.mount", .data = "template://leaf\n" } },
      { { '0', "b/.mount", .data = "" } },
      "[ b()| a(template://leaf[])]" },
    { "in the root",
      { { '0', ".mount", .data = "template://leaf\n" } },
      { { '0', "b", .data = "x" } },
      "[| .(template://leaf[])]" },
    { "the topmost counts",
      { { '0', "a/.mount", .data = "template://nobody\n" } },
      { { '0', "a/.mount", .data = "template://leaf\n" } },
      "[ a(template://leaf[])| !a(template://nobody)]" },
    { "a whiteout of it",
      { { '0', "a/.mount", .data = "template://nobody\n" } },
      { { '0', "a/.wh..mount" } },
      "[| !a(template://nobody)]" },
    { "a whiteout of its directory",
      { { '0', "a/b/.mount", .data = "template://nobody\n" } },
      { { '0', ".wh.a" } },
      "[| !a/b(template://nobody)]" },
    { "an opaque directory above it",
      { { '0', "a/b/.mount", .data = "template://nobody\n" } },
      { { '0', "a/.wh..wh..opq" } },
      "[| !a/b(template://nobody)]" },
    { "an opaque root",
      { { '0', "a/.mount", .data = "template://nobody\n" } },
      { { '0', ".wh..wh..opq" } },
      "[| !a(template://nobody)]" },
    { "a file in its way",
      { { '0', "a/b/.mount", .data = "template://nobody\n" } },
      { { '0', "a", .data = "x" } },
      "[| !a/b(template://nobody)]" },
    { "names that only begin alike",
      { { '0', "ab/.mount", .data = "template://leaf\n" } },
      { { '0', "a", .data = "x" }, { '0', ".wh.abc" } },
      "[| ab(template://leaf[])]" },
    { "a directory of that name",
      { { '0', "a/.mount", .data = "template://nobody\n" } },
      { { '5', "a/.mount" } },
      "[| !a(template://nobody)]" },
    { "what cannot be",
      { { '0', "a/.mount", .data = "?" },
        { '2', "b/.mount", .link = "a" },
        { '0', "c/.mount", .data = "template://nobody\n" } },
      { { '0', "x", .data = "x" } },
      "[| a(mount.ref) b(mount.kind) c(template://nobodyimage.unknown)]" },
    { "a hard link",
      { { '0', "a", .data = "template://leaf\n" }, { '1', "b/.mount", .link = "a" } },
      { { '0', "x", .data = "x" } },
      NULL /* told below: without a table it cannot be read */ },
    { "what is named names",
      { { '0', "a/.mount", .data = "template://middle\ntemplate://leaf\n" } },
      { { '0', "x", .data = "x" } },
      "[| a(template://middle[ m(template://leaf[])] template://leaf[])]" },
    { "within itself",
      { { '0', "a/.mount", .data = "template://self\n" } },
      { { '0', "x", .data = "x" } },
      "[| a(template://self[ s(template://selfmount.cycle)])]" },
    { "directories of a host",
      { { '0', "a/.mount", .data = "file:///srv\n" } },
      { { '0', "x", .data = "x" } },
      "[| a(file:///srv)]" },
};

static void table(void **state)
{
    struct world *w = *state;

    if (!can_confine())
        skip();
    for (int packed = 0; packed < 2; packed++) {
        make_image(w, "leaf", (const struct member[MEMBERS_MAX]){ { '0', "x", .data = "x" } }, NULL,
                   packed);
        make_image(
            w, "middle",
            (const struct member[MEMBERS_MAX]){ { '0', "m/.mount", .data = "template://leaf\n" } },
            NULL, packed);
        make_image(
            w, "self",
            (const struct member[MEMBERS_MAX]){ { '0', "s/.mount", .data = "template://self\n" } },
            NULL, packed);
        for (size_t i = 0; i < XENO_LEN(rows); i++) {
            xeno_auto(xeno_mount_tree) t = NULL;
            xeno_autobuf b = XENO_BUF_INIT;

            make_image(w, "i", rows[i].bottom, rows[i].top, packed);
            t = tree_of(w, "i");
            show(t, &b);
            print_message("%s: %s\n", rows[i].name, b.data);
            assert_string_equal(b.data, rows[i].want ? rows[i].want
                                        : packed     ? "[| b(template://leaf[])]"
                                                     : "[| b(mount.link)]");
        }
    }
}

/* Many of them, and too deep. */
static void bounds(void **state)
{
    struct world *w = *state;
    xeno_auto(xeno_mount_tree) t = NULL;
    xeno_auto(xeno_mount_tree) deep = NULL;
    xeno_autobuf b = XENO_BUF_INIT;
    xeno_autobuf tar = XENO_BUF_INIT;

    if (!can_confine())
        skip();
    for (int i = 0; i <= XENO_MOUNT_DIRS_MAX; i++) {
        xeno_autofree char *name = xeno_asprintf("d%d/.mount", i);

        tar_add(&tar, &(struct member){ '0', name, .data = "" });
    }
    tar_end(&tar);
    store_image(w->st, &tar, "many", NULL);
    t = tree_of(w, "many");
    assert_string_equal(t->layers[0].why.token, "mount.limit");
    for (int i = 0; i < 10; i++) {
        xeno_autofree char *name = xeno_asprintf("n%d", i);
        xeno_autofree char *next = xeno_asprintf("template://n%d\n", i + 1);

        make_image(w, name, (const struct member[MEMBERS_MAX]){ { '0', "d/.mount", .data = next } },
                   NULL, false);
    }
    deep = tree_of(w, "n0");
    show(deep, &b);
    assert_non_null(strstr(b.data, "template://n8[ d(template://n9mount.depth)]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(table, setup, teardown),
        cmocka_unit_test_setup_teardown(bounds, setup, teardown),
    };

    xeno_crypto_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
