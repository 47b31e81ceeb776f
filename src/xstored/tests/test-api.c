/* src/xstored/tests/test-api.c - the registry API, request by request. */
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

static struct fixture f;
static struct answer a;
static char repo[64]; /* Alice's */

static int start(void **state)
{
    (void)state;
    fixture_make(&f);
    fixture_start(&f, NULL);
    snprintf(repo, sizeof repo, "%s/web", f.id[ALICE].s);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    answer_release(&a);
    fixture_stop(&f);
    fixture_remove(&f);
    return 0;
}

static int ask(int who, const char *method, const char *body, const char *path)
{
    return fixture_say(&f, &a, who, method, body, "%s", path);
}

static int get_blob(int who, const char *of, const char *digest)
{
    return fixture_say(&f, &a, who, "GET", NULL, "/v2/%s/blobs/%s", of, digest);
}

static int put_manifest(int who, const char *of, const char *ref, const char *text)
{
    xeno_autofree char *path = xeno_asprintf("/v2/%s/manifests/%s", of, ref);

    return fixture_ask(
        &f,
        &(struct question){
            .who = who, .method = "PUT", .path = path, .type = MT_IMAGE "; x=y", .body = text },
        &a);
}

static void expect(int status, const char *code)
{
    if (a.status != status || strcmp(a.code, code) != 0)
        print_message("%d %s %s\n", a.status, a.code, a.body ? a.body : "");
    assert_int_equal(a.status, status);
    assert_string_equal(a.code, code);
}

/* --- who --- */

static void a_credential_is_needed(void **state)
{
    static const char *const paths[] = { "/v2/", "/v2/_catalog", "/v2/%s/tags/list",
                                         "/v2/%s/manifests/x", "/v2/%s/blobs/sha256:0" };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(paths); i++) {
        xeno_autofree char *path = xeno_asprintf(paths[i], repo);

        ask(NOBODY, "GET", NULL, path);
        expect(401, "UNAUTHORIZED");
    }
    assert_int_equal(ask(ALICE, "GET", NULL, "/v2/"), 200);
    fixture_say(&f, &a, NOBODY, "POST", "x", "/v2/%s/blobs/uploads/", repo);
    expect(401, "UNAUTHORIZED");
}

static void only_the_owner_writes(void **state)
{
    char digest[XENO_DIGEST_TEXT];
    const struct {
        const char *method, *fmt;
    } rows[] = {
        { "POST", "/v2/%s/blobs/uploads/" },   { "PUT", "/v2/%s/manifests/x" },
        { "DELETE", "/v2/%s/manifests/x" },    { "DELETE", "/v2/%s/blobs/sha256:0" },
        { "PATCH", "/v2/%s/blobs/uploads/a" }, { "GET", "/v2/%s/blobs/uploads/a" },
    };

    (void)state;
    push_blob(&f, ALICE, repo, "read me", digest);
    assert_int_equal(get_blob(BOB, repo, digest), 200);
    assert_string_equal(a.body, "read me");
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_autofree char *path = xeno_asprintf(rows[i].fmt, repo);

        print_message("%s %s\n", rows[i].method, rows[i].fmt);
        ask(BOB, rows[i].method, NULL, path);
        expect(403, "DENIED");
    }
}

/* --- blobs --- */

static void whole_blobs(void **state)
{
    char digest[XENO_DIGEST_TEXT], other[XENO_DIGEST_TEXT];

    (void)state;
    digest_of("other", 5, other);
    fixture_say(&f, &a, ALICE, "POST", "hello", "/v2/%s/blobs/uploads/?digest=%s", repo, other);
    expect(400, "DIGEST_INVALID");
    assert_int_equal(get_blob(ALICE, repo, other), 404);
    expect(404, "BLOB_UNKNOWN");
    push_blob(&f, ALICE, repo, "hello", digest);
    push_blob(&f, ALICE, repo, "hello", digest);
    push_blob(&f, ALICE, repo, "", other);
    assert_int_equal(get_blob(ALICE, repo, other), 200);
    assert_int_equal(a.len, 0);
    assert_int_equal(fixture_say(&f, &a, ALICE, "HEAD", NULL, "/v2/%s/blobs/%s", repo, digest),
                     200);
    assert_string_equal(a.digest, digest);
    assert_int_equal(a.len, 0);
    fixture_say(&f, &a, ALICE, "POST", "hello", "/v2/%s/blobs/uploads/", repo);
    expect(400, "BLOB_UPLOAD_INVALID");
    assert_int_equal(HASH_COUNT(f.d.uploads), 0);
}

