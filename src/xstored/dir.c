/* src/xstored/dir.c - objects in a directory.
 *
 * All in one folder, since a sandboxed daemon may not rename across folders and one fsync then
 * covers everything that was published in a group: HEX (64 digits) is an object, "up-ID" a stage,
 * "of-ID" its note, "ln-ID" a second name on its way to an object, "rm-HEX" what was removed and
 * takes room yet, "bad-HEX" what was found damaged.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/enc.h"
#include "base/io.h"
#include "base/mem.h"
#include "xstored/backend.h"

/* What has arrived is sent to the disk each so many bytes, so that the last fsync of a large blob
 * is short and the machine's memory is not filled with one client's upload. */
#define WRITE_OUT_BYTES (8 << 20)

#define STAGE_NAME   (3 + XSTORED_STAGE_CHARS + 1)
#define NOTE_MAX     4096
#define REMOVED_NAME (3 + 64 + 1)
#define BAD_NAME     (4 + 64 + 1)

struct dir {
    struct xstored_objects base; /* first: the two pointers are one */
    char *path;
    int fd;
    bool dirty; /* names were made since the last flush */
};

static const char *hex_of(const char *digest)
{
    return digest + strlen("sha256:");
}

static void stage_name(const char *id, char out[STAGE_NAME])
{
    snprintf(out, STAGE_NAME, "up-%.*s", XSTORED_STAGE_CHARS, id);
}

static void note_name(const char *id, char out[STAGE_NAME])
{
    snprintf(out, STAGE_NAME, "of-%.*s", XSTORED_STAGE_CHARS, id);
}

static void dir_close(struct xstored_objects *o)
{
    struct dir *d = (struct dir *)o;

    if (!d)
        return;
    if (d->fd >= 0)
        close(d->fd);
    free(d->path);
    free(d);
}

/* --- stages --- */

static int dir_stage_open(struct xstored_objects *o, const char *id, int *ret_fd, int64_t *ret_size,
                          struct xeno_err *err)
{
    struct dir *d = (struct dir *)o;
    xeno_autoclose int fd = -1;
    char name[STAGE_NAME];
    struct stat sb;

    stage_name(id, name);
    fd = openat(d->fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fstat(fd, &sb) < 0)
        return xeno_fail_errno(err, -errno, "store.write", "open '%s/%s'", d->path, name);
    *ret_size = sb.st_size;
    *ret_fd = xeno_take_fd(&fd);
    return 0;
}

/* What came of a piece before it failed is not counted: it goes. */
static int fail_write(const struct dir *d, int fd, int64_t at, int code, struct xeno_err *err)
{
    (void)!ftruncate(fd, at);
    if (code == -ENOSPC || code == -EDQUOT)
        return xeno_fail(err, -ENOSPC, "store.full",
                         "the disk of this XenoStore is full: try another, or later");
    return xeno_fail_errno(err, code, "store.write", "write to '%s'", d->path);
}

