/* src/cowfs/nfs-attr.c - NFS requests about attributes and the file system, and what all share. */
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "cowfs/nfs-priv.h"

#define ACL_BYTES 65536 /* the kernel's own limit of an attribute */

/* --- results --- */

nfsstat3 status_of(int r)
{
    static const struct {
        int error;
        nfsstat3 status;
    } rows[] = {
        { 0, NFS3_OK },
        { EPERM, NFS3ERR_PERM },
        { ENOENT, NFS3ERR_NOENT },
        { EIO, NFS3ERR_IO },
        { ENXIO, NFS3ERR_NXIO },
        { EACCES, NFS3ERR_ACCES },
        { EEXIST, NFS3ERR_EXIST },
        { EXDEV, NFS3ERR_XDEV },
        { ENODEV, NFS3ERR_NODEV },
        { ENOTDIR, NFS3ERR_NOTDIR },
        { EISDIR, NFS3ERR_ISDIR },
        { EINVAL, NFS3ERR_INVAL },
        { EFBIG, NFS3ERR_FBIG },
        { EOVERFLOW, NFS3ERR_FBIG },
        { ENOSPC, NFS3ERR_NOSPC },
        { EROFS, NFS3ERR_ROFS },
        { EMLINK, NFS3ERR_MLINK },
        { ENAMETOOLONG, NFS3ERR_NAMETOOLONG },
        { ENOTEMPTY, NFS3ERR_NOTEMPTY },
        { EDQUOT, NFS3ERR_DQUOT },
        { ESTALE, NFS3ERR_STALE },
        { EBADF, NFS3ERR_BADHANDLE },
        { EOPNOTSUPP, NFS3ERR_NOTSUPP },
        { EAGAIN, NFS3ERR_JUKEBOX },
        { EBUSY, NFS3ERR_JUKEBOX },
        { ENOMEM, NFS3ERR_JUKEBOX },
    };

    for (size_t i = 0; i < XENO_LEN(rows); i++)
        if (rows[i].error == -r)
            return rows[i].status;
    return NFS3ERR_SERVERFAULT;
}

/* --- objects --- */

nfsstat3 find_object(struct call *c, const nfs_fh3 *h, struct xeno_nfs_object **ret)
{
    return status_of(xeno_nfs_object_find(c->s->objects, h->data.data_val, h->data.data_len, ret));
}

void put_object(struct call *c, struct xeno_nfs_object *b)
{
    xeno_nfs_object_put(c->s->objects, b);
}

nfsstat3 stat_object(struct call *c, struct xeno_nfs_object *b, struct stat *ret)
{
    int r = xeno_cowfs_stat(c->s->c, b->node, ret);

    if (r == -ENOENT || (r == 0 && ret->st_nlink == 0)) {
        xeno_nfs_object_removed(c->s->objects, b, 0);
        r = -ESTALE;
    }
    return status_of(r);
}

nfsstat3 find_stat(struct call *c, const nfs_fh3 *h, struct xeno_nfs_object **ret,
                   struct stat *ret_st)
{
    nfsstat3 status = find_object(c, h, ret);

    return status == NFS3_OK ? stat_object(c, *ret, ret_st) : status;
}

nfsstat3 find_dir(struct call *c, const nfs_fh3 *h, struct xeno_nfs_object **ret,
                  struct stat *ret_st)
{
    nfsstat3 status = find_stat(c, h, ret, ret_st);

    if (status == NFS3_OK && !S_ISDIR(ret_st->st_mode))
        return NFS3ERR_NOTDIR;
    return status;
}

static pthread_mutex_t *stripe(struct call *c, const struct xeno_nfs_object *b)
{
    return b ? &c->s->stripes[b->id.number * UINT64_C(0x9e3779b97f4a7c15) >> 58] : NULL;
}

void lock_objects(struct call *c, const struct xeno_nfs_object *a, const struct xeno_nfs_object *b)
{
    pthread_mutex_t *x = stripe(c, a), *y = stripe(c, b);

    if (y && y < x) { /* always in one order */
        pthread_mutex_lock(y);
        y = NULL;
    }
    pthread_mutex_lock(x);
    if (y && y != x)
        pthread_mutex_lock(y);
}

void unlock_objects(struct call *c, const struct xeno_nfs_object *a,
                    const struct xeno_nfs_object *b)
{
    pthread_mutex_t *x = stripe(c, a), *y = stripe(c, b);

    pthread_mutex_unlock(x);
    if (y && y != x)
        pthread_mutex_unlock(y);
}

/* --- attributes as they are told --- */

static nfstime3 told_time(const struct timespec *t)
{
    return (nfstime3){ .seconds = (uint32_t)t->tv_sec, .nseconds = (uint32_t)t->tv_nsec };
}