static void ranges(void **state)
{
    static const struct {
        const char *range;
        int status;
        const char *body, *says;
    } rows[] = {
        { "bytes=0-3", 206, "0123", "bytes 0-3/10" },
        { "bytes=4-", 206, "456789", "bytes 4-9/10" },
        { "bytes=-2", 206, "89", "bytes 8-9/10" },
        { "bytes=0-99", 206, "0123456789", "bytes 0-9/10" },
        { "bytes=10-", 416, NULL, "bytes */10" },
        { "bytes=1-2,4-5", 200, "0123456789", "" },
        { "nonsense", 200, "0123456789", "" },
    };
    char digest[XENO_DIGEST_TEXT];
    xeno_autofree char *path = NULL;

    (void)state;
    push_blob(&f, ALICE, repo, "0123456789", digest);
    path = xeno_asprintf("/v2/%s/blobs/%s", repo, digest);
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct question q = { .who = BOB, .method = "GET", .path = path, .range = rows[i].range };

        print_message("%s\n", rows[i].range);
        assert_int_equal(fixture_ask(&f, &q, &a), rows[i].status);
        assert_string_equal(a.content_range, rows[i].says);
        if (rows[i].body)
            assert_string_equal(a.body, rows[i].body);
    }
}

static void begin_upload(char ret_path[512])
{
    assert_int_equal(fixture_say(&f, &a, ALICE, "POST", NULL, "/v2/%s/blobs/uploads/", repo), 202);
    assert_string_equal(a.range, "0-0");
    snprintf(ret_path, 512, "%s", a.location);
}

static int piece(const char *method, const char *path, const char *range, const char *body)
{
    return fixture_ask(
        &f,
        &(struct question){
            .who = ALICE, .method = method, .path = path, .content_range = range, .body = body },
        &a);
}

static void in_pieces(void **state)
{
    char path[512], digest[XENO_DIGEST_TEXT];
    xeno_autofree char *end = NULL;

    (void)state;
    begin_upload(path);
    assert_int_equal(piece("PATCH", path, "0-3", "abcd"), 202);
    assert_string_equal(a.range, "0-3");
    assert_int_equal(piece("PATCH", path, "5-6", "xx"), 416);
    expect(416, "BLOB_UPLOAD_INVALID");
    assert_string_equal(a.range, "0-3");
    assert_int_equal(piece("PATCH", path, "0-3", "abcd"), 416); /* again */
    assert_int_equal(piece("PATCH", path, "bytes 4-5/*", "ef"), 202);
    assert_int_equal(piece("PATCH", path, "x", "ef"), 400);
    assert_int_equal(piece("PATCH", path, NULL, "gh"), 202); /* streamed */
    assert_int_equal(ask(ALICE, "GET", NULL, path), 204);
    assert_string_equal(a.range, "0-7");
    digest_of("abcdefghij", 10, digest);
    end = xeno_asprintf("%s?digest=%s", path, digest);
    assert_int_equal(piece("PUT", end, "8-9", "ij"), 201);
    assert_string_equal(a.digest, digest);
    assert_int_equal(ask(ALICE, "GET", NULL, a.location), 200);
    assert_string_equal(a.body, "abcdefghij");
    ask(ALICE, "GET", NULL, path);
    expect(404, "BLOB_UPLOAD_UNKNOWN");
}

