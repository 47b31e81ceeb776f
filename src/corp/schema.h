/* src/corp/schema.h - the tables of a XenoCorp, and what their numbers mean. Private to src/corp.
 *
 * Rows refer to each other by small integers ("n"), which keeps the hot tables and their indexes
 * lean; the names the outside uses are looked up once and cached.
 *
 *   account   n, kind, balance, total     issued and fees, then one a party (n = the party's n)
 *   party     who is registered           credential, token: what they hold
 *   orders    one a purchase order; `held` IS the order's held account; b_* is the binding in force
 *   binding   every (order, epoch) there was, with the terms it was validated under
 *   binding_text  the chain each was validated by, as evidence
 *   certificate  the write certificate of each binding to a XenoStore node (storage.h)
 *   challenge    what nodes were asked to show of what they keep, and what came of it
 *   session   (server, name) of a session that an order was ever bound to; of a node: of a
 *             certificate
 *   entry     the journal; each kind moves money along fixed legs:
 *                fund    issued -> client free
 *                hold    client free -> order held            (order created)
 *                charge  order held -> server earned and fees (amount - fee, fee)
 *                return  order held -> client free            (order closed or expired)
 *             c_after and s_after are what client and server own after it, for the statements
 *   batch     the signed documents charges came in, as evidence
 *   audit     acts of operators           idem: answers kept for repeats
 *   log_*     the audit log: log-priv.h
 */
#ifndef XENO_CORP_SCHEMA_H
#define XENO_CORP_SCHEMA_H

#include <stddef.h>

enum corp_account_kind {
    CORP_ISSUED = 1, /* negative: all the money that was ever paid in */
    CORP_FEES = 2,
    CORP_CLIENT = 3, /* balance: free credit; total: free and held */
    CORP_SERVER = 4, /* balance and total: earned */
    CORP_NODE = 5,   /* the same, of a XenoStore node */
};

/* Numbers of the two accounts that belong to no party. Parties come after. */
#define CORP_ACCOUNT_ISSUED 1
#define CORP_ACCOUNT_FEES   2
#define CORP_PARTY_FIRST    16

enum corp_entry_kind { CORP_FUND = 1, CORP_HOLD = 2, CORP_CHARGE = 3, CORP_RETURN = 4 };

/* open -> closing (asked to close while bound) -> closed, or open -> closed, or open -> expired. */
enum corp_order_state {
    CORP_ORDER_OPEN = 1,
    CORP_ORDER_CLOSING = 2,
    CORP_ORDER_CLOSED = 3,
    CORP_ORDER_EXPIRED = 4,
};

/* How a binding ended. */
enum corp_binding_end {
    CORP_BOUND = 0,
    CORP_END_FINAL = 1,
    CORP_END_RELEASED = 2,
    CORP_END_REBOUND = 3,
    CORP_END_LAPSED = 4, /* the settlement delay passed */
    CORP_END_AUDIT = 5,  /* its payment was suspended, and its owner closed the order */
};

extern const char *const corp_schema[];
extern const size_t corp_schema_steps;

#endif
