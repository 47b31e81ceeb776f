/* src/cowfs/up.c - take over: the copy of an object of a layer that can be changed.
 *
 * It is made in the work directory, with everything it has, and appears by one rename. What is long
 * (contents, and their way to the disk) is done without the lock of the tree; another lock sees to
 * it that one file is copied once at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/io.h"
#include "cowfs/core.h"

#define XATTR_VALUE_MAX 65536 /* the kernel's own limit */
#define COPY_BYTES      (256 << 10)

const char *work_name(struct xeno_cowfs *c, char buf[WORK_NAME])
{
    snprintf(buf, WORK_NAME, "#%" PRIx64, (uint64_t)atomic_fetch_add(&c->serial, 1));
    return buf;
}

int set_mark(int dir, const char *name, const char *attr, const char *value)
{
    char path[XENO_COWFS_PROC_PATH];
    size_t len = strlen(value);

    xeno_cowfs_proc_path(dir, name, path);
    if ((*name ? lsetxattr(path, attr, value, len, 0) : setxattr(path, attr, value, len, 0)) < 0)
        return -errno;
    return 0;
}

int set_number(int dir, const char *name, int fd, const char *attr, uint64_t n)
{
    char text[INO_DIGITS + 1];

    snprintf(text, sizeof text, "%016" PRIx64, n);
    if (fd >= 0)
        return fsetxattr(fd, attr, text, INO_DIGITS, 0) < 0 ? -errno : 0;
    return set_mark(dir, name, attr, text);
}

int mark_impure(struct xeno_cowfs *c, struct xeno_cowfs_node *dir)
{
    int fd = upper_fd(c, dir), r;

    if (fd < 0 || atomic_load(&dir->impure))
        return fd < 0 ? fd : 0;
    r = set_mark(fd, "", XENO_COWFS_OWN_PREFIX "impure", "y");
    if (r == 0)
        atomic_store(&dir->impure, true);
    return r;
}

/* --- contents --- */

static int copy_bytes(const struct contents *in, int out, off_t at, off_t end)
{
    while (at < end && in->fd >= 0) {
        off_t to = at;
        ssize_t n = copy_file_range(in->fd, &at, out, &to, (size_t)(end - at), 0);

        if (n == 0)
            return 0; /* shorter than it was said to be */
        if (n > 0)
            continue;
        if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
            return -errno;
        break;
    }
    if (at < end) {
        xeno_autofree char *buf = xeno_alloc0(1, COPY_BYTES);

        while (at < end) {
            size_t want = end - at < COPY_BYTES ? (size_t)(end - at) : COPY_BYTES;
            ssize_t n = contents_read(in, buf, want, at);

            if (n <= 0)
                return (int)n;
            if (pwrite(out, buf, (size_t)n, at) != n)
                return errno ? -errno : -EIO;
            at += n;
        }
    }
    return 0;
}

/* The bytes are with the disk before the copy gets its name, so that after a power cut no file is
 * there that is empty or half. They need not be safe yet: the name is what may come late, and a
 * file system that keeps order (ext4, xfs, btrfs) writes it no sooner than the size and place of
 * bytes that were written before it. fsync(2) would wait for its journal as well. */
static int settle(int out)
{
    const unsigned all =
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

    if (sync_file_range(out, 0, 0, all) == 0)
        return 0;
    /* Not everywhere: over FUSE and the like. */
    return (errno == ESPIPE || errno == EINVAL || errno == ENOSYS) && fdatasync(out) == 0 ? 0
                                                                                          : -errno;
}

/* Holes stay holes. solid: it has none. */
static int copy_contents(const struct contents *in, int out, off_t size, bool solid)
{
    off_t at = 0;
    struct stat st;

    if (solid) {
        int r = copy_bytes(in, out, 0, size);

        if (r < 0)
            return r;
        at = size;
    }
    while (at < size) {
        off_t data = contents_seek(in, at, SEEK_DATA), hole;
        int r;

        if (data == -ENXIO)
            break;
        if (data < 0)
            data = at; /* it cannot tell: all is data */
        hole = contents_seek(in, data, SEEK_HOLE);
        if (hole < 0 || hole > size)
            hole = size;
        r = copy_bytes(in, out, data, hole);
        if (r < 0)
            return r;
        at = hole;
    }
    if (fstat(out, &st) < 0 || (st.st_size != size && ftruncate(out, size) < 0))
        return -errno;
    return size > 0 ? settle(out) : 0;
}

/* --- everything else it has --- */

static bool is_user(const char *attr)
{
    return strncmp(attr, "user.", 5) == 0;
}

