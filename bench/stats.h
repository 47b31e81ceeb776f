/* bench/stats.h - what every bench prints: order statistics of a set of samples. */
#ifndef XENO_BENCH_STATS_H
#define XENO_BENCH_STATS_H

#include <stddef.h>
#include <stdio.h>

/* Sorts `ms` in place. */
void bench_sort(double *ms, size_t n);
/* The q-th quantile (0..1) of a sorted set, by nearest rank; 0 for an empty one. */
double bench_quantile(const double *ms, size_t n, double q);
/* One line for programs:
 * {"bench":"start","what":WHAT,"unit":"ms","n":..,"min":..,"p50":..,"p90":..,"p99":..,"max":..} */
void bench_print(FILE *out, const char *what, double *ms, size_t n);

#endif
