/* src/task/tests/test-layers.c - how the layers of a session are to be stacked. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "crypto/key.h"
#include "image/build.h"
#include "image/cache.h"
#include "task/oci/layers.h"

#define PIN "x1-aaaaaaaaaaaaaaaa"

/* One image is in the operator's store; of another, and of a stranger's that names the same layer,
 * the image manager has the manifest. */
static char folder[64];
static char here[XENO_DIGEST_TEXT], away[XENO_DIGEST_TEXT]; /* their layers */
static char manifest[XENO_DIGEST_TEXT], strangers[XENO_DIGEST_TEXT];
static struct xeno_toc_place table;
static struct xeno_oci_layers layers;
static struct xeno_task_spec spec;
static enum xeno_agent_way way;
static int asked, answer;

static char *in_folder(const char *name)
{
    return xeno_asprintf("%s/%s", folder, name);
}

static struct xeno_store *store_of(const char *name)
{
    xeno_autofree char *path = in_folder(name);
    struct xeno_store *st = NULL;

    assert_int_equal(xeno_store_open(path, XENO_STORE_CREATE, &st, NULL), 0);
    return st;
}

static struct xeno_image *make(const char *store, const char *name)
{
    xeno_autofree char *root = in_folder(name),
                       *file = xeno_asprintf("%s/%s/%s", folder, name, name);
    struct xeno_import_opts o = { .path = root, .name = name };
    xeno_auto(xeno_store) st = store_of(store);
    struct xeno_image *im = NULL;
    struct xeno_made made;

    assert_int_equal(xeno_mkdirs(AT_FDCWD, root, 0755, NULL), 0);
    assert_int_equal(xeno_file_write(AT_FDCWD, file, 0644, name, strlen(name), NULL), 0);
    assert_int_equal(xeno_image_import(st, &o, &made, NULL), 0);
    assert_int_equal(xeno_store_resolve(st, name, NULL, &im, NULL), 0);
    assert_int_equal(im->layer_count, 1);
    return im;
}

/* The blob of the layer that is away, where it is and where it is not. */
static void move_blob(bool there)
{
    const char *hex = away + strlen("sha256:");
    xeno_autofree char *in = xeno_asprintf("%s/imaged/blobs/sha256/%s", folder, hex);
    xeno_autofree char *out = in_folder("registry");

    assert_int_equal(there ? rename(out, in) : rename(in, out), 0);
}

static int fetch(void *arg, const char *layer, struct xeno_agent_fetched *ret, struct xeno_err *err)
{
    (void)arg;
    asked++;
    assert_string_equal(layer, away);
    if (answer < 0)
        return xeno_fail(err, answer, "agent.source", "nobody has it");
    if (way == XENO_AGENT_WHOLE)
        move_blob(true);
    *ret = (struct xeno_agent_fetched){ .way = way, .size_bytes = 1 };
    return 0;
}

static int setup(void **state)
{
    xeno_auto(xeno_image) one = NULL;
    xeno_auto(xeno_image) two = NULL;
    xeno_auto(xeno_store) st = NULL;

    (void)state;
    strcpy(folder, "/var/tmp/xeno-test-layers.XXXXXX");
    assert_non_null(mkdtemp(folder));
    one = make("images", "one");
    two = make("imaged", "two");
    strcpy(here, one->layers[0].digest);
    strcpy(away, two->layers[0].digest);
    strcpy(manifest, two->digest);
    table = two->layers[0].toc;
    st = store_of("imaged");
    two->layers[0].toc.offset++;
    assert_int_equal(xeno_store_commit(st, two, "a", NULL), 0);
    strcpy(strangers, two->digest);
    assert_string_not_equal(strangers, manifest);
    move_blob(false);
    layers = (struct xeno_oci_layers){ .cache = in_folder("cache"),
                                       .images = in_folder("images"),
                                       .imaged_store = in_folder("imaged"),
                                       .fetch = fetch };
    spec = (struct xeno_task_spec){ .nlayers = 2, .nimages = 1 };
    strcpy(spec.layers[0], away);
    strcpy(spec.layers[1], here);
    strcpy(spec.images[0], manifest);
    way = XENO_AGENT_PIECES;
    asked = answer = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free((char *)layers.cache);
    free((char *)layers.images);
    free((char *)layers.imaged_store);
    return xeno_remove_tree(AT_FDCWD, folder, NULL);
}

