/* src/xstored/tests/test-pass.c - what passes give, and when they end. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "crypto/base64.h"
#include "doc/revoke.h"
#include "fixture.h"

#define DAY_MS INT64_C(86400000)

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

/* --- getting them, as a caller of the API does --- */

static char *member_of_answer(const char *key)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;
    const char *text = NULL;

    assert_int_equal(a.status, 200);
    assert_int_equal(xeno_json_parse(a.body, a.len, 1 << 16, &j, NULL), 0);
    top = xeno_json_top(j);
    assert_int_equal(xeno_json_str(&top, key, 1, XENO_PASS_MAX, &text, NULL), 0);
    return xeno_strdup(text);
}

/* "Bearer PASS" for `who`; the caller's. */
static char *bearer(int who, const char *scope)
{
    xeno_autofree char *token = NULL;

    fixture_say(&f, &a, who, "GET", NULL, "/v1/token?scope=%s", scope);
    token = member_of_answer("token");
    return xeno_asprintf("Bearer %s", token);
}

static char *basic(const char *user, const char *password)
{
    xeno_autofree char *pair = xeno_asprintf("%s:%s", user, password);
    xeno_autofree char *text = xeno_base64(pair, strlen(pair));

    return xeno_asprintf("Basic %s", text);
}

/* "Basic ..." for `who`. */
static char *password(int who, const char *body)
{
    xeno_autofree char *pass = NULL;

    fixture_say(&f, &a, who, "POST", body, "/v1/login");
    pass = member_of_answer("password");
    return basic(f.id[who].s, pass);
}

static int show(const char *authorization, const char *method, const char *path)
{
    return fixture_ask(
        &f,
        &(struct question){
            .who = NOBODY, .method = method, .path = path, .authorization = authorization },
        &a);
}

/* --- what they give --- */

static const struct {
    const char *method, *path; /* of Alice's repository */
    const char *needs, *says;  /* actions: the least that will do; what is asked for */
} routes[] = {
    { "GET", "tags/list", "pull", "pull" },
    { "GET", "referrers/sha256:0", "pull", "pull" },
    { "GET", "manifests/x", "pull", "pull" },
    { "HEAD", "manifests/x", "pull", "pull" },
    { "PUT", "manifests/x", "push", "pull,push" },
    { "DELETE", "manifests/x", "delete", "delete" },
    { "GET", "blobs/sha256:0", "pull", "pull" },
    { "DELETE", "blobs/sha256:0", "delete", "delete" },
    { "POST", "blobs/uploads/", "push", "pull,push" },
    { "PATCH", "blobs/uploads/a", "push", "pull,push" },
    { "PUT", "blobs/uploads/a", "push", "pull,push" },
    { "GET", "blobs/uploads/a", "push", "pull,push" },
    { "DELETE", "blobs/uploads/a", "push", "pull,push" },
};

static void each_route_needs_its_action(void **state)
{
    static const char *const actions[] = { "pull", "push", "delete" };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(routes); i++) {
        xeno_autofree char *path = xeno_asprintf("/v2/%s/%s", repo, routes[i].path);

        for (size_t k = 0; k < XENO_LEN(actions); k++) {
            xeno_autofree char *scope = xeno_asprintf("repository:%s:%s", repo, actions[k]);
            xeno_autofree char *pass = bearer(ALICE, scope);
            bool enough = strcmp(actions[k], routes[i].needs) == 0;
            xeno_autofree char *want = NULL;

            print_message("%s %s with %s\n", routes[i].method, routes[i].path, actions[k]);
            show(pass, routes[i].method, path);
            assert_int_not_equal(a.status, 403);
            assert_int_equal(a.status == 401, !enough);
            want = xeno_asprintf(",scope=\"repository:%s:%s\",error=\"insufficient_scope\"", repo,
                                 routes[i].says);
            assert_int_equal(strstr(a.challenge, want) != NULL, !enough);
        }
    }
}

