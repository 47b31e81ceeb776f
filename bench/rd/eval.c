/* bench/rd/eval.c - how well servers are found on a matrix of round trips.
 *
 *     bench-rd [--seeds N] [--targets N] MATRIX.tsv | geometric | clusters | transit
 *
 * Two questions, each asked again and again with other servers and other targets:
 *
 * - Without a probe: every machine of the matrix takes part in the coordinate system, measuring 32
 *   random others; which of 50 random servers is nearest to a target? Plain Vivaldi (2 dimensions
 *   and a height, as published; 5 dimensions and a height), and ours, from the same round trips.
 * - With probes: the platform is 50 random servers and nothing else. They have coordinates among
 *   themselves and publish 32 round trips each. The target is a machine of which nothing is known.
 *   Nobody but the servers measures, and what is counted is every packet to the target.
 *
 * A tenth that lie: as many servers publish coordinates and round trips that are made up, and
 * answer probes with what they like. The truth is then the nearest of those that are honest.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "matrix.h"
#include "rd/coord.h"
#include "rd/latency.h"
#include "rd/nearest.h"
#include "stats.h"

enum { SERVERS = 50, GROUP = 32, ROUNDS = 15, PROBES = 5 };

struct tally {
    const char *name;
    double *penalty;
    size_t n, hits;
    double seed_sum, seed_square; /* of each seed's share, for the interval */
    size_t seed_n, seed_hits, seeds;
};

static size_t most;

static void tally_add(struct tally *t, double got, double best)
{
    if (!t->penalty)
        t->penalty = xeno_new0_n(double, most);
    t->penalty[t->n++] = got - best;
    t->hits += got <= best;
    t->seed_n++;
    t->seed_hits += got <= best;
}

static void tally_seed(struct tally *t)
{
    double share = t->seed_n ? 100. * (double)t->seed_hits / (double)t->seed_n : 0;

    t->seed_sum += share;
    t->seed_square += share * share;
    t->seeds += t->seed_n > 0;
    t->seed_n = t->seed_hits = 0;
}

static double tally_share(const struct tally *t)
{
    return t->n ? 100. * (double)t->hits / (double)t->n : 0;
}

static void tally_print(struct tally *t)
{
    double k = (double)t->seeds, mean = t->seed_sum / k;
    double var = fmax(t->seed_square / k - mean * mean, 0);

    if (t->n == 0)
        return;
    bench_sort(t->penalty, t->n);
    printf("%-44s %5.1f%% +-%4.1f %9.2f %9.2f\n", t->name, tally_share(t),
           k > 1 ? 1.96 * sqrt(var / (k - 1)) : 0, bench_quantile(t->penalty, t->n, .5),
           bench_quantile(t->penalty, t->n, .9));
}

/* What a system of machines knows: members of the matrix, whom each measures, who lies. */
struct world {
    const struct matrix *m;
    size_t n;
    uint32_t who[MATRIX_MAX];
    uint32_t (*group)[GROUP];
    size_t group_size;
    bool lies[MATRIX_MAX];
    struct xeno_coord *at;
};

static double truth(const struct world *w, size_t i, size_t j)
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

/* What a liar publishes: anywhere, and sure of it. */
static struct xeno_coord made_up(uint64_t *seed)
{
    struct xeno_coord c = { .height_ms = draw_unit(seed) * 5, .error_ms = .1, .samples = 10000 };

    for (int k = 0; k < XENO_COORD_DIM; k++)
        c.x[k] = (draw_unit(seed) - .5) * 200;
    return c;
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
                struct xeno_coord lie = made_up(seed);
                double ms = truth(w, i, j);

                if (ms > 0)
                    xeno_coord_node_sample(nodes[i], &id,
                                           w->lies[j] ? &lie : xeno_coord_node_at(nodes[j]),
                                           w->lies[j] ? ms * (1 + draw_unit(seed)) : ms);
            }
    for (size_t i = 0; i < w->n; i++) {
        w->at[i] = w->lies[i] ? made_up(seed) : *xeno_coord_node_at(nodes[i]);
        xeno_coord_node_free(nodes[i]);
    }
    free(nodes);
}

