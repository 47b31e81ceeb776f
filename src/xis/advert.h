/* src/xis/advert.h - what a XenoServer says of itself: signed, versioned, leased (RFC 0015).
 *
 * An advert is a JWS of typ "xeno-advert+xml", signed by the key whose hash is the advertiser's id,
 * so that it certifies itself wherever it comes from. Its payload is an XML document of elements
 * and text only (schemas/advert.xsd, xml/leaves.h); the mandatory elements come first and in order:
 * Id Key Version Expires Corp+ Isolation+ Endpoint. What follows is open: every leaf element is a
 * token, its path below the root joined by "/" ("Machine/CPU"), and its text with white space
 * collapsed. A text that is a decimal number, -?digits(.digits)? of at most 15 digits in all, is a
 * number (a double holds it exactly enough to print it back), any other is a string; a path that
 * comes again makes a set.
 *
 * Of one id the higher version counts. A *delta* (typ "xeno-advert-delta+xml") gives new numbers to
 * the document whose version is its Base; all that moved since that document, so at most one stands
 * beside it. A *withdrawal* (typ "xeno-advert-withdrawal+xml") ends it, and is kept until it
 * expires, so that nothing older comes back. What is kept and handed on is always the signed text.
 *
 * Pure: no clock, no I/O. Context: any thread after xeno_crypto_init(); an advert is read-only once
 * it is open, and may then be read by any number of threads.
 */
#ifndef XENO_XIS_ADVERT_H
#define XENO_XIS_ADVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/units.h"
#include "crypto/key.h"

#define XENO_ADVERT_TYP            "xeno-advert+xml"
#define XENO_ADVERT_DELTA_TYP      "xeno-advert-delta+xml"
#define XENO_ADVERT_WITHDRAWAL_TYP "xeno-advert-withdrawal+xml"

#define XENO_ADVERT_MAX_BYTES (64 * 1024) /* of the document */
#define XENO_ADVERT_JWS_MAX   (XENO_ADVERT_MAX_BYTES / 3 * 4 + 512)
#define XENO_ADVERT_LEAVES    512
#define XENO_ADVERT_PATH      128 /* bytes of "Machine/CPU" */
#define XENO_ADVERT_VALUE     256 /* bytes */
#define XENO_ADVERT_DEPTH     8   /* elements within each other, the root counted */
#define XENO_ADVERT_CORPS     16
#define XENO_ADVERT_ENDPOINT  256 /* bytes, "https://HOST:PORT" */
#define XENO_ADVERT_VERSION   ((INT64_C(1) << 53) - 1)
#define XENO_ADVERT_LEASE_S   (24 * 3600) /* the longest, from now */
#define XENO_ADVERT_SKEW_S    300         /* how far clocks may differ */

struct xeno_leaf {
    const char *path, *value;
    double n;    /* where `number` */
    bool number; /* else it is a string */
};

struct xeno_advert {
    struct xeno_id id;
    struct xeno_pub key;
    int64_t version;   /* what counts: the delta's if there is one */
    int64_t base;      /* the whole document's */
    xeno_time expires; /* wall clock, whole ms; the delta's if there is one */
    bool withdrawn;    /* then there are no leaves, no endpoint, and `jws` is the withdrawal */
    const char *endpoint;
    size_t leaf_count;
    struct xeno_leaf *leaves; /* in document order, the mandatory ones too */
    char *jws, *delta;        /* what was signed; delta NULL: none */
    size_t jws_len, delta_len;
};
void xeno_advert_free(struct xeno_advert *a);
XENO_DEFINE_AUTO(xeno_advert, xeno_advert_free);

/* Read an advert or a withdrawal and check all but the time: signature, kid = the id of Key, form
 * and bounds.
 *
 * Returns: 0 and the advert, the caller's, with a copy of the text.
 * Errors:  those of crypto/jws.h, and
 *          -EFBIG  advert.size    the text is longer than a document at its bound
 *          -EPERM  advert.key     Id, Key and kid do not belong together
 *          -EINVAL advert.form    not what the schema asks for: says line, element and rule
 *                  advert.bounds  too many leaves, too deep, a path or value too long: names it
 */
int xeno_advert_open(const char *jws, size_t len, struct xeno_advert **ret, struct xeno_err *err);

