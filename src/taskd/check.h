/* src/taskd/check.h - --check: what is missing for running sessions, and what to do about it. */
#ifndef XENO_TASKD_CHECK_H
#define XENO_TASKD_CHECK_H

#include "taskd/taskd.h"

/* Print one line for each thing that is needed. `opened` says how the start went as far as opening
 * folder, control groups and network; drivers have been probed when it went well.
 * Returns: the exit status, 0 when nothing is missing. */
int taskd_check(const struct taskd *d, const struct xeno_err *opened);

#endif