static ftype3 told_type(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return NF3DIR;
    case S_IFBLK:
        return NF3BLK;
    case S_IFCHR:
        return NF3CHR;
    case S_IFLNK:
        return NF3LNK;
    case S_IFSOCK:
        return NF3SOCK;
    case S_IFIFO:
        return NF3FIFO;
    default:
        return NF3REG;
    }
}

void fill_attr(struct call *c, const struct xeno_nfs_object *b, const struct stat *st, fattr3 *ret)
{
    *ret = (fattr3){ .type = told_type(st->st_mode),
                     .mode = st->st_mode & 07777,
                     .nlink = (uint32_t)st->st_nlink,
                     .uid = st->st_uid,
                     .gid = st->st_gid,
                     .size = (uint64_t)st->st_size,
                     .used = (uint64_t)st->st_blocks * 512,
                     .rdev = { major(st->st_rdev), minor(st->st_rdev) },
                     .fsid = c->s->fsid,
                     .fileid = b->id.number,
                     .atime = told_time(&st->st_atim),
                     .mtime = told_time(&st->st_mtim),
                     .ctime = told_time(&st->st_ctim) };
}

void fill_post(struct call *c, const struct xeno_nfs_object *b, const struct stat *st,
               post_op_attr *ret)
{
    ret->attributes_follow = TRUE;
    fill_attr(c, b, st, &ret->post_op_attr_u.attributes);
}

void post_attr(struct call *c, struct xeno_nfs_object *b, post_op_attr *ret)
{
    struct stat st;

    if (b && xeno_cowfs_stat(c->s->c, b->node, &st) == 0)
        fill_post(c, b, &st, ret);
}

void fill_before(const struct stat *st, wcc_data *ret)
{
    ret->before.attributes_follow = TRUE;
    ret->before.pre_op_attr_u.attributes = (wcc_attr){ .size = (uint64_t)st->st_size,
                                                       .mtime = told_time(&st->st_mtim),
                                                       .ctime = told_time(&st->st_ctim) };
}

void fill_handle(struct call *c, const struct xeno_nfs_object *b, nfs_fh3 *ret)
{
    ret->data.data_val = call_alloc(c, sizeof b->handle); /* b is put before it is sent */
    ret->data.data_len = sizeof b->handle;
    memcpy(ret->data.data_val, b->handle, sizeof b->handle);
}

/* --- rights --- */

nfsstat3 check_rights(struct call *c, struct xeno_nfs_object *b, const struct stat *st,
                      unsigned want)
{
    xeno_autofree char *acl = NULL;
    ssize_t len = 0;

    /* An ACL shows as the group's bits; who is the owner or root is not in it. */
    if (c->who.uid != 0 && c->who.uid != st->st_uid && !S_ISLNK(st->st_mode)) {
        static const char attr[] = "system.posix_acl_access";

        len = xeno_cowfs_getxattr(c->s->c, b->node, attr, NULL, 0);
        if (len > 0) {
            acl = xeno_alloc0(1, ACL_BYTES);
            len = xeno_cowfs_getxattr(c->s->c, b->node, attr, acl, ACL_BYTES);
        }
        if (len < 0 && len != -ENODATA && len != -EOPNOTSUPP)
            return status_of((int)len);
    }
    return xeno_nfs_may(&c->who, st, acl, len > 0 ? (size_t)len : 0, want) ? NFS3_OK
                                                                           : NFS3ERR_ACCES;
}

/* --- attributes as they are set --- */

static struct timespec time_wanted(time_how how, const nfstime3 *t)
{
    switch (how) {
    case SET_TO_CLIENT_TIME:
        return (struct timespec){ .tv_sec = t->seconds, .tv_nsec = t->nseconds % 1000000000 };
    case SET_TO_SERVER_TIME:
        return (struct timespec){ .tv_nsec = UTIME_NOW };
    default:
        return (struct timespec){ .tv_nsec = UTIME_OMIT };
    }
}

static struct xeno_cowfs_set set_of(const sattr3 *a)
{
    struct xeno_cowfs_set set = {
        .mode = a->mode.set_it,
        .uid = a->uid.set_it,
        .gid = a->gid.set_it,
        .size = a->size.set_it,
        .times = a->atime.set_it != DONT_CHANGE || a->mtime.set_it != DONT_CHANGE,
    };

    set.st_mode = set.mode ? a->mode.set_mode3_u.mode & 07777 : 0;
    set.st_uid = set.uid ? a->uid.set_uid3_u.uid : 0;
    set.st_gid = set.gid ? a->gid.set_gid3_u.gid : 0;
    set.st_size = set.size ? (off_t)a->size.set_size3_u.size : 0;
    set.ts[0] = time_wanted(a->atime.set_it, &a->atime.set_atime_u.atime);
    set.ts[1] = time_wanted(a->mtime.set_it, &a->mtime.set_mtime_u.mtime);
    return set;
}

