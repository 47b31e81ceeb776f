/* bench/rd/matrix.c - read matrices of round trips; make some. */
#include "matrix.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

uint64_t draw(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

double draw_unit(uint64_t *seed)
{
    return (double)(draw(seed) >> 11) * 0x1p-53;
}

double draw_bell(uint64_t *seed)
{
    double r = sqrt(-2 * log(1 - draw_unit(seed)));

    return r * cos(2 * M_PI * draw_unit(seed));
}

void draw_some(uint64_t *seed, size_t n, size_t but, size_t k, uint32_t *ret)
{
    bool used[MATRIX_MAX] = { false };

    if (but < n)
        used[but] = true;
    for (size_t i = 0; i < k;) {
        uint32_t v = (uint32_t)(draw(seed) % n);

        if (used[v])
            continue;
        used[v] = true;
        ret[i++] = v;
    }
}

static void even(struct matrix *m)
{
    for (size_t i = 0; i < m->n; i++)
        for (size_t j = 0; j <= i; j++) {
            float *a = &m->ms[i * m->n + j], *b = &m->ms[j * m->n + i], v = -1;

            if (*a > 0 && *b > 0)
                v = (*a + *b) / 2;
            else if (*a > 0 || *b > 0)
                v = *a > 0 ? *a : *b;
            *a = *b = i == j ? 0 : v;
        }
}

/* One row; false when a cell is too many. */
static bool read_row(char *line, size_t row, struct matrix *m)
{
    size_t column = 0;

    for (char *cell = strsep(&line, "\t \n"); cell; cell = strsep(&line, "\t \n")) {
        char *end;
        double v = strtod(cell, &end);

        if (*cell == '\0' && (!line || *line == '\0'))
            continue; /* the line's end */
        if (column == MATRIX_MAX || (row > 0 && column >= m->n))
            return false;
        m->ms[(row > 0 ? row * m->n : 0) + column++] =
            end == cell || *end || !isfinite(v) || v <= 0 ? -1 : (float)v;
    }
    if (row == 0)
        m->n = column;
    return column == m->n;
}

bool matrix_read(const char *path, struct matrix *ret)
{
    xeno_autofree char *line = NULL;
    size_t size = 0, row = 0;
    FILE *in = fopen(path, "r");
    bool ok = in;

    *ret = (struct matrix){ .n = 0 };
    ret->ms = xeno_new0_n(float, MATRIX_MAX);
    while (ok && getline(&line, &size, in) > 0) {
        ok = row < MATRIX_MAX && (row == 0 || row < ret->n) && read_row(line, row, ret);
        if (ok && row++ == 0)
            ret->ms = xeno_grow(ret->ms, ret->n * ret->n + MATRIX_MAX);
    }
    if (in)
        fclose(in);
    if (!ok || row != ret->n || row < 60) {
        fprintf(stderr, "%s: no square matrix of 60 to %d rows (row %zu)\n", path, MATRIX_MAX, row);
        matrix_free(ret);
        return false;
    }
    even(ret);
    return true;
}

static void put(struct matrix *m, size_t i, size_t j, double ms)
{
    m->ms[i * m->n + j] = m->ms[j * m->n + i] = (float)fmax(ms, .02);
}

/* Points in `dims` dimensions around `spots` centres (0: anywhere), heights, noise, detours. */
static void make_points(struct matrix *m, uint64_t *seed, size_t spots, double noise,
                        double detours)
{
    double(*x)[4] = (double(*)[4])xeno_new0_n(double, 4 * m->n);
    double centre[64][3];

    for (size_t c = 0; c < 64; c++)
        for (int k = 0; k < 3; k++)
            centre[c][k] = draw_unit(seed) * 120;
    for (size_t i = 0; i < m->n; i++) {
        size_t c = spots ? (size_t)((double)spots * pow(draw_unit(seed), 1.7)) : 0;

        for (int k = 0; k < 3; k++)
            x[i][k] = spots ? centre[c][k] + 4 * draw_bell(seed)
                            : draw_unit(seed) * (k == 0   ? 150
                                                 : k == 1 ? 80
                                                          : 1);
        x[i][3] = .2 - 3 * log(1 - draw_unit(seed));
    }
    for (size_t i = 0; i < m->n; i++)
        for (size_t j = 0; j < i; j++) {
            double ms = hypot(hypot(x[i][0] - x[j][0], x[i][1] - x[j][1]), x[i][2] - x[j][2]);

            ms = (ms + x[i][3] + x[j][3]) * exp(noise * draw_bell(seed));
            if (ms > 20 && draw_unit(seed) < detours)
                ms *= 1 + .8 * draw_unit(seed);
            put(m, i, j, ms);
        }
    free(x);
}

/* A core of routers, shortest ways through it, stub networks at its routers, hosts in them. */
static void make_transit(struct matrix *m, uint64_t *seed)
{
    enum { CORE = 24, STUBS = 150 };
    double at[CORE][2], way[CORE][CORE], stub_ms[STUBS];
    size_t stub_of[STUBS];
    double *host_ms = xeno_new0_n(double, m->n);
    size_t *host_of = xeno_new0_n(size_t, m->n);

    for (size_t i = 0; i < CORE; i++) {
        at[i][0] = draw_unit(seed) * 120;
        at[i][1] = draw_unit(seed) * 60;
        for (size_t j = 0; j <= i; j++)
            way[i][j] = way[j][i] = i == j ? 0 : 1e6;
    }
    for (size_t e = 1; e < 3 * (size_t)CORE; e++) {
        size_t i = e < CORE ? e : draw(seed) % CORE, j = draw(seed) % (e < CORE ? e : CORE);

        if (i != j)
            way[i][j] = way[j][i] = hypot(at[i][0] - at[j][0], at[i][1] - at[j][1]);
    }
    for (size_t k = 0; k < CORE; k++)
        for (size_t i = 0; i < CORE; i++)
            for (size_t j = 0; j < CORE; j++)
                way[i][j] = fmin(way[i][j], way[i][k] + way[k][j]);
    for (size_t s = 0; s < STUBS; s++) {
        stub_of[s] = draw(seed) % CORE;
        stub_ms[s] = 1 + 8 * draw_unit(seed);
    }
    for (size_t i = 0; i < m->n; i++) {
        host_of[i] = draw(seed) % STUBS;
        host_ms[i] = .05 - .8 * log(1 - draw_unit(seed));
        for (size_t j = 0; j < i; j++) {
            size_t a = host_of[i], b = host_of[j];
            double between = a == b ? .2 : stub_ms[a] + stub_ms[b] + way[stub_of[a]][stub_of[b]];

            put(m, i, j, (host_ms[i] + host_ms[j] + between) * exp(.02 * draw_bell(seed)));
        }
    }
    free(host_ms);
    free(host_of);
}

bool matrix_make(const char *kind, size_t n, uint64_t seed, struct matrix *ret)
{
    *ret = (struct matrix){ .n = n };
    ret->ms = xeno_new0_n(float, n *n);
    if (strcmp(kind, "geometric") == 0)
        make_points(ret, &seed, 0, .1, 0);
    else if (strcmp(kind, "clusters") == 0)
        make_points(ret, &seed, 40, .05, .15);
    else if (strcmp(kind, "transit") == 0)
        make_transit(ret, &seed);
    else
        matrix_free(ret);
    return ret->ms != NULL;
}

void matrix_free(struct matrix *m)
{
    free(m->ms);
    *m = (struct matrix){ .n = 0 };
}
