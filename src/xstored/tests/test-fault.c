/* src/xstored/tests/test-fault.c - writes that fail, a disk that is full, an end in the middle. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "fixture.h"
#include "xstored/upload.h"

#define BIG   (6 << 20)
#define PIECE (2 << 20)

static struct fixture f;
static struct answer a;
static char repo[64], path[512], big[BIG];

static void begin(const char *options)
{
    fixture_make(&f);
    fixture_start(&f, options);
    snprintf(repo, sizeof repo, "%s/web", f.id[ALICE].s);
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)(i * 2654435761u >> 13);
}

static void end(void)
{
    answer_release(&a);
    assert_int_equal(xstored_meta_check(f.d.view, NULL), 0);
    fixture_stop(&f);
    fixture_remove(&f);
}

static int send_piece(const char *method, const char *to, size_t at, size_t len)
{
    return fixture_ask(
        &f,
        &(struct question){
            .who = ALICE, .method = method, .path = to, .body = big + at, .len = len },
        &a);
}

static void begin_upload(void)
{
    assert_int_equal(fixture_say(&f, &a, ALICE, "POST", NULL, "/v2/%s/blobs/uploads/", repo), 202);
    snprintf(path, sizeof path, "%s", a.location);
}

/* No file may be longer, as with a disk that is full; the database's are shorter. */
static void file_limit(rlim_t bytes)
{
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Of a piece that was cut off by the error nothing is left behind, neither in the count nor in the
 * file, so that the upload can be gone on with, or ended where it is. */
static void a_write_that_fails(void **state)
{
    char digest[XENO_DIGEST_TEXT];
    xeno_autofree char *put = NULL;
    int64_t had;

    (void)state;
    begin(NULL);
    begin_upload();
    assert_int_equal(send_piece("PATCH", path, 0, PIECE), 202);
    file_limit(PIECE + 10000);
    assert_in_range(send_piece("PATCH", path, PIECE, PIECE), 400, 599);
    file_limit(RLIM_INFINITY);
    assert_int_equal(fixture_say(&f, &a, ALICE, "GET", NULL, "%s", path), 204);
    had = strtoll(a.range + 2, NULL, 10) + 1;
    assert_in_range(had, PIECE, PIECE + 10000);
    assert_int_equal(f.d.uses->bytes, had);
    digest_of(big, (size_t)had, digest);
    put = xeno_asprintf("%s?digest=%s", path, digest);
    assert_int_equal(fixture_say(&f, &a, ALICE, "PUT", NULL, "%s", put), 201);
    assert_int_equal(fixture_say(&f, &a, BOB, "GET", NULL, "/v2/%s/blobs/%s", repo, digest), 200);
    assert_int_equal(a.len, had);
    assert_memory_equal(a.body, big, (size_t)had);
    end();
}

static void a_full_disk(void **state)
{
    (void)state;
    begin("reserve = 1024T\n");
    begin_upload();
    assert_int_equal(fixture_say(&f, &a, ALICE, "PATCH", "x", "%s", path), 507);
    assert_string_equal(a.code, "DENIED");
    assert_int_equal(fixture_say(&f, &a, ALICE, "PUT", "{}", "/v2/%s/manifests/x", repo), 507);
    assert_int_equal(fixture_say(&f, &a, ALICE, "DELETE", NULL, "%s", path), 204);
    end();
}

static void on_cut(const struct xeno_http_answer *from, void *arg)
{
    (void)from;
    *(bool *)arg = true;
}

static void send_and_stop(const char *method, const char *to)
{
    xeno_autofree char *url = xeno_asprintf("%s%s", f.base, to);
    bool over = false;
    struct xeno_http_ask ask = { .method = method,
                                 .url = url,
                                 .type = "application/octet-stream",
                                 .body = big,
                                 .body_len = sizeof big,
                                 .done = on_cut,
                                 .arg = &over };
    struct xeno_http_call *call = xeno_http_send(f.client[ALICE], &ask);
    int64_t before = f.d.counts.received_bytes;

    while (f.d.counts.received_bytes == before)
        assert_true(sd_event_run(f.loop, UINT64_MAX) >= 0);
    assert_true(f.d.counts.received_bytes - before < (int64_t)sizeof big);
    fixture_stop(&f);
    if (!over)
        xeno_http_cancel(call);
    fixture_start(&f, NULL);
}

/* The server ends while a body arrives: what is for one request alone goes, an upload stays. */
static void an_end_in_the_middle(void **state)
{
    char digest[XENO_DIGEST_TEXT];
    xeno_autofree char *post = NULL;
    int64_t had;

    (void)state;
    begin(NULL);
    digest_of(big, sizeof big, digest);
    post = xeno_asprintf("/v2/%s/blobs/uploads/?digest=%s", repo, digest);
    send_and_stop("POST", post);
    assert_int_equal(HASH_COUNT(f.d.uploads), 0);
    begin_upload();
    send_and_stop("PATCH", path);
    assert_int_equal(fixture_say(&f, &a, ALICE, "GET", NULL, "%s", path), 204);
    had = strtoll(a.range + 2, NULL, 10) + 1;
    assert_in_range(had, 1, sizeof big - 1);
    post = (free(post), xeno_asprintf("%s?digest=%s", path, digest));
    assert_int_equal(send_piece("PUT", post, (size_t)had, sizeof big - (size_t)had), 201);
    assert_int_equal(fixture_say(&f, &a, BOB, "HEAD", NULL, "/v2/%s/blobs/%s", repo, digest), 200);
    end();
}

/* A client that goes away in the middle, and comes back. */
static void a_broken_connection(void **state)
{
    char digest[XENO_DIGEST_TEXT];
    xeno_autofree char *put = NULL;
    struct xeno_http_call *call;
    bool over = false;
    int64_t had;

    (void)state;
    begin(NULL);
    begin_upload();
    digest_of(big, sizeof big, digest);
    put = xeno_asprintf("%s%s?digest=%s", f.base, path, digest);
    call = xeno_http_send(f.client[ALICE], &(struct xeno_http_ask){ .method = "PUT",
                                                                    .url = put,
                                                                    .body = big,
                                                                    .body_len = sizeof big,
                                                                    .done = on_cut,
                                                                    .arg = &over });
    while (f.d.counts.received_bytes < 100000)
        assert_true(sd_event_run(f.loop, UINT64_MAX) >= 0);
    assert_false(over);
    xeno_http_cancel(call);
    fixture_until(&f, !f.d.uploads->busy);
    assert_int_equal(fixture_say(&f, &a, ALICE, "GET", NULL, "%s", path), 204);
    had = strtoll(a.range + 2, NULL, 10) + 1;
    put = (free(put), xeno_asprintf("%s?digest=%s", path, digest));
    assert_int_equal(send_piece("PUT", put, (size_t)had, sizeof big - (size_t)had), 201);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_that_fails),
        cmocka_unit_test(a_full_disk),
        cmocka_unit_test(an_end_in_the_middle),
        cmocka_unit_test(a_broken_connection),
    };

    return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}