static void world_groups(struct world *w, uint64_t *seed)
{
    w->group_size = w->n - 1 < GROUP ? w->n - 1 : GROUP;
    w->group = (uint32_t(*)[GROUP])xeno_new0_n(uint32_t, w->n * GROUP);
    w->at = xeno_new0_n(struct xeno_coord, w->n);
    for (size_t i = 0; i < w->n; i++)
        draw_some(seed, w->n, i, w->group_size, w->group[i]);
}

static void world_release(struct world *w)
{
    free(w->group);
    free(w->at);
}

/* Vivaldi as published (Dabek and others, 2004): adaptive timestep .25, heights. */
struct spring {
    double x[8], height, error;
};

static double spring_rtt(const struct spring *a, const struct spring *b, int dims)
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

static void vivaldi(const struct world *w, uint64_t *seed, int dims, struct spring *s)
{
    for (size_t i = 0; i < w->n; i++) {
        s[i] = (struct spring){ .height = .1, .error = 1 };
        for (int k = 0; k < dims; k++)
            s[i].x[k] = draw_unit(seed) - .5;
    }
    for (int r = 0; r < 100 * GROUP; r++)
        for (size_t i = 0; i < w->n; i++) {
            size_t j = w->group[i][draw(seed) % w->group_size];

            if (truth(w, i, j) > 0)
                spring_pull(&s[i], &s[j], truth(w, i, j), dims);
        }
}

enum { RANDOM, VIVALDI2, VIVALDI5, OURS, METHODS };

/* What the whole evaluation counts. */
struct figures {
    struct tally alone[METHODS], equal[METHODS], minmax[METHODS];
    struct tally probe[2][PROBES + 1]; /* honest, a tenth lying */
    size_t covered, asked;             /* estimates whose interval held */
    double error;
};

/* Score of server s by a method for one, or for two addresses: their larger, or their difference.
 */
struct view {
    const struct world *w;
    const struct spring *s2, *s5;
};

static struct xeno_latency guess(const struct view *v, int method, size_t a, size_t b)
{
    struct xeno_latency l = { NAN, NAN, NAN, XENO_LATENCY_PREDICTED };
    double low = 0, high = 0;

    if (method == OURS) {
        l.ms = (float)xeno_coord_rtt(&v->w->at[a], &v->w->at[b], &low, &high);
        l.low = (float)low;
        l.high = (float)high;
    } else {
        l.ms = (float)(method == VIVALDI2 ? spring_rtt(&v->s2[a], &v->s2[b], 2)
                                          : spring_rtt(&v->s5[a], &v->s5[b], 5));
        l.low = l.high = l.ms;
    }
    return l;
}

typedef double score_fn(const struct xeno_latency *row, size_t n);

/* Choose one of `some` for the targets by each method and note what it really scores. */
static void contest(const struct view *v, const uint32_t *some, const size_t *targets, size_t n,
                    score_fn *score, struct tally *t, uint64_t *seed)
{
    double best = HUGE_VAL, real[SERVERS];
    size_t pick[METHODS];

    for (size_t i = 0; i < SERVERS; i++) {
        struct xeno_latency row[4] = { 0 };

        for (size_t k = 0; k < n; k++) {
            row[k].ms = row[k].low = row[k].high = (float)truth(v->w, targets[k], some[i]);
            row[k].how = XENO_LATENCY_MEASURED;
            if (row[k].ms <= 0)
                return; /* not measured: no truth to compare with */
        }
        real[i] = score(row, n);
        best = fmin(best, real[i]);
    }
    pick[RANDOM] = draw(seed) % SERVERS;
    for (int method = VIVALDI2; method < METHODS; method++) {
        double least = HUGE_VAL;

        pick[method] = 0;
        for (size_t i = 0; i < SERVERS; i++) {
            struct xeno_latency row[4];
            double is;

            for (size_t k = 0; k < n; k++)
                row[k] = guess(v, method, targets[k], some[i]);
            is = score(row, n);
            if (is < least) {
                least = is;
                pick[method] = i;
            }
        }
    }
    for (int method = RANDOM; method < METHODS; method++)
        tally_add(&t[method], real[pick[method]], best);
}

