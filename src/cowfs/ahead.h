/* src/cowfs/ahead.h - fetch what an earlier mount of the same images has read, in its order.
 *
 * A few threads, which begin a piece only when no reader waits for one (image/pieces.h) and end at
 * the first error: then readers will say what is wrong.
 */
#ifndef XENO_COWFS_AHEAD_H
#define XENO_COWFS_AHEAD_H

#include "cowfs/layer.h"

struct xeno_cowfs_ahead;

/* shas: `count` digests of 32 bytes, taken; those that no layer has are passed over. Borrows the
 * layers. max_bytes: of blobs, after which it ends. Takes no signals. */
struct xeno_cowfs_ahead *xeno_cowfs_ahead_begin(struct xeno_cowfs_layer *const *layers,
                                                size_t layer_count, uint8_t *shas, size_t count,
                                                int64_t max_bytes);
/* Waits for what is under way. */
void xeno_cowfs_ahead_free(struct xeno_cowfs_ahead *a);

#endif
