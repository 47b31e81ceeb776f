/* bench/rd/tally.h - how often the best was chosen, and by how much it was missed. */
#ifndef XENO_BENCH_RD_TALLY_H
#define XENO_BENCH_RD_TALLY_H

#include <stddef.h>

struct tally {
    double *penalty;
    size_t n, room, hits;
    double seed_sum, seed_square; /* of each seed's share, for the interval */
    size_t seed_n, seed_hits, seeds;
};

void tally_add(struct tally *t, double got, double best);
void tally_seed(struct tally *t); /* a seed's are all in */
/* Percent. 0 of none. */
double tally_share(const struct tally *t);
/* A line: share, its interval of 95 % over the seeds, penalty's p50 and p90. Nothing of none. */
void tally_print(struct tally *t, const char *name);
void tally_release(struct tally *t);

#endif
