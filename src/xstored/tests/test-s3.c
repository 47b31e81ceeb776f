/* src/xstored/tests/test-s3.c - objects in an object store that is away, slow or lying, and what a
 * crash leaves there. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/enc.h"
#include "base/io.h"
#include "fake-s3.h"
#include "fixture.h"

#define NAMED  "{\"an\":\"object\"}"
#define PART   1000
#define BIG    3500 /* four parts */
#define ID(c_) c_ c_ c_ c_ c_ c_ c_ c_ c_ c_ c_ c_ c_ c_ c_ c_

static struct fixture f;
static struct fake *fake;
static struct answer a;
static char repo[64], keys[128], digest[XENO_DIGEST_TEXT];

static void write_keys(mode_t mode, const char *text)
{
    assert_int_equal(xeno_file_write(AT_FDCWD, keys, mode, text, strlen(text), NULL), 0);
}

static char *options(const char *more)
{
    return xeno_asprintf("s3-url = http://127.0.0.1:%u/b/pre\ns3-keys = %s\ns3-patience = 1s\n%s",
                         fake_port(fake), keys, more);
}

static void start(const char *more)
{
    xeno_autofree char *text = options(more);

    fixture_start(&f, text);
}

static void begin(const char *more)
{
    fixture_make(&f);
    fake = fake_new();
    snprintf(keys, sizeof keys, "%s/s3-keys", f.dir);
    write_keys(0600, "access\nsecret\n");
    start(more);
    snprintf(repo, sizeof repo, "%s/web", f.id[ALICE].s);
}

static void end(void)
{
    answer_release(&a);
    assert_int_equal(xstored_meta_check(f.d.view, NULL), 0);
    fixture_stop(&f);
    fixture_remove(&f);
    fake_free(fake);
}

/* A restart that finds no copies. */
static void lose_cache(const char *more)
{
    xeno_autofree char *path = xeno_asprintf("%s/objects", f.dir);

    fixture_stop(&f);
    assert_int_equal(xeno_remove_tree(AT_FDCWD, path, NULL), 0);
    start(more);
}

static int push(void)
{
    xeno_autofree char *path = NULL;

    digest_of(NAMED, strlen(NAMED), digest);
    path = xeno_asprintf("/v2/%s/blobs/uploads/?digest=%s", repo, digest);
    return fixture_ask(
        &f, &(struct question){ .who = ALICE, .method = "POST", .path = path, .body = NAMED }, &a);
}

static int pull(void)
{
    int status = fixture_say(&f, &a, ALICE, "GET", NULL, "/v2/%s/blobs/%s", repo, digest);

    if (status == 200)
        assert_string_equal(a.body, NAMED);
    return status;
}

static int64_t damaged(void)
{
    struct xstored_total t;

    assert_int_equal(xstored_meta_total(f.d.view, &t, NULL), 0);
    return t.damaged;
}

static const struct {
    const char *name, *method;
    enum fake_fault fault;
    int status, times, want;
    int64_t damaged;
} rows[] = {
    { "503 for a moment", "PUT", FAKE_STATUS, 503, 2, 201, 0 },
    { "503 for long", "PUT", FAKE_STATUS, 503, -1, 503, 0 },
    { "500 for a moment", "PUT", FAKE_STATUS, 500, 1, 201, 0 },
    { "it was done and not said", "PUT", FAKE_DROP, 0, 1, 201, 0 },
    { "it was done and is never said", "PUT", FAKE_DROP, 0, -1, 503, 0 },
    { "no answer", "PUT", FAKE_SILENT, 0, -1, 503, 0 },
    { "not allowed", "PUT", FAKE_STATUS, 403, -1, 502, 0 },
    { "sent elsewhere", "PUT", FAKE_STATUS, 307, -1, 502, 0 },
    { "no such bucket", "PUT", FAKE_STATUS, 404, -1, 503, 0 },
    { "503 for a moment", "GET", FAKE_STATUS, 503, 2, 200, 0 },
    { "503 for long", "GET", FAKE_STATUS, 503, -1, 503, 0 },
    { "cut off once", "GET", FAKE_CUT, 0, 1, 200, 0 },
    { "cut off always", "GET", FAKE_CUT, 0, -1, 503, 0 },
    { "closed without an answer", "GET", FAKE_DROP, 0, 1, 200, 0 },
    { "no answer", "GET", FAKE_SILENT, 0, -1, 503, 0 },
    { "no such bucket", "GET", FAKE_STATUS, 404, -1, 503, 0 },
    { "not allowed", "GET", FAKE_STATUS, 403, -1, 502, 0 },
    { "a wrong bit once", "GET", FAKE_WRONG, 0, 1, 200, 0 },
    { "a wrong bit always", "GET", FAKE_WRONG, 0, -1, 404, 1 },
    { "a byte less once", "GET", FAKE_SHORT, 0, 1, 200, 0 },
    { "a byte less always", "GET", FAKE_SHORT, 0, -1, 404, 1 },
};

