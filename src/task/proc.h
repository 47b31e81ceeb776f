/* src/task/proc.h - run a helper program and wait for it, for a bounded time.
 * Context: a child process of the daemon; everything here blocks. */
#ifndef XENO_TASK_PROC_H
#define XENO_TASK_PROC_H

#include <sys/types.h>

#include "base/err.h"

/* Run argv[0], an absolute path, with standard input and output on /dev/null and a small fixed
 * environment; kill it after timeout_ms. What it writes to standard error ends up in the text of a
 * failure.
 *
 * Returns: its exit code, 128 + signal when killed.
 * Errors:  -ETIMEDOUT proc.timeout, others proc.spawn when it could not be run
 */
int xeno_proc_run(const char *const *argv, int timeout_ms, struct xeno_err *err);

/* The same; a code other than 0 is a failure, too: -EIO proc.failed with the last line it wrote. */
int xeno_proc_check(const char *const *argv, int timeout_ms, struct xeno_err *err);

/* Wait for a child of ours. Returns: its code as above, or -ETIMEDOUT (the child still runs). */
int xeno_proc_wait(pid_t pid, int timeout_ms);

/* The first of the folders of a fixed search path that holds program `name`; the caller's, or
 * NULL. */
char *xeno_proc_find(const char *name);

/* Milliseconds of the monotonic clock. */
long long xeno_proc_now_ms(void);

#endif
