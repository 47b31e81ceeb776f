/* src/task/oci/oci.h - what the files of the oci driver share. Only for src/task/oci.
 *
 * The runtime is crun, or runc where crun does not run; found out by running a container at the
 * daemon's start. crun is started by a small helper (libexec/xeno-crun), from a read-only mount of
 * itself; on a hybrid host it also hides the version 2 mount from it, in a mount namespace that
 * lasts as long as that one call: were the supervisor in it, too, it would hold copies of every
 * other session's mounts.
 *
 * Each task is a container of its own, named INSTANCE-SESSION-TASK, under a conmon of its own that
 * outlives us and writes its exit code to EXITS/NAME. Its bundle is the task's folder.
 */
#ifndef XENO_TASK_OCI_OCI_H
#define XENO_TASK_OCI_OCI_H

#include <stdbool.h>
#include <sys/types.h>

#include "task/driver.h"
#include "task/oci/config.h"

#define XENO_OCI_HEAD_MAX 8

struct xeno_oci {
    bool crun;
    char *conmon;
    char *root;  /* the runtime's own state: DIR/runtime */
    char *exits; /* DIR/exits */
    /* How every call of the runtime begins: program, options, "--root", root. */
    const char *head[XENO_OCI_HEAD_MAX + 1];
    size_t nhead;
    char *bpf;                        /* of the filter; NULL: the runtime compiles it */
    struct xeno_json *seccomp;        /* for runtimes that do */
    char *strings[XENO_OCI_HEAD_MAX]; /* owned, of head */
    const char *name;                 /* "crun", "runc" */
};

/* Find conmon and a runtime that works here. Errors: -ENOENT oci.missing, what to install;
 * -ENOTSUP oci.runtime, why each did not run. */
int xeno_oci_probe(struct xeno_task_host *h, struct xeno_err *err);

/* The container's name of a task; the caller's. */
char *xeno_oci_name(const struct xeno_task_host *h, const struct xeno_run *run, const char *task);

/* Run the runtime with further words (NULL-terminated), wait. As xeno_proc_check(). */
int xeno_oci_call(const struct xeno_oci *oci, const char *const *words, int timeout_ms,
                  struct xeno_err *err);

/* The path of the session's network namespace, the caller's; NULL when it has no address. */
char *xeno_oci_netns(const struct xeno_task_host *h, const struct xeno_run *run);

/* Fill what config.json says of a program of this session; borrows from all of them. The strings
 * in *ret_strings are the caller's to free after use. */
struct xeno_oci_words {
    char *rootfs, *sys, *files, *netns, *cgroup;
};
void xeno_oci_words_release(struct xeno_oci_words *w);
int xeno_oci_bundle(const struct xeno_task_host *h, const struct xeno_run *run, const char *task,
                    const struct xeno_task_program *p, struct xeno_oci_words *words,
                    struct xeno_oci_bundle *ret, struct xeno_err *err);

/* The driver's calls that have a file of their own. */
int xeno_oci_start(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_run_task *t,
                   const struct xeno_task_program *p, struct xeno_err *err);
int xeno_oci_reap(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_run_task *t,
                  struct xeno_err *err);
int xeno_oci_exec(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_run_task *t,
                  const struct xeno_task_request *q, struct xeno_task_channel *ch,
                  struct xeno_err *err);

/* Is the process of that number still the first one of this task? *ret_pidfd: a handle to signal
 * it with, the caller's. */
bool xeno_oci_alive(const struct xeno_task_host *h, const struct xeno_run *run,
                    const struct xeno_run_task *t, int *ret_pidfd);

#endif
