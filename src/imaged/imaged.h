/* src/imaged/imaged.h - the parts of xeno-imaged. Only for src/imaged.
 *
 * One thread has the loop, the sockets and every job that waits; a bounded number of others does
 * what blocks, one job each, with registries and the disk:
 *
 *     request --> at once: progress, keep, status               (ops.c)
 *             '-> a job --> waits for a thread --> a thread --> answered   (work.c)
 *                              ^-- after a while -- the registry is away, the asker has patience
 *
 *  1 A job is in exactly one place: waiting, with a thread, finished, or put off.
 *  2 Who asks for what is being resolved or fetched already waits for that job with the others.
 *  3 Threads are divided between kinds of work and between registries, so that a slow one of either
 *    keeps no other waiting; a job that waits for a registry to come back has no thread.
 *  4 Nothing is in memory only that a restart needs: what names stood for and where layers are to
 *    be had is on the disk before it is answered (rfc/0011, section 6).
 */
#ifndef XENO_IMAGED_IMAGED_H
#define XENO_IMAGED_IMAGED_H

#include <pthread.h>
#include <stdatomic.h>
#include <systemd/sd-event.h>
#include <uthash.h>

#include "daemon/loop.h"
#include "image/agent-proto.h"
#include "image/source-registry.h"
#include "image/store.h"
#include "imaged/options.h"
#include "member/member.h"

#define IMAGED_PEERS_MAX   4096
#define IMAGED_IMAGES_MAX  512 /* beyond them the longest unused goes; twice as many are refused */
#define IMAGED_NAMES_MAX   4096
#define IMAGED_SOURCES_MAX 8    /* repositories remembered for a layer */
#define IMAGED_REPOS_MAX   4096 /* known at once */

struct imaged;

/* --- repo.c: repositories, and how they are spoken to --- */

struct repo;

/* The repository of that name, made when it is new; lives as long as the daemon.
 * Errors: -EAGAIN agent.busy: too many. */
int repo_get(struct imaged *d, const struct xeno_registry_name *name, struct repo **ret,
             struct xeno_err *err);
/* "oci://HOST/REPO", and HOST. */
const char *repo_name(const struct repo *p);
const char *repo_host(const struct repo *p);
struct imaged *repo_daemon(const struct repo *p);

/* A call of image/registry.h. One that did not answer is not asked again for a while: then it fails
 * at once, for the same reason. Errors: besides those of the call, -EPERM agent.refused. */
int repo_do(struct repo *p, int (*fn)(struct xeno_registry *r, void *arg, struct xeno_err *err),
            void *arg, struct xeno_err *err);
/* Is this error one that may pass, rather than an answer? */
bool repo_away(const struct xeno_err *err);

/* A part of a layer. want: NULL, or what it must be. Errors: -ENOENT: it has no such blob; others:
 * it does not give these bytes now. */
int repo_read(struct repo *p, const char *layer, int64_t offset, void *buf, size_t len,
              const struct xeno_source_want *want, struct xeno_err *err);

size_t repos_away(struct imaged *d);
void repos_close(struct imaged *d);

/* --- guard.c: what may be connected to --- */

/* Does the operator list it? *ret_plain: without TLS. */
bool guard_lists(struct imaged *d, const char *host, bool *ret_plain);
/* Can the list be read? Errors: -EINVAL conf.range. */
int guard_entries(const char *registries, struct xeno_err *err);
/* As http/client.h wants it. */
int guard_check(void *repo, const struct xeno_http_peer *p, struct xeno_err *err);

/* --- who.c: the credential of xenod --- */

/* Read it again when it has changed. Call now and then. */
void who_look(struct imaged *d);
/* A source of bytes at our XenoCorp's stores. Errors: -EACCES agent.identity: we have no
 * credential. */
int who_source(struct imaged *d, const struct xeno_source_registry_opts *opts,
               struct xeno_source **ret, struct xeno_err *err);
void who_close(struct imaged *d);

/* --- memory.c: images and layers that are known --- */

struct layer {
    char digest[XENO_DIGEST_TEXT];
    struct xeno_layer what;
    size_t images; /* that have it */
    char *sources[IMAGED_SOURCES_MAX];
    size_t source_count;
    struct xeno_agent_progress progress;
    UT_hash_handle hh;
};

struct image {
    char digest[XENO_DIGEST_TEXT];
    enum xeno_image_kind kind;
    size_t layer_count;
    struct layer **layers;
    int64_t used_s; /* wall clock */
    bool kept, keep_next;
    UT_hash_handle hh;
};

/* What a job needs to know of a layer: a copy. */
struct layer_view {
    struct xeno_layer what;
    size_t source_count;
    char *sources[IMAGED_SOURCES_MAX];
};
void layer_view_release(struct layer_view *v);

/* All that take d lock it themselves; any thread. */
int memory_open(struct imaged *d, struct xeno_err *err);
void memory_close(struct imaged *d);
/* Errors: -ENOENT agent.layer. */
int memory_layer(struct imaged *d, const char *digest, struct layer_view *ret,
                 struct xeno_err *err);
/* The image is in the store and was resolved at that repository, NULL: at none, just now. */
int memory_resolved(struct imaged *d, const struct xeno_image *im, const struct repo *from,
                    struct xeno_err *err);
/* The image as it is answered; name: as it was asked for. Errors: -ENOENT: not known. */
int memory_image(struct imaged *d, const char *digest, const char *name,
                 struct xeno_agent_image **ret, struct xeno_err *err);
/* What a name stood for. Errors: -ENOENT. */
int memory_name(struct imaged *d, const char *name, char ret_digest[XENO_DIGEST_TEXT],
                struct xeno_err *err);
