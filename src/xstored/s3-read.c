/* src/xstored/s3-read.c - reading what is in the bucket: whole, and compared with its digest. */
#include "xstored/s3-priv.h"

#include <errno.h>
#include <unistd.h>

#define READ_BYTES (256 << 10)
#define READS      2 /* of the same wrong bytes before they are believed */

/* What comes of an object: hashed, and kept unless fd is -1. */
struct intake {
    struct s3 *s;
    struct xeno_sha256 *sha;
    int fd;
    int64_t at, size;
};

static int begin_intake(void *arg, struct xeno_err *err)
{
    struct intake *in = arg;
    uint8_t sum[32];

    xeno_sha256_end(in->sha, sum);
    in->at = 0;
    if (in->fd >= 0 && ftruncate(in->fd, 0) < 0)
        return xeno_fail_errno(err, -errno, "store.write", "%s", "fetch an object");
    return 0;
}

static int add_intake(const void *data, size_t len, void *arg, struct xeno_err *err)
{
    struct intake *in = arg;
    int r = 0;

    if ((int64_t)len > in->size - in->at)
        return xeno_fail(err, -EBADMSG, "store.damaged", "it has more bytes than it should");
    xeno_sha256_add(in->sha, data, len);
    if (in->fd >= 0)
        r = in->s->cache->back->stage_add(in->s->cache, in->fd, in->at, data, len, err);
    in->at += (int64_t)len;
    return r;
}

/* Returns: 0 when all of it came and is right. Errors: -EBADMSG store.damaged. */
static int take_in(struct intake *in, const char *digest, const char *name, int64_t rate,
                   struct xeno_err *err)
{
    char key[KEY_TEXT], have[XENO_DIGEST_TEXT];
    uint8_t sum[32];
    int r;

    s3_key(digest, name, key);
    r = bucket_get(in->s->bucket, key, rate, begin_intake, add_intake, in, err);
    if (r < 0)
        return r;
    xeno_sha256_end(in->sha, sum);
    xeno_digest_text(sum, have);
    if (in->at == in->size && strcmp(have, digest) == 0)
        return 0;
    return xeno_fail(err, -EBADMSG, "store.damaged", "%s is damaged in the object store: key %s",
                     digest, key);
}

static bool is_right(int fd, const char *digest, int64_t size)
{
    xeno_auto(xeno_sha256) sha = xeno_sha256_new();
    xeno_autofree char *buf = xeno_alloc0(1, READ_BYTES);
    char have[XENO_DIGEST_TEXT];
    uint8_t sum[32];
    int64_t at = 0;
    ssize_t n;

    while ((n = pread(fd, buf, READ_BYTES, at)) > 0) {
        xeno_sha256_add(sha, buf, (size_t)n);
        at += n;
    }
    xeno_sha256_end(sha, sum);
    xeno_digest_text(sum, have);
    return n == 0 && at == size && strcmp(have, digest) == 0;
}

/* From a copy here, under a key of its own. Errors: -ENOENT: there is no good one. */
static int heal(struct s3 *s, const char *digest, int64_t size, struct xeno_err *err)
{
    char id[XSTORED_STAGE_CHARS + 1], name[NAME_CHARS + 1], key[KEY_TEXT];
    xeno_autoclose int fd = -1;
    int64_t there = 0;
    int r;

    if (s->cache->back->find(s->cache, digest, &fd, &there, NULL) < 0 ||
        !is_right(fd, digest, size))
        return -ENOENT;
    s3_draw(s, id);
    s3_draw(s, name);
    s3_key(digest, name, key);
    s3_begin_flight(s, id, key);
    r = bucket_put(s->bucket, key, fd, size, err);
    if (r == 0)
        r = s3_write_place(s, id, digest, name, err);
    pthread_mutex_lock(&s->lock);
    if (r == 0)
        r = s3_place_copy(s, id, digest, err);
    s3_end_flight(s, id, true);
    pthread_mutex_unlock(&s->lock);
    if (r == 0 && fsync(s->dirfd) < 0)
        r = xeno_fail_errno(err, -errno, "store.write", "sync %s", "the places");
    s->places->back->stage_drop(s->places, id);
    return r;
}

/* It is what was said of it, unless somebody put it again meanwhile. */
static int put_aside(struct s3 *s, const char *digest, const char *name, int code,
                     struct xeno_err *err)
{
    char now[NAME_CHARS + 1] = "";
    xeno_autoclose int fd = -1;
    int64_t size;

