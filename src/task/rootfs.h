/* src/task/rootfs.h - the root file system of a session.
 *
 *   SESSION/upper.img   ext4 in a sparse file: all that the session may write, and no more
 *   SESSION/upper       where it is mounted; data/ and work/ in it belong to the overlay
 *   SESSION/rootfs      the layers, below data/: overlayfs, or xeno-cowfs where one is read by
 * pieces POOL/BYTES.img      a fresh file system of that size, to be copied: faster than mkfs
 *   POOL/.spare-PID-N   a writable layer made ahead, for a session that is still to come
 *
 * A session that fills its disk gets ENOSPC inside its own file system, and df(1) tells it the
 * truth. The file has no journal (its life is that of a lease); one that was not unmounted is
 * checked before it is used again.
 *
 * Needs root. Context: a child process; everything blocks for milliseconds.
 */
#ifndef XENO_TASK_ROOTFS_H
#define XENO_TASK_ROOTFS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* A writable layer that belongs to no session yet. It is mounted, but nowhere: with the last
 * descriptor of the mount it and its loop device are gone, whoever was killed, and what remains is
 * a file. */
struct xeno_rootfs_spare {
    int mount;   /* descriptor */
    char *image; /* path of the file, absolute */
};

struct xeno_serve;

struct xeno_rootfs {
    const char *session;       /* folder, absolute */
    const char *pool;          /* folder for templates, absolute */
    const char *layers;        /* folder in which lowers are found by name */
    const char *const *lowers; /* names in it, bottom first */
    size_t nlowers;
    int64_t disk_bytes; /* of the writable layer; an old one may grow to it */
    uint32_t owner;     /* uid and gid of the session's root on the host */
    /* To be used for the writable layer if it is missing: of that size, and in no one else's hands;
     * NULL: none. */
    const struct xeno_rootfs_spare *spare;
    /* Have xeno-cowfs serve it, and not the kernel's overlayfs: task/serve.h; the folders are
     * filled in here. Lowers are not looked at then. NULL: overlayfs. */
    const struct xeno_serve *serve;
};

/* Make a writable layer of `disk_bytes` ahead, its file at `image`: three quarters of what building
 * a root takes, most of it waiting for the kernel.
 * Returns: a descriptor of the mount. Errors: those of xeno_rootfs_build(); then nothing is left.
 */
int xeno_rootfs_spare_make(const char *pool, const char *image, int64_t disk_bytes,
                           struct xeno_err *err);

/* Make what is missing and mount what is not mounted.
 * Errors: -ENOSPC and others rootfs.image, rootfs.loop, rootfs.mount, rootfs.check, serve.*; -EBUSY
 * rootfs.busy: the writable layer is still mounted in somebody's copy of the mounts. Waits for
 * seconds then. */
int xeno_rootfs_build(const struct xeno_rootfs *r, struct xeno_err *err);

/* Let the writable layer grow to `disk_bytes` while it is in use.
 * Errors: -EINVAL rootfs.shrink; -EPERM rootfs.grow: the kernel wants CAP_SYS_RESOURCE for it;
 * rootfs.image. On failure it is as before. */
int xeno_rootfs_grow(const char *session, int64_t disk_bytes, struct xeno_err *err);

/* Open the folder of the writable layer to read what the session wrote. One that is not mounted is
 * mounted read-only, and nowhere: *ret_mount is a descriptor of that, to be closed after *ret_dir;
 * -1 when there is none. Nobody may build the root meanwhile.
 * Errors: -ENOENT rootfs.image: there is no layer; those of xeno_rootfs_build(). */
int xeno_rootfs_open_upper(const char *session, int *ret_dir, int *ret_mount, struct xeno_err *err);

/* Unmount; the writable layer stays. What xeno-cowfs serves has ended before. Not mounted: no
 * effect. Errors: -EBUSY rootfs.mount. */
int xeno_rootfs_release(const char *session, struct xeno_err *err);

/* Unmount at once, in use or not, and delete the writable layer. */
int xeno_rootfs_destroy(const char *session, struct xeno_err *err);

/* Bytes in use in the writable layer, mounted or not; 0 when there is none. Quick. */
int64_t xeno_rootfs_used(const char *session);

/* Is a file system mounted right there? Quick. */
_Bool xeno_rootfs_mounted(const char *path);

#endif
