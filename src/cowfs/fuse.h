/* src/cowfs/fuse.h - serve a stack over FUSE; the wrapper of libfuse3.
 *
 * The kernel checks rights (default_permissions, with ACLs), keeps locks, and caches names,
 * attributes and contents without a limit of time: nobody but this mount may change the upper while
 * it is served. Writes are cached too: what was written is in the upper after close(2), fsync(2) or
 * msync(2) have returned, so a kill -9 of the server loses nothing that was acknowledged by these.
 * The server remembers as many nodes as the kernel does, and keeps a bounded number of directories
 * open. Under Landlock nothing can be unmounted: a server that mounted for itself, and unmounts at
 * its end, cannot be confined by it; one that was given the mount can.
 */
#ifndef XENO_COWFS_FUSE_H
#define XENO_COWFS_FUSE_H

#include "cowfs/stack.h"

struct xeno_cowfs_mount;

struct xeno_cowfs_mount_opts {
    const char *where;   /* NULL: it is mounted already, and `fd` is its descriptor of /dev/fuse */
    int fd;              /* taken, if `where` is NULL */
    const char *options; /* more of them, with commas, as of mount(8); may be NULL */
    int threads;         /* at most; above zero */
};

/* Mount. Borrows: c, until it is freed. From now on file systems calls below `where` wait for
 * xeno_cowfs_serve(). Without the right to mount, fusermount3(1) does it.
 * Errors: -EIO cowfs.mount; libfuse has told stderr why. */
int xeno_cowfs_mount(struct xeno_cowfs *c, const struct xeno_cowfs_mount_opts *opts,
                     struct xeno_cowfs_mount **ret, struct xeno_err *err);
/* Until it is unmounted by somebody, or SIGINT, SIGTERM or SIGHUP come: then it unmounts.
 * Errors: token cowfs.serve. Context: once; makes threads. */
int xeno_cowfs_serve(struct xeno_cowfs_mount *m, struct xeno_err *err);
void xeno_cowfs_mount_free(struct xeno_cowfs_mount *m);
XENO_DEFINE_AUTO(xeno_cowfs_mount, xeno_cowfs_mount_free);

#endif
