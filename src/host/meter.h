/* src/host/meter.h - what a session had, second by second, and what that costs.
 *
 * A meter only ever counts up. Reserved quantities grow with time, used ones with what the kernel
 * counted; what is owed for a resource is floor(total * price / unit) of the tariff, and what a
 * charge asks for is what is owed now less what was accounted for before. So nothing is lost or
 * doubled by rounding, by a restart, or by a sample that is late, repeated or missing.
 *
 * What is billed is time that passed, not what the wall clock did: one that is set, forward or
 * back, changes no amount.
 *
 * Rules, each to the buyer's advantage where the truth is not known:
 *  - Used CPU and network never pass what the reservation allows for the time that is billed; what
 *    a sample has above it waits for room and is never owed without.
 *  - Used memory and disk between two samples count as the smaller of the two for the time between.
 *  - Kernel counters that go down are passed over until they pass their old value.
 *  - CPU that was asked for and reserved but not delivered is not owed as reserved: the shortfall.
 *    Of the time between two samples it is the smallest of: how long the session waited for a
 *    processor, less what its own quota held it back; what was reserved, less what was used; and
 *    what of the reservation is still open. So an idle session has none, and none has one that its
 *    quota alone holds back. Waiting is time, not processes times time, so a session of more than
 *    one processor may have lost more than is seen.
 *
 * Plain values: the whole struct is journalled with its session. Pure arithmetic.
 */
#ifndef XENO_HOST_METER_H
#define XENO_HOST_METER_H

#include <stdint.h>

#include "bill/clock.h"
#include "host/tariff.h"
#include "spec/grant.h"

struct xeno_meter {
    int64_t at_ms; /* time up to which is counted, as it is told: never goes back */
    struct xeno_quantity total[XENO_RES_COUNT];
    int64_t accounted[XENO_RES_COUNT];         /* of what is owed: charged or forfeited already */
    struct xeno_quantity told[XENO_RES_COUNT]; /* quantities named in charges so far */
    int64_t shortfall_us;                      /* of CPU; not in total[CPU].reserved */

    /* CPU (us) and network (bytes): counter last seen, what waits for room, the room. */
    int64_t cpu_seen, cpu_waits, cpu_room;
    int64_t net_seen, net_waits, net_room;
    int64_t waited_seen, throttled_seen; /* us */
    int64_t cpu_due;                     /* us reserved since the last sample */

    /* Memory and disk: last seen, time not yet counted, rest below a MiB * ms. */
    int64_t memory_bytes, memory_ms, memory_rest;
    int64_t disk_bytes, disk_ms, disk_rest;
};

/* What the kernel says now; cumulative but for memory and disk. */
struct xeno_sample {
    int64_t cpu_us;
    int64_t waited_us;    /* some process was ready and had no processor, for whatever reason */
    int64_t throttled_us; /* held back by the session's own quota */
    int64_t memory_bytes;
    int64_t disk_bytes;
    int64_t net_bytes; /* both ways */
};

/* Count what is reserved by a session of `share` of `g` in the `passed_ms` since the last time;
 * at_ms moves on by xeno_bill_pass() (bill/clock.h), so that intervals touch and are about as long
 * as what they bill.
 *
 * Units: `wall_ms` is the wall clock now. */
void xeno_meter_advance(struct xeno_meter *m, const struct xeno_grant *g, enum xeno_share share,
                        int64_t wall_ms, int64_t passed_ms);

/* Take a sample, made after the last advance. Values below zero or beyond reason are passed over.
 */
void xeno_meter_sample(struct xeno_meter *m, const struct xeno_grant *g,
                       const struct xeno_sample *s);

/* What is owed for one resource, and for all, from the beginning; INT64_MAX when out of range. */
int64_t xeno_meter_owed(const struct xeno_meter *m, const struct xeno_tariff *t, enum xeno_res res);
int64_t xeno_meter_owed_all(const struct xeno_meter *m, const struct xeno_tariff *t);
/* What is owed and not yet accounted for. */
int64_t xeno_meter_open(const struct xeno_meter *m, const struct xeno_tariff *t);

#endif
