/* src/cowfs/mount.h - file systems that `.mount` files of layers name (RFC 12), mounted when their
 * directory is first used.
 *
 * What a directory's mount file names lies directly below the layer that the file is in, the first
 * reference topmost, and above the layers below that. Of each file system (the stack as it was
 * opened is one, each that was mounted another) only the topmost mount file of a directory counts,
 * and never one of the upper: what a session writes changes nothing of what its tree is made of.
 * What is mounted is read-only, as any layer, and its own mount files count in it.
 *
 * A directory is used when something in it is looked up, listed or changed. Should then one
 * reference not lead to a file system, all of these fail with -EIO, an event says why, and after
 * XENO_COWFS_RETRY_S who comes next tries again: never is there a tree with a part left out.
 *
 * What a reference without a digest led to is noted in the work directory, `mounts`, before the
 * tree shows it, and is what it leads to from then on, over restarts: a name that moves does not
 * move a tree that is in use.
 *
 * Bounds: XENO_MOUNT_DEPTH file systems within each other, none within itself; a directory
 * for each of XENO_COWFS_LAYERS_MAX layers in all; image/mount-file.h for the files.
 *
 * Inode numbers of mounted objects follow from that of the directory, from the layer and from the
 * number in it: the same over restarts, as 62 bits of a hash, which two objects share with a
 * probability of one in ten millions for a million of them.
 */
#ifndef XENO_COWFS_MOUNT_H
#define XENO_COWFS_MOUNT_H

#include "cowfs/layer.h"
#include "cowfs/stack.h"
#include "image/mount-file.h"

#define XENO_COWFS_MOUNTS_MAX  1024 /* file systems mounted, each place counted; names noted */
#define XENO_COWFS_RETRY_S     2
#define XENO_COWFS_FS_NAME_MAX 1100

/* A file system. */
struct xeno_cowfs_found {
    char name[XENO_COWFS_FS_NAME_MAX]; /* which it is, whatever reference led to it; an image's is
                                          the digest of its manifest */
    struct xeno_cowfs_layer *layers[XENO_COWFS_LAYERS_MAX]; /* topmost first; borrowed by the stack
                                                               until it is freed */
    uint64_t ids[XENO_COWFS_LAYERS_MAX]; /* what a layer is, the same at each start */
    size_t count;
};

struct xeno_cowfs_finder {
    /* Find a file system. May take long; several threads may ask at a time, and for the same one
     * again. pin: its name as it was found under this reference before; NULL. */
    int (*find)(void *arg, const struct xeno_mount_ref *ref, const char *pin,
                struct xeno_cowfs_found *ret, struct xeno_err *err);
    /* What is mounted, or cannot be, where; the reference, or NULL: it is the mount file itself.
     * From any thread; either may be NULL. place: from the root of the stack, "/" for that. */
    void (*mounted)(void *arg, const char *place, const char *name);
    void (*failed)(void *arg, const char *place, const char *ref, const struct xeno_err *err);
    void *arg;
};

/* From now on mount files count; before the first call of the stack. finder: copied. Errors:
 * -EBADMSG cowfs.pins: what was noted cannot be read; io.read. */
int xeno_cowfs_mounts(struct xeno_cowfs *c, const struct xeno_cowfs_finder *finder,
                      struct xeno_err *err);

#endif
