/* src/rd/nearest-priv.h - private to src/rd: a search for the server nearest to an address.
 *
 * A hypothesis is "this candidate is the nearest, d away, and the address lies c of that further
 * out than it does". Under it, a server D from the candidate hears the address after about sqrt(D^2
 * + d^2) + c min(d, D), give or take a part of the smaller of the two, so each round trip gives
 * each hypothesis a likelihood; what is expected of d before any is how far apart servers are
 * themselves. Nothing is learnt from one network and used in another: the few constants say how
 * triangles look, and results hardly change when they are halved or doubled.
 *
 *     whom to ask         nearest.c
 *     what is likely      weigh.c
 *     what is believed    trust.c
 *     what to answer      estimate.c
 */
#ifndef XENO_RD_NEAREST_PRIV_H
#define XENO_RD_NEAREST_PRIV_H

#include "rd/nearest.h"

enum {
    NEAR_GRID = 14,    /* values of d: .25 ms and on in steps of 1.74 */
    NEAR_OFFSETS = 4,  /* values of c */
    NEAR_POOL = 256,   /* hypotheses looked at closely */
    NEAR_SAMPLE = 64,  /* of them, those that the first choice is made among and by */
    NEAR_TOLD = 8,     /* results from elsewhere, beside the budget */
    NEAR_TOP = 24,     /* hypotheses that estimates are made of */
    NEAR_CLOSE = 1024, /* estimates asked for at once that are made closely */
};

struct rd_hypothesis {
    uint32_t place; /* of the candidate, in `slots` */
    double p;
    double d, c; /* their means under it */
};

struct rd_heard {
    uint32_t slot;
    double rtt_ms;
    double trust; /* the chance that it is true */
    float *to;    /* its round trip to each candidate; NaN: unknown */
    float *slack; /* how far that may be off */
};

struct rd_near_score {
    float value;
    uint32_t place;
};

struct xeno_near {
    const struct xeno_near_map *map;
    size_t count, other_count;
    uint32_t *slots, *others;
    unsigned budget;
    uint64_t seed;

    uint32_t asked[XENO_NEAR_MAX];
    unsigned asked_count;
    struct rd_heard results[XENO_NEAR_MAX + NEAR_TOLD];
    unsigned result_count;

    double grid[NEAR_GRID], prior[NEAR_GRID];
    struct rd_hypothesis pool[NEAR_POOL]; /* descending by p */
    size_t pool_count;
    struct rd_near_score *scores; /* of all candidates, when they are more than the pool */
    float *columns;
};

extern const double rd_near_offset[NEAR_OFFSETS], rd_near_offset_prior[NEAR_OFFSETS];

/* A number from a seed, which moves on. */
uint64_t rd_near_scatter(uint64_t *state);

/* What was heard of a server; NULL: nothing. */
const struct rd_heard *rd_near_heard(const struct xeno_near *s, uint32_t slot);

/* The likelihood of a round trip r to a server that is `to` from the candidate of a hypothesis. It
 * never falls below a floor: one answer that fits nothing decides nothing. */
double rd_near_likelihood(double r, double to, double slack, double d, double c);

/* What is left of a likelihood when the answer r is true with this chance only: else it may be
 * anything. */
double rd_near_tempered(double likelihood, double r, double trust);

/* How much each result is to be believed, beside what the others say: afresh. */
void rd_near_trust(struct xeno_near *s);
/* Who is looked at closely: everybody, or those whom the results leave in question. */
void rd_near_pool(struct xeno_near *s);
/* What is expected of d before anything is known; the pool must have been chosen. */
void rd_near_prior(struct xeno_near *s);
/* The pool anew, each hypothesis with its chance, the likeliest first. */
void rd_near_weigh(struct xeno_near *s);

#endif
