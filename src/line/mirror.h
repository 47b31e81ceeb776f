/* src/line/mirror.h - two subnets that are each other's mirror, so that one machine is many places.
 *
 *     real     10.79.B.n      node n as the kernel has it: a local address
 *     mirror   10.78.B.n      node n as others reach it: routed to a device of ours
 *     router   10.78.B.512+n  never a packet's target: whose time to live ends there is told so
 *
 * B is a number that is a multiple of four; each subnet has 22 bits. A packet from the real j to
 * the mirror i has gone out; it comes back as one from the mirror j to the real i. Both second
 * words of the addresses change by one, in opposite directions, so every checksum over them stays
 * right, also that of what an ICMP error quotes. So the kernel's own TCP, UDP and ICMP live at many
 * places. A way from j to i has three hops: the router of j's site, that of i's site, i. Pure.
 */
#ifndef XENO_LINE_MIRROR_H
#define XENO_LINE_MIRROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "line/matrix.h"

#define XENO_MIRROR_REAL    UINT32_C(0x0a4f0000) /* 10.79.0.0 */
#define XENO_MIRROR_SEEN    UINT32_C(0x0a4e0000) /* 10.78.0.0 */
#define XENO_MIRROR_BITS    22
#define XENO_MIRROR_SUBNETS 64
#define XENO_MIRROR_ROUTER  512
#define XENO_MIRROR_ANSWER  (20 + 8 + 60 + 8) /* bytes of an ICMP error that a router sends */

/* Host byte order. subnet: from 0 to XENO_MIRROR_SUBNETS - 1. */
static inline uint32_t xeno_mirror_real(unsigned subnet, size_t node)
{
    return XENO_MIRROR_REAL + (subnet << 10) + (uint32_t)node;
}
static inline uint32_t xeno_mirror_seen(unsigned subnet, size_t node)
{
    return XENO_MIRROR_SEEN + (subnet << 10) + (uint32_t)node;
}

enum xeno_mirror_what {
    XENO_MIRROR_DROP,   /* not one of ours */
    XENO_MIRROR_PASS,   /* rewritten in place: give it back after *ret_delay_us */
    XENO_MIRROR_EXPIRED /* give `answer` back after *ret_delay_us */
};

/* What becomes of a packet that came out of the device.
 * Borrows: packet, whose addresses (and time to live) are rewritten. answer: room for
 * XENO_MIRROR_ANSWER bytes. Units: the delay in microseconds, of this way. */
enum xeno_mirror_what xeno_mirror_turn(const struct xeno_matrix *m, unsigned subnet,
                                       uint8_t *packet, size_t len, uint32_t *ret_delay_us,
                                       uint8_t *answer, size_t *ret_answer_len);

#endif
