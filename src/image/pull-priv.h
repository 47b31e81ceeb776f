/* src/image/pull-priv.h - what the parts of a pull share. */
#ifndef XENO_IMAGE_PULL_PRIV_H
#define XENO_IMAGE_PULL_PRIV_H

#include "image/pull.h"

struct pull {
    struct xeno_store *st;
    const struct xeno_pull_opts *o;
    struct xeno_image *im;
    struct xeno_pulled *ret;
    int64_t done_bytes, total_bytes; /* of layers that are not here */
};

/* So many more bytes of a layer are in the store. Errors: -ECANCELED image.cancelled. */
int pull_progress(struct pull *p, int64_t bytes, struct xeno_err *err);

/* pull-pieces.c. Put the layer together from pieces.
 * Returns: 0; 1 when it is better or only to be had whole. */
int pull_by_pieces(struct pull *p, const struct xeno_layer *layer, struct xeno_err *err);

#endif
