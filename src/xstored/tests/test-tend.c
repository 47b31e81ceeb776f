/* src/xstored/tests/test-tend.c - what ends by itself, what is too much, and what is damaged. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "xstored/upload.h"

#define MT_IMAGE "application/vnd.oci.image.manifest.v1+json"
#define DAY_MS   INT64_C(86400000)

/* Until it holds, without waiting for ticks. */
#define tended(cond) fixture_until(&f, (xstored_tend_now(&f.d), (cond)))

static struct fixture f;
static struct answer a;
static char repo[64], second[64]; /* Alice's */

static void begin(const char *options)
{
    fixture_make(&f);
    fixture_start(&f, options);
    snprintf(repo, sizeof repo, "%s/web", f.id[ALICE].s);
    snprintf(second, sizeof second, "%s/second", f.id[ALICE].s);
}

static void end(void)
{
    answer_release(&a);
    assert_int_equal(xstored_meta_check(f.d.view, NULL), 0);
    fixture_stop(&f);
    fixture_remove(&f);
}

static void path_of(const char *digest, char ret[256])
{
    snprintf(ret, 256, "%s/objects/%s", f.dir, digest + strlen("sha256:"));
}

static bool has_object(const char *digest)
{
    char path[256];

    path_of(digest, path);
    return access(path, F_OK) == 0;
}

static bool has_blob(const char *of, const char *digest)
{
    return fixture_say(&f, &a, BOB, "GET", NULL, "/v2/%s/blobs/%s", of, digest) == 200;
}

static int put(const char *of, const char *ref, const char *text)
{
    xeno_autofree char *path = xeno_asprintf("/v2/%s/manifests/%s", of, ref);

    return fixture_ask(
        &f,
        &(struct question){
            .who = ALICE, .method = "PUT", .path = path, .type = MT_IMAGE, .body = text },
        &a);
}

static int64_t used(void)
{
    int64_t n = 0;

    assert_int_equal(xstored_meta_used(f.d.view, f.id[ALICE].s, &n, NULL), 0);
    return n;
}

static size_t files(const char *prefix)
{
    xeno_autofree char *path = xeno_asprintf("%s/objects", f.dir);
    DIR *dir = opendir(path);
    const struct dirent *e;
    size_t n = 0;

    assert_non_null(dir);
    while ((e = readdir(dir)) != NULL)
        n += *e->d_name != '.' && strncmp(e->d_name, prefix, strlen(prefix)) == 0;
    closedir(dir);
    return n;
}

/* --- too much --- */

static void a_quota(void **state)
{
    char one[XENO_DIGEST_TEXT], two[XENO_DIGEST_TEXT], path[512];

    (void)state;
    begin("quota = 10\n");
    push_blob(&f, ALICE, repo, "123456", one);
    assert_int_equal(used(), 6);
    push_blob(&f, ALICE, second, "12", two);
    assert_int_equal(used(), 8);
    /* The same in another repository of the same owner is charged once. */
    assert_int_equal(fixture_say(&f, &a, ALICE, "POST", NULL,
                                 "/v2/%s/blobs/uploads/?mount=%s&from=%s", second, one, repo),
                     201);
    assert_int_equal(used(), 8);
    assert_int_equal(
        fixture_say(&f, &a, ALICE, "POST", "abc", "/v2/%s/blobs/uploads/?digest=%s", repo, one),
        403);
    assert_non_null(strstr(a.body, "store.quota"));
    assert_non_null(strstr(a.body, "10 bytes"));
    assert_non_null(strstr(a.body, "2 are left"));
    /* Open uploads count. */
    assert_int_equal(fixture_say(&f, &a, ALICE, "POST", NULL, "/v2/%s/blobs/uploads/", repo), 202);
    snprintf(path, sizeof path, "%s", a.location);
    assert_int_equal(fixture_say(&f, &a, ALICE, "PATCH", "ab", "%s", path), 202);
    assert_int_equal(fixture_say(&f, &a, ALICE, "PATCH", "c", "%s", path), 403);
    assert_int_equal(
        fixture_say(&f, &a, ALICE, "POST", "c", "/v2/%s/blobs/uploads/?digest=%s", repo, one), 403);
    assert_int_equal(fixture_say(&f, &a, ALICE, "DELETE", NULL, "%s", path), 204);
    /* A manifest is charged as well, and nothing of a refused one stays. */
    assert_int_equal(put(repo, "x", "{\"schemaVersion\":2,\"layers\":[]}"), 400);
    assert_int_equal(fixture_say(&f, &a, ALICE, "DELETE", NULL, "/v2/%s/blobs/%s", repo, one), 202);
    assert_int_equal(used(), 8); /* the other repository has it */
    assert_int_equal(fixture_say(&f, &a, ALICE, "DELETE", NULL, "/v2/%s/blobs/%s", second, one),
                     202);
    assert_int_equal(used(), 2);
    end();
}

