/* src/image/mount-tree.h - an image, and all that its mount files name, as far as it goes (RFC 12).
 *
 * For showing. Layers with a table of contents are read by it, others whole, by a child without
 * rights (image/job.h). What cannot be had or read is told in its place and fails nothing else.
 *
 * Bounds: XENO_MOUNT_DEPTH images within each other, none within itself; XENO_MOUNT_TREE_MAX
 * images, each time it is named; XENO_MOUNT_DIRS_MAX mount files in a layer.
 */
#ifndef XENO_IMAGE_MOUNT_TREE_H
#define XENO_IMAGE_MOUNT_TREE_H

#include "image/manifest.h"
#include "image/mount-file.h"
#include "image/tar.h"

#define XENO_MOUNT_TREE_MAX 128
#define XENO_MOUNT_DIRS_MAX 256

struct xeno_mount_tree {
    char *ref;                     /* as it was named */
    bool fixed;                    /* by a digest */
    struct xeno_err why;           /* code 0: all is well */
    char digest[XENO_DIGEST_TEXT]; /* "" when it was not found, or is a directory of a host */
    enum xeno_image_kind kind;
    size_t layer_count;
    struct xeno_mount_layer {
        struct xeno_layer layer;
        struct xeno_err why;
        size_t count;
        struct xeno_mount_dir {
            char *path;          /* of the directory: "." or "srv/www" */
            bool hidden;         /* by a layer above: it counts for nothing */
            struct xeno_err why; /* the file is no good */
            size_t count;
            struct xeno_mount_tree *mounts; /* topmost first */
        } * dirs;
    } * layers; /* topmost first */
};
void xeno_mount_tree_free(struct xeno_mount_tree *t);
XENO_DEFINE_AUTO(xeno_mount_tree, xeno_mount_tree_free);

/* Where images are. */
struct xeno_mount_tree_opts {
    /* The image that a reference names, the caller's, and where it is (given to the others and to
     * `leave`, also NULL). */
    int (*find)(void *arg, const struct xeno_mount_ref *ref, struct xeno_image **ret,
                void **ret_place, struct xeno_err *err);
    void (*leave)(void *arg, void *place); /* NULL: nothing is to be done */
    /* Part of a layer's blob. */
    int (*read)(void *arg, void *place, const char *digest, int64_t offset, void *buf, size_t len,
                struct xeno_err *err);
    /* All of it, as a descriptor. Errors: -ENOENT, with a reason, where it is not at hand. */
    int (*open)(void *arg, void *place, const char *digest, int *ret_fd, struct xeno_err *err);
    void *arg;
    const struct xeno_unpack_limits *limits; /* NULL: the defaults */
};

/* Of `image`, named `ref`, at `place`. Borrows all. What failed is in the tree. */
struct xeno_mount_tree *xeno_mount_tree_make(const struct xeno_mount_tree_opts *opts,
                                             const char *ref, const struct xeno_image *image,
                                             void *place);

/* --- mount-scan.c: the names of one layer --- */

struct xeno_mount_seen {
    const char *path; /* in plain form */
    enum xeno_tar_type type;
    /* Of a regular file XENO_MOUNT_NAME: its text, unless `why` says why it cannot be read. */
    const char *text;
    size_t len;
    struct xeno_err why;
};
/* Every member of the layer in order. fn < 0 stops. */
int xeno_mount_scan(const struct xeno_mount_tree_opts *opts, void *place,
                    const struct xeno_layer *layer,
                    int (*fn)(void *arg, const struct xeno_mount_seen *s, struct xeno_err *err),
                    void *arg, struct xeno_err *err);

#endif
