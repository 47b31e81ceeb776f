/* src/task/cgroup.h - limits, counters and signals of whole sessions, on cgroup v1 and v2.
 *
 *   version 1 (also hybrid), in each hierarchy      version 2
 *   /xeno-INST                heavy                  TOP/xeno-INST               weight 10000
 *   /xeno-INST/daemons        heavy: ours            TOP/xeno-INST/daemons       weight 10000
 *   /xeno-INST/sessions       heavy                  TOP/xeno-INST/sessions      weight 10000
 *   /xeno-INST/sessions/ID    limits, counters       TOP/xeno-INST/sessions/ID
 *   .../ID/TASK               made by the runtime    .../ID/TASK
 *   .../ID.files              of who serves its files .../ID.files
 *
 * A quota is only a ceiling: what makes it a promise is the weight of the parents, so that neither
 * foreign processes at the top nor our own daemons starve, plus admission elsewhere. Which back end
 * is in use is found out from where the controllers are mounted, never configured.
 *
 * TOP is the group of the unit xeno-sessions.service when we are xeno-taskd.service and systemd
 * delegated that one (docs/decisions, sessions have a unit of their own), else our own group if
 * that was delegated, else the root. Instances may share it.
 *
 * Needs root. Context: one thread; everything but xeno_cgroup_kill() is a few small file accesses.
 */
#ifndef XENO_TASK_CGROUP_H
#define XENO_TASK_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/mem.h"

struct xeno_cgroups;

/* Find the back end, make the groups of `instance`, and move the caller into `daemons`. Until
 * xeno_cgroups_free() the instance is the caller's alone.
 * Errors: -ENOTSUP cgroup.none   a controller that is needed is missing; the text says which
 *         -EBUSY cgroup.instance another process has the instance
 *         -EBUSY cgroup.busy     another instance of the unit takes or gives back controllers
 *         -EPERM cgroup.rights; cgroup.write */
int xeno_cgroups_open(const char *instance, struct xeno_cgroups **ret, struct xeno_err *err);
/* The same for groups that are there, whoever made them: nothing is made, nobody is moved.
 * Errors: -ENOENT cgroup.none when there are none; -EBUSY cgroup.instance; -EPERM cgroup.rights. */
int xeno_cgroups_find(const char *instance, struct xeno_cgroups **ret, struct xeno_err *err);
void xeno_cgroups_free(struct xeno_cgroups *cg);
XENO_DEFINE_AUTO(xeno_cgroups, xeno_cgroups_free);

const char *xeno_cgroups_version(const struct xeno_cgroups *cg); /* "v1" or "v2" */

/* Is there a cgroup2 mount beside version 1 that crun must not see? NULL: no. Borrowed. */
const char *xeno_cgroups_hybrid(const struct xeno_cgroups *cg);

/* Put a process that serves this instance (the environment manager) under the daemons' weight.
 * No effect where systemd gave it a group of its own. */
void xeno_cgroups_favour(struct xeno_cgroups *cg, pid_t pid);

/* In a child of the daemon that is to outlive it: go where supervisors of sessions live, so that
 * systemd sees the daemon's unit empty when it starts the daemon again. */
void xeno_cgroups_supervise(const struct xeno_cgroups *cg);

/* A descriptor through which a process, whatever its rights, moves itself to the daemons' group by
 * writing "0"; -1 when there is none. */
int xeno_cgroups_door(const struct xeno_cgroups *cg);

/* Ids of the sessions that have a group: NULL-terminated; free each and the list. */
char **xeno_cgroups_list(const struct xeno_cgroups *cg);

/* Behind a session's id: the name of the group of the process that serves its root file system, for
 * the calls below that take a session. */
#define XENO_CGROUP_SERVER ".files"

struct xeno_cgroup_limits {
    int64_t cpu_msps;     /* ms a second */
    int64_t cpu_burst_ms; /* cut to one period's quota, the kernel's limit */
    int64_t memory_bytes;
    int64_t pids;
};

