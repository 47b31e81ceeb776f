/* src/cowfs/layer.h - what a read-only layer is to the stack: a const table of functions.
 *
 * A layer is asked about one name below one of its directories, which it knows by a handle, a
 * number that it gave out. The upper is read through the same table. There are two: a directory
 * (below), and a table of contents whose files are fetched as they are read (cowfs/layer-toc.h).
 *
 * A layer does not change while it is open. Names are single ones: never empty, ".", ".." nor with
 * a slash, but for "" where it says so. What it says is checked by nobody above it: it refuses what
 * it would not have made itself.
 *
 * Context: any number of threads. Errors: a negative errno; -ENOENT for a name that is not there.
 */
#ifndef XENO_COWFS_LAYER_H
#define XENO_COWFS_LAYER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/err.h"

struct xeno_cowfs_layer;
struct xeno_cowfs_data; /* an open file of a layer that has `data_open` */

/* Called for each name but "." and ".."; a negative result ends the listing and is its result. */
typedef int (*xeno_cowfs_each)(void *arg, const char *name, uint8_t type, uint64_t ino);

struct xeno_cowfs_layer_ops {
    const char *name; /* in messages */
    /* A handle of the directory `name` below `parent`; parent -1: of the layer's root. */
    int (*dir_open)(struct xeno_cowfs_layer *l, int parent, const char *name);
    void (*dir_close)(struct xeno_cowfs_layer *l, int dir);
    /* A handle of an object that is no directory, used with the name "" below, until dir_close. */
    int (*hold)(struct xeno_cowfs_layer *l, int dir, const char *name);
    /* name "": the handle's own object, here and below. Whiteouts are shown as what they are. */
    int (*stat)(struct xeno_cowfs_layer *l, int dir, const char *name, struct stat *ret);
    int (*list)(struct xeno_cowfs_layer *l, int dir, xeno_cowfs_each fn, void *arg);
    /* Is there something called `inner` in the directory `name`? Quick. */
    bool (*holds)(struct xeno_cowfs_layer *l, int dir, const char *name, const char *inner);
    ssize_t (*readlink)(struct xeno_cowfs_layer *l, int dir, const char *name, char *buf,
                        size_t size);
    /* A descriptor of the regular file `name`, for pread(2); of a layer O_RDONLY | O_NOATIME. */
    int (*open)(struct xeno_cowfs_layer *l, int dir, const char *name, int flags);
    /* Instead of `open`, where files are not files of this host: all four or none. Reading may take
     * long, and gives all there is of `len` or an error, never wrong bytes: -EIO when nobody has
     * the right ones. data_seek knows SEEK_DATA and SEEK_HOLE. */
    int (*data_open)(struct xeno_cowfs_layer *l, int dir, const char *name,
                     struct xeno_cowfs_data **ret);
    ssize_t (*data_read)(struct xeno_cowfs_layer *l, struct xeno_cowfs_data *d, void *buf,
                         size_t len, off_t off);
    off_t (*data_seek)(struct xeno_cowfs_layer *l, struct xeno_cowfs_data *d, off_t off,
                       int whence);
    void (*data_close)(struct xeno_cowfs_layer *l, struct xeno_cowfs_data *d);
    /* As lgetxattr(2) and llistxattr(2). */
    ssize_t (*getxattr)(struct xeno_cowfs_layer *l, int dir, const char *name, const char *attr,
                        void *buf, size_t size);
    ssize_t (*listxattr)(struct xeno_cowfs_layer *l, int dir, const char *name, char *buf,
                         size_t size);
    void (*free)(struct xeno_cowfs_layer *l);
};
struct xeno_cowfs_layer {
    const struct xeno_cowfs_layer_ops *ops;
    bool no_mounts; /* it is known to have no mount file (cowfs/mount.h) */
};

/* A directory, by path, as the layer cache unpacks it (image/cache.h). Handles are descriptors of
 * O_PATH. Errors: those of open(2) with cowfs.layer. */
int xeno_cowfs_layer_dir(const char *path, struct xeno_cowfs_layer **ret, struct xeno_err *err);

#endif
