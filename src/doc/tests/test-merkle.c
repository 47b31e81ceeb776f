/* src/doc/tests/test-merkle.c - trees and proofs against the published vectors and the definition.
 */
#include "doc/merkle.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/enc.h"
#include "crypto/key.h"

#define MOST 64 /* leaves in the trees whose every proof is tried */

static struct xeno_hash leaves[MOST];

/* --- the definition, RFC 9162 2.1.1, word for word --- */

static struct xeno_hash naive_root(const struct xeno_hash *d, int64_t n)
{
    struct xeno_hash left, right;
    int64_t k = 1;

    if (n == 0)
        return xeno_hash_empty();
    if (n == 1)
        return d[0];
    while (k * 2 < n)
        k *= 2;
    left = naive_root(d, k);
    right = naive_root(d + k, n - k);
    return xeno_hash_node(&left, &right);
}

static int naive_node(void *ctx, int height, int64_t index, struct xeno_hash *ret,
                      struct xeno_err *err)
{
    const struct xeno_hash *d = ctx;

    (void)err;
    *ret = naive_root(d + (index << height), INT64_C(1) << height);
    return 0;
}

static const struct xeno_tree tree = { naive_node, leaves };

static int set_up(void **state)
{
    (void)state;
    xeno_crypto_init();
    for (int i = 0; i < MOST; i++) {
        char text[16];

        leaves[i] = xeno_hash_leaf(text, (size_t)snprintf(text, sizeof text, "leaf %d", i));
    }
    return 0;
}

/* --- published: the trees of the Certificate Transparency test suite --- */

