/* src/image/upper.h - the writable layer of a session, written as the tar of an OCI layer.
 *
 * The folder is the upper one of an overlayfs mounted with "userxattr" (or of xeno-cowfs, which
 * keeps it alike), with all owners shifted to XENO_SUBID_BASE. What goes into the tar:
 *
 *   - owners as the session sees them, modes with their set-user-id bits, times in whole seconds;
 *   - a character device 0:0 as an empty file ".wh.NAME", user.overlay.opaque as ".wh..wh..opq";
 *   - further names of a file as hard links; holes as such (pax 1.0), so that they take no room;
 *   - user.* attributes but user.overlay.*, security.capability and POSIX ACLs; nothing else;
 *   - folder by folder, names in order: the same tree gives the same bytes.
 *
 * Sockets are left out. Refused, as no layer can hold it: a name that begins with ".wh.", and what
 * passes a limit of image/unpack.h.
 *
 * Everything in the folder was put there by the session, down to every name and attribute. So it is
 * read by a child that can read this folder and nothing else (image/confine.h). Nobody may write to
 * the folder meanwhile, or the tar is of no one moment; nothing worse comes of it.
 *
 * Context: forks; from a process without threads.
 */
#ifndef XENO_IMAGE_UPPER_H
#define XENO_IMAGE_UPPER_H

#include "image/unpack.h"

#define XENO_UPPER_MEMORY (INT64_C(32) << 20) /* names that are held at a time */

struct xeno_upper_opts {
    int dirfd; /* the folder; borrowed, nothing of it is changed */
    bool own;  /* the caller is not root: its own files, read as root's */
    const struct xeno_unpack_limits *limits; /* NULL: the defaults */
};

/* Could it be written? ret: entries, and in disk_bytes the data that the tar will have.
 * Errors: -EINVAL unpack.name, -EFBIG unpack.limit, -EIO and others image.source, unpack.confine.
 */
int xeno_upper_check(const struct xeno_upper_opts *o, struct xeno_unpacked *ret,
                     struct xeno_err *err);

/* Write it: the bytes of the tar go to `sink`, as they come. ret->diff_id is their digest.
 * Errors: as above, and those of `sink`, which ends it. */
int xeno_upper_pack(const struct xeno_upper_opts *o,
                    int (*sink)(void *arg, const void *data, size_t len, struct xeno_err *err),
                    void *arg, struct xeno_unpacked *ret, struct xeno_err *err);

#endif
