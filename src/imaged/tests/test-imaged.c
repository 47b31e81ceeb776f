/* src/imaged/tests/test-imaged.c - what may be connected to, what is remembered, and what goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "image/store.h"
#include "imaged/imaged.h"

static struct xeno_env_test world;
static struct imaged d;
static char folder[64];

static void open_memory(void)
{
    assert_int_equal(memory_open(&d, NULL), 0);
}

static void close_memory(void)
{
    memory_close(&d);
    repos_close(&d);
    d.local = NULL;
    d.keep_heard = false;
}

static int begin(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/xeno-imaged.XXXXXX");
    assert_non_null(mkdtemp(folder));
    xeno_env_test_init(&world, xeno_s(1000000), 1);
    d = (struct imaged){ .env = &world.env,
                         .mutex = PTHREAD_MUTEX_INITIALIZER,
                         .files_mutex = PTHREAD_MUTEX_INITIALIZER,
                         .who_mutex = PTHREAD_MUTEX_INITIALIZER,
                         .who_dirfd = -1 };
    d.opt = (struct imaged_options){ .dir = folder, .store_bytes = 1 << 20, .per_host = 8 };
    open_memory();
    return 0;
}

static int end(void **state)
{
    (void)state;
    close_memory();
    assert_int_equal(xeno_remove_tree(AT_FDCWD, folder, NULL), 0);
    return 0;
}

static struct repo *repo(const char *host, const char *name)
{
    struct xeno_registry_name where = { .host = "" };
    struct repo *p = NULL;

    snprintf(where.host, sizeof where.host, "%s", host);
    snprintf(where.repo, sizeof where.repo, "%s", name);
    assert_int_equal(repo_get(&d, &where, &p, NULL), 0);
    return p;
}

/* --- what may be connected to --- */

static void guarded(void **state)
{
    static const struct {
        const char *list, *repo, *host, *address;
        int port;
        bool want;
    } rows[] = {
        { "", "r.example", "r.example", "8.8.8.8", 443, true },
        { "", "r.example", "r.example", "10.0.0.1", 443, false },
        { "", "127.0.0.1:5000", "127.0.0.1", "127.0.0.1", 5000, false },
        /* listed: wherever it is */
        { "r.example", "r.example", "r.example", "10.0.0.1", 443, true },
        { "R.example", "r.EXAMPLE", "r.example", "10.0.0.1", 443, true },
        { "a, r.example:5000 ,b", "r.example:5000", "r.example", "10.0.0.1", 5000, true },
        { "http://localhost", "localhost", "localhost", "127.0.0.1", 80, true },
        { "http://localhost:5000", "localhost:5000", "localhost", "::1", 5000, true },
        { "[::1]:5000", "[::1]:5000", "::1", "::1", 5000, true },
        { "[::1]", "[::1]", "::1", "::1", 443, true },
        /* another port, another host, a part of a name */
        { "r.example", "r.example", "r.example", "10.0.0.1", 80, false },
        { "r.example:5000", "r.example:5001", "r.example", "10.0.0.1", 5001, false },
        { "r.example:5000", "r.example", "r.example", "10.0.0.1", 443, false },
        { "or.example", "r.example", "r.example", "10.0.0.1", 443, false },
        { "r.example.net", "r.example", "r.example", "10.0.0.1", 443, false },
        /* a redirect, or where tokens are: of one that is listed to one that is not */
        { "r.example", "r.example", "meta.example", "169.254.169.254", 80, false },
        { "r.example", "r.example", "r.example", "10.0.0.1", 8443, false },
        { "r.example", "r.example", "cdn.example", "8.8.8.8", 443, true },
        { "r.example,s.example", "r.example", "s.example", "10.0.0.2", 443, true },
        /* of one that is not listed to one that is */
        { "r.example", "evil.example", "r.example", "10.0.0.1", 443, false },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct sockaddr_in in = { .sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)rows[i].port) };
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = in.sin_port };
        struct xeno_http_peer peer = { .host = rows[i].host };
        struct xeno_err err = XENO_ERR_INIT;
        int r;

        print_message("%s: %s to %s\n", rows[i].list, rows[i].repo, rows[i].address);
        d.opt.registries = (char *)rows[i].list;
        assert_int_equal(guard_entries(rows[i].list, NULL), 0);
        if (inet_pton(AF_INET, rows[i].address, &in.sin_addr) == 1)
            peer.address = (struct sockaddr *)&in;
        else if (inet_pton(AF_INET6, rows[i].address, &in6.sin6_addr) == 1)
            peer.address = (struct sockaddr *)&in6;
        r = guard_check(repo(rows[i].repo, "x"), &peer, &err);
        assert_int_equal(r, rows[i].want ? 0 : -EPERM);
        assert_string_equal(err.token, rows[i].want ? "" : "agent.refused");
    }
}

