/* src/taskd/remove.h - the verb --remove. Only for src/taskd. */
#ifndef XENO_TASKD_REMOVE_H
#define XENO_TASKD_REMOVE_H

#include "taskd/taskd.h"

#define REMOVE_REFUSED 2 /* exit code when -EBUSY */

/* Take everything of the instance off this machine: sessions with their writable layers, their
 * processes and supervisors, mounts, groups, networks, pins; then bridge, rules and the instance's
 * groups. Prints what was removed, one line. Images, unpacked layers and the folder stay. As an
 * ordinary user: only folders, there is nothing else.
 *
 * Returns: 0, also when there was nothing.
 * Errors:  -EBUSY taskd.dir, cgroup.instance   the instance has a daemon: nothing was touched
 *          others remove.left                  something stays; what, was logged; ask again
 * Context: instead of serving; blocks for seconds.
 */
int remove_instance(struct taskd *d, struct xeno_err *err);

#endif
