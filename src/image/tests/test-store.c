/* src/image/tests/test-store.c - the layout directory: names, blobs, damage, writers, collection.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/io.h"
#include "image/tests/tar-make.h"

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

static struct xeno_store *open_store(const char *dir, int mode)
{
    xeno_autofree char *path = temp_path(dir, "images");
    struct xeno_store *st = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_store_open(path, mode, &st, &err) < 0)
        print_message("%s\n", err.text);
    return st;
}

/* An image of one layer whose only file holds `text`. */
static void make(struct xeno_store *st, const char *name, const char *text, struct xeno_layer *ret)
{
    xeno_autobuf b = XENO_BUF_INIT;

    tar_add(&b, &(struct member){ '0', "file", .data = text });
    tar_end(&b);
    store_image(st, &b, name, ret);
}

static void opening(void **state)
{
    struct xeno_store *st = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    struct stat sb;
    xeno_autofree char *other = temp_path(*state, "other"), *layout = NULL;

    assert_null(open_store(*state, XENO_STORE_READ));
    st = open_store(*state, XENO_STORE_CREATE);
    assert_non_null(st);
    xeno_store_free(st);
    st = open_store(*state, XENO_STORE_CREATE); /* again: no effect */
    assert_int_equal(xeno_store_put(st, "x", 1, (char[XENO_DIGEST_TEXT]){ 0 }, &err), 0);
    xeno_store_free(st);

    st = open_store(*state, XENO_STORE_READ);
    assert_int_equal(xeno_store_put(st, "x", 1, (char[XENO_DIGEST_TEXT]){ 0 }, &err), -EROFS);
    layout = temp_path(xeno_store_path(st),
                       "blobs/sha256/"
                       "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881");
    assert_int_equal(stat(layout, &sb), 0);
    assert_int_equal(sb.st_mode & 07777, 0644); /* xenod may read it */
    xeno_store_free(st);

    assert_int_equal(mkdir(other, 0755), 0);
    temp_write(other, "precious", "x", 1);
    assert_int_equal(xeno_store_open(other, XENO_STORE_CREATE, &st, &err), -EINVAL);
    assert_string_equal(err.token, "image.store");
    temp_write(*state, "images/oci-layout", "{\"imageLayoutVersion\":\"2.0.0\"}", 30);
    assert_null(open_store(*state, XENO_STORE_READ));
}

