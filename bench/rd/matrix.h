/* bench/rd/matrix.h - round trips between all of a set of machines, measured or made up. */
#ifndef XENO_BENCH_RD_MATRIX_H
#define XENO_BENCH_RD_MATRIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MATRIX_MAX 4096

struct matrix {
    size_t n;
    float *ms; /* row i, column j, symmetric; below zero: not measured */
};

static inline float matrix_at(const struct matrix *m, size_t i, size_t j)
{
    return m->ms[i * m->n + j];
}

/* Tab or space separated, one row a line. Of two directions the mean counts, or the one there is; a
 * cell that is no number above zero is missing. False with a line on stderr when it is no matrix.
 */
bool matrix_read(const char *path, struct matrix *ret);
/* "geometric" (a plane with heights), "clusters" (with detours that violate the triangle),
 * "transit" (transit and stub networks). */
bool matrix_make(const char *kind, size_t n, uint64_t seed, struct matrix *ret);
void matrix_free(struct matrix *m);

uint64_t draw(uint64_t *seed);    /* splitmix64 */
double draw_unit(uint64_t *seed); /* 0 to 1 */
double draw_bell(uint64_t *seed); /* mean 0, deviation 1 */
/* k of n different numbers, none of them `but` (n: all may be). */
void draw_some(uint64_t *seed, size_t n, size_t but, size_t k, uint32_t *ret);

#endif
