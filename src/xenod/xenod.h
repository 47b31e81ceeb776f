/* src/xenod/xenod.h - what the files of xenod share. Private to the program.
 *
 * xenod faces the network and holds no rights. Every decision is made by src/host; here are the
 * sockets, the clock, the files and the routes around it. One thread, one sd-event loop.
 *
 * How a request that changes something is answered: xenod_begin() opens a transaction, the host and
 * the answer's idempotency record are written inside it, xenod_end() makes all of it durable at
 * once and only then sends what the host wanted sent. The answer itself leaves after the handler
 * returns. When the commit fails the process ends: what is on the disk is the truth, and starting
 * is the one way to come to it (crash-only).
 */
#ifndef XENOD_XENOD_H
#define XENOD_XENOD_H

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/env.h"
#include "base/err.h"
#include "base/mem.h"
#include "db/db.h"
#include "host/host.h"
#include "http/client.h"
#include "http/server.h"
#include "member/member.h"
#include "task/client.h"
#include "xenod/options.h"

struct xeno_agent_link;
struct xeno_store;
struct xenod_pin;
struct xenod_advertise; /* advertise.h */
struct xenod_elsewhere; /* names that are asked of the image manager: elsewhere.h */
struct xenod_image;     /* what a session is made of, and how far that is: fetching.c */
struct xenod_message;   /* what the host wants sent, kept until the commit: ports.c */
struct xenod_answer;    /* and what it waits for */
struct xenod_probing;   /* round trips to others: probing.h */
struct xenod_watch;     /* who follows a session's events: watch.c */
struct xenod_stream;

/* The machine, as probed. */
struct xenod_machine {
    char kernel[64], architecture[32], cpu[96];
    int64_t cpus, memory_bytes, disk_bytes; /* disk: free on that of dir, and of ours */
};

struct xenod {
    struct xenod_options opt;
    int argc; /* kept for a reload */
    char **argv;
    const struct xeno_env *env;
    sd_event *loop;
    struct xenod_machine machine;

    int dirfd;                  /* of opt.dir; -1: not open */
    struct xeno_member *member; /* who we are: identity.c */

    struct xeno_db *db;
    struct xeno_host *host;
    struct xeno_store *images;     /* NULL: none */
    struct xeno_store *fetched;    /* the image manager's; NULL: none, or not open yet */
    struct xeno_agent_link *agent; /* NULL: there is no image manager */
    struct xenod_elsewhere *elsewhere;
    struct xenod_image *image_of; /* of sessions and holds, by id */
    sd_event_source *image_tick;
    xeno_time keep_told; /* monotonic: when the image manager was told what is needed */
    bool keep_due;       /* it is to be told now */
    struct xeno_task_client *task;
    struct xeno_http_client *client;
    struct xeno_http_server *server;
    struct xenod_probing *probing;
    struct xeno_daemon_loop *basics; /* signals, watchdog */
    sd_event_source *tick, *describe_retry;
    bool task_ready; /* connected, described, and it has our driver */
    struct xenod_advertise *advertise;
    xeno_time started;    /* monotonic */
    int64_t tariff_epoch; /* number of the present prices */
    xeno_time keep_after; /* monotonic: when old rows are forgotten next */

    int depth;                    /* of xenod_begin() */
    struct xenod_message *out;    /* in order */
    struct xenod_answer *answers; /* awaited */
    struct xenod_watch *watches;
    struct xenod_stream *streams; /* exec and attach: stream.c */
};

/* --- open.c --- */
void xenod_free(struct xenod *d);
XENO_DEFINE_AUTO(xenod, xenod_free);
/* Everything that needs rights or files: identity, journal, sockets. */
int xenod_open(struct xenod *d, struct xeno_err *err);
/* The one path of start and restart; after the sandbox. */
int xenod_adopt(struct xenod *d, struct xeno_err *err);
/* Read the configuration again and use what may change while running. */
void xenod_reload(struct xenod *d);
/* The host's configuration from options and probing. */
void xenod_host_config(const struct xenod *d, struct xeno_host_config *ret);

