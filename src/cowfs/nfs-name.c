/* src/cowfs/nfs-name.c - NFS requests about names that are there: look-up, removal, rename, link.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "cowfs/nfs-priv.h"

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0;
}
static bool is_dotdot(const char *name)
{
    return strcmp(name, "..") == 0;
}

/* --- look-up --- */

static int look_up_parent(struct call *c, struct xeno_nfs_object *dir, struct xeno_nfs_object **ret,
                          struct stat *ret_st)
{
    struct xeno_cowfs_node *n = NULL;
    int r = xeno_cowfs_parent(c->s->c, dir->node, &n);

    if (r == 0)
        r = xeno_cowfs_stat(c->s->c, n, ret_st);
    if (r == 0)
        return xeno_nfs_object_of(c->s->objects, n, NULL, ret);
    if (n)
        xeno_cowfs_forget(c->s->c, n, 1);
    return r;
}

nfsstat3 look_up(struct call *c, struct xeno_nfs_object *dir, const struct stat *dir_st,
                 const char *name, struct xeno_nfs_object **ret, struct stat *ret_st)
{
    nfsstat3 status = check_rights(c, dir, dir_st, MAY_EXEC);

    if (status != NFS3_OK)
        return status;
    if (is_dotdot(name))
        return status_of(look_up_parent(c, dir, ret, ret_st));
    if (!is_dot(name))
        return status_of(xeno_nfs_object_lookup(c->s->objects, dir, name, ret, ret_st));
    *ret_st = *dir_st;
    return find_object(
        c,
        &(nfs_fh3){ .data = { .data_val = (char *)dir->handle, .data_len = sizeof dir->handle } },
        ret);
}

void do_lookup(struct call *c, void *args, void *res)
{
    LOOKUP3args *a = args;
    LOOKUP3res *r = res;
    LOOKUP3resok *ok = &r->LOOKUP3res_u.resok;
    struct xeno_nfs_object *dir = NULL, *b = NULL;
    struct stat dir_st, st;

    r->status = find_dir(c, &a->what.dir, &dir, &dir_st);
    if (r->status == NFS3_OK) {
        r->status = look_up(c, dir, &dir_st, a->what.name, &b, &st);
        if (r->status == NFS3_OK) {
            fill_handle(c, b, &ok->object);
            fill_post(c, b, &st, &ok->obj_attributes);
            fill_post(c, dir, &dir_st, &ok->dir_attributes);
        } else {
            fill_post(c, dir, &dir_st, &r->LOOKUP3res_u.resfail.dir_attributes);
        }
    }
    put_object(c, b);
    put_object(c, dir);
}

void do_readlink(struct call *c, void *args, void *res)
{
    READLINK3args *a = args;
    READLINK3res *r = res;
    READLINK3resok *ok = &r->READLINK3res_u.resok;
    struct xeno_nfs_object *b = NULL;
    struct stat st;
    ssize_t len;

    r->status = find_stat(c, &a->symlink, &b, &st);
    if (r->status == NFS3_OK) {
        ok->data = call_alloc(c, NFS3_PATH_MAX + 1);
        len = S_ISLNK(st.st_mode)
                  ? xeno_cowfs_readlink(c->s->c, b->node, ok->data, NFS3_PATH_MAX + 1)
                  : -EINVAL;
        r->status = status_of(len < 0 ? (int)len : 0);
        fill_post(c, b, &st, &ok->symlink_attributes); /* the same place in resfail */
    }
    put_object(c, b);
}

/* --- names that go --- */

nfsstat3 check_new_name(const char *name)
{
    if (*name == '\0' || strchr(name, '/'))
        return NFS3ERR_ACCES; /* as RFC 1813 has it for names that a server does not take */
    return strlen(name) > NAME_MAX ? NFS3ERR_NAMETOOLONG : NFS3_OK;
}

/* What a directory's entry is and whether it may go. Pinned. */
static nfsstat3 may_remove(struct call *c, struct xeno_nfs_object *dir, const struct stat *dir_st,
                           const char *name, struct xeno_nfs_object **ret, struct stat *ret_st)
{
    nfsstat3 status = check_rights(c, dir, dir_st, MAY_EXEC);

    if (status == NFS3_OK)
        status = status_of(xeno_nfs_object_lookup(c->s->objects, dir, name, ret, ret_st));
    if (status == NFS3_OK)
        status = check_rights(c, dir, dir_st, MAY_EXEC | MAY_WRITE);
    if (status == NFS3_OK && !xeno_nfs_may_remove(&c->who, dir_st, ret_st))
        status = NFS3ERR_PERM;
    return status;
}

