/* bench/rd/eval.c - how well servers are found on a matrix of round trips.
 *
 *     bench-rd [options] MATRIX | KIND[:SEED]
 *
 * MATRIX is a file (matrix.h tells its forms; its name has a dot or a slash), KIND one that is made
 * up. Two questions, each asked again and again with other servers and other targets:
 *
 * - Without a probe: every machine of the matrix takes part in the coordinate system, measuring 32
 *   random others; which of 50 random servers is nearest to a target? Plain Vivaldi (2 dimensions
 *   and a height, as published; 5 dimensions and a height), and ours, from the same round trips.
 * - With probes: the platform is 50 random servers and nothing else. They have coordinates among
 *   themselves and publish 32 round trips each. The target is a machine of which nothing is known.
 *   Nobody but the servers measures, and what is counted is every packet to the target.
 *
 * A tenth that lie, in each of the ways of world.h. The truth is then the nearest of those that are
 * honest. --from draws other servers and targets than the seeds from 1 on, by which the constants
 * were tried. Of a pair that nobody measured nothing is asked. With fewer than 100 machines half of
 * them are servers. A seed is always the same work; --seconds ends a run after some of them.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "rd/latency.h"
#include "tally.h"
#include "world.h"

enum { SERVERS = 50, PROBES = 5 };
enum { RANDOM, VIVALDI2, VIVALDI5, OURS, METHODS };

struct options {
    size_t seeds, from, targets, seconds, machines, part, part_seed;
    double unit_ms;
    enum lies judged; /* the ways to lie up to this one are played */
    const char *matrix;
};

/* What the whole evaluation counts. */
struct figures {
    size_t servers; /* of them one is chosen */
    struct tally alone[METHODS], equal[METHODS], minmax[METHODS];
    struct tally all, random, probe[LIES][PROBES + 1];
    size_t covered, asked; /* estimates whose interval held */
    double error;
    size_t seen[LIES][2], doubted[LIES][2]; /* servers that are honest, that lie */
};

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

/* Score of a server for one, or for two addresses: their larger, or their difference. */
typedef double score_fn(const struct xeno_latency *row, size_t n);

/* Choose one of `some` for the targets by each method and note what it really scores. */
static void contest(const struct view *v, const uint32_t *some, size_t count, const uint32_t *to,
                    size_t n, score_fn *score, struct tally *t, uint64_t *seed)
{
    double best = HUGE_VAL, real[SERVERS], least[METHODS];
    size_t have = 0, pick[METHODS] = { 0 };

    for (int method = 0; method < METHODS; method++)
        least[method] = HUGE_VAL;
    for (size_t i = 0; i < count; i++) {
        struct xeno_latency row[4] = { 0 };
        bool known = true;

        for (size_t k = 0; k < n; k++) {
            row[k].ms = row[k].low = row[k].high = (float)world_truth(v->w, to[k], some[i]);
            row[k].how = XENO_LATENCY_MEASURED;
            known = known && row[k].ms > 0; /* else there is no truth to compare with */
        }
        if (!known)
            continue;
        real[have] = score(row, n);
        best = fmin(best, real[have]);
        for (int method = VIVALDI2; method < METHODS; method++) {
            double is;

            for (size_t k = 0; k < n; k++)
                row[k] = guess(v, method, to[k], some[i]);
            is = score(row, n);
            if (is < least[method]) {
                least[method] = is;
                pick[method] = have;
            }
        }
        have++;
    }
    if (have < 2)
        return;
    pick[RANDOM] = draw(seed) % have;
    for (int method = RANDOM; method < METHODS; method++)
        tally_add(&t[method], real[pick[method]], best);
}

