/* src/cowfs/nfs-make.c - NFS requests that make objects. */
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "cowfs/nfs-priv.h"

/* Of what does not say: nobody but the owner, who changes it next. */
#define MODE_UNSAID 0600

/* --- all kinds --- */

struct making {
    struct xeno_nfs_object *dir, *b;
    struct stat dir_st, st;
    const char *name;
    CREATE3res *res;
};

/* Begin: the directory, locked, if the status is NFS3_OK. */
static nfsstat3 begin(struct call *c, struct making *m, const diropargs3 *where, CREATE3res *res)
{
    wcc_data *wcc = &res->CREATE3res_u.resfail.dir_wcc;
    nfsstat3 status = find_dir(c, &where->dir, &m->dir, &m->dir_st);

    m->name = where->name;
    m->res = res;
    if (status != NFS3_OK)
        return status;
    lock_objects(c, m->dir, NULL);
    status = stat_object(c, m->dir, &m->dir_st);
    if (status == NFS3_OK) {
        fill_before(&m->dir_st, wcc);
        status = check_new_name(m->name);
    }
    if (status == NFS3_OK && (strcmp(m->name, ".") == 0 || strcmp(m->name, "..") == 0))
        status = NFS3ERR_EXIST;
    if (status != NFS3_OK) {
        post_attr(c, m->dir, &wcc->after);
        unlock_objects(c, m->dir, NULL);
    }
    return status;
}

/* What is there already. */
static nfsstat3 look(struct call *c, struct making *m)
{
    nfsstat3 status = check_rights(c, m->dir, &m->dir_st, MAY_EXEC);

    return status == NFS3_OK
               ? status_of(xeno_nfs_object_lookup(c->s->objects, m->dir, m->name, &m->b, &m->st))
               : status;
}

static nfsstat3 make(struct call *c, struct making *m, mode_t mode, dev_t rdev, const char *target,
                     const uint64_t *tag)
{
    /* In a directory with set-group-id it gets that group. */
    gid_t gid = m->dir_st.st_mode & S_ISGID ? m->dir_st.st_gid : c->who.gid;
    struct xeno_cowfs_new what = { .mode = S_ISDIR(mode) ? mode : xeno_nfs_mode(&c->who, gid, mode),
                                   .rdev = rdev,
                                   .target = target,
                                   .tag = tag,
                                   .who = { .uid = c->who.uid, .gid = c->who.gid } };
    struct xeno_cowfs_file *f = NULL;
    struct xeno_cowfs_node *n = NULL;
    nfsstat3 status = check_rights(c, m->dir, &m->dir_st, MAY_EXEC | MAY_WRITE);
    int r;

    if (status != NFS3_OK)
        return status;
    r = xeno_cowfs_make(c->s->c, m->dir->node, m->name, &what, &n, &m->st,
                        S_ISREG(mode) ? &f : NULL);
    if (r < 0)
        return status_of(r);
    if (f)
        xeno_cowfs_file_close(c->s->c, f);
    return status_of(xeno_nfs_object_of(c->s->objects, n, m->dir, &m->b));
}

/* What else was asked for; the mode is set already, where nothing changed it since. */
static nfsstat3 set_rest(struct call *c, struct making *m, const sattr3 *a)
{
    sattr3 rest = *a;

    if (!rest.uid.set_it && !rest.gid.set_it)
        rest.mode.set_it = FALSE;
    if (rest.uid.set_it && rest.uid.set_uid3_u.uid == m->st.st_uid)
        rest.uid.set_it = FALSE;
    if (rest.gid.set_it && rest.gid.set_gid3_u.gid == m->st.st_gid)
        rest.gid.set_it = FALSE;
    if (rest.size.set_it && rest.size.set_size3_u.size == 0)
        rest.size.set_it = FALSE;
    return set_attributes(c, m->b, &m->st, &rest, true);
}

static mode_t mode_of(const sattr3 *a, mode_t type)
{
    return type | (a->mode.set_it ? a->mode.set_mode3_u.mode & 07777 : MODE_UNSAID);
}

/* End: answer, unlock, sync. */
static void end(struct call *c, struct making *m, nfsstat3 status)
{
    CREATE3resok *ok = &m->res->CREATE3res_u.resok;
    wcc_data wcc = m->res->CREATE3res_u.resfail.dir_wcc;

    memset(&m->res->CREATE3res_u, 0, sizeof m->res->CREATE3res_u);
    post_attr(c, m->dir, &wcc.after);
    if (status == NFS3_OK)
        post_attr(c, m->b, &ok->obj_attributes);
    unlock_objects(c, m->dir, NULL);
    if (status == NFS3_OK)
        status = sync_object(c, m->dir, &m->dir_st);
    m->res->status = status;
    if (status == NFS3_OK) {
        ok->obj.handle_follows = TRUE;
        fill_handle(c, m->b, &ok->obj.post_op_fh3_u.handle);
        ok->dir_wcc = wcc;
    } else {
        m->res->CREATE3res_u.resfail.dir_wcc = wcc;
    }
}

