/* src/taskd/taskd.h - the parts of xeno-taskd. Only for src/taskd.
 *
 * One thread, one sd-event loop. Whatever may block (mounting, unpacking, the runtime) runs in a
 * child process forked for it, a *job*, which holds the session's lock, reads the session from its
 * folder, changes it and ends; the daemon then reads the folder again. So kill -9 of either at any
 * moment leaves what the folder says, and start is one with restart.
 *
 *     request --> quick:  answered in the same turn         (query.c)
 *             '-> slow:   waits for the session --> job --> network --> answer   (work.c)
 *             '-> exec:   a job of its own, until the program ends               (exec.c)
 *
 * Of one session at most one slow request is at work at a time; of all sessions so many as job.c
 * says.
 */
#ifndef XENO_TASKD_TASKD_H
#define XENO_TASKD_TASKD_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>
#include <uthash.h>

#include "base/units.h"
#include "json/json.h"
#include "net/net.h"
#include "task/driver.h"
#include "rpc/frame.h"
#include "task/proto.h"
#include "task/run.h"

#define TASKD_PEERS_MAX    8
#define TASKD_SESSIONS_MAX 4096
#define TASKD_WAITING_MAX  64 /* slow requests waiting for one session */
#define TASKD_EXECS_MAX    1024
#define TASKD_WORK_S       120  /* for a job about a session */
#define TASKD_CREATE_S     1800 /* for one that may have to unpack a big template first */

/* From options, files and arguments (options.c). */
struct taskd_conf {
    char *dir, *socket, *instance, *images, *cache, *pool, *uplink, *deny, *dns;
    char *imaged, *imaged_store, *pieces;
    int64_t peer_uid, cache_max, pieces_bytes;
    bool verbose;
};

struct taskd;
struct session;

/* --- job.c: work in child processes --- */

/* Where a job waits for its turn: what works here, and what only waits for others to send. */
enum job_line { JOB_WORK, JOB_FETCH, JOB_LINES };

/* What runs in the child. Returns 0 or a positive value, or a failure in *err. */
typedef int job_fn(struct taskd *d, void *arg, struct xeno_task_channel *ch, struct xeno_err *err);
/* Told once, at the end: err is NULL when it went well, with the value. */
typedef void job_done(struct taskd *d, void *arg, int value, const struct xeno_err *err);
/* Told at most once, before: the program of an exec runs. Takes the descriptors. */
typedef void job_running(struct taskd *d, void *arg, int64_t pid, int *fds, size_t nfds);

struct job_kind {
    job_fn *fn;
    job_done *done;
    job_running *running;         /* may be NULL */
    int (*lent)(const void *arg); /* a descriptor that goes along, or -1; may be NULL */
    int timeout_s;                /* 0: none */
    enum job_line line;
    bool at_once; /* does not wait for its turn in its line */
};

/* Start a job or let it wait for its turn. Failures come through `done`, from the loop. */
void job_start(struct taskd *d, const struct job_kind *kind, void *arg);
/* End a job's processes; `done` comes as for a failure. */
void job_cancel(struct taskd *d, void *arg);

/* --- peer.c: connections --- */

struct peer;

int peers_listen(struct taskd *d, struct xeno_err *err);
void peers_close(struct taskd *d);
/* `ok` and descriptors are taken. peer may be NULL: nobody asked. */
void reply_ok(struct peer *p, int64_t id, struct xeno_json *ok, const int *fds, size_t nfds);
void reply_error(struct peer *p, int64_t id, const struct xeno_err *err);
void send_event(struct taskd *d, const struct xeno_task_event *e);

/* --- session.c --- */

/* A slow request that waits or is at work. */
struct work {
    struct work *next;
    struct session *session;
    struct peer *peer; /* NULL: asked by ourselves, or the asker is gone */
    struct xeno_task_request *q;
    void (*begin)(struct taskd *d, struct work *w);
    struct xeno_err err; /* of a failure whose undoing is at work */
    struct spare *spare; /* of a create: lent to its job */
    bool fetching;       /* of a create: it waits for layers that are elsewhere */
};

