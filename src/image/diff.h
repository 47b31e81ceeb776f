/* src/image/diff.h - what of an image differs from another, file by file and in bytes to be
 * fetched.
 *
 * Both are read from their layers' tables of contents (image/toc.h), so no layer is unpacked. The
 * files compared are those that a session would see: layers stacked, whiteouts applied.
 */
#ifndef XENO_IMAGE_DIFF_H
#define XENO_IMAGE_DIFF_H

#include "image/store.h"

enum xeno_diff_kind { XENO_DIFF_ADDED, XENO_DIFF_REMOVED, XENO_DIFF_CHANGED, XENO_DIFF_META };

struct xeno_diff_item {
    enum xeno_diff_kind kind; /* META: the same content, another mode, owner or attribute */
    const char *path;         /* borrowed for the call */
    int64_t old_bytes, new_bytes;
};

struct xeno_diff {
    int64_t added, removed, changed, meta; /* files, folders and links */
    int64_t pieces, bytes;                 /* of the new image, as they stand in its layers */
    int64_t new_pieces, new_bytes;         /* of those, what nobody has who has the old image */
    int64_t table_bytes;                   /* and the tables, which come first */
};

/* Compare images of one store; an overlay stands on the template it was made over. Each difference
 * is told to `fn` (NULL allowed) in order of its path.
 *
 * Errors: -ENODATA image.toc: a layer has no table, since another program made it and both do not
 *         share it; those of xeno_store_resolve() and of the tables.
 */
int xeno_image_diff(struct xeno_store *st, const char *old_ref, const char *new_ref,
                    int (*fn)(void *arg, const struct xeno_diff_item *item, struct xeno_err *err),
                    void *arg, struct xeno_diff *ret, struct xeno_err *err);

#endif