/* What the metadata refuses tells the numbers as members, and undoes all of its manifest. */
static void a_manifest_over_the_quota(void **state)
{
    char config[XENO_DIGEST_TEXT], layer[XENO_DIGEST_TEXT], want[64];
    xeno_autofree char *text = NULL;

    (void)state;
    begin("quota = 500\n");
    push_blob(&f, ALICE, repo, "{}", config);
    push_blob(&f, ALICE, repo, "layer", layer);
    text = make_manifest(config, 2, layer, 5, NULL,
                         "1234567890123456789012345678901234567890"
                         "123456789012345678901234567890123456789012345"
                         "678901234567890123456789012345678901234567890"
                         "1234567890");
    assert_in_range(strlen(text), 494, 4000);
    assert_int_equal(put(repo, "x", text), 403);
    snprintf(want, sizeof want, "\"limit\":500,\"asked\":%zu,\"left\":493", strlen(text));
    assert_non_null(strstr(a.body, want));
    assert_int_equal(fixture_say(&f, &a, BOB, "GET", NULL, "/v2/%s/tags/list", repo), 200);
    assert_non_null(strstr(a.body, "[]"));
    assert_int_equal(used(), 7);
    end();
}

static void limits_in_number(void **state)
{
    char digest[XENO_DIGEST_TEXT], text[8];
    int r = 201;

    (void)state;
    begin("entries = 10\nuploads-per-owner = 2\n");
    for (int i = 0; i < 2; i++)
        assert_int_equal(fixture_say(&f, &a, ALICE, "POST", NULL, "/v2/%s/blobs/uploads/", repo),
                         202);
    assert_int_equal(fixture_say(&f, &a, ALICE, "POST", NULL, "/v2/%s/blobs/uploads/", repo), 429);
    assert_int_equal(fixture_say(&f, &a, BOB, "POST", NULL, "/v2/%s/x/blobs/uploads/", f.id[BOB].s),
                     202);
    fixture_stop(&f);
    fixture_start(&f, "entries = 10\n");
    for (int i = 0; i < 10; i++) {
        snprintf(text, sizeof text, "%d", i);
        push_blob(&f, ALICE, repo, text, digest);
    }
    digest_of("more", 4, digest);
    r = fixture_say(&f, &a, ALICE, "POST", "more", "/v2/%s/blobs/uploads/?digest=%s", repo, digest);
    assert_int_equal(r, 403);
    assert_non_null(strstr(a.body, "store.entries"));
    assert_false(has_object(digest));
    end();
}

/* --- what is over --- */

