/* src/xstored/mend.c - what is damaged is fetched again, from stores that the operator names.
 *
 * One object at a time, in the order of the digests: a helper asks the mirrors one after the other
 * for the object in a repository of ours that has it, and takes what has the digest; it is settled
 * and published as an upload is. What no mirror had is tried again after a while, and whenever
 * something is newly found damaged. A push heals it as well, whoever is first.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/enc.h"
#include "base/log.h"
#include "image/source-registry.h"
#include "xstored/job.h"

#define PIECE_BYTES (1 << 20)
#define PACE_S      10 /* a mirror that gives nothing for so long is away */
#define AGAIN_S     600

struct xstored_mend {
    char digest[XENO_DIGEST_TEXT]; /* the last one that was tried in this pass; "": none yet */
    bool working;
    bool fresh;      /* something was found damaged since this pass began: it may be behind us */
    xeno_time after; /* monotonic: no new pass before */
    atomic_bool stop;
};

/* One object, for the helper; it owns what it reads, since the loop's may change meanwhile. */
struct piece_of_work {
    char stage[XSTORED_STAGE_CHARS + 1];
    char digest[XENO_DIGEST_TEXT], from[XENO_REGISTRY_HOST_MAX + 1];
    char *repo, *mirrors, *ca_pem, *cert_pem;
    int64_t size;
    bool mended; /* there is something in the stage, and it was published */
};

static void free_work(void *arg)
{
    struct piece_of_work *w = arg;

    free(w->repo);
    free(w->mirrors);
    free(w->ca_pem);
    free(w->cert_pem);
    free(w);
}

/* --- a mirror --- */

static int open_mirror(struct job *j, const struct piece_of_work *w, const char *host,
                       struct xeno_source **ret, struct xeno_err *err)
{
    const struct xeno_source_party party = { .ca_pem = w->ca_pem,
                                             .cert_pem = w->cert_pem,
                                             .key = xeno_member_key(j->d->member) };
    struct xeno_registry_name name = { .host = "" };
    struct xeno_source_registry_opts opts = {
        .env = j->d->env, .name = &name, .pace_s = PACE_S, .party = &party
    };
    int r = xeno_registry_name_within(w->repo, &name, err);

    if (r == 0)
        snprintf(name.host, sizeof name.host, "%s", host);
    return r < 0 ? r : xeno_source_registry(&opts, ret, err);
}

/* All of it into the stage. Errors: -EBADMSG store.damaged: it gives something else. */
static int copy(struct job *j, const struct piece_of_work *w, struct xeno_source *from, int fd,
                struct xeno_err *err)
{
    const struct xstored_backend *back = j->d->objects->back;
    xeno_auto(xeno_sha256) sha = xeno_sha256_new();
    xeno_autofree char *buf = xeno_alloc0(1, PIECE_BYTES);
    char have[XENO_DIGEST_TEXT];
    uint8_t sum[32];
    int r = 0;

    for (int64_t at = 0; r >= 0 && at < w->size; at += PIECE_BYTES) {
        size_t len = w->size - at < PIECE_BYTES ? (size_t)(w->size - at) : PIECE_BYTES;

        if (atomic_load(&j->d->mend->stop))
            return xeno_fail(err, -ECANCELED, "store.stopped", "xstored ends");
        r = from->ops->read(from, w->digest, at, buf, len, NULL, err);
        if (r < 0)
            break;
        xeno_sha256_add(sha, buf, len);
        r = back->stage_add(j->d->objects, fd, at, buf, len, err);
    }
    if (r < 0)
        return r;
    xeno_sha256_end(sha, sum);
    xeno_digest_text(sum, have);
    return strcmp(have, w->digest) == 0
               ? 0
               : xeno_fail(err, -EBADMSG, "store.damaged", "it gave other bytes: %s", have);
}

static int fetch_from(struct job *j, struct piece_of_work *w, const char *host,
                      struct xeno_err *err)
{
    const struct xstored_backend *back = j->d->objects->back;
    struct xeno_source *from = NULL;
    xeno_autoclose int fd = -1;
    int64_t size = 0;
    int r = open_mirror(j, w, host, &from, err);