static void a_pass_is_of_its_holder(void **state)
{
    xeno_autofree char *scope = xeno_asprintf("repository:%s:pull,push,delete", repo);
    xeno_autofree char *bobs = bearer(BOB, scope);
    xeno_autofree char *path = xeno_asprintf("/v2/%s/manifests/x", repo);
    xeno_autofree char *list = bearer(BOB, "registry:catalog:*");
    xeno_autofree char *none = bearer(BOB, "");
    const char *text = bobs + strlen("Bearer ");
    struct xeno_pass p;

    (void)state;
    assert_int_equal(xeno_pass_read(text, strlen(text), XENO_PASS_ACCESS,
                                    xeno_key_pub(xeno_member_key(f.d.member)), xeno_ms(0), &p,
                                    NULL),
                     0);
    assert_true(xeno_pass_allows(&p, repo, XENO_PASS_PULL)); /* what is not his is not in it */
    assert_false(xeno_pass_allows(&p, repo, XENO_PASS_PUSH));
    assert_false(xeno_pass_allows(&p, repo, XENO_PASS_DELETE));
    assert_int_equal(show(bobs, "GET", path), 404);
    assert_int_equal(show(bobs, "DELETE", path), 403);
    assert_int_equal(show(bobs, "GET", "/v2/_catalog"), 401);
    assert_non_null(strstr(a.challenge, "scope=\"registry:catalog:*\""));
    assert_int_equal(show(list, "GET", "/v2/_catalog"), 200);
    assert_int_equal(show(list, "GET", "/v1/token"), 401); /* or it would never end */
    assert_int_equal(show(none, "GET", "/v2/"), 200);      /* "may I come in at all?" */
}

static void scopes_are_bounded_and_named(void **state)
{
    static const struct {
        const char *query;
        int status;
    } rows[] = {
        { "scope=repository:a/b:pull&scope=repository:a/c:pull", 200 },
        { "scope=repository:a/b:pull%20repository:a/c:pull", 200 },
        { "scope=x", 400 },
        { "scope=machine:a/b:pull", 400 },
        { "service=x", 400 },
        { "scope=a&scope=a&scope=a&scope=a&scope=a&scope=a&scope=a&scope=a&scope=a", 400 },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        print_message("%s\n", rows[i].query);
        assert_int_equal(fixture_say(&f, &a, ALICE, "GET", NULL, "/v1/token?%s", rows[i].query),
                         rows[i].status);
    }
}

/* Several scopes, however they came, are all in the pass. */
static void several_scopes(void **state)
{
    static const char *const joins[] = { "&scope=", "%20" };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(joins); i++) {
        xeno_autofree char *scopes =
            xeno_asprintf("repository:%s:pull%srepository:%s/more:push", repo, joins[i], repo);
        xeno_autofree char *pass = bearer(ALICE, scopes);
        xeno_autofree char *one = xeno_asprintf("/v2/%s/tags/list", repo);
        xeno_autofree char *two = xeno_asprintf("/v2/%s/more/blobs/uploads/", repo);

        assert_int_equal(show(pass, "GET", one), 404);
        assert_int_equal(show(pass, "POST", two), 202);
    }
}

static void passwords(void **state)
{
    xeno_autofree char *good = password(ALICE, NULL);
    xeno_autofree char *pass = NULL;
    xeno_autofree char *stolen = NULL;
    xeno_autofree char *access = NULL;
    const char *const rows[] = { "Basic",    "Basic !", "Basic YQ==", "Basic YTpi",
                                 "Digest x", "Bearer",  "Bearer x",   "" };

    (void)state;
    assert_int_equal(show(good, "GET", "/v2/"), 200);
    assert_int_equal(show(good, "GET", "/v1/token"), 200);
    access = member_of_answer("token");
    fixture_say(&f, &a, ALICE, "POST", NULL, "/v1/login");
    pass = member_of_answer("password");
    stolen = basic(f.id[BOB].s, pass);
    assert_int_equal(show(stolen, "GET", "/v2/"), 401);
    assert_non_null(strstr(a.challenge, "error=\"invalid_token\""));
    free(stolen);
    stolen = basic(f.id[ALICE].s, access); /* an access pass is no password */
    assert_int_equal(show(stolen, "GET", "/v2/"), 401);
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        print_message("'%s'\n", rows[i]);
        assert_int_equal(show(rows[i], "GET", "/v2/"), 401);
    }
    assert_int_equal(show(good, "POST", "/v1/login"), 401); /* a password is not got by another */
}

/* --- when they end --- */

