/* src/image/commit.h - what a session has written becomes an overlay of this store.
 *
 * The overlay goes over the same template as the session did, and stands by itself: layers of
 * overlays that the session had are part of it, so that `--template T --overlay NEW` gives the same
 * tree. Its manifest says which template, and all layers that the session ran over.
 *
 * Context: blocking, forks children; a command line program.
 */
#ifndef XENO_IMAGE_COMMIT_H
#define XENO_IMAGE_COMMIT_H

#include "image/build.h"

/* The overlay so far, of a session over these layers (digests, bottom first): all but the layers of
 * the template, which is the image here that has most of them at the bottom. When there is none,
 * all are taken for a template's that is elsewhere.
 *
 * Returns: an image without a digest, the caller's.
 * Errors:  -ENOENT commit.overlay: above the template is a layer that is here in no overlay. */
int xeno_commit_below(struct xeno_store *st, const char *const *over, size_t count,
                      struct xeno_image **ret, struct xeno_err *err);

struct xeno_commit_opts {
    int fd;             /* the tar of the layer, from its beginning; borrowed */
    const char *digest; /* what it must have */
    int64_t size_bytes;
    const char *name;
    const struct xeno_progress *progress;
};
/* Put the layer on top of `im`, and keep that under its name. The tar is what a stranger sent: it
 * is packed and judged by children without rights. Errors: -EBADMSG image.corrupt, and as
 * xeno_image_import(); the store is as before then. */
int xeno_commit_layer(struct xeno_store *st, struct xeno_image *im,
                      const struct xeno_commit_opts *o, struct xeno_made *ret,
                      struct xeno_err *err);

#endif
