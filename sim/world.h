/* sim/world.h - virtual time: a clock that stands still but for the next thing that happens.
 *
 * A world is a seeded clock and a queue of things to do. Everything in it (XenoCorp, XenoServers,
 * task managers, clients, the network between them) runs in one thread and takes its randomness
 * from the one seed, so that a run can be repeated exactly. Something wrong is told by sim_fail(),
 * which stops the run.
 */
#ifndef XENO_SIM_WORLD_H
#define XENO_SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/mem.h"

#define SIM_START_S INT64_C(1700000000)

/* How bad the world is. Chances are in a thousand. */
struct sim_faults {
    unsigned lose;         /* a message to or from the XenoCorp */
    unsigned repeat;       /* ... arrives twice */
    unsigned delay;        /* ... takes seconds instead of milliseconds */
    unsigned crash;        /* a XenoServer dies within or just after a call */
    unsigned corp_crash;   /* the XenoCorp dies before or after a commit */
    unsigned link_loss;    /* the task manager's connection breaks at a request */
    unsigned task_failure; /* a request to the task manager fails */
    unsigned journal; /* a database call of a XenoServer fails (test-journal-faults.c does it) */
};
extern const struct sim_faults sim_faults_none, sim_faults_usual;

struct world {
    struct xeno_env_test t; /* first: &w->t.env is the env of everything */
    struct sim_faults faults;
    struct world_event *heap;
    size_t count, room;
    uint64_t next_n;
    uint64_t seed;
    bool failed;
    char failure[1024];
};

typedef void world_fn(void *arg);

void world_init(struct world *w, uint64_t seed, const struct sim_faults *faults);
void world_release(struct world *w);

/* Do fn(arg) `ms` milliseconds from now; things due at once happen in the order they were asked
 * for. `drop` frees arg when the world ends before that (NULL: nothing to free); fn owns it. */
void world_after(struct world *w, int64_t ms, world_fn *fn, void *arg, world_fn *drop);

/* Let time pass until `until`, or until something fails. */
void world_run(struct world *w, xeno_time until);
void world_run_ms(struct world *w, int64_t ms);

static inline const struct xeno_env *world_env(const struct world *w)
{
    return &w->t.env;
}
static inline int64_t world_ms(const struct world *w)
{
    return w->t.now.ns / XENO_NS_PER_MS;
}

uint64_t world_dice(struct world *w, uint64_t sides); /* 0 to sides - 1 */
bool world_chance(struct world *w, unsigned in_a_thousand);
/* How long a message takes in the network, in ms. */
int64_t world_latency(struct world *w);

void sim_fail(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
