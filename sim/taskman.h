/* sim/taskman.h - a model of a task manager with the null driver: what it has and how it answers.
 *
 * Requests are handled at once and in order; who calls adds the time and the faults. What sessions
 * use grows with virtual time, never above their quota.
 */
#ifndef XENO_SIM_TASKMAN_H
#define XENO_SIM_TASKMAN_H

#include "json/json.h"
#include "sim/world.h"
#include "task/proto.h"

struct taskman;

struct taskman *taskman_new(struct world *w);
void taskman_free(struct taskman *tm);
XENO_DEFINE_AUTO(taskman, taskman_free);

/* Returns: 0 with the "ok" object, the caller's, or a failure in err as the real one tells it. */
int taskman_handle(struct taskman *tm, const struct xeno_task_request *q, struct xeno_json **ret_ok,
                   struct xeno_err *err);

/* A task ends by itself. Returns: false when there is no such task running. */
bool taskman_exit(struct taskman *tm, const char *session, const char *task);
/* Some running task, for that: false when there is none. */
bool taskman_pick(struct taskman *tm, char session[XENO_TASK_SESSION_LEN + 1],
                  char task[XENO_TASK_NAME_MAX + 1]);
/* Who serves the session's file system is killed: it is lost until it is stopped or restored. */
void taskman_lose(struct taskman *tm, const char *session);
/* The machine boots: processes are gone, writable layers are not. */
void taskman_boot(struct taskman *tm);

size_t taskman_sessions(const struct taskman *tm);
bool taskman_has(const struct taskman *tm, const char *session);
/* Sum of the CPU of sessions that are built and not stopped. */
int64_t taskman_cpu_msps(const struct taskman *tm);

#endif
