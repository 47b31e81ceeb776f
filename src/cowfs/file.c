/* src/cowfs/file.c - open files, attributes, and what is synced. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <utlist.h>

#include "cowfs/change.h"

/* --- open files --- */

int contents_open(struct xeno_cowfs *c, const struct at *at, int flags, struct contents *ret)
{
    struct xeno_cowfs_layer *l = c->layers[at->layer];

    *ret = (struct contents){ .fd = -1, .layer = l };
    if (l->ops->data_open)
        return l->ops->data_open(l, at->dir, at->name, &ret->data);
    ret->fd = l->ops->open(l, at->dir, at->name, at->layer == UPPER ? flags : flags | O_NOATIME);
    return ret->fd < 0 ? ret->fd : 0;
}

ssize_t contents_read(const struct contents *in, void *buf, size_t len, off_t off)
{
    ssize_t n;

    if (in->fd < 0)
        return in->layer->ops->data_read(in->layer, in->data, buf, len, off);
    n = pread(in->fd, buf, len, off);
    return n < 0 ? -errno : n;
}

off_t contents_seek(const struct contents *in, off_t off, int whence)
{
    off_t at;

    if (in->fd < 0)
        return in->layer->ops->data_seek(in->layer, in->data, off, whence);
    at = lseek(in->fd, off, whence);
    return at < 0 ? -errno : at;
}

void contents_close(struct contents *in)
{
    xeno_cleanup_close_(&in->fd);
    in->fd = -1;
    if (in->data)
        in->layer->ops->data_close(in->layer, xeno_take(&in->data));
}

/* `tree` read. */
static int open_object(struct xeno_cowfs *c, struct xeno_cowfs_node *n, int flags,
                       struct contents *ret)
{
    struct at at;
    int r = node_at(c, n, &at);

    return r < 0 ? r : contents_open(c, &at, flags, ret);
}

int add_file(struct xeno_cowfs *c, struct xeno_cowfs_node *n, struct contents *in, bool writes,
             struct xeno_cowfs_file **ret)
{
    struct xeno_cowfs_file *f = xeno_new0(struct xeno_cowfs_file);

    f->from = *in;
    atomic_init(&f->lazy, in->fd < 0);
    f->fd = in->fd < 0 ? fcntl(c->lock, F_DUPFD_CLOEXEC, 0) : in->fd;
    f->from.fd = -1;
    if (f->fd < 0) {
        contents_close(in);
        free(f);
        return -EMFILE;
    }
    f->node = n;
    f->writes = writes;
    pthread_mutex_lock(&c->table);
    n->refs++;
    n->writers += writes;
    DL_APPEND(n->files, f);
    pthread_mutex_unlock(&c->table);
    *ret = f;
    return 0;
}

int xeno_cowfs_file_open(struct xeno_cowfs *c, struct xeno_cowfs_node *n, int flags,
                         struct xeno_cowfs_file **ret)
{
    bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
    struct contents in;
    int r = 0;

    if (!S_ISREG(n->type))
        return S_ISDIR(n->type) ? -EISDIR : -EINVAL;
    if (writes)
        r = take_over(c, n, flags & O_TRUNC ? 0 : -1);
    if (r < 0)
        return r;
    pthread_rwlock_rdlock(&c->tree);
    /* What is cached is written by halves, for which the other half is read. */
    r = open_object(c, n, writes ? O_RDWR : O_RDONLY, &in);
    if (r == -EACCES && writes)
        r = open_object(c, n, O_WRONLY, &in);
    if (r == 0)
        r = add_file(c, n, &in, writes, ret);
    pthread_rwlock_unlock(&c->tree);
    if (r < 0)
        return r;
    if ((flags & O_TRUNC) && ftruncate(xeno_cowfs_file_fd(*ret), 0) < 0) {
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
    n->writers -= f->writes;
    pthread_mutex_unlock(&c->table);
    node_unref(c, n, 1);
    contents_close(&f->from);
    close(f->fd);
    free(f);
}

int xeno_cowfs_file_fd(const struct xeno_cowfs_file *f)
{
    return atomic_load(&f->lazy) ? -1 : f->fd;
}

/* As it is at this moment. */
static struct contents contents_of(const struct xeno_cowfs_file *f)
{
    struct contents in = f->from;

    in.fd = xeno_cowfs_file_fd(f);
    return in;
}

ssize_t xeno_cowfs_file_read(const struct xeno_cowfs_file *f, void *buf, size_t len, off_t off)
{
    struct contents in = contents_of(f);

    return contents_read(&in, buf, len, off);
}

off_t xeno_cowfs_file_seek(const struct xeno_cowfs_file *f, off_t off, int whence)
{
    struct contents in = contents_of(f);

    return contents_seek(&in, off, whence);
}

bool xeno_cowfs_file_written(struct xeno_cowfs *c, const struct xeno_cowfs_file *f)
{
    bool written;

    pthread_mutex_lock(&c->table);
    written = f->node->writers > 0;
    pthread_mutex_unlock(&c->table);
    return written;
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

/* Set-user-id; and set-group-id where the group may execute it, without which it means nothing. */
static int kill_set_id(int fd)
{
    struct stat st;
    mode_t gone = S_ISUID;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_mode & S_IXGRP)
        gone |= S_ISGID;
    return (st.st_mode & gone) && fchmod(fd, st.st_mode & 07777 & ~gone) < 0 ? -errno : 0;
}

int xeno_cowfs_file_kill(const struct xeno_cowfs_file *f)
{
    return kill_set_id(xeno_cowfs_file_fd(f));
}

static int set_size(struct xeno_cowfs *c, struct xeno_cowfs_node *n, struct xeno_cowfs_file *file,
                    const struct xeno_cowfs_set *set)
{
    struct contents out = { .fd = -1 };
    int r = file ? 0 : open_object(c, n, O_WRONLY, &out), fd;

    if (r < 0)
        return r;
    fd = file ? xeno_cowfs_file_fd(file) : out.fd;
    r = ftruncate(fd, set->st_size) < 0 ? -errno : 0;
    if (r == 0 && set->kill)
        r = kill_set_id(fd);
    contents_close(&out);
    return r;
}

static int set_all(struct xeno_cowfs *c, struct xeno_cowfs_node *n, struct xeno_cowfs_file *file,
                   const struct xeno_cowfs_set *set)
{
    struct at at;
    int r = node_at(c, n, &at);

    if (r == 0 && set->mode && S_ISLNK(n->type))
        r = -EOPNOTSUPP; /* fchmodat would follow it */
    if (r == 0 && set->size)
        r = set_size(c, n, file, set);
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