static void alone(const struct matrix *m, uint64_t *seed, size_t targets, struct figures *f)
{
    struct world w = { .m = m, .n = m->n };
    xeno_autofree struct spring *s2 = xeno_new0_n(struct spring, m->n);
    xeno_autofree struct spring *s5 = xeno_new0_n(struct spring, m->n);
    struct view v = { &w, s2, s5 };

    for (size_t i = 0; i < w.n; i++)
        w.who[i] = (uint32_t)i;
    world_init(&w, 0, seed);
    vivaldi(&w, seed, 2, s2);
    vivaldi(&w, seed, 5, s5);
    for (size_t t = 0; t < targets; t++) {
        uint32_t some[SERVERS + 2], *to = some + f->servers;

        draw_some(seed, w.n, w.n, f->servers + 2, some);
        contest(&v, some, f->servers, to, 1, xeno_latency_max, f->alone, seed);
        contest(&v, some, f->servers, to, 2, xeno_latency_spread, f->equal, seed);
        contest(&v, some, f->servers, to, 2, xeno_latency_max, f->minmax, seed);
    }
    for (int k = 0; k < METHODS; k++) {
        tally_seed(&f->alone[k]);
        tally_seed(&f->equal[k]);
        tally_seed(&f->minmax[k]);
    }
    world_release(&w);
}

/* How good the estimates of servers are that were not asked. */
static void check_estimates(const struct xeno_near *s, const uint32_t *all, size_t n,
                            const double *real, struct figures *f)
{
    for (size_t i = 0; i < n; i++) {
        struct xeno_latency l = xeno_near_estimate(s, all[i]);

        if (l.how != XENO_LATENCY_PREDICTED)
            continue;
        f->asked++;
        f->covered += real[all[i]] >= l.low && real[all[i]] <= l.high;
        f->error += fabs(l.ms - real[all[i]]) / real[all[i]];
    }
}

/* One search for the machine `target` of the matrix. */
static void search(const struct world *w, const struct xeno_near_map *map, size_t target,
                   uint64_t *seed, struct figures *f)
{
    uint32_t all[SERVERS], slot, found;
    double best = HUGE_VAL, real[SERVERS];
    size_t n = 0;
    xeno_auto(xeno_near) s = NULL;

    for (size_t i = 0; i < w->n; i++) {
        real[i] = matrix_at(w->m, target, w->who[i]);
        if (real[i] <= 0)
            continue;
        all[n++] = (uint32_t)i;
        if (!w->liar[i])
            best = fmin(best, real[i]);
    }
    if (n < 2 || !isfinite(best))
        return;
    s = xeno_near_new(map, all, n, NULL, 0, PROBES, draw(seed));
    for (int k = 1; k <= PROBES && xeno_near_next(s, &slot); k++) {
        xeno_near_result(s, slot, world_answer(w, slot, target, seed));
        if (xeno_near_best(s, &found, NULL))
            tally_add(&f->probe[w->lies][k], real[found], best);
    }
    if (w->lies != HONEST)
        return;
    tally_add(&f->all, best, best);
    tally_add(&f->random, real[all[draw(seed) % n]], best);
    check_estimates(s, all, n, real, f);
}

static void probed(const struct matrix *m, uint64_t seed, size_t targets, enum lies lies,
                   struct figures *f)
{
    struct world w = { .m = m, .n = f->servers, .lies = lies };
    struct xeno_near_map *map;

    draw_some(&seed, m->n, m->n, w.n, w.who);
    world_init(&w, lies ? w.n / 10 : 0, &seed);
    map = world_publish(&w, &seed);
    for (size_t i = 0; i < w.n; i++) {
        f->seen[lies][w.liar[i]]++;
        f->doubted[lies][w.liar[i]] += xeno_near_map_doubted(map, (uint32_t)i);
    }
    for (size_t t = 0; t < targets; t++) {
        size_t target = draw(&seed) % m->n;
        bool server = false;

        for (size_t i = 0; i < w.n; i++)
            server = server || w.who[i] == target;
        if (!server)
            search(&w, map, target, &seed, f);
    }
    for (int k = 1; k <= PROBES; k++)
        tally_seed(&f->probe[lies][k]);
    tally_seed(&f->all);
    tally_seed(&f->random);
    xeno_near_map_free(map);
    world_release(&w);
}

