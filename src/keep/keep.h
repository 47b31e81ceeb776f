/* src/keep/keep.h - what a XenoStore is paid to keep (rfc/0013-storage-certificates.md).
 *
 *     add -> asked --bound--> kept --reclaim, expired, spent, a charge refused--> ended
 *              '-----------refused by XenoCorp-------------------------------------^
 *
 * Plain functions on a database: no clock, no files, no transport. Those that write are called in a
 * transaction, one at a time. `now_ms` is the time by which the store bills (bill/clock.h): it
 * never goes back, from one call to the next and over restarts (xeno_keep_clock()).
 *
 *  1 Only what is kept is paid for, and from each change on to the next exactly: an object by the
 *    oldest certificate of its owner that is kept and has it.
 *  2 What a certificate was charged is floor(all it paid for so far * price), never above what its
 *    order had left, in charges without gaps, each in the outbox, posted or refused.
 *  3 What ends at a time ends then, however late xeno_keep_tick() is called.
 *  4 A binding that no final charge ends is released.
 */
#ifndef XENO_KEEP_KEEP_H
#define XENO_KEEP_KEEP_H

#include "bill/clock.h"
#include "db/db.h"
#include "doc/storage.h"

int xeno_keep_open(struct xeno_db *db, struct xeno_err *err);

/* The newest time that was billed by; 0: none. */
int xeno_keep_clock(struct xeno_db *db, int64_t *ret_ms, struct xeno_err *err);

struct xeno_keep_terms {
    int64_t price;       /* micro-credits for a GiB and day */
    int64_t tariff;      /* names it in charges */
    int64_t interval_ms; /* of charges */
    int64_t most;        /* certificates of an owner that are not ended */
};

/* An owner's certificate arrives, with an order that was presented for it. Whether it may be had,
 * and the objects are there, was looked at.
 *
 * Returns: 1; 0 when it is here already.
 * Errors:  -EEXIST storage.certificate (another one has that id), -EPERM store.certificates. */
int xeno_keep_add(struct xeno_db *db, const struct xeno_writecert *c, const char *text,
                  const char *chain, const char *order, const struct xeno_pub *holder,
                  const struct xeno_keep_terms *terms, int64_t now_ms, struct xeno_err *err);

/* The owner lets certificate `id` go: `text` is the signed reclaim. Returns: the receipt, the
 * caller's.
 * Errors: -ENOENT storage.unknown (there is none), -EAGAIN storage.asked (XenoCorp has not answered
 *         yet), -EALREADY storage.ended; those of xeno_reclaim_read(). */
int xeno_keep_reclaim(struct xeno_db *db, const struct xeno_key *store, const char *id,
                      const char *text, int64_t now_ms, char **ret, struct xeno_err *err);

/* Ends what is over, and charges what was kept for an interval since it was charged last. Bounded.
 * Returns: 1 when there is more to do. */
int xeno_keep_tick(struct xeno_db *db, int64_t interval_ms, int64_t now_ms, struct xeno_err *err);

/* --- talking with the XenoCorp: what is asked, and what follows from the answer --- */

enum xeno_keep_kind {
    XENO_KEEP_VALIDATE,
    XENO_KEEP_CHARGES,
    XENO_KEEP_RELEASE,
};
#define XENO_KEEP_KINDS 3

struct xeno_keep_op {
    enum xeno_keep_kind kind;
    char id[XENO_SESSION_ID_CHARS + 1]; /* the certificate it is about; "": of all */
    char *body;                         /* owned */
    const char *path, *type;
};
void xeno_keep_op_release(struct xeno_keep_op *op); /* all zero is a good start */

/* What to send now, the oldest of its kind. Repeated until it is answered: all of it is idempotent.
 * Returns: 1; 0: nothing. */
int xeno_keep_next(struct xeno_db *db, const struct xeno_key *store, enum xeno_keep_kind kind,
                   struct xeno_keep_op *ret, struct xeno_err *err);

/* The answer: `reply`, or a refusal that sending again will not help (`why`).
 * Errors: -EPROTO storage.answer: it settles nothing, send again later; and the database's. */
int xeno_keep_answered(struct xeno_db *db, const struct xeno_key *store,
                       const struct xeno_keep_op *op, const struct xeno_json *reply,
                       const struct xeno_err *why, const struct xeno_keep_terms *terms,
                       int64_t now_ms, struct xeno_err *err);

/* --- looking --- */

/* Is it in a certificate of that owner which is asked for or kept? Returns: 1 or 0. */
int xeno_keep_covers(struct xeno_db *db, const char *owner, const char *digest,
                     struct xeno_err *err);
/* Has a certificate that is kept that object? Its size. Errors: -ENOENT storage.unknown. */
int xeno_keep_object(struct xeno_db *db, const char *id, const char *digest, int64_t *ret_size,
                     struct xeno_err *err);
/* One certificate, or (id NULL) the newest `max` of an owner; the caller's.
 * Errors: -ENOENT storage.unknown. */
int xeno_keep_view(struct xeno_db *db, const char *owner, const char *id, int64_t now_ms,
                   struct xeno_json **ret, struct xeno_err *err);
int xeno_keep_list(struct xeno_db *db, const char *owner, int max, int64_t now_ms,
                   struct xeno_json **ret, struct xeno_err *err);

/* What an owner's certificates come to. */
struct xeno_keep_sums {
    int64_t kept, paying_bytes; /* certificates, and the bytes they pay for now */
    int64_t per_day;            /* micro-credits, rounded up for each */
    int64_t charged, posted;    /* ever */
};
int xeno_keep_sums(struct xeno_db *db, const char *owner, struct xeno_keep_sums *ret,
                   struct xeno_err *err);

/* Recompute all that is kept as a sum, for --check and tests. Errors: -EUCLEAN storage.books. */
int xeno_keep_check(struct xeno_db *db, struct xeno_err *err);

#endif
