/* src/cowfs/fuse.c - the FUSE front end: mount, serve, and requests about names and attributes. */
#include "cowfs/fuse.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cowfs/fuse-loop.h"
#include "cowfs/fuse-priv.h"
#include "cowfs/fuse-raw.h"

#define BACKGROUND  64 /* requests that the kernel makes ahead of time */
#define XATTR_BYTES 65536

struct xeno_cowfs_mount {
    struct fuse_session *session;
    int threads;
    bool mounted, signals;
};

/* --- replies --- */

void fill_entry(struct fuse_entry_param *e, struct xeno_cowfs_node *n, const struct stat *st)
{
    memset(e, 0, sizeof *e);
    e->ino = (fuse_ino_t)(uintptr_t)n;
    e->attr = *st;
    e->attr_timeout = known_for(st);
    e->entry_timeout = FOR_EVER;
}

static void reply_node(fuse_req_t req, int r, struct xeno_cowfs_node *n, const struct stat *st)
{
    struct fuse_entry_param e;

    if (r < 0) {
        reply_result(req, r);
        return;
    }
    fill_entry(&e, n, st);
    if (fuse_reply_entry(req, &e) < 0)
        xeno_cowfs_forget(stack_of(req), n, 1);
}

static void reply_stat(fuse_req_t req, int r, const struct stat *st)
{
    if (r < 0)
        reply_result(req, r);
    else
        fuse_reply_attr(req, st, known_for(st));
}

/* --- names --- */

struct xeno_cowfs_new new_object(fuse_req_t req, mode_t mode)
{
    const struct fuse_ctx *ctx = fuse_req_ctx(req);

    return (struct xeno_cowfs_new){
        .mode = mode, .who = { .uid = ctx->uid, .gid = ctx->gid, .umask = ctx->umask }
    };
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param none = { .entry_timeout = FOR_EVER };
    struct xeno_cowfs_node *n = NULL;
    struct stat st;
    int r = xeno_cowfs_lookup(stack_of(req), node_of(req, parent), name, &n, &st);

    if (r == -ENOENT)
        fuse_reply_entry(req, &none); /* and the kernel remembers that */
    else
        reply_node(req, r, n, &st);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
    xeno_cowfs_forget(stack_of(req), node_of(req, ino), count);
    fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *all)
{
    for (size_t i = 0; i < count; i++)
        xeno_cowfs_forget(stack_of(req), node_of(req, all[i].ino), all[i].nlookup);
    fuse_reply_none(req);
}

static void make(fuse_req_t req, fuse_ino_t parent, const char *name,
                 const struct xeno_cowfs_new *what)
{
    struct xeno_cowfs_node *n = NULL;
    struct stat st;
    int r = xeno_cowfs_make(stack_of(req), node_of(req, parent), name, what, &n, &st, NULL);

    reply_node(req, r, n, &st);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
    struct xeno_cowfs_new what = new_object(req, mode);

    what.rdev = rdev;
    make(req, parent, name, &what);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    struct xeno_cowfs_new what = new_object(req, S_IFDIR | (mode & 07777));

    make(req, parent, name, &what);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    struct xeno_cowfs_new what = new_object(req, S_IFLNK | 0777);

    what.target = target;
    make(req, parent, name, &what);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
    struct xeno_cowfs_node *n = node_of(req, ino);
    struct stat st;
    int r = xeno_cowfs_link(stack_of(req), n, node_of(req, parent), name, &st);

    reply_node(req, r, n, &st);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    reply_result(req, xeno_cowfs_unlink(stack_of(req), node_of(req, parent), name));
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    reply_result(req, xeno_cowfs_rmdir(stack_of(req), node_of(req, parent), name));
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to,
                      const char *to_name, unsigned flags)
{
    reply_result(req, xeno_cowfs_rename(stack_of(req), node_of(req, parent), name, node_of(req, to),
                                        to_name, flags));
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
    char target[PATH_MAX];
    ssize_t n = xeno_cowfs_readlink(stack_of(req), node_of(req, ino), target, sizeof target);

    if (n < 0)
        fuse_reply_err(req, (int)-n);
    else
        fuse_reply_readlink(req, target);
}

