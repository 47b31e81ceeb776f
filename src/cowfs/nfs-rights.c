/* src/cowfs/nfs-rights.c - who may do what to an object. */
#include "cowfs/nfs-rights.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* An ACL as the kernel keeps it in an attribute: a version, then entries, little-endian. */
#define ACL_VERSION 2
enum {
    ACL_USER_OBJ = 0x01,
    ACL_USER = 0x02,
    ACL_GROUP_OBJ = 0x04,
    ACL_GROUP = 0x08,
    ACL_MASK = 0x10,
    ACL_OTHER = 0x20
};
struct acl_entry {
    uint16_t tag, perm;
    uint32_t id;
};
#define ACL_ENTRIES_MAX 8191 /* 64 KiB of them, the most that the kernel keeps */

bool xeno_nfs_in_group(const struct xeno_nfs_cred *who, gid_t gid)
{
    if (who->gid == gid)
        return true;
    for (size_t i = 0; i < who->count; i++)
        if (who->groups[i] == gid)
            return true;
    return false;
}

/* --- access ACLs --- */

static size_t acl_count(const void *acl, size_t len)
{
    uint32_t version;

    if (len < sizeof version || (len - sizeof version) % sizeof(struct acl_entry) != 0)
        return 0;
    memcpy(&version, acl, sizeof version);
    len = (len - sizeof version) / sizeof(struct acl_entry);
    return le32toh(version) == ACL_VERSION && len <= ACL_ENTRIES_MAX ? len : 0;
}

static struct acl_entry acl_at(const void *acl, size_t i)
{
    struct acl_entry e;

    memcpy(&e, (const char *)acl + sizeof(uint32_t) + i * sizeof e, sizeof e);
    e.tag = le16toh(e.tag);
    e.perm = le16toh(e.perm) & 7;
    e.id = le32toh(e.id);
    return e;
}

/* POSIX 1003.1e draft 17, 23.1.5: the first class that fits decides; of groups any entry that
 * grants all that is wanted. */
static unsigned acl_grants(const struct xeno_nfs_cred *who, const struct stat *st, const void *acl,
                           size_t count, unsigned want)
{
    unsigned mask = 7, group = 0, other = 0;
    bool is_user = false, in_group = false;
    unsigned user = 0;

    for (size_t i = 0; i < count; i++) {
        struct acl_entry e = acl_at(acl, i);
        bool member = (e.tag == ACL_GROUP_OBJ && xeno_nfs_in_group(who, st->st_gid)) ||
                      (e.tag == ACL_GROUP && xeno_nfs_in_group(who, e.id));

        if (e.tag == ACL_USER && e.id == who->uid) {
            is_user = true;
            user = e.perm;
        } else if (member) {
            in_group = true;
            if ((e.perm & want) == want)
                group = e.perm;
        } else if (e.tag == ACL_MASK) {
            mask = e.perm;
        } else if (e.tag == ACL_OTHER) {
            other = e.perm;
        }
    }
    if (is_user)
        return user & mask;
    return in_group ? group & mask : other;
}

/* --- the questions --- */

bool xeno_nfs_may(const struct xeno_nfs_cred *who, const struct stat *st, const void *acl,
                  size_t len, unsigned want)
{
    unsigned may = st->st_mode & 7;

    if (who->uid == 0)
        return !(want & MAY_EXEC) || S_ISDIR(st->st_mode) || (st->st_mode & 0111);
    if (who->uid == st->st_uid)
        may = st->st_mode >> 6 & 7;
    else if (len > 0)
        may = acl_grants(who, st, acl, acl_count(acl, len), want);
    else if (xeno_nfs_in_group(who, st->st_gid))
        may = st->st_mode >> 3 & 7;
    return (may & want) == want;
}

bool xeno_nfs_may_remove(const struct xeno_nfs_cred *who, const struct stat *dir,
                         const struct stat *object)
{
    return !(dir->st_mode & S_ISVTX) || who->uid == 0 || who->uid == dir->st_uid ||
           who->uid == object->st_uid;
}

bool xeno_nfs_may_own(const struct xeno_nfs_cred *who, const struct stat *st, uid_t uid, gid_t gid)
{
    if (who->uid == 0)
        return true;
    if (who->uid != st->st_uid || (uid != (uid_t)-1 && uid != st->st_uid))
        return false;
    return gid == (gid_t)-1 || gid == st->st_gid || xeno_nfs_in_group(who, gid);
}

mode_t xeno_nfs_mode(const struct xeno_nfs_cred *who, gid_t group, mode_t mode)
{
    if (who->uid != 0 && !xeno_nfs_in_group(who, group))
        mode &= ~(mode_t)S_ISGID;
    return mode;
}

mode_t xeno_nfs_mode_written(const struct xeno_nfs_cred *who, mode_t mode)
{
    if (who->uid == 0 || !S_ISREG(mode))
        return mode;
    mode &= ~(mode_t)S_ISUID;
    return mode & S_IXGRP ? mode & ~(mode_t)S_ISGID : mode;
}