static void alone(const struct matrix *m, uint64_t *seed, size_t targets, struct figures *f)
{
    struct world w = { .m = m, .n = m->n };
    struct spring *s2 = xeno_new0_n(struct spring, m->n), *s5 = xeno_new0_n(struct spring, m->n);
    struct view v = { &w, s2, s5 };

    for (size_t i = 0; i < w.n; i++)
        w.who[i] = (uint32_t)i;
    world_groups(&w, seed);
    settle(&w, seed);
    vivaldi(&w, seed, 2, s2);
    vivaldi(&w, seed, 5, s5);
    for (size_t t = 0; t < targets; t++) {
        uint32_t some[SERVERS + 2];
        size_t two[2];

        draw_some(seed, w.n, w.n, SERVERS + 2, some);
        two[0] = some[SERVERS];
        two[1] = some[SERVERS + 1];
        contest(&v, some, two, 1, xeno_latency_max, f->alone, seed);
        contest(&v, some, two, 2, xeno_latency_spread, f->equal, seed);
        contest(&v, some, two, 2, xeno_latency_max, f->minmax, seed);
    }
    for (int k = 0; k < METHODS; k++) {
        tally_seed(&f->alone[k]);
        tally_seed(&f->equal[k]);
        tally_seed(&f->minmax[k]);
    }
    world_release(&w);
    free(s2);
    free(s5);
}

/* The servers' own map, with what they publish. */
static struct xeno_near_map *publish(struct world *w, uint64_t *seed)
{
    struct xeno_near_map *map = xeno_near_map_new();

    for (size_t i = 0; i < w->n; i++) {
        struct xeno_near_link links[GROUP];

        for (size_t k = 0; k < w->group_size; k++) {
            double ms = truth(w, i, w->group[i][k]);

            if (w->lies[i])
                ms = draw_unit(seed) * 200;
            else if (w->lies[w->group[i][k]])
                ms *= 1 + draw_unit(seed); /* it may answer late */
            links[k] = (struct xeno_near_link){ w->group[i][k], (float)ms };
        }
        xeno_near_map_set(map, (uint32_t)i, &w->at[i], links, w->group_size);
    }
    for (size_t i = 0; i < w->n; i++)
        xeno_near_map_judge(map, (uint32_t)i);
    return map;
}

/* One search for the machine `target` of the matrix. */
static void search(const struct world *w, const struct xeno_near_map *map, size_t target, int lying,
                   uint64_t *seed, struct figures *f)
{
    uint32_t all[SERVERS], slot;
    double best = HUGE_VAL, real[SERVERS];
    xeno_auto(xeno_near) s = NULL;

    for (size_t i = 0; i < SERVERS; i++) {
        all[i] = (uint32_t)i;
        real[i] = matrix_at(w->m, target, w->who[i]);
        if (real[i] <= 0)
            return;
        if (!w->lies[i])
            best = fmin(best, real[i]);
    }
    s = xeno_near_new(map, all, SERVERS, NULL, 0, PROBES, draw(seed));
    for (int k = 1; k <= PROBES && xeno_near_next(s, &slot); k++) {
        uint32_t found;
        double says = w->lies[slot] ? draw_unit(seed) * 2 * real[slot] : real[slot];

        xeno_near_result(s, slot, says);
        if (xeno_near_best(s, &found, NULL))
            tally_add(&f->probe[lying][k], real[found], best);
    }
    for (size_t i = 0; i < SERVERS && !lying; i++) {
        struct xeno_latency l = xeno_near_estimate(s, (uint32_t)i);

        if (l.how != XENO_LATENCY_PREDICTED)
            continue;
        f->asked++;
        f->covered += real[i] >= l.low && real[i] <= l.high;
        f->error += fabs(l.ms - real[i]) / real[i];
    }
}

static void probed(const struct matrix *m, uint64_t *seed, size_t targets, int lying,
                   struct figures *f)
{
    struct world w = { .m = m, .n = SERVERS };
    struct xeno_near_map *map;

