/* fuzz/doc/fuzz-loghead.c - no input crashes the reader of heads and proofs, or proves a lie.
 *
 * The first letter says what the rest is: 'h' a head as it would arrive, 'p' the payload of one
 * (signed here), 'i' and 'c' {"n","size","proof"} of an inclusion and of a consistency proof. */
#include "../fuzz/fuzz.h"

#include <string.h>

#include "crypto/jws.h"
#include "doc/loghead.h"

#define LEAVES 21

static struct xeno_hash leaves[LEAVES];

static int node(void *ctx, int height, int64_t index, struct xeno_hash *ret, struct xeno_err *err)
{
    struct xeno_hash left, right;

    if (height == 0) {
        *ret = leaves[index];
        return 0;
    }
    (void)node(ctx, height - 1, 2 * index, &left, err);
    (void)node(ctx, height - 1, 2 * index + 1, &right, err);
    *ret = xeno_hash_node(&left, &right);
    return 0;
}

static const struct xeno_tree tree = { node, NULL };

static void head(const struct xeno_key *key, const char *text, size_t len)
{
    struct xeno_log_head h, same;
    xeno_autofree char *again = NULL;

    if (xeno_log_head_read(text, len, xeno_key_pub(key), &h, NULL) < 0)
        return;
    XENO_REQUIRE(h.size >= 0 && h.size <= XENO_TREE_MAX && h.time.ns >= 0);
    again = xeno_log_head_sign(key, h.size, &h.root, h.time);
    XENO_REQUIRE(xeno_log_head_read(again, strlen(again), xeno_key_pub(key), &same, NULL) == 0);
    XENO_REQUIRE(xeno_log_heads_compare(&h, &same, NULL) == 0 && h.time.ns == same.time.ns);
}

/* A proof that holds is the one there is; of another history nothing holds. */
static void proof(char kind, const char *text, size_t len)
{
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at at;
    struct xeno_proof p, right;
    struct xeno_hash root, other = { { 9 } }, first;
    int64_t n = 0, size = 0;

    if (xeno_json_parse(text, len, 65536, &doc, NULL) < 0)
        return;
    at = xeno_json_top(doc);
    if (xeno_json_int(&at, "n", INT64_MIN, INT64_MAX, &n, NULL) < 0 ||
        xeno_json_int(&at, "size", INT64_MIN, INT64_MAX, &size, NULL) < 0 ||
        xeno_proof_read(&at, "proof", &p, NULL) < 0)
        return;
    if (kind == 'i') {
        XENO_REQUIRE(xeno_inclusion_check(&other, n, size, leaves, &p, NULL) < 0);
    } else {
        (void)xeno_consistency_check(n, &other, size, leaves, &p, NULL);
    }
    if (size < 1 || size > LEAVES || n < 0 || n > size || (kind == 'i' && n == size))
        return;
    XENO_REQUIRE(xeno_tree_root(&tree, size, &root, NULL) == 0);
    if (kind == 'i') {
        XENO_REQUIRE(xeno_inclusion_make(&tree, n, size, &right, NULL) == 0);
        if (xeno_inclusion_check(&leaves[n], n, size, &root, &p, NULL) < 0)
            return;
    } else {
        XENO_REQUIRE(xeno_consistency_make(&tree, n, size, &right, NULL) == 0);
        XENO_REQUIRE(xeno_tree_root(&tree, n, &first, NULL) == 0);
        if (xeno_consistency_check(n, &first, size, &root, &p, NULL) < 0)
            return;
    }
    XENO_REQUIRE(p.count == right.count);
    XENO_REQUIRE(memcmp(p.hashes, right.hashes, p.count * sizeof p.hashes[0]) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data + 1;
    xeno_auto(xeno_key) key = NULL;
    xeno_autofree char *signed_text = NULL;
    uint8_t seed[32];

    if (size < 1)
        return 0;
    xeno_crypto_init();
    memset(seed, 1, sizeof seed);
    key = xeno_key_from_seed(seed);
    for (uint8_t i = 0; i < LEAVES; i++)
        leaves[i] = xeno_hash_leaf(&i, 1);
    switch (data[0]) {
    case 'i':
    case 'c':
        proof((char)data[0], text, size - 1);
        break;
    case 'p':
        signed_text = xeno_jws_sign(key, XENO_TYP_LOG_HEAD, text, size - 1);
        head(key, signed_text, strlen(signed_text));
        break;
    default:
        head(key, text, size - 1);
        break;
    }
    return 0;
}