static void faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        bool get = strcmp(rows[i].method, "GET") == 0;

        print_message("# %s: %s\n", rows[i].method, rows[i].name);
        begin("scrub-every = 1h\n");
        digest_of(NAMED, strlen(NAMED), digest);
        assert_int_equal(get ? push() : 201, 201);
        if (get)
            lose_cache("scrub-every = 1h\n");
        /* Of the object, not of the mark. */
        fake_break(fake, rows[i].method, digest + 7, rows[i].fault, rows[i].status, rows[i].times);
        assert_int_equal(get ? pull() : push(), rows[i].want);
        fixture_until(&f, damaged() == rows[i].damaged);
        fake_heal(fake);
        /* What was refused was not done, what was damaged is healed by pushing it. */
        assert_int_equal(push(), 201);
        lose_cache("scrub-every = 1h\n");
        assert_int_equal(pull(), 200);
        fixture_until(&f, damaged() == 0);
        end();
    }
}

/* A bucket that is another's, or was emptied, damages nothing. */
static void another_bucket(void **state)
{
    static const char *const marks[] = { ID("cd"), "no mark of ours at all, and longer than it",
                                         NULL };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(marks); i++) {
        begin("scrub-every = 1h\n");
        assert_int_equal(push(), 201);
        lose_cache("scrub-every = 1h\n");
        fake_remove(fake, "pre/");
        if (marks[i])
            fake_put(fake, "pre/mark", marks[i], strlen(marks[i]));
        assert_int_equal(pull(), 503);
        assert_int_equal(damaged(), 0);
        fixture_run_ms(&f, 50);
        assert_int_equal(push(), 503);
        assert_int_equal(fake_count(fake, "-"), 0);
        end();
    }
}

#define SCRUB "scrub-every = 1s\nscrub-rate = 1G\ncache = %d\n"

/* What is damaged in the bucket, or gone from it, is sent again from a copy; without one it is not
 * served until it is pushed, and what was put aside stays for people to look at. */
static void scrubbed(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        bool gone = i & 1, copy = i & 2;
        xeno_autofree char *text = xeno_asprintf(SCRUB, copy ? 1 << 20 : 0);

        print_message("# %s, %s\n", gone ? "gone" : "damaged", copy ? "with a copy" : "without");
        begin(text);
        assert_int_equal(push(), 201);
        if (gone)
            fake_remove(fake, digest + 7);
        else
            fake_damage(fake, digest + 7);
        if (copy) {
            fixture_until(&f, fake_right(fake, digest + 7, NAMED) == 1);
            fixture_until(&f, fake_count(fake, digest + 7) == 1);
        } else {
            fixture_until(&f, damaged() == 1);
            assert_int_equal(pull(), 404);
            assert_int_equal(push(), 201);
        }
        assert_int_equal(damaged(), 0);
        lose_cache(text);
        assert_int_equal(pull(), 200);
        fixture_run_ms(&f, copy || gone ? 0 : 2500); /* what is litter goes */
        assert_int_equal(fake_count(fake, digest + 7), copy || gone ? 1 : 2);
        end();
    }
}

/* A copy that was changed here is fetched again. */
static void a_bad_copy(void **state)
{
    xeno_autofree char *path = NULL;
    int fd;

    (void)state;
    begin("scrub-every = 1h\n");
    assert_int_equal(push(), 201);
    path = xeno_asprintf("%s/objects/%s", f.dir, digest + 7);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0 && pwrite(fd, "X", 1, 3) == 1);
    close(fd);
    assert_int_not_equal(pull(), 200); /* it breaks off */
    fixture_until(&f, access(path, F_OK) < 0);
    assert_int_equal(pull(), 200);
    assert_int_equal(damaged(), 0);
    end();
}

/* The same again has a key of its own, and the first goes; what is deleted goes after its grace. */
static void keys_go(void **state)
{
    (void)state;
    begin("scrub-every = 1h\ngrace = 1s\n");
    assert_int_equal(push(), 201);
    assert_int_equal(push(), 201);
    fixture_until(&f, fake_count(fake, digest + 7) == 1);
    assert_int_equal(pull(), 200);
    f.ahead_ms += 5000;
    fixture_until(&f, fake_count(fake, digest + 7) == 0);
    assert_int_equal(pull(), 404);
    end();
}