int memory_name_set(struct imaged *d, const char *name, const char *digest, struct xeno_err *err);
void memory_progress(struct imaged *d, const char *digest, struct xeno_agent_progress *ret);
/* The layer is in that state now; why: of a failure. total < 0: as it was. */
void memory_state(struct imaged *d, const char *digest, enum xeno_agent_state state, int64_t total,
                  const struct xeno_err *why);
void memory_fetched(struct imaged *d, const char *digest, int64_t bytes);
/* A part of the layer could not be had from `from` (a repository's name), or was not what it must
 * be: it stays known until that repository, or another, gives parts again; wrong bytes stay known.
 */
void memory_missed(struct imaged *d, const char *digest, const char *from,
                   const struct xeno_err *why);
void memory_keep(struct imaged *d, char (*digests)[XENO_DIGEST_TEXT], size_t count, bool more);
/* The image that was used longest ago and that nothing needs; false: there is none. */
bool memory_oldest(struct imaged *d, char ret[XENO_DIGEST_TEXT]);
size_t memory_images(struct imaged *d); /* how many */
void memory_forget(struct imaged *d, const char *digest);
/* Remove what is remembered of names and layers that no image has any more. */
void memory_sweep(struct imaged *d);

/* --- jobs: what runs in a thread --- */

enum job_kind { JOB_RESOLVE, JOB_FETCH, JOB_READ, JOB_COLLECT, JOB_KINDS };

struct waiter {
    struct waiter *next;
    struct peer *peer;
    int64_t id;
};
struct job {
    struct job *prev, *next;
    struct imaged *d;
    enum job_kind kind;
    struct xeno_agent_request *q; /* NULL: our own */
    char *key;                    /* who asks the same joins; NULL: nobody can */
    struct waiter *waiters;
    char host[XENO_REGISTRY_HOST_MAX + 1]; /* that will be asked, probably; "": none */
    pid_t asker;                           /* the process that was first to ask; 0: we */
    size_t bytes;                          /* of memory */
    xeno_time end, not_before;             /* monotonic */
    struct xeno_json *old; /* of a resolve: told when it takes long; NULL: there is none */
    xeno_time old_at;
    unsigned tries;
    int r;
    struct xeno_err err;
    struct xeno_json *ok;
    char *data; /* of a read */
    size_t len;
};

/* resolve.c, fetch.c, read.c, collect.c. Returns: 0 with job->ok (and data), or job->err; -EAGAIN:
 * it may go better later. */
int job_resolve(struct job *j, struct xeno_err *err);
/* What the name stood for when it was last resolved, as it is answered; NULL: not known. */
struct xeno_json *resolve_old(struct imaged *d, const struct xeno_agent_request *q);
int job_fetch(struct job *j, struct xeno_err *err);
int job_read(struct job *j, struct xeno_err *err);
int job_collect(struct job *j, struct xeno_err *err);
/* Does `size` more fit? Errors: -ENOSPC agent.full. */
int collect_room(struct imaged *d, int64_t size, struct xeno_err *err);
/* One more image? Errors: -ENOSPC agent.full. */
int collect_image_room(struct imaged *d, struct xeno_err *err);
void collect_tick(struct imaged *d);

/* --- work.c: jobs and threads --- */

int work_open(struct imaged *d, struct xeno_err *err);
void work_close(struct imaged *d);
/* Takes q. p NULL: nobody waits. */
void work_submit(struct imaged *d, struct peer *p, enum job_kind kind,
                 struct xeno_agent_request *q);
void work_forget_peer(struct imaged *d, struct peer *p);
void work_room(struct imaged *d); /* there is more room in memory than before */
size_t work_waiting(const struct imaged *d);

/* --- peer.c --- */

struct peer;

int peers_listen(struct imaged *d, struct xeno_err *err);
void peers_close(struct imaged *d);
/* `ok` is taken; data too, its bytes follow. */
void peer_reply(struct peer *p, int64_t id, struct xeno_json *ok, char *data, size_t len);
void peer_refuse(struct peer *p, int64_t id, const struct xeno_err *err);
size_t peers_unsent(const struct imaged *d); /* bytes */
pid_t peer_pid(const struct peer *p);

/* ops.c: takes the request. */
void op_dispatch(struct imaged *d, struct peer *p, struct xeno_agent_request *q);

/* --- main.c, open.c, check.c --- */

int imaged_open(struct imaged *d, struct xeno_err *err);
int imaged_start(struct imaged *d, struct xeno_err *err);
int imaged_check(struct imaged *d);
void imaged_release(struct imaged *d);

struct imaged_counts {
    atomic_int_fast64_t resolved, resolved_old, fetched_layers, reads, read_bytes, network_bytes,
        failed, refused, collected_bytes;
};

struct imaged {
    struct imaged_options opt;
    int argc;
    char **argv;
    const struct xeno_env *env;
    sd_event *loop;
    struct xeno_daemon_loop *basics;
    int lock;
    struct xeno_source *local; /* blobs of the store */
    struct imaged_counts count;

    pthread_mutex_t mutex; /* of the next five, and opt.registries */
    struct image *images;
    struct layer *layers;
    struct repo *repos;
    bool keep_heard;
    pthread_mutex_t files_mutex; /* of the files in names/ and layers/; never within the other */
    atomic_int_fast64_t store_bytes; /* at the last look */

    pthread_mutex_t who_mutex; /* of the next */
    struct who *who;           /* NULL: we have no credential */
    int64_t who_mtime_ns;      /* this and the next are the loop's */
    int who_dirfd;
    atomic_uint generation; /* of credential and configuration: doors of an older one are closed */

    bool collected; /* the collection's: what a crash left is gone */
    int64_t collect_seen, collect_next_s;

    struct work *work;
    struct peers *peers;
};

char *imaged_path(const struct imaged *d, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
