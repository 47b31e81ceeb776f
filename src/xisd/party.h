/* src/xisd/party.h - what one credential may ask of us (rfc/0016, section 1).
 *
 * The store bounds what a carrier has and how often it updates (xis/xis.h); here is what asking
 * costs: lookups a second, and requests that wait. A party is forgotten when it has nothing open
 * and may ask for as much as ever. Context: the loop's thread.
 */
#ifndef XENO_XISD_PARTY_H
#define XENO_XISD_PARTY_H

#include "xis/xis.h"
#include "xisd/xisd.h"

#define XISD_QUERY_COST                                                                            \
    100 /* lookups that a query counts as, beside one for each advert looked at */

/* The bounds of whoever sent `q`, as options and credential have them. Borrows the credential. */
struct xeno_xis_carrier xisd_carrier(const struct xisd *d, const struct xeno_http_req *q);

/* Is there something to answer from? Errors: -EAGAIN xis.loading. */
int xisd_check_ready(const struct xisd *d, bool ready, struct xeno_err *err);
/* The same for a request. False: it was answered. */
bool xisd_serves(struct xisd *d, struct xeno_http_req *q);
/* The same, and let the sender of `q` ask for `lookups` more: else it was answered with xis.rate.
 */
bool xisd_may_ask(struct xisd *d, struct xeno_http_req *q, int64_t lookups);
/* It took so many more than it was let in for: they are made good before the next. */
void xisd_spent(struct xisd *d, const struct xeno_http_req *q, uint64_t lookups);

/* One more request of the party waits, or one less. Errors: -EUSERS xis.waiting. */
int xisd_wait_begin(struct xisd *d, const char *id, struct xeno_err *err);
void xisd_wait_end(struct xisd *d, const char *id);

/* Forget those that need not be kept. */
void xisd_parties_tend(struct xisd *d);
void xisd_parties_free(struct xisd *d);

#endif
