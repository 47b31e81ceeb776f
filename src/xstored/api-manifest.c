/* src/xstored/api-manifest.c - manifests: pull, push, delete. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/enc.h"
#include "base/io.h"
#include "xstored/job.h"

/* --- pull --- */

static bool has_digest(const char *text, size_t len, const char *digest)
{
    char have[XENO_DIGEST_TEXT];
    uint8_t sum[32];

    xeno_sha256_of(text, len, sum);
    xeno_digest_text(sum, have);
    return strcmp(have, digest) == 0;
}

/* Small enough to be looked at each time. `fd` (taken): -1: it is not there. */
static int read_manifest(struct xstored *d, const struct xstored_manifest *m, int fd, char **ret,
                         size_t *ret_len, struct xeno_err *err)
{
    if (fd >= 0 && xeno_read_all(fd, XSTORED_DOC_MAX_BYTES, ret, ret_len) == 0) {
        if (has_digest(*ret, *ret_len, m->digest)) {
            close(fd);
            return 0;
        }
        free(xeno_take(ret));
    }
    xstored_damaged(d, m->digest, fd, "its content is not right");
    return xeno_fail(err, -ENOENT, "store.manifest_unknown",
                     "manifest %s is damaged here: push it again", m->digest);
}

static int reply_manifest(struct xstored *d, struct xeno_http_req *q,
                          const struct xstored_manifest *m, int fd, struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    size_t len = 0;
    int r = read_manifest(d, m, fd, &text, &len, err);

    if (r < 0)
        return r;
    xeno_http_set_header(q, "Docker-Content-Digest", m->digest);
    xeno_http_reply_data(q, 200, m->media_type, text, len);
    return 0;
}

struct fetch {
    struct xstored_manifest m;
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

    return j->d->objects->back->fetch(j->d->objects, f->m.digest, f->m.size_bytes, &f->fd, err);
}

static void finish_fetch(struct job *j)
{
    struct fetch *f = j->args;
    int r = j->item.result;

    if (r == 0 || r == -EBADMSG || r == -ENOENT)
        j->item.result = reply_manifest(j->d, j->q, &f->m, xeno_take_fd(&f->fd), &j->item.err);
    if (r == 0)
        j->d->counts.fetched_bytes += f->m.size_bytes;
}

/* It is elsewhere. */
static void reply_later(struct xstored *d, struct xeno_http_req *q,
                        const struct xstored_manifest *m)
{
    struct fetch *f = xeno_new0(struct fetch);
    struct job *j = job_new(d, q, NULL, f, free_fetch);

    f->m = *m;
    f->fd = -1;
    j->prepare = fetch;
    j->finish = finish_fetch;
    job_submit(j);
}

void xstored_get_manifest(struct xeno_http_req *q, void *user)
{
    const char *ref = xeno_http_param(q, "reference"), *repo;
    struct xstored *d = user;
    struct xeno_err err = XENO_ERR_INIT;
    struct xstored_manifest m;
    int64_t size;
    bool digest;
    int r, found, fd = -1;

    if (!xstored_reader(d, q, &repo))
        return;
    r = xstored_reference_check(ref, &digest, &err);
    if (r == 0)
        r = xstored_meta_manifest(d->view, repo, ref, &m, &err);
    found = r == 0 ? d->objects->back->find(d->objects, m.digest, &fd, &size, NULL) : 0;
    if (found == -EAGAIN) {
        reply_later(d, q, &m);
        return;
    }
    if (r == 0)
        r = reply_manifest(d, q, &m, fd, &err);
    if (r < 0)
        xstored_refuse(d, q, &err);
}

/* --- push --- */

struct put {
    char *repo, *tag; /* tag NULL: by its digest */
    char type[XSTORED_TYPE_MAX + 1];
    const char *text; /* of the request, which is not answered before */
    size_t len;
    char stage[XSTORED_STAGE_CHARS + 1];
    char digest[XENO_DIGEST_TEXT];
    struct xstored_doc *doc;
};

static void free_put(void *arg)
{
    struct put *p = arg;

    xstored_doc_free(p->doc);
    free(p->repo);
    free(p->tag);
    free(p);
}

static int stage(struct xstored *d, struct put *p, struct xeno_err *err)
{
    xeno_autoclose int fd = -1;
    int64_t size;
    int r = d->objects->back->stage_open(d->objects, p->stage, &fd, &size, err);

    if (r == 0)
        r = d->objects->back->stage_add(d->objects, fd, 0, p->text, p->len, err);
    return r < 0 ? r
                 : d->objects->back->settle(d->objects, p->stage, p->digest, (int64_t)p->len, err);
}

