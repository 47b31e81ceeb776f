/* src/xenod/advertise.h - what this XenoServer says of itself to information services (RFC 0015).
 *
 * Three parts: advertise-doc.c describes what is so now; xis/refresh.h decides when what is said
 * (pure); here both meet the loop and the network. A service that is away, slow or wrong costs a
 * request now and then, never a session anything: nothing waits for it but the end, two seconds.
 * Context: the thread of the loop.
 */
#ifndef XENOD_ADVERTISE_H
#define XENOD_ADVERTISE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/units.h"
#include "xenod/cached.h"
#include "xis/advert.h"
#include "xis/refresh.h"

struct xenod;
struct xenod_options;
struct xenod_advertise;

/* --- advertise-options.c --- */

/* The URLs of the option `xis`, copies, without slashes at the end; the caller's to free. Returns:
 * how many. Errors: -EINVAL conf.range: no https URL, or too many. */
int xenod_xis_urls(const char *list, char *ret[XENO_REFRESH_SERVICES], struct xeno_err *err);
/* Errors: -EINVAL conf.range: what would not fit into an advert. */
int xenod_advertise_check(const struct xenod_options *o, struct xeno_err *err);

/* --- advertise-doc.c --- */

/* What is so now, as an advert with that head; the caller's. `cached` remembers between calls what
 * the image stores have. */
struct xeno_advert_maker *xenod_describe(struct xenod *d, struct xenod_cached *cached,
                                         int64_t version, xeno_time expires);

/* --- advertise.c --- */

/* After the host is open. Errors: loop.source. */
int xenod_advertise_open(struct xenod *d, struct xeno_err *err);
void xenod_advertise_free(struct xenod_advertise *ad); /* before the client */
/* The options were read again. */
void xenod_advertise_reload(struct xenod_advertise *ad);
/* Selling ends in order: withdraw, then end the loop. Returns: false when there is nothing to
 * withdraw. */
bool xenod_advertise_end(struct xenod_advertise *ad);
/* Gauges and counters, for /metrics. */
void xenod_advertise_metrics(const struct xenod_advertise *ad, struct xeno_buf *out);

#endif
