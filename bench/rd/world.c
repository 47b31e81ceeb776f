/* bench/rd/world.c - machines that find their coordinates, some of which lie; plain Vivaldi. */
#include "world.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { ROUNDS = 15 };

const char *const lies_text[LIES] = { "nobody", "wild", "late", "close", "together" };

double world_truth(const struct world *w, size_t i, size_t j)
{
    return matrix_at(w->m, w->who[i], w->who[j]);
}

static struct xeno_id id_of(size_t i)
{
    struct xeno_id id;

    memset(&id, 0, sizeof id);
    snprintf(id.s, sizeof id.s, "m%zu", i);
    return id;
}

/* Anywhere, and sure of it. */
static struct xeno_coord made_up(uint64_t *seed)
{
    struct xeno_coord c = { .height_ms = draw_unit(seed) * 5, .error_ms = .1, .samples = 10000 };

    for (int k = 0; k < XENO_COORD_DIM; k++)
        c.x[k] = (draw_unit(seed) - .5) * 200;
    return c;
}

/* The coordinate that i publishes; `true_at` is where it is. */
static struct xeno_coord claim(const struct world *w, size_t i, const struct xeno_coord *true_at,
                               uint64_t *seed)
{
    if (w->liar[i] && w->lies == WILD)
        return made_up(seed);
    return w->liar[i] && w->lies == TOGETHER ? w->spot : *true_at;
}

/* What i hears of j: who lies may be late. */
static double hears(const struct world *w, size_t i, size_t j, uint64_t *seed)
{
    double ms = matrix_by(w->m, w->who[i], w->who[j]);

    return w->liar[j] && w->lies != CLOSE ? ms * (1 + draw_unit(seed)) : ms;
}

static void settle(struct world *w, uint64_t *seed)
{
    struct xeno_coord_node **nodes = xeno_new0_n(struct xeno_coord_node *, w->n);

    for (size_t i = 0; i < w->n; i++)
        nodes[i] = xeno_coord_node_new(draw(seed));
    for (int r = 0; r < ROUNDS; r++)
        for (size_t q = 0; q < w->group_size; q++)
            for (size_t i = 0; i < w->n; i++) {
                size_t j = w->group[i][q];
                struct xeno_id id = id_of(j);
                struct xeno_coord at = claim(w, j, xeno_coord_node_at(nodes[j]), seed);
                double ms = hears(w, i, j, seed);

                if (ms > 0)
                    xeno_coord_node_sample(nodes[i], &id, &at, ms);
            }
    for (size_t i = 0; i < w->n; i++) {
        w->at[i] = claim(w, i, xeno_coord_node_at(nodes[i]), seed);
        xeno_coord_node_free(nodes[i]);
    }
    free(nodes);
}

void world_init(struct world *w, size_t liars, uint64_t *seed)
{
    w->group_size = w->n - 1 < GROUP ? w->n - 1 : GROUP;
    w->group = (uint32_t(*)[GROUP])xeno_new0_n(uint32_t, w->n * GROUP);
    w->at = xeno_new0_n(struct xeno_coord, w->n);
    w->spot = made_up(seed);
    for (size_t i = 0; i < liars; i++)
        w->liar[i] = true;
    for (size_t i = 0; i < w->n; i++)
        draw_some(seed, w->n, i, w->group_size, w->group[i]);
    settle(w, seed);
}

void world_release(struct world *w)
{
    free(w->group);
    free(w->at);
}

/* The round trip to j that i publishes. */
static double says(const struct world *w, size_t i, size_t j, uint64_t *seed)
{
    double ms = hears(w, i, j, seed);

    if (!w->liar[i] || w->lies == CLOSE)
        return ms;
    if (w->lies == WILD)
        return draw_unit(seed) * 200;
    if (w->lies == TOGETHER)
        return xeno_coord_rtt(&w->spot, &w->at[j], NULL, NULL);
    return ms * (1 + draw_unit(seed));
}

struct xeno_near_map *world_publish(const struct world *w, uint64_t *seed)
{
    struct xeno_near_map *map = xeno_near_map_new();

    for (size_t i = 0; i < w->n; i++) {
        struct xeno_near_link links[GROUP];

        for (size_t k = 0; k < w->group_size; k++)
            links[k] =
                (struct xeno_near_link){ w->group[i][k], (float)says(w, i, w->group[i][k], seed) };
        xeno_near_map_set(map, (uint32_t)i, &w->at[i], links, w->group_size);
    }
    for (size_t i = 0; i < w->n; i++)
        xeno_near_map_judge(map, (uint32_t)i);
    return map;
}

double world_answer(const struct world *w, size_t i, size_t target, uint64_t *seed)
{
    double ms = matrix_by(w->m, w->who[i], target);

    if (!w->liar[i])
        return ms;
    switch (w->lies) {
    case WILD:
        return ms * 2 * draw_unit(seed);
    case LATE:
        return ms * (1 + draw_unit(seed));
    default:
        return ms * .1;
    }
}

double spring_rtt(const struct spring *a, const struct spring *b, int dims)
{
    double sum = 0;

    for (int k = 0; k < dims; k++)
        sum += (a->x[k] - b->x[k]) * (a->x[k] - b->x[k]);
    return sqrt(sum) + a->height + b->height;
}

static void spring_pull(struct spring *a, const struct spring *b, double ms, int dims)
{
    double predicted = spring_rtt(a, b, dims), w = a->error / (a->error + b->error);
    double step = .25 * w * (ms - predicted) / fmax(predicted, 1e-9);

    a->error = fmin(fabs(predicted - ms) / ms * .25 * w + a->error * (1 - .25 * w), 1);
    for (int k = 0; k < dims; k++)
        a->x[k] += step * (a->x[k] - b->x[k]);
    a->height = fmax(a->height + step * (a->height + b->height), .1);
}

void vivaldi(const struct world *w, uint64_t *seed, int dims, struct spring *s)
{
    for (size_t i = 0; i < w->n; i++) {
        s[i] = (struct spring){ .height = .1, .error = 1 };
        for (int k = 0; k < dims; k++)
            s[i].x[k] = draw_unit(seed) - .5;
    }
    for (int r = 0; r < 100 * GROUP; r++)
        for (size_t i = 0; i < w->n; i++) {
            size_t j = w->group[i][draw(seed) % w->group_size];
            double ms = matrix_by(w->m, w->who[i], w->who[j]);

            if (ms > 0)
                spring_pull(&s[i], &s[j], ms, dims);
        }
}
