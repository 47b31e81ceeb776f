/* src/image/layer.h - make a layer: bytes of a tar in, a compressed blob out; and read its table.
 */
#ifndef XENO_IMAGE_LAYER_H
#define XENO_IMAGE_LAYER_H

#include "image/pack.h"
#include "image/store.h"
#include "image/toc.h"

struct xeno_layer_writer;

/* zstd: level 3 with a worker per processor; gzip: level 6, without a time stamp. The same bytes
 * give the same blob, whatever the number of processors (docs/decisions: why this level). */
int xeno_layer_new(struct xeno_store *st, enum xeno_compression c, struct xeno_layer_writer **ret,
                   struct xeno_err *err);
int xeno_layer_add(struct xeno_layer_writer *w, const void *data, size_t len, struct xeno_err *err);
/* For a layer that is packed here, member by member: the output for xeno_pack_new(). As zstd it
 * becomes zstd:chunked (image/chunked.h). Before the first byte. */
int xeno_layer_pack(struct xeno_layer_writer *w, struct xeno_pack_output *ret,
                    struct xeno_err *err);
/* The layer, with both digests. ret_tar_bytes: NULL or its size before compression. */
int xeno_layer_commit(struct xeno_layer_writer *w, struct xeno_layer *ret, int64_t *ret_tar_bytes,
                      struct xeno_err *err);
void xeno_layer_free(struct xeno_layer_writer *w); /* uncommitted: nothing is left */
XENO_DEFINE_AUTO(xeno_layer_writer, xeno_layer_free);

/* The table of contents of a layer whose blob is in the store, verified against layer->toc.
 * Errors: -ENODATA image.toc: it has none; those of xeno_chunked_toc(). */
int xeno_layer_toc(struct xeno_store *st, const struct xeno_layer *layer,
                   const struct xeno_unpack_limits *limits, struct xeno_toc **ret,
                   struct xeno_err *err);

#endif
