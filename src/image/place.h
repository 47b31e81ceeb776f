/* src/image/place.h - the file system's half of image/tree.h: make one thing below a root folder.
 *
 * Paths are in plain form and already judged; even so no step leaves the root or follows a link
 * (openat2). With root -1 every call does nothing and succeeds. Errors: token unpack.write.
 */
#ifndef XENO_IMAGE_PLACE_H
#define XENO_IMAGE_PLACE_H

#include <limits.h>

#include "image/tar.h"

struct xeno_place {
    int root;
    bool own;   /* leave owners alone */
    int parent; /* the folder last worked in: members come folder by folder */
    char parent_path[PATH_MAX];
};
void xeno_place_init(struct xeno_place *p, int root, bool own);
void xeno_place_release(struct xeno_place *p);

int xeno_place_file(struct xeno_place *p, const char *path, struct xeno_tar *t,
                    const struct xeno_tar_entry *e, struct xeno_err *err);
int xeno_place_dir(struct xeno_place *p, const char *path, struct xeno_err *err); /* mode 0700 */
int xeno_place_dir_xattrs(struct xeno_place *p, const char *path, const struct xeno_tar_entry *e,
                          struct xeno_err *err);
int xeno_place_dir_opaque(struct xeno_place *p, const char *path, struct xeno_err *err);
int xeno_place_dir_attrs(struct xeno_place *p, const char *path, unsigned mode, int64_t uid,
                         int64_t gid, struct timespec mtime, struct xeno_err *err);
int xeno_place_symlink(struct xeno_place *p, const char *path, const struct xeno_tar_entry *e,
                       struct xeno_err *err);
int xeno_place_hardlink(struct xeno_place *p, const char *path, const char *target,
                        struct xeno_err *err);
int xeno_place_fifo(struct xeno_place *p, const char *path, const struct xeno_tar_entry *e,
                    struct xeno_err *err);
int xeno_place_whiteout(struct xeno_place *p, const char *path, struct xeno_err *err);
int xeno_place_unlink(struct xeno_place *p, const char *path, struct xeno_err *err);

/* Is attribute `name` kept, and as what? A file capability is cut to the form without a namespace
 * id, which the kernel then fills in. Returns: false to drop it. `copy` holds 20 bytes. */
bool xeno_xattr_keep(struct xeno_tar_xattr *x, char copy[20]);

/* Is it the name of a POSIX ACL? Its value names users: only who sees the ids of the session may
 * read or write it. */
bool xeno_acl_name(const char *name);

#endif
