/* src/xstored/tests/test-meta.c - random acts on the metadata: after each the sums are right, what
 * was refused changed nothing, and what is needed is there. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/env.h"
#include "keep/keep.h"
#include "xstored/meta.h"

#define OWNER_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OWNER_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define MT      "application/vnd.oci.image.manifest.v1+json"

static const char *const repos[] = { OWNER_A "/one", OWNER_A "/two", OWNER_B "/one" };

enum { BLOBS = 6, MANIFESTS = 4, ACTS = 3000 };

struct world {
    struct xeno_env_test env;
    struct xeno_db *db;
    char blob[BLOBS][XENO_DIGEST_TEXT];
    char manifest[MANIFESTS][XENO_DIGEST_TEXT];
    struct xstored_doc *doc[MANIFESTS];
    int64_t now_ms;
    struct xstored_limits limits;
    unsigned done, refused;
};

static void digest_of(const char *text, char ret[XENO_DIGEST_TEXT])
{
    uint8_t sum[32];

    xeno_sha256_of(text, strlen(text), sum);
    xeno_digest_text(sum, ret);
}

static int64_t size_of(int blob)
{
    return blob * 10;
}

/* Manifest m needs blobs m, m + 1, and the last one is an index of the first two. */
static void make_docs(struct world *w)
{
    for (int i = 0; i < BLOBS; i++)
        digest_of((char[2]){ (char)('a' + i), 0 }, w->blob[i]);
    for (int m = 0; m < MANIFESTS; m++) {
        bool index = m == MANIFESTS - 1;
        const char *one = index ? w->manifest[0] : w->blob[m];
        const char *two = index ? w->manifest[1] : w->blob[m + 1];
        struct xstored_doc *doc = w->doc[m] = xeno_new0(struct xstored_doc);

        digest_of((char[2]){ (char)('A' + m), 0 }, w->manifest[m]);
        strcpy(doc->media_type, MT);
        if (m == 2)
            strcpy(doc->subject, w->manifest[0]);
        doc->count = 2;
        doc->refs = xeno_new0_n(struct xstored_ref, 2);
        strcpy(doc->refs[0].digest, one);
        strcpy(doc->refs[1].digest, two);
        doc->refs[0].size_bytes = index ? 100 : size_of(m);
        doc->refs[1].size_bytes = index ? 101 : size_of(m + 1);
        doc->refs[0].manifest = doc->refs[1].manifest = index;
    }
}

static int number(struct world *w, int below)
{
    return (int)(xeno_env_test_next(&w->env) % (uint64_t)below);
}

static int act(struct world *w)
{
    static const char *const tags[] = { "x", "y" };
    const char *repo = repos[number(w, XENO_LEN(repos))], *from = repos[number(w, 3)];
    int b = number(w, BLOBS), m = number(w, MANIFESTS);
    const char *tag = tags[number(w, 2)];
    char digest[XENO_DIGEST_TEXT];

    switch (number(w, 15)) {
    case 0:
    case 1:
    case 2:
        return xstored_meta_add(w->db, repo, w->blob[b], size_of(b), w->now_ms, &w->limits, NULL,
                                NULL);
    case 3:
        return xstored_meta_mount(w->db, repo, from, w->blob[b], w->now_ms, &w->limits, NULL, NULL);
    case 4:
        return xstored_meta_unlink(w->db, repo, w->blob[b], NULL);
    case 5:
    case 6:
        return xstored_meta_put(w->db, repo, w->doc[m], w->manifest[m], 100 + m, b % 2 ? tag : NULL,
                                w->now_ms, &w->limits, NULL, NULL);
    case 7:
        return xstored_meta_delete(w->db, repo, w->manifest[m], w->now_ms, NULL);
    case 8:
        return xstored_meta_delete(w->db, repo, tag, w->now_ms, NULL);
    case 9:
        return xstored_meta_expire(w->db, w->now_ms - 5, 2, NULL);
    case 10:
        return xstored_meta_collect(w->db, digest, NULL);
    case 11:
        return xstored_meta_doom(w->db, repo, b % 2 ? tag : w->manifest[m], w->now_ms, &w->limits,
                                 NULL, NULL);
    case 12:
        return xstored_meta_restore(w->db, repo, tag, 1 + b, w->now_ms, &w->limits, NULL, digest,
                                    NULL);
    case 13:
        return xstored_meta_forget_heads(w->db, w->now_ms - 30, w->now_ms, 2, NULL);
    default:
        return b == 0 ? xstored_meta_damaged(w->db, w->blob[m], NULL) : 0;
    }
}