/* Make the session's group, or change its limits when it is there. Errors: cgroup.write;
 * -EBUSY cgroup.memory when more memory is in use than the new limit and none can be freed. */
int xeno_cgroup_set(struct xeno_cgroups *cg, const char *session,
                    const struct xeno_cgroup_limits *limits, struct xeno_err *err);

/* Like fork(2), for a child that will run a program in the session: it is born where the kernel
 * counts what the session's processes wait (below). A runtime puts what it starts into all other
 * groups itself. */
pid_t xeno_cgroup_fork(const struct xeno_cgroups *cg, const char *session);

/* Go into a session's group, which is there. */
void xeno_cgroup_enter(const struct xeno_cgroups *cg, const char *session);
/* The first process of the group itself, not of those below it; 0 when there is none. */
pid_t xeno_cgroup_first(const struct xeno_cgroups *cg, const char *session);

/* What waited_us is: the time in which at least one process of the session was ready to run and had
 * no processor, whatever the reason, its own quota included ("some" of cpu.pressure). Time, not
 * processes times time: two that wait side by side count once. throttled_us is what the quota alone
 * held back, summed over processors; so their difference is, at least, how long it was others who
 * had the processor. The kernel keeps both and neither goes down; reading them is one small file
 * each, however many processes there are, and what has ended stays counted.
 *
 * Only a version 2 group has it. Beside version 1 the session gets one in that tree, which limits
 * nothing; where no such tree is mounted, or the kernel was built without pressure, it is zero. */
struct xeno_cgroup_usage {
    int64_t cpu_us, throttled_us; /* since the group was made; ended tasks included */
    int64_t waited_us;
    int64_t memory_bytes, memory_peak;
    int64_t pids;
    int64_t oom_kills; /* version 1: of tasks whose group is still there */
};
/* Returns: 0; -ENOENT when there is no group. Values that cannot be read are zero. */
int xeno_cgroup_usage(const struct xeno_cgroups *cg, const char *session,
                      struct xeno_cgroup_usage *ret);

/* Processes killed for want of memory in a task's group. */
int64_t xeno_cgroup_oom_kills(const struct xeno_cgroups *cg, const char *session, const char *task);

/* A descriptor that becomes readable when the session runs out of memory: read it empty, then ask
 * for the counts. -1 when there is none. */
int xeno_cgroup_oom_fd(const struct xeno_cgroups *cg, const char *session);

/* Freeze or thaw every process; waits up to 1 s for the last one. Again: no effect.
 * Errors: -ETIMEDOUT cgroup.freeze (they go on), cgroup.write. */
int xeno_cgroup_freeze(struct xeno_cgroups *cg, const char *session, bool frozen,
                       struct xeno_err *err);

/* Kill every process of the session and wait until none is left, at most 10 s. Blocks: for a child
 * process. Errors: -ETIMEDOUT cgroup.kill. */
int xeno_cgroup_kill(struct xeno_cgroups *cg, const char *session, struct xeno_err *err);

/* Remove the group and all below it, in every hierarchy. No group: no effect.
 * Errors: -EBUSY cgroup.remove when a process is left. */
int xeno_cgroup_remove(struct xeno_cgroups *cg, const char *session, struct xeno_err *err);
int xeno_cgroup_remove_task(struct xeno_cgroups *cg, const char *session, const char *task,
                            struct xeno_err *err);

/* What linux.cgroupsPath of an OCI bundle says for a task; the caller's. */
char *xeno_cgroup_oci_path(const struct xeno_cgroups *cg, const char *session, const char *task);

/* Remove the instance's own groups and what is left below them; processes that the daemons' group
 * holds (an environment manager that still runs) go to the group above, or to another instance's
 * daemons in the same unit. What is ending is waited for, ten seconds at most for a group.
 * Errors: -EBUSY cgroup.remove when a session has a process, cgroup.busy. */
int xeno_cgroups_remove(struct xeno_cgroups *cg, struct xeno_err *err);

#endif
