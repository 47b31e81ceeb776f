/* src/doc/tests/test-storage.c */
#include "doc/storage.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS INT64_C(1700000000000)
#define ID16   "aaaaaaaaaaaaaaaa"
#define ID32   "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct xeno_key *key_of(uint8_t n)
{
    uint8_t seed[32] = { n };

    return xeno_key_from_seed(seed);
}

static void fill(uint8_t *to, size_t len, unsigned seed)
{
    for (size_t i = 0; i < len; i++)
        to[i] = (uint8_t)((i * 31 + i / 251 + seed) & 0xff);
}

static struct xeno_stored_object object_of(const uint8_t *data, size_t len)
{
    xeno_auto(xeno_blocktree) t = NULL;
    struct xeno_stored_object o = { .size = (int64_t)len };
    uint8_t sha[32];

    xeno_sha256_of(data, len, sha);
    xeno_digest_text(sha, o.digest);
    assert_int_equal(xeno_blocktree_new(o.size, -1, &t, NULL), 0);
    xeno_blocktree_add(t, data, len);
    assert_int_equal(xeno_blocktree_end(t, &o.root, NULL, NULL), 0);
    return o;
}

/* --- the tree --- */

struct plain {
    const uint8_t *data;
    size_t len;
};

static int plain_node(void *ctx, int height, int64_t index, struct xeno_hash *ret,
                      struct xeno_err *err)
{
    const struct plain *p = ctx;
    struct xeno_hash left, right;
    size_t from = (size_t)index * XENO_STORED_BLOCK, n = XENO_STORED_BLOCK;

    if (height == 0) {
        *ret = xeno_hash_leaf(p->data + from, p->len - from < n ? p->len - from : n);
        return 0;
    }
    plain_node(ctx, height - 1, 2 * index, &left, err);
    plain_node(ctx, height - 1, 2 * index + 1, &right, err);
    *ret = xeno_hash_node(&left, &right);
    return 0;
}

/* Of every size around whole blocks: root and each block's proof are those of merkle.h, however the
 * bytes come. */
static void tree_rows(void **state)
{
    enum { MOST = 11 * XENO_STORED_BLOCK + 5 };
    xeno_autofree uint8_t *data = xeno_alloc0(1, MOST);
    xeno_autofree struct xeno_store_answer *a = xeno_new0(struct xeno_store_answer);

    (void)state;
    fill(data, MOST, 1);
    for (size_t len = 0; len <= MOST;
         len += len % XENO_STORED_BLOCK == 0 ? 5 : XENO_STORED_BLOCK - 5) {
        struct plain p = { data, len };
        const struct xeno_tree tree = { plain_node, &p };
        int64_t blocks = xeno_stored_blocks((int64_t)len);
        struct xeno_hash root, got, leaf;
        struct xeno_proof proof;

        assert_int_equal(xeno_tree_root(&tree, blocks, &root, NULL), 0);
        for (int64_t b = -1; b < blocks; b++) {
            xeno_auto(xeno_blocktree) t = NULL;

            assert_int_equal(xeno_blocktree_new((int64_t)len, b, &t, NULL), 0);
            for (size_t at = 0, n; at < len; at += n) {
                n = 1 + (at * 7919 + 4096) % 20000;
                n = n < len - at ? n : len - at;
                xeno_blocktree_add(t, data + at, n);
            }
            assert_int_equal(xeno_blocktree_end(t, &got, a, NULL), 0);
            assert_true(xeno_hash_equal(&got, &root));
            if (b < 0)
                continue;
            assert_int_equal(xeno_inclusion_make(&tree, b, blocks, &proof, NULL), 0);
            assert_int_equal(a->proof.count, proof.count);
            assert_memory_equal(a->proof.hashes, proof.hashes,
                                proof.count * sizeof proof.hashes[0]);
            leaf = xeno_hash_leaf(a->bytes, a->len);
            assert_int_equal(xeno_inclusion_check(&leaf, b, blocks, &root, &a->proof, NULL), 0);
        }
    }
}

static void tree_bounds(void **state)
{
    struct xeno_blocktree *t = NULL;
    struct xeno_hash root;

    (void)state;
    assert_int_equal(xeno_blocktree_new(10, 1, &t, NULL), -ERANGE);
    assert_int_equal(xeno_blocktree_new(-1, -1, &t, NULL), -ERANGE);
    assert_int_equal(xeno_blocktree_new(0, 0, &t, NULL), -ERANGE);
    assert_int_equal(xeno_blocktree_new(10, -1, &t, NULL), 0);
    xeno_blocktree_add(t, "short", 5);
    assert_int_equal(xeno_blocktree_end(t, &root, NULL, NULL), -EINVAL);
    xeno_blocktree_add(t, "too long", 8);
    xeno_blocktree_add(t, "x", 1);
    assert_int_equal(xeno_blocktree_end(t, &root, NULL, NULL), -EINVAL);
    xeno_blocktree_free(t);
}