static void lists(void **state)
{
    static const struct {
        const char *list;
        int want;
    } rows[] = { { "", 0 },
                 { "a", 0 },
                 { "a:1, b:2", 0 },
                 { " a , ,b ", 0 },
                 { "http://a:1", 0 },
                 { "[::1]:1", 0 },
                 { "https://a", -EINVAL },
                 { "a/b", -EINVAL },
                 { "http://", -EINVAL } };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        print_message("'%s'\n", rows[i].list);
        assert_int_equal(guard_entries(rows[i].list, NULL), rows[i].want);
    }
}

/* --- what is remembered --- */

/* An image with a layer that only it has, and one that all have; neither is there. */
static void resolve(int n, const char *from, char ret[XENO_DIGEST_TEXT])
{
    xeno_autofree char *path = imaged_path(&d, "store");
    xeno_auto(xeno_store) st = NULL;
    xeno_auto(xeno_image) im = xeno_image_new();
    xeno_auto(xeno_image) back = NULL;

    assert_int_equal(xeno_store_open(path, XENO_STORE_WRITE, &st, NULL), 0);
    for (int i = 0; i < 2; i++) {
        struct xeno_layer l = { .size_bytes = 1000, .compression = XENO_COMPRESS_ZSTD };

        snprintf(l.digest, sizeof l.digest, "sha256:%064d", i == 0 ? 1 : 100 + n);
        snprintf(l.diff_id, sizeof l.diff_id, "sha256:%064d", i == 0 ? 1 : 100 + n);
        xeno_image_add_layer(im, &l);
    }
    assert_int_equal(xeno_store_commit(st, im, NULL, NULL), 0);
    assert_int_equal(xeno_store_load(st, im->digest, &back, NULL), 0);
    assert_int_equal(memory_resolved(&d, back, from ? repo("h.example", from) : NULL, NULL), 0);
    strcpy(ret, im->digest);
}

static void sources_of(const char *digest, char *out, size_t room)
{
    struct layer_view v = { .source_count = 0 };

    *out = '\0';
    if (memory_layer(&d, digest, &v, NULL) < 0)
        snprintf(out, room, "unknown");
    for (size_t i = 0; i < v.source_count; i++)
        snprintf(out + strlen(out), room - strlen(out), "%s ", strrchr(v.sources[i], '/') + 1);
    layer_view_release(&v);
}

static void where_layers_are(void **state)
{
    char image[XENO_DIGEST_TEXT], common[XENO_DIGEST_TEXT], text[200];

    (void)state;
    snprintf(common, sizeof common, "sha256:%064d", 1);
    resolve(1, "a", image);
    resolve(2, "b", image);
    sources_of(common, text, sizeof text);
    assert_string_equal(text, "b a ");
    resolve(1, "a", image);
    sources_of(common, text, sizeof text);
    assert_string_equal(text, "a b "); /* the last one named first */
    close_memory();
    open_memory();
    sources_of(common, text, sizeof text);
    assert_string_equal(text, "a b "); /* after a restart, too */
    for (char name[] = "c"; name[0] <= 'k'; name[0]++)
        resolve(1, name, image);
    sources_of(common, text, sizeof text);
    assert_string_equal(text, "k j i h g f e d "); /* so many are remembered */
    close_memory();
    open_memory();
    sources_of(common, text, sizeof text);
    assert_string_equal(text, "k j i h g f e d ");
}