static void blobs(void **state)
{
    xeno_auto(xeno_store) st = open_store(*state, XENO_STORE_CREATE);
    xeno_auto(xeno_blob_writer) w = NULL;
    char digest[XENO_DIGEST_TEXT], again[XENO_DIGEST_TEXT], path[200];
    xeno_autofree char *text = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    int64_t size;
    size_t len;

    assert_int_equal(xeno_store_put(st, "hello", 5, digest, &err), 0);
    assert_string_equal(digest,
                        "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert_true(xeno_store_has(st, digest));
    assert_int_equal(xeno_store_read(st, digest, 5, &text, &len, &err), 0);
    assert_memory_equal(text, "hello", 5);
    assert_int_equal(xeno_store_read(st, digest, 4, &text, &len, &err), -EFBIG);
    assert_int_equal(xeno_store_read(st, "sha256:../../x", 4, &text, &len, &err), -EINVAL);

    /* Spoilt on disk: found at reading, healed by storing again. */
    snprintf(path, sizeof(path), "images/blobs/sha256/%s", digest + 7);
    temp_write(*state, path, "hellO", 5);
    assert_int_equal(xeno_store_read(st, digest, 5, &text, &len, &err), -EBADMSG);
    assert_string_equal(err.token, "image.corrupt");
    assert_int_equal(xeno_store_put(st, "hello", 5, again, &err), 0);
    free(xeno_take(&text));
    assert_int_equal(xeno_store_read(st, digest, 5, &text, &len, &err), 0);

    /* Not what was promised: nothing appears. */
    assert_int_equal(xeno_blob_new(st, &w, &err), 0);
    assert_int_equal(xeno_blob_add(w, "other", 5, &err), 0);
    assert_int_equal(xeno_blob_commit(w, digest, again, &size, &err), -EBADMSG);
    xeno_blob_free(xeno_take(&w));
    assert_false(xeno_store_has(
        st, "sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa"));
}

static void names(void **state)
{
    xeno_auto(xeno_store) st = open_store(*state, XENO_STORE_CREATE);
    xeno_auto(xeno_image) one = NULL;
    xeno_auto(xeno_image) two = NULL;
    xeno_auto(xeno_store_list) list = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    make(st, "web:latest", "1", NULL);
    assert_int_equal(xeno_store_resolve(st, "web", NULL, &one, &err), 0);
    assert_int_equal(xeno_store_resolve(st, "template://web:latest", NULL, &two, &err), 0);
    assert_string_equal(one->digest, two->digest);
    assert_int_equal(one->layer_count, 1);
    assert_true(xeno_digest_ok(one->layers[0].diff_id));

    make(st, "web:latest", "2", NULL); /* the name moves; the old image stays by digest */
    xeno_image_free(xeno_take(&two));
    assert_int_equal(xeno_store_resolve(st, "web", NULL, &two, &err), 0);
    assert_string_not_equal(one->digest, two->digest);
    xeno_image_free(xeno_take(&two));
    assert_int_equal(xeno_store_resolve(st, one->digest, NULL, &two, &err), 0);
    assert_int_equal(xeno_store_tag(st, one->digest, "old", &err), 0);
    assert_int_equal(xeno_store_tag(st, "old", "older", &err), 0);
    assert_int_equal(xeno_store_tag(st, "old", "no good", &err), -EINVAL);
    assert_int_equal(xeno_store_tag(st, "nobody", "x", &err), -ENOENT);
    assert_int_equal(xeno_store_list(st, &list, &err), 0);
    assert_int_equal(list->count, 3);
    assert_string_equal(list->items[0].name, "old");
    assert_string_equal(list->items[1].name, "older");
    assert_string_equal(list->items[2].name, "web:latest");

    assert_int_equal(xeno_store_remove(st, "old", &err), 0);
    assert_int_equal(xeno_store_remove(st, "old", &err), -ENOENT);
    xeno_image_free(xeno_take(&two));
    assert_int_equal(xeno_store_resolve(st, "older", NULL, &two, &err), 0);
    assert_int_equal(xeno_store_remove(st, one->digest, &err), 0);
    assert_int_equal(xeno_store_resolve(st, "older", NULL, &two, &err), -ENOENT);
    assert_string_equal(err.token, "image.unknown");
}

static void bad_references(void **state)
{
    static const struct {
        const char *ref;
        int want;
    } rows[] = {
        { "", -EINVAL },
        { "template://", -EINVAL },
        { "file:///etc/passwd", -EINVAL },
        { "../x", -EINVAL },
        { "sha256:12", -EINVAL },
        { "template://sha256:"
          "0000000000000000000000000000000000000000000000000000000000000000",
          -ENOENT },
        { "overlay://nothing", -ENOENT },
    };
    xeno_auto(xeno_store) st = open_store(*state, XENO_STORE_CREATE);

    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_image *im = NULL;

        print_message("'%s'\n", rows[i].ref);
        assert_int_equal(xeno_store_resolve(st, rows[i].ref, NULL, &im, NULL), rows[i].want);
        assert_null(im);
    }
}

