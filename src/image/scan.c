/* src/image/scan.c - walk folders, sort what is found, and pack it. */
#include "image/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <uthash.h>

#include "base/io.h"
#include "image/mount-file.h"
#include "image/place.h"
#include "image/tree.h"

#define NAMES_MAX 65536 /* of attributes of one file, together */

void xeno_scan_release(struct xeno_scan *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->items[i].path);
        free(s->items[i].source);
    }
    free(s->items);
    s->items = NULL;
    s->count = 0;
}

void xeno_scan_add_item(struct xeno_scan *s, const struct xeno_scan_item *item)
{
    if ((s->count & (s->count - 1)) == 0) /* full at every power of two */
        s->items = xeno_grow(s->items, s->count ? s->count * 2 : 1);
    s->items[s->count++] = *item;
}

static char *join(const char *a, const char *b)
{
    return strcmp(a, ".") == 0 ? xeno_strdup(b) : xeno_asprintf("%s/%s", a, b);
}

static int walk(struct xeno_scan *s, const char *source, const char *target, int64_t depth,
                const struct xeno_unpack_limits *lim, struct xeno_err *err);

static int walk_children(struct xeno_scan *s, const char *source, const char *target, int64_t depth,
                         const struct xeno_unpack_limits *lim, struct xeno_err *err)
{
    int fd = open(source, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;
    int r = 0;

    if (!d)
        return xeno_fail_errno(err, -errno, "image.source", "read folder '%.200s'", source);
    while (r >= 0 && (e = readdir(d)) != NULL) {
        xeno_autofree char *from = NULL, *to = NULL;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        from = xeno_asprintf("%s/%s", source, e->d_name);
        to = join(target, e->d_name);
        r = walk(s, from, to, depth + 1, lim, err);
    }
    closedir(d);
    return r;
}

/* One that is no good would make an error of all that is in its directory (RFC 12). */
static int check_mount_file(const char *source, const struct stat *sb, struct xeno_err *err)
{
    xeno_auto(xeno_mount_file) f = NULL;
    xeno_autofree char *text = NULL;
    size_t len;
    int r;

    if (!S_ISREG(sb->st_mode))
        return xeno_fail(err, -EINVAL, "mount.kind", "'%.200s' is neither a file nor a directory",
                         source);
    r = xeno_file_read(AT_FDCWD, source, XENO_MOUNT_BYTES_MAX + 1, &text, &len, err);
    if (r >= 0)
        r = xeno_mount_file_parse(text, len, &f, err);
    return r < 0 ? xeno_context(err, r, "mount file '%.200s'", source) : 0;
}

static int walk(struct xeno_scan *s, const char *source, const char *target, int64_t depth,
                const struct xeno_unpack_limits *lim, struct xeno_err *err)
{
    const char *base = strrchr(target, '/') ? strrchr(target, '/') + 1 : target;
    struct xeno_scan_item item = { .kind = XENO_SCAN_SOURCE };
    struct stat sb;

    if (lstat(source, &sb) < 0)
        return xeno_fail_errno(err, -errno, "image.source", "read '%.200s'", source);
    if (S_ISSOCK(sb.st_mode) || S_ISCHR(sb.st_mode) || S_ISBLK(sb.st_mode)) {
        s->skipped++;
        return 0;
    }
    if (strncmp(base, ".wh.", 4) == 0)
        return xeno_fail(err, -EINVAL, "unpack.name",
                         "'%.200s' has a name that an image layer keeps for hiding files", source);
    if (strcmp(base, XENO_MOUNT_NAME) == 0 && !S_ISDIR(sb.st_mode)) {
        int r = check_mount_file(source, &sb, err);

        if (r < 0)
            return r;
    }
    if ((int64_t)s->count >= lim->entries || depth > lim->depth)
        return xeno_fail(err, -E2BIG, "unpack.limit",
                         "'%.200s': more than %lld files, or nested deeper than %lld", source,
                         (long long)lim->entries, (long long)lim->depth);
    item.path = xeno_strdup(target);
    item.source = xeno_strdup(source);
    item.dir = S_ISDIR(sb.st_mode);
    item.size_bytes = S_ISREG(sb.st_mode) ? sb.st_size : 0;
    s->total_bytes += item.size_bytes;
    xeno_scan_add_item(s, &item);
    return item.dir ? walk_children(s, source, target, depth, lim, err) : 0;
}

int xeno_scan_add(struct xeno_scan *s, const char *source, const char *target,
                  const struct xeno_unpack_limits *lim, struct xeno_err *err)
{
    xeno_autofree char *real = realpath(source, NULL);

    if (!real)
        return xeno_fail_errno(err, -errno, "image.source", "'%.200s'", source);
    return walk(s, real, target, 0, lim, err);
}

static int by_path(const void *a, const void *b)
{
    const struct xeno_scan_item *x = a, *y = b;
    bool x_root = strcmp(x->path, ".") == 0, y_root = strcmp(y->path, ".") == 0;

    if (x_root || y_root)
        return y_root - x_root;
    return strcmp(x->path, y->path);
}

static void drop_item(struct xeno_scan_item *item)
{
    free(item->path);
    free(item->source);
}

/* qsort() is not stable, so of two folders the better known is kept: the fixed, then the one whose
 * source sorts first. */
static bool better(const struct xeno_scan_item *a, const struct xeno_scan_item *b)
{
    if (a->fixed != b->fixed)
        return a->fixed;
    return a->source && b->source ? strcmp(a->source, b->source) < 0 : a->source != NULL;
}

int xeno_scan_sort(struct xeno_scan *s, struct xeno_err *err)
{
    size_t out = 0;

    if (s->count == 0)
        return 0;
    qsort(s->items, s->count, sizeof(*s->items), by_path);
    for (size_t i = 1; i < s->count; i++) {
        struct xeno_scan_item *last = &s->items[out], *item = &s->items[i];

        if (strcmp(last->path, item->path) != 0) {
            s->items[++out] = *item;
        } else if (last->dir && item->dir) {
            struct xeno_scan_item worse = better(item, last) ? *last : *item;

            if (better(item, last))
                *last = *item;
            drop_item(&worse);
        } else {
            int r = xeno_fail(err, -EEXIST, "overlay.twice",
                              "'/%.160s' comes from '%.160s' and '%.160s'", item->path,
                              last->source ? last->source : "a whiteout",
                              item->source ? item->source : "a whiteout");

            /* Leave a list that can be released. */
            memmove(&s->items[out + 1], item, (s->count - i) * sizeof(*item));
            s->count = out + 1 + (s->count - i);
            return r;
        }
    }
    s->count = out + 1;
    return 0;
}

/* --- packing --- */

struct inode {
    struct {
        dev_t dev;
        ino_t ino;
    } key;
    const char *path; /* borrowed from the item */
    UT_hash_handle hh;
};

struct packer {
    struct xeno_scan *scan;
    struct xeno_pack *pack;
    struct inode *inodes;
    char names[NAMES_MAX];
    char values[NAMES_MAX];
    char caps[20];
    char link[PATH_MAX];
};

/* The name under which this inode was packed before; else remembers it and returns NULL. */
static const char *seen_inode(struct packer *pk, const struct stat *sb, const char *path)
{
    struct inode *in, key;

    memset(&key, 0, sizeof(key));
    key.key.dev = sb->st_dev;
    key.key.ino = sb->st_ino;
    HASH_FIND(hh, pk->inodes, &key.key, sizeof(key.key), in);
    if (in)
        return in->path;
    in = xeno_new0(struct inode);
    in->key = key.key;
    in->path = path;
    HASH_ADD(hh, pk->inodes, key, sizeof(in->key), in);
    return NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct xeno_tar_xattr *)a)->name,
                  ((const struct xeno_tar_xattr *)b)->name);
}