static bool sets_own_time(const sattr3 *a)
{
    return a->atime.set_it == SET_TO_CLIENT_TIME || a->mtime.set_it == SET_TO_CLIENT_TIME;
}

/* As chmod(2), chown(2), truncate(2) and utimensat(2) say; the owner may set the size whatever the
 * mode, as he may write. */
static nfsstat3 may_set(struct call *c, struct xeno_nfs_object *b, const struct stat *st,
                        const sattr3 *a, const struct xeno_cowfs_set *set)
{
    bool owns = c->who.uid == 0 || c->who.uid == st->st_uid;

    if (set->mode && !owns)
        return NFS3ERR_PERM;
    if ((set->uid || set->gid) && !xeno_nfs_may_own(&c->who, st, set->uid ? set->st_uid : (uid_t)-1,
                                                    set->gid ? set->st_gid : (gid_t)-1))
        return NFS3ERR_PERM;
    if (set->times && sets_own_time(a) && !owns)
        return NFS3ERR_PERM;
    if ((set->size || set->times) && !owns)
        return check_rights(c, b, st, MAY_WRITE);
    return NFS3_OK;
}

nfsstat3 set_attributes(struct call *c, struct xeno_nfs_object *b, const struct stat *st,
                        const sattr3 *want, bool create)
{
    struct xeno_cowfs_set set = set_of(want);
    struct stat after;
    nfsstat3 status;

    if (!set.mode && !set.uid && !set.gid && !set.size && !set.times)
        return NFS3_OK;
    if (set.size && (set.st_size < 0 || !S_ISREG(st->st_mode)))
        return S_ISDIR(st->st_mode) ? NFS3ERR_ISDIR : NFS3ERR_INVAL;
    status = create && !set.uid && !set.gid ? NFS3_OK : may_set(c, b, st, want, &set);
    if (status != NFS3_OK)
        return status;
    if (set.mode)
        set.st_mode = xeno_nfs_mode(&c->who, set.gid ? set.st_gid : st->st_gid, set.st_mode);
    if (set.size && !set.mode) {
        set.st_mode = xeno_nfs_mode_written(&c->who, st->st_mode);
        set.mode = set.st_mode != st->st_mode;
    }
    return status_of(xeno_cowfs_set(c->s->c, b->node, NULL, &set, &after));
}

nfsstat3 sync_failed(struct call *c, int r)
{
    /* What was written before may be lost: whoever did not commit it must send it again. */
    if (r < 0)
        atomic_fetch_add(&c->s->verifier, 1);
    return status_of(r);
}

nfsstat3 sync_object(struct call *c, struct xeno_nfs_object *b, const struct stat *st)
{
    struct xeno_cowfs_node *parent = NULL;
    struct xeno_cowfs_file *f = NULL;
    int r;

    if (c->s->lazy)
        return NFS3_OK;
    nfs_may_wait();
    if (S_ISDIR(st->st_mode))
        return sync_failed(c, xeno_cowfs_sync_dir(c->s->c, b->node));
    if (!S_ISREG(st->st_mode)) { /* cannot be opened: it goes with its name */
        if (xeno_cowfs_parent(c->s->c, b->node, &parent) < 0)
            return NFS3_OK;
        r = xeno_cowfs_sync_dir(c->s->c, parent);
        xeno_cowfs_forget(c->s->c, parent, 1);
        return sync_failed(c, r);
    }
    r = xeno_nfs_object_file(c->s->objects, b, false, &f);
    if (r == 0 && xeno_cowfs_file_fd(f) >= 0 && fsync(xeno_cowfs_file_fd(f)) < 0)
        r = -errno;
    return sync_failed(c, r);
}

/* --- requests --- */

void do_getattr(struct call *c, void *args, void *res)
{
    GETATTR3args *a = args;
    GETATTR3res *r = res;
    struct xeno_nfs_object *b = NULL;
    struct stat st;

    r->status = find_stat(c, &a->object, &b, &st);
    if (r->status == NFS3_OK)
        fill_attr(c, b, &st, &r->GETATTR3res_u.resok.obj_attributes);
    put_object(c, b);
}

static bool guard_holds(const sattrguard3 *g, const struct stat *st)
{
    const nfstime3 *t = &g->sattrguard3_u.obj_ctime;

    return !g->check || (t->seconds == (uint32_t)st->st_ctim.tv_sec &&
                         t->nseconds == (uint32_t)st->st_ctim.tv_nsec);
}

