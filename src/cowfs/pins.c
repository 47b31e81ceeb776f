/* src/cowfs/pins.c - what names led to when they were first used, in the work directory (RFC 12,
 * 3). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/io.h"
#include "cowfs/mount-priv.h"

#define FILE_NAME  "mounts"
#define HEAD       "xeno-mounts 1\n"
#define DIGEST_LEN 71 /* "sha256:" and 64 digits */
#define FILE_MAX   (XENO_COWFS_MOUNTS_MAX * (XENO_MOUNT_REF_MAX + DIGEST_LEN + 2) + 64)

struct pin {
    UT_hash_handle hh;
    char digest[DIGEST_LEN + 1];
    char ref[];
};
struct pins {
    int dir;
    pthread_mutex_t mutex;
    struct pin *all;
};

static void add(struct pins *p, const char *ref, size_t len, const char *digest)
{
    struct pin *one = xeno_alloc0(1, sizeof *one + len + 1);

    memcpy(one->ref, ref, len);
    memcpy(one->digest, digest, DIGEST_LEN);
    HASH_ADD_STR(p->all, ref, one);
}

static void drop(struct pins *p, struct pin *one)
{
    HASH_DEL(p->all, one);
    free(one);
}

/* --- the file --- */

static bool digest_ok(const char *text, size_t len)
{
    return len == DIGEST_LEN && memcmp(text, "sha256:", 7) == 0 &&
           strspn(text + 7, "0123456789abcdef") >= DIGEST_LEN - 7;
}

/* One line, without its end, and a zero byte or the end of line behind it. */
static bool read_line(struct pins *p, const char *line, size_t len)
{
    const char *space = memchr(line, ' ', len);
    struct xeno_mount_ref ref;

    if (!space || !digest_ok(space + 1, len - (size_t)(space + 1 - line)) ||
        HASH_COUNT(p->all) == XENO_COWFS_MOUNTS_MAX ||
        xeno_mount_ref_parse(line, (size_t)(space - line), &ref, NULL) < 0)
        return false;
    free(ref.text);
    add(p, line, (size_t)(space - line), space + 1);
    return true;
}

static bool read_all(struct pins *p, const char *text, size_t len)
{
    const char *end = text + len;

    if (strncmp(text, HEAD, strlen(HEAD)) != 0)
        return false;
    for (text += strlen(HEAD); text < end;) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));

        if (!stop || !read_line(p, text, (size_t)(stop - text)))
            return false;
        text = stop + 1;
    }
    return true;
}

static int write_all(struct pins *p, struct xeno_err *err)
{
    xeno_autobuf b = XENO_BUF_INIT;

    xeno_buf_add(&b, HEAD, strlen(HEAD));
    for (struct pin *one = p->all; one; one = one->hh.next) {
        xeno_buf_add(&b, one->ref, strlen(one->ref));
        xeno_buf_add(&b, " ", 1);
        xeno_buf_add(&b, one->digest, DIGEST_LEN);
        xeno_buf_add(&b, "\n", 1);
    }
    return xeno_file_write(p->dir, FILE_NAME, 0600, b.data, b.len, err);
}

int pins_open(int dir, struct pins **ret, struct xeno_err *err)
{
    xeno_auto(pins) p = xeno_new0(struct pins);
    xeno_autofree char *text = NULL;
    struct xeno_err why = XENO_ERR_INIT; /* that there is none yet is no error */
    size_t len;
    int r;

    p->dir = dir;
    pthread_mutex_init(&p->mutex, NULL);
    r = xeno_file_read(dir, FILE_NAME, FILE_MAX, &text, &len, &why);
    if (r < 0 && r != -ENOENT)
        return xeno_fail(err, r, why.token, "%s", why.text);
    if (r >= 0 && !read_all(p, text, len))
        return xeno_fail(err, -EBADMSG, "cowfs.pins",
                         "the file '" FILE_NAME "' in the work directory does not say what mount "
                         "files led to; without it they may lead elsewhere");
    *ret = xeno_take(&p);
    return 0;
}

void pins_free(struct pins *p)
{
    struct pin *one, *next;

    if (!p)
        return;
    HASH_ITER (hh, p->all, one, next)
        drop(p, one);
    pthread_mutex_destroy(&p->mutex);
    free(p);
}

/* --- what is noted --- */

char *pins_get(struct pins *p, const char *ref)
{
    struct pin *one;
    char *copy;

    pthread_mutex_lock(&p->mutex);
    HASH_FIND_STR(p->all, ref, one);
    copy = one ? xeno_strdup(one->digest) : NULL;
    pthread_mutex_unlock(&p->mutex);
    return copy;
}

/* The mutex is held. */
static int put(struct pins *p, const char *ref, const char *digest, struct xeno_err *err)
{
    struct pin *one;
    int r;

    HASH_FIND_STR(p->all, ref, one);
    if (one)
        return strcmp(one->digest, digest) != 0;
    if (HASH_COUNT(p->all) == XENO_COWFS_MOUNTS_MAX)
        return xeno_fail(err, -EFBIG, "mount.limit", "more than %d names that move",
                         XENO_COWFS_MOUNTS_MAX);
    add(p, ref, strlen(ref), digest);
    r = write_all(p, err);
    HASH_FIND_STR(p->all, ref, one);
    if (r < 0)
        drop(p, one);
    return r < 0 ? r : 0;
}

int pins_put(struct pins *p, const char *ref, const char *digest, struct xeno_err *err)
{
    int r;

    if (!digest_ok(digest, strlen(digest)))
        return xeno_fail(err, -EINVAL, "cowfs.pins", "'%.80s' is no digest", digest);
    pthread_mutex_lock(&p->mutex);
    r = put(p, ref, digest, err);
    pthread_mutex_unlock(&p->mutex);
    return r;
}
