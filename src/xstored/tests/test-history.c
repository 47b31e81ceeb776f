/* src/xstored/tests/test-history.c - what tags stood for before: kept, brought back, out of reach.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "keep/keep.h"
#include "xstored/meta.h"

#define REPO "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/page"
#define TAG  "1"
#define MT   "application/vnd.oci.image.manifest.v1+json"

enum { A, B, C, COUNT };

struct world {
    struct xeno_db *db;
    char digest[COUNT][XENO_DIGEST_TEXT];
    struct xstored_limits limits;
    int64_t now_ms;
};

static int start(void **state)
{
    struct world *w = xeno_new0(struct world);

    xeno_crypto_init();
    w->limits = (struct xstored_limits){ .quota_bytes = 1000000, .entries = 100 };
    w->now_ms = 1000;
    assert_int_equal(xeno_db_open("sqlite::memory:", &w->db, NULL), 0);
    assert_int_equal(xeno_keep_open(w->db, NULL), 0);
    assert_int_equal(xstored_meta_open(w->db, NULL), 0);
    for (int i = 0; i < COUNT; i++) {
        uint8_t sum[32];

        xeno_sha256_of(&i, sizeof i, sum);
        xeno_digest_text(sum, w->digest[i]);
    }
    *state = w;
    return 0;
}

static int stop(void **state)
{
    struct world *w = *state;
    struct xeno_err err = XENO_ERR_INIT;

    if (xstored_meta_check(w->db, &err) < 0)
        fail_msg("%s", err.text);
    xeno_db_free(w->db);
    free(w);
    return 0;
}

static int push(struct world *w, int i)
{
    struct xstored_doc doc = { .count = 0 };
    int r;

    strcpy(doc.media_type, MT);
    w->now_ms += 10;
    assert_int_equal(xeno_db_begin(w->db, NULL), 0);
    r = xstored_meta_put(w->db, REPO, &doc, w->digest[i], 100 + i, TAG, w->now_ms, &w->limits, NULL,
                         NULL);
    if (r == 0)
        assert_int_equal(xeno_db_commit(w->db, NULL), 0);
    else
        xeno_db_rollback(w->db);
    return r;
}

static int doom(struct world *w, const char *ref)
{
    w->now_ms += 10;
    return xstored_meta_doom(w->db, REPO, ref, w->now_ms, &w->limits, NULL, NULL);
}

/* The tag and its heads, latest first: "B<A" */
static void is(struct world *w, const char *want)
{
    xeno_auto(xeno_json) list = NULL;
    struct xstored_manifest now = { .size_bytes = 0 };
    struct xeno_json_at at, item;
    char have[64] = "-";
    size_t n = 0;

    if (xstored_meta_manifest(w->db, REPO, TAG, &now, NULL) == 0)
        for (int i = 0; i < COUNT; i++)
            if (strcmp(now.digest, w->digest[i]) == 0)
                have[0] = (char)('A' + i);
    assert_int_equal(xstored_meta_heads(w->db, REPO, TAG, &list, NULL), 0);
    at = xeno_json_top(list);
    while ((item = xeno_json_item(&at, n++)).j) {
        const char *digest = "";

        assert_int_equal(xeno_json_str(&item, "digest", 1, 100, &digest, NULL), 0);
        for (int i = 0; i < COUNT; i++)
            if (strcmp(digest, w->digest[i]) == 0)
                snprintf(have + strlen(have), 3, "<%c", 'A' + i);
    }
    assert_string_equal(have, want);
}

static bool there(struct world *w, int i)
{
    struct xstored_manifest m;

    return xstored_meta_manifest(w->db, REPO, w->digest[i], &m, NULL) == 0;
}

static int forget(struct world *w, int64_t before_ms)
{
    return xstored_meta_forget_heads(w->db, before_ms, w->now_ms, 100, NULL);
}

static void overwritten(void **state)
{
    struct world *w = *state;

    assert_int_equal(push(w, A), 0);
    is(w, "A");
    assert_int_equal(push(w, A), 0); /* the same again is no change */
    is(w, "A");
    assert_int_equal(push(w, B), 0);
    assert_int_equal(push(w, C), 0);
    is(w, "C<B<A");
    assert_int_equal(forget(w, w->now_ms - 5), 1); /* A, for B took its place then */
    is(w, "C<B");
    assert_true(there(w, A)); /* as any manifest without a tag */
    assert_int_equal(forget(w, w->now_ms), 0);
    is(w, "C<B");
}

