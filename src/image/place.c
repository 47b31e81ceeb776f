/* src/image/place.c - make files, folders, links and whiteouts below a root folder. */
#include "image/place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/io.h"

void xeno_place_init(struct xeno_place *p, int root, bool own)
{
    memset(p, 0, sizeof(*p));
    p->root = root;
    p->own = own;
    p->parent = -1;
}

void xeno_place_release(struct xeno_place *p)
{
    if (p->parent >= 0)
        close(p->parent);
    p->parent = -1;
}

static int open_beneath(int root, const char *path, int flags)
{
    struct open_how how = {
        .flags = (unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
    };

    return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

/* The folder `path` is in, as a descriptor that p keeps, and the last part of the name. */
static int parent_of(struct xeno_place *p, const char *path, const char **ret_base,
                     struct xeno_err *err)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 1;
    char dir[PATH_MAX];

    memcpy(dir, slash ? path : ".", len);
    dir[len] = '\0';
    *ret_base = slash ? slash + 1 : path;
    if (p->parent >= 0 && strcmp(dir, p->parent_path) == 0)
        return 0;
    xeno_place_release(p);
    p->parent = open_beneath(p->root, dir, O_RDONLY | O_DIRECTORY);
    if (p->parent < 0)
        return xeno_fail_errno(err, -errno, "unpack.write", "open the folder of '%.200s'", path);
    memcpy(p->parent_path, dir, len + 1);
    return 0;
}

static int fail_at(struct xeno_err *err, const char *what, const char *path)
{
    return xeno_fail_errno(err, -errno, "unpack.write", "%s '%.200s'", what, path);
}

static struct timespec sane_time(struct timespec t)
{
    if (t.tv_nsec < 0 || t.tv_nsec >= 1000000000)
        t.tv_nsec = 0;
    return t;
}

bool xeno_xattr_keep(struct xeno_tar_xattr *x, char copy[20])
{
    static const char overlay[] = "user.overlay.", user[] = "user.";
    uint32_t magic;

    if (strncmp(x->name, overlay, sizeof(overlay) - 1) == 0)
        return false; /* those speak to the mount itself */
    if (strncmp(x->name, user, sizeof(user) - 1) == 0)
        return x->name[sizeof(user) - 1] != '\0';
    if (strcmp(x->name, "security.capability") != 0 || x->len < 20)
        return false;
    memcpy(copy, x->value, 20);
    memcpy(&magic, copy, sizeof(magic)); /* little endian on disk and on every machine we run on */
    if (!((magic & VFS_CAP_REVISION_MASK) == VFS_CAP_REVISION_2 && x->len == 20) &&
        !((magic & VFS_CAP_REVISION_MASK) == VFS_CAP_REVISION_3 && x->len == 24))
        return false;
    magic = VFS_CAP_REVISION_2 | (magic & VFS_CAP_FLAGS_EFFECTIVE);
    memcpy(copy, &magic, sizeof(magic));
    x->value = copy;
    x->len = 20;
    return true;
}

bool xeno_acl_name(const char *name)
{
    return strcmp(name, "system.posix_acl_access") == 0 ||
           strcmp(name, "system.posix_acl_default") == 0;
}

/* The kernel judges what it says, and shifts the ids in it as it does those of the owner. */
static int set_acl(struct xeno_place *p, int fd, const char *path, const struct xeno_tar_xattr *x,
                   struct xeno_err *err)
{
    if (p->own || fsetxattr(fd, x->name, x->value, x->len, 0) == 0 || errno == ENOTSUP)
        return 0; /* those of others mean nothing to us; or this file system has none */
    return xeno_fail_errno(err, -errno, "unpack.write", "set the ACL of '%.200s'", path);
}

static int set_xattrs(struct xeno_place *p, int fd, const char *path,
                      const struct xeno_tar_entry *e, struct xeno_err *err)
{
    for (size_t i = 0; i < e->xattr_count; i++) {
        struct xeno_tar_xattr x = e->xattrs[i];
        char copy[20];
        int r;

        if (xeno_acl_name(x.name)) {
            r = set_acl(p, fd, path, &x, err);
            if (r < 0)
                return r;
            continue;
        }
        if (!xeno_xattr_keep(&x, copy))
            continue;
        if (fsetxattr(fd, x.name, x.value, x.len, 0) == 0)
            continue;
        if (errno == EPERM && p->own)
            continue; /* a capability, which our caller has no right to give */
        return xeno_fail_errno(err, -errno, "unpack.write", "set attribute '%.80s' of '%.200s'",
                               x.name, path);
    }
    return 0;
}

static int write_at(int fd, const char *data, size_t len, int64_t offset)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, data, len, offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        offset += n;
        len -= (size_t)n;
    }
    return 0;
}

