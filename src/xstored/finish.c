/* src/xstored/finish.c - the end of an upload: its hash is compared, it is settled and published.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "xstored/job.h"
#include "xstored/upload.h"

struct finish {
    struct xstored_upload *u;
    char digest[XENO_DIGEST_TEXT];
};

/* Since a restart nobody knows the hash of what came before it. Returns: with u->sha set. */
static int hash_again(struct xstored *d, struct xstored_upload *u, struct xeno_err *err)
{
    xeno_auto(xeno_sha256) sha = xeno_sha256_new();
    xeno_autofree char *buf = xeno_alloc0(1, 1 << 18);
    xeno_autoclose int fd = -1;
    int64_t size = 0, at = 0;
    int r = d->objects->back->stage_open(d->objects, u->id, &fd, &size, err);

    if (r < 0)
        return r;
    while (at < u->size) {
        size_t want = u->size - at < 1 << 18 ? (size_t)(u->size - at) : 1 << 18;
        ssize_t n = pread(fd, buf, want, at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return xeno_fail(err, -EIO, "store.write", "upload %s cannot be read: begin again",
                             u->id);
        xeno_sha256_add(sha, buf, (size_t)n);
        at += n;
    }
    u->sha = xeno_take(&sha);
    return 0;
}

static int prepare(struct job *j, struct xeno_err *err)
{
    struct finish *f = j->args;
    char have[XENO_DIGEST_TEXT];
    uint8_t sum[32];
    int r = f->u->sha ? 0 : hash_again(j->d, f->u, err);

    if (r < 0)
        return r;
    xeno_sha256_end(f->u->sha, sum);
    xeno_digest_text(sum, have);
    if (strcmp(have, f->digest) != 0)
        return xeno_fail(err, -EINVAL, "store.digest",
                         "the %" PRId64 " bytes that arrived have the digest %s, not %s: begin "
                         "again",
                         f->u->size, have, f->digest);
    return j->d->objects->back->settle(j->d->objects, f->u->id, f->digest, f->u->size, err);
}

static int act(struct job *j, struct xeno_db *db, struct xeno_err *err)
{
    struct finish *f = j->args;
    int r = xstored_meta_add(db, f->u->repo, f->digest, f->u->size, j->now_ms, &j->limits,
                             &j->refusal, err);

    if (r == 0)
        r = j->d->objects->back->publish(j->d->objects, f->u->id, f->digest, err);
    return r;
}

/* Nothing is wrong with what arrived: it can be tried again, when the place is reached again. */
static bool may_be_tried_again(struct xstored_upload *u, const struct xeno_err *err)
{
    bool far = xeno_err_is(err, "store.away") || xeno_err_is(err, "store.stopped");

    if (!u->kept || (!far && !xeno_err_is(err, "store.busy")))
        return false;
    if (far) /* the hash was ended */
        xeno_sha256_free(xeno_take(&u->sha));
    return true;
}

static void finish(struct job *j)
{
    struct finish *f = j->args;
    struct xstored *d = j->d;

    if (may_be_tried_again(f->u, &j->item.err)) {
        xstored_upload_release(d, f->u);
    } else if (j->item.result < 0) {
        xstored_upload_drop(d, f->u);
    } else {
        d->counts.pushed++;
        xstored_location(j->q, f->u->repo, "blobs", f->digest);
        xeno_http_set_header(j->q, "Docker-Content-Digest", f->digest);
        xstored_upload_drop(d, f->u);
        xeno_http_reply_data(j->q, 201, "text/plain", "", 0);
    }
}

void xstored_finish(struct xstored *d, struct xeno_http_req *q, struct xstored_upload *u,
                    const char *digest)
{
    struct finish *f = xeno_new0(struct finish);
    struct job *j = job_new(d, q, act, f, free);

    f->u = u;
    snprintf(f->digest, sizeof f->digest, "%s", digest);
    j->prepare = prepare;
    j->finish = finish;
    job_submit(j);
}
