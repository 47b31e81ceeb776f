/* src/rd/latency.c - figures of sets of round trips that are known with some uncertainty. */
#include "rd/latency.h"

#include <math.h>
#include <stdbool.h>

/* Between low and high lie four of five: 2.56 deviations of a bell curve. */
#define DEVIATIONS 2.56

const char *xeno_latency_how_text(enum xeno_latency_how how)
{
    switch (how) {
    case XENO_LATENCY_PREDICTED:
        return "predicted";
    case XENO_LATENCY_MEASURED:
        return "measured";
    default:
        return "unknown";
    }
}

static bool known(const struct xeno_latency *row, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (row[i].how == XENO_LATENCY_UNKNOWN || !isfinite(row[i].ms))
            return false;
    return n > 0;
}

static double deviation(const struct xeno_latency *l)
{
    double width = l->high - l->low;

    return isfinite(width) && width > 0 ? width / DEVIATIONS : 0;
}

static double bell(double z)
{
    return exp(-z * z / 2) / sqrt(2 * M_PI);
}

static double below(double z)
{
    return erfc(-z / M_SQRT2) / 2;
}

/* Mean and variance of the larger of two that are bell curves (Clark 1961). */
static void larger(double *mean, double *var, double m2, double v2)
{
    double s = sqrt(*var + v2), z, m, square;

    if (s < 1e-9) {
        *mean = fmax(*mean, m2);
        return;
    }
    z = (*mean - m2) / s;
    m = *mean * below(z) + m2 * below(-z) + s * bell(z);
    square =
        (*mean * *mean + *var) * below(z) + (m2 * m2 + v2) * below(-z) + (*mean + m2) * s * bell(z);
    *mean = m;
    *var = fmax(square - m * m, 0);
}

/* The expected largest of sign * round trip. */
static double largest(const struct xeno_latency *row, size_t n, double sign)
{
    double mean = sign * row[0].ms, var = deviation(&row[0]) * deviation(&row[0]);

    for (size_t i = 1; i < n; i++) {
        double d = deviation(&row[i]);

        larger(&mean, &var, sign * row[i].ms, d * d);
    }
    return mean;
}

double xeno_latency_max(const struct xeno_latency *row, size_t n)
{
    return known(row, n) ? largest(row, n, 1) : NAN;
}

double xeno_latency_mean(const struct xeno_latency *row, size_t n)
{
    double sum = 0;

    if (!known(row, n))
        return NAN;
    for (size_t i = 0; i < n; i++)
        sum += row[i].ms;
    return sum / (double)n;
}

double xeno_latency_spread(const struct xeno_latency *row, size_t n)
{
    return known(row, n) ? fmax(largest(row, n, 1) + largest(row, n, -1), 0) : NAN;
}

double xeno_latency_within(const struct xeno_latency *l, double limit_ms)
{
    double d = deviation(l);

    if (!known(l, 1))
        return 0;
    if (d < 1e-9)
        return l->ms <= limit_ms;
    return below((limit_ms - l->ms) / d);
}