/* What Content-Range promised must come, and no more. */
static void pieces_of_other_lengths(void **state)
{
    char path[512];

    (void)state;
    begin_upload(path);
    piece("PATCH", path, "0-9", "abcd");
    expect(400, "SIZE_INVALID");
    assert_string_equal(a.range, "0-3"); /* it stays, and can be gone on with */
    piece("PATCH", path, "4-5", "efgh");
    expect(400, "SIZE_INVALID");
    assert_int_equal(ask(ALICE, "GET", NULL, path), 204);
    assert_string_equal(a.range, "0-3");
    assert_int_equal(ask(ALICE, "DELETE", NULL, path), 204);
    assert_int_equal(ask(ALICE, "GET", NULL, path), 404);
    assert_int_equal(HASH_COUNT(f.d.uploads), 0);
    assert_null(f.d.uses);
}

static void an_upload_outlives_a_restart(void **state)
{
    char path[512], digest[XENO_DIGEST_TEXT];
    xeno_autofree char *end = NULL;

    (void)state;
    begin_upload(path);
    assert_int_equal(piece("PATCH", path, "0-3", "abcd"), 202);
    fixture_stop(&f);
    fixture_start(&f, NULL);
    assert_int_equal(ask(ALICE, "GET", NULL, path), 204);
    assert_string_equal(a.range, "0-3");
    assert_int_equal(piece("PATCH", path, "4-7", "EFGH"), 202);
    digest_of("abcdEFGHij", 10, digest);
    end = xeno_asprintf("%s?digest=%s", path, digest);
    assert_int_equal(piece("PUT", end, NULL, "ij"), 201);
    assert_int_equal(get_blob(ALICE, repo, digest), 200);
    assert_string_equal(a.body, "abcdEFGHij");
}

static void mounts(void **state)
{
    char digest[XENO_DIGEST_TEXT];
    const char *bob = f.id[BOB].s;

    (void)state;
    push_blob(&f, ALICE, repo, "shared", digest);
    assert_int_equal(get_blob(BOB, bob, digest), 400);
    fixture_say(&f, &a, BOB, "GET", NULL, "/v2/%s/own/blobs/%s", bob, digest);
    expect(404, "BLOB_UNKNOWN");
    /* Not where it is not, and not without saying where: an upload begins. */
    assert_int_equal(fixture_say(&f, &a, BOB, "POST", NULL,
                                 "/v2/%s/own/blobs/uploads/?mount=%s&from=%s/other", bob, digest,
                                 f.id[ALICE].s),
                     202);
    assert_int_equal(ask(BOB, "DELETE", NULL, a.location), 204);
    assert_int_equal(
        fixture_say(&f, &a, BOB, "POST", NULL, "/v2/%s/own/blobs/uploads/?mount=%s", bob, digest),
        202);
    assert_int_equal(ask(BOB, "DELETE", NULL, a.location), 204);
    assert_int_equal(fixture_say(&f, &a, BOB, "POST", NULL,
                                 "/v2/%s/own/blobs/uploads/?mount=%s&from=%s", bob, digest, repo),
                     201);
    assert_int_equal(ask(BOB, "GET", NULL, a.location), 200);
    assert_string_equal(a.body, "shared");
    assert_int_equal(xstored_meta_check(f.d.view, NULL), 0);
}

/* --- manifests --- */

/* A manifest of two blobs of the repository; its digest. */
static char *image(const char *of, const char *note, const char *subject,
                   char ret[XENO_DIGEST_TEXT])
{
    char config[XENO_DIGEST_TEXT], layer[XENO_DIGEST_TEXT];
    char *text;

    push_blob(&f, ALICE, of, "{}", config);
    push_blob(&f, ALICE, of, "layer", layer);
    text = make_manifest(config, 2, layer, 5, subject, note);
    digest_of(text, strlen(text), ret);
    return text;
}