static int copy_xattr(struct xeno_cowfs *c, const struct at *from, const char *attr, const char *to)
{
    struct xeno_cowfs_layer *l = c->layers[from->layer];
    xeno_autofree char *value = xeno_alloc0(1, XATTR_VALUE_MAX);
    ssize_t n = l->ops->getxattr(l, from->dir, from->name, attr, value, XATTR_VALUE_MAX);

    if (n < 0)
        return n == -ENODATA ? 0 : (int)n;
    if (lsetxattr(to, attr, value, (size_t)n, 0) == 0)
        return 0;
    /* What only root may set is left behind where nobody is root. */
    if (errno == EPERM && geteuid() != 0 && !is_user(attr))
        return 0;
    return -errno;
}

/* The names of the attributes, one after the other; the caller's. Returns: their bytes; 0: *ret is
 * NULL. */
static ssize_t list_xattrs(struct xeno_cowfs *c, const struct at *from, char **ret)
{
    struct xeno_cowfs_layer *l = c->layers[from->layer];
    char few[256];
    ssize_t len = l->ops->listxattr(l, from->dir, from->name, few, sizeof few);

    *ret = NULL;
    if (len > 0) {
        *ret = xeno_memdup(few, (size_t)len);
    } else if (len == -ERANGE) {
        *ret = xeno_alloc0(1, XATTR_LIST_MAX + 1);
        len = l->ops->listxattr(l, from->dir, from->name, *ret, XATTR_LIST_MAX);
    }
    return len == -EOPNOTSUPP ? 0 : len;
}

/* Attributes of users need the right to write, so they come first; those of the system come after
 * the owner, who would undo them. */
