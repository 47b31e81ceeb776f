/* bench/rd/world.h - machines of a matrix that know one another's coordinates and round trips, some
 * of which lie. */
#ifndef XENO_BENCH_RD_WORLD_H
#define XENO_BENCH_RD_WORLD_H

#include "matrix.h"
#include "rd/coord.h"
#include "rd/nearest.h"

enum { GROUP = 32 };

/* Ways to lie. Nobody can measure less than there is of another; all else may be said. */
enum lies {
    HONEST,
    WILD,  /* coordinates, round trips and answers are made up each time anew; packets are late */
    LATE,  /* nothing but late, each time by something else */
    CLOSE, /* true in all, but says of every address that it is near */
    TOGETHER, /* all claim one place, publish what fits it, are late and say that all is near */
    LIES,
};
extern const char *const lies_text[LIES];

struct world {
    const struct matrix *m;
    size_t n;
    uint32_t who[MATRIX_MAX]; /* rows of the matrix */
    uint32_t (*group)[GROUP];
    size_t group_size;
    enum lies lies;
    bool liar[MATRIX_MAX];
    struct xeno_coord spot; /* that liars claim together */
    struct xeno_coord *at;
};

/* The machines `w->who` draw whom they measure; the first `liars` of them lie. Then they measure
 * until their coordinates stand still. */
void world_init(struct world *w, size_t liars, uint64_t *seed);
void world_release(struct world *w);

/* The map of what they publish, all judged. The caller's. */
struct xeno_near_map *world_publish(const struct world *w, uint64_t *seed);

double world_truth(const struct world *w, size_t i, size_t j);
/* What i says when it is asked for its round trip to row `target` of the matrix. */
double world_answer(const struct world *w, size_t i, size_t target, uint64_t *seed);

/* Vivaldi as published (Dabek and others, 2004): adaptive timestep .25, heights. */
struct spring {
    double x[8], height, error;
};
double spring_rtt(const struct spring *a, const struct spring *b, int dims);
void vivaldi(const struct world *w, uint64_t *seed, int dims, struct spring *s);

#endif
