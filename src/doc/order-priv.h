/* src/doc/order-priv.h - between the files that read order chains. */
#ifndef XENO_DOC_ORDER_PRIV_H
#define XENO_DOC_ORDER_PRIV_H

#include "doc/order.h"

#define XENO_CONDITION_VALIDATE "validate-before-work"
#define XENO_CURRENCY           "XCR"

/* Fill the terms from block 0's payload; the signer is not looked at. */
int xeno_order_base(const struct xeno_json_at *at, struct xeno_order_terms *t,
                    struct xeno_err *err);

/* Narrow the terms by a "restrict" object: whatever it says, they only shrink. */
int xeno_order_narrow(const struct xeno_json_at *at, struct xeno_order_terms *t,
                      struct xeno_err *err);

/* Read a "present" object: to whom, and when. */
int xeno_order_presented(const struct xeno_json_at *at, struct xeno_order_terms *t,
                         struct xeno_err *err);

#endif
