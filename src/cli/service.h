/* src/cli/service.h - a service on several XenoServers at once: between the files of the verb.
 *
 * The order of things keeps failures cheap and leaves nothing behind:
 *
 *     check      document, every task of every replica, how many XenoServers there are
 *     hold       a quote and a reservation at each; who refuses is replaced by the next
 *     order      money aside for each, for its XenoServer alone, together within --limit
 *     commit     the sessions, all at the same time
 *     deploy     the tasks of each, then wait until they run and the first TCP port answers
 *
 * Each step is for all replicas at once and begins when the one before is over. After each there
 * are enough of them (choose.h), or all that was made is ended and given back. A replica that
 * failed while there are enough is ended alone.
 */
#ifndef XENO_CLI_SERVICE_H
#define XENO_CLI_SERVICE_H

#include "cli/choose.h"
#include "cli/fetching.h"
#include "cli/make.h"
#include "spec/service-doc.h"

enum cli_step { CLI_HELD, CLI_ORDERED, CLI_CREATED, CLI_RUNNING, CLI_ANSWERS, CLI_STEPS };
extern const char *const cli_step_names[CLI_STEPS];

#define CLI_HOST_TEXT 256

struct cli_replica {
    struct cli_rollout *rollout;
    unsigned number;          /* from 1 */
    int candidate;            /* of the choice; -1: none */
    struct cli_making making; /* .server is borrowed of the rollout; NULL: none yet */
    char host[CLI_HOST_TEXT]; /* where clients reach it */
    char **tasks;             /* names, NULL-terminated room for all */
    size_t task_count;
    struct cli_patience patience; /* for its tasks to start */
    int64_t fetched_shown;        /* bytes of its image, in its line */
    int probe;                    /* a connection on its way; -1: none */
    bool out;                     /* failed, and given back */
    struct xeno_err why;          /* of that, or of the last refusal */
    int64_t at_ms[CLI_STEPS];     /* when each step was done, since the start; -1: not */
};

/* The whole of it. */
struct cli_rollout {
    struct cli *cli;
    struct xeno_service *service;
    struct cli_servers *known;
    struct cli_discovery *found; /* by an RD; NULL: nothing was asked */
    const struct cli_server *candidates[CLI_CANDIDATES_MAX];
    struct cli_choice choice;
    struct cli_replica *replicas;
    size_t count;        /* as many as are wanted */
    xeno_time start;     /* monotonic */
    xeno_time port_wait; /* for a port to answer; 0: do not */
    size_t drawn;        /* lines on the terminal */
    bool live;           /* it is one */
};

/* Does `deploy` with these arguments mean a service document? */
bool cli_service_meant(const struct cli_args *args);
int cli_service_deploy(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
/* `run --replicas`: a service of one task, which is taken, with the options of run. */
int cli_service_run(struct cli *cli, const struct cli_args *args, struct xeno_task_doc *doc,
                    struct xeno_err *err);

/* --- service-place.c --- */

/* Hold, order, commit. On failure nothing is left behind. Errors: what the first replica that
 * failed was told. */
int cli_rollout_place(struct cli_rollout *ro, struct xeno_err *err);
/* Replicas that were not given up. */
size_t cli_rollout_alive(const struct cli_rollout *ro);
/* `re` failed with re->why: end it and give back what it has. */
void cli_replica_drop(struct cli_replica *re);
/* End everything. Returns: the error of the first that failed (or `r` when it is no 0, in err). */
int cli_rollout_undo(struct cli_rollout *ro, int r, struct xeno_err *err);
/* After a step: nothing was interrupted, and there are enough. Else everything is ended. */
int cli_rollout_go_on(struct cli_rollout *ro, struct xeno_err *err);

/* --- service-watch.c --- */

/* Deploy the tasks and wait. On failure nothing is left behind. */
int cli_rollout_run(struct cli_rollout *ro, struct xeno_err *err);
/* The port at which clients reach `p`, an item of a session's ports. */
int64_t cli_replica_port(const struct xeno_json_at *p);
/* It is to listen at a TCP port, and nobody has seen it do so. */
bool cli_replica_silent(const struct cli_replica *re);

/* --- service-show.c --- */

void cli_replica_step(struct cli_replica *re, enum cli_step step);
void cli_replica_failed(struct cli_replica *re); /* with re->why */
/* It is not running yet: show how far its image is, when that has changed. */
void cli_replica_fetching(struct cli_replica *re);
void cli_rollout_result(struct cli_rollout *ro);

#endif
