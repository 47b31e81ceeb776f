/* src/cowfs/file.c - open files, attributes, and what is synced. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <utlist.h>

#include "cowfs/change.h"

/* --- open files --- */

static int reopen(int fd, int flags)
{
    char path[XENO_COWFS_PROC_PATH];
    int r = open(xeno_cowfs_proc_path(fd, "", path), flags | O_CLOEXEC | O_NONBLOCK);

    return r < 0 ? -errno : r;
}

/* `tree` read. */
static int open_object(struct xeno_cowfs *c, struct xeno_cowfs_node *n, int flags)
{
    struct xeno_cowfs_layer *l = c->layers[n->layer];
    struct at at;
    int r = node_at(c, n, &at);

    if (r < 0)
        return r;
    if (!*at.name)
        return reopen(at.dir, flags);
    return l->ops->open(l, at.dir, at.name, n->layer == UPPER ? flags : flags | O_NOATIME);
}

struct xeno_cowfs_file *add_file(struct xeno_cowfs *c, struct xeno_cowfs_node *n, int fd)
{
    struct xeno_cowfs_file *f = xeno_new0(struct xeno_cowfs_file);

    f->fd = fd;
    f->node = n;
    pthread_mutex_lock(&c->table);
    n->refs++;
    DL_APPEND(n->files, f);
    pthread_mutex_unlock(&c->table);
    return f;
}

int xeno_cowfs_file_open(struct xeno_cowfs *c, struct xeno_cowfs_node *n, int flags,
                         struct xeno_cowfs_file **ret)
{
    bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
    int r = 0, fd;

    if (!S_ISREG(n->type))
        return S_ISDIR(n->type) ? -EISDIR : -EINVAL;
    if (writes)
        r = take_over(c, n, flags & O_TRUNC ? 0 : -1);
    if (r < 0)
        return r;
    pthread_rwlock_rdlock(&c->tree);
    /* What is cached is written by halves, for which the other half is read. */
    fd = open_object(c, n, writes ? O_RDWR : O_RDONLY);
    if (fd == -EACCES && writes)
        fd = open_object(c, n, O_WRONLY);
    if (fd >= 0)
        *ret = add_file(c, n, fd);
    pthread_rwlock_unlock(&c->tree);
    if (fd < 0)
        return fd;
    if ((flags & O_TRUNC) && ftruncate(fd, 0) < 0) {
        r = -errno;
        xeno_cowfs_file_close(c, *ret);
    }
    return r;
}

void xeno_cowfs_file_close(struct xeno_cowfs *c, struct xeno_cowfs_file *f)
{
    struct xeno_cowfs_node *n = f->node;

    pthread_mutex_lock(&c->table);
    DL_DELETE(n->files, f);
    pthread_mutex_unlock(&c->table);
    node_unref(c, n, 1);
    close(f->fd);
    free(f);
}

int xeno_cowfs_file_fd(const struct xeno_cowfs_file *f)
{
    return f->fd;
}

int xeno_cowfs_sync_dir(struct xeno_cowfs *c, struct xeno_cowfs_node *n)
{
    int r = 0, fd;

    pthread_rwlock_rdlock(&c->tree);
    if (n->layer == UPPER && !n->gone) {
        fd = part_fd(c, n, 0);
        fd = fd < 0 ? fd : xeno_cowfs_beneath(fd, ".", O_RDONLY | O_DIRECTORY, 0);
        r = fd < 0 ? fd : fsync(fd) < 0 ? -errno : 0;
        if (fd >= 0)
            close(fd);
    }
    pthread_rwlock_unlock(&c->tree);
    return r;
}

int xeno_cowfs_statvfs(struct xeno_cowfs *c, struct statvfs *ret)
{
    return fstatvfs(c->lock, ret) < 0 ? -errno : 0;
}

/* --- attributes; `tree` read --- */

