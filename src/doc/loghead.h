/* src/doc/loghead.h - the signed heads of a XenoCorp's log, and what a leaf of it says (rfc/0006).
 *
 * The log is the Merkle tree (merkle.h) over everything the XenoCorp did, one leaf an act. Its head
 * says how many leaves there are and their root. XenoCorp signs one after each group of acts and
 * puts it, as a receipt, into the answers to that group. A reader keeps the newest head it was
 * given and asks for a proof that each newer one continues it. Two heads that cannot both be of one
 * history, signed by one key, convict the signer before anybody: that is "log.forked".
 *
 *   head   JWS, typ xeno-log-head+json: {"v":1,"corp":ID,"size":n,"root":HASH,"time_ms":t}
 *   leaf   the exact bytes of a JSON object {"v":1,"act":WORD,...}
 *
 * A leaf is read by those it is about and by operators; others see its hash. A leaf that could be
 * guessed carries a random "salt". A charge's leaf needs none: its order and session are random
 * names, and of the items it holds the digest only (xeno_charge_digest()).
 */
#ifndef XENO_DOC_LOGHEAD_H
#define XENO_DOC_LOGHEAD_H

#include "crypto/key.h"
#include "doc/charge.h"
#include "doc/merkle.h"
#include "doc/types.h"

#define XENO_LOG_HEAD_MAX   1024 /* bytes of a signed head's text */
#define XENO_LEAF_MAX       2048 /* bytes of a leaf */
#define XENO_LEAF_SHA_SHORT 16   /* of charges from before there was a log (rfc/0006, 3.2) */

struct xeno_log_head {
    struct xeno_id corp;
    int64_t size; /* leaves */
    struct xeno_hash root;
    xeno_time time; /* when it was signed */
};

/* The corp is the key's id. Returns: the signed text, the caller's. */
char *xeno_log_head_sign(const struct xeno_key *corp, int64_t size, const struct xeno_hash *root,
                         xeno_time time);

/* Errors: -EFBIG log.head (too long); -EPERM and -EINVAL with tokens of jws.h, json.h, -EINVAL
 * log.hash; -EPERM log.corp (it names another XenoCorp than its signer). */
int xeno_log_head_read(const char *text, size_t len, const struct xeno_pub *corp,
                       struct xeno_log_head *ret, struct xeno_err *err);

/* Can a proof be spared? Of two heads of one XenoCorp of which neither is older by size, the roots
 * decide.
 *
 * Returns: 0 when they are of one history (same size and root, or one is empty), 1 when a
 *          consistency proof from the smaller to the larger is needed to tell.
 * Errors:  -EUCLEAN log.forked  one size, two roots: these two texts alone are the evidence
 */
int xeno_log_heads_compare(const struct xeno_log_head *a, const struct xeno_log_head *b,
                           struct xeno_err *err);

/* Is `b` a later head of the history `a` is of (or the other way round)? `proof` is from the
 * smaller to the larger, and not looked at where none is needed.
 *
 * Errors: -EUCLEAN log.forked as above; -EUCLEAN log.unproved: the proof does not show it. Keep
 * both texts: who signed them owes a proof, and cannot give one when there were two histories.
 */
int xeno_log_heads_check(const struct xeno_log_head *a, const struct xeno_log_head *b,
                         const struct xeno_proof *proof, struct xeno_err *err);

/* What the leaf of a charge says. Borrows. */
struct xeno_charge_leaf {
    const char *server, *order, *session;
    int64_t epoch, seq, from_ms, to_ms, tariff, amount;
    const uint8_t *sha; /* of xeno_charge_digest(): 32 bytes, or XENO_LEAF_SHA_SHORT of them */
    size_t sha_len;
};
/* Its bytes, without a zero byte counted. Returns: how many; out holds XENO_LEAF_MAX. */
size_t xeno_charge_leaf_text(const struct xeno_charge_leaf *l, char out[XENO_LEAF_MAX]);
/* The leaf of a charge that `server` made: what both sides can compute alone. */
struct xeno_hash xeno_charge_leaf_hash(const struct xeno_charge *c, const char *server,
                                       const uint8_t sha[32]);

#endif