static void brought_back(void **state)
{
    struct world *w = *state;
    char digest[XENO_DIGEST_TEXT];

    push(w, A);
    push(w, B);
    assert_int_equal(
        xstored_meta_restore(w->db, REPO, TAG, 1, ++w->now_ms, &w->limits, NULL, digest, NULL), 0);
    assert_string_equal(digest, w->digest[A]);
    is(w, "A<B<A");
    assert_int_equal(
        xstored_meta_restore(w->db, REPO, TAG, 3, ++w->now_ms, &w->limits, NULL, digest, NULL),
        -ENOENT);
    is(w, "A<B<A");
}

/* A deleted tag can be brought back, too. */
static void deleted_tag(void **state)
{
    struct world *w = *state;
    char digest[XENO_DIGEST_TEXT];

    push(w, A);
    assert_int_equal(doom(w, TAG), 0);
    is(w, "-<A");
    assert_int_equal(doom(w, TAG), -ENOENT);
    assert_int_equal(
        xstored_meta_restore(w->db, REPO, TAG, 1, ++w->now_ms, &w->limits, NULL, digest, NULL), 0);
    is(w, "A<A");
}

/* By a pass: it goes, but not before its time. */
static void deleted_by_a_pass(void **state)
{
    struct world *w = *state;

    push(w, A);
    push(w, B);
    assert_int_equal(doom(w, w->digest[A]), 0);
    assert_int_equal(doom(w, w->digest[B]), 0);
    is(w, "-<B<A");
    assert_true(there(w, A) && there(w, B));
    push(w, C);
    assert_int_equal(forget(w, w->now_ms - 15), 1);
    assert_false(there(w, A));
    assert_true(there(w, B));
    assert_int_equal(forget(w, w->now_ms + 1), 1);
    assert_false(there(w, B));
    is(w, "C");
}

/* What its owner wants again is not deleted, whoever wanted that before. */
static void doomed_and_wanted(void **state)
{
    struct world *w = *state;
    char digest[XENO_DIGEST_TEXT];

    push(w, A);
    push(w, B);
    assert_int_equal(doom(w, w->digest[A]), 0);
    assert_int_equal(
        xstored_meta_restore(w->db, REPO, TAG, 1, ++w->now_ms, &w->limits, NULL, digest, NULL), 0);
    push(w, C);
    assert_int_equal(forget(w, w->now_ms + 1), 3);
    assert_true(there(w, A));
    is(w, "C");
}

static void deleted_by_its_owner(void **state)
{
    struct world *w = *state;

    push(w, A);
    push(w, B);
    assert_int_equal(xstored_meta_delete(w->db, REPO, w->digest[A], w->now_ms, NULL), 0);
    assert_false(there(w, A));
    is(w, "B");
}

/* Whoever overwrites until nothing fits can push no more, and has pushed nothing out. */
static void flooded(void **state)
{
    struct world *w = *state;
    int64_t before = 0, after = 0;
    int pushed = 0;

    push(w, A);
    while (pushed < 1000 && push(w, pushed % 2 ? A : B) == 0)
        pushed++;
    assert_in_range(pushed, 50, 99);
    assert_int_equal(xstored_meta_count_heads(w->db, &before, NULL), 0);
    assert_int_equal(before, pushed);
    assert_int_equal(push(w, pushed % 2 ? A : B), -EPERM);
    assert_int_equal(xstored_meta_count_heads(w->db, &after, NULL), 0);
    assert_int_equal(after, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(overwritten, start, stop),
        cmocka_unit_test_setup_teardown(brought_back, start, stop),
        cmocka_unit_test_setup_teardown(deleted_tag, start, stop),
        cmocka_unit_test_setup_teardown(deleted_by_a_pass, start, stop),
        cmocka_unit_test_setup_teardown(doomed_and_wanted, start, stop),
        cmocka_unit_test_setup_teardown(deleted_by_its_owner, start, stop),
        cmocka_unit_test_setup_teardown(flooded, start, stop),
    };

    return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