static int dir_stage_add(struct xstored_objects *o, int fd, int64_t at, const void *data,
                         size_t len, struct xeno_err *err)
{
    struct dir *d = (struct dir *)o;
    const char *p = data;
    size_t done = 0;
    int64_t out = at / WRITE_OUT_BYTES * WRITE_OUT_BYTES;

    while (done < len) {
        ssize_t n = pwrite(fd, p + done, len - done, at + (int64_t)done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_write(d, fd, at, -errno, err);
        done += (size_t)n;
    }
    if ((at + (int64_t)len) / WRITE_OUT_BYTES * WRITE_OUT_BYTES > out)
        (void)sync_file_range(fd, out, WRITE_OUT_BYTES, SYNC_FILE_RANGE_WRITE);
    return 0;
}

/* Not synced: an upload that nothing was added to yet is no loss. */
static int dir_stage_note(struct xstored_objects *o, const char *id, const char *note,
                          struct xeno_err *err)
{
    struct dir *d = (struct dir *)o;
    xeno_autoclose int fd = -1;
    char name[STAGE_NAME];

    note_name(id, name);
    fd = openat(d->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return xeno_fail_errno(err, -errno, "store.write", "make '%s/%s'", d->path, name);
    return dir_stage_add(o, fd, 0, note, strlen(note), err);
}

static void drop_note(const struct dir *d, const char *id)
{
    char name[STAGE_NAME];

    note_name(id, name);
    (void)unlinkat(d->fd, name, 0);
}

static void dir_stage_drop(struct xstored_objects *o, const char *id)
{
    struct dir *d = (struct dir *)o;
    char name[STAGE_NAME];

    stage_name(id, name);
    (void)unlinkat(d->fd, name, 0);
    drop_note(d, id);
}

static int64_t dir_room(struct xstored_objects *o)
{
    struct statvfs vfs;
    int64_t room;

    if (fstatvfs(((struct dir *)o)->fd, &vfs) < 0 ||
        __builtin_mul_overflow(vfs.f_bavail, vfs.f_frsize, &room))
        return INT64_MAX;
    return room;
}

/* A stream of our own over the folder: positions of one descriptor are shared. */
static DIR *list(const struct dir *d)
{
    int fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

    if (!dir && fd >= 0)
        close(fd);
    return dir;
}

static bool is_named(const char *name, const char *prefix)
{
    return strncmp(name, prefix, 3) == 0 && strlen(name) == STAGE_NAME - 1;
}

static void tell_note(struct dir *d, const char *id, const char *name,
                      void (*each)(const char *id, const char *note, void *arg), void *arg)
{
    xeno_autofree char *text = NULL;
    size_t len;

    if (xeno_file_read(d->fd, name, NOTE_MAX, &text, &len, NULL) == 0)
        each(id, text, arg);
}

static void tell_stage(struct dir *d, const char *id,
                       void (*each)(const char *id, const char *note, void *arg), void *arg)
{
    char name[STAGE_NAME];

    note_name(id, name);
    if (faccessat(d->fd, name, F_OK, 0) < 0)
        each(id, NULL, arg);
}

static int dir_stages(struct xstored_objects *o,
                      void (*each)(const char *id, const char *note, void *arg), void *arg,
                      struct xeno_err *err)
{
    struct dir *d = (struct dir *)o;
    const struct dirent *e;
    DIR *dir = list(d);

    if (!dir)
        return xeno_fail_errno(err, -errno, "store.open", "list '%s'", d->path);
    while ((e = readdir(dir)) != NULL) {
        char name[STAGE_NAME];

        if (is_named(e->d_name, "ln-") || strncmp(e->d_name, "rm-", 3) == 0)
            (void)unlinkat(d->fd, e->d_name, 0);
        if (!is_named(e->d_name, "of-") && !is_named(e->d_name, "up-"))
            continue;
        snprintf(name, sizeof name, "%.*s", STAGE_NAME - 1, e->d_name);
        if (*name == 'o')
            tell_note(d, name + 3, name, each, arg);
        else
            tell_stage(d, name + 3, each, arg);
    }
    closedir(dir);
    return 0;
}

/* --- from stage to object --- */

static int dir_settle(struct xstored_objects *o, const char *id, const char *digest, int64_t size,
                      struct xeno_err *err)
{
    struct dir *d = (struct dir *)o;
    xeno_autoclose int fd = -1;
    char name[STAGE_NAME];
    struct stat sb;

    (void)digest;
    stage_name(id, name);
    fd = openat(d->fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &sb) < 0 || fsync(fd) < 0)
        return xeno_fail_errno(err, -errno, "store.write", "sync '%s/%s'", d->path, name);
    if (sb.st_size != size)
        return xeno_fail(err, -EIO, "store.write", "'%s/%s' has %lld bytes, not %lld", d->path,
                         name, (long long)sb.st_size, (long long)size);
    return 0;
}

/* A second name of the same file. Over an object that is there it is moved; when that is this very
 * file, its group being tried again, nothing is moved, and the name between is left. */
static int dir_publish(struct xstored_objects *o, const char *id, const char *digest,
                       struct xeno_err *err)
{
    struct dir *d = (struct dir *)o;
    char name[STAGE_NAME], between[STAGE_NAME];
    int r;

    stage_name(id, name);
    d->dirty = true;
    r = linkat(d->fd, name, d->fd, hex_of(digest), 0);
    if (r < 0 && errno == EEXIST) {
        snprintf(between, sizeof between, "ln-%.*s", XSTORED_STAGE_CHARS, id);
        r = linkat(d->fd, name, d->fd, between, 0);
        if (r == 0)
            r = renameat(d->fd, between, d->fd, hex_of(digest));
        if (r == 0)
            (void)unlinkat(d->fd, between, 0);
    }
    if (r == 0)
        return 0;
    return xeno_fail_errno(err, -errno, "store.write", "publish %s in '%s'", digest, d->path);
}

static int dir_flush(struct xstored_objects *o, struct xeno_err *err)
{
    struct dir *d = (struct dir *)o;

    if (d->dirty && fsync(d->fd) < 0)
        return xeno_fail_errno(err, -errno, "store.write", "sync '%s'", d->path);
    d->dirty = false;
    return 0;
}

/* --- objects --- */

static int dir_find(struct xstored_objects *o, const char *digest, int *ret_fd, int64_t *ret_size,
                    struct xeno_err *err)
{
    struct dir *d = (struct dir *)o;
    xeno_autoclose int fd =
        openat(d->fd, hex_of(digest), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat sb;

    if (fd < 0 || fstat(fd, &sb) < 0)
        return xeno_fail_errno(err, -errno, errno == ENOENT ? "store.missing" : "store.read",
                               "open object %s", digest);
    if (!S_ISREG(sb.st_mode))
        return xeno_fail(err, -ENOENT, "store.missing", "object %s is no file", digest);
    *ret_size = sb.st_size;
    *ret_fd = xeno_take_fd(&fd);
    return 0;
}

static void removed_name(const char *digest, char out[REMOVED_NAME])
{
    snprintf(out, REMOVED_NAME, "rm-%.64s", hex_of(digest));
}

static int dir_remove(struct xstored_objects *o, const char *digest, struct xeno_err *err)
{
    struct dir *d = (struct dir *)o;
    char name[REMOVED_NAME];

    removed_name(digest, name);
    if (renameat(d->fd, hex_of(digest), d->fd, name) < 0 && errno != ENOENT)
        return xeno_fail_errno(err, -errno, "store.write", "remove %s from '%s'", digest, d->path);
    return 0;
}

static void dir_purge(struct xstored_objects *o, const char *digest)
{
    char name[REMOVED_NAME];

    removed_name(digest, name);
    (void)unlinkat(((struct dir *)o)->fd, name, 0);
}

static int dir_quarantine(struct xstored_objects *o, const char *digest, int fd,
                          struct xeno_err *err)
{
    struct dir *d = (struct dir *)o;
    char name[BAD_NAME];
    struct stat now, was;

    if (fstatat(d->fd, hex_of(digest), &now, AT_SYMLINK_NOFOLLOW) < 0 || fstat(fd, &was) < 0 ||
        now.st_ino != was.st_ino)
        return 0;
    snprintf(name, sizeof name, "bad-%.64s", hex_of(digest));
    if (renameat(d->fd, hex_of(digest), d->fd, name) < 0)
        return xeno_fail_errno(err, -errno, "store.write", "put %s aside in '%s'", digest, d->path);
    return 1;
}

static bool is_object(const char *name)
{
    uint8_t sha[32];

    return strlen(name) == 64 && xeno_unhex(name, sha, sizeof sha);
}

static int dir_each(struct xstored_objects *o, int64_t *cursor, char (*ret)[XENO_DIGEST_TEXT],
                    int max, struct xeno_err *err)
{
    struct dir *d = (struct dir *)o;
    const struct dirent *e;
    DIR *dir = list(d);
    int n = 0;

    if (!dir)
        return xeno_fail_errno(err, -errno, "store.open", "list '%s'", d->path);
    if (*cursor != 0)
        seekdir(dir, (long)*cursor);
    while (n < max && (e = readdir(dir)) != NULL)
        if (is_object(e->d_name))
            snprintf(ret[n++], XENO_DIGEST_TEXT, "sha256:%.64s", e->d_name);
    *cursor = telldir(dir);
    closedir(dir);
    return n;
}

static const struct xstored_backend backend_dir = {
    .name = "dir",
    .close = dir_close,
    .stage_open = dir_stage_open,
    .stage_add = dir_stage_add,
    .stage_note = dir_stage_note,
    .stage_drop = dir_stage_drop,
    .room = dir_room,
    .stages = dir_stages,
    .settle = dir_settle,
    .publish = dir_publish,
    .flush = dir_flush,
    .find = dir_find,
    .remove = dir_remove,
    .purge = dir_purge,
    .quarantine = dir_quarantine,
    .each = dir_each,
};

int xstored_dir_open(const char *where, struct xstored_objects **ret, struct xeno_err *err)
{
    struct dir *d;
    int fd, r = xeno_mkdirs(AT_FDCWD, where, 0700, err);

    if (r < 0)
        return r;
    fd = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return xeno_fail_errno(err, -errno, "store.open", "open folder '%s'", where);
    d = xeno_new0(struct dir);
    d->base.back = &backend_dir;
    d->path = xeno_strdup(where);
    d->fd = fd;
    *ret = &d->base;
    return 0;
}