/* --- certificates --- */

static struct xeno_writecert *a_cert(size_t count)
{
    struct xeno_writecert *c = xeno_new0(struct xeno_writecert);
    uint8_t data[64];

    *c = (struct xeno_writecert){ .id = ID16,
                                  .copies = 2,
                                  .issued = xeno_ms(NOW_MS),
                                  .expires = xeno_ms(NOW_MS + 86400000),
                                  .count = count };
    c->objects = xeno_new0_n(struct xeno_stored_object, count + 1);
    for (size_t i = 0; i < count; i++) {
        fill(data, sizeof data, (unsigned)i);
        c->objects[i] = object_of(data, sizeof data - i % 7);
    }
    if (count > 0)
        memcpy(c->digest, c->objects[0].digest, sizeof c->digest);
    return c;
}

static void cert_both_ways(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);
    xeno_auto(xeno_key) other = key_of(2);

    (void)state;
    for (size_t n = 1; n <= XENO_WRITECERT_OBJECTS; n += n == 1 ? 5 : 250) {
        xeno_auto(xeno_writecert) c = a_cert(n);
        xeno_auto(xeno_writecert) back = NULL;
        xeno_autofree char *text = NULL;

        assert_int_equal(xeno_writecert_sign(key, c, &text, NULL), 0);
        assert_true(strlen(text) <= XENO_WRITECERT_BYTES_MAX);
        assert_int_equal(xeno_writecert_read(text, strlen(text), xeno_key_pub(key), &back, NULL),
                         0);
        assert_string_equal(back->owner.s, xeno_id_of(xeno_key_pub(key)).s);
        assert_string_equal(back->digest, c->digest);
        assert_int_equal(back->size, c->size);
        assert_int_equal(back->copies, 2);
        assert_int_equal(back->expires.ns, c->expires.ns);
        assert_int_equal(back->count, n);
        assert_memory_equal(back->objects, c->objects, n * sizeof *c->objects);
        assert_non_null(xeno_writecert_object(back, c->objects[n - 1].digest));
        assert_null(xeno_writecert_object(back, "sha256:"));
        assert_int_equal(xeno_writecert_read(text, strlen(text), xeno_key_pub(other), &back, NULL),
                         -EPERM);
    }
}

static void spoil_none(struct xeno_writecert *c)
{
    c->count = 0;
}

static void spoil_twice(struct xeno_writecert *c)
{
    c->objects[1] = c->objects[0];
}

static void spoil_other(struct xeno_writecert *c)
{
    memset(c->digest + 7, '0', 64);
}

static void spoil_time(struct xeno_writecert *c)
{
    c->expires = c->issued;
}

static void spoil_size(struct xeno_writecert *c)
{
    c->objects[2].size = XENO_STORED_MAX;
}

static void spoil_copies(struct xeno_writecert *c)
{
    c->copies = XENO_WRITECERT_COPIES + 1;
}

static void cert_rows(void **state)
{
    static const struct {
        void (*spoil)(struct xeno_writecert *c);
        const char *token;
    } rows[] = {
        { spoil_none, "storage.objects" },  { spoil_twice, "storage.objects" },
        { spoil_other, "storage.objects" }, { spoil_time, "storage.time" },
        { spoil_size, "json.range" },       { spoil_copies, "json.range" },
    };
    xeno_auto(xeno_key) key = key_of(1);

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_auto(xeno_writecert) c = a_cert(4);
        struct xeno_err err = XENO_ERR_INIT;
        xeno_autofree char *text = NULL;

        rows[i].spoil(c);
        assert_int_equal(xeno_writecert_sign(key, c, &text, &err) < 0, 1);
        assert_string_equal(err.token, rows[i].token);
    }
}

/* --- the small ones, and answers --- */

