/* src/xenod/asked.h - how often measurements are made for others (RFC 0018, section 3). Pure.
 *
 * Three meters, and all must have room: that of who asks, that of all together, that of the network
 * that is to be measured. Bounded: what is not in use is forgotten, and when all of it is in use,
 * nobody new is let in.
 */
#ifndef XENOD_ASKED_H
#define XENOD_ASKED_H

#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/units.h"

#define XENOD_ASKED_BURST   10   /* at once, of one who asks */
#define XENOD_ASKED_ALL     4    /* times as many for all */
#define XENOD_ASKED_NETWORK 8    /* new targets a minute in a network */
#define XENOD_ASKED_TRACE   5    /* a traceroute counts as so many */
#define XENOD_ASKED_TRACKED 4096 /* who asked lately; and as many networks */

struct xenod_asked;

struct xenod_asked *xenod_asked_new(void);
void xenod_asked_free(struct xenod_asked *a);
XENO_DEFINE_AUTO(xenod_asked, xenod_asked_free);

/* May `who` have a measurement of `cost` made in `network` now (NULL: one that is not counted), at
 * `rate` a minute for each? Only when it may, it is counted.
 *
 * Errors: -EPERM  probe.off      rate is 0
 *         -EUSERS probe.rate     it asked too often
 *                 probe.network  that network is measured too often
 *         -EAGAIN probe.busy     all of them together
 */
int xenod_asked_admit(struct xenod_asked *a, xeno_time now, const char *who, const char *network,
                      unsigned cost, unsigned rate, struct xeno_err *err);

/* How many are remembered now. */
size_t xenod_asked_tracked(const struct xenod_asked *a);

#endif