static void kinds_and_machines(void **state)
{
    xeno_auto(xeno_store) st = open_store(*state, XENO_STORE_CREATE);
    xeno_auto(xeno_image) im = xeno_image_new();
    xeno_auto(xeno_image) got = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_layer layer;

    make(st, "plain", "1", &layer);
    xeno_image_add_layer(im, &layer);
    im->kind = XENO_IMAGE_OVERLAY;
    snprintf(im->arch, sizeof(im->arch), "pdp11");
    assert_int_equal(xeno_store_commit(st, im, "over", &err), 0);
    assert_int_equal(xeno_store_resolve(st, "template://over", NULL, &got, &err), -EINVAL);
    assert_string_equal(err.token, "image.kind");
    assert_int_equal(xeno_store_resolve(st, "overlay://over", NULL, &got, &err), 0);
    im->kind = XENO_IMAGE_TEMPLATE;
    assert_int_equal(xeno_store_commit(st, im, "foreign", &err), 0);
    assert_int_equal(xeno_store_resolve(st, "foreign", NULL, &got, &err), -EINVAL);
    assert_string_equal(err.token, "image.arch");
}

static void stacks(void **state)
{
    static const char *const over[] = { "overlay://a", "b" };
    xeno_auto(xeno_store) st = open_store(*state, XENO_STORE_CREATE);
    xeno_auto(xeno_image) im = NULL;
    struct xeno_layer layers[3];
    struct xeno_err err = XENO_ERR_INIT;

    make(st, "base", "0", &layers[0]);
    make(st, "a", "1", &layers[1]);
    make(st, "b", "2", &layers[2]);
    assert_int_equal(xeno_store_stack(st, "base", over, 2, &im, &err), 0);
    assert_int_equal(im->layer_count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(im->layers[i].digest, layers[i].digest);
    assert_string_equal(im->digest, "");
    assert_int_equal(xeno_store_stack(st, NULL, NULL, 0, &im, &err), -EINVAL);
}

static void collecting(void **state)
{
    xeno_auto(xeno_store) st = open_store(*state, XENO_STORE_CREATE);
    struct xeno_store_collected got;
    struct xeno_err err = XENO_ERR_INIT;
    char digest[XENO_DIGEST_TEXT];
    struct xeno_layer one, two;
    xeno_auto(xeno_image) im = NULL;

    make(st, "one", "1", &one);
    make(st, "two", "2", &two);
    assert_int_equal(xeno_store_put(st, "stray", 5, digest, &err), 0);
    temp_write(*state, "images/.tmp/dead", "x", 1);
    assert_int_equal(xeno_store_collect(st, false, &got, &err), 0);
    assert_int_equal(got.blobs, 1);
    assert_false(xeno_store_has(st, digest));
    assert_int_equal(xeno_store_verify(st, "one", NULL, &err), 0);

    make(st, "one", "3", NULL); /* the first "one" has no name now */
    assert_int_equal(xeno_store_collect(st, false, &got, &err), 0);
    assert_int_equal(got.blobs, 0);
    assert_true(xeno_store_has(st, one.digest));
    assert_int_equal(xeno_store_collect(st, true, &got, &err), 0);
    assert_int_equal(got.images, 1);
    assert_int_equal(got.blobs, 3); /* manifest, config, layer */
    assert_false(xeno_store_has(st, one.digest));
    assert_int_equal(xeno_store_resolve(st, "two", NULL, &im, &err), 0);

    /* A manifest that cannot be read: what it needs is not known, so nothing is removed. */
    {
        char path[200];

        snprintf(path, sizeof(path), "images/blobs/sha256/%s", im->digest + 7);
        temp_write(*state, path, "{}", 2);
    }
    assert_int_equal(xeno_store_put(st, "stray", 5, digest, &err), 0);
    assert_int_equal(xeno_store_collect(st, false, &got, &err), -EBADMSG);
    assert_true(xeno_store_has(st, digest));
    assert_int_equal(xeno_store_remove(st, im->digest, &err), 0);
    assert_int_equal(xeno_store_collect(st, false, &got, &err), 0);
    assert_false(xeno_store_has(st, digest));
}

static void damage(void **state)
{
    xeno_auto(xeno_store) st = open_store(*state, XENO_STORE_CREATE);
    xeno_auto(xeno_store_list) list = NULL;
    xeno_auto(xeno_image) im = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_layer layer;
    char path[300];

    make(st, "x", "1", &layer);
    make(st, "y", "2", NULL);
    snprintf(path, sizeof(path), "images/blobs/sha256/%s", layer.digest + 7);
    temp_write(*state, path, "short", 5);
    assert_int_equal(xeno_store_resolve(st, "x", NULL, &im, &err), -EBADMSG);
    assert_int_equal(xeno_store_list(st, &list, &err), 0);
    assert_int_equal(list->count, 2);
    assert_null(list->items[0].image);
    assert_true(list->items[0].problem[0] != '\0');
    assert_non_null(list->items[1].image);
    temp_write(*state, "images/index.json", "{\"schemaVersion\":2,", 19);
    assert_int_equal(xeno_store_resolve(st, "y", NULL, &im, &err), -EINVAL);
    assert_int_equal(xeno_store_collect(st, true, NULL, &err), -EINVAL);
}

/* Four processes add images and one collects, all at once: every name is there in the end. */
static void many_writers(void **state)
{
    xeno_auto(xeno_store) st = open_store(*state, XENO_STORE_CREATE);
    xeno_auto(xeno_store_list) list = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    pid_t pids[5];

    for (int p = 0; p < 5; p++) {
        pids[p] = fork();
        if (pids[p] == 0) {
            struct xeno_store *mine = open_store(*state, XENO_STORE_WRITE);
            char name[32];

            for (int i = 0; i < 10; i++) {
                snprintf(name, sizeof(name), "p%d-%d", p, i);
                if (p == 4 && xeno_store_collect(mine, false, NULL, &err) < 0)
                    _exit(1);
                if (p == 4)
                    continue;
                if (xeno_store_hold(mine, &err) < 0)
                    _exit(2);
                make(mine, name, name, NULL);
                xeno_store_drop(mine);
            }
            _exit(0);
        }
    }
    for (int p = 0; p < 5; p++) {
        int status;

        assert_int_equal(waitpid(pids[p], &status, 0), pids[p]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(xeno_store_list(st, &list, &err), 0);
    assert_int_equal(list->count, 40);
    for (size_t i = 0; i < list->count; i++)
        assert_non_null(list->items[i].image);
}

static void layers_by_digest(void **state)
{
    xeno_auto(xeno_store) st = open_store(*state, XENO_STORE_CREATE);
    xeno_auto(xeno_image) liar = xeno_image_new();
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_layer layer, got;

    make(st, "x", "1", &layer);
    assert_int_equal(xeno_store_layer(st, layer.digest, 0, &got, &err), 0);
    assert_string_equal(got.diff_id, layer.diff_id);
    assert_int_equal(xeno_store_layer(st, layer.digest, 1, &got, &err), -ENOENT);
    xeno_image_add_layer(liar, &layer);
    liar->layers[0].diff_id[10] ^= 1;
    assert_int_equal(xeno_store_commit(st, liar, "liar", &err), 0);
    assert_int_equal(xeno_store_layer(st, layer.digest, 1, &got, &err), 0);
    assert_string_not_equal(got.diff_id, layer.diff_id);
    assert_int_equal(xeno_store_layer(st, layer.digest, 2, &got, &err), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(opening, setup, teardown),
        cmocka_unit_test_setup_teardown(blobs, setup, teardown),
        cmocka_unit_test_setup_teardown(names, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_references, setup, teardown),
        cmocka_unit_test_setup_teardown(kinds_and_machines, setup, teardown),
        cmocka_unit_test_setup_teardown(stacks, setup, teardown),
        cmocka_unit_test_setup_teardown(collecting, setup, teardown),
        cmocka_unit_test_setup_teardown(damage, setup, teardown),
        cmocka_unit_test_setup_teardown(many_writers, setup, teardown),
        cmocka_unit_test_setup_teardown(layers_by_digest, setup, teardown),
    };

    xeno_crypto_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