static void names(void **state)
{
    char image[XENO_DIGEST_TEXT], other[XENO_DIGEST_TEXT], got[XENO_DIGEST_TEXT] = "";

    (void)state;
    resolve(1, "a", image);
    resolve(2, "a", other);
    assert_int_equal(memory_name(&d, "oci://h/a:1", got, NULL), -ENOENT);
    assert_int_equal(memory_name_set(&d, "oci://h/a:1", image, NULL), 0);
    assert_int_equal(memory_name(&d, "oci://h/a:1", got, NULL), 0);
    assert_string_equal(got, image);
    assert_int_equal(memory_name_set(&d, "oci://h/a:1", other, NULL), 0);
    assert_int_equal(memory_name(&d, "oci://h/a:1", got, NULL), 0);
    assert_string_equal(got, other); /* it moved */
    memory_sweep(&d);
    assert_int_equal(memory_name(&d, "oci://h/a:1", got, NULL), 0);
    memory_forget(&d, other);
    memory_sweep(&d);
    assert_int_equal(memory_name(&d, "oci://h/a:1", got, NULL), -ENOENT);
}

/* A file that a crash or a bad disk spoilt is as good as none. */
static void spoilt(void **state)
{
    xeno_autofree char *layer = imaged_path(&d, "layers/%064d", 1);
    char image[XENO_DIGEST_TEXT], digest[XENO_DIGEST_TEXT], text[200];

    (void)state;
    resolve(1, "a", image);
    snprintf(digest, sizeof digest, "sha256:%064d", 1);
    assert_int_equal(
        xeno_file_write(AT_FDCWD, layer, 0600, "\n\x01garbage\noci://h.example/z\n", 29, NULL), 0);
    close_memory();
    open_memory();
    sources_of(digest, text, sizeof text);
    assert_string_equal(text, "z ");
}

/* --- what goes --- */

static void oldest_is(const char *want)
{
    char got[XENO_DIGEST_TEXT] = "none";

    memory_oldest(&d, got);
    assert_string_equal(got, want);
}

static void what_goes(void **state)
{
    char one[XENO_DIGEST_TEXT], two[XENO_DIGEST_TEXT], three[XENO_DIGEST_TEXT];
    char keep[2][XENO_DIGEST_TEXT];

    (void)state;
    resolve(1, "a", one);
    world.now = xeno_time_add(world.now, xeno_s(10));
    resolve(2, "a", two);
    world.now = xeno_time_add(world.now, xeno_s(10));
    resolve(3, "a", three);
    world.now = xeno_time_add(world.now, xeno_s(595));
    oldest_is("none"); /* nobody said yet what is needed */
    memory_keep(&d, keep, 0, false);
    oldest_is(one); /* the third was asked for within ten minutes; of the others, the older */
    strcpy(keep[0], one);
    memory_keep(&d, keep, 1, false);
    oldest_is(two);
    strcpy(keep[0], two);
    memory_keep(&d, keep, 1, true); /* not the end of the list yet: the first is still needed */
    oldest_is("none");
    strcpy(keep[0], three);
    memory_keep(&d, keep, 1, false);
    oldest_is(one);
    resolve(1, NULL, one);
    oldest_is("none"); /* it was just used, the others were in the two parts of the list */
    world.now = xeno_time_add(world.now, xeno_s(700));
    oldest_is(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(guarded, begin, end),
        cmocka_unit_test(lists),
        cmocka_unit_test_setup_teardown(where_layers_are, begin, end),
        cmocka_unit_test_setup_teardown(names, begin, end),
        cmocka_unit_test_setup_teardown(spoilt, begin, end),
        cmocka_unit_test_setup_teardown(what_goes, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