static void print(struct figures *f, enum lies judged)
{
    static const char *const names[METHODS] = { "one at random",
                                                "plain Vivaldi, 2 dimensions, height",
                                                "plain Vivaldi, 5 dimensions, height", "ours" };
    struct {
        const char *title;
        struct tally *t;
    } parts[] = { { "Nearest, coordinates alone", f->alone },
                  { "Equal latency to two addresses", f->equal },
                  { "Least maximum to two addresses", f->minmax } };

    for (size_t i = 0; i < XENO_LEN(parts); i++) {
        printf("\n%-44s %6s %6s %9s %9s\n", parts[i].title, "best", "95%", "p50 ms", "p90 ms");
        for (int k = 0; k < METHODS; k++)
            tally_print(&parts[i].t[k], names[k]);
    }
    printf("\nNearest of %zu, nothing known of the address, probes by servers\n", f->servers);
    tally_print(&f->random, "one at random");
    for (int k = 1; k <= PROBES; k++) {
        char name[32];

        snprintf(name, sizeof name, "%d probe%s", k, k > 1 ? "s" : "");
        tally_print(&f->probe[HONEST][k], name);
    }
    tally_print(&f->all, "all are asked");
    printf("\nThe same with 5 probes, a tenth of the servers lie\n");
    for (int lies = WILD; lies <= (int)judged; lies++) {
        char name[80];

        snprintf(name, sizeof name, "%s (%zu of %zu doubted, of others %zu)", lies_text[lies],
                 f->doubted[lies][1], f->seen[lies][1], f->doubted[lies][0]);
        tally_print(&f->probe[lies][PROBES], name);
    }
    printf("\nunprobed servers: mean relative error %.2f; %.0f%% of truths within the bounds "
           "(80)\n",
           f->error / (double)f->asked, 100. * (double)f->covered / (double)f->asked);
}

/* For a test: the promises that hold on any matrix, as an exit status. */
static int judge(const struct figures *f, enum lies judged)
{
    double honest = tally_share(&f->probe[HONEST][PROBES]);
    double ours = tally_share(&f->alone[OURS]), plain = tally_share(&f->alone[VIVALDI2]);
    int r = ours > plain ? 0 : 1;

    printf("\ncoordinates alone %.1f%%, plain Vivaldi %.1f%%: %s\n", ours, plain,
           ours > plain ? "ahead" : "BEHIND");
    for (int lies = WILD; lies <= (int)judged; lies++) {
        double lied = tally_share(&f->probe[lies][PROBES]);

        printf("five probes %.1f%%, a tenth lies (%s) %.1f%%: %s\n", honest, lies_text[lies], lied,
               lied >= .9 * honest ? "kept" : "LOST");
        r |= lied < .9 * honest;
    }
    return r;
}

static bool read_options(int argc, char **argv, struct options *o)
{
    int i = 1;

    for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
        const char *name = argv[i] + 2;
        long v = strtol(argv[i + 1], NULL, 10);

        if (strcmp(name, "unit") == 0) {
            static const char *const units[] = { "us", "ms", "s" };
            static const double ms[] = { .001, 1, 1000 };

            o->unit_ms = 0;
            for (size_t u = 0; u < XENO_LEN(units); u++)
                if (strcmp(argv[i + 1], units[u]) == 0)
                    o->unit_ms = ms[u];
            if (o->unit_ms == 0)
                return false;
            continue;
        }
        if (strcmp(name, "lies") == 0) {
            for (o->judged = LIES; o->judged > HONEST; o->judged--)
                if (o->judged < LIES && strcmp(argv[i + 1], lies_text[o->judged]) == 0)
                    break;
            if (o->judged == HONEST)
                return false;
            continue;
        }
        if (v < 1 || v > 100000)
            return false;
        if (strcmp(name, "seeds") == 0)
            o->seeds = (size_t)v;
        else if (strcmp(name, "from") == 0)
            o->from = (size_t)v;
        else if (strcmp(name, "targets") == 0)
            o->targets = (size_t)v;
        else if (strcmp(name, "seconds") == 0)
            o->seconds = (size_t)v;
        else if (strcmp(name, "machines") == 0)
            o->machines = (size_t)v;
        else if (strcmp(name, "part") == 0)
            o->part_seed = (size_t)v;
        else
            return false;
    }
    o->matrix = i + 1 == argc && *argv[i] != '-' ? argv[i] : NULL;
    return o->matrix != NULL;
}

