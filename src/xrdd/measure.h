/* src/xrdd/measure.h - asking XenoServers how far an address is, and which way.
 *
 * An address that is no XenoServer has no coordinate. The few XenoServers from which most is to be
 * learnt (rd/nearest.h) are asked to probe it, one after the other, and a second one beside it when
 * one is slow (rfc/0018). What they say is kept for a while for the address's prefix (24 bits of
 * IPv4, 48 of IPv6), so that a popular address is measured once. Paths to an address come the same
 * way.
 *
 * Bounded: XENO_NEAR_BUDGET probes and XRDD_PATHS paths for a prefix, probes_per_minute in all,
 * probes_per_client prefixes for one credential, XRDD_TARGETS prefixes. A XenoServer is named by
 * its advert alone, so the client that is given must not lead inside the operator's network
 * (guard). Context: the thread of the loop.
 */
#ifndef XENO_XRDD_MEASURE_H
#define XENO_XRDD_MEASURE_H

#include "http/client.h"
#include "rd/find.h"
#include "xrdd/accounts.h"
#include "xrdd/options.h"
#include "xrdd/world.h"

#define XRDD_TARGETS 10000 /* prefixes that are remembered */
#define XRDD_PATHS   8     /* XenoServers that are asked for a path */

struct xrdd_measure;
struct xrdd_wait; /* for some of what is under way */

struct xrdd_measure_opts {
    const struct xeno_env *env;
    struct sd_event *loop;
    struct xeno_http_client *client; /* all borrowed */
    struct xrdd_world *world;
    struct xrdd_accounts *accounts;
    const struct xrdd_options *opt;
};
struct xrdd_measure *xrdd_measure_new(const struct xrdd_measure_opts *opts);
void xrdd_measure_free(struct xrdd_measure *m); /* before the client; nobody waits any more */
XENO_DEFINE_AUTO(xrdd_measure, xrdd_measure_free);
void xrdd_measure_tick(struct xrdd_measure *m); /* once a second */

/* Something to be measured. */
struct xrdd_want {
    const char *address;   /* numeric, maybe with a port: rd/request.h */
    bool paths;            /* ways to it, and not round trips */
    const uint32_t *slots; /* from one of these it is wanted; for round trips others may be asked */
    size_t slot_count;
};
/* Have it measured, unless that was done lately or is under way.
 *
 * Borrows: all, for the call. who: on whose account; over its limit nothing is begun.
 * Returns: what to wait by: `done` is called once, not within this call, when all of it is there or
 *          probe-wait is over, after which the wait is gone. NULL: there is nothing to wait for.
 */
struct xrdd_wait *xrdd_measure_begin(struct xrdd_measure *m, const struct xeno_id *who,
                                     const struct xrdd_want *wants, size_t n,
                                     void (*done)(void *arg), void *arg);
void xrdd_measure_leave(struct xrdd_wait *w); /* `done` is not called; NULL: no effect */

/* What is known now. Round trips of servers to an address: all stay as they are when nothing is; of
 * one that was asked in vain it is unknown. */
void xrdd_measure_estimate(struct xrdd_measure *m, const char *address, const uint32_t *slots,
                           size_t n, struct xeno_latency *ret);
/* The path from a server to an address; ret NULL: is it known? */
bool xrdd_measure_path(struct xrdd_measure *m, const char *address, uint32_t slot,
                       struct xeno_path *ret);
/* How many measurements are known of the address, both kinds. */
int64_t xrdd_measure_known(struct xrdd_measure *m, const char *address);

struct xrdd_measured {
    int64_t asked, failed; /* probes */
    int64_t held_back;     /* what was not asked for some limit's sake */
    int64_t prefixes;
};
struct xrdd_measured xrdd_measure_counts(const struct xrdd_measure *m);

#endif