    pthread_mutex_lock(&s->lock);
    if (s3_place(s, digest, now, NULL) == 0 && strcmp(now, name) != 0)
        code = xeno_fail(err, -EAGAIN, "store.away", "%s was put again: try again", digest);
    else if (s->places->back->find(s->places, digest, &fd, &size, NULL) == 0)
        (void)s->places->back->quarantine(s->places, digest, fd, NULL);
    if (code != -EAGAIN)
        s3_drop_bad_copy(s, digest);
    pthread_mutex_unlock(&s->lock);
    return code;
}

/* Returns: 1 when it is right again; else `code` with err, or why nobody knows. */
static int is_bad(struct s3 *s, const char *digest, const char *name, int64_t size, int code,
                  struct xeno_err *err)
{
    struct xeno_err e = XENO_ERR_INIT;
    int r = s3_check_mark(s, &e);

    if (r == 0)
        r = heal(s, digest, size, &e);
    if (r == 0)
        return 1;
    if (r == -ENOENT)
        return put_aside(s, digest, name, code, err);
    if (err)
        *err = e;
    return r;
}

/* Read it until it is right, or was wrong often enough; fd -1: keep nothing.
 * Returns: 1 when it was bad, and was healed from a copy. */
static int read_right(struct s3 *s, const char *digest, int64_t size, int fd, int64_t rate,
                      struct xeno_err *err)
{
    xeno_auto(xeno_sha256) sha = xeno_sha256_new();
    struct intake in = { .s = s, .sha = sha, .fd = fd, .size = size };
    char name[NAME_CHARS + 1];
    int r = 0;

    for (int i = 0; i < READS; i++) {
        r = s3_place(s, digest, name, err);
        if (r < 0)
            return r;
        r = take_in(&in, digest, name, rate, err);
        if (r != -EBADMSG && r != -ENOENT)
            return r;
    }
    return is_bad(s, digest, name, size, r, err);
}

int s3_verify(struct xstored_objects *o, const char *digest, int64_t size, int64_t rate,
              struct xeno_err *err)
{
    return read_right((struct s3 *)o, digest, size, -1, rate, err);
}

/* Returns: 0 when it is ours to fetch, 1 when it has come meanwhile. */
static int begin_fetch(struct s3 *s, const char *digest, int64_t size, int *ret_fd)
{
    struct copy *c;
    int64_t there;
    int r = 0;

    pthread_mutex_lock(&s->lock);
    while ((c = s3_copy_of(s, digest)) != NULL && c->coming)
        pthread_cond_wait(&s->came, &s->lock);
    if (s->cache->back->find(s->cache, digest, ret_fd, &there, NULL) == 0)
        r = 1;
    else
        s3_add_copy(s, digest, size)->coming = true;
    s3_evict(s);
    pthread_mutex_unlock(&s->lock);
    return r;
}

static int end_fetch(struct s3 *s, const char *digest, const char *id, int r, int *ret_fd,
                     struct xeno_err *err)
{
    struct copy *c;
    int64_t there;

    pthread_mutex_lock(&s->lock);
    c = s3_copy_of(s, digest);
    if (r == 0)
        r = s->cache->back->publish(s->cache, id, digest, err);
    if (r == 0)
        r = s->cache->back->find(s->cache, digest, ret_fd, &there, err);
    if (r == 0 && c)
        c->coming = false;
    else if (c && c->coming)
        s3_drop_copy(s, c);
    s3_evict(s);
    pthread_cond_broadcast(&s->came);
    pthread_mutex_unlock(&s->lock);
    return r;
}

int s3_fetch(struct xstored_objects *o, const char *digest, int64_t size, int *ret_fd,
             struct xeno_err *err)
{
    struct s3 *s = (struct s3 *)o;
    char id[XSTORED_STAGE_CHARS + 1];
    xeno_autoclose int fd = -1;
    int64_t there = 0;
    int r;

    if (begin_fetch(s, digest, size, ret_fd) == 1)
        return 0;
    s3_draw(s, id);
    r = s->cache->back->stage_open(s->cache, id, &fd, &there, err);
    if (r == 0)
        r = read_right(s, digest, size, fd, 0, err);
    if (r > 0)
        r = xeno_fail(err, -EAGAIN, "store.away", "%s was healed: try again", digest);
    if (r == 0)
        r = s->cache->back->settle(s->cache, id, digest, size, err);
    r = end_fetch(s, digest, id, r, ret_fd, err);
    s->cache->back->stage_drop(s->cache, id);
    return r;
}
