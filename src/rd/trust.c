/* src/rd/trust.c - which answers of a search are believed. */
#include "rd/nearest-priv.h"

#include <math.h>

/* So many of the answers are expected to be made up before anything is known of them, and of those
 * of servers that are doubted. Less than there are: triangles look worse than the model has them,
 * and to disbelieve the nearest, who seldom fits well, is dear. */
#define LIES   .01
#define DOUBT  .9
#define ROUNDS 3 /* who is not believed counts for less with the others, too */

static double others_say(const struct xeno_near *s, const struct rd_heard *own, const double *to,
                         const double *slack, double d, double c)
{
    double p = 1;

    for (unsigned i = 0; i < s->result_count; i++) {
        const struct rd_heard *r = &s->results[i];

        if (r != own && !isnan(to[i]))
            p *= rd_near_tempered(rd_near_likelihood(r->rtt_ms, to[i], slack[i], d, c), r->rtt_ms,
                                  r->trust);
    }
    return p;
}

/* How much likelier what a server says of itself is made by what the others heard than any other
 * round trip would be: 1 when they say nothing. */
static double supported(const struct xeno_near *s, const struct rd_heard *own)
{
    double to[XENO_NEAR_MAX + NEAR_TOLD], slack[XENO_NEAR_MAX + NEAR_TOLD], here = 0, any = 0;

    for (unsigned i = 0; i < s->result_count; i++) {
        struct xeno_latency l = xeno_near_map_rtt(s->map, s->results[i].slot, own->slot);

        to[i] = l.ms;
        slack[i] = l.how == XENO_LATENCY_PREDICTED ? (l.high - l.low) / 6 : 0;
    }
    for (int o = 0; o < NEAR_OFFSETS; o++) {
        here +=
            rd_near_offset_prior[o] * others_say(s, own, to, slack, own->rtt_ms, rd_near_offset[o]);
        for (int g = 0; g < NEAR_GRID; g++)
            any += rd_near_offset_prior[o] / NEAR_GRID *
                   others_say(s, own, to, slack, s->grid[g], rd_near_offset[o]);
    }
    return any > 0 ? here / any : 1;
}

static double prior(const struct xeno_near *s, const struct rd_heard *r)
{
    return xeno_near_map_doubted(s->map, r->slot) ? DOUBT : LIES;
}

void rd_near_trust(struct xeno_near *s)
{
    for (unsigned i = 0; i < s->result_count; i++)
        s->results[i].trust = 1 - prior(s, &s->results[i]);
    for (int round = 0; round < ROUNDS; round++)
        for (unsigned i = 0; i < s->result_count; i++) {
            struct rd_heard *r = &s->results[i];
            double lies = prior(s, r), odds = supported(s, r) * (1 - lies) / lies;

            r->trust = odds / (1 + odds);
        }
}