static void they_end(void **state)
{
    xeno_autofree char *access = bearer(ALICE, "");
    xeno_autofree char *hour = password(ALICE, "{\"lifetime_s\":3600}");
    xeno_autofree char *whole = password(ALICE, NULL);
    const struct {
        int64_t at_ms;
        bool access, hour, whole;
    } rows[] = {
        { 0, true, true, true },
        { 290 * 1000, true, true, true },
        { 301 * 1000, false, true, true },
        { 3500 * 1000, false, true, true },
        { 3601 * 1000, false, false, true },
        { 89 * DAY_MS, false, false, true },
        { 91 * DAY_MS, false, false, false }, /* as the credential does */
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        f.ahead_ms = rows[i].at_ms;
        print_message("after %lld s\n", (long long)rows[i].at_ms / 1000);
        assert_int_equal(show(access, "GET", "/v2/"), rows[i].access ? 200 : 401);
        assert_int_equal(show(hour, "GET", "/v2/"), rows[i].hour ? 200 : 401);
        assert_int_equal(show(whole, "GET", "/v2/"), rows[i].whole ? 200 : 401);
    }
    f.ahead_ms = 0;
}

/* A pass that a password got is over when the password is. */
static void what_is_got_by_a_password_ends_with_it(void **state)
{
    xeno_autofree char *minute = password(ALICE, "{\"lifetime_s\":60}");
    xeno_autofree char *token = NULL;
    xeno_autofree char *access = NULL;

    (void)state;
    assert_int_equal(show(minute, "GET", "/v1/token"), 200);
    token = member_of_answer("token");
    access = xeno_asprintf("Bearer %s", token);
    assert_int_equal(show(access, "GET", "/v2/"), 200);
    f.ahead_ms = 61 * 1000;
    assert_int_equal(show(access, "GET", "/v2/"), 401);
    f.ahead_ms = 0;
}

static void they_are_revoked(void **state)
{
    xeno_autofree char *alices = bearer(ALICE, "");
    xeno_autofree char *hers = password(ALICE, NULL);
    xeno_autofree char *bobs = bearer(BOB, "");
    xeno_auto(xeno_cert) cert = NULL;
    xeno_autofree char *list = NULL;
    xeno_autofree char *path = xeno_asprintf("%s/revocations", f.dir);
    xeno_time now = xeno_wall(xeno_env_real());
    const char *serials[1];

    (void)state;
    assert_int_equal(xeno_cert_parse(f.pem[ALICE], 0, &cert, NULL), 0);
    serials[0] = cert->serial;
    assert_int_equal(xeno_revocations_sign(f.ca, 1, now, xeno_time_add(now, xeno_s(60)), serials, 1,
                                           &list, NULL),
                     0);
    assert_int_equal(xeno_file_write(AT_FDCWD, path, 0644, list, strlen(list), NULL), 0);
    fixture_stop(&f);
    fixture_start(&f, NULL); /* which reads it; and passes live through a restart */
    assert_int_equal(show(alices, "GET", "/v2/"), 401);
    assert_int_equal(show(hers, "GET", "/v2/"), 401);
    assert_int_equal(show(bobs, "GET", "/v2/"), 200);
    assert_int_equal(unlink(path), 0);
    fixture_stop(&f);
    fixture_start(&f, NULL);
    assert_int_equal(show(alices, "GET", "/v2/"), 200);
}

/* --- who has none --- */

static void where_to_get_one(void **state)
{
    xeno_autofree char *path = xeno_asprintf("/v2/%s/tags/list", repo);
    xeno_autofree char *want = xeno_asprintf("Bearer realm=\"%s/v1/token\",service=\"%s\",scope="
                                             "\"repository:%s:pull\"",
                                             f.base, xeno_member_id(f.d.member)->s, repo);

    (void)state;
    assert_int_equal(show(NULL, "GET", path), 401);
    assert_string_equal(a.challenge, want);
    assert_int_equal(show(NULL, "GET", "/v2/A/tags/list"), 401);
    assert_null(strstr(a.challenge, "scope"));
    assert_int_equal(show(NULL, "GET", "/v1/token"), 401);
    assert_string_equal(a.challenge, "");
    assert_int_equal(show(NULL, "POST", "/v1/login"), 401);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_route_needs_its_action),
        cmocka_unit_test(a_pass_is_of_its_holder),
        cmocka_unit_test(scopes_are_bounded_and_named),
        cmocka_unit_test(several_scopes),
        cmocka_unit_test(passwords),
        cmocka_unit_test(they_end),
        cmocka_unit_test(what_is_got_by_a_password_ends_with_it),
        cmocka_unit_test(they_are_revoked),
        cmocka_unit_test(where_to_get_one),
    };

    return cmocka_run_group_tests_name("pass", tests, start, stop);
}