/* The same without checking the signature (a tenth of the time): of a text that was checked when it
 * came, and comes from the caller's own store. */
int xeno_advert_reopen(const char *jws, size_t len, struct xeno_advert **ret, struct xeno_err *err);

/* Does its lease go on at `now`, and not longer than is allowed?
 * Errors: -ETIME advert.expired, -EINVAL advert.lease. */
int xeno_advert_timely(const struct xeno_advert *a, xeno_time now, struct xeno_err *err);

/* A new advert: the whole document of `a` with the numbers of `delta`, which replaces the one it
 * may have. `a` stays as it is. Whether its version is news is the caller's question.
 *
 * Errors: as xeno_advert_open, and
 *         -ESTALE advert.base   it belongs to another version: the whole advert is needed
 *         -EINVAL advert.delta  an element the document does not have, in another number, or one
 *                               that is no number, or is mandatory
 */
int xeno_advert_merge(const struct xeno_advert *a, const char *delta, size_t len,
                      struct xeno_advert **ret, struct xeno_err *err);
int xeno_advert_remerge(const struct xeno_advert *a, const char *delta, size_t len,
                        struct xeno_advert **ret, struct xeno_err *err); /* as reopen */

/* Of what a text says it is, before it is checked: enough to find the advert that a delta belongs
 * to. Errors: those of xeno_jws_parse, -EINVAL advert.form when its typ is none of the three. */
enum xeno_advert_kind { XENO_ADVERT_WHOLE, XENO_ADVERT_DELTA, XENO_ADVERT_WITHDRAWAL };
int xeno_advert_peek(const char *jws, size_t len, enum xeno_advert_kind *ret_kind,
                     struct xeno_id *ret_id, struct xeno_err *err);

/* The first leaf of that path; the next one of the same path; NULL: none. */
const struct xeno_leaf *xeno_advert_leaf(const struct xeno_advert *a, const char *path);
const struct xeno_leaf *xeno_advert_leaf_next(const struct xeno_advert *a,
                                              const struct xeno_leaf *leaf);
/* The text of the first leaf of that path, number or not; its number, if it is one; else `none`. */
const char *xeno_advert_text(const struct xeno_advert *a, const char *path, const char *none);
double xeno_advert_number(const struct xeno_advert *a, const char *path, double none);

/* Is `text` a number as adverts have them? Then *ret is it. */
bool xeno_advert_is_number(const char *text, double *ret);

/* --- making one --- */

struct xeno_advert_head {
    int64_t version;
    xeno_time expires; /* rounded down to ms */
    const char *endpoint;
    const char *const *corps, *const *isolation; /* each ends with NULL; at least one */
};

/* A document that grows leaf by leaf; paths with the same beginning stand within one element as
 * long as they follow each other, and a first leaf that comes again starts its parent anew. */
struct xeno_advert_maker;
struct xeno_advert_maker *xeno_advert_maker_new(const struct xeno_pub *key,
                                                const struct xeno_advert_head *head);
void xeno_advert_maker_free(struct xeno_advert_maker *m);
XENO_DEFINE_AUTO(xeno_advert_maker, xeno_advert_maker_free);
void xeno_advert_add(struct xeno_advert_maker *m, const char *path, const char *text);
void xeno_advert_add_int(struct xeno_advert_maker *m, const char *path, int64_t n);
void xeno_advert_add_num(struct xeno_advert_maker *m, const char *path, double n, int decimals);

/* The signed texts, the caller's. Errors: those of xeno_advert_open: a document that would not be
 * taken is not signed. */
int xeno_advert_sign(const struct xeno_advert_maker *m, const struct xeno_key *key, char **ret,
                     struct xeno_err *err);

/* Only the leaves of what it would be, for a comparison: nothing is checked or signed. */
struct xeno_advert *xeno_advert_draft(const struct xeno_advert_maker *m);

/* The delta that makes of `whole` (its delta, if any, does not count) what `m` says, with m's
 * version and expiry. Returns: 1 and the text; 0 when more than numbers differ, so that a whole one
 * is needed. */
int xeno_advert_sign_delta(const struct xeno_advert_maker *m, const struct xeno_advert *whole,
                           const struct xeno_key *key, char **ret);

char *xeno_advert_sign_withdrawal(const struct xeno_key *key, int64_t version, xeno_time expires);

#endif
