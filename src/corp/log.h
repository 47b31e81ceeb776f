/* src/corp/log.h - the audit log: what the XenoCorp did, as a Merkle tree (rfc/0006,
 * doc/loghead.h).
 *
 * Every act appends one leaf in the transaction that does it, so that neither is without the other:
 *
 *   log         the first leaf                    validate, release   a binding, and its end
 *   token, register, credential, disable, fund    charge              one leaf a posted charge
 *   order, order-closing, order-end               warrant             (room for it: not built)
 *   store-audit, store-audit-end
 *
 * What is stored, and why an append is cheap: hashes of leaves are kept in rows of up to 126, and
 * of inner nodes only those of heights 6, 12, 18, ...: one row a group of acts, and 1/63 more. Any
 * proof reads at most 64 neighbours at each of these heights. The text of an act is kept as it was
 * hashed; that of a charge is made again from the ledger's rows, so that checking the tree checks
 * the ledger too.
 *
 * The head is signed once a group, after the commit: what is signed is on the disk. It is signed
 * again a minute later when nothing happened, so that its time says how fresh it is.
 */
#ifndef XENO_CORP_LOG_H
#define XENO_CORP_LOG_H

#include "corp/corp.h"
#include "doc/loghead.h"

#define XENO_LOG_PAGE_MAX 1000 /* entries in a page */

/* The newest head; all that it covers is durable. Its signed text is borrowed until the next
 * commit. Context: the writer; no group needed. */
const char *xeno_log_head_text(const struct xeno_corp *corp);
const struct xeno_log_head *xeno_log_head(const struct xeno_corp *corp);

/* Proofs about trees no larger than that of the newest head.
 * Errors: -ERANGE log.range, and the database's. */
int xeno_log_inclusion(struct xeno_corp *corp, int64_t n, int64_t size, struct xeno_hash *ret_leaf,
                       struct xeno_proof *ret, struct xeno_err *err);
int xeno_log_consistency(struct xeno_corp *corp, int64_t first, int64_t second,
                         struct xeno_proof *ret, struct xeno_err *err);

struct xeno_log_entry {
    int64_t n;     /* number of the leaf, from 0 */
    int64_t entry; /* of the statement, when it is a charge; else 0 */
    struct xeno_hash hash;
    char *text; /* owned; NULL: the reader may not see it */
};
void xeno_log_entries_release(struct xeno_log_entry *list, int count);

/* Up to `max` leaves from number `from` on that newest head's tree has, in order: those about party
 * `id`; with `all` every one, those of others without their text. NULL id: an operator, who reads
 * everything. Returns: how many, in `ret`, which was zeroed; release them.
 * Errors: -ENOENT registry.unknown, and the database's. */
int xeno_log_entries(struct xeno_corp *corp, const char *id, bool all, int64_t from, int max,
                     struct xeno_log_entry *ret, struct xeno_err *err);

/* Recompute the whole tree from the rows of committed groups: every leaf from its text or from the
 * ledger, every node that is stored, every head that was kept; and see that each charge, and
 * nothing else, has a leaf of its own. A part of xeno_ledger_check().
 *
 * Errors: -EUCLEAN log.broken, saying what does not agree.
 */
int xeno_log_check(struct xeno_db *db, struct xeno_err *err);

#endif
