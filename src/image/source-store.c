/* src/image/source-store.c - an image store of this host as a source of bytes. */
#include <errno.h>
#include <unistd.h>

#include "image/source.h"
#include "image/store.h"

struct store_source {
    struct xeno_source base; /* first, so the two pointers are one */
    struct xeno_store *store;
};

/* The blob is opened each time: that costs less than the digest of what is read, and one that the
 * collector removed is not held. */
static int store_read(struct xeno_source *s, const char *digest, int64_t offset, void *buf,
                      size_t len, const struct xeno_source_want *want, struct xeno_err *err)
{
    struct store_source *ss = (struct store_source *)s;
    xeno_autoclose int fd = -1;
    char *to = buf;
    int64_t size;
    int r = xeno_store_open_blob(ss->store, digest, &fd, &size, err);

    (void)want;
    while (r >= 0 && len > 0) {
        ssize_t n = pread(fd, to, len, offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return xeno_fail_errno(err, -errno, "image.blob", "read blob %s", digest);
        if (n == 0)
            return xeno_fail(err, -EBADMSG, "image.corrupt", "blob %s ends at byte %lld", digest,
                             (long long)offset);
        to += n;
        offset += n;
        len -= (size_t)n;
    }
    return r < 0 ? r : 0;
}

static void store_free(struct xeno_source *s)
{
    struct store_source *ss = (struct store_source *)s;

    xeno_store_free(ss->store);
    free(ss);
}

static const struct xeno_source_ops store_ops = { .read = store_read, .free = store_free };

int xeno_source_store(const char *path, struct xeno_source **ret, struct xeno_err *err)
{
    struct store_source *ss = xeno_new0(struct store_source);
    int r = xeno_store_open(path, XENO_STORE_READ, &ss->store, err);

    if (r < 0) {
        free(ss);
        return r;
    }
    ss->base.ops = &store_ops;
    ss->base.name = xeno_strdup(path);
    *ret = &ss->base;
    return 0;
}