static void manifests(void **state)
{
    char digest[XENO_DIGEST_TEXT], other[XENO_DIGEST_TEXT];
    xeno_autofree char *text = image(repo, "first", NULL, digest);
    xeno_autofree char *second = image(repo, "second", NULL, other);

    (void)state;
    assert_int_equal(put_manifest(ALICE, repo, "v1", text), 201);
    assert_string_equal(a.digest, digest);
    assert_int_equal(ask(BOB, "GET", NULL, a.location), 200);
    assert_string_equal(a.body, text);
    assert_string_equal(a.type, MT_IMAGE);
    put_manifest(ALICE, repo, digest, second);
    expect(400, "DIGEST_INVALID");
    assert_int_equal(put_manifest(ALICE, repo, other, second), 201);
    assert_int_equal(put_manifest(ALICE, repo, "v1", second), 201);
    assert_int_equal(fixture_say(&f, &a, BOB, "HEAD", NULL, "/v2/%s/manifests/v1", repo), 200);
    assert_string_equal(a.digest, other);
    fixture_say(&f, &a, BOB, "GET", NULL, "/v2/%s/manifests/v2", repo);
    expect(404, "MANIFEST_UNKNOWN");
    fixture_say(&f, &a, BOB, "GET", NULL, "/v2/%s/none/manifests/v2", repo);
    expect(404, "NAME_UNKNOWN");
    /* What a manifest needs is not deleted; a tag is, alone; a digest with its tags. */
    fixture_say(&f, &a, ALICE, "DELETE", NULL, "/v2/%s/blobs/%s", repo, digest);
    expect(409, "DENIED");
    assert_int_equal(fixture_say(&f, &a, ALICE, "DELETE", NULL, "/v2/%s/manifests/v1", repo), 202);
    assert_int_equal(fixture_say(&f, &a, BOB, "GET", NULL, "/v2/%s/manifests/%s", repo, other),
                     200);
    assert_int_equal(put_manifest(ALICE, repo, "v3", text), 201);
    assert_int_equal(
        fixture_say(&f, &a, ALICE, "DELETE", NULL, "/v2/%s/manifests/%s", repo, digest), 202);
    fixture_say(&f, &a, BOB, "GET", NULL, "/v2/%s/manifests/v3", repo);
    expect(404, "MANIFEST_UNKNOWN");
    assert_int_equal(xstored_meta_check(f.d.view, NULL), 0);
}

static void manifests_that_are_refused(void **state)
{
    char digest[XENO_DIGEST_TEXT], layer[XENO_DIGEST_TEXT], config[XENO_DIGEST_TEXT];
    xeno_autofree char *other = xeno_asprintf("%s/empty", f.id[ALICE].s);
    xeno_autofree char *text = image(repo, "x", NULL, digest);
    xeno_autofree char *size = NULL;
    xeno_autofree char *big = xeno_alloc0(XSTORED_DOC_MAX_BYTES + 2, 1);
    xeno_autofree char *path = xeno_asprintf("/v2/%s/manifests/x", repo);

    (void)state;
    put_manifest(ALICE, other, "x", text);
    expect(404, "MANIFEST_BLOB_UNKNOWN");
    digest_of("{}", 2, config);
    digest_of("layer", 5, layer);
    size = make_manifest(config, 2, layer, 6, NULL, "x");
    put_manifest(ALICE, repo, "x", size);
    expect(400, "MANIFEST_INVALID");
    put_manifest(ALICE, repo, "x", "{}");
    expect(400, "MANIFEST_INVALID");
    put_manifest(ALICE, repo, "x", "[");
    expect(400, "MANIFEST_INVALID");
    put_manifest(ALICE, repo, "-x", text);
    expect(400, "MANIFEST_INVALID");
    fixture_ask(&f, &(struct question){ .who = ALICE, .method = "PUT", .path = path, .body = text },
                &a);
    expect(415, "MANIFEST_INVALID");
    memset(big, ' ', XSTORED_DOC_MAX_BYTES + 1);
    put_manifest(ALICE, repo, "x", big);
    expect(413, "SIZE_INVALID");
    assert_int_equal(xstored_meta_check(f.d.view, NULL), 0);
}