static void idle_blobs_go(void **state)
{
    char config[XENO_DIGEST_TEXT], layer[XENO_DIGEST_TEXT], idle[XENO_DIGEST_TEXT],
        shared[XENO_DIGEST_TEXT];
    xeno_autofree char *text = NULL;

    (void)state;
    begin("grace = 1d\n");
    push_blob(&f, ALICE, repo, "{}", config);
    push_blob(&f, ALICE, repo, "layer", layer);
    push_blob(&f, ALICE, repo, "idle", idle);
    text = make_manifest(config, 2, layer, 5, NULL, "x");
    assert_int_equal(put(repo, "x", text), 201);
    f.ahead_ms = DAY_MS / 2 + 1000;
    push_blob(&f, ALICE, second, "shared", shared);
    /* The owner's question starts the grace time over, a stranger's does not. */
    push_blob(&f, ALICE, repo, "asked for", shared);
    f.ahead_ms = DAY_MS + 2000;
    tended(!has_object(idle));
    assert_false(has_blob(repo, idle));
    assert_true(has_blob(repo, layer));
    assert_int_equal(fixture_say(&f, &a, BOB, "HEAD", NULL, "/v2/%s/blobs/%s", repo, shared), 200);
    f.ahead_ms = DAY_MS * 5 / 4;
    assert_int_equal(fixture_say(&f, &a, ALICE, "HEAD", NULL, "/v2/%s/blobs/%s", repo, shared),
                     200);
    f.ahead_ms = DAY_MS * 2;
    digest_of("shared", 6, idle);
    tended(!has_object(idle)); /* that of `second` */
    assert_true(has_blob(repo, shared));
    /* Once the manifest goes, so does what it needed. */
    assert_int_equal(fixture_say(&f, &a, ALICE, "DELETE", NULL, "/v2/%s/manifests/x", repo), 202);
    digest_of(text, strlen(text), idle);
    assert_int_equal(fixture_say(&f, &a, ALICE, "DELETE", NULL, "/v2/%s/manifests/%s", repo, idle),
                     202);
    tended(!has_object(idle));
    assert_true(has_object(layer));
    f.ahead_ms = DAY_MS * 4;
    tended(!has_object(layer) && !has_object(config) && !has_object(shared));
    tended(files("") == 0); /* and the room is given back */
    tended(used() == 0);
    fixture_say(&f, &a, ALICE, "GET", NULL, "/v2/_catalog");
    assert_non_null(strstr(a.body, "[]"));
    end();
}

static void uploads_go(void **state)
{
    (void)state;
    begin("upload-life = 1h\n");
    assert_int_equal(fixture_say(&f, &a, ALICE, "POST", NULL, "/v2/%s/blobs/uploads/", repo), 202);
    assert_int_equal(fixture_say(&f, &a, ALICE, "PATCH", "abc", "%s", a.location), 202);
    f.ahead_ms = 3600 * 1000 / 2;
    xstored_tend_now(&f.d);
    assert_int_equal(HASH_COUNT(f.d.uploads), 1);
    f.ahead_ms = 3600 * 1000 + 2000;
    tended(HASH_COUNT(f.d.uploads) == 0);
    assert_null(f.d.uses);
    end();
}

/* What has no row is removed after a start; what has one, is not. */
static void litter_goes(void **state)
{
    char digest[XENO_DIGEST_TEXT], path[256];

    (void)state;
    begin(NULL);
    push_blob(&f, ALICE, repo, "stays", digest);
    assert_int_equal(fixture_say(&f, &a, ALICE, "POST", NULL, "/v2/%s/blobs/uploads/", repo), 202);
    assert_int_equal(fixture_say(&f, &a, ALICE, "PATCH", "abc", "%s", a.location), 202);
    fixture_stop(&f);
    for (int i = 0; i < 700; i++) {
        snprintf(path, sizeof path, "%s/objects/%s%060d", f.dir, "abcd", i);
        close(open(path, O_WRONLY | O_CREAT, 0600));
    }
    snprintf(path, sizeof path, "%s/objects/up-0123456789abcdef0123456789abcdef", f.dir);
    close(open(path, O_WRONLY | O_CREAT, 0600));
    fixture_start(&f, NULL);
    assert_int_equal(access(path, F_OK), -1);
    tended(files("abcd") == 0);
    assert_true(has_blob(repo, digest));
    assert_int_equal(files("up-"), 1);

    end();
}

/* --- damage --- */

static void spoil(const char *digest, bool shorten)
{
    char path[256];
    int fd;

    path_of(digest, path);
    fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(shorten ? ftruncate(fd, 2) : pwrite(fd, "X", 1, 1), shorten ? 0 : 1);
    close(fd);
}

static int64_t damaged(void)
{
    struct xstored_total t;

    assert_int_equal(xstored_meta_total(f.d.view, &t, NULL), 0);
    return t.damaged;
}

