/* src/http/metrics.h - lines of the Prometheus text format (version 0.0.4). */
#ifndef XENO_HTTP_METRICS_H
#define XENO_HTTP_METRICS_H

#include <stdint.h>

#include "base/buf.h"

#define XENO_METRICS_TYPE "text/plain; version=0.0.4"

/* Start a family: `kind` is "counter" or "gauge"; its values follow. */
void xeno_metric(struct xeno_buf *out, const char *name, const char *kind, const char *help);

/* One value. Up to one label; `label` NULL: none. Its value is escaped. */
void xeno_metric_int(struct xeno_buf *out, const char *name, const char *label, const char *value,
                     int64_t n);
/* n millionths, exact: 1500000 prints as 1.500000 (seconds from microseconds, credits). */
void xeno_metric_micro(struct xeno_buf *out, const char *name, const char *label, const char *value,
                       int64_t n);

#endif
