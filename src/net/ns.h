/* src/net/ns.h - network namespaces pinned by path, and work done inside one.
 *
 * The calling thread moves; there must be no other thread that expects it where it was. Between
 * xeno_ns_new()/xeno_ns_enter() and xeno_ns_leave() only open what belongs to the namespace
 * (sockets, files below /proc/sys/net). When the way back fails the process aborts: a daemon in
 * the wrong namespace would build for the wrong host.
 */
#ifndef XENO_NET_NS_H
#define XENO_NET_NS_H

#include <stdbool.h>

#include "base/err.h"

struct xeno_ns_home {
    int fd; /* the namespace to go back to; -1: not away */
};

#define XENO_NS_HOME                                                                               \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/* Make a namespace, pin it at `path` (a file that must not exist) and enter it.
 * Returns: 0 and the thread is inside, with *ret_fd the namespace. On failure it is at home.
 * Errors: token net.pin. */
int xeno_ns_new(const char *path, struct xeno_ns_home *home, int *ret_fd, struct xeno_err *err);

/* Enter the namespace pinned at `path`. Errors: -ENOENT and others, token net.pin. */
int xeno_ns_enter(const char *path, struct xeno_ns_home *home, struct xeno_err *err);

void xeno_ns_leave(struct xeno_ns_home *home); /* at home already: no effect */

/* Is there a namespace at `path` (not just a file, as a crash or a reboot leaves it)? */
bool xeno_ns_pinned(const char *path);

/* Take the pin away, here and in every mount namespace that has a copy. Missing is success. */
int xeno_ns_unpin(const char *path, struct xeno_err *err);

/* Write a value below /proc/sys/net of the namespace the thread is in. A missing file is an error
 * unless `optional`. Errors: token net.sysctl. */
int xeno_ns_sysctl(const char *name, const char *value, bool optional, struct xeno_err *err);

#endif
