/* src/imaged/read.c - a part of a layer: from the store, else from a repository that has it. */
#include <errno.h>
#include <string.h>

#include "imaged/imaged.h"

/* From our own store: the layer when it is whole there, or a blob that is this very part. */
static int read_local(struct job *j, struct xeno_err *err)
{
    const struct xeno_agent_request *q = j->q;
    struct xeno_source *s = j->d->local;
    char digest[XENO_DIGEST_TEXT];
    int r = s->ops->read(s, q->layer, q->offset, j->data, (size_t)q->length, NULL, err);

    if (r != -ENOENT || !q->has_sha || q->size_bytes > 0)
        return r;
    xeno_digest_text(q->sha, digest);
    return s->ops->read(s, digest, 0, j->data, (size_t)q->length, NULL, err);
}

/* Returns: -EAGAIN when one may have it later. */
static int read_away(struct job *j, const struct layer_view *v, struct xeno_err *err)
{
    const struct xeno_agent_request *q = j->q;
    const struct xeno_source_want want = { .sha = q->sha, .size_bytes = q->size_bytes };
    bool away = false, lied = false;
    int r =
        xeno_fail(err, -EIO, "agent.source", "no repository is known for the layer %s", q->layer);

    for (size_t i = 0; i < v->source_count; i++) {
        struct xeno_err why = XENO_ERR_INIT;
        struct xeno_registry_name name;
        struct repo *p = NULL;

        r = xeno_registry_name_parse(v->sources[i], &name, &why);
        if (r >= 0)
            r = repo_get(j->d, &name, &p, &why);
        if (r >= 0)
            r = repo_read(p, q->layer, q->offset, j->data, (size_t)q->length,
                          q->has_sha ? &want : NULL, &why);
        if (r >= 0)
            return 0;
        if (p)
            memory_missed(j->d, q->layer, repo_name(p), &why);
        away |= repo_away(&why);
        lied |= why.code == -EBADMSG || xeno_err_is(&why, "source.none");
        xeno_fail(err, -EIO, "agent.source", "%s", why.text);
    }
    if (lied && !away)
        return xeno_fail(err, -EBADMSG, "agent.wrong", "the layer %s is not right at %s", q->layer,
                         v->sources[v->source_count - 1]);
    return away ? -EAGAIN : r < 0 ? err->code : r;
}

int job_read(struct job *j, struct xeno_err *err)
{
    const struct xeno_agent_request *q = j->q;
    struct layer_view v = { .source_count = 0 };
    int r = memory_layer(j->d, q->layer, &v, err);

    if (r < 0)
        return r;
    if (q->length > v.what.size_bytes || q->offset > v.what.size_bytes - q->length)
        r = xeno_fail(err, -EINVAL, "agent.range",
                      "bytes %lld+%lld are not in the layer %s of %lld", (long long)q->offset,
                      (long long)q->length, q->layer, (long long)v.what.size_bytes);
    if (r >= 0 && !j->data)
        j->data = xeno_try_alloc((size_t)q->length);
    if (r >= 0 && !j->data)
        r = xeno_fail(err, -ENOMEM, "agent.memory", "no memory for a read");
    if (r >= 0 && read_local(j, NULL) < 0)
        r = read_away(j, &v, err);
    layer_view_release(&v);
    if (r < 0)
        return r;
    j->len = (size_t)q->length;
    j->ok = xeno_json_object();
    xeno_json_set_int(j->ok, "length", q->length);
    atomic_fetch_add(&j->d->count.reads, 1);
    atomic_fetch_add(&j->d->count.read_bytes, q->length);
    return 0;
}