static int set_owner_and_mode(const struct at *at, const struct xeno_cowfs_set *set)
{
    char path[XENO_COWFS_PROC_PATH];

    if ((set->uid || set->gid) &&
        fchownat(at->dir, at->name, set->uid ? set->st_uid : (uid_t)-1,
                 set->gid ? set->st_gid : (gid_t)-1, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
        return -errno;
    if (!set->mode)
        return 0;
    if (*at->name)
        return fchmodat(at->dir, at->name, set->st_mode & 07777, 0) < 0 ? -errno : 0;
    return chmod(xeno_cowfs_proc_path(at->dir, "", path), set->st_mode & 07777) < 0 ? -errno : 0;
}

static int set_size(struct xeno_cowfs *c, struct xeno_cowfs_node *n, struct xeno_cowfs_file *file,
                    off_t size)
{
    xeno_autoclose int fd = -1;

    if (file)
        return ftruncate(file->fd, size) < 0 ? -errno : 0;
    fd = open_object(c, n, O_WRONLY);
    if (fd < 0)
        return fd;
    return ftruncate(fd, size) < 0 ? -errno : 0;
}

static int set_all(struct xeno_cowfs *c, struct xeno_cowfs_node *n, struct xeno_cowfs_file *file,
                   const struct xeno_cowfs_set *set)
{
    struct at at;
    int r = node_at(c, n, &at);

    if (r == 0 && set->mode && S_ISLNK(n->type))
        r = -EOPNOTSUPP; /* fchmodat would follow it */
    if (r == 0 && set->size)
        r = set_size(c, n, file, set->st_size);
    if (r == 0)
        r = set_owner_and_mode(&at, set);
    if (r == 0 && set->times &&
        utimensat(at.dir, at.name, set->ts, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
        r = -errno;
    return r;
}

int xeno_cowfs_set(struct xeno_cowfs *c, struct xeno_cowfs_node *n, struct xeno_cowfs_file *file,
                   const struct xeno_cowfs_set *set, struct stat *ret)
{
    int r;

    if (set->size && !S_ISREG(n->type))
        return S_ISDIR(n->type) ? -EISDIR : -EINVAL;
    r = take_over(c, n, set->size ? set->st_size : -1);
    if (r < 0)
        return r;
    pthread_rwlock_rdlock(&c->tree);
    r = set_all(c, n, file, set);
    if (r == 0)
        r = node_stat(c, n, ret);
    pthread_rwlock_unlock(&c->tree);
    return r;
}

/* --- extended attributes --- */

static bool is_own(const char *attr)
{
    return strncmp(attr, XENO_COWFS_OWN_PREFIX, strlen(XENO_COWFS_OWN_PREFIX)) == 0;
}

ssize_t xeno_cowfs_getxattr(struct xeno_cowfs *c, struct xeno_cowfs_node *n, const char *name,
                            void *buf, size_t size)
{
    struct xeno_cowfs_layer *l;
    struct at at;
    ssize_t r;

    if (is_own(name))
        return -EOPNOTSUPP;
    pthread_rwlock_rdlock(&c->tree);
    r = node_at(c, n, &at);
    l = c->layers[at.layer];
    if (r == 0)
        r = l->ops->getxattr(l, at.dir, at.name, name, buf, size);
    pthread_rwlock_unlock(&c->tree);
    return r;
}

/* Without ours. Returns: the length that is left. */
static ssize_t hide_own(char *list, ssize_t len)
{
    char *out = list;

    for (char *a = list; a < list + len;) {
        size_t n = strlen(a) + 1;

        if (!is_own(a)) {
            memmove(out, a, n);
            out += n;
        }
        a += n;
    }
    return out - list;
}

ssize_t xeno_cowfs_listxattr(struct xeno_cowfs *c, struct xeno_cowfs_node *n, char *buf,
                             size_t size)
{
    xeno_autofree char *list = xeno_alloc0(1, XATTR_LIST_MAX + 1);
    struct xeno_cowfs_layer *l;
    struct at at;
    ssize_t r;

    pthread_rwlock_rdlock(&c->tree);
    r = node_at(c, n, &at);
    l = c->layers[at.layer];
    if (r == 0)
        r = l->ops->listxattr(l, at.dir, at.name, list, XATTR_LIST_MAX);
    pthread_rwlock_unlock(&c->tree);
    if (r < 0)
        return r;
    r = hide_own(list, r);
    if (size > 0 && (size_t)r > size)
        return -ERANGE;
    if (size > 0)
        memcpy(buf, list, (size_t)r);
    return r;
}

static int change_xattr(struct xeno_cowfs *c, struct xeno_cowfs_node *n, const char *name,
                        const void *value, size_t size, int flags)
{
    char path[XENO_COWFS_PROC_PATH];
    struct at at;
    int r;

    if (is_own(name))
        return -EPERM;
    r = take_over(c, n, -1);
    if (r < 0)
        return r;
    pthread_rwlock_rdlock(&c->tree);
    r = node_at(c, n, &at);
    if (r == 0) {
        xeno_cowfs_proc_path(at.dir, at.name, path);
        if (!value)
            r = *at.name ? lremovexattr(path, name) : removexattr(path, name);
        else
            r = *at.name ? lsetxattr(path, name, value, size, flags)
                         : setxattr(path, name, value, size, flags);
        r = r < 0 ? -errno : 0;
    }
    pthread_rwlock_unlock(&c->tree);
    return r;
}

int xeno_cowfs_setxattr(struct xeno_cowfs *c, struct xeno_cowfs_node *n, const char *name,
                        const void *value, size_t size, int flags)
{
    return change_xattr(c, n, name, value ? value : "", size, flags);
}

int xeno_cowfs_removexattr(struct xeno_cowfs *c, struct xeno_cowfs_node *n, const char *name)
{
    ssize_t there = xeno_cowfs_getxattr(c, n, name, NULL, 0);

    /* Nothing is copied for an attribute that is not there. */
    return there < 0 && there != -EOPNOTSUPP ? (int)there : change_xattr(c, n, name, NULL, 0, 0);
}
