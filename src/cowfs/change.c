/* src/cowfs/change.c - names that come: new objects, links, renames. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <utlist.h>

#include "cowfs/change.h"

int below(struct xeno_cowfs *c, struct xeno_cowfs_node *dir, const char *name)
{
    struct probe p;
    int r = probe_name(c, dir, name, true, &p);

    return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

int upper_holds(struct xeno_cowfs *c, struct xeno_cowfs_node *dir, const char *name)
{
    int fd = upper_fd(c, dir);
    struct stat st;

    if (fd < 0)
        return fd == -ENOENT ? NOTHING : fd;
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? NOTHING : -errno;
    return is_whiteout(&st) ? WHITEOUT : S_ISDIR(st.st_mode) ? DIRECTORY : OTHER;
}

static int is_free(struct xeno_cowfs *c, struct xeno_cowfs_node *dir, const char *name)
{
    struct probe p;
    int r = check_name(name);

    if (r == 0 && dir->gone)
        r = -ENOENT;
    if (r == 0)
        r = probe_name(c, dir, name, false, &p);
    else
        return r;
    return r == 0 ? -EEXIST : r == -ENOENT ? 0 : r;
}

/* --- new objects --- */

/* In a directory of this, with the default ACL of the real one, a new object gets what it would get
 * there. Returns: 1 with the folder made as *ret; 0 when the parent has no such ACL. */
static int acl_folder(struct xeno_cowfs *c, int parent, const char *name, int *ret)
{
    static const char attr[] = "system.posix_acl_default";
    char path[XENO_COWFS_PROC_PATH], acl[4096];
    ssize_t n = getxattr(xeno_cowfs_proc_path(parent, "", path), attr, acl, sizeof acl);

    if (n < 0)
        return errno == ENODATA || errno == EOPNOTSUPP ? 0 : -errno;
    if (mkdirat(c->work, name, 0700) < 0)
        return -errno;
    if (lsetxattr(xeno_cowfs_proc_path(c->work, name, path), attr, acl, (size_t)n, 0) < 0)
        return -errno;
    *ret = xeno_cowfs_beneath(c->work, name, O_PATH | O_DIRECTORY, 0);
    return *ret < 0 ? *ret : 1;
}

static int make_object(int dir, const char *tmp, const struct xeno_cowfs_new *what, mode_t mode,
                       int *ret_fd)
{
    int r;

    if (what->nameless) {
        *ret_fd = xeno_cowfs_beneath(dir, ".", O_RDWR | O_TMPFILE, mode & 0777);
        return *ret_fd < 0 ? *ret_fd : 0;
    }
    switch (what->mode & S_IFMT) {
    case S_IFREG:
        *ret_fd = xeno_cowfs_beneath(dir, tmp, O_RDWR | O_CREAT | O_EXCL, mode & 0777);
        if (*ret_fd >= 0 && what->tag)
            return set_number(dir, tmp, *ret_fd, TAG_ATTR, *what->tag);
        return *ret_fd < 0 ? *ret_fd : 0;
    case S_IFDIR:
        r = mkdirat(dir, tmp, mode & 0777);
        break;
    case S_IFLNK:
        r = symlinkat(what->target, dir, tmp);
        break;
    default:
        r = mknodat(dir, tmp, (what->mode & S_IFMT) | (mode & 0777), what->rdev);
    }
    return r < 0 ? -errno : 0;
}