static void referrers(void **state)
{
    static const char types[] = "application/x-note", none[] = "application/x-none";
    char subject[XENO_DIGEST_TEXT], one[XENO_DIGEST_TEXT];
    xeno_autofree char *text = image(repo, "subject", NULL, subject);
    xeno_autofree char *note = image(repo, "a note", subject, one);

    (void)state;
    assert_string_not_equal(text, note);
    /* It may refer to what is not there yet. */
    assert_int_equal(put_manifest(ALICE, repo, one, note), 201);
    assert_string_equal(a.subject, subject);
    assert_int_equal(fixture_say(&f, &a, BOB, "GET", NULL, "/v2/%s/referrers/%s", repo, subject),
                     200);
    assert_string_equal(a.type, XSTORED_MT_INDEX);
    assert_non_null(strstr(a.body, one));
    assert_non_null(strstr(a.body, "\"annotations\":{\"note\":\"a note\"}"));
    assert_string_equal(a.filters, "");
    assert_int_equal(fixture_say(&f, &a, BOB, "GET", NULL, "/v2/%s/referrers/%s?artifactType=%s",
                                 repo, subject, types),
                     200);
    assert_non_null(strstr(a.body, one));
    assert_string_equal(a.filters, "artifactType");
    assert_int_equal(fixture_say(&f, &a, BOB, "GET", NULL, "/v2/%s/referrers/%s?artifactType=%s",
                                 repo, subject, none),
                     200);
    assert_null(strstr(a.body, one));
    assert_int_equal(fixture_say(&f, &a, BOB, "GET", NULL, "/v2/%s/referrers/%s", repo, one), 200);
    assert_non_null(strstr(a.body, "\"manifests\":[]"));
    fixture_say(&f, &a, BOB, "GET", NULL, "/v2/%s/referrers/x", repo);
    expect(400, "DIGEST_INVALID");
}

static char *index_of(const char *digest, size_t size)
{
    return xeno_asprintf("{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" MT_IMAGE
                         "\",\"digest\":\"%s\",\"size\":%zu}]}",
                         digest, size);
}

static void indexes(void **state)
{
    char digest[XENO_DIGEST_TEXT], layer[XENO_DIGEST_TEXT];
    xeno_autofree char *text = image(repo, "listed", NULL, digest);
    xeno_autofree char *index = index_of(digest, strlen(text));
    xeno_autofree char *path = xeno_asprintf("/v2/%s/manifests/all", repo);
    struct question q = {
        .who = ALICE, .method = "PUT", .path = path, .type = XSTORED_MT_INDEX, .body = index
    };
    xeno_autofree char *wrong = NULL;

    (void)state;
    fixture_ask(&f, &q, &a);
    expect(404, "MANIFEST_BLOB_UNKNOWN");
    assert_int_equal(put_manifest(ALICE, repo, digest, text), 201);
    assert_int_equal(fixture_ask(&f, &q, &a), 201);
    /* A blob is no manifest. */
    digest_of("layer", 5, layer);
    q.body = wrong = index_of(layer, 5);
    fixture_ask(&f, &q, &a);
    expect(404, "MANIFEST_BLOB_UNKNOWN");
    fixture_say(&f, &a, ALICE, "DELETE", NULL, "/v2/%s/manifests/%s", repo, digest);
    expect(409, "DENIED");
    assert_int_equal(xstored_meta_check(f.d.view, NULL), 0);
}

/* --- lists --- */

