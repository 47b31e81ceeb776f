/* src/image/tests/test-cache.c - layers unpacked once, pinned, published whole, collected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/io.h"
#include "image/cache.h"
#include "image/tests/tar-make.h"

struct world {
    char *dir;
    struct xeno_store *st;
    struct xeno_cache *c;
    struct xeno_layer layers[3]; /* of images "a", "b", "c" */
    const char *digests[3];
};

static int setup(void **state)
{
    struct world *w = xeno_new0(struct world);
    xeno_autofree char *images = NULL, *cache = NULL;

    w->dir = temp_new();
    images = temp_path(w->dir, "images");
    cache = temp_path(w->dir, "cache");
    assert_int_equal(xeno_store_open(images, XENO_STORE_CREATE, &w->st, NULL), 0);
    assert_int_equal(xeno_cache_open(cache, &w->c, NULL), 0);
    for (int i = 0; i < 3; i++) {
        xeno_autobuf b = XENO_BUF_INIT;
        char name[2] = { (char)('a' + i) };

        tar_add(&b, &(struct member){ '0', name, .data = "content" });
        tar_end(&b);
        store_image(w->st, &b, name, &w->layers[i]);
        w->digests[i] = w->layers[i].digest;
    }
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    xeno_cache_free(w->c);
    xeno_store_free(w->st);
    temp_drop(w->dir);
    free(w);
    return 0;
}

static bool there(struct world *w, int i)
{
    xeno_autofree char *path = xeno_cache_path(w->c, w->digests[i]);

    return access(path, F_OK) == 0;
}

/* Entries of a folder of the cache. */
static size_t count(struct world *w, const char *folder)
{
    xeno_autofree char *cmd = xeno_asprintf("ls -A %s/cache/%s | wc -l", w->dir, folder);
    FILE *f = popen(cmd, "r");
    size_t n = 99;

    assert_non_null(f);
    assert_int_equal(fscanf(f, "%zu", &n), 1);
    pclose(f);
    return n;
}