/* fd -1: only read the data, to find it sound. */
static int copy_data(int fd, const char *path, struct xeno_tar *t, const struct xeno_tar_entry *e,
                     struct xeno_err *err)
{
    int64_t offset, end;
    const void *data;
    size_t len;
    int r;

    while ((r = xeno_tar_data(t, &data, &len, &offset, err)) > 0) {
        if (offset < 0 || __builtin_add_overflow(offset, (int64_t)len, &end) || end > e->size_bytes)
            return xeno_fail(err, -EBADMSG, "image.corrupt",
                             "'%.200s' has data beyond its %lld bytes", path,
                             (long long)e->size_bytes);
        if (fd >= 0)
            r = write_at(fd, data, len, offset);
        if (r < 0)
            return xeno_fail_errno(err, r, "unpack.write", "write '%.200s'", path);
    }
    if (r < 0)
        return xeno_context(err, r, "'%.200s'", path);
    /* The end may be a hole. */
    if (fd >= 0 && ftruncate(fd, e->size_bytes) < 0)
        return fail_at(err, "size", path);
    return 0;
}

/* Owner first: a change of owner takes set-user-id bits and capabilities away. */
static int set_attrs(struct xeno_place *p, int fd, const char *path, const struct xeno_tar_entry *e,
                     struct xeno_err *err)
{
    struct timespec times[2] = { sane_time(e->mtime), sane_time(e->mtime) };
    int r;

    if (!p->own && fchown(fd, (uid_t)e->uid, (gid_t)e->gid) < 0)
        return fail_at(err, "set the owner of", path);
    r = set_xattrs(p, fd, path, e, err);
    if (r < 0)
        return r;
    if (fchmod(fd, e->mode) < 0)
        return fail_at(err, "set the mode of", path);
    if (futimens(fd, times) < 0)
        return fail_at(err, "set the times of", path);
    return 0;
}

