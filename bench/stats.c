/* bench/stats.c - order statistics of a set of samples. */
#include "stats.h"

#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

void bench_sort(double *ms, size_t n)
{
    qsort(ms, n, sizeof *ms, by_value);
}

double bench_quantile(const double *ms, size_t n, double q)
{
    size_t i;

    if (n == 0)
        return 0;
    i = (size_t)(q * (double)n);
    return ms[i < n ? i : n - 1];
}

void bench_print(FILE *out, const char *what, double *ms, size_t n)
{
    bench_sort(ms, n);
    fprintf(
        out,
        "{\"bench\":\"start\",\"what\":\"%s\",\"unit\":\"ms\",\"n\":%zu,\"min\":%.3f,\"p50\":%.3f,\"p90\":%.3f,"
        "\"p99\":%.3f,\"max\":%.3f}\n",
        what, n, bench_quantile(ms, n, 0), bench_quantile(ms, n, 0.5), bench_quantile(ms, n, 0.9),
        bench_quantile(ms, n, 0.99), bench_quantile(ms, n, 1));
    fflush(out);
}
