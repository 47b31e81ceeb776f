/* bench/rd/made.c - matrices of round trips that are made up. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "matrix.h"

static void put(struct matrix *m, size_t i, size_t j, double ms)
{
    size_t a = i * m->n + j, b = j * m->n + i;

    m->ms[a] = m->ms[b] = m->said[a] = m->said[b] = (float)fmax(ms, .02);
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

/* Machines in continents on the globe, behind lines of very different length; ways are longer than
 * the great circle by a part that is each pair's own, and some go by another continent. */
static void make_world(struct matrix *m, uint64_t *seed, double lines)
{
    enum { CITIES = 60 };
    double city[CITIES][3], *at = xeno_new0_n(double, 4 * m->n);
    size_t *city_of = xeno_new0_n(size_t, m->n);

    for (size_t c = 0; c < CITIES; c++) {
        double middle = (double)(c % 5) * 1.3 + .35 * draw_bell(seed), up = .5 * draw_bell(seed);

        city[c][0] = cos(up) * cos(middle);
        city[c][1] = cos(up) * sin(middle);
        city[c][2] = sin(up);
    }
    for (size_t i = 0; i < m->n; i++) {
        city_of[i] = (size_t)(CITIES * draw_unit(seed) * draw_unit(seed));
        for (int k = 0; k < 3; k++)
            at[4 * i + (size_t)k] = city[city_of[i]][k] + .01 * draw_bell(seed);
        at[4 * i + 3] = .2 + lines * exp(draw_bell(seed));
        for (size_t j = 0; j < i; j++) {
            double dot = 0, ms;

            for (size_t k = 0; k < 3; k++)
                dot += at[4 * i + k] * at[4 * j + k];
            ms = acos(fmax(fmin(dot, 1), -1)) * 64 * (1.1 + .5 * draw_unit(seed));
            if (draw_unit(seed) < .05)
                ms += 80 * draw_unit(seed);
            put(m, i, j, (ms + at[4 * i + 3] + at[4 * j + 3]) * exp(.04 * draw_bell(seed)));
        }
    }
    free(at);
    free(city_of);
}

/* Providers in a tree of hubs: a new one connects to two that have many already; ways go by the
 * first hub that both have above them. */
static void make_hubs(struct matrix *m, uint64_t *seed)
{
    enum { HUBS = 200 };
    size_t parent[HUBS] = { 0 }, depth[HUBS] = { 0 }, *hub_of = xeno_new0_n(size_t, m->n);
    double up[HUBS] = { 0 }, *line = xeno_new0_n(double, m->n);

    for (size_t h = 1; h < HUBS; h++) {
        size_t like = draw(seed) % h;

        parent[h] = draw_unit(seed) < .5 ? like : parent[like]; /* the large ones grow */
        depth[h] = depth[parent[h]] + 1;
        up[h] = (depth[h] == 1 ? 25 : 8) * exp(.7 * draw_bell(seed));
    }
    for (size_t i = 0; i < m->n; i++) {
        hub_of[i] = draw(seed) % HUBS;
        line[i] = .1 - 2 * log(1 - draw_unit(seed));
        for (size_t j = 0; j < i; j++) {
            size_t a = hub_of[i], b = hub_of[j];
            double ms = line[i] + line[j];

            while (a != b) {
                size_t *lower = depth[a] >= depth[b] ? &a : &b;

                ms += up[*lower];
                *lower = parent[*lower];
            }
            put(m, i, j, ms * exp(.05 * draw_bell(seed)));
        }
    }
    free(hub_of);
    free(line);
}

/* As measured in the wild: both directions differ, and one pair in seven is missing, or one of its
 * directions. */
static void make_torn(struct matrix *m, uint64_t *seed)
{
    make_world(m, seed, 3);
    for (size_t i = 0; i < m->n; i++)
        for (size_t j = 0; j < m->n; j++) {
            float *said = &m->said[i * m->n + j];

            if (i != j)
                *said = draw_unit(seed) < .15 ? -1 : *said * (float)exp(.07 * draw_bell(seed));
        }
    for (size_t i = 0; i < m->n; i++)
        for (size_t j = 0; j < i; j++) {
            float *a = &m->said[i * m->n + j], *b = &m->said[j * m->n + i];
            float v = *a > 0 && *b > 0 ? (*a + *b) / 2 : *a > 0 ? *a : *b;

            if (draw_unit(seed) < .12)
                *a = *b = v = -1;
            m->ms[i * m->n + j] = m->ms[j * m->n + i] = v;
        }
}

const char *const matrix_kinds[] = { "geometric", "clusters", "transit", "world",
                                     "lines",     "hubs",     "torn",    NULL };

bool matrix_make(const char *kind, size_t n, uint64_t seed, struct matrix *ret)
{
    *ret = (struct matrix){ .n = n };
    ret->ms = xeno_new0_n(float, n *n);
    ret->said = xeno_new0_n(float, n *n);
    if (strcmp(kind, "geometric") == 0)
        make_points(ret, &seed, 0, .1, 0);
    else if (strcmp(kind, "clusters") == 0)
        make_points(ret, &seed, 40, .05, .15);
    else if (strcmp(kind, "transit") == 0)
        make_transit(ret, &seed);
    else if (strcmp(kind, "world") == 0)
        make_world(ret, &seed, 1);
    else if (strcmp(kind, "lines") == 0)
        make_world(ret, &seed, 12);
    else if (strcmp(kind, "hubs") == 0)
        make_hubs(ret, &seed);
    else if (strcmp(kind, "torn") == 0)
        make_torn(ret, &seed);
    else
        matrix_free(ret);
    return ret->ms != NULL;
}