int xeno_place_file(struct xeno_place *p, const char *path, struct xeno_tar *t,
                    const struct xeno_tar_entry *e, struct xeno_err *err)
{
    xeno_autoclose int fd = -1;
    const char *base;
    int r;

    if (p->root < 0)
        return t ? copy_data(-1, path, t, e, err) : 0;
    r = parent_of(p, path, &base, err);
    if (r < 0)
        return r;
    fd = openat(p->parent, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_at(err, "create", path);
    r = copy_data(fd, path, t, e, err);
    return r < 0 ? r : set_attrs(p, fd, path, e, err);
}

int xeno_place_dir(struct xeno_place *p, const char *path, struct xeno_err *err)
{
    const char *base;
    int r;

    if (p->root < 0 || strcmp(path, ".") == 0)
        return 0;
    r = parent_of(p, path, &base, err);
    if (r < 0)
        return r;
    return mkdirat(p->parent, base, 0700) < 0 ? fail_at(err, "make folder", path) : 0;
}

int xeno_place_dir_xattrs(struct xeno_place *p, const char *path, const struct xeno_tar_entry *e,
                          struct xeno_err *err)
{
    xeno_autoclose int fd = -1;

    if (p->root < 0 || e->xattr_count == 0)
        return 0;
    fd = open_beneath(p->root, path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return fail_at(err, "open", path);
    return set_xattrs(p, fd, path, e, err);
}

int xeno_place_dir_opaque(struct xeno_place *p, const char *path, struct xeno_err *err)
{
    xeno_autoclose int fd = -1;

    if (p->root < 0)
        return 0;
    fd = open_beneath(p->root, path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return fail_at(err, "open", path);
    if (fsetxattr(fd, "user.overlay.opaque", "y", 1, 0) < 0)
        return fail_at(err, "make opaque", path);
    return 0;
}

int xeno_place_dir_attrs(struct xeno_place *p, const char *path, unsigned mode, int64_t uid,
                         int64_t gid, struct timespec mtime, struct xeno_err *err)
{
    struct timespec times[2] = { sane_time(mtime), sane_time(mtime) };
    xeno_autoclose int fd = -1;

    if (p->root < 0)
        return 0;
    fd = open_beneath(p->root, path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return fail_at(err, "open", path);
    if (!p->own && fchown(fd, (uid_t)uid, (gid_t)gid) < 0)
        return fail_at(err, "set the owner of", path);
    /* Without root's rights a folder must stay open to its owner, or it could not be removed. */
    if (fchmod(fd, p->own ? mode | 0700 : mode) < 0)
        return fail_at(err, "set the mode of", path);
    if (futimens(fd, times) < 0)
        return fail_at(err, "set the times of", path);
    return 0;
}

/* Owner and times of what has no descriptor of its own. */
static int set_attrs_at(struct xeno_place *p, const char *base, const char *path,
                        const struct xeno_tar_entry *e, struct xeno_err *err)
{
    struct timespec times[2] = { sane_time(e->mtime), sane_time(e->mtime) };

    if (!p->own && fchownat(p->parent, base, (uid_t)e->uid, (gid_t)e->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return fail_at(err, "set the owner of", path);
    if (utimensat(p->parent, base, times, AT_SYMLINK_NOFOLLOW) < 0)
        return fail_at(err, "set the times of", path);
    return 0;
}

int xeno_place_symlink(struct xeno_place *p, const char *path, const struct xeno_tar_entry *e,
                       struct xeno_err *err)
{
    const char *base;
    int r;

    if (p->root < 0)
        return 0;
    r = parent_of(p, path, &base, err);
    if (r < 0)
        return r;
    if (symlinkat(e->link, p->parent, base) < 0)
        return fail_at(err, "make link", path);
    return set_attrs_at(p, base, path, e, err);
}

int xeno_place_hardlink(struct xeno_place *p, const char *path, const char *target,
                        struct xeno_err *err)
{
    xeno_autoclose int from = -1;
    const char *base, *target_base;
    int r;

    if (p->root < 0)
        return 0;
    r = parent_of(p, target, &target_base, err);
    if (r < 0)
        return r;
    from = fcntl(p->parent, F_DUPFD_CLOEXEC, 3);
    if (from < 0)
        return fail_at(err, "open the folder of", target);
    r = parent_of(p, path, &base, err);
    if (r < 0)
        return r;
    if (linkat(from, target_base, p->parent, base, 0) < 0)
        return fail_at(err, "make hard link", path);
    return 0;
}

int xeno_place_fifo(struct xeno_place *p, const char *path, const struct xeno_tar_entry *e,
                    struct xeno_err *err)
{
    const char *base;
    int r;

    if (p->root < 0)
        return 0;
    r = parent_of(p, path, &base, err);
    if (r < 0)
        return r;
    /* fchmodat() of a fifo follows no link: it was made this moment, in a folder of ours. */
    if (mkfifoat(p->parent, base, 0600) < 0 || fchmodat(p->parent, base, e->mode, 0) < 0)
        return fail_at(err, "make fifo", path);
    return set_attrs_at(p, base, path, e, err);
}

/* A 0:0 character device hides what is below; making one needs no right (Linux 5.8). */
int xeno_place_whiteout(struct xeno_place *p, const char *path, struct xeno_err *err)
{
    const char *base;
    int r;

    if (p->root < 0)
        return 0;
    r = parent_of(p, path, &base, err);
    if (r < 0)
        return r;
    if (mknodat(p->parent, base, S_IFCHR | 0600, makedev(0, 0)) < 0)
        return fail_at(err, "make whiteout", path);
    return 0;
}

int xeno_place_unlink(struct xeno_place *p, const char *path, struct xeno_err *err)
{
    const char *base;
    int r;

    if (p->root < 0)
        return 0;
    r = parent_of(p, path, &base, err);
    if (r < 0)
        return r;
    return unlinkat(p->parent, base, 0) < 0 ? fail_at(err, "remove", path) : 0;
}