/* What is pinned, without the newlines. */
static char *pinned(void)
{
    xeno_autofree char *path = in_folder("cache/pins/" PIN);
    char *text = NULL;
    size_t len;

    assert_int_equal(xeno_file_read(AT_FDCWD, path, 4096, &text, &len, NULL), 0);
    return text;
}

static void all_here(void **state)
{
    xeno_auto(xeno_stack) s = NULL;
    xeno_autofree char *pins = NULL;

    (void)state;
    spec.nlayers = 1;
    strcpy(spec.layers[0], here);
    assert_false(xeno_oci_layers_away(&layers, &spec));
    assert_int_equal(xeno_oci_layers_ready(&layers, &spec, PIN, NULL, &s, NULL), 0);
    assert_null(s);
    assert_int_equal(asked, 0);
    pins = pinned();
    assert_memory_equal(pins, here + 7, 64);
    assert_int_equal(xeno_oci_layers_ready(&layers, &spec, PIN, NULL, &s, NULL), 0);
    assert_null(s);
}

static void one_by_pieces(void **state)
{
    xeno_auto(xeno_stack) s = NULL;
    xeno_autofree char *pins = NULL, *dir = xeno_asprintf("%s/layers/%s", layers.cache, here + 7);

    (void)state;
    assert_true(xeno_oci_layers_away(&layers, &spec));
    assert_int_equal(xeno_oci_layers_ready(&layers, &spec, PIN, NULL, &s, NULL), 0);
    assert_non_null(s);
    assert_int_equal(asked, 1);
    assert_int_equal(s->count, 2);
    assert_null(s->parts[0].dir);
    assert_string_equal(s->parts[0].layer.digest, away);
    assert_string_equal(s->parts[1].dir, dir);
    assert_int_equal(access(dir, F_OK), 0);
    pins = pinned();
    assert_int_equal(strlen(pins), 65); /* only what is whole */
    assert_memory_equal(pins, here + 7, 64);
}

/* Both manifests are in the store; the session's own is taken. */
static void by_its_own_manifest(void **state)
{
    xeno_auto(xeno_stack) s = NULL;
    xeno_auto(xeno_stack) other = NULL;

    (void)state;
    assert_int_equal(xeno_oci_layers_ready(&layers, &spec, PIN, NULL, &s, NULL), 0);
    assert_memory_equal(&s->parts[0].layer.toc, &table, sizeof table);
    strcpy(spec.images[0], strangers);
    assert_int_equal(xeno_oci_layers_ready(&layers, &spec, PIN, NULL, &other, NULL), 0);
    assert_int_equal(other->parts[0].layer.toc.offset, table.offset + 1);
}

static void by_no_manifest(void **state)
{
    struct xeno_err err = XENO_ERR_INIT;
    xeno_auto(xeno_stack) s = NULL;

    (void)state;
    spec.nimages = 0;
    assert_int_equal(xeno_oci_layers_ready(&layers, &spec, PIN, NULL, &s, &err), -EINVAL);
    assert_string_equal(err.token, "oci.images");
    spec.nimages = 1;
    memset(spec.images[0] + 7, 'f', 64);
    assert_int_equal(xeno_oci_layers_ready(&layers, &spec, PIN, NULL, &s, &err), -EINVAL);
    assert_string_equal(err.token, "oci.images");
    assert_null(s);
}

static void whole(void **state)
{
    xeno_autofree char *dir = xeno_asprintf("%s/layers/%s", layers.cache, away + 7);
    xeno_auto(xeno_stack) s = NULL;

    (void)state;
    way = XENO_AGENT_WHOLE;
    spec.nimages = 0;
    assert_int_equal(xeno_oci_layers_ready(&layers, &spec, PIN, NULL, &s, NULL), 0);
    assert_null(s);
    assert_int_equal(asked, 1);
    assert_int_equal(access(dir, F_OK), 0);
    assert_false(xeno_oci_layers_away(&layers, &spec));
}

static void stays_by_pieces(void **state)
{
    xeno_auto(xeno_stack) before = NULL;
    xeno_auto(xeno_stack) s = NULL;

    (void)state;
    assert_int_equal(xeno_oci_layers_ready(&layers, &spec, PIN, NULL, &before, NULL), 0);
    asked = 0;
    answer = -EIO; /* nobody is asked any more */
    assert_int_equal(xeno_oci_layers_ready(&layers, &spec, PIN, before, &s, NULL), 0);
    assert_int_equal(asked, 0);
    assert_non_null(s);
    assert_null(s->parts[0].dir);
    assert_memory_equal(&s->parts[0].layer.toc, &table, sizeof table);
    assert_string_equal(s->parts[1].dir, before->parts[1].dir);
}

