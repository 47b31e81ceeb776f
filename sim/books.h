/* sim/books.h - a second set of books beside a XenoCorp's, kept from its journal alone.
 *
 * After each commit the entries that came with it are added up here, by the rules of
 * src/corp/schema.h and with no code of src/corp, and every account and order they touched is
 * compared with what the XenoCorp says. So the invariants of DESIGN 3 are checked after every step
 * at the cost of the step, where a check of the whole ledger costs all that ever happened:
 *
 *   - the legs of each entry make the balances, and the balances after it that statements show;
 *   - a charge (session, sequence) is posted at most once;
 *   - an order is charged at most what it holds, and after its rest went back, nothing;
 *   - an order is closed or expired exactly when its rest went back.
 *
 * A row that changes without an entry is seen by the sum over all accounts, and by the whole checks
 * that sim/corpside.h makes now and then.
 */
#ifndef XENO_SIM_BOOKS_H
#define XENO_SIM_BOOKS_H

#include "db/db.h"

struct sim_books;

struct sim_books *sim_books_new(void);
void sim_books_free(struct sim_books *b);
XENO_DEFINE_AUTO(sim_books, sim_books_free);

/* Read on from the entry after the last one seen. Errors: -EUCLEAN sim.books, with the entry and
 * the rule; those of src/db. */
int sim_books_follow(struct sim_books *b, struct xeno_db *db, struct xeno_err *err);

#endif
