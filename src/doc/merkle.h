/* src/doc/merkle.h - Merkle trees over a growing list, and proofs about them (RFC 9162 2.1).
 *
 * The hash of a leaf is SHA-256(0x00 || its bytes), of a node SHA-256(0x01 || left || right), of no
 * leaves SHA-256 of nothing. A tree of n leaves splits at the largest power of two below n, so that
 * a tree that grew keeps every complete part it had. Two kinds of proof, each a list of hashes:
 *
 *   inclusion    leaf number n (from 0) is in the tree of `size` leaves that has this root
 *   consistency  the tree of `second` leaves begins with the tree of `first`
 *
 * Making a proof reads from a source of complete subtrees; checking one needs nothing but the
 * hashes. Pure. Context: any thread.
 */
#ifndef XENO_DOC_MERKLE_H
#define XENO_DOC_MERKLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "json/json.h"

#define XENO_HASH_BYTES 32
#define XENO_HASH_TEXT  44                 /* 43 letters of base64url and a zero byte */
#define XENO_TREE_MAX   (INT64_C(1) << 48) /* leaves */
#define XENO_PROOF_MAX  64                 /* hashes in any proof: one a level, and one */

struct xeno_hash {
    uint8_t b[XENO_HASH_BYTES];
};

struct xeno_hash xeno_hash_leaf(const void *data, size_t len);
struct xeno_hash xeno_hash_node(const struct xeno_hash *left, const struct xeno_hash *right);
struct xeno_hash xeno_hash_empty(void); /* the root of a tree without leaves */
bool xeno_hash_equal(const struct xeno_hash *a, const struct xeno_hash *b);
void xeno_hash_text(const struct xeno_hash *h, char out[XENO_HASH_TEXT]);
bool xeno_hash_parse(const char *text, struct xeno_hash *ret);

struct xeno_proof {
    size_t count;
    struct xeno_hash hashes[XENO_PROOF_MAX];
};
/* An array of base64url texts, the caller's; and member `key` of `at` as such an array.
 * Errors: tokens of json.h; -EINVAL log.hash, naming the element. */
struct xeno_json *xeno_proof_json(const struct xeno_proof *p);
int xeno_proof_read(const struct xeno_json_at *at, const char *key, struct xeno_proof *ret,
                    struct xeno_err *err);

/* --- checking: what a client does --- */

/* Errors: -ERANGE log.range (size is not 1 to XENO_TREE_MAX, n not below it), -EPERM log.proof. */
int xeno_inclusion_check(const struct xeno_hash *leaf, int64_t n, int64_t size,
                         const struct xeno_hash *root, const struct xeno_proof *proof,
                         struct xeno_err *err);

/* Every tree begins with the empty one; a tree is consistent with itself: both by an empty proof.
 * Errors: -ERANGE log.range (not 0 <= first <= second <= XENO_TREE_MAX), -EPERM log.proof. */
int xeno_consistency_check(int64_t first, const struct xeno_hash *first_root, int64_t second,
                           const struct xeno_hash *second_root, const struct xeno_proof *proof,
                           struct xeno_err *err);

/* --- making: what the log does --- */

/* Where hashes come from. node() gives the root of the complete subtree of 2^height leaves that
 * begins with leaf index << height, all of which the tree has; it returns 0 or a failure. */
struct xeno_tree {
    int (*node)(void *ctx, int height, int64_t index, struct xeno_hash *ret, struct xeno_err *err);
    void *ctx;
};

/* Errors, of all three: -ERANGE log.range as above, and those of node(). */
int xeno_tree_root(const struct xeno_tree *t, int64_t size, struct xeno_hash *ret,
                   struct xeno_err *err);
int xeno_inclusion_make(const struct xeno_tree *t, int64_t n, int64_t size, struct xeno_proof *ret,
                        struct xeno_err *err);
int xeno_consistency_make(const struct xeno_tree *t, int64_t first, int64_t second,
                          struct xeno_proof *ret, struct xeno_err *err);

#endif