static int take_xattrs(struct packer *pk, const char *source, struct xeno_tar_entry *e,
                       struct xeno_err *err)
{
    ssize_t len = llistxattr(source, pk->names, sizeof(pk->names));
    size_t used = 0;

    if (len < 0 && (errno == ENOTSUP || errno == ENOENT))
        return 0;
    if (len < 0)
        return xeno_fail_errno(err, -errno, "image.source", "attributes of '%.200s'", source);
    for (const char *n = pk->names; n < pk->names + len; n += strlen(n) + 1) {
        struct xeno_tar_xattr x = { .name = n, .value = pk->values + used };
        ssize_t got = lgetxattr(source, n, pk->values + used, sizeof(pk->values) - used);

        if (got < 0 && errno == ENODATA)
            continue;
        if (got < 0 || e->xattr_count == XENO_TAR_XATTRS_MAX)
            return xeno_fail_errno(err, got < 0 ? -errno : -E2BIG, "image.source",
                                   "attribute '%.80s' of '%.200s'", n, source);
        x.len = (size_t)got;
        if (!xeno_xattr_keep(&x, pk->caps))
            continue;
        used += (size_t)got;
        e->xattrs[e->xattr_count++] = x;
    }
    if (e->xattr_count > 0)
        qsort(e->xattrs, e->xattr_count, sizeof(*e->xattrs), by_name);
    return 0;
}

static int fill_entry(struct packer *pk, const struct xeno_scan_item *item, const struct stat *sb,
                      struct xeno_tar_entry *e, struct xeno_err *err)
{
    const char *before;
    ssize_t n;

