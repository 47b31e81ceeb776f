/* src/doc/merkle.c - Merkle trees and their proofs. */
#include "doc/merkle.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/key.h"

#define LEAF_STACK 1024 /* longer leaves are hashed in pieces */

struct xeno_hash xeno_hash_leaf(const void *data, size_t len)
{
    uint8_t buf[1 + LEAF_STACK] = { 0x00 };
    xeno_auto(xeno_sha256) running = NULL;
    struct xeno_hash h;

    if (len <= LEAF_STACK) {
        memcpy(buf + 1, data, len);
        xeno_sha256_of(buf, 1 + len, h.b);
        return h;
    }
    running = xeno_sha256_new();
    xeno_sha256_add(running, buf, 1);
    xeno_sha256_add(running, data, len);
    xeno_sha256_end(running, h.b);
    return h;
}

struct xeno_hash xeno_hash_node(const struct xeno_hash *left, const struct xeno_hash *right)
{
    uint8_t buf[1 + 2 * XENO_HASH_BYTES] = { 0x01 };
    struct xeno_hash h;

    memcpy(buf + 1, left->b, sizeof left->b);
    memcpy(buf + 1 + sizeof left->b, right->b, sizeof right->b);
    xeno_sha256_of(buf, sizeof buf, h.b);
    return h;
}

struct xeno_hash xeno_hash_empty(void)
{
    struct xeno_hash h;

    xeno_sha256_of("", 0, h.b);
    return h;
}

