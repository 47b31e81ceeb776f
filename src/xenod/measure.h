/* src/xenod/measure.h - send packets and take times. No rights are needed, and no policy is here.
 *
 * TCP: from SYN to SYN+ACK as the kernel took it, so that a busy loop is not in it; or to an RST,
 * by our clock. A connection that stands is reset at once. ICMP: echo by an unprivileged socket
 * (ping(7): net.ipv4.ping_group_range), with the kernel's time of arrival. A trace: UDP whose time
 * to live ends on the way, and the error queue (IP_RECVERR).
 *
 * Context: the thread of the loop. `done` is called once from the loop, never inside _start, unless
 * cancelled; the measurement is gone after it.
 */
#ifndef XENOD_MEASURE_H
#define XENOD_MEASURE_H

#include "base/env.h"
#include "xenod/targets.h"

#define XENOD_MEASURE_MAX     5
#define XENOD_MEASURE_WAIT_MS 1500 /* for each answer */
#define XENOD_MEASURE_GAP_MS  50   /* between two packets */
#define XENOD_TRACE_HOPS      24
#define XENOD_TRACE_WAIT_MS   1500

struct sd_event;

struct xenod_measure_from {
    struct sd_event *loop;
    const struct xeno_env *env;
    union xenod_address source[2]; /* family 0: the kernel chooses; [0] IPv4, [1] IPv6 */
};

enum xenod_measure_kind { XENOD_MEASURE_ICMP, XENOD_MEASURE_TCP };

struct xenod_measured {
    unsigned sent, got;
    uint32_t rtt_us[XENOD_MEASURE_MAX]; /* of those that came, as they came */
};

struct xenod_measure;

/* To where there is no way from here, all of them are lost.
 *
 * Borrows: from, until done. count: 1 to XENOD_MEASURE_MAX.
 * Errors: -EACCES measure.icmp (this kernel lets us send none, to whatever address),
 *         measure.socket. */
int xenod_measure_start(const struct xenod_measure_from *from, enum xenod_measure_kind kind,
                        const union xenod_address *to, unsigned count,
                        void (*done)(void *arg, const struct xenod_measured *m), void *arg,
                        struct xenod_measure **ret, struct xeno_err *err);
void xenod_measure_cancel(struct xenod_measure *m); /* NULL too */

struct xenod_hop {
    char address[XENOD_ADDRESS_TEXT]; /* "" : silent */
    uint32_t rtt_us;
};

struct xenod_traced {
    struct xenod_hop hops[XENOD_TRACE_HOPS];
    unsigned count; /* up to the target, or the last that answered */
    bool reached;
};

struct xenod_trace;
int xenod_trace_start(const struct xenod_measure_from *from, const union xenod_address *to,
                      unsigned hops, void (*done)(void *arg, const struct xenod_traced *t),
                      void *arg, struct xenod_trace **ret, struct xeno_err *err);
void xenod_trace_cancel(struct xenod_trace *t);

#endif
