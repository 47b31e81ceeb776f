/* bench/rd/matrix.h - round trips between all of a set of machines, measured or made up. */
#ifndef XENO_BENCH_RD_MATRIX_H
#define XENO_BENCH_RD_MATRIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MATRIX_MIN 20
#define MATRIX_MAX 4096

struct matrix {
    size_t n;
    float *ms;   /* row i, column j, symmetric: the truth; below zero: not measured */
    float *said; /* the same as i measured it; below zero: it did not */
};

/* The truth: the mean of both directions, or the one there is. */
static inline float matrix_at(const struct matrix *m, size_t i, size_t j)
{
    return m->ms[i * m->n + j];
}

/* What i hears when it measures j: its own figure, or the other's where it has none. */
static inline float matrix_by(const struct matrix *m, size_t i, size_t j)
{
    float own = m->said[i * m->n + j];

    return own > 0 ? own : matrix_at(m, i, j);
}

/* Read a matrix of `unit_ms` milliseconds a unit. Two forms are told apart by their first lines:
 *
 * - n lines of n cells, parted by tabs, commas or semicolons (two in a row: an empty cell; one
 *   behind the last is allowed) or by blanks;
 * - "i j round-trip" lines, numbers of machines from 0 or 1 on (as the King and Meridian sets have
 *   them); a pair named again counts by its least.
 *
 * Lines that begin with # are passed over. Missing: an empty cell, 0 (the diagonal may be
 * anything), what is below zero, nan, inf, na, null, ?, - and x, and more than ten seconds.
 * Machines that know less than half of the others are left out.
 *
 * Returns: false with a line on stderr that names the row and the cell when it is no matrix; what
 *          was left out is told there, too.
 */
bool matrix_read(const char *path, double unit_ms, struct matrix *ret);

/* Made up from a seed; false when there is no such kind: matrix_kinds are those there are. */
bool matrix_make(const char *kind, size_t n, uint64_t seed, struct matrix *ret);
extern const char *const matrix_kinds[]; /* ends with NULL */

/* `k` of its machines by chance, as a matrix of their own; m is used up. */
void matrix_part(struct matrix *m, size_t k, uint64_t seed);
void matrix_free(struct matrix *m);

uint64_t draw(uint64_t *seed);    /* splitmix64 */
double draw_unit(uint64_t *seed); /* 0 to 1 */
double draw_bell(uint64_t *seed); /* mean 0, deviation 1 */
/* k of n different numbers, none of them `but` (n: all may be). */
void draw_some(uint64_t *seed, size_t n, size_t but, size_t k, uint32_t *ret);

#endif
