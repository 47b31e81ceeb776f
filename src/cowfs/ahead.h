/* src/cowfs/ahead.h - threads that fetch pieces before they are read.
 *
 * First what is about to be read (cowfs/layer-toc.h says so), then what an earlier mount of the
 * same images has read, in its order: that behind all reads (image/pieces.h), within a bound, and
 * until the first error, since then readers will say what is wrong.
 *
 * Context: any number of threads, but for begin and free.
 */
#ifndef XENO_COWFS_AHEAD_H
#define XENO_COWFS_AHEAD_H

#include "cowfs/layer.h"

struct xeno_cowfs_ahead;

/* shas: `count` digests of 32 bytes, taken; those that no layer has are passed over. Borrows the
 * layers. max_bytes: of blobs, for the digests. Its threads take no signals. */
struct xeno_cowfs_ahead *xeno_cowfs_ahead_begin(struct xeno_cowfs_layer *const *layers,
                                                size_t layer_count, uint8_t *shas, size_t count,
                                                int64_t max_bytes);
/* Fits `more` of struct xeno_cowfs_toc_opts; what does not fit in a short queue is passed over. */
void xeno_cowfs_ahead_more(struct xeno_cowfs_ahead *a, struct xeno_cowfs_layer *l, size_t first,
                           size_t count);
/* Waits for what is under way. */
void xeno_cowfs_ahead_free(struct xeno_cowfs_ahead *a);

#endif
