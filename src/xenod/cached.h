/* src/xenod/cached.h - which images and layers this machine has, for its advert (RFC 0015, 6).
 *
 * Of two stores: the operator's, whose images are whole, and the image manager's, in which layers
 * may be missing. Of the latter a layer counts when its blob is there, or its table of contents,
 * by which it is used at once and what was read of it stays; and an image when all its layers do.
 * The newest come first: an image is as new as its manifest, which the image manager touches when
 * it is asked for.
 *
 * Context: one thread; reads files, and only when the index or the blobs of a store have changed.
 */
#ifndef XENOD_CACHED_H
#define XENOD_CACHED_H

#include "image/store.h"

#define XENOD_CACHED_IMAGES 64
#define XENOD_CACHED_LAYERS 128
#define XENOD_CACHED_DIGITS 16 /* hexadecimal ones of a digest, its first */

typedef char xenod_cached_digest[XENOD_CACHED_DIGITS + 1];

struct xenod_cached {
    size_t image_count, layer_count;
    xenod_cached_digest images[XENOD_CACHED_IMAGES], layers[XENOD_CACHED_LAYERS];
    struct timespec seen[4]; /* own: when the stores were changed that this was read from */
};

/* Bring it up to date; begin with zeroes. Either store may be NULL. Returns: was it read again? */
bool xenod_cached_look(struct xenod_cached *c, struct xeno_store *own, struct xeno_store *fetched);

#endif