static void once_for_all(void **state)
{
    struct world *w = *state;
    struct xeno_err err = XENO_ERR_INIT;
    xeno_autofree char *file = NULL;
    char **paths;
    struct stat before, after;

    if (!can_confine())
        skip();
    assert_int_equal(xeno_cache_pin(w->c, "s1", w->digests, 2, &err), 1);
    assert_int_equal(xeno_cache_ensure(w->c, w->st, "s1", w->digests, 2, NULL, &paths, &err), 0);
    file = temp_path(paths[0], "a");
    assert_int_equal(stat(file, &before), 0);
    xeno_cache_paths_free(paths, 2);
    assert_int_equal(xeno_cache_pin(w->c, "s2", w->digests, 2, &err), 0);
    assert_int_equal(xeno_cache_fill(w->c, w->st, w->digests, 2, NULL, &err), 0);
    assert_int_equal(stat(file, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(count(w, "work"), 0);
    assert_int_equal(count(w, "layers"), 2);
    assert_int_equal(fstat(xeno_cache_layers_fd(w->c), &after), 0);
    {
        xeno_autofree char *top = temp_path(w->dir, "cache");

        assert_int_equal(stat(top, &after), 0);
        assert_int_equal(after.st_mode & 07777, 0700); /* set-user-id programs are inside */
    }
}

static void collection(void **state)
{
    struct world *w = *state;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_cache_use use;
    char **names;
    size_t n;

    if (!can_confine())
        skip();
    assert_int_equal(xeno_cache_ensure(w->c, w->st, "s1", w->digests, 2, NULL, NULL, &err), 0);
    assert_int_equal(xeno_cache_ensure(w->c, w->st, "s2", w->digests + 1, 2, NULL, NULL, &err), 0);
    assert_int_equal(xeno_cache_collect(w->c, 0, &use, &err), 0);
    assert_int_equal(use.removed, 0);
    assert_int_equal(use.pinned, 3);
    assert_int_equal(xeno_cache_pinned(w->c, &names, &n, &err), 0);
    assert_int_equal(n, 2);
    xeno_cache_paths_free(names, n);

    assert_int_equal(xeno_cache_unpin(w->c, "s1", &err), 0);
    assert_int_equal(xeno_cache_unpin(w->c, "s1", &err), 0); /* again: no effect */
    assert_int_equal(xeno_cache_collect(w->c, INT64_MAX, &use, &err), 0);
    assert_int_equal(use.removed, 0); /* room enough: kept for the next session */
    assert_int_equal(xeno_cache_collect(w->c, 0, &use, &err), 0);
    assert_int_equal(use.removed, 1);
    assert_false(there(w, 0));
    assert_true(there(w, 1) && there(w, 2));
    assert_int_equal(xeno_cache_unpin(w->c, "s2", &err), 0);
    assert_int_equal(xeno_cache_collect(w->c, use.bytes - 1, &use, &err), 0);
    assert_int_equal(use.removed, 1); /* the bound, not everything */
    assert_int_equal(xeno_cache_collect(w->c, 0, &use, &err), 0);
    assert_int_equal(use.layers, 0);
    assert_int_equal(use.bytes, 0);
    assert_int_equal(count(w, "work"), 0);
    assert_int_equal(count(w, "meta"), 0);
    assert_int_equal(count(w, "locks"), 0);
    assert_int_equal(xeno_cache_ensure(w->c, w->st, "s3", w->digests, 1, NULL, NULL, &err), 0);
}

static void oldest_first(void **state)
{
    struct world *w = *state;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_cache_use use;

    if (!can_confine())
        skip();
    assert_int_equal(xeno_cache_ensure(w->c, w->st, "s", w->digests, 3, NULL, NULL, &err), 0);
    /* "a" was unpacked first and is used again; "b" is now the longest unused. */
    usleep(20000);
    assert_int_equal(xeno_cache_pin(w->c, "s", w->digests + 2, 1, &err), 0);
    usleep(20000);
    assert_int_equal(xeno_cache_pin(w->c, "s", w->digests, 1, &err), 0);
    assert_int_equal(xeno_cache_unpin(w->c, "s", &err), 0);
    assert_int_equal(xeno_cache_usage(w->c, &use, &err), 0);
    assert_int_equal(use.layers, 3);
    assert_int_equal(xeno_cache_collect(w->c, use.bytes - 1, &use, &err), 0);
    assert_true(there(w, 0) && !there(w, 1) && there(w, 2));
}

static void refusals(void **state)
{
    static const char *const bad[] = { "", "../x", "a/b", "A", "-x", "a.b" };
    struct world *w = *state;
    struct xeno_err err = XENO_ERR_INIT;
    const char *stranger[] = {
        "sha256:0000000000000000000000000000000000000000000000000000000000000000"
    };
    const char *nonsense[] = {
        "sha256:../../../../../../../../../../../../../../../../../../../etc/pa"
    };

    for (size_t i = 0; i < XENO_LEN(bad); i++) {
        assert_int_equal(xeno_cache_pin(w->c, bad[i], w->digests, 1, &err), -EINVAL);
        assert_int_equal(xeno_cache_unpin(w->c, bad[i], &err), -EINVAL);
    }
    assert_int_equal(xeno_cache_pin(w->c, "s", nonsense, 1, &err), -EINVAL);
    assert_int_equal(xeno_cache_fill(w->c, w->st, nonsense, 1, NULL, &err), -EINVAL);
    assert_int_equal(xeno_cache_fill(w->c, w->st, stranger, 1, NULL, &err), -ENOENT);
    assert_string_equal(err.token, "image.layer");
    assert_int_equal(count(w, "layers"), 0);
    assert_int_equal(count(w, "work"), 0);
}

/* Refused layers leave nothing behind; a wrong diff_id of one image does not hurt another's. */
static void bad_layers(void **state)
{
    struct world *w = *state;
    xeno_autobuf b = XENO_BUF_INIT;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_layer evil;
    const char *digests[1] = { evil.digest };
    xeno_auto(xeno_image) liar = xeno_image_new();

    if (!can_confine())
        skip();
    tar_add(&b, &(struct member){ '0', "good", .data = "x" });
    tar_add(&b, &(struct member){ '0', "../evil", .data = "x" });
    tar_end(&b);
    store_image(w->st, &b, "evil", &evil);
    assert_int_equal(xeno_cache_fill(w->c, w->st, digests, 1, NULL, &err), -EINVAL);
    print_message("%s\n", err.text);
    assert_int_equal(count(w, "layers"), 0);
    assert_int_equal(count(w, "work"), 0);
    assert_int_equal(count(w, "meta"), 0);

    xeno_image_add_layer(liar, &w->layers[0]);
    liar->layers[0].diff_id[10] ^= 1;
    assert_int_equal(xeno_store_commit(w->st, liar, "liar", &err), 0);
    assert_int_equal(xeno_cache_fill(w->c, w->st, w->digests, 1, NULL, &err), 0);
    assert_int_equal(xeno_store_remove(w->st, "a", &err), 0); /* now only the liar names it */
    assert_int_equal(xeno_cache_collect(w->c, 0, NULL, &err), 0);
    assert_int_equal(xeno_cache_fill(w->c, w->st, w->digests, 1, NULL, &err), -EBADMSG);
    assert_int_equal(count(w, "work"), 0);
}

/* What a killed process leaves is not in layers/, and goes at the next chance. */
static void litter(void **state)
{
    struct world *w = *state;
    struct xeno_err err = XENO_ERR_INIT;
    xeno_autofree char *tree = NULL, *gone = NULL;

    if (!can_confine())
        skip();
    tree = xeno_asprintf("%s/cache/work/%s.tree", w->dir, w->digests[0] + 7);
    gone = xeno_asprintf("%s/cache/work/%s.gone", w->dir, w->digests[1] + 7);
    assert_int_equal(xeno_mkdirs(AT_FDCWD, tree, 0755, NULL), 0);
    assert_int_equal(xeno_mkdirs(AT_FDCWD, gone, 0755, NULL), 0);
    temp_write(tree, "half", "x", 1);
    temp_write(w->dir, "cache/pins/.s1.123", "x", 1);
    assert_int_equal(xeno_cache_ensure(w->c, w->st, "s", w->digests, 1, NULL, NULL, &err), 0);
    assert_int_equal(count(w, "work"), 1);
    assert_int_equal(xeno_cache_collect(w->c, 0, NULL, &err), 0);
    assert_int_equal(count(w, "work"), 0);
    assert_int_equal(count(w, "pins"), 1);
    assert_true(there(w, 0));
}

/* Six processes want the same layers: all get them. */
static void at_once(void **state)
{
    struct world *w = *state;
    pid_t pids[6];

    if (!can_confine())
        skip();
    for (int p = 0; p < 6; p++) {
        pids[p] = fork();
        if (pids[p] == 0) {
            xeno_autofree char *path = temp_path(w->dir, "cache");
            char session[8] = { 's', (char)('0' + p) };
            struct xeno_cache *c = NULL;
            struct xeno_err err = XENO_ERR_INIT;
            int r = xeno_cache_open(path, &c, &err);

            if (r >= 0)
                r = xeno_cache_ensure(c, w->st, session, w->digests, 3, NULL, NULL, &err);
            if (r >= 0 && p % 2 == 1)
                r = xeno_cache_collect(c, 0, NULL, &err);
            if (r < 0)
                fprintf(stderr, "%s\n", err.text);
            _exit(r < 0);
        }
    }
    for (int p = 0; p < 6; p++) {
        int status;

        assert_int_equal(waitpid(pids[p], &status, 0), pids[p]);
        assert_int_equal(status, 0);
    }
    assert_true(there(w, 0) && there(w, 1) && there(w, 2));
    assert_int_equal(count(w, "work"), 0);
}

/* What may be a mount file is known of a layer from when it was unpacked. */
static void mount_files(void **state)
{
    static const struct {
        struct member m;
        int want;
    } rows[] = {
        { { '0', ".mount", .data = "template://a\n" }, 1 },
        { { '0', "a/b/.mount", .data = "?" }, 1 },
        { { '2', "a/.mount", .link = "b" }, 1 },
        { { '5', "a/.mount/" }, 0 },
        { { '0', "a/.wh..mount" }, 0 },
        { { '0', "a/.mounts", .data = "x" }, 0 },
    };
    struct world *w = *state;
    struct xeno_err err = XENO_ERR_INIT;

    if (!can_confine())
        skip();
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_autofree char *name = xeno_asprintf("m%zu", i);
        xeno_autobuf b = XENO_BUF_INIT;
        struct xeno_layer layer;
        const char *digest = layer.digest;

        print_message("%s\n", rows[i].m.name);
        tar_add(&b, &rows[i].m);
        tar_end(&b);
        store_image(w->st, &b, name, &layer);
        assert_int_equal(xeno_cache_mounts(w->c, digest, &err), -ENOENT);
        assert_int_equal(xeno_cache_fill(w->c, w->st, &digest, 1, NULL, &err), 0);
        assert_int_equal(xeno_cache_mounts(w->c, digest, &err), rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(once_for_all, setup, teardown),
        cmocka_unit_test_setup_teardown(collection, setup, teardown),
        cmocka_unit_test_setup_teardown(oldest_first, setup, teardown),
        cmocka_unit_test_setup_teardown(refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_layers, setup, teardown),
        cmocka_unit_test_setup_teardown(litter, setup, teardown),
        cmocka_unit_test_setup_teardown(mount_files, setup, teardown),
        cmocka_unit_test_setup_teardown(at_once, setup, teardown),
    };

    xeno_crypto_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
