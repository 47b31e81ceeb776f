/* src/cowfs/layer-dir.c - a layer that is a directory. */
#include "cowfs/layer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/mem.h"
#include "cowfs/beneath.h"

struct dir_layer {
    struct xeno_cowfs_layer base; /* first, so the two pointers are one */
    int root;
};

int xeno_cowfs_beneath(int dir, const char *name, int flags, mode_t mode)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)flags | O_CLOEXEC | O_NOFOLLOW,
        .mode = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
    };
    long fd;

    do
        fd = syscall(SYS_openat2, dir, name, &how, sizeof how);
    while (fd < 0 && (errno == EAGAIN || errno == EINTR)); /* a rename elsewhere raced with it */
    return fd < 0 ? -errno : (int)fd;
}

const char *xeno_cowfs_proc_path(int fd, const char *name, char buf[XENO_COWFS_PROC_PATH])
{
    snprintf(buf, XENO_COWFS_PROC_PATH, *name ? "/proc/self/fd/%d/%s" : "/proc/self/fd/%d", fd,
             name);
    return buf;
}

static int dir_open(struct xeno_cowfs_layer *l, int parent, const char *name)
{
    struct dir_layer *d = (struct dir_layer *)l;

    if (parent < 0)
        return xeno_cowfs_beneath(d->root, ".", O_PATH | O_DIRECTORY, 0);
    return xeno_cowfs_beneath(parent, name, O_PATH | O_DIRECTORY, 0);
}

static void dir_close(struct xeno_cowfs_layer *l, int dir)
{
    (void)l;
    close(dir);
}

static int dir_hold(struct xeno_cowfs_layer *l, int dir, const char *name)
{
    (void)l;
    return xeno_cowfs_beneath(dir, name, O_PATH, 0);
}

static int dir_stat(struct xeno_cowfs_layer *l, int dir, const char *name, struct stat *ret)
{
    (void)l;
    return fstatat(dir, name, ret, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static int dir_list(struct xeno_cowfs_layer *l, int dir, xeno_cowfs_each fn, void *arg)
{
    int fd = xeno_cowfs_beneath(dir, ".", O_RDONLY | O_DIRECTORY, 0), r = 0;
    DIR *d;

    (void)l;
    if (fd < 0)
        return fd;
    d = fdopendir(fd);
    if (!d) {
        close(fd);
        return -ENOMEM;
    }
    while (r >= 0) {
        struct dirent *e;

        errno = 0;
        e = readdir(d);
        if (!e) {
            r = -errno;
            break;
        }
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            r = fn(arg, e->d_name, e->d_type, e->d_ino);
    }
    closedir(d);
    return r < 0 ? r : 0;
}

static bool dir_holds(struct xeno_cowfs_layer *l, int dir, const char *name, const char *inner)
{
    char path[2 * NAME_MAX + 2];

    (void)l;
    /* `name` is a directory and stays one, so this is one step within the layer. */
    snprintf(path, sizeof path, "%s/%s", *name ? name : ".", inner);
    return faccessat(dir, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static ssize_t dir_readlink(struct xeno_cowfs_layer *l, int dir, const char *name, char *buf,
                            size_t size)
{
    ssize_t n = readlinkat(dir, name, buf, size);

    (void)l;
    return n < 0 ? -errno : n;
}

static int open_one(int dir, const char *name, int flags)
{
    char path[XENO_COWFS_PROC_PATH];
    int fd;

    if (*name)
        return xeno_cowfs_beneath(dir, name, flags | O_NONBLOCK, 0);
    fd = open(xeno_cowfs_proc_path(dir, "", path), flags | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

static int dir_file(struct xeno_cowfs_layer *l, int dir, const char *name, int flags)
{
    int fd = open_one(dir, name, flags);

    (void)l;
    if (fd == -EPERM && (flags & O_NOATIME)) /* not our file */
        fd = open_one(dir, name, flags & ~O_NOATIME);
    return fd;
}

static ssize_t dir_getxattr(struct xeno_cowfs_layer *l, int dir, const char *name, const char *attr,
                            void *buf, size_t size)
{
    char path[XENO_COWFS_PROC_PATH];
    ssize_t n;

    (void)l;
    xeno_cowfs_proc_path(dir, name, path);
    n = *name ? lgetxattr(path, attr, buf, size) : getxattr(path, attr, buf, size);
    return n < 0 ? -errno : n;
}

static ssize_t dir_listxattr(struct xeno_cowfs_layer *l, int dir, const char *name, char *buf,
                             size_t size)
{
    char path[XENO_COWFS_PROC_PATH];
    ssize_t n;

    (void)l;
    xeno_cowfs_proc_path(dir, name, path);
    n = *name ? llistxattr(path, buf, size) : listxattr(path, buf, size);
    return n < 0 ? -errno : n;
}

static void dir_free(struct xeno_cowfs_layer *l)
{
    struct dir_layer *d = (struct dir_layer *)l;

    close(d->root);
    free(d);
}

static const struct xeno_cowfs_layer_ops dir_ops = {
    .name = "directory",
    .dir_open = dir_open,
    .dir_close = dir_close,
    .hold = dir_hold,
    .stat = dir_stat,
    .list = dir_list,
    .holds = dir_holds,
    .readlink = dir_readlink,
    .open = dir_file,
    .getxattr = dir_getxattr,
    .listxattr = dir_listxattr,
    .free = dir_free,
};

int xeno_cowfs_layer_dir(const char *path, struct xeno_cowfs_layer **ret, struct xeno_err *err)
{
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct dir_layer *d;

    if (fd < 0)
        return xeno_fail_errno(err, -errno, "cowfs.layer", "open the directory '%s'", path);
    d = xeno_new0(struct dir_layer);
    d->base.ops = &dir_ops;
    d->root = fd;
    *ret = &d->base;
    return 0;
}
