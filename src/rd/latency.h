/* src/rd/latency.h - what is known about a round trip, and what sets of them are worth.
 *
 * Somebody who ranks machines holds, for each of them and each address asked about, one
 * `struct xeno_latency`: measured, predicted, or unknown. The functions here turn the row of one
 * machine into one figure, less being better, that takes the uncertainty with it: of two equal
 * predictions the surer one is better, and an unknown is never silently good.
 *
 * Pure. Units: milliseconds. Context: any thread.
 */
#ifndef XENO_RD_LATENCY_H
#define XENO_RD_LATENCY_H

#include <stddef.h>

enum xeno_latency_how {
    XENO_LATENCY_UNKNOWN, /* nothing worth saying; ms, low and high are NaN */
    XENO_LATENCY_PREDICTED,
    XENO_LATENCY_MEASURED,
};

struct xeno_latency {
    float ms, low, high; /* four of five lie between low and high */
    enum xeno_latency_how how;
};

const char *
xeno_latency_how_text(enum xeno_latency_how how); /* "unknown", "predicted", "measured" */

/* The expected largest of the row's round trips, and the expected mean. NaN when the row is empty
 * or any of it is unknown. */
double xeno_latency_max(const struct xeno_latency *row, size_t n);
double xeno_latency_mean(const struct xeno_latency *row, size_t n);

/* How unequal two or more round trips are: the expected distance between the longest and the
 * shortest. NaN as above. */
double xeno_latency_spread(const struct xeno_latency *row, size_t n);

/* The chance (0..1) that it is at most `limit_ms`; 0 when unknown. */
double xeno_latency_within(const struct xeno_latency *l, double limit_ms);

#endif