static int copy_xattrs(struct xeno_cowfs *c, const struct at *from, const char *list, ssize_t len,
                       const char *to, bool users)
{
    if (len == 0)
        return 0; /* and there is no list */
    for (const char *a = list; a < list + len; a += strlen(a) + 1) {
        int r = 0;

        if (is_user(a) == users &&
            strncmp(a, XENO_COWFS_OWN_PREFIX, strlen(XENO_COWFS_OWN_PREFIX)) != 0)
            r = copy_xattr(c, from, a, to);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Owner, mode and times. out: its descriptor, whose times are set when it is complete; -1: none. */
static int copy_owner(struct xeno_cowfs *c, const struct stat *st, const char *tmp, int out)
{
    struct stat now;

    if (out < 0)
        return fchownat(c->work, tmp, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
    if (fstat(out, &now) < 0)
        return -errno;
    if (now.st_uid == st->st_uid && now.st_gid == st->st_gid)
        return 0;
    return fchown(out, st->st_uid, st->st_gid) < 0 ? -errno : 0;
}

static int copy_mode(struct xeno_cowfs *c, const struct stat *st, const char *tmp, int out)
{
    mode_t mode = st->st_mode & 07777;

    if (S_ISLNK(st->st_mode))
        return 0;
    return (out >= 0 ? fchmod(out, mode) : fchmodat(c->work, tmp, mode, 0)) < 0 ? -errno : 0;
}

static int copy_meta(struct xeno_cowfs *c, const struct at *from, const struct stat *st,
                     const char *tmp, int out, uint64_t ino)
{
    struct timespec ts[2] = { st->st_atim, st->st_mtim };
    char path[XENO_COWFS_PROC_PATH];
    bool marks = S_ISREG(st->st_mode) || S_ISDIR(st->st_mode);
    xeno_autofree char *list = NULL;
    ssize_t len = list_xattrs(c, from, &list);
    int r = len < 0 ? (int)len : 0;

    xeno_cowfs_proc_path(c->work, tmp, path);
    if (r == 0 && marks)
        r = copy_xattrs(c, from, list, len, path, true);
    if (r == 0 && marks && ino)
        r = set_number(c->work, tmp, out, INO_ATTR, ino);
    if (r == 0)
        r = copy_owner(c, st, tmp, out);
    if (r == 0)
        r = copy_mode(c, st, tmp, out);
    if (r == 0)
        r = copy_xattrs(c, from, list, len, path, false);
    if (r == 0 && out < 0 && utimensat(c->work, tmp, ts, AT_SYMLINK_NOFOLLOW) < 0)
        r = -errno;
    return r;
}

/* --- the copy, in work --- */

static int copy_link(struct xeno_cowfs *c, const struct at *from, const char *tmp)
{
    char target[PATH_MAX];
    struct xeno_cowfs_layer *l = c->layers[from->layer];
    ssize_t n = l->ops->readlink(l, from->dir, from->name, target, sizeof target - 1);

    if (n < 0)
        return (int)n;
    target[n] = '\0';
    return symlinkat(target, c->work, tmp) < 0 ? -errno : 0;
}

/* What a node's object is, and its contents when it has some. `tree` is read here. */
struct source {
    struct at at;
    struct stat st;
    struct contents in;
};
#define SOURCE_NONE                                                                                \
    {                                                                                              \
        .in = {.fd = -1 }                                                                          \
    }

static int open_source(struct xeno_cowfs *c, struct xeno_cowfs_node *n, struct source *s)
{
    struct xeno_cowfs_layer *l = c->layers[n->layer];
    int r = node_at(c, n, &s->at);

    if (r == 0)
        r = l->ops->stat(l, s->at.dir, s->at.name, &s->st);
    if (r < 0 || !S_ISREG(n->type))
        return r;
    return contents_open(c, &s->at, O_RDONLY, &s->in);
}

/* Makes the copy without contents, so that the names it comes from need not be held for long. */
static int copy_shell(struct xeno_cowfs *c, struct xeno_cowfs_node *n, struct source *s,
                      const char *tmp, int *ret_out)
{
    /* Written from now on, it is a file of its own, with a number of its own. */
    bool apart = !S_ISDIR(n->type) && s->st.st_nlink > 1;
    int r, out = -1;

    if (S_ISREG(n->type)) {
        out = *ret_out = xeno_cowfs_beneath(c->work, tmp, O_RDWR | O_CREAT | O_EXCL, 0600);
        r = out < 0 ? out : 0;
    } else if (S_ISLNK(n->type)) {
        r = copy_link(c, &s->at, tmp);
    } else if (S_ISDIR(n->type)) {
        r = mkdirat(c->work, tmp, 0700) < 0 ? -errno : 0;
    } else {
        r = mknodat(c->work, tmp, n->type | 0600, s->st.st_rdev) < 0 ? -errno : 0;
    }
    if (r == 0 && apart && S_ISREG(n->type) && !n->gone)
        r = set_number(c->work, tmp, out, NAME_ATTR, name_number(n));
    if (r == 0)
        r = copy_meta(c, &s->at, &s->st, tmp, out, apart ? 0 : n->ino);
    return r;
}

/* --- into its place; `tree` written --- */

/* A taken over object appears, and no time of its directory changes. */
static int appear(struct xeno_cowfs *c, struct xeno_cowfs_node *parent, const char *tmp,
                  const char *name)
{
    int dir = upper_fd(c, parent);
    struct timespec ts[2];
    struct stat st;

    if (dir < 0)
        return dir;
    if (fstat(dir, &st) < 0 || renameat2(c->work, tmp, dir, name, RENAME_NOREPLACE) < 0)
        return -errno;
    ts[0] = st.st_atim;
    ts[1] = st.st_mtim;
    utimensat(dir, "", ts, AT_EMPTY_PATH);
    return 0;
}

static int take_over_one(struct xeno_cowfs *c, struct xeno_cowfs_node *n)
{
    struct source s = SOURCE_NONE;
    struct part *parts;
    char tmp[WORK_NAME];
    int r, fd;

    r = open_source(c, n, &s);
    if (r == 0)
        r = copy_shell(c, n, &s, work_name(c, tmp), NULL);
    if (r == 0)
        r = mark_impure(c, n->parent);
    if (r == 0)
        r = appear(c, n->parent, tmp, node_name(n));
    if (r < 0) {
        unlinkat(c->work, tmp, AT_REMOVEDIR);
        return r;
    }
    fd = xeno_cowfs_beneath(upper_fd(c, n->parent), node_name(n), O_PATH | O_DIRECTORY, 0);
    parts = xeno_new0_n(struct part, (size_t)n->parts_count + 1);
    parts[0].layer = UPPER;
    atomic_init(&parts[0].fd, fd < 0 ? -1 : fd);
    for (int i = 0; i < n->parts_count; i++) {
        parts[i + 1].layer = n->parts[i].layer;
        parts[i + 1].root = n->parts[i].root;
        atomic_init(&parts[i + 1].fd, atomic_load(&n->parts[i].fd));
    }
    free(n->parts);
    n->parts = parts;
    n->parts_count++;
    n->layer = UPPER;
    if (fd >= 0)
        atomic_fetch_add(&c->open_dirs, 1);
    return 0;
}

int take_over_dir(struct xeno_cowfs *c, struct xeno_cowfs_node *n)
{
    while (n->layer != UPPER) {
        struct xeno_cowfs_node *top = n;
        int r;

        if (n->gone)
            return -ENOENT;
        while (top->parent->layer != UPPER)
            top = top->parent;
        r = take_over_one(c, top);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Whoever reads the file reads the copy, `fd`, from now on. */
static void swap_readers(struct xeno_cowfs *c, struct xeno_cowfs_node *n, int fd)
{
    struct xeno_cowfs_file *f;

    pthread_mutex_lock(&c->table);
    for (f = n->files; f; f = f->next) {
        while (dup3(fd, f->fd, O_CLOEXEC) < 0 && (errno == EINTR || errno == EBUSY))
            continue;
        atomic_store(&f->lazy, false);
    }
    pthread_mutex_unlock(&c->table);
}

/* The copy gets its name, or, of an object that has none any more, replaces its descriptor. */
static int put_copy(struct xeno_cowfs *c, struct xeno_cowfs_node *n, const char *tmp, bool apart)
{
    int r, fd;

    if (n->gone) {
        fd = xeno_cowfs_beneath(c->work, tmp, O_PATH, 0);
        if (fd < 0)
            return fd;
        if (unlinkat(c->work, tmp, 0) < 0) {
            close(fd);
            return -errno;
        }
        c->layers[n->layer]->ops->dir_close(c->layers[n->layer], n->fd);
        n->fd = fd;
        return 0;
    }
    r = take_over_dir(c, n->parent);
    if (r == 0 && !apart && S_ISREG(n->type))
        r = mark_impure(c, n->parent);
    return r < 0 ? r : appear(c, n->parent, tmp, node_name(n));
}

/* out: of a regular file, open for writing. */
static int place(struct xeno_cowfs *c, struct xeno_cowfs_node *n, const char *tmp, int out,
                 bool apart)
{
    char path[XENO_COWFS_PROC_PATH];
    xeno_autoclose int reader = -1;
    struct stat st;
    int r;

    if (fstatat(c->work, tmp, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (n->files) { /* opened first: what can fail comes before what cannot be undone */
        reader = open(xeno_cowfs_proc_path(out, "", path), O_RDONLY | O_CLOEXEC);
        if (reader < 0)
            return -errno;
    }
    r = put_copy(c, n, tmp, apart);
    if (r < 0)
        return r;
    if (apart) {
        n->ino = ino_of(c, UPPER, &st);
        atomic_store(&n->parent->renumbered, true);
    }
    node_is_upper(c, n, st.st_ino);
    if (reader >= 0)
        swap_readers(c, n, reader);
    return 0;
}

/* The contents of a regular file, of which `keep` bytes are wanted, and its times. */
static int fill_copy(const struct source *s, int out, off_t keep)
{
    struct timespec ts[2] = { s->st.st_atim, s->st.st_mtim };
    off_t size = s->st.st_size;
    bool solid = s->in.fd >= 0 && s->st.st_blocks * 512 >= size;
    int r = copy_contents(&s->in, out, keep < 0 || keep > size ? size : keep, solid);

    return r == 0 && futimens(out, ts) < 0 ? -errno : r;
}

static int take_over_file(struct xeno_cowfs *c, struct xeno_cowfs_node *n, off_t keep)
{
    struct source s = SOURCE_NONE;
    xeno_autoclose int out = -1;
    char tmp[WORK_NAME];
    int r;

    work_name(c, tmp);
    pthread_rwlock_rdlock(&c->tree);
    r = n->layer == UPPER ? 1 : open_source(c, n, &s);
    if (r == 0)
        r = copy_shell(c, n, &s, tmp, &out);
    pthread_rwlock_unlock(&c->tree);
    if (r > 0)
        return 0;
    if (r == 0 && S_ISREG(n->type))
        r = fill_copy(&s, out, keep);
    if (r == 0) {
        pthread_rwlock_wrlock(&c->tree);
        r = place(c, n, tmp, out, s.st.st_nlink > 1);
        pthread_rwlock_unlock(&c->tree);
    }
    if (r < 0)
        unlinkat(c->work, tmp, 0);
    contents_close(&s.in);
    return r;
}

int take_over(struct xeno_cowfs *c, struct xeno_cowfs_node *n, off_t keep)
{
    pthread_mutex_t *lock = &c->copy[((uintptr_t)n >> 6) % COPY_LOCKS];
    int r;

    pthread_rwlock_rdlock(&c->tree);
    r = n->layer == UPPER;
    pthread_rwlock_unlock(&c->tree);
    if (r)
        return 0;
    if (S_ISDIR(n->type)) {
        pthread_rwlock_wrlock(&c->tree);
        r = take_over_dir(c, n);
        pthread_rwlock_unlock(&c->tree);
        return r;
    }
    if (c->waits)
        c->waits();
    pthread_mutex_lock(lock);
    r = take_over_file(c, n, keep);
    pthread_mutex_unlock(lock);
    return r;
}
