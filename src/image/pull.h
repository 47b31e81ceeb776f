/* src/image/pull.h - an image from a registry into a store.
 *
 * The manifest first, then what of it is not here: whole, or, for a layer with a table of contents,
 * by its pieces: those that older layers of the store have are copied from there, the others are
 * fetched by range, and the blob that comes out must be the very one that the manifest names, byte
 * for byte; else it is fetched whole. Every blob is checked by digest before it has a name, every
 * new layer is unpacked in trial (image/build.h), and the image gets its name last.
 *
 * Context: blocking; runs the registry's loop, and forks for the trial.
 */
#ifndef XENO_IMAGE_PULL_H
#define XENO_IMAGE_PULL_H

#include "image/registry.h"
#include "image/store.h"

struct xeno_pull_opts {
    struct xeno_registry *registry;
    const char *ref;           /* a tag or a digest there */
    const char *name;          /* here; NULL: none */
    enum xeno_image_kind kind; /* what it must be; ANY: either */
    const char *arch;          /* NULL: this machine's */
    bool whole;                /* fetch no layer by its pieces */
    bool partial;              /* manifest and config only; the layers may be nowhere here */
    bool check; /* read what is here as well, and fetch what is spoilt; else its size is enough */
    const struct xeno_unpack_limits *limits; /* NULL: the defaults */
    const struct xeno_progress *progress;    /* "fetch", in bytes of layers that were not here */
};

struct xeno_pulled {
    char digest[XENO_DIGEST_TEXT]; /* of the manifest */
    int64_t size_bytes;            /* of its layers */
    size_t layers, layers_here;    /* all; those that were here before */
    size_t layers_pieced;          /* put together from pieces, some of which were here */
    size_t layers_again;           /* put together wrongly, and so fetched whole */
    int64_t fetched_bytes;         /* that came from the registry, all told */
    int64_t reused_bytes;          /* of new layers, copied from older layers */
    int64_t requests;
};

/* Errors: those of image/registry.h; -EINVAL image.kind, image.arch, image.name; those of
 *         manifest.h, unpack.h and of writing to the store. Nothing of it has a name then. */
int xeno_image_pull(struct xeno_store *st, const struct xeno_pull_opts *opts,
                    struct xeno_pulled *ret, struct xeno_err *err);

/* One layer's blob, whole and checked against its digest, into a store whose index names an image
 * that has it. Its contents are not tried. Errors: those of image/registry.h and of the store. */
int xeno_image_pull_layer(struct xeno_store *st, struct xeno_registry *registry,
                          const struct xeno_layer *layer, const struct xeno_progress *progress,
                          struct xeno_err *err);

#endif