static void pages(void **state)
{
    xeno_autofree char *of = xeno_asprintf("%s/pages", f.id[ALICE].s);
    char digest[XENO_DIGEST_TEXT], tag[8], next[512];
    xeno_autofree char *text = image(of, "p", NULL, digest);

    (void)state;
    for (int i = 0; i < 5; i++) {
        snprintf(tag, sizeof tag, "t%d", i);
        assert_int_equal(put_manifest(ALICE, of, tag, text), 201);
    }
    assert_int_equal(fixture_say(&f, &a, BOB, "GET", NULL, "/v2/%s/tags/list", of), 200);
    assert_non_null(strstr(a.body, "[\"t0\",\"t1\",\"t2\",\"t3\",\"t4\"]"));
    assert_string_equal(a.link, "");
    assert_int_equal(fixture_say(&f, &a, BOB, "GET", NULL, "/v2/%s/tags/list?n=3", of), 200);
    assert_non_null(strstr(a.body, "[\"t0\",\"t1\",\"t2\"]"));
    assert_int_equal(sscanf(a.link, "<%511[^>]>; rel=\"next\"", next), 1);
    assert_int_equal(ask(BOB, "GET", NULL, next), 200);
    assert_non_null(strstr(a.body, "[\"t3\",\"t4\"]"));
    assert_string_equal(a.link, "");
    assert_int_equal(fixture_say(&f, &a, BOB, "GET", NULL, "/v2/%s/tags/list?n=0", of), 200);
    assert_non_null(strstr(a.body, "[]"));
    assert_string_equal(a.link, "");
    assert_int_equal(fixture_say(&f, &a, BOB, "GET", NULL, "/v2/%s/tags/list?n=x", of), 400);
    fixture_say(&f, &a, BOB, "GET", NULL, "/v2/%s/none/tags/list", of);
    expect(404, "NAME_UNKNOWN");
    /* Only one's own repositories. */
    assert_int_equal(ask(ALICE, "GET", NULL, "/v2/_catalog?n=1"), 200);
    assert_non_null(strstr(a.body, of));
    assert_int_equal(sscanf(a.link, "<%511[^>]>; rel=\"next\"", next), 1);
    assert_int_equal(ask(ALICE, "GET", NULL, next), 200);
    assert_non_null(strstr(a.body, repo));
    assert_int_equal(ask(BOB, "GET", NULL, "/v2/_catalog"), 200);
    assert_null(strstr(a.body, f.id[ALICE].s));
}

static void what_is_no_request(void **state)
{
    static const struct {
        const char *method, *path;
        int status;
        const char *code;
    } rows[] = {
        { "GET", "/v2/web/manifests/x", 400, "NAME_INVALID" },
        { "GET", "/v2/%s/UP/manifests/x", 400, "NAME_INVALID" },
        { "GET", "/v2/%s/web/manifests/a:b", 400, "DIGEST_INVALID" },
        { "GET", "/v2/%s/web/blobs/sha512:aa", 400, "DIGEST_INVALID" },
        { "GET", "/v2/%s/web/blobs/x", 400, "DIGEST_INVALID" },
        { "PUT", "/v2/%s/web/blobs/uploads/x", 400, "DIGEST_INVALID" },
        { "PUT", "/v2/%s/web/blobs/uploads/x?digest=md5:ab", 400, "DIGEST_INVALID" },
        { "PATCH", "/v2/%s/web/blobs/uploads/x", 404, "BLOB_UPLOAD_UNKNOWN" },
        { "DELETE", "/v2/%s/web/blobs/uploads/x", 404, "BLOB_UPLOAD_UNKNOWN" },
        { "POST", "/v2/%s/web/manifests/x", 405, "UNSUPPORTED" },
        { "GET", "/v3/", 404, "NAME_UNKNOWN" },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_autofree char *path = xeno_asprintf(rows[i].path, f.id[ALICE].s);

        print_message("%s %s\n", rows[i].method, path);
        ask(ALICE, rows[i].method, NULL, path);
        expect(rows[i].status, rows[i].code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_credential_is_needed),
        cmocka_unit_test(only_the_owner_writes),
        cmocka_unit_test(whole_blobs),
        cmocka_unit_test(ranges),
        cmocka_unit_test(in_pieces),
        cmocka_unit_test(pieces_of_other_lengths),
        cmocka_unit_test(an_upload_outlives_a_restart),
        cmocka_unit_test(mounts),
        cmocka_unit_test(manifests),
        cmocka_unit_test(manifests_that_are_refused),
        cmocka_unit_test(referrers),
        cmocka_unit_test(indexes),
        cmocka_unit_test(pages),
        cmocka_unit_test(what_is_no_request),
    };

    return cmocka_run_group_tests_name("api", tests, start, stop);
}
