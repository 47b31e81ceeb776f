/* src/task/serve.h - a root file system that xeno-cowfs serves over FUSE.
 *
 * For what the kernel's overlayfs cannot stack: layers that are read by pieces. The mount is made
 * here, with the rights for it, and xeno-cowfs is given its descriptor of /dev/fuse: it needs no
 * right to mount, and confines itself. It is its mount's only server: when it ends, or is killed,
 * every access below the mount fails with ENOTCONN, and does not hang.
 *
 * Needs root. Context: a child process; blocks.
 */
#ifndef XENO_TASK_SERVE_H
#define XENO_TASK_SERVE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct xeno_serve {
    const char *program; /* xeno-cowfs, absolute */
    const char *stack;   /* file (rfc/0014) */
    const char *upper, *work;
    const char *at;    /* where it is to be seen */
    const char *cache; /* of pieces; made when missing */
    int64_t cache_bytes;
    const char *const *more; /* further options of xeno-cowfs, NULL-terminated; may be NULL */
    /* Called in the process that becomes the server, before it does. May be NULL. */
    void (*enter)(void *arg);
    void *arg;
};

/* Can it be done here: is there a program at `program` (NULL: none was found), and FUSE?
 * Errors: -ENOENT serve.missing, with what to do about it. */
int xeno_serve_check(const char *program, struct xeno_err *err);

/* Mount, start the server, wait until it serves. It outlives us, writes its log to our standard
 * error, and ends when the mount does. On failure nothing is mounted and nothing runs.
 *
 * Errors: those of xeno_serve_check(); -EIO serve.failed with what xeno-cowfs said; -ETIMEDOUT
 *         serve.failed; serve.mount. */
int xeno_serve_start(const struct xeno_serve *s, struct xeno_err *err);

/* Write what is cached of the mount to its upper, by the server. What could not be written is
 * logged. */
void xeno_serve_sync(const char *at);

/* Write what is cached of the mount to its upper, then unmount it. The server ends by itself then,
 * soon. Not mounted: no effect. Blocks as long as the server lets it.
 * Errors: -EBUSY rootfs.mount. */
int xeno_serve_stop(const char *at, struct xeno_err *err);

#endif
