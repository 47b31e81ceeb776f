/* src/image/toc.h - the table of contents of a zstd:chunked layer (RFC 7).
 *
 * A layer that says of each file, and of each piece of a large file, where in the blob it lies and
 * what its SHA-256 is. The table is JSON in the form of containers/storage (version 1 of its
 * "TOC"), which podman and CRI-O write and read too. It is what a XenoServer fetches first; its own
 * digest is in the manifest, so that whoever trusts the manifest need trust no store.
 *
 * What is read here a stranger wrote. A table is refused whole when it is not one, when a limit of
 * `struct xeno_unpack_limits` is passed, or when its pieces do not make up its files: the pieces of
 * a file follow each other without a gap, lie inside the blob, and sum up to its size. Whether
 * names, links and types are decent is judged where the tree is made (image/tree.h).
 *
 * Pure. Context: one thread per struct.
 */
#ifndef XENO_IMAGE_TOC_H
#define XENO_IMAGE_TOC_H

#include "image/tar.h"

#define XENO_TOC_MAX_BYTES  (128 << 20) /* of the JSON */
#define XENO_TOC_CHUNKS_MAX 4000000
#define XENO_TOC_CHUNK_MAX                                                                         \
    (64 << 20) /* one piece, but for one of zeros; ours are 256 KiB at most */

struct xeno_toc_chunk {
    int64_t file_offset, size_bytes; /* in the file; size above zero, at most XENO_TOC_CHUNK_MAX */
    int64_t blob_offset, blob_bytes; /* one or more zstd frames that hold it, and nothing else */
    uint8_t sha[32];                 /* of the size_bytes */
    bool zeros;                      /* nothing but zero bytes: need not be fetched */
};

struct xeno_toc_file {
    enum xeno_tar_type type;
    unsigned mode;     /* 07777 */
    char *name, *link; /* as in the archive; link "" when there is none */
    int64_t uid, gid, size_bytes;
    struct timespec mtime;
    size_t xattr_count;
    struct xeno_tar_xattr *xattrs; /* names and values are the table's */
    uint8_t sha[32];               /* of the whole file; all zero when it is empty */
    size_t chunk, chunk_count;     /* in chunks[]; a file that is not empty has one at least */
};

struct xeno_toc {
    size_t count, chunk_count;
    struct xeno_toc_file *files; /* in the order of the layer */
    struct xeno_toc_chunk *chunks;
};

struct xeno_toc *xeno_toc_new(void);
void xeno_toc_free(struct xeno_toc *t);
XENO_DEFINE_AUTO(xeno_toc, xeno_toc_free);

/* Add a member (copied), then the pieces of that member in their order, then its digest. The caller
 * keeps the rules above.
 *
 * Returns: false, and nothing added, when JSON cannot say its name, link or an attribute's name,
 * since it is not UTF-8: such a layer has no table. */
bool xeno_toc_add(struct xeno_toc *t, const struct xeno_tar_entry *e);
void xeno_toc_add_chunk(struct xeno_toc *t, const struct xeno_toc_chunk *c);
void xeno_toc_set_sha(struct xeno_toc *t, const uint8_t sha[32]);

/* The JSON; the same table gives the same bytes. The caller's. */
char *xeno_toc_format(const struct xeno_toc *t, size_t *ret_len);

/* Read a table for a blob of blob_bytes.
 *
 * Errors: -EINVAL image.toc and json.* (with the path of the element), -EFBIG unpack.limit,
 *         json.size; -EINVAL unpack.name for a string that no file name can be.
 */
int xeno_toc_parse(const char *text, size_t len, int64_t blob_bytes,
                   const struct xeno_unpack_limits *limits, struct xeno_toc **ret,
                   struct xeno_err *err);

#endif