bool xeno_hash_equal(const struct xeno_hash *a, const struct xeno_hash *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

void xeno_hash_text(const struct xeno_hash *h, char out[XENO_HASH_TEXT])
{
    xeno_autofree char *text = xeno_b64url(h->b, sizeof h->b);

    memcpy(out, text, XENO_HASH_TEXT);
}

bool xeno_hash_parse(const char *text, struct xeno_hash *ret)
{
    size_t len = 0;
    xeno_autofree uint8_t *b =
        xeno_unb64url(text, strnlen(text, XENO_HASH_TEXT), XENO_HASH_BYTES, &len);

    if (!b || len != XENO_HASH_BYTES)
        return false;
    memcpy(ret->b, b, sizeof ret->b);
    return true;
}

/* --- proofs as JSON --- */

struct xeno_json *xeno_proof_json(const struct xeno_proof *p)
{
    struct xeno_json *list = xeno_json_array();
    char text[XENO_HASH_TEXT];

    for (size_t i = 0; i < p->count; i++) {
        xeno_hash_text(&p->hashes[i], text);
        xeno_json_append_str(list, text);
    }
    return list;
}

int xeno_proof_read(const struct xeno_json_at *at, const char *key, struct xeno_proof *ret,
                    struct xeno_err *err)
{
    struct xeno_json_at list;
    struct xeno_proof p;
    const char *text;
    int r = xeno_json_arr(at, key, XENO_PROOF_MAX, &list, &p.count, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < p.count; i++) {
        r = xeno_json_item_str(&list, i, XENO_HASH_TEXT - 1, XENO_HASH_TEXT - 1, &text, err);
        if (r < 0)
            return r;
        if (!xeno_hash_parse(text, &p.hashes[i]))
            return xeno_fail(err, -EINVAL, "log.hash",
                             "%s[%zu] is not a SHA-256 digest in base64url", key, i);
    }
    ret->count = p.count;
    memcpy(ret->hashes, p.hashes, p.count * sizeof p.hashes[0]);
    return 0;
}

/* --- checking: RFC 9162 2.1.3.2 and 2.1.4.2, in its own letters --- */

static int refuse_range(struct xeno_err *err)
{
    return xeno_fail(err, -ERANGE, "log.range", "a tree has 0 to 2^48 leaves, counted from 0");
}

static int refuse_proof(struct xeno_err *err, const char *why)
{
    return xeno_fail(err, -EPERM, "log.proof", "the proof %s", why);
}

/* A step up. Where the walk is on the right edge, levels at which it had no sibling are passed. */
static void up(int64_t *fn, int64_t *sn)
{
    while (*fn != 0 && (*fn & 1) == 0) {
        *fn >>= 1;
        *sn >>= 1;
    }
}

int xeno_inclusion_check(const struct xeno_hash *leaf, int64_t n, int64_t size,
                         const struct xeno_hash *root, const struct xeno_proof *proof,
                         struct xeno_err *err)
{
    struct xeno_hash r = *leaf;
    int64_t fn = n, sn;

    if (size < 1 || size > XENO_TREE_MAX || n < 0 || n >= size)
        return refuse_range(err);
    sn = size - 1;
    if (proof->count > XENO_PROOF_MAX)
        return refuse_proof(err, "is too long");
    for (size_t i = 0; i < proof->count; i++) {
        if (sn == 0)
            return refuse_proof(err, "is too long");
        if ((fn & 1) || fn == sn) {
            r = xeno_hash_node(&proof->hashes[i], &r);
            up(&fn, &sn);
        } else {
            r = xeno_hash_node(&r, &proof->hashes[i]);
        }
        fn >>= 1;
        sn >>= 1;
    }
    if (sn != 0)
        return refuse_proof(err, "is too short");
    if (!xeno_hash_equal(&r, root))
        return refuse_proof(err, "does not lead from the leaf to the root");
    return 0;
}

/* The walk up from what the two trees share: fr becomes the first's root, sr the second's. */
static int walk_both(int64_t fn, int64_t sn, struct xeno_hash *fr, struct xeno_hash *sr,
                     const struct xeno_hash *rest, size_t count, struct xeno_err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (sn == 0)
            return refuse_proof(err, "is too long");
        if ((fn & 1) || fn == sn) {
            *fr = xeno_hash_node(&rest[i], fr);
            *sr = xeno_hash_node(&rest[i], sr);
            up(&fn, &sn);
        } else {
            *sr = xeno_hash_node(sr, &rest[i]);
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0 ? 0 : refuse_proof(err, "is too short");
}

int xeno_consistency_check(int64_t first, const struct xeno_hash *first_root, int64_t second,
                           const struct xeno_hash *second_root, const struct xeno_proof *proof,
                           struct xeno_err *err)
{
    struct xeno_hash empty = xeno_hash_empty(), fr, sr;
    const struct xeno_hash *rest = proof->hashes;
    size_t count = proof->count;
    int64_t fn, sn;
    int r;

    if (first < 0 || first > second || second > XENO_TREE_MAX)
        return refuse_range(err);
    if (count > XENO_PROOF_MAX || ((first == 0 || first == second) && count != 0))
        return refuse_proof(err, "is too long");
    if (first == 0)
        return xeno_hash_equal(first_root, &empty) ? 0 : refuse_proof(err, "begins with no tree");
    if (first == second)
        return xeno_hash_equal(first_root, second_root)
                   ? 0
                   : refuse_proof(err, "cannot be: one size has two roots");
    for (fn = first - 1, sn = second - 1; fn & 1; fn >>= 1)
        sn >>= 1;
    if (fn == 0) { /* first is a power of two: it is itself what they share */
        fr = *first_root;
    } else if (count > 0) {
        fr = *rest++;
        count--;
    } else {
        return refuse_proof(err, "is too short");
    }
    sr = fr;
    r = walk_both(fn, sn, &fr, &sr, rest, count, err);
    if (r < 0)
        return r;
    if (!xeno_hash_equal(&fr, first_root) || !xeno_hash_equal(&sr, second_root))
        return refuse_proof(err, "does not lead from one root to the other");
    return 0;
}

/* --- making --- */

/* Largest power of two below n; n above 1. */
static int64_t split_of(int64_t n)
{
    return INT64_C(1) << (63 - __builtin_clzll((unsigned long long)n - 1));
}

/* The root of leaves first..first + size - 1, where first is a multiple of a power of two that is
 * at least size: complete subtrees from the left, joined from the right. */
static int range_root(const struct xeno_tree *t, int64_t first, int64_t size, struct xeno_hash *ret,
                      struct xeno_err *err)
{
    struct xeno_hash parts[64];
    int count = 0;

    for (int h = 62; h >= 0; h--) {
        int r;

        if (!(size >> h & 1))
            continue;
        r = t->node(t->ctx, h, first >> h, &parts[count++], err);
        if (r < 0)
            return r;
        first += INT64_C(1) << h;
    }
    for (; count > 1; count--)
        parts[count - 2] = xeno_hash_node(&parts[count - 2], &parts[count - 1]);
    *ret = parts[0];
    return 0;
}

/* The walk down to a proof's first hash: what stands beside each step, top first. */
struct steps {
    struct {
        int64_t first, size;
    } beside[XENO_PROOF_MAX];
    size_t count;
};

static void step_beside(struct steps *s, int64_t first, int64_t size)
{
    s->beside[s->count].first = first;
    s->beside[s->count++].size = size;
}

/* A proof lists them from the bottom. */
static int steps_proof(const struct xeno_tree *t, const struct steps *s, struct xeno_proof *ret,
                       struct xeno_err *err)
{
    struct xeno_proof p = { .count = 0 };

    for (size_t i = s->count; i > 0; i--) {
        int r =
            range_root(t, s->beside[i - 1].first, s->beside[i - 1].size, &p.hashes[p.count++], err);

        if (r < 0)
            return r;
    }
    *ret = p;
    return 0;
}

int xeno_tree_root(const struct xeno_tree *t, int64_t size, struct xeno_hash *ret,
                   struct xeno_err *err)
{
    if (size < 0 || size > XENO_TREE_MAX)
        return refuse_range(err);
    if (size > 0)
        return range_root(t, 0, size, ret, err);
    *ret = xeno_hash_empty();
    return 0;
}

int xeno_inclusion_make(const struct xeno_tree *t, int64_t n, int64_t size, struct xeno_proof *ret,
                        struct xeno_err *err)
{
    struct steps s = { .count = 0 };
    int64_t first = 0, part = size;

    if (size < 1 || size > XENO_TREE_MAX || n < 0 || n >= size)
        return refuse_range(err);
    while (part > 1) {
        int64_t k = split_of(part);

        if (n < first + k) {
            step_beside(&s, first + k, part - k);
            part = k;
        } else {
            step_beside(&s, first, k);
            first += k;
            part -= k;
        }
    }
    return steps_proof(t, &s, ret, err);
}

int xeno_consistency_make(const struct xeno_tree *t, int64_t first, int64_t second,
                          struct xeno_proof *ret, struct xeno_err *err)
{
    struct steps s = { .count = 0 };
    int64_t at = 0, part = second, rest = first; /* of the first tree, in this part */

    if (first < 0 || first > second || second > XENO_TREE_MAX)
        return refuse_range(err);
    while (first > 0 && rest < part) {
        int64_t k = split_of(part);

        if (rest <= k) {
            step_beside(&s, at + k, part - k);
            part = k;
        } else {
            step_beside(&s, at, k);
            at += k;
            part -= k;
            rest -= k;
        }
    }
    if (at > 0 && first < second)
        step_beside(&s, at, part); /* what both share is not the first tree itself */
    return steps_proof(t, &s, ret, err);
}
