/* src/cowfs/layer-toc.h - a layer that is a table of contents; its files are fetched as they are
 * read.
 *
 * The table (image/toc.h) is judged as the unpacker judges an archive (image/tree.h), and refused
 * whole for the same reasons. What is seen is what unpacking would have made (image/unpack.h):
 * owners shifted, whiteouts as devices 0:0, user.overlay.opaque on opaque directories, the same
 * attributes kept, hard links as one object. Inode numbers follow from the table alone.
 *
 * Names, attributes and the places of pieces are in memory: some 125 bytes for an object with one
 * piece (tests/test-layer-toc.c). While a table is read it takes nine times its text: 110 MB for
 * 50,000 objects; so here tables have a smaller limit than image/toc.h sets. Contents come from the
 * cache of pieces (image/pieces.h), and what is not there from the sources (image/source.h). Pieces
 * of zeros cost nothing. A read that cannot have the right bytes fails with -EIO.
 */
#ifndef XENO_COWFS_LAYER_TOC_H
#define XENO_COWFS_LAYER_TOC_H

#include "cowfs/layer.h"
#include "image/pieces.h"
#include "image/source.h"

#define XENO_COWFS_TABLE_MAX_BYTES (64 << 20) /* of a table's text: some 270,000 objects */

struct xeno_cowfs_toc_opts {
    struct xeno_pieces *pieces;    /* this and the next two are borrowed until the layer is freed */
    struct xeno_pieces_user *user; /* who is said to read; NULL: nobody */
    struct xeno_sources *sources;
    uint32_t shift; /* of owners: XENO_SUBID_BASE for what a session mounts */
    bool own;       /* all belongs to the caller, who is not root (image/unpack.h) */
    /* A read is about to need these pieces, or whoever reads a file from its beginning to its end
     * soon will: other threads may fetch them meanwhile. NULL. */
    void (*more)(void *arg, struct xeno_cowfs_layer *l, size_t first, size_t count);
    void *more_arg;
    /* Why a read fails; NULL. From any thread. */
    void (*failed)(void *arg, const char *digest, const struct xeno_err *err);
    void *arg;
};

/* The table is read by way of the cache too, so that what is cached can be mounted when nobody
 * answers. Errors: -ENODATA image.toc: the layer has no table; -EFBIG unpack.limit; -EBADMSG
 * image.corrupt; those of xeno_toc_parse(), of image/unpack.h, and of the sources. */
int xeno_cowfs_layer_toc(const struct xeno_layer *layer, const struct xeno_cowfs_toc_opts *opts,
                         struct xeno_cowfs_layer **ret, struct xeno_err *err);

/* --- its pieces, for who fetches ahead --- */

size_t xeno_cowfs_toc_pieces(const struct xeno_cowfs_layer *l);
const uint8_t *xeno_cowfs_toc_sha(const struct xeno_cowfs_layer *l, size_t i); /* 32 bytes */
int64_t xeno_cowfs_toc_blob_bytes(const struct xeno_cowfs_layer *l, size_t i); /* 0: of zeros */
/* As xeno_pieces_ahead(). */
int xeno_cowfs_toc_ahead(struct xeno_cowfs_layer *l, size_t i, bool behind, struct xeno_err *err);

/* Bytes in memory for the layer. */
size_t xeno_cowfs_toc_memory(const struct xeno_cowfs_layer *l);

#endif
