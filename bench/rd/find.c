/* bench/rd/find.c - how long one find over many XenoServers takes.
 *
 * bench-rd-find [SERVERS [FINDS [KIND]]]: 100,000 and 400 unless told, on one processor. Adverts
 * are made up (src/rd/tests/servers.c), forty-odd leaves each. A line for each kind of question (or
 * the one of that number, from 1): wall time and processor time of xeno_rd_find() alone, and of
 * putting adverts in.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rd/find.h"
#include "rd/tests/servers.h"
#include "stats.h"
#include "xis/query.h"

#define NOW xeno_s(1800000000)

static double now_ms(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void die(const char *what, const struct xeno_err *err)
{
    fprintf(stderr, "bench-rd-find: %s: %s\n", what, err->text);
    exit(EXIT_FAILURE);
}

/* --- the servers --- */

static struct xeno_rd *fill(struct xeno_env_test *t, unsigned n)
{
    struct xeno_rd *rd = xeno_rd_new(n);
    struct xeno_err err = XENO_ERR_INIT;
    double start, put = 0;

    for (unsigned i = 0; i < n; i++) {
        struct xeno_advert *a = servers_usual(t, i, 1, xeno_time_add(NOW, xeno_s(600)));

        start = now_ms(CLOCK_THREAD_CPUTIME_ID);
        if (xeno_rd_put(rd, a, &err) < 0)
            die("put", &err);
        put += now_ms(CLOCK_THREAD_CPUTIME_ID) - start;
    }
    start = now_ms(CLOCK_THREAD_CPUTIME_ID);
    xeno_rd_settle(rd);
    fprintf(stderr, "%u put: %.1f us each; settled in %.0f ms\n", n, put * 1000 / n,
            now_ms(CLOCK_THREAD_CPUTIME_ID) - start);
    return rd;
}

/* --- the questions --- */

struct kind {
    const char *name;
    unsigned near; /* XenoServers that it is to be near to */
    bool price, warm, all;
};

static const struct kind kinds[] = {
    { "three constraints, cheapest", 0, true, false, false },
    { "three constraints, cheapest, each token new", 0, true, false, false },
    { "three constraints, near 1", 1, false, false, false },
    { "three constraints, near 3 and cheap and warm", 3, true, true, false },
    { "everything matches, near 3 and cheap and warm", 3, true, true, true },
};

static void where(struct xeno_env_test *t, struct xeno_rd_request *r, const char *token)
{
    static const char *const countries[] = { "DE", "UK", "FR", "US", "JP", "BR", "IN", "ZA" };
    struct xeno_err err = XENO_ERR_INIT;
    char text[256];

    snprintf(text, sizeof(text),
             "{\"and\":[{\"token\":\"Location/Country\",\"in\":[\"%s\",\"%s\"]},"
             "{\"or\":[{\"token\":\"%s\",\"max\":%u},{\"token\":\"%s\",\"exists\":false}]}]}",
             countries[servers_pick(t, 4)], countries[4 + servers_pick(t, 4)], token,
             20 + servers_pick(t, 60), token);
    if (xeno_query_parse(text, strlen(text), &r->where, &err) < 0)
        die("where", &err);
}

static void question(struct xeno_env_test *t, size_t k, unsigned n, unsigned nth,
                     struct xeno_rd_request *r)
{
    const struct kind *kind = &kinds[k];
    char token[32] = "LoadPercent";

    xeno_rd_request_init(r);
    r->requirement = xeno_requirement_new("bench");
    r->requirement->cpu_msps = kind->all ? 1 : 100 + servers_pick(t, 400);
    r->requirement->memory_bytes = (int64_t)(kind->all ? 4 : 128 << servers_pick(t, 4)) << 20;
    r->requirement->max_per_hour = kind->all ? 0 : INT64_C(1000000000);
    if (k == 1)
        snprintf(token, sizeof(token), "New/Token%u", nth);
    if (!kind->all)
        where(t, r, token);
    r->near_count = kind->near;
    for (unsigned i = 0; i < kind->near; i++) {
        r->near[i].id = servers_id(servers_pick(t, n));
        r->near[i].rtt_max_us = kind->all ? 0 : 150000;
    }
    if (kind->near > 0)
        r->terms[r->term_count++] = (struct xeno_rd_term){ XENO_RD_RTT_MAX, 3 };
    if (kind->price)
        r->terms[r->term_count++] = (struct xeno_rd_term){ XENO_RD_COST, 2 };
    if (kind->warm)
        r->terms[r->term_count++] = (struct xeno_rd_term){ XENO_RD_WARM, 1 };
    for (r->layer_count = 0; kind->warm && r->layer_count < 8; r->layer_count++)
        r->layers[r->layer_count] = servers_pick(t, 1000);
}

static void measure(struct xeno_env_test *t, struct xeno_rd *rd, size_t k, unsigned servers,
                    unsigned finds)
{
    const struct xeno_rd_client client = { .corp = SERVERS_CORP, .kind = "client" };
    double *wall = calloc(finds, sizeof(*wall)), *cpu = calloc(finds, sizeof(*cpu));
    struct xeno_err err = XENO_ERR_INIT;
    char what[128];
    size_t matched = 0;

    if (!wall || !cpu)
        abort();
    for (unsigned i = 0; i < finds; i++) {
        struct xeno_rd_request r;
        struct xeno_rd_result *res = NULL;

        question(t, k, servers, i, &r);
        wall[i] = now_ms(CLOCK_MONOTONIC);
        cpu[i] = now_ms(CLOCK_THREAD_CPUTIME_ID);
        if (xeno_rd_find(rd, &r, &client, NULL, NOW, &res, &err) < 0)
            die("find", &err);
        cpu[i] = now_ms(CLOCK_THREAD_CPUTIME_ID) - cpu[i];
        wall[i] = now_ms(CLOCK_MONOTONIC) - wall[i];
        matched += res->matched;
        xeno_rd_result_free(res);
        xeno_rd_request_release(&r);
    }
    fprintf(stderr, "%s: %zu of %u match\n", kinds[k].name, matched / finds, servers);
    snprintf(what, sizeof(what), "%s, wall", kinds[k].name);
    bench_print(stdout, what, wall, finds);
    snprintf(what, sizeof(what), "%s, processor", kinds[k].name);
    bench_print(stdout, what, cpu, finds);
    free(wall);
    free(cpu);
}

int main(int argc, char **argv)
{
    unsigned servers = argc > 1 ? (unsigned)atoi(argv[1]) : 100000;
    unsigned finds = argc > 2 ? (unsigned)atoi(argv[2]) : 400;
    size_t count = sizeof(kinds) / sizeof(*kinds), only = argc > 3 ? (size_t)atoi(argv[3]) : 0;
    struct xeno_env_test t;
    struct xeno_rd *rd;

    if (servers < 1 || servers > 1000000 || finds < 1 || finds > 100000 || only > count) {
        fprintf(stderr, "usage: bench-rd-find [SERVERS [FINDS [KIND]]]\n");
        return EXIT_FAILURE;
    }
    xeno_env_test_init(&t, NOW, 1);
    rd = fill(&t, servers);
    for (size_t k = 0; k < count; k++) {
        if (only == 0 || k + 1 == only)
            measure(&t, rd, k, servers, finds);
    }
    xeno_rd_free(rd);
    return EXIT_SUCCESS;
}