static void release(struct call *c, struct making *m)
{
    put_object(c, m->b);
    put_object(c, m->dir);
}

/* --- files --- */

/* Of one that is there: as open(2) with O_TRUNC, no other attribute. */
static nfsstat3 reuse(struct call *c, struct making *m, const sattr3 *a)
{
    sattr3 size = { .size = a->size };

    if (!S_ISREG(m->st.st_mode))
        return S_ISDIR(m->st.st_mode) ? NFS3ERR_ISDIR : NFS3ERR_EXIST;
    return set_attributes(c, m->b, &m->st, &size, false);
}

/* The verifier says whether it was this request that made it, perhaps of an earlier server. */
static nfsstat3 create_exclusive(struct call *c, struct making *m, const char *verf)
{
    uint64_t tag, there;
    nfsstat3 status = look(c, m);

    memcpy(&tag, verf, sizeof tag);
    if (status == NFS3ERR_NOENT)
        return make(c, m, S_IFREG | MODE_UNSAID, 0, NULL, &tag);
    if (status == NFS3_OK && (xeno_cowfs_tag(c->s->c, m->b->node, &there) < 0 || there != tag))
        status = NFS3ERR_EXIST;
    return status;
}

static nfsstat3 create(struct call *c, struct making *m, const createhow3 *how)
{
    const sattr3 *a = &how->createhow3_u.obj_attributes;
    nfsstat3 status;

    if (how->mode == EXCLUSIVE)
        return create_exclusive(c, m, how->createhow3_u.verf);
    status = look(c, m);
    if (status == NFS3_OK)
        return how->mode == GUARDED ? NFS3ERR_EXIST : reuse(c, m, a);
    if (status != NFS3ERR_NOENT)
        return status;
    status = make(c, m, mode_of(a, S_IFREG), 0, NULL, NULL);
    return status == NFS3_OK ? set_rest(c, m, a) : status;
}

void do_create(struct call *c, void *args, void *res)
{
    CREATE3args *a = args;
    CREATE3res *r = res;
    struct making m = { .dir = NULL };

    r->status = begin(c, &m, &a->where, r);
    if (r->status == NFS3_OK)
        end(c, &m, create(c, &m, &a->how));
    release(c, &m);
}

/* --- everything else --- */

static nfsstat3 make_with(struct call *c, struct making *m, mode_t mode, dev_t rdev,
                          const char *target, const sattr3 *a)
{
    nfsstat3 status = look(c, m);

    if (status != NFS3ERR_NOENT)
        return status == NFS3_OK ? NFS3ERR_EXIST : status;
    status = make(c, m, mode, rdev, target, NULL);
    return status == NFS3_OK ? set_rest(c, m, a) : status;
}

void do_mkdir(struct call *c, void *args, void *res)
{
    MKDIR3args *a = args;
    CREATE3res *r = res;
    struct making m = { .dir = NULL };

    r->status = begin(c, &m, &a->where, r);
    if (r->status == NFS3_OK)
        end(c, &m, make_with(c, &m, mode_of(&a->attributes, S_IFDIR), 0, NULL, &a->attributes));
    release(c, &m);
}

void do_symlink(struct call *c, void *args, void *res)
{
    SYMLINK3args *a = args;
    sattr3 attributes = a->symlink.symlink_attributes;
    CREATE3res *r = res;
    struct making m = { .dir = NULL };

    attributes.mode.set_it = FALSE; /* a link has none */
    attributes.size.set_it = FALSE;
    r->status = begin(c, &m, &a->where, r);
    if (r->status == NFS3_OK)
        end(c, &m, make_with(c, &m, S_IFLNK | 0777, 0, a->symlink.symlink_data, &attributes));
    release(c, &m);
}

void do_mknod(struct call *c, void *args, void *res)
{
    MKNOD3args *a = args;
    mknoddata3 *what = &a->what;
    bool device = what->type == NF3CHR || what->type == NF3BLK;
    const specdata3 *spec = &what->mknoddata3_u.device.spec;
    const sattr3 *attributes =
        device ? &what->mknoddata3_u.device.dev_attributes : &what->mknoddata3_u.pipe_attributes;
    mode_t type = what->type == NF3CHR    ? S_IFCHR
                  : what->type == NF3BLK  ? S_IFBLK
                  : what->type == NF3SOCK ? S_IFSOCK
                                          : S_IFIFO;
    CREATE3res *r = res;
    struct making m = { .dir = NULL };

    if (!device && what->type != NF3SOCK && what->type != NF3FIFO) {
        r->status = NFS3ERR_BADTYPE;
        return;
    }
    r->status = begin(c, &m, &a->where, r);
    if (r->status == NFS3_OK && device && c->who.uid != 0)
        end(c, &m, NFS3ERR_PERM);
    else if (r->status == NFS3_OK)
        end(c, &m,
            make_with(c, &m, mode_of(attributes, type),
                      device ? makedev(spec->specdata1, spec->specdata2) : 0, NULL, attributes));
    release(c, &m);
}
