/* sim/world.c - the queue is a binary heap by time, then by order of asking. */
#include "sim/world.h"

#include <stdarg.h>
#include <stdio.h>

struct world_event {
    int64_t due_ns;
    uint64_t n;
    world_fn *fn, *drop;
    void *arg;
};

const struct sim_faults sim_faults_none;
const struct sim_faults sim_faults_usual = {
    .lose = 20,
    .repeat = 20,
    .delay = 20,
    .crash = 1,
    .corp_crash = 5,
    .link_loss = 1,
    .task_failure = 3,
};

void world_init(struct world *w, uint64_t seed, const struct sim_faults *faults)
{
    *w = (struct world){ .seed = seed, .faults = *faults };
    xeno_env_test_init(&w->t, xeno_s(SIM_START_S), seed);
}

void world_release(struct world *w)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->heap[i].drop)
            w->heap[i].drop(w->heap[i].arg);
    free(w->heap);
    w->heap = NULL;
    w->count = w->room = 0;
}

static bool before(const struct world_event *a, const struct world_event *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->n < b->n;
}

static void swap(struct world_event *a, struct world_event *b)
{
    struct world_event t = *a;

    *a = *b;
    *b = t;
}

void world_after(struct world *w, int64_t ms, world_fn *fn, void *arg, world_fn *drop)
{
    size_t i = w->count++;

    if (w->count > w->room) {
        w->room = w->room > 0 ? 2 * w->room : 64;
        w->heap = xeno_grow(w->heap, w->room);
    }
    w->heap[i] = (struct world_event){ .due_ns = w->t.now.ns + ms * XENO_NS_PER_MS,
                                       .n = w->next_n++,
                                       .fn = fn,
                                       .drop = drop,
                                       .arg = arg };
    for (; i > 0 && before(&w->heap[i], &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&w->heap[i], &w->heap[(i - 1) / 2]);
}

static struct world_event pop(struct world *w)
{
    struct world_event top = w->heap[0];
    size_t i = 0;

    w->heap[0] = w->heap[--w->count];
    for (;;) {
        size_t least = i;

        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < w->count; child++)
            if (before(&w->heap[child], &w->heap[least]))
                least = child;
        if (least == i)
            return top;
        swap(&w->heap[i], &w->heap[least]);
        i = least;
    }
}

void world_run(struct world *w, xeno_time until)
{
    while (!w->failed && w->count > 0 && w->heap[0].due_ns <= until.ns) {
        struct world_event e = pop(w);

        w->t.now.ns = e.due_ns;
        e.fn(e.arg);
    }
    if (!w->failed)
        w->t.now = until;
}

void world_run_ms(struct world *w, int64_t ms)
{
    world_run(w, xeno_time_add(w->t.now, xeno_ms(ms)));
}

uint64_t world_dice(struct world *w, uint64_t sides)
{
    return xeno_env_test_next(&w->t) % sides;
}

bool world_chance(struct world *w, unsigned in_a_thousand)
{
    return in_a_thousand > 0 && world_dice(w, 1000) < in_a_thousand;
}

int64_t world_latency(struct world *w)
{
    if (world_chance(w, w->faults.delay))
        return (int64_t)world_dice(w, 20000);
    return 1 + (int64_t)world_dice(w, 60);
}

void sim_fail(struct world *w, const char *fmt, ...)
{
    char when[XENO_TIME_TEXT];
    int len;
    va_list ap;

    if (w->failed)
        return; /* the first is the one that matters */
    w->failed = true;
    len = snprintf(w->failure, sizeof(w->failure), "seed %llu, %s: ", (unsigned long long)w->seed,
                   xeno_time_text(w->t.now, when));
    va_start(ap, fmt);
    vsnprintf(w->failure + len, sizeof(w->failure) - (size_t)len, fmt, ap);
    va_end(ap);
}
