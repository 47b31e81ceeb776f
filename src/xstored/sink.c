/* src/xstored/sink.c - bytes on their way into an upload: hashed and staged as they arrive. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "xstored/sink.h"
#include "xstored/upload.h"

void xstored_inflow_free(struct xstored_inflow *in)
{
    if (!in)
        return;
    if (in->fd >= 0)
        close(in->fd);
    if (in->u && in->whole)
        xstored_upload_drop(in->d, in->u);
    else if (in->u)
        xstored_upload_release(in->d, in->u);
    free(in);
}

struct xstored_upload *xstored_inflow_take(struct xstored_inflow *in)
{
    in->whole = false;
    return xeno_take(&in->u);
}

/* Of a POST: the whole blob, or nothing at all. */
static int open_new(struct xstored_inflow *in, struct xeno_http_req *q, const char *repo,
                    struct xeno_err *err)
{
    const char *digest = xeno_http_query(q, "digest");
    int r;

    if (!digest || xeno_http_query(q, "mount"))
        return 0;
    r = xstored_digest_check(digest, err);
    if (r == 0)
        r = xstored_upload_new(in->d, repo, &in->u, err);
    in->whole = r == 0;
    return r;
}

/* 416 says where to go on. */
static int out_of_order(struct xstored_inflow *in, struct xeno_http_req *q, int64_t first,
                        struct xeno_err *err)
{
    xstored_upload_headers(q, in->u);
    return xeno_fail(err, -ENXIO, "store.range",
                     "the piece begins at byte %" PRId64 ", but there are %" PRId64
                     ": go on from there",
                     first, in->u->size);
}

/* Of a PATCH or PUT: the next piece, where Content-Range says, or what follows. */
static int open_next(struct xstored_inflow *in, struct xeno_http_req *q, const char *repo,
                     struct xeno_err *err)
{
    const char *range = xeno_http_header(q, "Content-Range");
    const char *digest = xeno_http_query(q, "digest");
    int64_t first = 0;
    int r = 0;

    if (strcmp(xeno_http_method(q), "PUT") == 0)
        r = xstored_digest_check(digest ? digest : "", err);
    if (r == 0)
        r = xstored_upload_take(in->d, repo, xeno_http_param(q, "upload"), &in->u, err);
    if (r == 0 && range)
        r = xstored_content_range(range, &first, &in->promised, err);
    if (r == 0 && range && first != in->u->size)
        r = out_of_order(in, q, first, err);
    return r;
}

/* A stage that holds more than was hashed was left so by a write that failed: it is written over
 * from there. One that holds less lost its end with the power. */
static int open_stage(struct xstored_inflow *in, struct xeno_err *err)
{
    int64_t size = 0;
    int r = in->d->objects->back->stage_open(in->d->objects, in->u->id, &in->fd, &size, err);

    if (r == 0 && size < in->u->size)
        r = xeno_fail(err, -EIO, "store.write", "upload %s is damaged: begin again", in->u->id);
    return r;
}

static int open_inflow(struct xeno_http_req *q, void *user, void **ret, struct xeno_err *err)
{
    xeno_auto(xstored_inflow) in = xeno_new0(struct xstored_inflow);
    const char *repo = xeno_http_param(q, "name");
    int64_t used = 0;
    struct xstored_asker who;
    int r;

    in->d = user;
    in->fd = -1;
    in->promised = -1;
    r = xstored_who(user, q, &who, err);
    if (r == 0)
        r = xstored_name_check(repo, err);
    if (r == 0)
        r = xstored_may_write(&who, repo, err);
    if (r == 0)
        r = xeno_http_param(q, "upload") ? open_next(in, q, repo, err) : open_new(in, q, repo, err);
    if (r == 0)
        r = xstored_meta_used(in->d->view, xstored_name_owner(repo).s, &used, err);
    if (r == 0 && in->u)
        r = open_stage(in, err);
    if (r < 0)
        return r;
    in->room = in->d->opt.quota_bytes - used;
    in->disk = in->d->objects->back->room(in->d->objects) - in->d->opt.reserve_bytes;
    *ret = xeno_take(&in);
    return 0;
}

static int check_piece(const struct xstored_inflow *in, size_t len, struct xeno_err *err)
{
    int64_t n = (int64_t)len, left;

    if (!in->u)
        return xeno_fail(err, -EINVAL, "store.body",
                         "a body here needs the query digest=sha256:...; or send it by PATCH");
    if (in->promised >= 0 && n > in->promised - in->got)
        return xeno_fail(err, -EINVAL, "store.size",
                         "more than the %" PRId64 " bytes that Content-Range says", in->promised);
    if (n > in->disk - in->got)
        return xeno_fail(err, -ENOSPC, "store.full",
                         "this XenoStore has no room left for that: try another, or later");
    left = in->room - in->u->use->bytes;
    if (n > left)
        return xeno_fail(err, -EPERM, "store.quota",
                         "the owner may have %" PRId64 " bytes, open uploads included, and %" PRId64
                         " are left: delete something first",
                         in->d->opt.quota_bytes, left > 0 ? left : 0);
    return 0;
}

static int add_piece(void *arg, const void *data, size_t len, struct xeno_err *err)
{
    struct xstored_inflow *in = arg;
    int r = check_piece(in, len, err);

    if (r == 0)
        r = in->d->objects->back->stage_add(in->d->objects, in->fd, in->u->size, data, len, err);
    if (r < 0)
        return r;
    if (in->u->sha)
        xeno_sha256_add(in->u->sha, data, len);
    xstored_upload_grew(in->u, len);
    in->got += (int64_t)len;
    in->d->counts.received_bytes += (int64_t)len;
    return 0;
}

static void drop_inflow(void *arg)
{
    xstored_inflow_free(arg);
}

const struct xeno_http_sink xstored_sink = { open_inflow, add_piece, drop_inflow };
