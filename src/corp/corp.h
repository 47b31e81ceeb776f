/* src/corp/corp.h - a XenoCorp: its books, and the groups in which they change.
 *
 * Everything in src/corp is pure: the clock and randomness, the database and the CA key are passed
 * in. Nothing here opens a socket, starts a thread or logs.
 *
 * Changes happen in groups: xeno_corp_begin(), any number of calls, xeno_corp_commit(). A group is
 * one durable transaction, so that many requests share one disk flush; answers may leave only after
 * the commit. Two promises make that safe:
 *  - A call that is refused (no such order, not enough credit, ...) has changed nothing: every
 *    check comes before the first write.
 *  - A call that fails in the database spoils the group: commit undoes all of it and says so. The
 *    caller may then run its calls again, each in a group of its own.
 *
 * One `struct xeno_corp` is the only writer of its database, since it keeps hot rows in memory.
 * Context: one thread at a time, except for functions marked "any thread".
 */
#ifndef XENO_CORP_CORP_H
#define XENO_CORP_CORP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/mem.h"
#include "crypto/key.h"
#include "db/db.h"

/* Policy. Durations are lengths. */
struct xeno_corp_policy {
    int fee_bp;           /* XenoCorp's part of a charge in 1/100 %: 0 to 10000; for new orders */
    xeno_time credential; /* life of a credential */
    xeno_time
        settlement;  /* charges are taken so long after an order's expiry (lease of a binding) */
    xeno_time slack; /* clocks of XenoServers may be off by so much */
    xeno_time keep;  /* answers to idempotent requests are kept so long */
    /* Each certificate is audited so often, at random times; 0: only when its owner asks. */
    xeno_time audit_every;
    xeno_time audit_patience; /* a XenoStore node has so long to answer */
};
extern const struct xeno_corp_policy xeno_corp_policy_default;

struct xeno_corp;

/* Open the books in `db`, making or migrating the schema.
 *
 * Borrows: db, env and ca_key for the life of the result; nobody else may write to db.
 * Errors:  -EPERM corp.key     the books belong to another CA key
 *          -EINVAL corp.policy a policy is out of its bounds; else those of the database
 */
int xeno_corp_open(struct xeno_db *db, const struct xeno_env *env, const struct xeno_key *ca_key,
                   const char *ca_pem, const struct xeno_corp_policy *policy,
                   struct xeno_corp **ret, struct xeno_err *err);
void xeno_corp_free(struct xeno_corp *corp); /* an open group is undone */
XENO_DEFINE_AUTO(xeno_corp, xeno_corp_free);

/* Other policy from now on; orders keep what they were made under. Errors: -EINVAL corp.policy. */
int xeno_corp_set_policy(struct xeno_corp *corp, const struct xeno_corp_policy *policy,
                         struct xeno_err *err);

const char *xeno_corp_id(const struct xeno_corp *corp);             /* borrowed */
const struct xeno_pub *xeno_corp_pub(const struct xeno_corp *corp); /* borrowed; any thread */
const char *xeno_corp_ca_pem(const struct xeno_corp *corp);         /* borrowed; any thread */
int64_t xeno_corp_now_ms(const struct xeno_corp *corp);

/* Every other call that takes a `struct xeno_corp *` which is not const needs an open group.
 *
 * Errors of commit: those of the database, and -EIO corp.undone when a call of the group had
 * failed in the database. On failure the whole group is undone, also in memory.
 */
int xeno_corp_begin(struct xeno_corp *corp, struct xeno_err *err);
int xeno_corp_commit(struct xeno_corp *corp, struct xeno_err *err);
void xeno_corp_rollback(struct xeno_corp *corp);

/* What time does by itself: orders past their end return their rest, tokens, kept answers and
 * credentials are forgotten. At most about `limit` rows of each kind, so that a tick is bounded.
 *
 * Returns: 1 when there is more to do at once, else 0.
 */
int xeno_corp_tick(struct xeno_corp *corp, int limit, struct xeno_err *err);

#endif