    if (r < 0)
        return r;
    back->stage_drop(j->d->objects, w->stage); /* what another mirror left */
    r = back->stage_open(j->d->objects, w->stage, &fd, &size, err);
    if (r == 0)
        r = copy(j, w, from, fd, err);
    if (r == 0)
        r = back->settle(j->d->objects, w->stage, w->digest, w->size, err);
    from->ops->free(from);
    return r;
}

static int prepare(struct job *j, struct xeno_err *err)
{
    struct piece_of_work *w = j->args;
    struct xeno_err why = XENO_ERR_INIT;
    char *rest = w->mirrors;
    const char *host;

    while ((host = strsep(&rest, ", ")) != NULL) {
        if (!*host)
            continue;
        if (fetch_from(j, w, host, &why) == 0) {
            snprintf(w->from, sizeof w->from, "%s", host);
            return 0;
        }
        xeno_log_err(LOG_WARNING, "object.mirror", &why, "object=%s mirror=%s", w->digest, host);
    }
    return xeno_fail(err, -ENOENT, "store.mirrors", "no mirror gave it; the last: %s", why.text);
}

static int act(struct job *j, struct xeno_db *db, struct xeno_err *err)
{
    struct piece_of_work *w = j->args;
    int r = xstored_meta_healed(db, w->digest, err);

    w->mended = r > 0; /* else it was pushed or collected meanwhile */
    return r > 0 ? j->d->objects->back->publish(j->d->objects, w->stage, w->digest, err) : r;
}

static void finish(struct job *j)
{
    const struct piece_of_work *w = j->args;
    struct xstored *d = j->d;

    d->mend->working = false;
    d->objects->back->stage_drop(d->objects, w->stage);
    if (j->item.result < 0) {
        xeno_log_err(LOG_ERR, "object.lost", &j->item.err, "object=%s again_s=%d", w->digest,
                     AGAIN_S);
    } else if (w->mended) {
        d->counts.mended++;
        xeno_log(LOG_NOTICE, "object.mended", "object=%s bytes=%" PRId64 " mirror=%s", w->digest,
                 w->size, w->from);
    }
}

/* --- one after the other --- */

static void start(struct xstored *d, int64_t size, const char *repo)
{
    struct piece_of_work *w = xeno_new0(struct piece_of_work);
    struct job *j = job_new(d, NULL, act, w, free_work);
    uint8_t raw[XSTORED_STAGE_CHARS / 2];

    xeno_random(d->env, raw, sizeof raw);
    xeno_hex(raw, sizeof raw, w->stage);
    snprintf(w->digest, sizeof w->digest, "%s", d->mend->digest);
    w->size = size;
    w->repo = xeno_strdup(repo);
    w->mirrors = xeno_strdup(d->opt.mirrors);
    w->ca_pem = xeno_strdup(xeno_member_ca_pem(d->member));
    w->cert_pem = xeno_strdup(xeno_member_cert_pem(d->member));
    d->mend->working = true;
    j->prepare = prepare;
    j->finish = finish;
    job_submit(j);
}

void xstored_mend_tick(struct xstored *d)
{
    struct xstored_mend *m = d->mend;
    xeno_autofree char *repo = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    int64_t size = 0;
    int r;

    if (!d->opt.mirrors || !*d->opt.mirrors || m->working || xeno_mono(d->env).ns < m->after.ns)
        return;
    r = xstored_meta_next_damaged(d->view, m->digest, m->digest, &size, &repo, &err);
    if (r < 0)
        xeno_log_err(LOG_ERR, "mend", &err, "%s", "");
    if (r > 0) {
        start(d, size, repo);
    } else {
        m->digest[0] = '\0';
        m->after = m->fresh ? xeno_ns(0) : xeno_time_add(xeno_mono(d->env), xeno_s(AGAIN_S));
        m->fresh = false;
    }
}

void xstored_mend_now(struct xstored *d)
{
    if (!d->mend)
        return;
    d->mend->fresh = true;
    d->mend->after = xeno_ns(0);
}

void xstored_mend_open(struct xstored *d)
{
    d->mend = xeno_new0(struct xstored_mend);
}

void xstored_mend_stop(struct xstored *d)
{
    if (d->mend)
        atomic_store(&d->mend->stop, true);
}

void xstored_mend_close(struct xstored *d)
{
    free(xeno_take(&d->mend));
}
