/* src/image/blob.c - blobs: checked when read, appearing whole when written. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "image/store-priv.h"

void xeno_blob_path(const char *digest, char out[XENO_BLOB_PATH])
{
    snprintf(out, XENO_BLOB_PATH, "%s/%.64s", XENO_STORE_BLOBS, digest + strlen("sha256:"));
}

int xeno_store_open_blob(struct xeno_store *st, const char *digest, int *ret_fd, int64_t *ret_size,
                         struct xeno_err *err)
{
    xeno_autoclose int fd = -1;
    char path[XENO_BLOB_PATH];
    struct stat sb;

    if (!xeno_digest_ok(digest))
        return xeno_fail(err, -EINVAL, "image.digest", "'%.80s' is not a sha256 digest", digest);
    xeno_blob_path(digest, path);
    fd = openat(st->dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return xeno_fail_errno(err, -errno, "image.blob", "open blob %s of '%s'", digest, st->path);
    if (fstat(fd, &sb) < 0 || !S_ISREG(sb.st_mode))
        return xeno_fail(err, -EINVAL, "image.blob", "blob %s is not a regular file", digest);
    *ret_size = sb.st_size;
    *ret_fd = xeno_take_fd(&fd);
    return 0;
}

bool xeno_store_has(struct xeno_store *st, const char *digest)
{
    xeno_autoclose int fd = -1;
    int64_t size;

    return xeno_store_open_blob(st, digest, &fd, &size, NULL) == 0;
}

static int digest_check(const char *what, const uint8_t sha[32], const char *want,
                        struct xeno_err *err)
{
    char have[XENO_DIGEST_TEXT];

    xeno_digest_text(sha, have);
    if (strcmp(have, want) != 0)
        return xeno_fail(err, -EBADMSG, "image.corrupt", "%s %s has the content of %s", what, want,
                         have);
    return 0;
}

int xeno_store_read(struct xeno_store *st, const char *digest, size_t max, char **ret,
                    size_t *ret_len, struct xeno_err *err)
{
    xeno_autoclose int fd = -1;
    xeno_autofree char *text = NULL;
    uint8_t sha[32];
    int64_t size;
    size_t len;
    int r = xeno_store_open_blob(st, digest, &fd, &size, err);

    if (r < 0)
        return r;
    r = xeno_read_all(fd, max, &text, &len);
    if (r == -EFBIG)
        return xeno_fail(err, r, "image.blob", "blob %s is larger than %zu bytes", digest, max);
    if (r < 0)
        return xeno_fail_errno(err, r, "image.blob", "read blob %s", digest);
    xeno_sha256_of(text, len, sha);
    r = digest_check("blob", sha, digest, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&text);
    *ret_len = len;
    return 0;
}

struct xeno_blob_writer {
    struct xeno_store *st;
    struct xeno_sha256 *hash;
    int fd;
    char tmp[64];
    int64_t size;
};

int xeno_blob_new(struct xeno_store *st, struct xeno_blob_writer **ret, struct xeno_err *err)
{
    static atomic_uint serial;
    xeno_auto(xeno_blob_writer) w = NULL;
    int r = xeno_store_hold(st, err);

    if (r < 0)
        return r;
    w = xeno_new0(struct xeno_blob_writer);
    w->st = st;
    w->hash = xeno_sha256_new();
    w->fd = -1;
    r = xeno_mkdirs(st->dirfd, XENO_STORE_TMP, 0700, err);
    if (r < 0)
        return r;
    snprintf(w->tmp, sizeof(w->tmp), "%s/%ld.%u", XENO_STORE_TMP, (long)getpid(),
             atomic_fetch_add(&serial, 1));
    /* The name can only be left from a dead process with our id; the shared lock keeps the
     * collector away, and no living process uses it. */
    (void)unlinkat(st->dirfd, w->tmp, 0);
    w->fd = openat(st->dirfd, w->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (w->fd < 0) {
        r = xeno_fail_errno(err, -errno, "image.write", "create '%s/%s'", st->path, w->tmp);
        w->tmp[0] = '\0';
        return r;
    }
    *ret = xeno_take(&w);
    return 0;
}

int xeno_blob_add(struct xeno_blob_writer *w, const void *data, size_t len, struct xeno_err *err)
{
    int r = xeno_write_all(w->fd, data, len);

    if (r < 0)
        return xeno_fail_errno(err, r, "image.write", "write to the image store '%s'", w->st->path);
    xeno_sha256_add(w->hash, data, len);
    w->size += (int64_t)len;
    return 0;
}

static int sync_dir(struct xeno_store *st, const char *path)
{
    xeno_autoclose int fd = openat(st->dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int xeno_blob_commit(struct xeno_blob_writer *w, const char *want,
                     char ret_digest[XENO_DIGEST_TEXT], int64_t *ret_size, struct xeno_err *err)
{
    char path[XENO_BLOB_PATH], digest[XENO_DIGEST_TEXT];
    uint8_t sha[32];
    int r = 0;

    xeno_sha256_end(w->hash, sha);
    xeno_digest_text(sha, digest);
    if (want)
        r = digest_check("blob", sha, want, err);
    if (r < 0)
        return r;
    xeno_blob_path(digest, path);
    /* Over one that is there already: should that be spoilt, this heals it. */
    if (fchmod(w->fd, 0644) < 0 || fsync(w->fd) < 0 ||
        renameat(w->st->dirfd, w->tmp, w->st->dirfd, path) < 0)
        return xeno_fail_errno(err, -errno, "image.write", "store blob %s", digest);
    w->tmp[0] = '\0';
    r = sync_dir(w->st, XENO_STORE_BLOBS);
    if (r < 0)
        return xeno_fail_errno(err, r, "image.write", "sync '%s'", w->st->path);
    snprintf(ret_digest, XENO_DIGEST_TEXT, "%s", digest);
    if (ret_size)
        *ret_size = w->size;
    return 0;
}

void xeno_blob_free(struct xeno_blob_writer *w)
{
    if (!w)
        return;
    if (w->fd >= 0)
        close(w->fd);
    if (w->tmp[0] != '\0')
        unlinkat(w->st->dirfd, w->tmp, 0);
    xeno_store_drop(w->st);
    xeno_sha256_free(w->hash);
    free(w);
}

int xeno_store_put(struct xeno_store *st, const void *data, size_t len,
                   char ret_digest[XENO_DIGEST_TEXT], struct xeno_err *err)
{
    xeno_auto(xeno_blob_writer) w = NULL;
    int r = xeno_blob_new(st, &w, err);

    if (r >= 0)
        r = xeno_blob_add(w, data, len, err);
    if (r >= 0)
        r = xeno_blob_commit(w, NULL, ret_digest, NULL, err);
    return r;
}