static int files_in(const char *folder)
{
    xeno_autofree char *command =
        xeno_asprintf("test $(ls %s/%s | grep -c '^[0-9a-f]\\{64\\}$') = 0", f.dir, folder);

    return system(command);
}

/* Without room for copies all is read from there each time. */
static void no_copies(void **state)
{
    (void)state;
    begin("scrub-every = 1h\ncache = 0\n");
    assert_int_equal(push(), 201);
    assert_int_equal(pull(), 200);
    assert_int_equal(pull(), 200);
    assert_int_equal(files_in("objects"), 0);
    assert_int_not_equal(files_in("places"), 0);
    end();
}

/* --- the steps, one by one, and an end after each --- */

static struct xstored_objects *open_objects(void)
{
    xeno_autofree char *url = xeno_asprintf("http://127.0.0.1:%u/b", fake_port(fake));
    xeno_autofree char *places = xeno_asprintf("%s/p", f.dir),
                       *cache = xeno_asprintf("%s/c", f.dir);
    const struct xstored_s3_opts opts = { .bucket = { .env = &f.env,
                                                      .url = url,
                                                      .region = "r",
                                                      .keys = keys,
                                                      .path_style = true,
                                                      .part_bytes = PART,
                                                      .patience = xeno_ms(300) },
                                          .dir = places,
                                          .cache = cache,
                                          .cache_bytes = 1 << 20 };
    struct xstored_objects *o = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    if (xstored_s3_open(&opts, &o, &err) < 0)
        fail_msg("%s", err.text);
    return o;
}

static void stage(struct xstored_objects *o, const char *id, const char *data, size_t len)
{
    int64_t size = 0;
    int fd = -1;

    assert_int_equal(o->back->stage_open(o, id, &fd, &size, NULL), 0);
    assert_int_equal(o->back->stage_add(o, fd, 0, data, len, NULL), 0);
    close(fd);
}

static void tidy(struct xstored_objects *o)
{
    assert_int_equal(o->back->flush(o, NULL), 0);
    while (o->back->tidy(o, NULL) > 0)
        assert_int_equal(o->back->flush(o, NULL), 0);
    assert_int_equal(o->back->flush(o, NULL), 0);
    assert_int_equal(o->back->tidy(o, NULL), 0);
}

enum { SENT_HALF, SETTLED, PUBLISHED, FLUSHED, STEPS };

static void an_end_after_each_step(void **state)
{
    static char big[BIG];
    char found[XENO_DIGEST_TEXT];

    (void)state;
    digest_of(big, sizeof big, digest);
    for (int last = 0; last < STEPS; last++) {
        struct xstored_objects *o;
        int64_t cursor = 0, size = 0;
        int fd = -1, n;

        print_message("# the last step is %d\n", last);
        begin("");
        o = open_objects();
        stage(o, ID("0a"), big, sizeof big);
        if (last == SENT_HALF) {
            fake_open(fake, digest + 7);
            o->back->stop(o);
        }
        n = o->back->settle(o, ID("0a"), digest, sizeof big, NULL);
        assert_true(last == SENT_HALF ? n < 0 : n == 0);
        if (last >= PUBLISHED)
            assert_int_equal(o->back->publish(o, ID("0a"), digest, NULL), 0);
        if (last >= PUBLISHED) /* its group is tried again */
            assert_int_equal(o->back->publish(o, ID("0a"), digest, NULL), 0);
        if (last >= FLUSHED)
            assert_int_equal(o->back->flush(o, NULL), 0);
        o->back->close(o);

        o = open_objects();
        n = o->back->each(o, &cursor, &found, 1, NULL);
        assert_int_equal(n, last >= PUBLISHED);
        if (n == 0) {
            tidy(o);
            assert_int_equal(fake_count(fake, digest + 7), 0);
            assert_int_equal(o->back->find(o, digest, &fd, &size, NULL), -ENOENT);
        } else {
            tidy(o);
            assert_int_equal(fake_count(fake, digest + 7), 1);
            assert_int_equal(o->back->fetch(o, digest, sizeof big, &fd, NULL), 0);
            close(fd);
            assert_int_equal(o->back->remove(o, digest, NULL), 0);
            assert_int_equal(o->back->find(o, digest, &fd, &size, NULL), -ENOENT);
            tidy(o);
            assert_int_equal(fake_count(fake, digest + 7), 0);
        }
        assert_int_equal(fake_uploads(fake), 0);
        o->back->close(o);
        end();
    }
}