static void small_both_ways(void **state)
{
    xeno_auto(xeno_key) key = key_of(3);
    xeno_auto(xeno_key) other = key_of(4);
    const struct xeno_pub *pub = xeno_key_pub(key);
    struct xeno_store_receipt r = { .owner = { ID32 },
                                    .certificate = ID16,
                                    .size = 7,
                                    .copy = 1,
                                    .order = ID32,
                                    .epoch = 1,
                                    .tariff = 3,
                                    .price = { 5 },
                                    .from = xeno_ms(NOW_MS),
                                    .expires = xeno_ms(NOW_MS + 1) },
                              r2;
    struct xeno_reclaim c = { .certificate = ID16, .time = xeno_ms(NOW_MS) }, c2;
    struct xeno_reclaim_receipt d = { .owner = { ID32 },
                                      .certificate = ID16,
                                      .order = ID32,
                                      .from = xeno_ms(1),
                                      .to = xeno_ms(2),
                                      .charged = { 9 },
                                      .rest = { 4 } },
                                d2;
    xeno_autofree char *rt = NULL, *ct = NULL, *dt = NULL;

    (void)state;
    snprintf(r.digest, sizeof r.digest, "sha256:%064d", 0);
    rt = xeno_store_receipt_sign(key, &r);
    assert_int_equal(xeno_store_receipt_read(rt, strlen(rt), pub, &r2, NULL), 0);
    assert_string_equal(r2.store.s, xeno_id_of(pub).s);
    r.store = r2.store;
    assert_memory_equal(&r, &r2, sizeof r);
    ct = xeno_reclaim_sign(key, &c);
    assert_int_equal(xeno_reclaim_read(ct, strlen(ct), pub, &c2, NULL), 0);
    assert_string_equal(c2.certificate, ID16);
    assert_int_equal(c2.time.ns, c.time.ns);
    dt = xeno_reclaim_receipt_sign(key, &d);
    assert_int_equal(xeno_reclaim_receipt_read(dt, strlen(dt), pub, &d2, NULL), 0);
    assert_int_equal(d2.rest.micro, 4);
    assert_int_equal(d2.charged.micro, 9);
    /* One kind is never taken for another, nor one signer for another. */
    assert_int_equal(xeno_reclaim_read(rt, strlen(rt), pub, &c2, NULL), -EPERM);
    assert_int_equal(xeno_store_receipt_read(rt, strlen(rt), xeno_key_pub(other), &r2, NULL),
                     -EPERM);
}

static void answers(void **state)
{
    enum { LEN = 3 * XENO_STORED_BLOCK + 100 };
    xeno_auto(xeno_key) store = key_of(5);
    xeno_auto(xeno_key) owner = key_of(6);
    xeno_autofree uint8_t *data = xeno_alloc0(1, LEN);
    xeno_autofree struct xeno_store_answer *a = xeno_new0(struct xeno_store_answer),
                                           *b = xeno_new0(struct xeno_store_answer);
    xeno_auto(xeno_writecert) c = a_cert(1);
    xeno_auto(xeno_blocktree) t = NULL;
    xeno_autofree char *text = NULL, *cert = NULL;
    struct xeno_hash root;

    (void)state;
    fill(data, LEN, 9);
    c->objects[0] = object_of(data, LEN);
    memcpy(c->digest, c->objects[0].digest, sizeof c->digest);
    assert_int_equal(xeno_writecert_sign(owner, c, &cert, NULL), 0);
    assert_int_equal(xeno_blocktree_new(LEN, 3, &t, NULL), 0);
    xeno_blocktree_add(t, data, LEN);
    assert_int_equal(xeno_blocktree_end(t, &root, a, NULL), 0);
    a->audit = 12;
    memcpy(a->certificate, c->id, sizeof a->certificate);
    memcpy(a->digest, c->digest, sizeof a->digest);
    text = xeno_store_answer_sign(store, a);
    assert_true(strlen(text) <= XENO_STORAGE_ANSWER_MAX);
    assert_int_equal(xeno_store_answer_read(text, strlen(text), xeno_key_pub(store), b, NULL), 0);
    assert_int_equal(b->len, 100);
    assert_int_equal(xeno_store_answer_check(b, c, 12, c->digest, 3, NULL), 0);
    assert_int_equal(xeno_store_answer_check(b, c, 13, c->digest, 3, NULL), -EPERM);
    assert_int_equal(xeno_store_answer_check(b, c, 12, c->digest, 2, NULL), -EPERM);
    b->bytes[99] ^= 1;
    assert_int_equal(xeno_store_answer_check(b, c, 12, c->digest, 3, NULL), -EPERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tree_rows),       cmocka_unit_test(tree_bounds),
        cmocka_unit_test(cert_both_ways),  cmocka_unit_test(cert_rows),
        cmocka_unit_test(small_both_ways), cmocka_unit_test(answers),
    };

    xeno_crypto_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
