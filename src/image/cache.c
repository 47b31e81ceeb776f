/* src/image/cache.c - unpack layers once and publish them by a rename. */
#include "image/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/io.h"
#include "image/cache-priv.h"

const char *xeno_hex_of(const char *digest)
{
    return digest + strlen("sha256:");
}

bool xeno_hex_ok(const char *text)
{
    return strlen(text) == XENO_HEX_CHARS && strspn(text, "0123456789abcdef") == XENO_HEX_CHARS;
}

static int open_dir(struct xeno_cache *c, const char *name, int *ret_fd, struct xeno_err *err)
{
    if (mkdirat(c->dirfd, name, 0700) < 0 && errno != EEXIST)
        return xeno_fail_errno(err, -errno, "cache.io", "make folder '%s/%s'", c->path, name);
    *ret_fd = openat(c->dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*ret_fd < 0)
        return xeno_fail_errno(err, -errno, "cache.io", "open '%s/%s'", c->path, name);
    return 0;
}

int xeno_cache_open(const char *path, struct xeno_cache **ret, struct xeno_err *err)
{
    static const struct xeno_unpack_limits defaults = XENO_UNPACK_LIMITS;
    xeno_auto(xeno_cache) c = xeno_new0(struct xeno_cache);
    int r;

    c->dirfd = c->layers = c->meta = c->pins = c->work = c->locks = -1;
    c->limits = defaults;
    r = xeno_mkdirs(AT_FDCWD, path, 0700, err);
    if (r < 0)
        return r;
    c->path = realpath(path, NULL);
    c->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!c->path || c->dirfd < 0)
        return xeno_fail_errno(err, -errno, "cache.io", "open the layer cache '%s'", path);
    if (fchmod(c->dirfd, 0700) < 0)
        return xeno_fail_errno(err, -errno, "cache.io", "close '%s' to others", path);
    r = open_dir(c, "layers", &c->layers, err);
    if (r >= 0)
        r = open_dir(c, "meta", &c->meta, err);
    if (r >= 0)
        r = open_dir(c, "pins", &c->pins, err);
    if (r >= 0)
        r = open_dir(c, "work", &c->work, err);
    if (r >= 0)
        r = open_dir(c, "locks", &c->locks, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&c);
    return 0;
}

void xeno_cache_free(struct xeno_cache *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < 6; i++) {
        int fd = (const int[]){ c->dirfd, c->layers, c->meta, c->pins, c->work, c->locks }[i];

        if (fd >= 0)
            close(fd);
    }
    free(c->path);
    free(c);
}

int xeno_cache_layers_fd(const struct xeno_cache *c)
{
    return c->layers;
}

char *xeno_cache_path(const struct xeno_cache *c, const char *digest)
{
    return xeno_asprintf("%s/layers/%s", c->path, xeno_hex_of(digest));
}