    e->mode = sb->st_mode & 07777;
    if (pk->scan->keep_owner) {
        e->uid = sb->st_uid;
        e->gid = sb->st_gid;
    }
    if (pk->scan->keep_times)
        e->mtime = sb->st_mtim;
    if (S_ISDIR(sb->st_mode)) {
        e->type = XENO_TAR_DIR;
    } else if (S_ISLNK(sb->st_mode)) {
        e->type = XENO_TAR_SYMLINK;
        e->mode = 0777;
        n = readlink(item->source, pk->link, sizeof(pk->link) - 1);
        if (n < 0)
            return xeno_fail_errno(err, -errno, "image.source", "read link '%.200s'", item->source);
        pk->link[n] = '\0';
        e->link = pk->link;
        return 0;
    } else if (S_ISFIFO(sb->st_mode)) {
        e->type = XENO_TAR_FIFO;
    } else if (S_ISREG(sb->st_mode)) {
        e->type = XENO_TAR_FILE;
        e->size_bytes = sb->st_size;
        before = sb->st_nlink > 1 ? seen_inode(pk, sb, item->path) : NULL;
        if (before) {
            e->type = XENO_TAR_HARDLINK;
            e->link = before;
            e->size_bytes = 0;
            return 0;
        }
    } else {
        return xeno_fail(err, -ESTALE, "image.changed", "'%.200s' became something else",
                         item->source);
    }
    return pk->scan->keep_xattrs ? take_xattrs(pk, item->source, e, err) : 0;
}

static int pack_source(struct packer *pk, const struct xeno_scan_item *item, struct xeno_err *err)
{
    struct xeno_tar_entry e = { .name = item->path, .link = "" };
    xeno_autoclose int fd = -1;
    struct stat sb;
    int r;

    if (lstat(item->source, &sb) < 0)
        return xeno_fail_errno(err, -errno, "image.changed", "read '%.200s'", item->source);
    if (S_ISREG(sb.st_mode)) {
        fd = open(item->source, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &sb) < 0)
            return xeno_fail_errno(err, -errno, "image.source", "read '%.200s'", item->source);
    }
    r = fill_entry(pk, item, &sb, &e, err);
    if (r < 0)
        return r;
    if (item->fixed) {
        e.mode = item->mode;
        e.uid = item->uid;
        e.gid = item->gid;
        e.mtime = (struct timespec){ .tv_sec = item->mtime_s };
    }
    r = xeno_pack_add(pk->pack, &e, err);
    if (r >= 0 && e.type == XENO_TAR_FILE)
        r = xeno_pack_file(pk->pack, fd, e.size_bytes, item->source, err);
    return r;
}

static int pack_item(struct packer *pk, const struct xeno_scan_item *item, struct xeno_err *err)
{
    struct xeno_tar_entry e = { .name = item->path, .link = "" };
    xeno_autofree char *hidden = NULL;
    const char *slash;

    if (item->kind == XENO_SCAN_SOURCE)
        return pack_source(pk, item, err);
    if (item->kind == XENO_SCAN_FOLDER) {
        e.type = XENO_TAR_DIR;
        e.mode = item->mode;
        e.uid = item->uid;
        e.gid = item->gid;
        e.mtime = (struct timespec){ .tv_sec = item->mtime_s };
        return xeno_pack_add(pk->pack, &e, err);
    }
    slash = strrchr(item->path, '/');
    hidden = xeno_asprintf("%.*s.wh.%s", slash ? (int)(slash + 1 - item->path) : 0, item->path,
                           slash ? slash + 1 : item->path);
    e.name = hidden;
    e.type = XENO_TAR_FILE;
    e.mode = 0600;
    return xeno_pack_add(pk->pack, &e, err);
}

int xeno_scan_pack(struct xeno_scan *s, struct xeno_pack *p, const struct xeno_progress *progress,
                   struct xeno_err *err)
{
    struct xeno_progress_at at = { .phase = "pack", .total_bytes = s->total_bytes };
    xeno_autofree struct packer *pk = xeno_new0(struct packer);
    struct inode *in, *next;
    int r = 0;

    pk->scan = s;
    pk->pack = p;
    for (size_t i = 0; r >= 0 && i < s->count; i++) {
        r = pack_item(pk, &s->items[i], err);
        at.done_bytes += s->items[i].size_bytes;
        if (r >= 0 && i % 64 == 0 && progress && progress->fn && !progress->fn(progress->arg, &at))
            r = xeno_fail(err, -ECANCELED, "image.cancelled", "stopped");
    }
    HASH_ITER (hh, pk->inodes, in, next) {
        HASH_DEL(pk->inodes, in);
        free(in);
    }
    return r < 0 ? r : xeno_pack_end(p, err);
}