/* How many names an object has left when one is gone. */
static size_t names_left(struct call *c, const struct xeno_nfs_object *b)
{
    struct stat st;

    return xeno_cowfs_stat(c->s->c, b->node, &st) == 0 && !S_ISDIR(st.st_mode) ? st.st_nlink : 0;
}

static nfsstat3 remove_name(struct call *c, struct xeno_nfs_object *dir, const struct stat *dir_st,
                            const char *name, bool directory)
{
    struct xeno_nfs_object *b = NULL;
    struct stat st;
    nfsstat3 status = may_remove(c, dir, dir_st, name, &b, &st);

    if (status == NFS3_OK)
        status = status_of(directory ? xeno_cowfs_rmdir(c->s->c, dir->node, name)
                                     : xeno_cowfs_unlink(c->s->c, dir->node, name));
    if (status == NFS3_OK)
        xeno_nfs_object_removed(c->s->objects, b, names_left(c, b));
    put_object(c, b);
    return status;
}

static void do_removal(struct call *c, const diropargs3 *what, bool directory, REMOVE3res *r)
{
    wcc_data *wcc = &r->REMOVE3res_u.resok.dir_wcc; /* the same place in resfail */
    struct xeno_nfs_object *dir = NULL;
    struct stat st;

    r->status = find_dir(c, &what->dir, &dir, &st);
    if (r->status == NFS3_OK) {
        lock_objects(c, dir, NULL);
        r->status = stat_object(c, dir, &st);
        if (r->status == NFS3_OK) {
            fill_before(&st, wcc);
            r->status = check_new_name(what->name);
        }
        if (r->status == NFS3_OK && is_dot(what->name))
            r->status = NFS3ERR_INVAL;
        if (r->status == NFS3_OK && is_dotdot(what->name))
            r->status = directory ? NFS3ERR_NOTEMPTY : NFS3ERR_ISDIR;
        if (r->status == NFS3_OK)
            r->status = remove_name(c, dir, &st, what->name, directory);
        post_attr(c, dir, &wcc->after);
        unlock_objects(c, dir, NULL);
    }
    if (r->status == NFS3_OK)
        r->status = sync_object(c, dir, &st);
    put_object(c, dir);
}

void do_remove(struct call *c, void *args, void *res)
{
    do_removal(c, &((REMOVE3args *)args)->object, false, res);
}

void do_rmdir(struct call *c, void *args, void *res)
{
    do_removal(c, &((REMOVE3args *)args)->object, true, res);
}

/* --- names that move --- */

/* One end of a rename: a directory, and what is there. */
struct end {
    struct xeno_nfs_object *dir, *b;
    struct stat dir_st, st;
    const char *name;
};

static nfsstat3 check_end(struct call *c, struct end *e)
{
    nfsstat3 status = check_new_name(e->name);

    if (status == NFS3_OK && (is_dot(e->name) || is_dotdot(e->name)))
        status = NFS3ERR_INVAL;
    return status == NFS3_OK ? may_remove(c, e->dir, &e->dir_st, e->name, &e->b, &e->st) : status;
}

/* A directory cannot come to be below itself: then everything in it would be lost. */
static nfsstat3 check_above(struct call *c, const struct xeno_nfs_object *b,
                            struct xeno_nfs_object *to)
{
    struct xeno_cowfs_node *n = to->node, *root = xeno_cowfs_root(c->s->c), *up;
    bool below = false;
    int r = 0;

    for (bool first = true; n != root && r == 0 && !below; first = false) {
        below = n == b->node;
        r = xeno_cowfs_parent(c->s->c, n, &up);
        if (!first)
            xeno_cowfs_forget(c->s->c, n, 1);
        n = r == 0 ? up : root;
    }
    if (n != root)
        xeno_cowfs_forget(c->s->c, n, 1);
    return below ? NFS3ERR_INVAL : status_of(r);
}