static bool same_file(int fd, int dirfd, const char *name)
{
    struct stat here, there;

    return fstat(fd, &here) == 0 && fstatat(dirfd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           here.st_ino == there.st_ino && here.st_dev == there.st_dev;
}

int xeno_cache_flock(int dirfd, const char *name, int op, int *ret_fd, struct xeno_err *err)
{
    for (;;) {
        xeno_autoclose int fd =
            openat(dirfd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd < 0)
            return xeno_fail_errno(err, -errno, "cache.io", "open lock '%s'", name);
        if (flock(fd, op) < 0 && errno != EINTR)
            return xeno_fail_errno(err, -errno, "cache.io", "lock '%s'", name);
        /* The collector removes lock files, with the lock held: ours may be the removed one. A
         * signal looks the same: again. */
        if (same_file(fd, dirfd, name) && flock(fd, op | LOCK_NB) == 0) {
            *ret_fd = xeno_take_fd(&fd);
            return 0;
        }
    }
}

static bool is_there(struct xeno_cache *c, const char *hex)
{
    return faccessat(c->layers, hex, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Does any image say that this layer holds this tar? */
static int check_diff_id(struct xeno_store *st, const char *digest, const char *diff_id,
                         struct xeno_err *err)
{
    struct xeno_layer claim;

    for (size_t i = 0; i < XENO_INDEX_MAX; i++) {
        int r = xeno_store_layer(st, digest, i, &claim, NULL);

        if (r == -ENOENT)
            break;
        if (r < 0 || strcmp(claim.diff_id, diff_id) == 0)
            return r;
    }
    return xeno_fail(err, -EBADMSG, "image.corrupt",
                     "layer %.19s holds the tar %s, which no image says of it", digest, diff_id);
}

/* Unpack into work/NAME and make it durable there. */
static int unpack_work(struct xeno_cache *c, struct xeno_store *st, const struct xeno_layer *layer,
                       const char *name, const struct xeno_progress *progress,
                       struct xeno_unpacked *ret, struct xeno_err *err)
{
    struct xeno_unpack_opts opts = { .limits = &c->limits,
                                     .progress = progress,
                                     .own = geteuid() != 0 };
    xeno_autoclose int blob = -1;
    xeno_autoclose int dir = -1;
    int64_t size;
    int r = xeno_store_open_blob(st, layer->digest, &blob, &size, err);

    if (r < 0)
        return r;
    if (mkdirat(c->work, name, 0700) < 0)
        return xeno_fail_errno(err, -errno, "cache.io", "make folder '%s/work/%s'", c->path, name);
    dir = openat(c->work, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return xeno_fail_errno(err, -errno, "cache.io", "open '%s/work/%s'", c->path, name);
    r = xeno_unpack_layer(blob, layer, dir, &opts, ret, err);
    if (r >= 0)
        r = check_diff_id(st, layer->digest, ret->diff_id, err);
    if (r >= 0 && syncfs(dir) < 0)
        r = xeno_fail_errno(err, -errno, "cache.io", "sync the layer cache '%s'", c->path);
    return r;
}

/* One layer, with its lock held. work/HEX.tree is ours then: what is there is a dead man's. */
static int fill_locked(struct xeno_cache *c, struct xeno_store *st, const char *digest,
                       const struct xeno_progress *progress, struct xeno_err *err)
{
    const char *hex = xeno_hex_of(digest);
    struct xeno_unpacked done;
    struct xeno_layer layer;
    char name[80];
    int r = xeno_store_layer(st, digest, 0, &layer, err);

    if (r < 0)
        return r;
    layer.diff_id[0] = '\0'; /* several images may differ on it; checked against all of them */
    snprintf(name, sizeof(name), "%s.tree", hex);
    r = xeno_remove_tree(c->work, name, err);
    if (r >= 0)
        r = unpack_work(c, st, &layer, name, progress, &done, err);
    if (r >= 0)
        r = xeno_cache_meta_write(c, hex, &done, err);
    if (r >= 0 && renameat(c->work, name, c->layers, hex) < 0)
        r = xeno_fail_errno(err, -errno, "cache.io", "publish layer '%s'", hex);
    if (r < 0) {
        (void)xeno_remove_tree(c->work, name, NULL);
        return r;
    }
    if (fsync(c->layers) < 0)
        return xeno_fail_errno(err, -errno, "cache.io", "sync '%s/layers'", c->path);
    return 0;
}

int xeno_cache_fill(struct xeno_cache *c, struct xeno_store *st, const char *const *digests,
                    size_t count, const struct xeno_progress *progress, struct xeno_err *err)
{
    for (size_t i = 0; i < count; i++) {
        xeno_autoclose int lock = -1;
        int r;

        if (!xeno_digest_ok(digests[i]))
            return xeno_fail(err, -EINVAL, "image.digest", "'%.80s' is not a sha256 digest",
                             digests[i]);
        if (is_there(c, xeno_hex_of(digests[i])))
            continue;
        r = xeno_cache_flock(c->locks, xeno_hex_of(digests[i]), LOCK_EX, &lock, err);
        if (r >= 0 && !is_there(c, xeno_hex_of(digests[i])))
            r = fill_locked(c, st, digests[i], progress, err);
        if (r < 0)
            return r;
    }
    return 0;
}

void xeno_cache_paths_free(char **paths, size_t count)
{
    for (size_t i = 0; paths && i < count; i++)
        free(paths[i]);
    free(paths);
}

int xeno_cache_ensure(struct xeno_cache *c, struct xeno_store *st, const char *session,
                      const char *const *digests, size_t count,
                      const struct xeno_progress *progress, char ***ret_paths, struct xeno_err *err)
{
    int r = xeno_cache_pin(c, session, digests, count, err);

    if (r > 0)
        r = xeno_cache_fill(c, st, digests, count, progress, err);
    if (r < 0)
        return r;
    if (ret_paths) {
        char **paths = xeno_new0_n(char *, count + 1);

        for (size_t i = 0; i < count; i++)
            paths[i] = xeno_cache_path(c, digests[i]);
        *ret_paths = paths;
    }
    return 0;
}