/* The owner, then the bits that a change of owner clears. fd: of a file without a name, else -1. */
static int own_object(int dir, const char *tmp, int fd, const struct xeno_cowfs_new *what,
                      const struct stat *parent)
{
    bool inherit = (parent->st_mode & S_ISGID) != 0;
    gid_t gid = inherit ? parent->st_gid : what->who.gid;
    mode_t special = what->mode & (S_ISUID | S_ISGID | S_ISVTX), mode;
    struct stat st;

    if (fd >= 0) {
        dir = fd;
        tmp = "";
    }
    if (fstatat(dir, tmp, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
        return -errno;
    if ((st.st_uid != what->who.uid || st.st_gid != gid) &&
        fchownat(dir, tmp, what->who.uid, gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
        return -errno;
    if (S_ISDIR(what->mode) && inherit)
        special |= S_ISGID;
    mode = (st.st_mode & 0777) | special;
    if (special && !S_ISLNK(what->mode) &&
        (fd >= 0 ? fchmod(fd, mode) : fchmodat(dir, tmp, mode, 0)) < 0)
        return -errno;
    return 0;
}

/* The object in work, as tmp, complete. */
static int prepare(struct xeno_cowfs *c, int parent, const char *tmp,
                   const struct xeno_cowfs_new *what, int *ret_fd)
{
    xeno_autoclose int folder = -1;
    char name[WORK_NAME];
    struct stat st;
    mode_t mode = what->mode & 07777;
    int r, dir = c->work;

    if (fstat(parent, &st) < 0)
        return -errno;
    r = S_ISLNK(what->mode) ? 0 : acl_folder(c, parent, work_name(c, name), &folder);
    if (r < 0)
        return r;
    if (r > 0)
        dir = folder;
    else
        mode &= ~what->who.umask;
    r = make_object(dir, tmp, what, mode, ret_fd);
    if (r == 0)
        r = own_object(dir, tmp, what->nameless ? *ret_fd : -1, what, &st);
    if (folder < 0)
        return r;
    if (r == 0 && !what->nameless && renameat2(folder, tmp, c->work, tmp, RENAME_NOREPLACE) < 0)
        r = -errno;
    unlinkat(folder, tmp, S_ISDIR(what->mode) ? AT_REMOVEDIR : 0);
    unlinkat(c->work, name, AT_REMOVEDIR);
    return r;
}

/* From work to where nothing or a whiteout is. */
static int put(struct xeno_cowfs *c, const char *tmp, bool is_dir, int dir, const char *name,
               int there)
{
    int r = 0;

    if (there == WHITEOUT && is_dir) {
        /* What is below stays hidden. */
        r = set_mark(c->work, tmp, XENO_COWFS_OWN_PREFIX "opaque", "y");
        if (r == 0 && renameat2(c->work, tmp, dir, name, RENAME_EXCHANGE) < 0)
            r = -errno;
        if (r == 0)
            unlinkat(c->work, tmp, 0);
        return r;
    }
    if (renameat2(c->work, tmp, dir, name, there == WHITEOUT ? 0 : RENAME_NOREPLACE) < 0)
        return -errno;
    return 0;
}

/* A place for a new name. Returns: the upper's descriptor of its directory, with what is there,
 * which is NOTHING or a WHITEOUT; or an error. */
static int open_place(struct xeno_cowfs *c, struct xeno_cowfs_node *parent, const char *name,
                      int *ret_there)
{
    int r = is_free(c, parent, name);

    if (r == 0)
        r = take_over_dir(c, parent);
    if (r < 0)
        return r;
    *ret_there = upper_holds(c, parent, name);
    return *ret_there < 0 ? *ret_there : upper_fd(c, parent);
}

static int make_locked(struct xeno_cowfs *c, struct xeno_cowfs_node *parent, const char *name,
                       const struct xeno_cowfs_new *what, int *ret_fd, struct probe *ret)
{
    bool is_dir = S_ISDIR(what->mode);
    char tmp[WORK_NAME];
    int there, dir = open_place(c, parent, name, &there), r;

    if (dir < 0)
        return dir;
    r = prepare(c, dir, work_name(c, tmp), what, ret_fd);
    if (r == 0)
        r = put(c, tmp, is_dir, dir, name, there);
    if (r < 0)
        unlinkat(c->work, tmp, is_dir ? AT_REMOVEDIR : 0);
    return r == 0 ? probe_name(c, parent, name, false, ret) : r;
}

/* As above, of a file without a name: its node is as one whose name is gone. */
static int make_nameless(struct xeno_cowfs *c, struct xeno_cowfs_node *parent,
                         const struct xeno_cowfs_new *what, int *ret_fd,
                         struct xeno_cowfs_node **ret, struct probe *p)
{
    xeno_autoclose int held = -1;
    char tmp[WORK_NAME];
    int r = parent->gone ? -ENOENT : take_over_dir(c, parent);

    if (r == 0)
        r = prepare(c, upper_fd(c, parent), work_name(c, tmp), what, ret_fd);
    if (r < 0)
        return r;
    *p = (struct probe){ .count = 1, .layers = { UPPER } };
    held = fcntl(*ret_fd, F_DUPFD_CLOEXEC, 0);
    if (held < 0 || fstat(held, &p->st) < 0)
        return -errno;
    p->ino = ino_of(c, UPPER, &p->st);
    *ret = node_get(c, parent, "", p);
    node_drop_name(c, *ret, xeno_take_fd(&held));
    return 0;
}

int xeno_cowfs_make(struct xeno_cowfs *c, struct xeno_cowfs_node *parent, const char *name,
                    const struct xeno_cowfs_new *what, struct xeno_cowfs_node **ret,
                    struct stat *ret_st, struct xeno_cowfs_file **ret_file)
{
    xeno_autoclose int fd = -1;
    struct probe p;
    int r;

    if (S_ISCHR(what->mode) && what->rdev == 0)
        return -EPERM; /* it would be a whiteout */
    r = use_dir(c, parent);
    if (r < 0)
        return r;
    trim(c);
    pthread_rwlock_wrlock(&c->tree);
    if (what->nameless) {
        r = make_nameless(c, parent, what, &fd, ret, &p);
    } else {
        r = make_locked(c, parent, name, what, &fd, &p);
        if (r == 0)
            *ret = node_get(c, parent, name, &p);
    }
    if (r == 0) {
        *ret_st = p.st;
        stat_as_node(*ret, ret_st);
        if (ret_file)
            add_file(c, *ret, &(struct contents){ .fd = xeno_take_fd(&fd) }, true, ret_file);
    }
    pthread_rwlock_unlock(&c->tree);
    return r;
}

/* --- links --- */

static int link_object(struct xeno_cowfs *c, struct xeno_cowfs_node *n, int dir, const char *name)
{
    char path[XENO_COWFS_PROC_PATH];
    struct at at;
    int r = node_at(c, n, &at);

    if (r < 0)
        return r;
    if (*at.name)
        return linkat(at.dir, at.name, dir, name, 0) < 0 ? -errno : 0;
    xeno_cowfs_proc_path(at.dir, "", path);
    return linkat(AT_FDCWD, path, dir, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

static int link_locked(struct xeno_cowfs *c, struct xeno_cowfs_node *n,
                       struct xeno_cowfs_node *parent, const char *name)
{
    char tmp[WORK_NAME];
    int there, dir = open_place(c, parent, name, &there), r = 0;

    if (dir < 0)
        return dir;
    if (S_ISREG(n->type))
        r = mark_impure(c, parent);
    if (r < 0)
        return r;
    if (there == NOTHING)
        return link_object(c, n, dir, name);
    r = link_object(c, n, c->work, work_name(c, tmp));
    if (r == 0)
        r = put(c, tmp, false, dir, name, there);
    if (r < 0)
        unlinkat(c->work, tmp, 0);
    return r;
}

int xeno_cowfs_link(struct xeno_cowfs *c, struct xeno_cowfs_node *n, struct xeno_cowfs_node *parent,
                    const char *name, struct stat *ret_st)
{
    int r = S_ISDIR(n->type) ? -EPERM : use_dir(c, parent);

    if (r == 0)
        r = take_over(c, n, -1);
    if (r < 0)
        return r;
    pthread_rwlock_wrlock(&c->tree);
    r = link_locked(c, n, parent, name);
    if (r == 0)
        r = node_stat(c, n, ret_st);
    if (r == 0) {
        pthread_mutex_lock(&c->table);
        n->refs++;
        pthread_mutex_unlock(&c->table);
    }
    pthread_rwlock_unlock(&c->tree);
    return r;
}

/* --- renames --- */

/* Two ends, and what is there. */
struct end {
    struct xeno_cowfs_node *dir;
    const char *name;
    bool there;
    struct probe p;
    int below, upper; /* as below() and upper_holds() say */
};

static bool is_dir(const struct end *e)
{
    return e->there && S_ISDIR(e->p.st.st_mode);
}

static int look(struct xeno_cowfs *c, struct end *e)
{
    int r = check_name(e->name);

    if (r == 0)
        r = probe_name(c, e->dir, e->name, false, &e->p);
    e->there = r == 0;
    return r == -ENOENT ? 0 : r;
}

static int look_below(struct xeno_cowfs *c, struct end *e)
{
    e->below = below(c, e->dir, e->name);
    e->upper = upper_holds(c, e->dir, e->name);
    return e->below < 0 ? e->below : e->upper < 0 ? e->upper : 0;
}

/* A directory with parts in layers cannot be moved: nothing in the upper says where they are. */
static int may_move(const struct end *e)
{
    return is_dir(e) && (e->p.count > 1 || e->p.layers[0] != UPPER) ? -EXDEV : 0;
}

static int check_ends(struct xeno_cowfs *c, struct end *s, struct end *d, unsigned flags)
{
    int r;

    if (!s->there || s->dir->gone || d->dir->gone || ((flags & RENAME_EXCHANGE) && !d->there))
        return -ENOENT;
    if ((flags & RENAME_NOREPLACE) && d->there)
        return -EEXIST;
    r = may_move(s);
    if (r == 0 && (flags & RENAME_EXCHANGE))
        return may_move(d);
    if (r < 0 || !d->there)
        return r;
    if (is_dir(s) != is_dir(d))
        return is_dir(s) ? -ENOTDIR : -EISDIR;
    return is_dir(d) ? check_empty(c, d->dir, d->name, &d->p) : 0;
}

/* An object with a number kept comes to the directory of `to`. */
static int mark_arrival(struct xeno_cowfs *c, const struct end *of, struct xeno_cowfs_node *to)
{
    return of->p.ino != ino_of(c, UPPER, &of->p.st) ? mark_impure(c, to) : 0;
}

/* A directory that comes to where something is below must not be merged with it. */
static int hide_below(struct xeno_cowfs *c, const struct end *of, const struct end *at)
{
    return is_dir(of) && at->below
               ? set_mark(upper_fd(c, of->dir), of->name, XENO_COWFS_OWN_PREFIX "opaque", "y")
               : 0;
}

static int move_object(struct xeno_cowfs *c, const struct end *s, const struct end *d)
{
    int from = upper_fd(c, s->dir), to = upper_fd(c, d->dir), r;
    unsigned flags = s->below ? RENAME_WHITEOUT : 0;

    if (is_dir(s) && d->upper == WHITEOUT) {
        /* The whiteout goes where the directory was, and stays if it is of use there. */
        if (renameat2(from, s->name, to, d->name, RENAME_EXCHANGE) < 0)
            return -errno;
        if (!s->below)
            unlinkat(from, s->name, 0);
        return 0;
    }
    if (is_dir(s) && d->upper == DIRECTORY) {
        r = clear_whiteouts(c, to, d->name);
        if (r < 0)
            return r;
    }
    return renameat2(from, s->name, to, d->name, flags) < 0 ? -errno : 0;
}

static int exchange(struct xeno_cowfs *c, const struct end *s, const struct end *d)
{
    int r = hide_below(c, d, s);

    if (r == 0)
        r = mark_arrival(c, d, s->dir);
    if (r == 0 &&
        renameat2(upper_fd(c, s->dir), s->name, upper_fd(c, d->dir), d->name, RENAME_EXCHANGE) < 0)
        r = -errno;
    return r;
}

/* The nodes follow. */
static void follow(struct xeno_cowfs *c, struct xeno_cowfs_node *n, const struct end *from,
                   const struct end *to)
{
    if (!n)
        return;
    if (node_is_at(n, from->dir, from->name))
        node_move(c, n, to->dir, to->name);
    node_unref(c, n, 1);
}

static int rename_ends(struct xeno_cowfs *c, struct end *s, struct end *d, unsigned flags)
{
    struct xeno_cowfs_node *sn, *dn;
    struct doomed doomed = DOOMED_INIT;
    int r = take_over_dir(c, s->dir);

    if (r == 0)
        r = take_over_dir(c, d->dir);
    if (r == 0)
        r = look_below(c, s);
    if (r == 0)
        r = look_below(c, d);
    if (r == 0)
        r = hide_below(c, s, d);
    if (r == 0)
        r = mark_arrival(c, s, d->dir);
    if (r == 0 && d->there && !(flags & RENAME_EXCHANGE))
        r = doom(c, d->dir, d->name, &d->p, &doomed);
    if (r < 0)
        return r;
    sn = node_find(c, s->dir, s->name, &s->p);
    dn = flags & RENAME_EXCHANGE ? node_find(c, d->dir, d->name, &d->p) : NULL;
    r = flags & RENAME_EXCHANGE ? exchange(c, s, d) : move_object(c, s, d);
    doom_end(c, &doomed, r == 0);
    if (r < 0) {
        if (sn)
            node_unref(c, sn, 1);
        if (dn)
            node_unref(c, dn, 1);
        return r;
    }
    follow(c, sn, s, d);
    follow(c, dn, d, s);
    return 0;
}

/* Files are taken over without the lock, and looked at again with it. Returns: 1 when one was. */
static int take_over_end(struct xeno_cowfs *c, struct end *e)
{
    struct xeno_cowfs_node *n;
    int r;

    if (!e->there || is_dir(e) || e->p.layers[0] == UPPER)
        return 0;
    n = node_get(c, e->dir, e->name, &e->p);
    pthread_rwlock_unlock(&c->tree);
    r = take_over(c, n, -1);
    node_unref(c, n, 1);
    pthread_rwlock_wrlock(&c->tree);
    return r < 0 ? r : 1;
}

static int rename_locked(struct xeno_cowfs *c, struct end *s, struct end *d, unsigned flags)
{
    int r = -EBUSY;

    for (int i = 0; i < TRIES; i++) {
        r = look(c, s);
        if (r == 0)
            r = look(c, d);
        if (r == 0)
            r = check_ends(c, s, d, flags);
        if (r == 0)
            r = take_over_end(c, s);
        if (r == 0 && (flags & RENAME_EXCHANGE))
            r = take_over_end(c, d);
        if (r <= 0)
            break;
        r = -EBUSY;
    }
    if (r < 0)
        return r;
    if (d->there && s->p.layers[0] == d->p.layers[0] && s->p.st.st_ino == d->p.st.st_ino)
        return 0; /* two names of one file */
    return rename_ends(c, s, d, flags);
}

int xeno_cowfs_rename(struct xeno_cowfs *c, struct xeno_cowfs_node *from, const char *name,
                      struct xeno_cowfs_node *to, const char *to_name, unsigned flags)
{
    struct end s = { .dir = from, .name = name }, d = { .dir = to, .name = to_name };
    int r;

    if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE))
        return -EINVAL;
    r = use_dir(c, from);
    if (r == 0)
        r = use_dir(c, to);
    if (r < 0)
        return r;
    pthread_rwlock_wrlock(&c->tree);
    r = rename_locked(c, &s, &d, flags);
    pthread_rwlock_unlock(&c->tree);
    return r;
}