/* Parts that a crash left are aborted; those of an upload that says 200 and means no, at once. */
static void parts(void **state)
{
    static char big[BIG];
    struct xstored_objects *o;

    (void)state;
    begin("");
    digest_of(big, sizeof big, digest);
    o = open_objects();
    stage(o, ID("0a"), big, sizeof big);
    fake_break(fake, "POST", "uploadId=", FAKE_LATE_BAD, 0, -1);
    assert_int_equal(o->back->settle(o, ID("0a"), digest, sizeof big, NULL), -ECONNRESET);
    assert_int_equal(fake_uploads(fake), 0);
    fake_break(fake, "PUT", "partNumber=2", FAKE_STATUS, 403, -1);
    assert_int_equal(o->back->settle(o, ID("0a"), digest, sizeof big, NULL), -ECONNREFUSED);
    fake_heal(fake);
    tidy(o);
    assert_int_equal(fake_uploads(fake), 0);
    assert_int_equal(fake_count(fake, digest + 7), 0);
    assert_int_equal(o->back->settle(o, ID("0a"), digest, sizeof big, NULL), 0);
    assert_int_equal(fake_count(fake, digest + 7), 1);
    o->back->close(o);
    end();
}

/* --- what an operator may get wrong --- */

static const struct {
    const char *url, *keys;
    mode_t mode;
    const char *token; /* NULL: it is right */
} opens[] = {
    { "https://s3.example/b", "a\nb\n", 0600, NULL },
    { "https://s3.example:9000/b/some/where/", "a\nb", 0400, NULL },
    { "http://127.0.0.2:1/b", "a\nb", 0600, NULL },
    { "http://[::1]:1/b", "a\nb", 0600, NULL },
    { "http://s3.example/b", "a\nb", 0600, "signed.url" },
    { "http://localhost/b", "a\nb", 0600, "signed.url" },
    { "http://127.0.0.1.example/b", "a\nb", 0600, "signed.url" },
    { "https://me:pw@s3.example/b", "a\nb", 0600, "signed.url" },
    { "ftp://s3.example/b", "a\nb", 0600, "signed.url" },
    { "https://s3.example", "a\nb", 0600, "store.url" },
    { "https://s3.example/", "a\nb", 0600, "store.url" },
    { "https://s3.example/b/../c", "a\nb", 0600, "store.url" },
    { "https://s3.example/b//c", "a\nb", 0600, "store.url" },
    { "https://s3.example/b?x=y", "a\nb", 0600, "store.url" },
    { "s3.example/b", "a\nb", 0600, "store.url" },
    { "https://s3.example/b", "a\nb", 0640, "store.keys" },
    { "https://s3.example/b", "a\nb", 0604, "store.keys" },
    { "https://s3.example/b", "a\n", 0600, "store.keys" },
    { "https://s3.example/b", "", 0600, "store.keys" },
};

static void what_is_refused(void **state)
{
    (void)state;
    fixture_make(&f);
    snprintf(keys, sizeof keys, "%s/s3-keys", f.dir);
    for (size_t i = 0; i < XENO_LEN(opens); i++) {
        struct bucket_opts opts = { .env = &f.env,
                                    .url = opens[i].url,
                                    .region = "r",
                                    .keys = keys,
                                    .path_style = true,
                                    .patience = xeno_s(1) };
        xeno_auto(bucket) b = NULL;
        struct xeno_err err = XENO_ERR_INIT;
        int r;

        print_message("# %s %o\n", opens[i].url, opens[i].mode);
        write_keys(opens[i].mode, opens[i].keys);
        r = bucket_new(&opts, &b, &err);
        assert_int_equal(r < 0, opens[i].token != NULL);
        assert_true(r == 0 || xeno_err_is(&err, opens[i].token));
    }
    fixture_remove(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults),
        cmocka_unit_test(another_bucket),
        cmocka_unit_test(scrubbed),
        cmocka_unit_test(a_bad_copy),
        cmocka_unit_test(keys_go),
        cmocka_unit_test(no_copies),
        cmocka_unit_test(an_end_after_each_step),
        cmocka_unit_test(parts),
        cmocka_unit_test(what_is_refused),
    };

    return cmocka_run_group_tests_name("s3", tests, NULL, NULL);
}
