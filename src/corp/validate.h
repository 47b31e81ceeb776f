/* src/corp/validate.h - binding orders to sessions.
 *
 * A XenoServer validates an order before it works for it: the order is bound to (server, session)
 * under an epoch that only grows. Rules:
 *
 *  1 An order is bound to at most one (server, session). Another is refused: order.bound.
 *  2 Validating again for the same server, session and epoch (or epoch 0) gives the same answer.
 *  3 Epoch + 1 rebinds: the answer carries the new epoch, charges under the old one are refused. A
 *    XenoServer does this to fence a former self.
 *  4 A binding ends with its final charge, its release, or the order's deadline; then the order can
 *    be bound again, while it is open and holds money. Each new binding has a new epoch. The same
 *    session binds again only by naming that epoch, so that a delayed repeat of its first question
 *    cannot bind an order nobody works for.
 *  5 The chain's effective terms are kept with the binding and hold for its charges.
 *  6 The chain is one that its holder presented to this XenoServer a moment ago (doc/order.h), and
 * a presentation makes one binding: what a XenoServer was shown for one session is of no use to it
 *    for another, nor after that session's end.
 *
 * A XenoStore node binds an order to (node, certificate) by the same rules: the write certificate
 * (doc/storage.h), signed by the order's holder, takes the place of the session. Not more bindings
 * of one are in force than it has copies, and none goes on under another epoch.
 *
 * Checking signatures takes most of the time and needs no books, so it is a step of its own.
 */
#ifndef XENO_CORP_VALIDATE_H
#define XENO_CORP_VALIDATE_H

#include "corp/corp.h"
#include "doc/order.h"

/* What a XenoServer asks. Borrows. */
struct xeno_validate_ask {
    const char *chain;
    size_t chain_len;
    const char *server;  /* id of the asker: from its credential */
    const char *session; /* 16 letters */
    int64_t epoch;       /* 0: bind for the first time, or tell me what is bound */
    const char *env_type;
    xeno_credit rate_per_hour;
    struct xeno_pub holder;  /* whose possession of the order the XenoServer saw proved */
    const char *certificate; /* of a node: the signed text; NULL: a XenoServer asks */
};

struct xeno_validation; /* an ask whose chain was checked */
void xeno_validation_free(struct xeno_validation *v);
XENO_DEFINE_AUTO(xeno_validation, xeno_validation_free);

/* Check the chain and whether it permits what is asked. Pure of books. Context: any thread.
 *
 * Errors: those of xeno_order_read(), xeno_order_permits() and xeno_writecert_read(); -EINVAL
 *         order.session, order.epoch, order.certificate (it has another id, or the environment is
 *         not storage).
 */
int xeno_validate_check(const struct xeno_pub *corp, xeno_time now,
                        const struct xeno_validate_ask *ask, struct xeno_validation **ret,
                        struct xeno_err *err);

struct xeno_bound {
    char order[XENO_ORDER_ID_CHARS + 1];
    char session[XENO_SESSION_ID_CHARS + 1];
    int64_t epoch;
    xeno_credit limit; /* of charges to the order in all: the chain's max_total at most */
    xeno_credit charged, left;
    int64_t expires_ms;  /* no work after this: the chain's window at most */
    int64_t deadline_ms; /* charges are taken until then, if nothing ends the binding before */
    int64_t copy;        /* of a certificate, from 1; 0: it is a session's */
};

/* Bind. Errors: -ENOENT order.unknown; -EPERM order.closed, order.expired, order.presented (it has
 *         made a binding), registry.disabled, registry.kind; -EDQUOT order.spent (nothing is left);
 *         -EBUSY order.bound; -EALREADY order.epoch; -EDQUOT storage.copies. */
int xeno_validate_apply(struct xeno_corp *corp, const struct xeno_validation *v,
                        struct xeno_bound *ret, struct xeno_err *err);

/* End the binding of `order` to (server, session). Again, or after a final charge: no effect.
 *
 * Errors: -ENOENT order.unknown, -EPERM order.server (never bound to that server and session).
 */
int xeno_validate_release(struct xeno_corp *corp, const char *server, const char *order,
                          const char *session, struct xeno_err *err);

#endif