static const struct {
    const char *leaf; /* the one that this tree has more than the one before, in hexadecimal */
    const char *root;
} vectors[] = {
    { NULL, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
    { "", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d" },
    { "00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125" },
    { "10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77" },
    { "2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7" },
    { "3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4" },
    { "40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef" },
    { "5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c" },
    { "606162636465666768696a6b6c6d6e6f",
      "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328" },
};

static const struct {
    bool inclusion;
    int64_t a, b; /* leaf and size, or the two sizes */
    const char *hashes[4];
} published[] = {
    { true, 0, 1, { NULL } },
    { true,
      5,
      8,
      { "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7" } },
    { true, 2, 3, { "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125" } },
    { false,
      6,
      8,
      { "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7" } },
};

static void vector_leaves(struct xeno_hash d[8])
{
    for (size_t i = 0; i < 8; i++) {
        uint8_t bytes[16];
        size_t len = strlen(vectors[i + 1].leaf) / 2;

        assert_true(xeno_unhex(vectors[i + 1].leaf, bytes, len));
        d[i] = xeno_hash_leaf(bytes, len);
    }
}

static void assert_hex(const struct xeno_hash *h, const char *want)
{
    char text[65];

    xeno_hex(h->b, sizeof h->b, text);
    assert_string_equal(text, want);
}

static void roots_as_published(void **state)
{
    struct xeno_hash d[8], root;
    struct xeno_tree t = { naive_node, d };

    (void)state;
    vector_leaves(d);
    for (int64_t n = 0; n <= 8; n++) {
        assert_int_equal(xeno_tree_root(&t, n, &root, NULL), 0);
        assert_hex(&root, vectors[n].root);
    }
}

static void proofs_as_published(void **state)
{
    struct xeno_hash d[8];
    struct xeno_tree t = { naive_node, d };
    struct xeno_proof p;

    (void)state;
    vector_leaves(d);
    for (size_t i = 0; i < XENO_LEN(published); i++) {
        size_t n = 0;

        if (published[i].inclusion)
            assert_int_equal(xeno_inclusion_make(&t, published[i].a, published[i].b, &p, NULL), 0);
        else
            assert_int_equal(xeno_consistency_make(&t, published[i].a, published[i].b, &p, NULL),
                             0);
        for (; published[i].hashes[n]; n++)
            assert_hex(&p.hashes[n], published[i].hashes[n]);
        assert_int_equal(p.count, n);
    }
}

/* --- every proof of trees up to MOST leaves, and every small lie about one --- */

static bool included(const struct xeno_hash *leaf, int64_t n, int64_t size,
                     const struct xeno_hash *root, const struct xeno_proof *p)
{
    return xeno_inclusion_check(leaf, n, size, root, p, NULL) == 0;
}

static bool consistent(int64_t m, const struct xeno_hash *mr, int64_t n, const struct xeno_hash *nr,
                       const struct xeno_proof *p)
{
    return xeno_consistency_check(m, mr, n, nr, p, NULL) == 0;
}

/* `still` is true when what was proved is still proved by `p`: it must not be, by any change. */
#define refuse_changed(p, still)                                                                   \
    do {                                                                                           \
        for (size_t i_ = 0; i_ < (p).count; i_++) {                                                \
            (p).hashes[i_].b[i_ % 32] ^= 0x40;                                                     \
            assert_false(still);                                                                   \
            (p).hashes[i_].b[i_ % 32] ^= 0x40;                                                     \
        }                                                                                          \
        (p).hashes[(p).count] = leaves[0];                                                         \
        (p).count++;                                                                               \
        assert_false(still);                                                                       \
        (p).count--;                                                                               \
        if ((p).count > 0) {                                                                       \
            (p).count--;                                                                           \
            assert_false(still);                                                                   \
            (p).count++;                                                                           \
        }                                                                                          \
    } while (0)

static void every_inclusion(void **state)
{
    struct xeno_proof p;

    (void)state;
    for (int64_t n = 1; n <= MOST; n++) {
        struct xeno_hash root = naive_root(leaves, n), bad = root;

        bad.b[31] ^= 1;
        for (int64_t m = 0; m < n; m++) {
            assert_int_equal(xeno_inclusion_make(&tree, m, n, &p, NULL), 0);
            assert_true(p.count <= 6);
            assert_true(included(&leaves[m], m, n, &root, &p));
            assert_false(included(&leaves[m], m, n, &bad, &p));
            assert_false(included(&leaves[(m + 1) % MOST], m, n, &root, &p));
            assert_false(m + 1 < n && included(&leaves[m], m + 1, n, &root, &p));
            refuse_changed(p, included(&leaves[m], m, n, &root, &p));
        }
    }
}

static void every_consistency(void **state)
{
    struct xeno_proof p;

    (void)state;
    for (int64_t n = 1; n <= MOST; n++) {
        struct xeno_hash nr = naive_root(leaves, n);

        for (int64_t m = 0; m <= n; m++) {
            struct xeno_hash mr = naive_root(leaves, m), bad = mr;

            bad.b[0] ^= 1;
            assert_int_equal(xeno_consistency_make(&tree, m, n, &p, NULL), 0);
            assert_true(p.count <= 7 && (p.count == 0) == (m == 0 || m == n));
            assert_true(consistent(m, &mr, n, &nr, &p));
            assert_false(consistent(m, &bad, n, &nr, &p));
            assert_false(m > 0 && consistent(m, &mr, n, &bad, &p));
            assert_false(m > 1 && consistent(m - 1, &mr, n, &nr, &p));
            refuse_changed(p, consistent(m, &mr, n, &nr, &p));
        }
    }
}

/* A list that was changed after `m` leaves were shown continues nothing but what it shares. */
static void another_history(void **state)
{
    struct xeno_hash other[MOST];
    struct xeno_tree t = { naive_node, other };
    struct xeno_proof p;

    (void)state;
    for (int64_t at = 0; at < MOST; at += 7) {
        struct xeno_hash root;

        memcpy(other, leaves, sizeof other);
        other[at].b[5] ^= 8;
        root = naive_root(other, MOST);
        for (int64_t m = 1; m < MOST; m++) {
            struct xeno_hash mr = naive_root(leaves, m);

            assert_int_equal(xeno_consistency_make(&t, m, MOST, &p, NULL), 0);
            assert_int_equal(consistent(m, &mr, MOST, &root, &p), m <= at);
        }
    }
}

/* --- bounds --- */

static const struct {
    int64_t n, size;
    int want;
} bounds[] = {
    { 0, 1, 0 },
    { 0, 0, -ERANGE },
    { 1, 1, -ERANGE },
    { -1, 1, -ERANGE },
    { 0, -1, -ERANGE },
    { 0, XENO_TREE_MAX + 1, -ERANGE },
    { 0, INT64_MAX, -ERANGE },
    { INT64_MIN, INT64_MIN, -ERANGE },
};

static void numbers_out_of_range(void **state)
{
    struct xeno_proof p = { .count = 0 };
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    for (size_t i = 0; i < XENO_LEN(bounds); i++) {
        int64_t n = bounds[i].n, size = bounds[i].size;

        p.count = 0;
        assert_int_equal(xeno_inclusion_check(leaves, n, size, leaves, &p, &err), bounds[i].want);
        assert_int_equal(xeno_inclusion_make(&tree, n, size, &p, &err), bounds[i].want);
        if (bounds[i].want)
            assert_string_equal(err.token, "log.range");
    }
    assert_int_equal(xeno_consistency_check(2, leaves, 1, leaves, &p, &err), -ERANGE);
    assert_int_equal(xeno_consistency_check(-1, leaves, 1, leaves, &p, &err), -ERANGE);
    assert_int_equal(xeno_consistency_check(INT64_MIN, leaves, INT64_MAX, leaves, &p, &err),
                     -ERANGE);
    assert_int_equal(xeno_consistency_check(1, leaves, XENO_TREE_MAX + 1, leaves, &p, &err),
                     -ERANGE);
    assert_int_equal(xeno_consistency_make(&tree, 2, 1, &p, &err), -ERANGE);
    assert_int_equal(xeno_consistency_make(&tree, -1, 1, &p, &err), -ERANGE);
    assert_int_equal(xeno_tree_root(&tree, -1, &p.hashes[0], &err), -ERANGE);
    p.count = XENO_PROOF_MAX + 1;
    assert_int_equal(xeno_inclusion_check(leaves, 0, XENO_TREE_MAX, leaves, &p, &err), -EPERM);
    assert_int_equal(xeno_consistency_check(1, leaves, 2, leaves, &p, &err), -EPERM);
}

/* A leaf is never taken for a node, however long it is. */
static void leaves_are_no_nodes(void **state)
{
    uint8_t bytes[4096] = { 1, 2, 3 };
    struct xeno_hash node = xeno_hash_node(&leaves[0], &leaves[1]), again, whole;
    uint8_t both[64];
    xeno_autofree uint8_t *with = xeno_alloc0(sizeof bytes + 1, 1);

    (void)state;
    memcpy(both, leaves[0].b, 32);
    memcpy(both + 32, leaves[1].b, 32);
    again = xeno_hash_leaf(both, sizeof both);
    assert_false(xeno_hash_equal(&node, &again));
    memcpy(with + 1, bytes, sizeof bytes);
    for (size_t len = 1000; len < sizeof bytes; len += 500) { /* across the piece that is copied */
        xeno_sha256_of(with, len + 1, whole.b);
        again = xeno_hash_leaf(bytes, len);
        assert_true(xeno_hash_equal(&again, &whole));
    }
}

static const struct {
    const char *json;
    const char *token; /* NULL: read */
} texts[] = {
    { "{\"p\":[]}", NULL },
    { "{\"p\":[\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"]}", NULL },
    { "{\"p\":[\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB\"]}", "log.hash" },
    { "{\"p\":[\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"]}", "log.hash" },
    { "{\"p\":[\"AAAA\"]}", "json.range" },
    { "{\"p\":[7]}", "json.type" },
    { "{\"p\":7}", "json.type" },
    { "{}", "json.missing" },
};