/* --- attributes --- */

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct stat st;
    int r = xeno_cowfs_stat(stack_of(req), node_of(req, ino), &st);

    (void)fi;
    reply_stat(req, r, &st);
}

static struct timespec time_to_set(const struct timespec *t, int which, int set, int now)
{
    if (which & now)
        return (struct timespec){ .tv_nsec = UTIME_NOW };
    return which & set ? *t : (struct timespec){ .tv_nsec = UTIME_OMIT };
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int which,
                       struct fuse_file_info *fi)
{
    const int times = FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME |
                      FUSE_SET_ATTR_MTIME_NOW;
    struct xeno_cowfs_set set = {
        .mode = which & FUSE_SET_ATTR_MODE,
        .uid = which & FUSE_SET_ATTR_UID,
        .gid = which & FUSE_SET_ATTR_GID,
        .size = which & FUSE_SET_ATTR_SIZE,
        .times = which & times,
        .kill = fuse_raw_kills(),
        .st_mode = attr->st_mode,
        .st_uid = attr->st_uid,
        .st_gid = attr->st_gid,
        .st_size = attr->st_size,
        .ts = { time_to_set(&attr->st_atim, which, FUSE_SET_ATTR_ATIME, FUSE_SET_ATTR_ATIME_NOW),
                time_to_set(&attr->st_mtim, which, FUSE_SET_ATTR_MTIME, FUSE_SET_ATTR_MTIME_NOW) },
    };
    struct stat st;
    int r = xeno_cowfs_set(stack_of(req), node_of(req, ino), file_of(fi), &set, &st);

    reply_stat(req, r, &st);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
    struct statvfs st;
    int r = xeno_cowfs_statvfs(stack_of(req), &st);

    (void)ino;
    if (r < 0)
        reply_result(req, r);
    else
        fuse_reply_statfs(req, &st);
}

static void reply_bytes(fuse_req_t req, ssize_t n, const char *buf, size_t size)
{
    if (n < 0)
        fuse_reply_err(req, (int)-n);
    else if (size == 0)
        fuse_reply_xattr(req, (size_t)n);
    else
        fuse_reply_buf(req, buf, (size_t)n);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    size_t room = size < XATTR_BYTES ? size : XATTR_BYTES;
    xeno_autofree char *buf = xeno_alloc0(1, room + 1);
    ssize_t n = xeno_cowfs_getxattr(stack_of(req), node_of(req, ino), name, buf, room);

    reply_bytes(req, n, buf, size);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    size_t room = size < XATTR_BYTES ? size : XATTR_BYTES;
    xeno_autofree char *buf = xeno_alloc0(1, room + 1);
    ssize_t n = xeno_cowfs_listxattr(stack_of(req), node_of(req, ino), buf, room);

    reply_bytes(req, n, buf, size);
}

static void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
                        size_t size, int flags)
{
    reply_result(req,
                 xeno_cowfs_setxattr(stack_of(req), node_of(req, ino), name, value, size, flags));
}

static void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    reply_result(req, xeno_cowfs_removexattr(stack_of(req), node_of(req, ino), name));
}

/* --- mount and serve --- */

static void op_init(void *stack, struct fuse_conn_info *conn)
{
    unsigned wanted = FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
                      FUSE_CAP_SPLICE_MOVE | FUSE_CAP_POSIX_ACL | FUSE_CAP_DONT_MASK |
                      FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_PARALLEL_DIROPS |
                      FUSE_CAP_CACHE_SYMLINKS;

    (void)stack;
    conn->want |= conn->capable & wanted;
    /* Set-id bits are cleared when we are told to (fuse-raw.h). O_TRUNC is a change of size. Locks
     * are the kernel's own. Nobody else changes contents, so none are invalid. */
    conn->want &=
        ~(unsigned)(FUSE_CAP_HANDLE_KILLPRIV | FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_POSIX_LOCKS |
                    FUSE_CAP_FLOCK_LOCKS | FUSE_CAP_AUTO_INVAL_DATA);
    conn->max_background = BACKGROUND;
    conn->time_gran = 1;
}

