/* src/xstored/api-upload.c - pushing blobs: whole, in pieces, or from another repository. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "xstored/job.h"
#include "xstored/sink.h"

void xstored_upload_headers(struct xeno_http_req *q, const struct xstored_upload *u)
{
    char range[48];

    snprintf(range, sizeof range, "0-%" PRId64, u->size > 0 ? u->size - 1 : 0);
    xstored_location(q, u->repo, "blobs/uploads", u->id);
    xeno_http_set_header(q, "Range", range);
    xeno_http_set_header(q, "Docker-Upload-UUID", u->id);
}

/* --- POST --- */

struct begin {
    struct xstored_upload *u;
    char *from, *mount; /* NULL: nothing is to be mounted */
    bool mounted;
};

static void free_begin(void *arg)
{
    struct begin *b = arg;

    free(b->from);
    free(b->mount);
    free(b);
}

/* What is not there to be mounted is uploaded. */
static int act_mount(struct job *j, struct xeno_db *db, struct xeno_err *err)
{
    struct begin *b = j->args;
    int r = xstored_meta_mount(db, b->u->repo, b->from, b->mount, j->now_ms, &j->limits,
                               &j->refusal, err);

    b->mounted = r == 0;
    return r == -ENOENT ? 0 : r;
}

static void reply_begun(struct xstored *d, struct xeno_http_req *q, struct xstored_upload *u)
{
    struct xeno_err err = XENO_ERR_INIT;

    if (xstored_upload_keep(d, u, &err) < 0) {
        xstored_upload_drop(d, u);
        xstored_refuse(d, q, &err);
        return;
    }
    xstored_upload_release(d, u);
    xstored_upload_headers(q, u);
    xeno_http_reply_data(q, 202, "text/plain", "", 0);
}

static void finish_mount(struct job *j)
{
    struct begin *b = j->args;
    struct xstored *d = j->d;

    if (j->item.result < 0) {
        xstored_upload_drop(d, b->u);
    } else if (b->mounted) {
        d->counts.mounted++;
        xstored_location(j->q, b->u->repo, "blobs", b->mount);
        xeno_http_set_header(j->q, "Docker-Content-Digest", b->mount);
        xstored_upload_drop(d, b->u);
        xeno_http_reply_data(j->q, 201, "text/plain", "", 0);
    } else {
        reply_begun(d, j->q, b->u);
    }
}

/* Is what is to be mounted well said, and may they read where it is? Without `from` nothing is
 * looked for: whether we have it is told to nobody who does not name where. */
static int read_mount(struct xeno_http_req *q, const struct xstored_asker *who, struct begin *b,
                      struct xeno_err *err)
{
    const char *mount = xeno_http_query(q, "mount"), *from = xeno_http_query(q, "from");
    int r;

    if (!mount || !from)
        return 0;
    r = xstored_digest_check(mount, err);
    if (r == 0)
        r = xstored_name_check(from, err);
    if (r == 0 && xstored_may_read(who, from, err) == 0) {
        b->mount = xeno_strdup(mount);
        b->from = xeno_strdup(from);
    }
    return r;
}

static void begin_upload(struct xstored *d, struct xeno_http_req *q, const char *repo)
{
    struct begin *b = xeno_new0(struct begin);
    struct job *j = job_new(d, q, act_mount, b, free_begin);
    struct xeno_err err = XENO_ERR_INIT;
    struct xstored_asker who;
    int r = xstored_who(d, q, &who, &err);

    if (r == 0)
        r = read_mount(q, &who, b, &err);
    if (r == 0)
        r = xstored_upload_new(d, repo, &b->u, &err);
    if (r < 0) {
        job_free(j);
        xstored_refuse(d, q, &err);
        return;
    }
    if (!b->mount) {
        reply_begun(d, q, b->u);
        job_free(j);
        return;
    }
    j->finish = finish_mount;
    job_submit(j);
}

void xstored_post_upload(struct xeno_http_req *q, void *user)
{
    xeno_auto(xstored_inflow) in = xeno_http_sunk(q);

    if (in->u)
        xstored_finish(user, q, xstored_inflow_take(in), xeno_http_query(q, "digest"));
    else
        begin_upload(user, q, xeno_http_param(q, "name"));
}

/* --- PATCH, PUT --- */

static int check_whole(const struct xstored_inflow *in, struct xeno_err *err)
{
    if (in->promised < 0 || in->got == in->promised)
        return 0;
    return xeno_fail(err, -EINVAL, "store.size",
                     "Content-Range says %" PRId64 " bytes, %" PRId64 " have come", in->promised,
                     in->got);
}

void xstored_patch_upload(struct xeno_http_req *q, void *user)
{
    xeno_auto(xstored_inflow) in = xeno_http_sunk(q);
    struct xeno_err err = XENO_ERR_INIT;

    xstored_upload_headers(q, in->u);
    if (check_whole(in, &err) < 0)
        xstored_refuse(user, q, &err);
    else
        xeno_http_reply_data(q, 202, "text/plain", "", 0);
}

void xstored_put_upload(struct xeno_http_req *q, void *user)
{
    xeno_auto(xstored_inflow) in = xeno_http_sunk(q);
    struct xeno_err err = XENO_ERR_INIT;

    if (check_whole(in, &err) < 0)
        xstored_refuse(user, q, &err);
    else
        xstored_finish(user, q, xstored_inflow_take(in), xeno_http_query(q, "digest"));
}

/* --- GET, DELETE --- */

static struct xstored_upload *take(struct xstored *d, struct xeno_http_req *q)
{
    struct xstored_upload *u = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    const char *repo;

    if (!xstored_writer(d, q, &repo))
        return NULL;
    if (xstored_upload_take(d, repo, xeno_http_param(q, "upload"), &u, &err) < 0) {
        xstored_refuse(d, q, &err);
        return NULL;
    }
    return u;
}

void xstored_get_upload(struct xeno_http_req *q, void *user)
{
    struct xstored_upload *u = take(user, q);

    if (!u)
        return;
    xstored_upload_headers(q, u);
    xstored_upload_release(user, u);
    xeno_http_reply_data(q, 204, "text/plain", "", 0);
}

void xstored_delete_upload(struct xeno_http_req *q, void *user)
{
    struct xstored_upload *u = take(user, q);

    if (!u)
        return;
    xstored_upload_drop(user, u);
    xeno_http_reply_data(q, 204, "text/plain", "", 0);
}