void do_setattr(struct call *c, void *args, void *res)
{
    SETATTR3args *a = args;
    SETATTR3res *r = res;
    wcc_data *wcc = &r->SETATTR3res_u.resok.obj_wcc; /* the same place in resfail */
    struct xeno_nfs_object *b = NULL;
    struct stat st;

    r->status = find_object(c, &a->object, &b);
    if (r->status != NFS3_OK)
        return;
    lock_objects(c, b, NULL);
    r->status = stat_object(c, b, &st);
    if (r->status == NFS3_OK) {
        fill_before(&st, wcc);
        r->status = guard_holds(&a->guard, &st)
                        ? set_attributes(c, b, &st, &a->new_attributes, false)
                        : NFS3ERR_NOT_SYNC;
        post_attr(c, b, &wcc->after);
    }
    unlock_objects(c, b, NULL);
    if (r->status == NFS3_OK)
        r->status = sync_object(c, b, &st);
    put_object(c, b);
}

void do_access(struct call *c, void *args, void *res)
{
    static const struct {
        uint32_t bit;
        unsigned want;
        bool of_dirs, of_others;
    } rows[] = {
        { ACCESS3_READ, MAY_READ, true, true },     { ACCESS3_LOOKUP, MAY_EXEC, true, false },
        { ACCESS3_MODIFY, MAY_WRITE, true, true },  { ACCESS3_EXTEND, MAY_WRITE, true, true },
        { ACCESS3_DELETE, MAY_WRITE, true, false }, { ACCESS3_EXECUTE, MAY_EXEC, false, true },
    };
    ACCESS3args *a = args;
    ACCESS3res *r = res;
    struct xeno_nfs_object *b = NULL;
    struct stat st;

    r->status = find_stat(c, &a->object, &b, &st);
    if (r->status == NFS3_OK) {
        for (size_t i = 0; i < XENO_LEN(rows); i++)
            if ((a->access & rows[i].bit) &&
                (S_ISDIR(st.st_mode) ? rows[i].of_dirs : rows[i].of_others) &&
                check_rights(c, b, &st, rows[i].want) == NFS3_OK)
                r->ACCESS3res_u.resok.access |= rows[i].bit;
        fill_post(c, b, &st, &r->ACCESS3res_u.resok.obj_attributes);
    }
    put_object(c, b);
}

void do_fsstat(struct call *c, void *args, void *res)
{
    FSSTAT3args *a = args;
    FSSTAT3res *r = res;
    FSSTAT3resok *ok = &r->FSSTAT3res_u.resok;
    struct xeno_nfs_object *b = NULL;
    struct statvfs v;
    struct stat st;

    r->status = find_stat(c, &a->fsroot, &b, &st);
    if (r->status == NFS3_OK)
        r->status = status_of(xeno_cowfs_statvfs(c->s->c, &v));
    if (r->status == NFS3_OK) {
        fill_post(c, b, &st, &ok->obj_attributes);
        ok->tbytes = (uint64_t)v.f_blocks * v.f_frsize;
        ok->fbytes = (uint64_t)v.f_bfree * v.f_frsize;
        ok->abytes = (uint64_t)v.f_bavail * v.f_frsize;
        ok->tfiles = v.f_files;
        ok->ffiles = v.f_ffree;
        ok->afiles = v.f_favail;
    }
    put_object(c, b);
}

void do_fsinfo(struct call *c, void *args, void *res)
{
    FSINFO3args *a = args;
    FSINFO3res *r = res;
    FSINFO3resok *ok = &r->FSINFO3res_u.resok;
    struct xeno_nfs_object *b = NULL;
    struct stat st;

    r->status = find_stat(c, &a->fsroot, &b, &st);
    if (r->status == NFS3_OK) {
        *ok = (FSINFO3resok){ .rtmax = NFS3_DATA_MAX,
                              .rtpref = NFS3_DATA_MAX,
                              .rtmult = 4096,
                              .wtmax = NFS3_DATA_MAX,
                              .wtpref = NFS3_DATA_MAX,
                              .wtmult = 4096,
                              .dtpref = 65536,
                              .maxfilesize = INT64_MAX,
                              .time_delta = { 0, 1 },
                              .properties =
                                  FSF3_LINK | FSF3_SYMLINK | FSF3_HOMOGENEOUS | FSF3_CANSETTIME };
        fill_post(c, b, &st, &ok->obj_attributes);
    }
    put_object(c, b);
}

void do_pathconf(struct call *c, void *args, void *res)
{
    PATHCONF3args *a = args;
    PATHCONF3res *r = res;
    PATHCONF3resok *ok = &r->PATHCONF3res_u.resok;
    struct xeno_nfs_object *b = NULL;
    struct stat st;

    r->status = find_stat(c, &a->object, &b, &st);
    if (r->status == NFS3_OK) {
        *ok = (PATHCONF3resok){ .linkmax = 65000, /* of ext4; what another says is answered then */
                                .name_max = 255,
                                .no_trunc = TRUE,
                                .chown_restricted = TRUE,
                                .case_preserving = TRUE };
        fill_post(c, b, &st, &ok->obj_attributes);
    }
    put_object(c, b);
}
