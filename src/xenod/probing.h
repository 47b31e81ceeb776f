/* src/xenod/probing.h - round trips to other XenoServers, and to addresses that others ask for.
 *
 * rfc/0018. Three parts: measure.h sends packets and takes times (no rights, no policy); the group
 * (group.h, pure) says which peers are measured and what their answers come to; here both meet the
 * loop, the XIS and the API. What is known is given to the advert by xenod_probing_publish().
 *
 * Context: the thread of the loop. The own coordinate is kept over a restart; the rest is
 * measured again.
 */
#ifndef XENOD_PROBING_H
#define XENOD_PROBING_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

struct xenod;
struct xenod_probing;

/* After the journal and the member are open. Without an XIS or with probe-group 0 there is no
 * group, and what is asked for is measured all the same. Errors: probe.open, conf.range. */
int xenod_probing_open(struct xenod *d, struct xeno_err *err);
void xenod_probing_free(struct xenod_probing *p);

/* Give what is known to `add`, leaf by leaf in the advert's order: path and text, borrowed for the
 * call. `Coordinate/...`, `Measured/Peer/...` and `Path/...` with their
 * lists in step. p NULL: nothing. */
void xenod_probing_publish(const struct xenod_probing *p,
                           void (*add)(void *arg, const char *path, const char *text), void *arg);

/* Gauges and counters, for /metrics. */
void xenod_probing_metrics(const struct xenod_probing *p, struct xeno_buf *out);

#endif
