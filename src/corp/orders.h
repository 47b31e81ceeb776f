/* src/corp/orders.h - purchase orders as XenoCorp keeps them.
 *
 * An order sets an amount aside from its client's free credit (ring-fence); its row is the account
 * that holds it. States and what moves between them:
 *
 *      create            close, not bound
 *     --------> open ------------------------> closed
 *                |  \ close while bound           ^
 *                |   '----------------> closing --+  the binding ends: final charge, release,
 *                |                                   or the settlement delay passes
 *                '--> expired                        expiry reached and not bound, or the
 *                                                    settlement delay after it passed
 *
 *  1 From closed and expired nothing leads on; entering one returns the rest to the client, once.
 *  2 A closing order takes charges, but no new binding: the XenoServer was promised its money and
 *    the work may still be running.
 *    Where its payment is suspended (storage.h), closing ends the binding at once.
 *  3 A binding is a lease: it ends at the order's deadline (expiry and settlement delay, fixed when
 *    the order is made), so that an absent XenoServer cannot keep a client's money.
 */
#ifndef XENO_CORP_ORDERS_H
#define XENO_CORP_ORDERS_H

#include "corp/corp.h"
#include "doc/types.h"

#define XENO_ORDER_LIFE_MIN_S 10
#define XENO_ORDER_LIFE_MAX_S (366 * 24 * 3600)

struct xeno_order_ask {
    xeno_credit amount;
    xeno_time expires;          /* wall clock, cut to whole milliseconds */
    const struct xeno_pub *key; /* who may use it; NULL: the client's own */
};

struct xeno_order_view {
    char order[XENO_ORDER_ID_CHARS + 1];
    const char *state; /* "open", "closing", "closed", "expired" */
    xeno_credit amount, charged, held;
    int64_t n; /* for the next page */
    int64_t issued_ms, expires_ms, deadline_ms, closed_ms, epoch;
    int fee_bp;
    /* The binding in force; empty strings when there is none. */
    char session[XENO_SESSION_ID_CHARS + 1];
    char server[XENO_ID_CHARS + 1];
};

/* Make an order for client `id`.
 *
 * Returns: 0, and the chain of one block, the caller's.
 * Errors:  -EINVAL order.amount, order.lifetime; -EDQUOT ledger.funds; -ENOENT registry.unknown,
 *          -EPERM registry.kind, registry.disabled
 */
int xeno_order_create(struct xeno_corp *corp, const char *id, const struct xeno_order_ask *ask,
                      struct xeno_order_view *ret, char **ret_chain, struct xeno_err *err);

/* One order of client `id`; its chain (block 0) too when ret_chain is not NULL.
 * Errors: -ENOENT order.unknown, also for another's order. */
int xeno_order_get(struct xeno_corp *corp, const char *id, const char *order,
                   struct xeno_order_view *ret, char **ret_chain, struct xeno_err *err);

/* Up to `max` orders of client `id` after number `after`, oldest first. Returns: how many. */
int xeno_orders(struct xeno_corp *corp, const char *id, int64_t after, int max,
                struct xeno_order_view *ret, struct xeno_err *err);

/* Close an order: now, or when its binding ends. Again: no effect. Closing one that expired is no
 * error either; the view says what it is. */
int xeno_order_close(struct xeno_corp *corp, const char *id, const char *order,
                     struct xeno_order_view *ret, struct xeno_err *err);

#endif