struct session {
    struct taskd *daemon;
    char id[XENO_TASK_SESSION_LEN + 1];
    struct xeno_run *run; /* NULL: not made yet, or gone */
    const struct xeno_task_driver *drv;
    struct work *first, **last; /* the first is at work */
    size_t nwaiting;
    sd_event_source *oom, *oom_check;
    int64_t oom_seen;
    sd_event_source *server;     /* of its file system, where a process of ours serves it */
    bool lost;                   /* which has ended, and should not have */
    struct xeno_task_usage told; /* what usage said last: never less again */
    UT_hash_handle hh;
};

struct session *session_find(struct taskd *d, const char *id);
/* Finds or adds one without a run. */
struct session *session_get(struct taskd *d, const char *id);
/* Forget it if it has neither run nor work. */
void session_drop(struct taskd *d, struct session *s);
/* Read the folder again; run is NULL when there is none. */
void session_reload(struct taskd *d, struct session *s);
/* Write down and tell which tasks have ended, and have their remains removed. */
void session_check(struct taskd *d, struct session *s);
void session_watch_oom(struct taskd *d, struct session *s);
/* Of a ready session: hear when the process that serves its file system ends, if there is one. And
 * no more, before it ends rightly. */
void session_watch_server(struct taskd *d, struct session *s);
void session_unwatch_server(struct session *s);
void session_usage(struct taskd *d, struct session *s, const struct xeno_net_counters *net,
                   struct xeno_task_usage *ret);

/* --- work.c, exec.c, query.c --- */

/* Put work behind what waits for the session. */
void work_add(struct taskd *d, struct session *s, struct peer *p, struct xeno_task_request *q,
              void (*begin)(struct taskd *d, struct work *w));
/* The first work of its session is over: answer (err NULL: ok, taken), take the next. */
void work_end(struct taskd *d, struct work *w, struct xeno_json *ok, const struct xeno_err *err);
void work_forget_peer(struct taskd *d, struct peer *p);

/* The first work of its session fails. */
void work_fail(struct taskd *d, struct work *w, int code, const char *token, const char *text);
/* Is the session ready for what is asked? Answers when it is not. */
bool work_ready(struct taskd *d, struct work *w, bool may_be_paused);
/* What one session has used, its network included. */
void work_usage(struct taskd *d, struct session *s, struct xeno_task_usage *ret);
/* In the child: the session as its folder says, locked. *ret_lock is to be closed. */
int work_load(struct taskd *d, const struct work *w, struct xeno_run **ret, int *ret_lock,
              struct xeno_err *err);

/* Each takes the request. */
void op_slow(struct taskd *d, struct peer *p, struct xeno_task_request *q);
void op_query(struct taskd *d, struct peer *p, struct xeno_task_request *q);
void op_exec(struct taskd *d, struct peer *p, struct xeno_task_request *q);
void exec_forget_peer(struct taskd *d, struct peer *p);
/* The process of a running exec, as a pidfd (borrowed) and number; false when there is none. */
bool exec_find(struct taskd *d, const char *session, const char *exec, int *ret_pidfd,
               int64_t *ret_pid);
void exec_cancel_all(struct taskd *d, const struct session *s);

/* --- create.c, stop.c, ops.c: begin functions for work_add() --- */

void begin_create(struct taskd *d, struct work *w);
void begin_start(struct taskd *d, struct work *w);
void begin_pause(struct taskd *d, struct work *w); /* and resume */
void begin_snapshot(struct taskd *d, struct work *w);
void begin_restore(struct taskd *d, struct work *w);
void begin_resize(struct taskd *d, struct work *w);
/* Those that we ask of ourselves, without a peer, too. */
void begin_destroy(struct taskd *d, struct work *w);
void begin_settle(struct taskd *d, struct work *w); /* to stopped, whatever it was */
void begin_reap(struct taskd *d, struct work *w);
void begin_repause(struct taskd *d, struct work *w);