/* --- identity.c --- */
/* The member of the XenoCorp that we are; its revocations are in the journal. */
struct xeno_member_opts xenod_member_opts(struct xenod *d);   /* all borrowed */
int xenod_member_open(struct xenod *d, struct xeno_err *err); /* folder, loop; not loaded */
int xenod_enrol(struct xenod *d, const char *token, struct xeno_err *err); /* prints the id */

/* --- check.c --- */
int xenod_check(struct xenod *d); /* prints; returns the exit code */

/* --- machine.c --- */
void xenod_machine_read(struct xenod_machine *ret, const char *dir);

/* --- ports.c --- */
extern const struct xeno_host_ports xenod_ports; /* ctx is to be set */
void xenod_begin(struct xenod *d);
/* The same for what makes the journal longer. Errors: -ENOSPC journal.full: nothing is open then.
 */
int xenod_begin_new(struct xenod *d, struct xeno_err *err);
void xenod_end(struct xenod *d);    /* durable, or the process ends */
void xenod_cancel(struct xenod *d); /* nothing was changed after all */
/* Is there room on the disk to begin anything new? */
bool xenod_has_room(const struct xenod *d);
void xenod_ports_release(struct xenod *d);

/* --- tasklink.c --- */
int xenod_task_open(struct xenod *d, struct xeno_err *err);
/* Has the task manager, by its answer to describe, our driver? Errors: -ENOTSUP task.driver. */
int xenod_task_check(const struct xenod *d, const struct xeno_json_at *ok, struct xeno_err *err);

/* --- keep.c: rows of our own in the journal --- */
int xenod_keep_open(struct xenod *d, struct xeno_err *err);
bool xenod_idem_get(const char *key, const char *body_sha, int *ret_status, char **ret_body,
                    void *user);
void xenod_idem_put(const char *key, const char *body_sha, int status, const char *body,
                    void *user);
/* A named text; NULL: none. The caller's. */
char *xenod_keep_get(struct xenod *d, const char *name);
void xenod_keep_put(struct xenod *d, const char *name, const char *text);
/* The number of this set of prices: a new one each time the prices change. */
int xenod_keep_tariff(struct xenod *d, struct xeno_tariff *t, struct xeno_err *err);
void xenod_keep_tick(struct xenod *d); /* forgets old rows; bounded */

/* --- image.c --- */
int xenod_image_open(struct xenod *d, struct xeno_err *err);
/* The port of the host: what the requirement's images, all of them on this machine, are made of. */
int xenod_image_port(void *ctx, const struct xeno_requirement *req, struct xeno_host_image *ret,
                     struct xeno_err *err);
/* Has our own store the image of that manifest? ctx: struct xenod. */
bool xenod_image_here(void *ctx, const char *digest);
/* The image manager's store, borrowed; NULL: there is none (yet). */
struct xeno_store *xenod_image_fetched(struct xenod *d);
/* Put digests in place of what a document names elsewhere, or what documents without a template
 * mean, when nothing else speaks against a hold, or else a session, of that client: nobody is asked
 * for one who would be refused. Returns and errors: as xenod_elsewhere_pin(), and those of
 * xeno_host_possible(). */
int xenod_image_pin(struct xenod *d, const struct xeno_id *who, struct xeno_requirement *req,
                    bool hold, void (*done)(void *arg, const struct xeno_err *err), void *arg,
                    struct xenod_pin **ret, struct xeno_err *err);
/* Remember what a hold's or session's image gives its programs (environment, folder, user) and what
 * it is made of, as one JSON text; by its requirement, or from a hold. */
void xenod_image_remember(struct xenod *d, const char *id, const struct xeno_requirement *req);
void xenod_image_rename(struct xenod *d, const char *from, const char *to);
/* The member "image" of that text; NULL: none is remembered. The caller's. */
struct xeno_json *xenod_image_recall(struct xenod *d, const char *id);
/* Fill what the document leaves open. */
struct xeno_task_doc;
void xenod_image_complete(struct xenod *d, const char *session, struct xeno_task_doc *t);