static bool open_matrix(const struct options *o, struct matrix *m)
{
    const char *colon = strchr(o->matrix, ':');
    char kind[32];
    bool ok;

    if (strpbrk(o->matrix, "./")) {
        ok = matrix_read(o->matrix, o->unit_ms, m);
    } else {
        uint64_t seed = colon ? strtoull(colon + 1, NULL, 10) : 1;

        snprintf(kind, sizeof kind, "%.*s",
                 (int)(colon ? (size_t)(colon - o->matrix) : strlen(o->matrix)), o->matrix);
        ok = o->machines >= MATRIX_MIN && o->machines <= MATRIX_MAX &&
             matrix_make(kind, o->machines, seed, m);
        if (!ok)
            fprintf(stderr, "no kind '%s' of %zu machines\n", kind, o->machines);
    }
    if (ok && o->part_seed > 0)
        matrix_part(m, m->n / 2, o->part_seed);
    return ok;
}

static int usage(void)
{
    fprintf(stderr,
            "bench-rd [--seeds N] [--targets N] [--seconds N] [--unit us|ms|s] [--part SEED]"
            " [--lies wild|late|close|together]"
            " [--machines N] MATRIX.tsv | KIND[:SEED]\nkinds:");
    for (size_t i = 0; matrix_kinds[i]; i++)
        fprintf(stderr, " %s", matrix_kinds[i]);
    fprintf(stderr,
            "\n--part: half of the machines, drawn by that seed; --lies: the ways of lying up to "
            "this one are tried\n");
    return 2;
}

static void release(struct tally *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        tally_release(&t[i]);
}

int main(int argc, char **argv)
{
    struct options o = { .seeds = 30,
                         .targets = 150,
                         .seconds = 600,
                         .machines = 400,
                         .unit_ms = 1,
                         .judged = TOGETHER };
    static struct figures f;
    struct matrix m;
    time_t began = time(NULL);
    size_t seed = 0;
    int r;

    if (!read_options(argc, argv, &o))
        return usage();
    if (!open_matrix(&o, &m))
        return 2;
    f.servers = m.n >= 2 * SERVERS ? SERVERS : m.n / 2;
    while (seed < o.seeds && (seed == 0 || (size_t)(time(NULL) - began) < o.seconds)) {
        seed++;
        fprintf(stderr, "\r%s: seed %zu of %zu ", o.matrix, seed, o.seeds);
        if (seed % 3 == 1) { /* Vivaldi takes its time */
            uint64_t s = (o.from + seed) * 1000003;

            alone(&m, &s, o.targets * 3, &f);
        }
        for (int lies = HONEST; lies <= (int)o.judged; lies++)
            probed(&m, (o.from + seed) * 1000003 + 17, o.targets, lies, &f);
    }
    fprintf(stderr, "\n");
    printf("%s: %zu machines, %zu seeds of %zu targets\n", o.matrix, m.n, seed, o.targets);
    print(&f, o.judged);
    r = judge(&f, o.judged);
    release(f.alone, METHODS);
    release(f.equal, METHODS);
    release(f.minmax, METHODS);
    release(&f.all, 1);
    release(&f.random, 1);
    release(f.probe[0], LIES * (PROBES + 1));
    matrix_free(&m);
    return r;
}
