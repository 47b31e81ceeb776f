/* src/image/unpack.h - unpack one layer, which a stranger made, into a folder.
 *
 * The tar is read and written by a child process that has lost everything: user namespace in which
 * only the subordinate ids exist, empty network, ipc and mount namespaces, root directory changed
 * to the target, Landlock, a list of allowed system calls, resource limits. The parent only feeds
 * it the blob, hashing what it feeds. Should libarchive be broken by the archive, the intruder
 * holds one folder, which is then thrown away.
 *
 * What comes out is a lower directory for an overlayfs mounted with "userxattr":
 *   - owner u:g of the archive is XENO_SUBID_BASE + u, + g on disk: no file is any real user's;
 *   - whiteout ".wh.NAME" becomes a 0:0 character device NAME, ".wh..wh..opq" the attribute
 *     user.overlay.opaque=y of its folder;
 *   - extended attributes kept: user.* but not user.overlay.*, security.capability (bound by the
 *     kernel to the namespace of the ids), and POSIX ACLs (whose ids the kernel shifts alike) where
 *     the file system has them. All others are dropped.
 *
 * Refused whole, with nothing left behind: absolute names, "..", a name that passes through a link
 * or a file, hard links to what this layer does not hold, devices, whatever is neither file,
 * folder, link nor fifo, the same name twice, owners beyond 65535, and all that passes a limit.
 * A fifo is kept: it is only a name until the session itself opens it.
 */
#ifndef XENO_IMAGE_UNPACK_H
#define XENO_IMAGE_UNPACK_H

#include "image/manifest.h"
#include "image/progress.h"

/* All files in the cache belong to 65536 ids from here on: above what useradd and systemd hand
 * out, below 2^31. Sessions map container id 0 to this one (uidMappings and gidMappings of the OCI
 * runtime: containerID 0, hostID XENO_SUBID_BASE, size XENO_SUBID_COUNT). */
#define XENO_SUBID_BASE  1879048192u
#define XENO_SUBID_COUNT 65536u

struct xeno_unpack_limits {
    int64_t total_bytes;     /* of the tar, uncompressed; sparse files count in full */
    int64_t file_bytes;      /* one file */
    int64_t entries;         /* members of the tar */
    int64_t ratio;           /* uncompressed to compressed; counts after the first 64 MiB */
    int64_t name_bytes;      /* one path */
    int64_t all_names_bytes; /* all paths together: what the unpacker must remember */
    int64_t depth;           /* components of a path */
    int64_t xattr_bytes;     /* all attributes of one entry */
};
#define XENO_UNPACK_LIMITS                                                                         \
    {                                                                                              \
        .total_bytes = INT64_C(64) << 30, .file_bytes = INT64_C(16) << 30, .entries = 1000000,     \
        .ratio = 300, .name_bytes = 4095, .all_names_bytes = INT64_C(128) << 20, .depth = 128,     \
        .xattr_bytes = 65536                                                                       \
    }

struct xeno_unpacked {
    char diff_id[XENO_DIGEST_TEXT]; /* of the tar as found */
    int64_t entries;
    int64_t tar_bytes;
    int64_t disk_bytes; /* blocks the tree takes, near enough */
    bool mounts;        /* it holds what may be a mount file (image/mount-file.h) */
};

struct xeno_unpack_opts {
    const struct xeno_unpack_limits *limits; /* NULL: the defaults */
    const struct xeno_progress *progress;    /* NULL: none; in bytes of the blob */
    bool own; /* for callers that are not root: all belongs to the caller, folders stay writable */
};

/* Unpack the blob `blob_fd` (at offset 0, layer->size_bytes long) into the empty folder `dirfd`,
 * which becomes XENO_SUBID_BASE's. Checks size, digest and, unless layer->diff_id is "", diff_id.
 *
 * Returns: 0 and *ret. On failure the folder holds rubbish that the caller removes.
 * Errors:  -EBADMSG image.corrupt  size, digest or diff_id differ, or not a tar at all
 *          -EINVAL  unpack.name, unpack.link, unpack.type, unpack.twice, unpack.owner
 *          -EFBIG   unpack.limit   names the entry, the limit and what was asked
 *          -ENOSPC  unpack.write   and others of the file system
 *          -EPERM   unpack.confine the child could not be confined; nothing was read
 * Context: forks; from a process without threads.
 */
int xeno_unpack_layer(int blob_fd, const struct xeno_layer *layer, int dirfd,
                      const struct xeno_unpack_opts *opts, struct xeno_unpacked *ret,
                      struct xeno_err *err);

/* The same reading and checking, in a child without any rights to the file system, writing
 * nothing: whether the layer would unpack. Needs no root. */
int xeno_unpack_check(int blob_fd, const struct xeno_layer *layer,
                      const struct xeno_unpack_opts *opts, struct xeno_unpacked *ret,
                      struct xeno_err *err);

#endif
