/* src/task/run.h - what is known of a session: its folder below the run directory.
 *
 *   DIR/sessions/ID/session.json    driver, spec, stage, boot, and what was used before (base)
 *   DIR/sessions/ID/lock            held by whoever changes the session
 *   DIR/sessions/ID/tasks/T/task.json   the program
 *   DIR/sessions/ID/tasks/T/pid     its first process, once it runs
 *   DIR/sessions/ID/tasks/T/end.json    how it ended
 *   DIR/sessions/ID/...             what the driver keeps there
 *
 * The folder and the kernel are the only state of xeno-taskd: a struct xeno_run is a copy in
 * memory, read again after each change. Files are replaced by rename, so a reader sees the old one
 * or the new one. Only what must outlive a power loss is synced: the files of a stopped session.
 *
 *   creating --> ready --> stopping --> stopped --> creating ...
 *       \          \           \           \
 *        '----------'-----------'-----------'--> ending --> (no folder)
 *
 * Invariants: 1. `base` holds all that was used before the present stay in `ready`; from
 * `stopping` on it holds everything, and the kernel's counters are not added any more. 2. In
 * `stopped` there is no process, cgroup, network or mount, only the writable layer. 3. A stage
 * other than stopped and ending, written under another boot id, means stopped: the kernel has
 * forgotten the rest.
 */
#ifndef XENO_TASK_RUN_H
#define XENO_TASK_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "task/proto.h"

enum xeno_run_stage {
    XENO_RUN_CREATING,
    XENO_RUN_READY,
    XENO_RUN_STOPPING,
    XENO_RUN_STOPPED,
    XENO_RUN_ENDING,
    XENO_RUN_STAGES
};

struct xeno_run_task {
    char name[XENO_TASK_NAME_MAX + 1];
    bool started; /* a process was made for it */
    bool ended;   /* end.json is there */
    bool oom;
    bool terminal;
    int64_t pid; /* 0 when it has none */
    int64_t code;
    int64_t oom_kills; /* of an ended one: processes killed for want of memory */
    int64_t since_ms;  /* wall clock of its start, for drivers that count time */
};

struct xeno_run {
    char id[XENO_TASK_SESSION_LEN + 1];
    char driver[XENO_TASK_DRIVER_MAX + 1];
    struct xeno_task_spec spec;
    enum xeno_run_stage stage;
    bool this_boot; /* written since the machine started */
    bool paused;
    int64_t changed_ms; /* wall clock of the last change of stage or pause */
    struct xeno_task_usage base;
    size_t ntasks;
    struct xeno_run_task tasks[XENO_TASK_TASKS_MAX];
    char *path; /* absolute, of the folder */
};

void xeno_run_free(struct xeno_run *run);
XENO_DEFINE_AUTO(xeno_run, xeno_run_free);

/* Make the folder of a new session, or take the one that is there, and write stage `creating`.
 * Owner and mode are `gid`'s: only that group may pass through. Errors: token run.write. */
int xeno_run_new(const char *dir, const char *id, const char *driver,
                 const struct xeno_task_spec *spec, int64_t gid, struct xeno_run **ret,
                 struct xeno_err *err);

/* Read a session. Errors: -ENOENT run.unknown; -EINVAL run.broken, with the file's name. */
int xeno_run_load(const char *dir, const char *id, struct xeno_run **ret, struct xeno_err *err);

/* Write session.json; `durable` also syncs it. Errors: token run.write. */
int xeno_run_save(struct xeno_run *run, bool durable, struct xeno_err *err);

/* Ids of all sessions below `dir`: NULL-terminated, the caller's (xeno_run_list_free). */
int xeno_run_list(const char *dir, char ***ret, struct xeno_err *err);
void xeno_run_list_free(char **ids);

/* The task named, or NULL. */
struct xeno_run_task *xeno_run_find(struct xeno_run *run, const char *task);

/* Make a task's folder and write its program; one that was never started may be given another.
 * Errors: -EEXIST task.exists, -EMFILE task.many, run.write. */
int xeno_run_add_task(struct xeno_run *run, const char *task, const struct xeno_task_program *p,
                      struct xeno_err *err);
int xeno_run_program(const struct xeno_run *run, const char *task, struct xeno_task_program *ret,
                     struct xeno_err *err);
/* Write how it ended. Again: no effect. */
int xeno_run_end_task(struct xeno_run *run, struct xeno_run_task *t, int64_t code,
                      int64_t oom_kills, struct xeno_err *err);
/* Before a restore: every task is as if it had never been started; programs and logs stay. */
int xeno_run_reset_tasks(struct xeno_run *run, struct xeno_err *err);

/* A path inside the session's folder; the caller's. */
char *xeno_run_path(const struct xeno_run *run, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), returns_nonnull));

/* Wait for the session's lock, at most 30 s. Returns: a descriptor to close, or
 * -ETIMEDOUT run.locked. Context: a child process, it blocks. */
int xeno_run_lock(const struct xeno_run *run, struct xeno_err *err);

/* Write a file by rename without sync: for what does not outlive the boot anyway. */
int xeno_run_write(const char *path, const void *data, size_t len, struct xeno_err *err);

/* This boot's id, from the kernel; borrowed for ever. "" when the kernel has none. */
const char *xeno_run_boot_id(void);

/* How the session looks from outside. */
void xeno_run_info(const struct xeno_run *run, struct xeno_task_session_info *ret);

#endif
