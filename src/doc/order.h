/* src/doc/order.h - purchase orders as chains of signed blocks (rfc/0001-order-chain.md).
 *
 * Block 0 is the XenoCorp's promise to pay up to a limit, and names the key that may use it. Each
 * further block is signed by the key in force, adds restrictions, and may name the next key. A
 * block can only narrow: servers and environment types intersect, limits take the smallest, windows
 * overlap. What is left is `struct xeno_order_terms`, and xeno_order_permits() is the one judge of
 * it: the client asks it before it sends an order, the XenoServer before it starts work, the
 * XenoCorp before it binds.
 *
 * A chain cut short is a valid chain too, of who held it then, and every XenoServer that is shown a
 * chain could cut it. So the holder presents it: a last block that says to which XenoServer and
 * when. Only a presented chain can be used, and a presentation binds once. Pure: no clock, no
 * store. Context: any thread.
 */
#ifndef XENO_DOC_ORDER_H
#define XENO_DOC_ORDER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/units.h"
#include "crypto/key.h"
#include "doc/types.h"

#define XENO_ORDER_BLOCKS_MAX  8           /* with the one that presents it */
#define XENO_ORDER_BYTES_MAX   (32 * 1024) /* of the chain's text */
#define XENO_ORDER_PRESENT_S   300         /* how far a presentation's time may be from ours */
#define XENO_ORDER_SERVERS_MAX 64          /* in one restriction */
#define XENO_ORDER_ENVS_MAX    8
#define XENO_ENV_TYPE_CHARS    32

/* What the holder of a verified chain may do with it. Plain values. */
struct xeno_order_terms {
    char order[XENO_ORDER_ID_CHARS + 1];
    struct xeno_id corp;
    struct xeno_id sponsor; /* whose money it is; "" when pseudonymous */
    xeno_credit limit;      /* what the XenoCorp set aside */
    xeno_credit max_total;  /* the smallest of limit and every max_total */
    xeno_credit max_rate;   /* per hour; INT64_MAX: any */
    xeno_time issued, expires;
    xeno_time not_before, not_after; /* the window left, inside issued and expires */
    bool validate_first;             /* must be validated before work starts */
    bool any_server, any_env;        /* no restriction; else only what is listed, maybe nothing */
    size_t server_count, env_count;
    struct xeno_id servers[XENO_ORDER_SERVERS_MAX];
    char envs[XENO_ORDER_ENVS_MAX][XENO_ENV_TYPE_CHARS + 1];
    struct xeno_pub holder; /* the key that may use it and add the next block */
    size_t blocks;
    struct xeno_id presented_to; /* "" as long as it is not presented */
    xeno_time presented_at;
};

/* Check everything in a chain: form, every signature, every link, and gather its terms.
 *
 * Borrows: text. `corp` is the XenoCorp's public key; its time is not looked at (permits does).
 * Errors: -EFBIG order.size, -EINVAL order.format (too many blocks, a document that is none),
 *         -EPERM order.signature (wrong signer, type or signature), order.link (blocks reordered,
 *         left out or from another chain), order.corp; tokens of json.h with "block N" in front.
 *         *ret is set on success only.
 */
int xeno_order_read(const char *text, size_t len, const struct xeno_pub *corp,
                    struct xeno_order_terms *ret, struct xeno_err *err);

/* The id of the XenoCorp and of the order that a chain claims, without checking a signature: to
 * find the key to check with. Errors: as above. */
int xeno_order_peek(const char *text, size_t len, struct xeno_id *ret_corp,
                    char ret_order[XENO_ORDER_ID_CHARS + 1], struct xeno_err *err);

/* --- making --- */

/* What a XenoCorp promises. Borrows everything. */
struct xeno_order_offer {
    const char *order;   /* xeno_order_id_new() */
    const char *sponsor; /* id; NULL: pseudonymous */
    xeno_credit limit;
    xeno_time issued, expires;
    struct xeno_pub key; /* who may use it */
};
/* Returns: the chain of one block, the caller's. Errors: -EINVAL order.offer. */
int xeno_order_issue(const struct xeno_key *corp, const struct xeno_order_offer *offer, char **ret,
                     struct xeno_err *err);

/* A narrowing. Zero (or no items) in a field leaves it as it is. Borrows. */
struct xeno_order_restriction {
    size_t server_count, env_count;
    const char *const *servers; /* ids */
    const char *const *envs;    /* "Linux" */
    xeno_credit max_total, max_rate;
    xeno_time not_before, not_after;
};
/* Add a block, offline: needs no XenoCorp. `next` (NULL: the same key goes on) is who may use it
 * from here. The whole chain is checked again, so that what comes out is what the others accept; a
 * place is kept for the block that presents it.
 *
 * Errors: -EPERM order.holder when `holder` is not the key in force, -EINVAL order.restriction,
 *         -E2BIG order.blocks, and those of xeno_order_read().
 */
int xeno_order_append(const char *text, size_t len, const struct xeno_pub *corp,
                      const struct xeno_key *holder, const struct xeno_order_restriction *r,
                      const struct xeno_pub *next, char **ret, struct xeno_err *err);

/* Make the chain that `server` is given, once, for a use that begins now: as xeno_order_append(),
 * with a block that names it and the time and after which none may follow. `max_rate` (0: as it is)
 * is the price an hour that was agreed: the XenoCorp takes no charges above it. Keep the chain it
 * is made from: that is the order. */
int xeno_order_present(const char *text, size_t len, const struct xeno_pub *corp,
                       const struct xeno_key *holder, const char *server, xeno_credit max_rate,
                       xeno_time now, char **ret, struct xeno_err *err);

/* --- judging --- */

struct xeno_order_ctx {
    const char *server;            /* id of the XenoServer the order is used at */
    const char *env_type;          /* "Linux" */
    xeno_time now;                 /* wall clock */
    xeno_credit rate_per_hour;     /* the most the session can cost in an hour */
    const struct xeno_pub *holder; /* the key whose possession the presenter proved */
    bool ahead; /* asked before it is presented: by its holder, or for a dry run */
};
/* May this be done under these terms? The first rule that says no is the error.
 *
 * Errors: -EPERM order.holder, order.server, order.env_type, order.early, order.expired,
 *         order.presented (not at all, to another server, or too long ago); -EDQUOT order.rate.
 *         Each text names the limit and what was asked.
 */
int xeno_order_permits(const struct xeno_order_terms *t, const struct xeno_order_ctx *ctx,
                       struct xeno_err *err);

/* Terms for people and programs; the caller's. Members as in a chain, and "blocks", "key". */
struct xeno_json *xeno_order_terms_json(const struct xeno_order_terms *t);

/* --- proof of possession, for a holder whose TLS credential is another key --- */

#define XENO_PROOF_SKEW_S 300 /* how far its time may be from ours */

/* `aud_sha` is 64 hexadecimal digits: SHA-256 of what is asked for with the order, so that a proof
 * cannot be moved to another request. Returns: the text, the caller's. */
char *xeno_proof_make(const struct xeno_key *holder, const char *order, const char *server,
                      const char *aud_sha, xeno_time now);
/* Errors: -EPERM proof.signature, proof.order, proof.server, proof.audience, proof.time;
 *         tokens of json.h and jws.h. */
int xeno_proof_check(const char *text, size_t len, const struct xeno_order_terms *t,
                     const char *server, const char *aud_sha, xeno_time now, struct xeno_err *err);

#endif
