/* src/image/chunked.h - zstd:chunked: a tar in zstd frames that can be fetched piece by piece (RFC
 * 7).
 *
 * To whoever decompresses all of it the blob is an ordinary tar.zst. But each file's data stand in
 * frames of their own, large files cut by their content (image/cdc.h), and at the end, in frames
 * that decoders skip, stand the table of contents (image/toc.h) and a foot that says where the
 * table is. The place and digest of the table are noted at the layer's descriptor in the manifest
 * too: a reader takes them from there and needs no foot; that digest is what binds table to
 * manifest.
 *
 * Pure: bytes in, bytes out. Context: one thread per struct.
 */
#ifndef XENO_IMAGE_CHUNKED_H
#define XENO_IMAGE_CHUNKED_H

#include "image/pack.h"
#include "image/toc.h"

/* --- writing --- */

struct xeno_chunked;

/* The blob goes to output->write; output->member is not used. The same members and the same bytes
 * give the same blob. */
int xeno_chunked_new(const struct xeno_pack_output *output, struct xeno_chunked **ret,
                     struct xeno_err *err);
void xeno_chunked_free(struct xeno_chunked *c);
XENO_DEFINE_AUTO(xeno_chunked, xeno_chunked_free);

/* The next bytes of the tar. */
int xeno_chunked_add(struct xeno_chunked *c, const void *data, size_t len, struct xeno_err *err);
/* The head of this member was among the bytes added; the next size_bytes are its data. */
int xeno_chunked_member(struct xeno_chunked *c, const struct xeno_tar_entry *e,
                        struct xeno_err *err);
/* The tar is complete: writes table and foot. When a name cannot be told in a table there is none:
 * ret->bytes is 0, and the blob is a plain tar.zst. */
int xeno_chunked_end(struct xeno_chunked *c, struct xeno_toc_place *ret, struct xeno_err *err);

/* What packs a tar straight into it: xeno_pack_new(&out, ...). */
struct xeno_pack_output xeno_pack_to_chunked(struct xeno_chunked *c);

/* --- reading --- */

#define XENO_CHUNKED_FOOT 72 /* bytes at the end of the blob */

/* Where the foot (the last XENO_CHUNKED_FOOT bytes of a blob of blob_bytes) says the table is; its
 * digest is not in it. Returns false when that is no foot, or points out of the blob. */
bool xeno_chunked_foot(const void *foot, int64_t blob_bytes, struct xeno_toc_place *ret);

/* The table from its bytes in the blob (place->bytes of them at place->offset), verified against
 * place->sha. Errors: -EBADMSG image.corrupt; -EFBIG unpack.limit; those of xeno_toc_parse(). */
int xeno_chunked_toc(const struct xeno_toc_place *place, const void *data, int64_t blob_bytes,
                     const struct xeno_unpack_limits *limits, struct xeno_toc **ret,
                     struct xeno_err *err);

/* A piece from its bytes in the blob (piece->blob_bytes of them): decompressed into `out`, which
 * holds piece->size_bytes, and verified. Errors: -EBADMSG image.corrupt: nothing in `out` is to be
 * used. */
int xeno_chunked_piece(const struct xeno_toc_chunk *piece, const void *data, void *out,
                       struct xeno_err *err);

#endif