static nfsstat3 rename_ends(struct call *c, struct end *s, struct end *d)
{
    nfsstat3 status = check_end(c, s);
    bool is_dir, apart = s->dir != d->dir;

    if (status != NFS3_OK)
        return status;
    is_dir = S_ISDIR(s->st.st_mode);
    status = check_end(c, d);
    if (status == NFS3ERR_NOENT) /* nothing is there, but the right to put it there is needed */
        status = check_rights(c, d->dir, &d->dir_st, MAY_EXEC | MAY_WRITE);
    if (status == NFS3_OK && is_dir && apart) /* its ".." changes */
        status = check_rights(c, s->b, &s->st, MAY_WRITE);
    if (status == NFS3_OK && is_dir)
        status = check_above(c, s->b, d->dir);
    if (status == NFS3_OK)
        status =
            status_of(xeno_cowfs_rename(c->s->c, s->dir->node, s->name, d->dir->node, d->name, 0));
    if (status != NFS3_OK || s->b == d->b)
        return status;
    xeno_nfs_object_moved(c->s->objects, s->b, d->dir, is_dir);
    if (d->b)
        xeno_nfs_object_removed(c->s->objects, d->b, names_left(c, d->b));
    return NFS3_OK;
}

void do_rename(struct call *c, void *args, void *res)
{
    RENAME3args *a = args;
    RENAME3res *r = res;
    RENAME3resok *ok = &r->RENAME3res_u.resok; /* the same places in resfail */
    struct end s = { .name = a->from.name }, d = { .name = a->to.name };

    r->status = find_dir(c, &a->from.dir, &s.dir, &s.dir_st);
    if (r->status == NFS3_OK)
        r->status = find_dir(c, &a->to.dir, &d.dir, &d.dir_st);
    if (r->status == NFS3_OK) {
        lock_objects(c, s.dir, d.dir);
        r->status = stat_object(c, s.dir, &s.dir_st);
        if (r->status == NFS3_OK)
            r->status = stat_object(c, d.dir, &d.dir_st);
        if (r->status == NFS3_OK) {
            fill_before(&s.dir_st, &ok->fromdir_wcc);
            fill_before(&d.dir_st, &ok->todir_wcc);
            r->status = rename_ends(c, &s, &d);
        }
        post_attr(c, s.dir, &ok->fromdir_wcc.after);
        post_attr(c, d.dir, &ok->todir_wcc.after);
        unlock_objects(c, s.dir, d.dir);
    }
    if (r->status == NFS3_OK)
        r->status = sync_object(c, d.dir, &d.dir_st);
    if (r->status == NFS3_OK && s.dir != d.dir)
        r->status = sync_object(c, s.dir, &s.dir_st);
    put_object(c, s.b);
    put_object(c, d.b);
    put_object(c, s.dir);
    put_object(c, d.dir);
}

/* --- links --- */

static nfsstat3 link_name(struct call *c, struct xeno_nfs_object *b, struct xeno_nfs_object *dir,
                          const struct stat *dir_st, const char *name)
{
    nfsstat3 status = check_new_name(name);
    struct stat st;

    if (status == NFS3_OK && (is_dot(name) || is_dotdot(name)))
        status = NFS3ERR_EXIST;
    if (status == NFS3_OK)
        status = check_rights(c, dir, dir_st, MAY_EXEC | MAY_WRITE);
    if (status == NFS3_OK)
        status = status_of(xeno_cowfs_link(c->s->c, b->node, dir->node, name, &st));
    if (status == NFS3_OK) {
        xeno_cowfs_forget(c->s->c, b->node, 1);
        xeno_nfs_object_moved(c->s->objects, b, dir, false);
    }
    return status;
}

void do_link(struct call *c, void *args, void *res)
{
    LINK3args *a = args;
    LINK3res *r = res;
    LINK3resok *ok = &r->LINK3res_u.resok; /* the same places in resfail */
    struct xeno_nfs_object *b = NULL, *dir = NULL;
    struct stat st, dir_st;

    r->status = find_stat(c, &a->file, &b, &st);
    if (r->status == NFS3_OK)
        r->status = find_dir(c, &a->link.dir, &dir, &dir_st);
    if (r->status == NFS3_OK) {
        lock_objects(c, dir, b);
        r->status = stat_object(c, dir, &dir_st);
        if (r->status == NFS3_OK) {
            fill_before(&dir_st, &ok->linkdir_wcc);
            r->status = link_name(c, b, dir, &dir_st, a->link.name);
        }
        post_attr(c, dir, &ok->linkdir_wcc.after);
        post_attr(c, b, &ok->file_attributes);
        unlock_objects(c, dir, b);
    }
    if (r->status == NFS3_OK)
        r->status = sync_object(c, dir, &dir_st);
    put_object(c, b);
    put_object(c, dir);
}
