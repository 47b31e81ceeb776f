/* src/rd/weigh.c - how likely each candidate of a search is to be the nearest. */
#include "rd/nearest-priv.h"

#include <math.h>

const double rd_near_offset[NEAR_OFFSETS] = { -.4, 0, .4, .8 };
const double rd_near_offset_prior[NEAR_OFFSETS] = { .2, .4, .25, .15 };

uint64_t rd_near_scatter(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* The rd_near_likelihood of a round trip r to a server that is `to` from the candidate of a
 * hypothesis. It never falls below a floor: one answer that fits nothing decides nothing. */
double rd_near_likelihood(double r, double to, double slack, double d, double c)
{
    double smaller = fmin(d, to), scale = .4 * smaller + 1 + .05 * to + slack;
    double z = (r - sqrt(to * to + d * d) - c * smaller) / scale, q = 1 + z * z / 3;

    return .37 / (scale * q * q) + 1e-5;
}

double rd_near_tempered(double likelihood, double r, double trust)
{
    return trust * likelihood + (1 - trust) * .1 / (r + 100);
}

/* That of the round trip which the candidate measured itself. */
static double likelihood_own(double r, double d)
{
    double z = log(r / d) / .4;

    return exp(-z * z / 2) / r + 1e-5;
}

const struct rd_heard *rd_near_heard(const struct xeno_near *s, uint32_t slot)
{
    for (unsigned i = 0; i < s->result_count; i++)
        if (s->results[i].slot == slot)
            return &s->results[i];
    return NULL;
}

/* What all results together say of one hypothesis at one d and c. */
static double evidence(const struct xeno_near *s, uint32_t place, double d, double c)
{
    double p = 1;

    for (unsigned i = 0; i < s->result_count; i++) {
        const struct rd_heard *r = &s->results[i];

        if (r->slot == s->slots[place])
            p *= rd_near_tempered(likelihood_own(r->rtt_ms, d), r->rtt_ms, r->trust);
        else if (isnan(r->to[place]))
            p *= .1 / (r->rtt_ms + 100);
        else
            p *=
                rd_near_tempered(rd_near_likelihood(r->rtt_ms, r->to[place], r->slack[place], d, c),
                                 r->rtt_ms, r->trust);
        /* The nearest is no further than one that was asked. */
        if (d > 1.3 * r->rtt_ms)
            p *= 1 - .99 * r->trust;
    }
    return p;
}

static void weigh(const struct xeno_near *s, struct rd_hypothesis *h)
{
    double d = 0, c = 0;

    h->p = 0;
    for (int g = 0; g < NEAR_GRID; g++)
        for (int o = 0; o < NEAR_OFFSETS; o++) {
            double p = s->prior[g] * rd_near_offset_prior[o] *
                       evidence(s, h->place, s->grid[g], rd_near_offset[o]);

            h->p += p;
            d += p * log(s->grid[g]);
            c += p * rd_near_offset[o];
        }
    h->d = exp(d / h->p);
    h->c = c / h->p;
    if (xeno_near_map_doubted(s->map, s->slots[h->place]))
        h->p *= 1e-60; /* asked last */
}

static int by_value(const void *a, const void *b)
{
    const struct rd_near_score *x = a, *y = b;

    return x->value > y->value ? -1 : x->value < y->value ? 1 : x->place > y->place ? 1 : -1;
}

/* Put the NEAR_POOL best scores first, by parting around a value again and again. */
static void part(struct rd_near_score *v, size_t n)
{
    size_t low = 0, high = n;

    while (high - low > 1) {
        struct rd_near_score pivot = v[low + (high - low) / 2];
        size_t i = low, k = low, e = high;

        while (k < e)
            if (by_value(&v[k], &pivot) < 0 && v[k].place != pivot.place) {
                struct rd_near_score t = v[k];

                v[k++] = v[i];
                v[i++] = t;
            } else if (v[k].place == pivot.place) {
                k++;
            } else {
                struct rd_near_score t = v[k];

                v[k] = v[--e];
                v[e] = t;
            }
        if (i >= NEAR_POOL)
            high = i;
        else if (k >= NEAR_POOL)
            return;
        else
            low = k;
    }
}

/* Who is looked at closely: everybody, or those whom the results leave in question. */
void rd_near_pool(struct xeno_near *s)
{
    uint64_t seed = s->seed;

    s->pool_count = s->count < NEAR_POOL ? s->count : NEAR_POOL;
    if (s->count <= NEAR_POOL) {
        for (size_t i = 0; i < s->count; i++)
            s->pool[i].place = (uint32_t)i;
        return;
    }
    for (size_t i = 0; i < s->count; i++) {
        double v = (double)(rd_near_scatter(&seed) >> 11) * 0x1p-53; /* no results: any */

        if (s->result_count > 0)
            v = log(evidence(s, (uint32_t)i, 1, 0) + .5 * evidence(s, (uint32_t)i, 8, 0) +
                    .2 * evidence(s, (uint32_t)i, 40, 0) + 1e-300);
        s->scores[i] = (struct rd_near_score){ (float)v, (uint32_t)i };
    }
    part(s->scores, s->count);
    for (size_t i = 0; i < NEAR_POOL; i++)
        s->pool[i].place = s->scores[i].place;
}

static int by_p(const void *a, const void *b)
{
    const struct rd_hypothesis *x = a, *y = b;

    return x->p > y->p ? -1 : x->p < y->p ? 1 : x->place > y->place ? 1 : -1;
}

void rd_near_weigh(struct xeno_near *s)
{
    double sum = 0;

    rd_near_trust(s);
    rd_near_pool(s);
    for (size_t i = 0; i < s->pool_count; i++) {
        weigh(s, &s->pool[i]);
        sum += s->pool[i].p;
    }
    for (size_t i = 0; i < s->pool_count; i++)
        s->pool[i].p /= sum;
    qsort(s->pool, s->pool_count, sizeof *s->pool, by_p);
}

/* How far from its nearest an address is, before anything is known of it: as far as candidates are
 * from theirs, seven times in ten, and anything else otherwise. */
void rd_near_prior(struct xeno_near *s)
{
    size_t n = s->pool_count < NEAR_SAMPLE ? s->pool_count : NEAR_SAMPLE;

    for (int g = 0; g < NEAR_GRID; g++) {
        s->grid[g] = .25 * pow(2, g * .8);
        s->prior[g] = .3 / NEAR_GRID;
    }
    for (size_t i = 0; i < n; i++) {
        double nearest = HUGE_VAL;
        int g;

        for (size_t k = 0; k < s->pool_count; k++) {
            struct xeno_latency l =
                xeno_near_map_rtt(s->map, s->slots[s->pool[i].place], s->slots[s->pool[k].place]);

            if (k != i && l.how != XENO_LATENCY_UNKNOWN)
                nearest = fmin(nearest, l.ms);
        }
        g = (int)lround(log2(fmin(fmax(nearest, .25), 330) / .25) / .8);
        s->prior[g] += .35 / (double)n;
        s->prior[g > 0 ? g - 1 : g] += .175 / (double)n;
        s->prior[g < NEAR_GRID - 1 ? g + 1 : g] += .175 / (double)n;
    }
}