static void cannot_be_had(void **state)
{
    struct xeno_err err = XENO_ERR_INIT;
    xeno_auto(xeno_stack) s = NULL;

    (void)state;
    answer = -EIO;
    assert_int_equal(xeno_oci_layers_fetch(&layers, &spec, &err), -EIO);
    assert_int_equal(asked, 1); /* for the one that is away */
    assert_int_equal(xeno_oci_layers_ready(&layers, &spec, PIN, NULL, &s, &err), -EIO);
    assert_string_equal(err.token, "agent.source");
    assert_null(s);
}

static atomic_int under_way, together, calls;

/* Waits, bounded, for another to come. */
static int fetch_together(void *arg, const char *layer, struct xeno_agent_fetched *ret,
                          struct xeno_err *err)
{
    int n = atomic_fetch_add(&under_way, 1) + 1;

    (void)arg;
    (void)layer;
    atomic_fetch_add(&calls, 1);
    for (int i = 0; i < 500 && n < 2 && atomic_load(&together) < 2; i++) {
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
        n = atomic_load(&under_way);
    }
    if (n > atomic_load(&together))
        atomic_store(&together, n);
    atomic_fetch_sub(&under_way, 1);
    *ret = (struct xeno_agent_fetched){ .way = XENO_AGENT_PIECES };
    return answer < 0 ? xeno_fail(err, answer, "agent.source", "nobody has it") : 0;
}

static void several_at_a_time(void **state)
{
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    layers.fetch = fetch_together;
    spec.nlayers = 10;
    for (size_t i = 0; i < spec.nlayers; i++) {
        strcpy(spec.layers[i], away);
        spec.layers[i][70] = (char)('0' + i);
    }
    strcpy(spec.layers[9], here);
    calls = together = 0;
    assert_int_equal(xeno_oci_layers_fetch(&layers, &spec, NULL), 0);
    assert_int_equal(calls, 9);
    assert_in_range(together, 2, 4);
    calls = 0;
    answer = -EIO;
    assert_int_equal(xeno_oci_layers_fetch(&layers, &spec, &err), -EIO);
    assert_string_equal(err.token, "agent.source");
    assert_in_range(calls, 1, 4); /* no new one is begun */
}

static void without_an_image_manager(void **state)
{
    struct xeno_err err = XENO_ERR_INIT;
    xeno_auto(xeno_stack) s = NULL;

    (void)state;
    free((char *)layers.imaged_store);
    layers.imaged_store = xeno_strdup("");
    assert_false(xeno_oci_layers_away(&layers, &spec));
    assert_int_equal(xeno_oci_layers_ready(&layers, &spec, PIN, NULL, &s, &err), -ENOENT);
    assert_string_equal(err.token, "image.layer");
    assert_int_equal(asked, 0);
}

/* Its store appears when it first runs; nobody needs it for what is here. */
static void an_image_manager_that_never_ran(void **state)
{
    xeno_auto(xeno_stack) s = NULL;

    (void)state;
    free((char *)layers.imaged_store);
    layers.imaged_store = in_folder("nothing");
    spec.nlayers = 1;
    spec.nimages = 0;
    strcpy(spec.layers[0], here);
    assert_int_equal(xeno_oci_layers_ready(&layers, &spec, PIN, NULL, &s, NULL), 0);
    assert_null(s);
    assert_int_equal(asked, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_here, setup, teardown),
        cmocka_unit_test_setup_teardown(one_by_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(by_its_own_manifest, setup, teardown),
        cmocka_unit_test_setup_teardown(by_no_manifest, setup, teardown),
        cmocka_unit_test_setup_teardown(whole, setup, teardown),
        cmocka_unit_test_setup_teardown(stays_by_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(cannot_be_had, setup, teardown),
        cmocka_unit_test_setup_teardown(several_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(without_an_image_manager, setup, teardown),
        cmocka_unit_test_setup_teardown(an_image_manager_that_never_ran, setup, teardown),
    };

    xeno_crypto_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