/* One number for all that is there. */
static int64_t print_of(struct xeno_db *db)
{
    int64_t n = 0;

    assert_int_equal(
        xeno_db_one_int(db, 0, &n, NULL,
                        "SELECT (SELECT count(*) FROM link) + 100 * (SELECT count(*) FROM tag)"
                        " + 10000 * (SELECT count(*) FROM manifest)"
                        " + 100000000000 * (SELECT count(*) FROM head)"
                        " + 1000000 * (SELECT coalesce(sum(used_bytes + entries), 0) FROM owner)",
                        ""),
        0);
    return n;
}

/* What a manifest needs is in its repository, however it was tried to be taken away. */
static void check_needs(struct world *w)
{
    for (size_t r = 0; r < XENO_LEN(repos); r++) {
        for (int m = 0; m < MANIFESTS; m++) {
            struct xstored_manifest found;
            int64_t there;

            if (xstored_meta_manifest(w->db, repos[r], w->manifest[m], &found, NULL) < 0)
                continue;
            assert_int_equal(found.size_bytes, 100 + m);
            for (size_t i = 0; i < w->doc[m]->count; i++) {
                assert_int_equal(xeno_db_one_int(w->db, 0, &there, NULL,
                                                 "SELECT 1 FROM link"
                                                 " WHERE repository = $1 AND digest = $2",
                                                 "tt", repos[r], w->doc[m]->refs[i].digest),
                                 0);
                assert_int_equal(there, 1);
            }
        }
    }
}

static void one_life(uint64_t seed)
{
    struct world w = { .limits = { .quota_bytes = 250, .entries = 30 } };

    xeno_env_test_init(&w.env, xeno_s(1), seed);
    assert_int_equal(xeno_db_open("sqlite::memory:", &w.db, NULL), 0);
    assert_int_equal(xeno_keep_open(w.db, NULL), 0);
    assert_int_equal(xstored_meta_open(w.db, NULL), 0);
    make_docs(&w);
    for (int i = 0; i < ACTS; i++) {
        struct xeno_err err = XENO_ERR_INIT;
        int64_t before = print_of(w.db), used = 0;
        int r;

        w.now_ms++;
        assert_int_equal(xeno_db_begin(w.db, NULL), 0);
        r = act(&w);
        if (r >= 0)
            assert_int_equal(xeno_db_commit(w.db, NULL), 0);
        else
            xeno_db_rollback(w.db);
        if (xstored_meta_check(w.db, &err) < 0)
            fail_msg("seed %d act %d: %s", (int)seed, i, err.text);
        if (r < 0) {
            assert_true(r == -ENOENT || r == -EPERM || r == -EBUSY);
            assert_int_equal(print_of(w.db), before);
        }
        w.done += r >= 0;
        w.refused += r < 0;
        check_needs(&w);
        assert_int_equal(xstored_meta_used(w.db, OWNER_A, &used, NULL), 0);
        assert_in_range(used, 0, 250);
    }
    print_message("seed %d: %u done, %u refused\n", (int)seed, w.done, w.refused);
    assert_true(w.done > ACTS / 5 && w.refused > ACTS / 5);
    for (int m = 0; m < MANIFESTS; m++)
        xstored_doc_free(w.doc[m]);
    xeno_db_free(w.db);
}

static void random_lives(void **state)
{
    (void)state;
    xeno_crypto_init();
    for (uint64_t seed = 1; seed <= 3; seed++)
        one_life(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(random_lives) };

    return cmocka_run_group_tests_name("meta", tests, NULL, NULL);
}
