/* src/imaged/fetch.c - see that a layer can be used: its table of contents, or all of it. */
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/log.h"
#include "image/pull.h"
#include "imaged/imaged.h"

/* A layer, from one repository. */
struct fetching {
    struct imaged *d;
    struct xeno_store *store;
    const struct xeno_layer *layer;
    int64_t told; /* bytes, so far */
};

static int get_table(struct xeno_registry *r, void *arg, struct xeno_err *err)
{
    const struct fetching *f = arg;
    const struct xeno_toc_place *place = &f->layer->toc;
    xeno_autofree char *data = xeno_try_alloc((size_t)place->bytes);
    char want[XENO_DIGEST_TEXT], digest[XENO_DIGEST_TEXT];
    uint8_t sha[32];
    int n;

    if (!data)
        return xeno_fail(err, -ENOMEM, "agent.memory", "no memory for a table of contents");
    n = xeno_registry_read(r, f->layer->digest, place->offset, (size_t)place->bytes, data, err);
    if (n < 0)
        return n;
    memory_fetched(f->d, f->layer->digest, place->bytes);
    xeno_sha256_of(data, (size_t)place->bytes, sha);
    xeno_digest_text(place->sha, want);
    if (memcmp(sha, place->sha, sizeof sha) != 0)
        return xeno_fail(err, -EBADMSG, "image.corrupt",
                         "the table of contents is not the one of %s", want);
    return xeno_store_put(f->store, data, (size_t)place->bytes, digest, err);
}

static bool on_progress(void *arg, const struct xeno_progress_at *at)
{
    struct fetching *f = arg;

    memory_fetched(f->d, f->layer->digest, at->done_bytes - f->told);
    f->told = at->done_bytes;
    return true;
}

static int get_whole(struct xeno_registry *r, void *arg, struct xeno_err *err)
{
    struct fetching *f = arg;
    const struct xeno_progress progress = { .fn = on_progress, .arg = f };
    int n;

    f->told = 0;
    n = xeno_image_pull_layer(f->store, r, f->layer, &progress, err);
    if (n >= 0 && f->told < f->layer->size_bytes)
        memory_fetched(f->d, f->layer->digest, f->layer->size_bytes - f->told);
    return n;
}

/* From the first repository that has it. Returns: -EAGAIN when one may have it later. */
static int from_any(struct fetching *f, const struct layer_view *v,
                    int (*get)(struct xeno_registry *r, void *arg, struct xeno_err *err),
                    struct xeno_err *err)
{
    bool away = false;
    int r = xeno_fail(err, -EIO, "agent.source", "no repository is known for the layer %s",
                      v->what.digest);

    for (size_t i = 0; i < v->source_count; i++) {
        struct xeno_err why = XENO_ERR_INIT;
        struct xeno_registry_name name;
        struct repo *p = NULL;

        r = xeno_registry_name_parse(v->sources[i], &name, err);
        if (r >= 0)
            r = repo_get(f->d, &name, &p, err);
        if (r >= 0)
            r = repo_do(p, get, f, &why);
        if (r >= 0)
            return 0;
        if (why.code < 0) {
            *err = why;
            xeno_context(err, r, "%s", repo_name(p));
            if (r == -EBADMSG)
                xeno_log_err(LOG_ERR, "source.lies", &why, "source=%s blob=%s", repo_name(p),
                             v->what.digest);
        }
        away |= repo_away(&why);
    }
    return away ? -EAGAIN : r;
}

static int by_pieces(struct fetching *f, const struct layer_view *v, struct xeno_err *err)
{
    char digest[XENO_DIGEST_TEXT];

    if (v->what.toc.bytes == 0 || v->what.toc.bytes > XENO_TOC_MAX_BYTES)
        return xeno_fail(err, -ENODATA, "image.toc", "it has no table of contents");
    xeno_digest_text(v->what.toc.sha, digest);
    if (xeno_store_has(f->store, digest))
        return 0;
    memory_state(f->d, v->what.digest, XENO_AGENT_FETCHING, v->what.toc.bytes, NULL);
    return from_any(f, v, get_table, err);
}

static int whole(struct fetching *f, const struct layer_view *v, struct xeno_err *err)
{
    int r = collect_room(f->d, v->what.size_bytes, err);

    if (r < 0)
        return r;
    memory_state(f->d, v->what.digest, XENO_AGENT_FETCHING, v->what.size_bytes, NULL);
    r = from_any(f, v, get_whole, err);
    if (r == 0)
        atomic_fetch_add(&f->d->count.fetched_layers, 1);
    return r;
}

static int fetch(struct fetching *f, const struct layer_view *v, struct xeno_agent_fetched *ret,
                 struct xeno_err *err)
{
    int r;

    *ret = (struct xeno_agent_fetched){ .way = XENO_AGENT_WHOLE, .size_bytes = v->what.size_bytes };
    if (xeno_store_has(f->store, v->what.digest))
        return 0;
    r = by_pieces(f, v, err);
    if (r == 0) {
        ret->way = XENO_AGENT_PIECES;
        ret->table = v->what.toc;
        return 0;
    }
    /* Without a table, or where the registry knows no ranges, there is one way left. */
    return r == -ENODATA || r == -EOPNOTSUPP ? whole(f, v, err) : r;
}

int job_fetch(struct job *j, struct xeno_err *err)
{
    xeno_autofree char *path = imaged_path(j->d, "store");
    struct layer_view v = { .source_count = 0 };
    struct fetching f = { .d = j->d, .layer = &v.what };
    struct xeno_agent_fetched got;
    int r = memory_layer(j->d, j->q->layer, &v, err);

    if (r < 0)
        return r;
    r = xeno_store_open(path, XENO_STORE_WRITE, &f.store, err);
    if (r >= 0)
        r = fetch(&f, &v, &got, err);
    if (r >= 0) {
        *err = (struct xeno_err)XENO_ERR_INIT;
        j->ok = xeno_agent_fetched_json(&got);
        memory_state(j->d, j->q->layer,
                     got.way == XENO_AGENT_PIECES ? XENO_AGENT_TABLE : XENO_AGENT_STORED, -1, NULL);
    } else {
        memory_state(j->d, j->q->layer, r == -EAGAIN ? XENO_AGENT_FETCHING : XENO_AGENT_FAILED, -1,
                     err);
    }
    xeno_store_free(f.store);
    layer_view_release(&v);
    return r;
}