static void damage_is_found(void **state)
{
    char good[XENO_DIGEST_TEXT], bad[XENO_DIGEST_TEXT], other[80];

    (void)state;
    begin("scrub-every = 1s\n");
    push_blob(&f, ALICE, repo, "good", good);
    push_blob(&f, ALICE, repo, "bad one", bad);
    assert_int_equal(fixture_say(&f, &a, BOB, "POST", NULL,
                                 "/v2/%s/x/blobs/uploads/?mount=%s&from=%s", f.id[BOB].s, bad,
                                 repo),
                     201);
    spoil(bad, false);
    fixture_until(&f, damaged() == 1);
    assert_int_equal(f.d.counts.quarantined, 1);
    assert_false(has_object(bad));
    assert_false(has_blob(repo, bad));
    assert_true(has_blob(repo, good));
    assert_int_equal(files("bad-"), 1);
    /* Pushed anew by one, it is good for all who have it. */
    push_blob(&f, ALICE, repo, "bad one", bad);
    snprintf(other, sizeof other, "%s/x", f.id[BOB].s);
    assert_true(has_blob(other, bad));
    assert_int_equal(damaged(), 0);
    end();
}

/* Where a pass was is where it goes on after a restart; once it is over the next one is whole. */
static void a_scrub_goes_on(void **state)
{
    char one[XENO_DIGEST_TEXT], two[XENO_DIGEST_TEXT], at[XENO_DIGEST_TEXT];
    xeno_autofree char *url = NULL;
    struct xeno_db *db = NULL;

    (void)state;
    begin("scrub-every = 365d\n");
    push_blob(&f, ALICE, repo, "one", one);
    push_blob(&f, ALICE, repo, "two", two);
    assert_true(strcmp(two, one) < 0);
    fixture_stop(&f);
    url = xeno_asprintf("sqlite:%s/store.db", f.dir);
    assert_int_equal(xeno_db_open(url, &db, NULL), 0);
    assert_int_equal(xstored_meta_scrubbed_to(db, two, NULL), 0);
    xeno_db_free(db);
    spoil(one, false);
    spoil(two, false);
    fixture_start(&f, "scrub-every = 365d\n");
    fixture_until(&f, damaged() == 1);
    assert_true(has_object(two));
    fixture_until(&f, xstored_meta_scrubbed(f.d.view, at, NULL) == 0 && *at == '\0');
    fixture_stop(&f);
    fixture_start(&f, "scrub-every = 365d\n");
    fixture_until(&f, damaged() == 2);
    end();
}

/* Before any scrub: a manifest is looked at each time, a blob by its size, and by its content while
 * all of it leaves. */
static void damage_is_not_served(void **state)
{
    char config[XENO_DIGEST_TEXT], layer[XENO_DIGEST_TEXT], digest[XENO_DIGEST_TEXT];
    xeno_autofree char *text = NULL;

    (void)state;
    begin(NULL);
    push_blob(&f, ALICE, repo, "{}", config);
    push_blob(&f, ALICE, repo, "layer", layer);
    text = make_manifest(config, 2, layer, 5, NULL, "x");
    digest_of(text, strlen(text), digest);
    assert_int_equal(put(repo, "x", text), 201);
    spoil(digest, false);
    spoil(layer, true);
    assert_int_equal(fixture_say(&f, &a, BOB, "GET", NULL, "/v2/%s/manifests/x", repo), 404);
    assert_false(has_blob(repo, layer));
    fixture_until(&f, damaged() == 2);
    push_blob(&f, ALICE, repo, "layer", layer);
    assert_int_equal(put(repo, "x", text), 201);
    assert_int_equal(fixture_say(&f, &a, BOB, "GET", NULL, "/v2/%s/manifests/x", repo), 200);
    assert_string_equal(a.body, text);
    spoil(config, false);
    assert_int_equal(fixture_say(&f, &a, BOB, "GET", NULL, "/v2/%s/blobs/%s", repo, config), 0);
    fixture_until(&f, damaged() == 1);
    assert_false(has_blob(repo, config));
    push_blob(&f, ALICE, repo, "{}", config);
    assert_true(has_blob(repo, config));
    /* And one that is gone altogether. */
    assert_int_equal(f.d.objects->back->remove(f.d.objects, layer, NULL), 0);
    assert_false(has_blob(repo, layer));
    fixture_until(&f, damaged() == 1);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quota),          cmocka_unit_test(a_manifest_over_the_quota),
        cmocka_unit_test(limits_in_number), cmocka_unit_test(idle_blobs_go),
        cmocka_unit_test(uploads_go),       cmocka_unit_test(litter_goes),
        cmocka_unit_test(damage_is_found),  cmocka_unit_test(damage_is_not_served),
        cmocka_unit_test(a_scrub_goes_on),
    };

    return cmocka_run_group_tests_name("tend", tests, NULL, NULL);
}
