/* src/cowfs/nfs-rights.h - who may do what to an object: POSIX modes and access ACLs.
 *
 * Pure: what is asked is parameters. The kernel does this for FUSE.
 */
#ifndef XENO_COWFS_NFS_RIGHTS_H
#define XENO_COWFS_NFS_RIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#define XENO_NFS_NOBODY     65534
#define XENO_NFS_GROUPS_MAX 16 /* of AUTH_SYS (RFC 5531) */

struct xeno_nfs_cred {
    uid_t uid;
    gid_t gid, groups[XENO_NFS_GROUPS_MAX];
    size_t count;
};

enum { MAY_EXEC = 1, MAY_WRITE = 2, MAY_READ = 4 };

/* May the asker do all of `want`, MAY_... or-ed together?
 *
 * acl, len: system.posix_acl_access as the kernel gives it, len 0: none. One that cannot be
 * read allows what the mode allows to the owner and nothing to others.
 * uid 0 may do everything, but execute only what somebody may.
 */
bool xeno_nfs_may(const struct xeno_nfs_cred *who, const struct stat *st, const void *acl,
                  size_t len, unsigned want);

bool xeno_nfs_in_group(const struct xeno_nfs_cred *who, gid_t gid);
/* In a directory with the sticky bit only owners remove: of it or of the object. */
bool xeno_nfs_may_remove(const struct xeno_nfs_cred *who, const struct stat *dir,
                         const struct stat *object);

/* May the owner, or the group where that is not -1, become these? */
bool xeno_nfs_may_own(const struct xeno_nfs_cred *who, const struct stat *st, uid_t uid, gid_t gid);
/* The mode that an object of this group gets when the asker wishes this one: set-group-id goes
 * when he is not of the group. */
mode_t xeno_nfs_mode(const struct xeno_nfs_cred *who, gid_t group, mode_t mode);
/* The mode after somebody who is not root has written; the same, where nothing has to go. */
mode_t xeno_nfs_mode_written(const struct xeno_nfs_cred *who, mode_t mode);

#endif
