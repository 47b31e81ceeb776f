/* src/image/store.c - the layout directory, its locks and its index. */
#include "image/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/io.h"
#include "image/store-priv.h"

#define LAYOUT_FILE "oci-layout"
#define LAYOUT_TEXT "{\"imageLayoutVersion\":\"1.0.0\"}"
#define LAYOUT_MAX  4096

static int layout_check(struct xeno_store *st, struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = NULL;
    xeno_autofree char *text = NULL;
    struct xeno_json_at top;
    const char *version;
    size_t len;
    int r;

    r = xeno_file_read(st->dirfd, LAYOUT_FILE, LAYOUT_MAX, &text, &len, err);
    if (r == -ENOENT)
        return xeno_fail(err, -EINVAL, "image.store", "'%s' is not an OCI image layout: no %s",
                         st->path, LAYOUT_FILE);
    if (r >= 0)
        r = xeno_json_parse(text, len, LAYOUT_MAX, &doc, err);
    if (r < 0)
        return xeno_context(err, r, "'%s'", st->path);
    top = xeno_json_top(doc);
    r = xeno_json_str(&top, "imageLayoutVersion", 1, 32, &version, err);
    if (r < 0)
        return xeno_context(err, r, "'%s/%s'", st->path, LAYOUT_FILE);
    if (strncmp(version, "1.", 2) != 0)
        return xeno_fail(err, -EINVAL, "image.store", "'%s' has layout version %s, not 1", st->path,
                         version);
    return 0;
}

/* Nothing in it but what a store under construction has? */
static bool dir_is_free(int dirfd)
{
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;
    bool free_ = d != NULL;

    while (d && (e = readdir(d)) != NULL) {
        if (e->d_name[0] != '.' && strcmp(e->d_name, "blobs") != 0 &&
            strcmp(e->d_name, "index.json") != 0)
            free_ = false;
    }
    if (d)
        closedir(d);
    return free_;
}

/* Two makers at once are kept apart by .lock; oci-layout comes last, so it vouches for the rest. */
static int layout_make(struct xeno_store *st, struct xeno_err *err)
{
    static const char layout[] = LAYOUT_TEXT;
    xeno_autoclose int lock = -1;
    xeno_auto(xeno_index) ix = NULL;
    int r;

    if (!dir_is_free(st->dirfd))
        return xeno_fail(err, -EINVAL, "image.store",
                         "'%s' has other things in it and is not an OCI image layout", st->path);
    r = xeno_store_flock(st, ".lock", LOCK_EX, &lock, err);
    if (r < 0 || faccessat(st->dirfd, LAYOUT_FILE, F_OK, 0) == 0)
        return r;
    r = xeno_mkdirs(st->dirfd, XENO_STORE_BLOBS, 0755, err);
    if (r >= 0) {
        ix = xeno_index_new();
        r = xeno_store_index_write(st, ix, err);
    }
    if (r >= 0)
        r = xeno_file_write(st->dirfd, LAYOUT_FILE, 0644, layout, sizeof(layout) - 1, err);
    return r;
}

int xeno_store_open(const char *path, int mode, struct xeno_store **ret, struct xeno_err *err)
{
    xeno_auto(xeno_store) st = xeno_new0(struct xeno_store);
    int r = 0;

    st->path = xeno_strdup(path);
    st->mode = mode;
    st->lockfd = -1;
    if (mode == XENO_STORE_CREATE)
        r = xeno_mkdirs(AT_FDCWD, path, 0755, err);
    if (r < 0)
        return r;
    st->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (st->dirfd < 0)
        return xeno_fail_errno(err, -errno, "image.store", "open the image store '%s'", path);
    if (mode == XENO_STORE_CREATE && faccessat(st->dirfd, LAYOUT_FILE, F_OK, 0) < 0)
        r = layout_make(st, err);
    if (r >= 0)
        r = layout_check(st, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&st);
    return 0;
}

void xeno_store_free(struct xeno_store *st)
{
    if (!st)
        return;
    if (st->lockfd >= 0)
        close(st->lockfd);
    if (st->dirfd >= 0)
        close(st->dirfd);
    free(st->path);
    free(st);
}

const char *xeno_store_path(const struct xeno_store *st)
{
    return st->path;
}

/* The lock files are their owner's alone: whoever may only read the store must not hold it up. */
int xeno_store_flock(struct xeno_store *st, const char *name, int op, int *ret_fd,
                     struct xeno_err *err)
{
    xeno_autoclose int fd = -1;

    if (st->mode == XENO_STORE_READ)
        return xeno_fail(err, -EROFS, "image.store", "the store '%s' was opened to be read only",
                         st->path);
    fd = openat(st->dirfd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return xeno_fail_errno(err, -errno, "image.lock", "open '%s/%s'", st->path, name);
    while (flock(fd, op) < 0) {
        if (errno != EINTR)
            return xeno_fail_errno(err, -errno, "image.lock", "lock '%s/%s'", st->path, name);
    }
    *ret_fd = xeno_take_fd(&fd);
    return 0;
}

int xeno_store_hold(struct xeno_store *st, struct xeno_err *err)
{
    if (st->holds == 0) {
        int r = xeno_store_flock(st, ".lock", LOCK_SH, &st->lockfd, err);

        if (r < 0)
            return r;
    }
    st->holds++;
    return 0;
}

void xeno_store_drop(struct xeno_store *st)
{
    if (--st->holds > 0)
        return;
    close(st->lockfd);
    st->lockfd = -1;
}

int xeno_store_index(struct xeno_store *st, struct xeno_index **ret, struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    size_t len;
    int r = xeno_file_read(st->dirfd, "index.json", XENO_MANIFEST_MAX_BYTES, &text, &len, err);

    if (r >= 0)
        r = xeno_index_parse(text, len, ret, err);
    if (r < 0)
        return xeno_context(err, r, "'%s/index.json'", st->path);
    return 0;
}

int xeno_store_index_write(struct xeno_store *st, const struct xeno_index *ix, struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    size_t len;

    text = xeno_index_format(ix, &len);
    if (len > XENO_MANIFEST_MAX_BYTES || ix->count > XENO_INDEX_MAX)
        return xeno_fail(err, -ENOSPC, "image.index",
                         "the store '%s' lists too many images (%zu; at most %d)", st->path,
                         ix->count, XENO_INDEX_MAX);
    return xeno_file_write(st->dirfd, "index.json", 0644, text, len, err);
}

int xeno_store_index_change(struct xeno_store *st,
                            int (*fn)(struct xeno_index *ix, void *arg, struct xeno_err *err),
                            void *arg, struct xeno_err *err)
{
    xeno_autoclose int lock = -1;
    xeno_auto(xeno_index) ix = NULL;
    int r = xeno_store_flock(st, ".index.lock", LOCK_EX, &lock, err);

    if (r >= 0)
        r = xeno_store_index(st, &ix, err);
    if (r >= 0)
        r = fn(ix, arg, err);
    if (r >= 0)
        r = xeno_store_index_write(st, ix, err);
    return r;
}
