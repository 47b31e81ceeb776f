/* src/xstored/api-blob.c - pulling and deleting blobs. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "xstored/job.h"

#define BYTES "application/octet-stream"

/* --- pull --- */

/* Of a blob that is pulled whole the hash is known before its last bytes leave: when it is another,
 * they do not. Of a part it is not: whoever asks for one compares it with what names the part. */
struct witness {
    struct xstored *d;
    struct xeno_sha256 *sha;
    char digest[XENO_DIGEST_TEXT];
    int fd; /* of our own, to put aside what was read */
};

static bool see(void *arg, const void *data, size_t len, bool last)
{
    struct witness *w = arg;
    char have[XENO_DIGEST_TEXT];
    uint8_t sum[32];

    xeno_sha256_add(w->sha, data, len);
    if (!last)
        return true;
    xeno_sha256_end(w->sha, sum);
    xeno_digest_text(sum, have);
    if (strcmp(have, w->digest) == 0)
        return true;
    xstored_damaged(w->d, w->digest, xeno_take_fd(&w->fd), "its content is not right");
    return false;
}

static void free_witness(void *arg)
{
    struct witness *w = arg;

    xeno_sha256_free(w->sha);
    if (w->fd >= 0)
        close(w->fd);
    free(w);
}

static void reply_whole(struct xstored *d, struct xeno_http_req *q, const char *digest, int fd,
                        int64_t size)
{
    struct witness *w = xeno_new0(struct witness);
    const struct xeno_http_watch watch = { see, free_witness, w };

    w->d = d;
    w->sha = xeno_sha256_new();
    w->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    snprintf(w->digest, sizeof w->digest, "%s", digest);
    xeno_http_reply_watched(q, 200, BYTES, fd, 0, size, &watch);
}

static void reply_range(struct xstored *d, struct xeno_http_req *q, const char *digest, int fd,
                        int64_t size)
{
    struct xeno_err err = XENO_ERR_INIT;
    int64_t offset, len;
    char text[80];
    int r = xeno_http_range(q, size, &offset, &len, &err);

    if (r < 0) {
        close(fd);
        snprintf(text, sizeof text, "bytes */%" PRId64, size);
        xeno_http_set_header(q, "Content-Range", text);
        xeno_http_reply_err(q, &err);
        return;
    }
    if (r == 0) {
        reply_whole(d, q, digest, fd, size);
    } else {
        snprintf(text, sizeof text, "bytes %" PRId64 "-%" PRId64 "/%" PRId64, offset,
                 offset + len - 1, size);
        xeno_http_set_header(q, "Content-Range", text);
        xeno_http_reply_file(q, 206, BYTES, fd, offset, len);
    }
}

static void send_blob(struct xstored *d, struct xeno_http_req *q, const char *digest, int fd,
                      int64_t size)
{
    xeno_http_set_header(q, "Docker-Content-Digest", digest);
    xeno_http_set_header(q, "Accept-Ranges", "bytes");
    reply_range(d, q, digest, fd, size);
}

struct fetch {
    char digest[XENO_DIGEST_TEXT];
    int64_t size;
    int fd;
};

static void free_fetch(void *arg)
{
    struct fetch *f = arg;

    if (f->fd >= 0)
        close(f->fd);
    free(f);
}

static int fetch(struct job *j, struct xeno_err *err)
{
    struct fetch *f = j->args;

    return j->d->objects->back->fetch(j->d->objects, f->digest, f->size, &f->fd, err);
}

static void finish_fetch(struct job *j)
{
    struct fetch *f = j->args;

    if (j->item.result == 0) {
        j->d->counts.fetched_bytes += f->size;
        send_blob(j->d, j->q, f->digest, xeno_take_fd(&f->fd), f->size);
    } else if (j->item.result == -EBADMSG || j->item.result == -ENOENT) {
        xstored_damaged(j->d, f->digest, -1, j->item.err.text);
        j->item.result = xeno_fail(&j->item.err, -ENOENT, "store.blob",
                                   "%s is damaged here: push it again", f->digest);
    }
}

/* It is elsewhere. Of its size the metadata tells, so a HEAD does not wait; its descriptor is one
 * that nothing is read from. */
