/* src/cowfs/images.h - the layers of images, read by pieces, for the program.
 *
 * Images are named as the operator names them: in an image store, or in a registry as
 * "oci://HOST/REPO[:TAG][@DIGEST]"; or a stack (image/stack.h) says which layers there are. Bytes
 * come from the cache of pieces, else from the image store, else from the registries that were
 * named. What was read in which order is recorded under the names, of a stack under the digests of
 * its layers, and fetched ahead by a few threads the next time, behind all reads.
 */
#ifndef XENO_COWFS_IMAGES_H
#define XENO_COWFS_IMAGES_H

#include "base/units.h"
#include "cowfs/layer-toc.h"
#include "cowfs/mount.h"
#include "image/stack.h"

struct xeno_cowfs_images;

struct xeno_cowfs_images_opts { /* borrowed until it is freed */
    const char *images;         /* with commas between them, topmost first; NULL: stack, or none */
    const struct xeno_stack *stack; /* its layers by pieces; its folders are passed over */
    const char *imaged;             /* socket of the image manager, for a stack's layers; NULL */
    const char *imaged_store;       /* its store, for mount files; NULL */
    const char *image_store;        /* NULL: there is none */
    const char *cache; /* folder of the cache of pieces; NULL: nothing is read by pieces */
    int64_t cache_bytes;
    const char *registry_ca, *registry_auth; /* image/source-registry.h; NULL */
    bool registry_plain;
    int64_t shift; /* of owners; who cannot give files to those has all for himself */
    xeno_time patience;
    int64_t ahead_bytes; /* at most, from sources; 0: nothing is fetched ahead */
    void (*source_event)(void *arg, const struct xeno_source_event *e);
    void (*read_failed)(void *arg, const char *digest, const struct xeno_err *err);
    /* The registry is away, and what the name stood for when it was last asked is taken. */
    void (*old_manifest)(void *arg, const char *source, const struct xeno_err *err);
    void *arg;
    /* What mount files may name, beside what is in the image store and at registries of images:
     * "HOST[:PORT]"s with commas and absolute directories with colons between them; NULL: none. */
    const char *mount_registries, *mount_dirs;
};

#define XENO_COWFS_TABLES_MAX_BYTES (256 << 20) /* of memory, for the tables of all layers */

/* Finds the images and reads their tables of contents.
 * Errors: -EINVAL cowfs.image (a name that leads nowhere); -EFBIG cowfs.tables; those of the cache,
 * the store, the registry and xeno_cowfs_layer_toc(). */
int xeno_cowfs_images_open(const struct xeno_cowfs_images_opts *opts,
                           struct xeno_cowfs_images **ret, struct xeno_err *err);

/* Hands over its layers, topmost first: at most `room` of them. Once. Returns: how many.
 * Errors: -E2BIG cowfs.layers. They are to be freed before this is. */
int xeno_cowfs_images_layers(struct xeno_cowfs_images *im, struct xeno_cowfs_layer **layers,
                             size_t room, struct xeno_err *err);

/* Begin to fetch ahead, and to record. Makes threads that take no signals. */
void xeno_cowfs_images_begin(struct xeno_cowfs_images *im);
/* No more; before the layers are freed. Waits for fetches under way. Again: no effect. */
void xeno_cowfs_images_end(struct xeno_cowfs_images *im);

/* What mount files name: `find` of a struct xeno_cowfs_finder (cowfs/mount.h), whose arg is this.
 * Images are read by pieces; what was found once is found again without asking anybody.
 * Errors: -EACCES mount.denied (a registry or a directory that may not be named), -EINVAL
 * cowfs.image; those of the store, the registry and xeno_cowfs_layer_toc(). */
int xeno_cowfs_images_find(void *images, const struct xeno_mount_ref *ref, const char *pin,
                           struct xeno_cowfs_found *ret, struct xeno_err *err);

struct xeno_pieces_count xeno_cowfs_images_counts(struct xeno_cowfs_images *im,
                                                  int64_t *ret_source_bytes);
void xeno_cowfs_images_free(struct xeno_cowfs_images *im);
XENO_DEFINE_AUTO(xeno_cowfs_images, xeno_cowfs_images_free);

#endif
