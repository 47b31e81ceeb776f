/* src/cli/guard.h - an interrupt while something that costs money is being made or ended.
 *
 * Between the first request that reserves something and the last that gives it back, SIGINT,
 * SIGTERM and SIGHUP do not end the program where it stands: the first is remembered, the request
 * under way comes to its end (or its deadline) and what was begun is undone. A second one ends the
 * program at once and says what may be left. Signals that were ignored from the start (nohup) stay
 * ignored.
 */
#ifndef XENO_CLI_GUARD_H
#define XENO_CLI_GUARD_H

#include "base/err.h"

/* From here on; again: takes the handlers back from whoever set others meanwhile. */
void cli_guard_begin(void);

/* The signal that came, or 0. */
int cli_guard_caught(void);

/* Between two steps. Errors: -EINTR cli.interrupted. */
int cli_guard_check(struct xeno_err *err);

#endif