bool same_layers(const struct xeno_task_spec *a, const struct xeno_task_spec *b);
/* In the child: everything of a session is built that is missing. */
int create_job(struct taskd *d, void *arg, struct xeno_task_channel *ch, struct xeno_err *err);
/* And what follows it. */
void create_done(struct taskd *d, void *arg, int value, const struct xeno_err *why);

/* --- commit.c: the writable layer as a tar, to whoever asked --- */

void begin_commit(struct taskd *d, struct work *w);
/* Is it being committed? Then it is frozen. */
bool session_committing(const struct session *s);

/* --- network.c: the calls of net.h, made in the host's network namespace --- */

int network_open(struct taskd *d, struct xeno_err *err);
int network_add(struct taskd *d, const char *session, const struct xeno_task_spec *spec,
                struct xeno_err *err);
int network_set(struct taskd *d, const char *session, const struct xeno_task_spec *spec,
                struct xeno_err *err);
int network_del(struct taskd *d, const char *session, struct xeno_err *err);
void network_counters(struct taskd *d, struct xeno_net_counters **ret, size_t *ret_n);
void network_sweep(struct taskd *d);
void network_close(struct taskd *d);

/* --- rouse.c: the kernel's lock on moving processes between cgroups, awake in time --- */

void rouse_open(struct taskd *d); /* in one thread, before the loop */
void rouse_close(struct taskd *d);

/* --- spare.c: writable layers made ahead --- */

struct spare;
/* A session with a disk of that size was built: have one ready for the next. */
void spare_want(struct taskd *d, int64_t bytes);
/* One of that size, the caller's until spare_given(); NULL: there is none. */
struct spare *spare_take(struct taskd *d, int64_t bytes);
const struct xeno_rootfs_spare *spare_layer(const struct spare *s); /* NULL for NULL */
/* It is a session's now, or nobody's: forget it. NULL: no effect. */
void spare_given(struct spare *s);
void spares_sweep(struct taskd *d); /* files of an earlier life; at start */
void spares_close(struct taskd *d);

/* --- adopt.c --- */

/* Go on where the last daemon was: the one path of start and restart. */
int adopt(struct taskd *d, struct xeno_err *err);
/* The session of this instance that a pin of the cache is for; false when it is another's. */
bool pin_session(const struct taskd *d, const char *name, char *ret);

/* --- main.c --- */

/* Errors: -EBUSY taskd.dir when another xeno-taskd works in the folder. */
int lock_folder(struct taskd *d, struct xeno_err *err);

/* --- collect.c: the bound of the layer cache. Set d->collect_due; the tick does the rest. --- */
void collect_tick(struct taskd *d, uint64_t now_us);

struct taskd {
    struct taskd_conf conf;
    struct xeno_task_host host;
    sd_event *loop;
    int lock;               /* of the folder */
    bool checking, grouped; /* --check only looks; there were control groups before */
    int listener;
    sd_event_source *accept;
    struct peer *peers;
    size_t npeers;
    struct session *sessions; /* by id */
    struct job *jobs;         /* at work */
    struct job_line_state {
        struct job *first, *last; /* that wait */
        size_t count;             /* at work */
    } lines[JOB_LINES];
    struct exec *execs;
    size_t nexecs;
    bool usable[8]; /* by place in xeno_task_drivers */
    char why_not[8][XENO_ERR_TEXT_MAX];
    struct xeno_net *net; /* NULL without root */
    int netns_host, netns_own;
    int exits; /* inotify on the folder where conmon tells ends */
    sd_event_source *exits_source, *tick;
    size_t ncommits;
    bool collect_due, collecting; /* collect.c */
    uint64_t collect_after_us;    /* not before */
    struct spare *spares;
    sd_event_source *spare_timer;
    int64_t spare_bytes; /* wanted next */
    bool spare_making;
};

bool driver_usable(const struct taskd *d, const struct xeno_task_driver *drv);

#endif