static void proofs_as_text(void **state)
{
    xeno_auto(xeno_json) back = xeno_json_object();
    struct xeno_proof p, same;
    struct xeno_json_at top;

    (void)state;
    for (size_t i = 0; i < XENO_LEN(texts); i++) {
        xeno_auto(xeno_json) j = NULL;
        struct xeno_err err = XENO_ERR_INIT;
        int r;

        assert_int_equal(xeno_json_parse(texts[i].json, strlen(texts[i].json), 4096, &j, NULL), 0);
        top = xeno_json_top(j);
        r = xeno_proof_read(&top, "p", &p, &err);
        assert_int_equal(r < 0, texts[i].token != NULL);
        if (texts[i].token)
            assert_string_equal(err.token, texts[i].token);
    }
    assert_int_equal(xeno_inclusion_make(&tree, 13, MOST, &p, NULL), 0);
    xeno_json_set(back, "p", xeno_proof_json(&p));
    top = xeno_json_top(back);
    assert_int_equal(xeno_proof_read(&top, "p", &same, NULL), 0);
    assert_int_equal(same.count, p.count);
    assert_memory_equal(same.hashes, p.hashes, p.count * sizeof p.hashes[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots_as_published),  cmocka_unit_test(proofs_as_published),
        cmocka_unit_test(every_inclusion),     cmocka_unit_test(every_consistency),
        cmocka_unit_test(another_history),     cmocka_unit_test(numbers_out_of_range),
        cmocka_unit_test(leaves_are_no_nodes), cmocka_unit_test(proofs_as_text),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