static void reply_later(struct xstored *d, struct xeno_http_req *q, const char *digest,
                        int64_t size)
{
    struct fetch *f;
    struct job *j;

    if (strcmp(xeno_http_method(q), "HEAD") == 0) {
        send_blob(d, q, digest, fcntl(d->dirfd, F_DUPFD_CLOEXEC, 0), size);
        return;
    }
    f = xeno_new0(struct fetch);
    snprintf(f->digest, sizeof f->digest, "%s", digest);
    f->size = size;
    f->fd = -1;
    j = job_new(d, q, NULL, f, free_fetch);
    j->prepare = fetch;
    j->finish = finish_fetch;
    job_submit(j);
}

static void reply_blob(struct xstored *d, struct xeno_http_req *q, const char *repo,
                       const char *digest)
{
    struct xeno_err err = XENO_ERR_INIT;
    int64_t size = 0, there = 0;
    int fd = -1, r = xstored_meta_blob(d->view, repo, digest, &size, &err);

    if (r == 0) {
        r = d->objects->back->find(d->objects, digest, &fd, &there, &err);
        if (r == -ENOENT || (r == 0 && there != size)) {
            xstored_damaged(d, digest, fd, "its size is not right");
            r = xeno_fail(&err, -ENOENT, "store.blob", "%s is damaged here: push it again", digest);
        }
    }
    if (r == -EAGAIN)
        reply_later(d, q, digest, size);
    else if (r < 0)
        xstored_refuse(d, q, &err);
    else
        send_blob(d, q, digest, fd, size);
}

static int act_touch(struct job *j, struct xeno_db *db, struct xeno_err *err)
{
    const struct job_thing *n = j->args;
    int r = xstored_meta_touch(db, n->repo, n->name, j->now_ms, err);

    return r < 0 ? r : 0;
}

static void finish_touch(struct job *j)
{
    const struct job_thing *n = j->args;

    if (j->item.result >= 0)
        reply_blob(j->d, j->q, n->repo, n->name);
}

/* A client that is told that a blob is there does not push it, and relies on it in the manifest it
 * puts next. So the answer starts the grace time of an idle blob over; once in half of it will do.
 */
static bool is_relied_on(struct xstored *d, struct xeno_http_req *q, const char *repo,
                         const char *digest)
{
    int64_t since = -1, half = d->opt.grace.ns / XENO_NS_PER_MS / 2;
    struct xstored_asker who;

    if (strcmp(xeno_http_method(q), "HEAD") != 0 || xstored_who(d, q, &who, NULL) < 0 ||
        xstored_may_write(&who, repo, NULL) < 0)
        return false;
    return xstored_meta_idle(d->view, repo, digest, &since, NULL) == 0 && since >= 0 &&
           since + half < xstored_now_ms(d);
}

void xstored_get_blob(struct xeno_http_req *q, void *user)
{
    const char *digest = xeno_http_param(q, "digest"), *repo;
    struct xstored *d = user;
    struct xeno_err err = XENO_ERR_INIT;
    struct job *j;

    if (!xstored_reader(d, q, &repo))
        return;
    if (xstored_digest_check(digest, &err) < 0) {
        xstored_refuse(d, q, &err);
    } else if (is_relied_on(d, q, repo, digest)) {
        j = job_new(d, q, act_touch, job_thing_new(repo, digest), job_thing_free);
        j->finish = finish_touch;
        job_submit(j);
    } else {
        reply_blob(d, q, repo, digest);
    }
}

/* --- delete --- */

static int act_delete(struct job *j, struct xeno_db *db, struct xeno_err *err)
{
    const struct job_thing *n = j->args;

    return xstored_meta_unlink(db, n->repo, n->name, err);
}

void xstored_delete_blob(struct xeno_http_req *q, void *user)
{
    const char *digest = xeno_http_param(q, "digest"), *repo;
    struct xeno_err err = XENO_ERR_INIT;

    if (!xstored_writer(user, q, &repo))
        return;
    if (xstored_digest_check(digest, &err) < 0)
        xstored_refuse(user, q, &err);
    else
        job_submit(job_new(user, q, act_delete, job_thing_new(repo, digest), job_thing_free));
}