static int prepare_put(struct job *j, struct xeno_err *err)
{
    struct put *p = j->args;
    int r = xstored_doc_parse(p->text, p->len, p->type, &p->doc, err);

    return r < 0 ? r : stage(j->d, p, err);
}

static int act_put(struct job *j, struct xeno_db *db, struct xeno_err *err)
{
    const struct put *p = j->args;
    int r = xstored_meta_put(db, p->repo, p->doc, p->digest, (int64_t)p->len, p->tag, j->now_ms,
                             &j->limits, &j->refusal, err);

    return r < 0 ? r : j->d->objects->back->publish(j->d->objects, p->stage, p->digest, err);
}

static void finish_put(struct job *j)
{
    const struct put *p = j->args;
    struct xstored *d = j->d;

    d->objects->back->stage_drop(d->objects, p->stage);
    if (j->item.result < 0)
        return;
    d->counts.pushed++;
    d->counts.received_bytes += (int64_t)p->len;
    xstored_location(j->q, p->repo, "manifests", p->digest);
    xeno_http_set_header(j->q, "Docker-Content-Digest", p->digest);
    if (*p->doc->subject)
        xeno_http_set_header(j->q, "OCI-Subject", p->doc->subject);
    xeno_http_reply_data(j->q, 201, "text/plain", "", 0);
}

static int fill_put(struct xstored *d, struct xeno_http_req *q, struct put *p, struct xeno_err *err)
{
    const char *ref = xeno_http_param(q, "reference"), *type = xeno_http_header(q, "Content-Type");
    uint8_t raw[XSTORED_STAGE_CHARS / 2], sum[32];
    bool digest;
    int r = xstored_reference_check(ref, &digest, err);

    if (r < 0)
        return r;
    p->text = xeno_http_body(q, &p->len);
    if (d->objects->back->room(d->objects) - d->opt.reserve_bytes < (int64_t)p->len)
        return xeno_fail(err, -ENOSPC, "store.full",
                         "this XenoStore has no room left for that: try another, or later");
    snprintf(p->type, sizeof p->type, "%.*s", type ? (int)strcspn(type, "; \t") : 0,
             type ? type : "");
    xeno_sha256_of(p->text, p->len, sum);
    xeno_digest_text(sum, p->digest);
    if (digest && strcmp(ref, p->digest) != 0)
        return xeno_fail(err, -EINVAL, "store.digest", "the manifest has the digest %s, not %s",
                         p->digest, ref);
    p->tag = digest ? NULL : xeno_strdup(ref);
    xeno_random(d->env, raw, sizeof raw);
    xeno_hex(raw, sizeof raw, p->stage);
    return 0;
}

void xstored_put_manifest(struct xeno_http_req *q, void *user)
{
    struct put *p = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    const char *repo;
    struct job *j;

    if (!xstored_writer(user, q, &repo))
        return;
    p = xeno_new0(struct put);
    p->repo = xeno_strdup(repo);
    j = job_new(user, q, act_put, p, free_put);
    if (fill_put(user, q, p, &err) < 0) {
        job_free(j);
        xstored_refuse(user, q, &err);
        return;
    }
    j->prepare = prepare_put;
    j->finish = finish_put;
    j->item.bytes += p->len;
    job_submit(j);
}

/* --- delete --- */

static int act_delete(struct job *j, struct xeno_db *db, struct xeno_err *err)
{
    const struct job_thing *g = j->args;

    int r = xstored_meta_deletable(db, g->repo, g->name, err);

    return r < 0 ? r : xstored_meta_delete(db, g->repo, g->name, j->now_ms, err);
}

/* A tag, by anybody; a manifest, by who shows a pass: what it stood for is kept for a time. */
static int act_doom(struct job *j, struct xeno_db *db, struct xeno_err *err)
{
    const struct job_thing *g = j->args;

    int r = xstored_meta_deletable(db, g->repo, g->name, err);

    return r < 0 ? r
                 : xstored_meta_doom(db, g->repo, g->name, j->now_ms, &j->limits, &j->refusal, err);
}

void xstored_delete_manifest(struct xeno_http_req *q, void *user)
{
    const char *ref = xeno_http_param(q, "reference"), *repo;
    struct xeno_err err = XENO_ERR_INIT;
    bool digest;

    if (!xstored_writer(user, q, &repo))
        return;
    if (xstored_reference_check(ref, &digest, &err) < 0) {
        xstored_refuse(user, q, &err);
        return;
    }
    job_submit(job_new(user, q, digest && xeno_http_peer(q) ? act_delete : act_doom,
                       job_thing_new(repo, ref), job_thing_free));
}
