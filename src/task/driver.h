/* src/task/driver.h - ways to run a workload.
 *
 * A driver is a const table. It keeps nothing in memory: what it must remember is in the session's
 * folder (run.h) or in the kernel, so that the calls of one session may come from different
 * processes, one after the other. The slow half runs in a child process that holds the session's
 * lock and may block for seconds; the quick half runs in the daemon's loop and may not.
 *
 * Every slow call can be killed at any instruction; the same call again, or destroy, then completes
 * it. The session's network is the daemon's business: it is there before create and goes after
 * stop and destroy.
 */
#ifndef XENO_TASK_DRIVER_H
#define XENO_TASK_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "task/cgroup.h"
#include "task/proto.h"
#include "task/run.h"

/* What the daemon shares with its drivers. Set up once; a driver's probe may fill its own part. */
struct xeno_task_host {
    const char *instance; /* [a-z][a-z0-9]*: part of every name in the kernel */
    const char *dir;      /* absolute */
    const char *images;   /* OCI layout with the layers' blobs; "" when there is none */
    const char *cache;    /* unpacked layers */
    const char *libexec;  /* where our own helper programs are */
    const char *cowfs;    /* xeno-cowfs; NULL: it was not found */
    const char *pieces;   /* the cache of pieces, of pieces_bytes at most */
    int64_t pieces_bytes;
    const char *imaged; /* socket of the image manager; "" when there is none */
    const char *imaged_store;
    struct xeno_cgroups *cgroups; /* NULL without rights */
    const char *resolv_conf;      /* text for the sessions; "" when there is none */
    char *(*netns)(const struct xeno_task_host *h, const char *session); /* path; NULL: none */
    void *net;
    struct xeno_oci *oci;                  /* the oci driver's findings */
    const struct xeno_rootfs_spare *spare; /* in a create: a writable layer made ahead, or NULL */
    int rouser;                            /* for xeno_task_rouse(); below 1: there is none */
};

/* The session's groups are made, and a process will be moved into one of them soon: the kernel's
 * lock for that shall be awake by then (taskd/rouse.c). Not before: it is the same lock that groups
 * are made under. Never blocks. */
void xeno_task_rouse(const struct xeno_task_host *h);

/* How a long call in a child says something before its end. */
struct xeno_task_channel {
    /* exec: the program runs. Takes the descriptors. */
    void (*running)(struct xeno_task_channel *ch, int64_t pid, const int *fds, size_t nfds);
};

struct xeno_task_driver {
    const char *name;      /* in requests and session.json: never reused */
    const char *isolation; /* isolation class: null, process, container, vm */
    bool needs_root;       /* and with it network and cgroup of the session */

    /* Can it run here? Once, at start. Fails with what is missing and what to do. */
    int (*probe)(struct xeno_task_host *h, struct xeno_err *err);

    /* --- slow: in a child --- */

    /* Before create: must something be fetched from elsewhere for `spec`, which may take minutes?
     * Quick: for the daemon's loop. Optional, both or none. */
    bool (*away)(const struct xeno_task_host *h, const struct xeno_task_spec *spec);
    /* Then fetch it. Without a session's lock. */
    int (*fetch)(const struct xeno_task_host *h, const struct xeno_task_spec *spec,
                 struct xeno_err *err);

    /* --- slow: in a child, under the session's lock --- */

    /* Build what run->spec says around the writable layer, which may be there already. */
    int (*create)(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_err *err);
    /* Start a task whose folder and program are written. Returns: 0 with its pid in pid file. */
    int (*start)(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_run_task *t,
                 const struct xeno_task_program *p, struct xeno_err *err);
    /* What is left of a task that has ended. Again: no effect. */
    int (*reap)(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_run_task *t,
                struct xeno_err *err);
    /* Other limits, from run->spec to `spec`. */
    int (*resize)(const struct xeno_task_host *h, struct xeno_run *run,
                  const struct xeno_task_spec *spec, struct xeno_err *err);
    /* Freeze and thaw. */
    int (*pause)(const struct xeno_task_host *h, struct xeno_run *run, bool paused,
                 struct xeno_err *err);
    /* End all processes: politely, then by force. Counters can still be read after. */
    int (*stop)(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_err *err);
    /* After stop: take down everything but the writable layer. Again: no effect. */
    int (*release)(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_err *err);
    /* Processes, mounts, cgroups, writable layer: everything but the folder itself. */
    int (*destroy)(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_err *err);
    /* Open the folder of the writable layer, to be read while nothing writes to it: of a session
     * that is paused, or stopped. *ret_mount (-1: none) is to be closed after it. Optional. */
    int (*layer)(const struct xeno_task_host *h, struct xeno_run *run, int *ret_dir, int *ret_mount,
                 struct xeno_err *err);
    /* Run a program beside task t, until it ends. Returns: its exit code. */
    int (*exec)(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_run_task *t,
                const struct xeno_task_request *q, struct xeno_task_channel *ch,
                struct xeno_err *err);

    /* --- quick: in the daemon's loop --- */

    int (*signal)(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_run_task *t,
                  int signal, struct xeno_err *err);
    /* Add what was used since the session became ready to *u, which holds run->base. */
    void (*usage)(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_task_usage *u);
    /* Has a started task ended? 1 with code and kills for want of memory, 0. */
    int (*ended)(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_run_task *t,
                 int64_t *ret_code, int64_t *ret_oom_kills);
    int (*attach)(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_run_task *t,
                  int *ret_fd, struct xeno_err *err);
    int (*winch)(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_run_task *t,
                 int cols, int rows, struct xeno_err *err);
    /* Like xeno_cgroup_oom_fd(); optional. */
    int (*oom_fd)(const struct xeno_task_host *h, struct xeno_run *run);
    /* Of a session whose file system a process of ours serves: a handle (pidfd) that becomes
     * readable when that has ended, the caller's; -ENOENT when it has; -1 when nobody serves it.
     * Optional. */
    int (*server_fd)(const struct xeno_task_host *h, struct xeno_run *run);
};

extern const struct xeno_task_driver xeno_task_driver_null;
extern const struct xeno_task_driver xeno_task_driver_oci;

/* All there are, NULL-terminated; and the one of a name, or NULL. */
extern const struct xeno_task_driver *const xeno_task_drivers[];
const struct xeno_task_driver *xeno_task_driver_find(const char *name);

#endif
