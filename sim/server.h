/* sim/server.h - a XenoServer in the simulator: the real host of src/host between a made-up
 * network, a model of a task manager, and death at any moment.
 *
 * A crash comes with a call into the host. Either none of what the call did reached the disk (an
 * outer transaction is rolled back), or all of it did but no message left. The host is forgotten,
 * and some time later a new one is opened on the same journal. The task manager goes on meanwhile.
 */
#ifndef XENO_SIM_SERVER_H
#define XENO_SIM_SERVER_H

#include "host/host.h"
#include "sim/corpside.h"
#include "sim/taskman.h"
#include "sim/world.h"

/* The world as this XenoServer sees it: its wall clock may be set, by so much. */
struct sim_clock {
    struct xeno_env env; /* first */
    struct world *w;
    int64_t set_ms;
};

struct sim_server {
    struct world *w;
    struct sim_clock clock;
    struct sim_corp *corp;
    struct sim_party self;
    struct xeno_host_config cfg;
    struct xeno_db *db;
    struct xeno_host *host; /* NULL while it is down */
    struct taskman *tm;
    uint64_t life; /* answers to an earlier life or link are lost */
    uint64_t link;
    bool linked;
    bool mute;       /* what it sends now is lost: it is about to die */
    bool outer;      /* ... and what it writes, too */
    unsigned deaf;   /* for tests: 1 << enum xeno_task_op of requests that are never answered */
    int64_t free_ms; /* the task manager answers in order */
    int64_t tick_at; /* when the next tick is due, or it is down */
    int64_t crashes, links_lost, calls;
    int64_t early;  /* tasks sent before the task manager had their session */
    int die_in;     /* for tests: in that many calls; 0: by chance only */
    bool die_outer; /* ... and nothing of that call reaches the disk */
    void (*on_event)(void *ctx, const struct xeno_host_event *ev); /* for tests */
    void *on_event_ctx;
};

/* A capacity for ten or so sessions, prices as an operator would set them. */
void sim_server_config(struct xeno_host_config *cfg);

/* cfg may be NULL; its key and corp are filled in here. Opens the host at once. */
void sim_server_open(struct sim_server *s, struct world *w, struct sim_corp *corp,
                     const struct xeno_host_config *cfg);
void sim_server_release(struct sim_server *s);

/* Before and after each call into the host; when begin says false, it is down. The one that dies in
 * the call has answered nobody: end says false, and results must not be used. */
bool sim_server_begin(struct sim_server *s);
bool sim_server_end(struct sim_server *s);

/* Die now, and be back `down_ms` later. */
void sim_server_crash(struct sim_server *s, int64_t down_ms);
/* The machine itself starts again: processes are gone, layers and journal are not. */
void sim_server_boot(struct sim_server *s);
/* The connection to the task manager breaks and comes back. */
void sim_server_link_loss(struct sim_server *s, int64_t down_ms);
/* A task ends by itself, and the task manager says so. */
void sim_server_task_exit(struct sim_server *s);

#endif
