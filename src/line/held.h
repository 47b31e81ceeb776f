/* src/line/held.h - packets that are under way: each comes out at its time, and no sooner.
 *
 * What a delay line is made of, in user space, for kernels without netem. Those of one time come
 * out in the order in which they went in. Bounded in packets and bytes: one more is lost, as at a
 * router. Pure: the time is a parameter.
 */
#ifndef XENO_LINE_HELD_H
#define XENO_LINE_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct xeno_held_packet {
    int64_t due_ns;
    uint64_t seq;
    size_t len;
    uint8_t *data;
};

struct xeno_held; /* opaque */

/* Units: bytes of packets. */
struct xeno_held *xeno_held_new(size_t packets_max, size_t bytes_max);
void xeno_held_free(struct xeno_held *h);
XENO_DEFINE_AUTO(xeno_held, xeno_held_free);

/* Keep a copy until `due_ns`. Returns: false when it does not fit: it is lost. */
bool xeno_held_put(struct xeno_held *h, int64_t due_ns, const void *data, size_t len);
/* The one that is due first, borrowed until the next call with h; NULL when none is by `now_ns`.
 * It is taken out. */
const struct xeno_held_packet *xeno_held_take(struct xeno_held *h, int64_t now_ns);
/* When the next one is due; INT64_MAX when there is none. */
int64_t xeno_held_next(const struct xeno_held *h);
size_t xeno_held_count(const struct xeno_held *h);

#endif
