/* src/corp/ledger.h - the double-entry ledger of a XenoCorp (DESIGN 3).
 *
 * Accounts: what was issued (negative), XenoCorp's fees, each client's free credit, what each order
 * holds, what each XenoServer earned. Money moves only along the fixed legs of a journal entry
 * (schema.h), so each entry sums to zero. Integers in micro-credits throughout.
 *
 * Invariants, all of them checked from the rows by xeno_ledger_check():
 *   1 the sum over all accounts is zero;
 *   2 each account is the sum of its entries, and only "issued" is negative;
 *   3 no order is charged above its limit, nor above the total its chain allowed;
 *   4 what an order holds is what was set aside, less what was charged and returned;
 *   5 a charge (session, sequence) is posted at most once;
 *   6 an order ends in exactly one closed state, with exactly one return, holding nothing;
 *   7 an order is bound to at most one (server, session), under its newest epoch;
 *   8 the fees of an order are its percentage, rounded down once, of all that was charged;
 *   9 each statement adds up: every line's balance is the one before it and its amount.
 */
#ifndef XENO_CORP_LEDGER_H
#define XENO_CORP_LEDGER_H

#include "corp/corp.h"

/* Pay `amount` into the free credit of client `id`.
 *
 * Units:  micro-credits, 1 to XENO_CREDIT_MAX. `who` is the operator, `text` (<= 256) the reason.
 * Errors: -ENOENT registry.unknown, -EPERM registry.kind, registry.disabled, -EINVAL ledger.amount,
 *         -EOVERFLOW ledger.range; and the database's.
 */
int xeno_ledger_fund(struct xeno_corp *corp, const char *who, const char *id, xeno_credit amount,
                     const char *text, struct xeno_err *err);

/* What a party has. For a client free and held, for a XenoServer earned. */
struct xeno_account_view {
    xeno_credit free, held, earned;
};
int xeno_ledger_account(struct xeno_corp *corp, const char *id, struct xeno_account_view *ret,
                        struct xeno_err *err);

struct xeno_ledger_totals {
    xeno_credit issued; /* negative */
    xeno_credit free, held, earned, fees;
    xeno_credit sum; /* of the five: zero, or the books are broken */
    int64_t clients, servers, orders_live, orders_bound, entries, charges;
};
int xeno_ledger_totals(struct xeno_corp *corp, struct xeno_ledger_totals *ret,
                       struct xeno_err *err);

/* Check every invariant from the rows of committed groups; for tests, `--check` and operators.
 * Reads the whole journal.
 *
 * Errors: -EUCLEAN ledger.broken, naming the rule and how many rows break it.
 */
int xeno_ledger_check(struct xeno_db *db, struct xeno_err *err);

#endif
