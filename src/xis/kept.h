/* src/xis/kept.h - the store's changes by the numbers that they have in the database which keeps
 * them.
 *
 * That database may be written to by others too, and outlives us: so its numbers, unlike the
 * store's own, mean the same at every node and after a restart. They may come in any order;
 * *through* is the number up to which all there are have come, and what is told ends there, so that
 * who has been told it misses nothing. What dies keeps its number until it is forgotten, a day and
 * ten minutes after its lease: by then no older version of it could be in time.
 */
#ifndef XENO_XIS_KEPT_H
#define XENO_XIS_KEPT_H

#include "xis/xis.h"

/* --- writer --- */

/* xeno_xis_put() of what is kept under the number `kept`, above 0 (0: it is not kept yet).
 * Returns: 0. Errors: those of xeno_xis_put(). */
int xeno_kept_put(struct xeno_xis *x, struct xeno_advert *a, const struct xeno_xis_carrier *c,
                  int64_t kept, struct xeno_err *err);
/* `id` is here in that version, and this is its number. Without effect when it is not. */
void xeno_kept_number(struct xeno_xis *x, const char *id, int64_t version, int64_t kept);
/* All up to this number have come. */
void xeno_kept_through(struct xeno_xis *x, int64_t kept);
/* Numbers are given anew: none of those that were given counts. */
void xeno_kept_restart(struct xeno_xis *x);

/* --- readers --- */

int64_t xeno_kept_seq(const struct xeno_xis_reader *r); /* through */
/* As xeno_xis_changes(), by these numbers: each entry's `kept`. */
size_t xeno_kept_changes(struct xeno_xis_reader *r, int64_t after, size_t limit,
                         struct xeno_xis_entry *entries, int64_t *ret_next, bool *ret_more);

#endif
