/* src/xis/refresh.h - when a XenoServer says what to which information service (RFC 0015, 7).
 *
 * One advert, several services. The advert is looked at every interval: what moved enough is said
 * then, the rest with the next renewal of the lease. When only numbers moved a delta is said. While
 * nothing happens renewals come less often, and the lease is longer. Each service is at its own
 * point: one that is away is tried again after a growing time, and has no say in the others.
 *
 * Pure: the clock, randomness and key come from outside; what is to be sent is asked for by
 * xeno_refresh_take(), and what became of it is told by xeno_refresh_done(). Context: one thread.
 */
#ifndef XENO_XIS_REFRESH_H
#define XENO_XIS_REFRESH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/mem.h"
#include "xis/advert.h"

#define XENO_REFRESH_SERVICES 16

struct xeno_refresh;

struct xeno_refresh_rules {
    xeno_time lease;      /* at first, and after each change */
    xeno_time lease_most; /* while nothing changes; at most XENO_ADVERT_LEASE_S */
    xeno_time interval;   /* nothing is said more often */
};

struct xeno_refresh_opts {
    const struct xeno_env *env;
    const struct xeno_key *key; /* borrowed, as the rest */
    struct xeno_refresh_rules rules;
    size_t services;
    int64_t last_version; /* what reserve() was told last; 0: never */
    /* What is so now, with that head; the callee's. */
    struct xeno_advert_maker *(*describe)(void *ctx, int64_t version, xeno_time expires);
    /* Remember, over a restart, that versions up to this one may have been used. Once a minute at
     * the most. */
    void (*reserve)(void *ctx, int64_t version);
    void *ctx;
};

struct xeno_refresh *xeno_refresh_new(const struct xeno_refresh_opts *opts);
void xeno_refresh_free(struct xeno_refresh *r);
XENO_DEFINE_AUTO(xeno_refresh, xeno_refresh_free);

void xeno_refresh_rules(struct xeno_refresh *r, const struct xeno_refresh_rules *rules);

/* Look whether there is something to say, and sign it. Before its time: no effect.
 * Returns: 1 said, 0 nothing to say. Errors: those of xeno_advert_sign(): what describe() made is
 * no advert; what was said before stays, and it is looked at again after an interval. */
int xeno_refresh_look(struct xeno_refresh *r, struct xeno_err *err);

/* What was said last; NULL: nothing yet. Borrowed until the next look. */
const struct xeno_advert *xeno_refresh_advert(const struct xeno_refresh *r);

/* Monotonic time of the next look, or the next message to a service. */
xeno_time xeno_refresh_next(const struct xeno_refresh *r);

struct xeno_refresh_message {
    enum xeno_advert_kind kind;
    const char *text; /* borrowed for the call */
    size_t len;
};
/* Is there something for that service now? Then it is under way until xeno_refresh_done(). */
bool xeno_refresh_take(struct xeno_refresh *r, size_t service, struct xeno_refresh_message *ret);

enum xeno_refresh_outcome {
    XENO_REFRESH_TAKEN,
    XENO_REFRESH_BASE,    /* it has another document: it needs the whole one */
    XENO_REFRESH_OLD,     /* it has `version`, which is not lower */
    XENO_REFRESH_AWAY,    /* no answer, or later */
    XENO_REFRESH_REFUSED, /* what was sent is not to its liking */
};
void xeno_refresh_done(struct xeno_refresh *r, size_t service, enum xeno_refresh_outcome outcome,
                       int64_t version);

/* From now on there is nothing to say but that it is over. */
void xeno_refresh_withdraw(struct xeno_refresh *r);
/* Has every service that ever heard of us taken the withdrawal, or failed to once? */
bool xeno_refresh_withdrawn(const struct xeno_refresh *r);

struct xeno_refresh_service {
    int64_t version; /* that it took last; 0: none */
    bool up;         /* it took what it was sent last */
    bool behind;     /* something else was said since */
    uint64_t whole, deltas, failed, refused;
};
struct xeno_refresh_service xeno_refresh_service(const struct xeno_refresh *r, size_t service);

#endif
