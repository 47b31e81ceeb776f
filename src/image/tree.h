/* src/image/tree.h - put the members of a layer into a folder, refusing what is not decent.
 *
 * Each member is judged by its name and by what the archive held before, in a table of all names
 * seen; only then is the file system touched, and there every step is confined to the folder again
 * (openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS). Without a folder only the judging is
 * done.
 */
#ifndef XENO_IMAGE_TREE_H
#define XENO_IMAGE_TREE_H

#include "image/tar.h"

struct xeno_tree;

/* root: an open folder, borrowed; -1: judge only. own: leave owners alone. Borrows limits. */
struct xeno_tree *xeno_tree_new(int root, bool own, const struct xeno_unpack_limits *limits);
void xeno_tree_free(struct xeno_tree *tr);
XENO_DEFINE_AUTO(xeno_tree, xeno_tree_free);

/* The member just read from `t`; its data is read from there. t NULL, only without a folder: there
 * is no data, as when a table of contents is judged. Errors: image/unpack.h. */
int xeno_tree_add(struct xeno_tree *tr, struct xeno_tar *t, const struct xeno_tar_entry *e,
                  struct xeno_err *err);

/* After the last: modes and times of folders, which filling them would have changed. */
int xeno_tree_end(struct xeno_tree *tr, struct xeno_err *err);

/* What the members made, each name once, a folder before what is in it; "." is the first. */
struct xeno_tree_name {
    const char *path;                                                /* in plain form */
    enum { XENO_TREE_DIR, XENO_TREE_FILE, XENO_TREE_WHITEOUT } kind; /* file: or link, or fifo */
    bool opaque;
    /* Which call of xeno_tree_add() made it, from 0; of a hard link the one of what it is a link
     * to; -1: none by itself (a folder that only others named, a whiteout). */
    int64_t member;
    unsigned mode; /* of folders, as are the next three */
    int64_t uid, gid;
    struct timespec mtime;
};
int xeno_tree_each(const struct xeno_tree *tr,
                   int (*fn)(void *arg, const struct xeno_tree_name *n, struct xeno_err *err),
                   void *arg, struct xeno_err *err);

int64_t xeno_tree_entries(const struct xeno_tree *tr);
int64_t xeno_tree_disk_bytes(const struct xeno_tree *tr);
/* Does a folder hold a name that may be a mount file (image/mount-file.h)? */
bool xeno_tree_mounts(const struct xeno_tree *tr);

/* A name from an archive in plain form: "./a//b/" is "a/b", "./" is ".". `out` holds PATH_MAX.
 * Errors: -EINVAL unpack.name (absolute, "..", empty, a part over 255 bytes), -EFBIG unpack.limit.
 */
int xeno_tree_name(const char *raw, const struct xeno_unpack_limits *limits, char *out,
                   struct xeno_err *err);

/* Told of each member once it is judged and in place: its name in plain form. */
struct xeno_tree_hook {
    int (*fn)(void *arg, const char *path, const struct xeno_tar_entry *e, struct xeno_err *err);
    void *arg;
};

/* Read all of a layer into a folder (or nowhere, root -1), in this process. hook: NULL for none. */
int xeno_tree_unpack(const struct xeno_tar_input *input, unsigned compressions, int root, bool own,
                     const struct xeno_unpack_limits *limits, const struct xeno_tree_hook *hook,
                     struct xeno_unpacked *ret, struct xeno_err *err);

#endif
