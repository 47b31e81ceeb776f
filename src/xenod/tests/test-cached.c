/* src/xenod/tests/test-cached.c - what of two image stores is told in an advert. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "image/tests/tar-make.h"
#include "xenod/cached.h"

struct world {
    char *dir;
    struct xeno_store *own, *fetched;
    struct xenod_cached c;
};

static struct xeno_store *open_store(const char *dir, const char *name)
{
    xeno_autofree char *path = temp_path(dir, name);
    struct xeno_store *st = NULL;

    assert_int_equal(xeno_store_open(path, XENO_STORE_CREATE, &st, NULL), 0);
    return st;
}

static int setup(void **state)
{
    struct world *w = xeno_new0(struct world);

    w->dir = temp_new();
    w->own = open_store(w->dir, "own");
    w->fetched = open_store(w->dir, "fetched");
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    xeno_store_free(w->own);
    xeno_store_free(w->fetched);
    temp_drop(w->dir);
    free(w);
    return 0;
}

static char *blob_path(const struct xeno_store *st, const char *digest)
{
    return xeno_asprintf("%s/blobs/sha256/%s", xeno_store_path(st), digest + 7);
}

/* Files of one moment have one time: a store that was changed says so. */
static void later(const struct xeno_store *st, const char *name)
{
    static time_t now = 1000;
    xeno_autofree char *path = xeno_asprintf("%s/%s", xeno_store_path(st), name);

    now++;
    assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[2]){ { now }, { now } }, 0), 0);
}

/* An image of one layer, which came `when`. */
static struct xeno_image *make(struct xeno_store *st, const char *name, time_t when)
{
    xeno_autobuf b = XENO_BUF_INIT;
    xeno_autofree char *path = NULL;
    struct xeno_image *im = NULL;
    struct xeno_layer l;

    tar_add(&b, &(struct member){ '0', "file", .data = name });
    tar_end(&b);
    store_image(st, &b, name, &l);
    assert_int_equal(xeno_store_resolve(st, name, NULL, &im, NULL), 0);
    path = blob_path(st, im->digest);
    assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[2]){ { when }, { when } }, 0), 0);
    later(st, "index.json");
    return im;
}

static void drop(struct xeno_store *st, const char *digest)
{
    xeno_autofree char *path = blob_path(st, digest);

    assert_int_equal(unlink(path), 0);
    later(st, "blobs/sha256");
}

static void is_image(const struct xenod_cached *c, size_t i, const struct xeno_image *im)
{
    assert_true(i < c->image_count);
    assert_memory_equal(c->images[i], im->digest + 7, XENOD_CACHED_DIGITS);
    assert_int_equal(c->images[i][XENOD_CACHED_DIGITS], 0);
}

static void is_layer(const struct xenod_cached *c, size_t i, const struct xeno_image *im)
{
    assert_true(i < c->layer_count);
    assert_memory_equal(c->layers[i], im->layers[0].digest + 7, XENOD_CACHED_DIGITS);
}

static void newest_first(void **state)
{
    struct world *w = *state;
    xeno_auto(xeno_image) a = make(w->own, "a", 200);
    xeno_auto(xeno_image) b = make(w->fetched, "b", 300);
    xeno_auto(xeno_image) c = make(w->own, "c", 100);

    assert_true(xenod_cached_look(&w->c, w->own, w->fetched));
    assert_int_equal(w->c.image_count, 3);
    is_image(&w->c, 0, b);
    is_image(&w->c, 1, a);
    is_image(&w->c, 2, c);
    assert_int_equal(w->c.layer_count, 3);
    is_layer(&w->c, 0, b);
    assert_false(xenod_cached_look(&w->c, w->own, w->fetched));
    assert_true(xenod_cached_look(&w->c, w->own, NULL));
    assert_int_equal(w->c.image_count, 2);
    is_image(&w->c, 0, a);
}

static void what_is_not_there(void **state)
{
    struct world *w = *state;
    xeno_auto(xeno_image) known = make(w->fetched, "known", 200);
    xeno_auto(xeno_image) own = make(w->own, "own", 100);

    drop(w->fetched, known->layers[0].digest);
    drop(w->own, own->layers[0].digest);
    assert_true(xenod_cached_look(&w->c, w->own, w->fetched));
    assert_int_equal(w->c.image_count, 0);
    assert_int_equal(w->c.layer_count, 0);
}

static void comes_and_goes(void **state)
{
    struct world *w = *state;
    xeno_auto(xeno_image) im = make(w->fetched, "im", 200);
    xeno_autofree char *blob = blob_path(w->fetched, im->layers[0].digest);
    xeno_autofree char *aside = temp_path(w->dir, "aside");

    assert_int_equal(rename(blob, aside), 0);
    xenod_cached_look(&w->c, w->own, w->fetched);
    assert_int_equal(w->c.layer_count, 0);
    assert_int_equal(rename(aside, blob), 0);
    later(w->fetched, "blobs/sha256");
    assert_true(xenod_cached_look(&w->c, w->own, w->fetched));
    is_image(&w->c, 0, im);
    is_layer(&w->c, 0, im);
}

/* Of a layer by pieces the table is there, and the blob never is. */
static void by_its_table(void **state)
{
    static const char table[] = "a table of contents";
    struct world *w = *state;
    xeno_auto(xeno_image) im = make(w->fetched, "im", 200);
    char digest[XENO_DIGEST_TEXT];

    xeno_sha256_of(table, sizeof table, im->layers[0].toc.sha);
    im->layers[0].toc.bytes = sizeof table;
    im->layers[0].toc.raw_bytes = sizeof table;
    im->layers[0].toc.offset = 1;
    im->layers[0].compression = XENO_COMPRESS_ZSTD;
    assert_int_equal(xeno_store_commit(w->fetched, im, "pieces", NULL), 0);
    assert_int_equal(xeno_store_remove(w->fetched, "im", NULL), 0);
    drop(w->fetched, im->layers[0].digest);
    xenod_cached_look(&w->c, w->own, w->fetched);
    assert_int_equal(w->c.layer_count, 0);
    assert_int_equal(xeno_store_put(w->fetched, table, sizeof table, digest, NULL), 0);
    later(w->fetched, "blobs/sha256");
    xenod_cached_look(&w->c, w->own, w->fetched);
    is_layer(&w->c, 0, im);
    is_image(&w->c, 0, im);
}

static void no_more_than_fit(void **state)
{
    struct world *w = *state;
    struct xeno_image *newest = NULL;
    char name[16];

    for (int i = 0; i < XENOD_CACHED_LAYERS + 2; i++) {
        xeno_image_free(newest);
        snprintf(name, sizeof name, "im%d", i);
        newest = make(w->own, name, 100 + i);
    }
    xenod_cached_look(&w->c, w->own, w->fetched);
    assert_int_equal(w->c.image_count, XENOD_CACHED_IMAGES);
    assert_int_equal(w->c.layer_count, XENOD_CACHED_LAYERS);
    is_image(&w->c, 0, newest);
    xeno_image_free(newest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(newest_first, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(comes_and_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(by_its_table, setup, teardown),
        cmocka_unit_test_setup_teardown(no_more_than_fit, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