    draw_some(seed, m->n, m->n, SERVERS, w.who);
    for (size_t i = 0; i < (lying ? SERVERS / 10 : 0); i++)
        w.lies[i] = true;
    world_groups(&w, seed);
    settle(&w, seed);
    map = publish(&w, seed);
    for (size_t t = 0; t < targets; t++) {
        size_t target = draw(seed) % m->n;
        bool server = false;

        for (size_t i = 0; i < SERVERS; i++)
            server = server || w.who[i] == target;
        if (!server)
            search(&w, map, target, lying, seed, f);
    }
    for (int k = 1; k <= PROBES; k++)
        tally_seed(&f->probe[lying][k]);
    xeno_near_map_free(map);
    world_release(&w);
}

static void print(struct figures *f)
{
    static const char *const names[METHODS] = { "one at random",
                                                "plain Vivaldi, 2 dimensions, height",
                                                "plain Vivaldi, 5 dimensions, height", "ours" };
    struct {
        const char *title;
        struct tally *t;
    } parts[] = { { "Nearest of 50, coordinates alone", f->alone },
                  { "Equal latency to two addresses", f->equal },
                  { "Least maximum to two addresses", f->minmax } };

    for (size_t i = 0; i < XENO_LEN(parts); i++) {
        printf("\n%-44s %6s %6s %9s %9s\n", parts[i].title, "best", "95%", "p50 ms", "p90 ms");
        for (int k = 0; k < METHODS; k++) {
            parts[i].t[k].name = names[k];
            tally_print(&parts[i].t[k]);
        }
    }
    for (int lying = 0; lying < 2; lying++) {
        printf("\n%s\n", lying ? "The same, 10 % of the servers lie"
                               : "Nearest of 50, nothing known of the address, probes by servers");
        for (int k = 1; k <= PROBES; k++) {
            char name[32];

            snprintf(name, sizeof name, "%d probe%s", k, k > 1 ? "s" : "");
            f->probe[lying][k].name = name;
            tally_print(&f->probe[lying][k]);
        }
    }
    printf(
        "\nunprobed servers: mean relative error %.2f; %.0f%% of truths within the bounds (80)\n",
        f->error / (double)f->asked, 100. * (double)f->covered / (double)f->asked);
}

/* For a test: the promises that hold on any matrix, as an exit status. */
static int judge(const struct figures *f)
{
    double honest = tally_share(&f->probe[0][PROBES]), lied = tally_share(&f->probe[1][PROBES]);
    double ours = tally_share(&f->alone[OURS]), plain = tally_share(&f->alone[VIVALDI2]);

    printf("\nfive probes %.1f%%, with liars %.1f%%: %s\n", honest, lied,
           lied >= .9 * honest ? "kept" : "LOST");
    printf("coordinates alone %.1f%%, plain Vivaldi %.1f%%: %s\n", ours, plain,
           ours > plain ? "ahead" : "BEHIND");
    return lied >= .9 * honest && ours > plain ? 0 : 1;
}

static void release(struct tally *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(t[i].penalty);
}

int main(int argc, char **argv)
{
    size_t seeds = 30, targets = 200;
    struct matrix m;
    static struct figures f;
    int i = 1, r;

    for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
        long v = strtol(argv[i + 1], NULL, 10);

        if (v < 1 || v > 10000)
            break;
        *(strcmp(argv[i], "--seeds") == 0 ? &seeds : &targets) = (size_t)v;
    }
    if (i + 1 != argc) {
        fprintf(stderr,
                "bench-rd [--seeds N] [--targets N] MATRIX.tsv|geometric|clusters|transit\n");
        return 2;
    }
    if (strpbrk(argv[i], "./") ? !matrix_read(argv[i], &m) : !matrix_make(argv[i], 400, 1, &m))
        return 2;
    most = (seeds + 2) * targets;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        uint64_t s = seed * 1000003;

        if (seed % 3 == 1) /* Vivaldi takes its time */
            alone(&m, &s, targets * 3, &f);
        probed(&m, &s, targets, 0, &f);
        s = seed * 1000003;
        probed(&m, &s, targets, 1, &f);
    }
    printf("%s: %zu machines, %zu seeds of %zu targets\n", argv[i], m.n, seeds, targets);
    print(&f);
    r = judge(&f);
    release(f.alone, METHODS);
    release(f.equal, METHODS);
    release(f.minmax, METHODS);
    release(f.probe[0], PROBES + 1);
    release(f.probe[1], PROBES + 1);
    matrix_free(&m);
    return r;
}
