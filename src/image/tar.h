/* src/image/tar.h - read a tar that a stranger made, member by member (libarchive behind).
 *
 * Two stages: the blob is decompressed (gzip or zstd, once, never nested), hashed and counted, and
 * only then read as tar; so the bounds on size and ratio hold for all bytes, and the hash is the
 * layer's diff_id. Nothing is judged here but size: names and types are checked by image/tree.h.
 */
#ifndef XENO_IMAGE_TAR_H
#define XENO_IMAGE_TAR_H

#include <sys/types.h>

#include "image/unpack.h"

enum xeno_tar_type {
    XENO_TAR_FILE,
    XENO_TAR_DIR,
    XENO_TAR_SYMLINK,
    XENO_TAR_HARDLINK,
    XENO_TAR_FIFO,
    XENO_TAR_OTHER /* devices, sockets, whatever else */
};

struct xeno_tar_xattr {
    const char *name;
    const void *value;
    size_t len;
};

#define XENO_TAR_XATTRS_MAX 64

struct xeno_tar_extent {
    int64_t offset, len;
};

/* One member; everything is borrowed until the next. */
struct xeno_tar_entry {
    enum xeno_tar_type type;
    const char *kind; /* of XENO_TAR_OTHER, for people: "a block device" */
    const char *name; /* as in the archive */
    const char *link; /* target of a link; "" else */
    int64_t uid, gid;
    unsigned mode; /* 07777 */
    int64_t size_bytes;
    /* Of a file to be written with holes: where it has data, in order. One that is read does not
     * say it here, but by the offsets of its data. */
    bool sparse;
    size_t extent_count;
    const struct xeno_tar_extent *extents;
    struct timespec mtime;
    size_t xattr_count;
    struct xeno_tar_xattr xattrs[XENO_TAR_XATTRS_MAX];
};

/* Where bytes come from: returns how many were read into buf, 0 at the end, < 0 with err filled. */
struct xeno_tar_input {
    ssize_t (*read)(void *arg, void *buf, size_t max, struct xeno_err *err);
    void *arg;
};
struct xeno_tar_input xeno_tar_fd(const int *fd); /* read(2) of *fd */

struct xeno_tar;

#define XENO_TAR_IS(c) (1u << (c))
#define XENO_TAR_ANY                                                                               \
    (XENO_TAR_IS(XENO_COMPRESS_NONE) | XENO_TAR_IS(XENO_COMPRESS_GZIP) |                           \
     XENO_TAR_IS(XENO_COMPRESS_ZSTD))

/* compressions: those it may have, of XENO_TAR_IS(). Borrows input and limits until freed.
 * Errors: -EBADMSG image.corrupt. */
int xeno_tar_open(const struct xeno_tar_input *input, unsigned compressions,
                  const struct xeno_unpack_limits *limits, struct xeno_tar **ret,
                  struct xeno_err *err);
/* Only decompress: no tar is looked for, and xeno_tar_bytes() reads. */
int xeno_tar_open_raw(const struct xeno_tar_input *input, unsigned compressions,
                      const struct xeno_unpack_limits *limits, struct xeno_tar **ret,
                      struct xeno_err *err);
/* Returns: 1 and the next bytes, borrowed until the next call; 0 at the end. */
int xeno_tar_bytes(struct xeno_tar *t, const void **ret, size_t *ret_len, struct xeno_err *err);
void xeno_tar_free(struct xeno_tar *t);
XENO_DEFINE_AUTO(xeno_tar, xeno_tar_free);

/* Returns: 1 and the next member; 0 at the end of the archive.
 * Errors: -EBADMSG image.corrupt; -EFBIG unpack.limit; -EINVAL unpack.name. */
int xeno_tar_next(struct xeno_tar *t, struct xeno_tar_entry *ret, struct xeno_err *err);

/* Data of the member, in order; gaps are holes. Returns: 1; 0 at its end. Unread data is skipped.
 */
int xeno_tar_data(struct xeno_tar *t, const void **ret, size_t *ret_len, int64_t *ret_offset,
                  struct xeno_err *err);

/* Read what follows the end of the archive, and give hash and size of all. */
int xeno_tar_end(struct xeno_tar *t, char ret_diff_id[XENO_DIGEST_TEXT], int64_t *ret_bytes,
                 struct xeno_err *err);

#endif