static const struct fuse_lowlevel_ops ops = {
    .init = op_init,
    .lookup = op_lookup,
    .forget = op_forget,
    .forget_multi = op_forget_multi,
    .getattr = op_getattr,
    .setattr = op_setattr,
    .readlink = op_readlink,
    .mknod = op_mknod,
    .mkdir = op_mkdir,
    .unlink = op_unlink,
    .rmdir = op_rmdir,
    .symlink = op_symlink,
    .rename = op_rename,
    .link = op_link,
    .create = op_create,
    .open = op_open,
    .read = op_read,
    .write_buf = op_write_buf,
    .release = op_release,
    .fsync = op_fsync,
    .fallocate = op_fallocate,
    .lseek = op_lseek,
    .copy_file_range = op_copy_file_range,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .readdirplus = op_readdirplus,
    .releasedir = op_releasedir,
    .fsyncdir = op_fsyncdir,
    .statfs = op_statfs,
    .getxattr = op_getxattr,
    .listxattr = op_listxattr,
    .setxattr = op_setxattr,
    .removexattr = op_removexattr,
};

/* libfuse takes a descriptor in place of a folder by a name of this form, and unmounts nothing
 * then. */
static int attach(struct xeno_cowfs_mount *m, const struct xeno_cowfs_mount_opts *opts,
                  struct xeno_err *err)
{
    char path[32];

    snprintf(path, sizeof path, "/dev/fd/%d", opts->fd);
    if (fuse_session_mount(m->session, opts->where ? opts->where : path) < 0)
        return xeno_fail(err, -EIO, "cowfs.mount", "cannot mount on '%s'",
                         opts->where ? opts->where : path);
    m->mounted = opts->where != NULL;
    if (fuse_raw_use(m->session) < 0)
        return xeno_fail(err, -EIO, "cowfs.mount", "libfuse does not let its replies be written");
    return 0;
}

int xeno_cowfs_mount(struct xeno_cowfs *c, const struct xeno_cowfs_mount_opts *opts,
                     struct xeno_cowfs_mount **ret, struct xeno_err *err)
{
    xeno_auto(xeno_cowfs_mount) m = xeno_new0(struct xeno_cowfs_mount);
    bool more = opts->options && *opts->options;
    xeno_autofree char *text = xeno_asprintf(
        "default_permissions,fsname=xeno-cowfs,subtype=xeno-cowfs,nosuid,nodev%s%s%s",
        geteuid() == 0 ? ",allow_other" : "", more ? "," : "", more ? opts->options : "");
    char *argv[] = { (char[]){ "xeno-cowfs" }, (char[]){ "-o" }, text, NULL };
    struct fuse_args args = FUSE_ARGS_INIT(3, argv);
    int r;

    m->threads = opts->threads;
    xeno_cowfs_when_waiting(c, fuse_may_wait);
    m->session = fuse_session_new(&args, &ops, sizeof ops, c);
    fuse_opt_free_args(&args);
    if (!m->session)
        return xeno_fail(err, -EINVAL, "cowfs.mount", "libfuse does not take the options '%s'",
                         text);
    r = attach(m, opts, err);
    if (r == 0)
        *ret = xeno_take(&m);
    return r;
}

int xeno_cowfs_serve(struct xeno_cowfs_mount *m, struct xeno_err *err)
{
    if (fuse_set_signal_handlers(m->session) < 0)
        return xeno_fail(err, -EIO, "cowfs.serve", "cannot set signal handlers");
    m->signals = true;
    return fuse_loop(m->session, m->threads, err); /* unmounted, or told to by a signal */
}

void xeno_cowfs_mount_free(struct xeno_cowfs_mount *m)
{
    if (!m)
        return;
    if (m->signals)
        fuse_remove_signal_handlers(m->session);
    if (m->mounted)
        fuse_session_unmount(m->session);
    if (m->session)
        fuse_session_destroy(m->session);
    free(m);
}
