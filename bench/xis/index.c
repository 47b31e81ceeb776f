/* bench/xis/index.c - the information service's index in one process: bench-xis [ADVERTS
 * [SECONDS]].
 *
 * Rates are per second of the looking thread's processor time, so that they say what one core does
 * also where others use it; what passed on the clock is said beside. Prints one JSON object a line.
 */
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stats.h"
#include "xis/gen.h"
#include "xis/xis.h"

#define LOOKUPS   65500 /* different ones; whole batches */
#define BATCH     100
#define PER_S     10000 /* updates, where they come beside lookups */
#define LIMIT     10
#define QUERIES   2000
#define LEASE_S   3600
#define UPDATED_S 4

struct bench {
    uint32_t adverts;
    double seconds;
    char **text;   /* signed; round 0 */
    char **update; /* PER_S * UPDATED_S of them, of round 1 */
    size_t updates;
    struct xeno_xis *x;
    struct xeno_lookup *lookup;
    bool one_by_one;
    atomic_bool done;
    size_t applied;
    double cpu_s, wall_s;
};

static double clock_s(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void row(const char *what, double value, const char *unit, const char *target, int met)
{
    printf("{\"bench\":\"xis\",\"what\":\"%s\",\"value\":%.6g,\"unit\":\"%s\"", what, value, unit);
    if (target)
        printf(",\"target\":\"%s\",\"met\":%s", target, met ? "true" : "false");
    printf("}\n");
    fflush(stdout);
}

static void make_texts(struct bench *b)
{
    xeno_time expires = xeno_time_add(xeno_wall(xeno_env_real()), xeno_s(LEASE_S));

    b->text = xeno_new0_n(char *, b->adverts);
    b->updates = PER_S * UPDATED_S;
    b->update = xeno_new0_n(char *, b->updates);
    for (uint32_t i = 0; i < b->adverts; i++) {
        xeno_auto(xeno_key) key = gen_key(i);

        b->text[i] = gen_advert(key, i, 0, expires);
        for (size_t u = i; u < b->updates; u += b->adverts)
            b->update[u] = gen_advert(key, i, 1 + (uint32_t)(u / b->adverts), expires);
        if (!b->text[i])
            abort();
    }
}

/* As after a restart: what comes from the node's own database was checked when it came. */
static void load(struct bench *b)
{
    size_t before = mallinfo2().uordblks, texts = 0, used;
    double t = clock_s(CLOCK_MONOTONIC), cpu = clock_s(CLOCK_THREAD_CPUTIME_ID);
    struct xeno_xis_stats s;

    b->x = xeno_xis_new(xeno_env_real(), NULL);
    xeno_xis_bulk_begin(b->x);
    for (uint32_t i = 0; i < b->adverts; i++) {
        struct xeno_advert *a = NULL;

        if (xeno_advert_reopen(b->text[i], strlen(b->text[i]), &a, NULL) < 0 ||
            xeno_xis_put(b->x, a, NULL, NULL, NULL) < 0)
            abort();
    }
    xeno_xis_bulk_end(b->x);
    row("restart, 40 values an advert", clock_s(CLOCK_MONOTONIC) - t, "s", NULL, 0);
    row("restart, processor time", clock_s(CLOCK_THREAD_CPUTIME_ID) - cpu, "s", NULL, 0);
    xeno_xis_stats(b->x, &s);
    for (uint32_t i = 0; i < b->adverts; i++)
        texts += strlen(b->text[i]) + 1;
    used = (mallinfo2().uordblks + mallinfo2().hblkhd + s.node_bytes - before - texts) / b->adverts;
    row("values in the index", (double)s.values / b->adverts, "an advert", NULL, 0);
    row("signed text", (double)s.text_bytes / b->adverts, "bytes an advert", NULL, 0);
    row("memory beyond the text, as the store counts", (double)s.other_bytes / b->adverts,
        "bytes an advert", "<= 4096", s.other_bytes / b->adverts <= 4096);
    row("memory beyond the text, as malloc and the slabs count", (double)used, "bytes an advert",
        "<= 4096", used <= 4096);
}

/* A batch that begins at lookup `from`. Returns: how many hits. */
static size_t look_batch(const struct bench *b, struct xeno_xis_reader *r, uint64_t from)
{
    static _Thread_local struct xeno_hit hits[BATCH * LIMIT];
    static _Thread_local struct xeno_found found[BATCH];
    const struct xeno_lookup *l = &b->lookup[from % LOOKUPS];
    size_t n = 0;
    uint64_t total;

    xeno_xis_enter(r);
    if (!b->one_by_one)
        n = xeno_xis_lookups(r, l, BATCH, found, hits);
    else
        for (size_t i = 0; i < BATCH; i++)
            n += xeno_xis_lookup(r, &l[i], &total, hits);
    xeno_xis_leave(r);
    return n;
}

static void *look(void *arg)
{
    struct bench *b = arg;
    struct xeno_xis_reader *r = xeno_xis_reader_new(b->x);
    double start = clock_s(CLOCK_MONOTONIC), cpu = clock_s(CLOCK_THREAD_CPUTIME_ID);
    uint64_t found = 0, n = 0;

    do {
        for (int batch = 0; batch < 100; batch++, n += BATCH)
            found += look_batch(b, r, n);
    } while (clock_s(CLOCK_MONOTONIC) - start < b->seconds);
    b->cpu_s = (double)n / (clock_s(CLOCK_THREAD_CPUTIME_ID) - cpu);
    b->wall_s = (double)n / (clock_s(CLOCK_MONOTONIC) - start);
    if (found == 0)
        abort();
    xeno_xis_reader_free(r);
    atomic_store(&b->done, true);
    return NULL;
}

/* Verify and apply updates, PER_S a second, until the looking is over. */
static void update(struct bench *b)
{
    double start = clock_s(CLOCK_MONOTONIC);
    size_t n = 0;

    for (; !atomic_load(&b->done) && n < b->updates; n++) {
        double due = start + (double)n / PER_S, now = clock_s(CLOCK_MONOTONIC);
        struct xeno_advert *a = NULL;

        if (due > now)
            nanosleep(&(struct timespec){ .tv_nsec = (long)((due - now) * 1e9) }, NULL);
        if (xeno_advert_open(b->update[n], strlen(b->update[n]), &a, NULL) < 0 ||
            xeno_xis_put(b->x, a, NULL, NULL, NULL) < 0)
            abort();
    }
    b->applied = n;
    row("updates verified and applied meanwhile", (double)n / (clock_s(CLOCK_MONOTONIC) - start),
        "updates/s", ">= 10000", (double)n / (clock_s(CLOCK_MONOTONIC) - start) >= 0.97 * PER_S);
}

static void apply_alone(struct bench *b)
{
    size_t n = b->updates - b->applied, i;
    struct xeno_advert **a = xeno_new0_n(struct xeno_advert *, n + 1);
    double t;

    for (i = 0; i < n; i++)
        if (xeno_advert_reopen(b->update[b->applied + i], strlen(b->update[b->applied + i]), &a[i],
                               NULL) < 0)
            abort();
    t = clock_s(CLOCK_THREAD_CPUTIME_ID);
    for (i = 0; i < n; i++)
        xeno_xis_put(b->x, a[i], NULL, NULL, NULL);
    if (n > 0)
        row("updates applied, read before", (double)n / (clock_s(CLOCK_THREAD_CPUTIME_ID) - t),
            "updates/s", NULL, 0);
    free(a);
}

static void lookups(struct bench *b)
{
    pthread_t t;

    b->one_by_one = true;
    look(b);
    row("range lookups one by one, limit 10, one core", b->cpu_s, "lookups/s", ">= 4000000",
        b->cpu_s >= 4e6);
    b->one_by_one = false;
    look(b);
    row("range lookups in batches of 100, limit 10, one core", b->cpu_s, "lookups/s", ">= 4000000",
        b->cpu_s >= 4e6);
    row("range lookups in batches of 100, on the clock", b->wall_s, "lookups/s", NULL, 0);
    atomic_store(&b->done, false);
    b->seconds = b->seconds < UPDATED_S ? b->seconds : UPDATED_S;
    if (pthread_create(&t, NULL, look, b) != 0)
        abort();
    update(b);
    pthread_join(t, NULL);
    row("range lookups in batches of 100 beside the updates, one core", b->cpu_s, "lookups/s",
        ">= 1000000", b->cpu_s >= 1e6);
    row("range lookups in batches of 100 beside the updates, on the clock", b->wall_s, "lookups/s",
        NULL, 0);
}

static void queries(struct bench *b, const char *what, const char *text)
{
    struct xeno_xis_reader *r = xeno_xis_reader_new(b->x);
    double *ms = xeno_new0_n(double, QUERIES);
    xeno_auto(xeno_query_tree) q = NULL;
    struct xeno_hit hits[LIMIT];
    size_t n = 0;

    if (xeno_query_parse(text, strlen(text), &q, NULL) < 0)
        abort();
    for (double end = clock_s(CLOCK_MONOTONIC) + b->seconds;
         n < QUERIES && clock_s(CLOCK_MONOTONIC) < end; n++) {
        struct xeno_xis_ask ask = { .where = q, .order = "Price/HourCredits", .limit = LIMIT };
        struct xeno_xis_answer answer;
        double t = clock_s(CLOCK_THREAD_CPUTIME_ID);

        xeno_xis_enter(r);
        xeno_xis_query(r, &ask, &answer, hits, NULL);
        xeno_xis_leave(r);
        ms[n] = (clock_s(CLOCK_THREAD_CPUTIME_ID) - t) * 1000;
    }
    bench_sort(ms, n);
    printf(
        "{\"bench\":\"xis\",\"what\":\"%s\",\"n\":%zu,\"unit\":\"ms\",\"p50\":%.3f,\"p99\":%.3f}\n",
        what, n, bench_quantile(ms, n, 0.5), bench_quantile(ms, n, 0.99));
    free(ms);
    xeno_xis_reader_free(r);
}

int main(int argc, char **argv)
{
    struct bench b = { .adverts = argc > 1 ? (uint32_t)atol(argv[1]) : 100000,
                       .seconds = argc > 2 ? atof(argv[2]) : 3 };

    if (b.adverts == 0 || b.adverts > 1000000 || !(b.seconds > 0)) {
        fprintf(stderr, "usage: bench-xis [ADVERTS [SECONDS]]\n");
        return 2;
    }
    xeno_crypto_init();
    b.lookup = xeno_new0_n(struct xeno_lookup, LOOKUPS);
    for (uint64_t i = 0; i < LOOKUPS; i++)
        gen_lookup(i, LIMIT, &b.lookup[i]);
    make_texts(&b);
    load(&b);
    lookups(&b);
    apply_alone(&b);
    queries(&b, "query of three clauses, ordered, one is narrow",
            "{\"and\":[{\"token\":\"Location/Country\",\"is\":\"DE\"},{\"token\":\"MemoryMB\","
            "\"min\":1024},{\"token\":\"Price/HourCredits\",\"max\":1}]}");
    queries(
        &b, "query that most adverts match, ordered",
        "{\"and\":[{\"token\":\"EnvType\",\"is\":\"Linux\"},{\"token\":\"MemoryMB\",\"min\":64},"
        "{\"not\":{\"token\":\"Accepting\",\"is\":\"no\"}}]}");
    xeno_xis_free(b.x);
    return 0;
}