/* --- fetching.c: how far the images of sessions are --- */
int xenod_fetching_open(struct xenod *d, struct xeno_err *err);
void xenod_fetching_release(struct xenod *d);
/* A hold or session has come, by xenod_image_remember(), or a hold became a session. */
void xenod_fetching_add(struct xenod *d, const char *id);
/* The member "image" of a session's object, as it was when it was last looked at; NULL: nothing is
 * known. The caller's. */
struct xeno_json *xenod_fetching_json(struct xenod *d, const char *id);
/* Look now; `done` is told soon, from the loop. Returns: false when what is known is fresh: it is
 * not told then. Forgotten by xenod_fetching_forget(). */
bool xenod_fetching_look(struct xenod *d, const char *id, void (*done)(void *arg), void *arg);
void xenod_fetching_forget(struct xenod *d, const char *id, void *arg);

/* --- watch.c: who follows what happens in a session --- */
struct xenod_watch {
    char session[XENO_SESSION_CHARS + 1];
    /* Either may be NULL. Called from inside the host: must not call the host. May remove its own
     * watch, no other. */
    void (*host_event)(struct xenod_watch *w, const struct xeno_host_event *ev);
    void (*task_event)(struct xenod_watch *w, const struct xeno_task_event *ev);
    struct xenod_watch *prev, *next;
};
void xenod_watch_add(struct xenod *d, struct xenod_watch *w);
void xenod_watch_remove(struct xenod *d, struct xenod_watch *w);
void xenod_watch_host(struct xenod *d, const struct xeno_host_event *ev);
void xenod_watch_task(struct xenod *d, const struct xeno_task_event *ev);

/* --- api.c --- */
extern const struct xeno_http_route xenod_routes[];
/* Whose sessions the peer may see: its id, or NULL for an operator. */
const struct xeno_id *xenod_who(const struct xenod *d, const struct xeno_http_req *q);
/* Is the peer a client? Errors: -EPERM api.kind. */
int xenod_client(const struct xeno_http_req *q, struct xeno_err *err);
/* The query parameter as a number; `fallback` when absent. Answers the request and returns false
 * when it is none or out of bounds. */
bool xenod_query_int(struct xeno_http_req *q, const char *name, int64_t min, int64_t max,
                     int64_t fallback, int64_t *ret);
bool xenod_query_flag(const struct xeno_http_req *q, const char *name);
/* Log and answer a failure. */
void xenod_refuse(struct xeno_http_req *q, const struct xeno_err *err);

void xenod_get_health(struct xeno_http_req *q, void *user);
void xenod_get_metrics(struct xeno_http_req *q, void *user);
void xenod_get_status(struct xeno_http_req *q, void *user);
void xenod_get_advert(struct xeno_http_req *q, void *user); /* advertise.c */
void xenod_post_hold(struct xeno_http_req *q, void *user);
void xenod_get_holds(struct xeno_http_req *q, void *user);
void xenod_delete_hold(struct xeno_http_req *q, void *user);
void xenod_post_session(struct xeno_http_req *q, void *user);
void xenod_get_sessions(struct xeno_http_req *q, void *user);
void xenod_get_session(struct xeno_http_req *q, void *user);
void xenod_get_usage(struct xeno_http_req *q, void *user);
void xenod_post_verb(struct xeno_http_req *q, void *user);
void xenod_post_restore(struct xeno_http_req *q, void *user);
void xenod_post_extend(struct xeno_http_req *q, void *user);
void xenod_get_events(struct xeno_http_req *q, void *user);
void xenod_post_task(struct xeno_http_req *q, void *user);
void xenod_get_tasks(struct xeno_http_req *q, void *user);
void xenod_post_signal(struct xeno_http_req *q, void *user);
void xenod_get_logs(struct xeno_http_req *q, void *user);
void xenod_get_layer(struct xeno_http_req *q, void *user);
void xenod_get_exec(struct xeno_http_req *q, void *user);
void xenod_get_attach(struct xeno_http_req *q, void *user);
void xenod_post_probe(struct xeno_http_req *q, void *user);
void xenod_post_traceroute(struct xeno_http_req *q, void *user);
/* End every exec and attach: before the server is freed. */
void xenod_streams_close(struct xenod *d);

#endif
