/* src/imaged/resolve.c - what a name stands for. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "image/pull.h"
#include "imaged/imaged.h"

struct asked {
    struct xeno_store *store;
    const char *ref;
    enum xeno_image_kind kind;
    struct xeno_pulled pulled;
};

static int pull_head(struct xeno_registry *r, void *arg, struct xeno_err *err)
{
    struct asked *a = arg;
    const struct xeno_pull_opts opts = {
        .registry = r, .ref = a->ref, .kind = a->kind, .partial = true
    };

    return xeno_image_pull(a->store, &opts, &a->pulled, err);
}

static bool kind_fits(enum xeno_image_kind want, enum xeno_image_kind is)
{
    return want == XENO_IMAGE_ANY || is == XENO_IMAGE_ANY || want == is;
}

/* An image that is known, for `name`, as it is answered. */
static int known(struct imaged *d, const struct xeno_agent_request *q, const char *digest,
                 const char *name, bool old, struct xeno_json **ret, struct xeno_err *err)
{
    xeno_auto(xeno_agent_image) im = NULL;
    int r = memory_image(d, digest, name, &im, err);

    if (r < 0)
        return r;
    if (!kind_fits(q->kind, im->kind))
        return xeno_fail(err, -EINVAL, "image.kind", "'%s' is made as %s %s, not as %s %s", name,
                         im->kind == XENO_IMAGE_OVERLAY ? "an" : "a",
                         xeno_image_kind_name(im->kind), q->kind == XENO_IMAGE_OVERLAY ? "an" : "a",
                         xeno_image_kind_name(q->kind));
    im->old = old;
    *ret = xeno_agent_image_json(im);
    return 0;
}

struct xeno_json *resolve_old(struct imaged *d, const struct xeno_agent_request *q)
{
    struct xeno_registry_name name;
    xeno_autofree char *text = NULL;
    struct xeno_json *ok = NULL;
    char digest[XENO_DIGEST_TEXT];

    if (xeno_registry_name_parse(q->name, &name, NULL) < 0)
        return NULL;
    text = xeno_registry_name_format(&name);
    if (memory_name(d, text, digest, NULL) < 0 || known(d, q, digest, text, true, &ok, NULL) < 0)
        return NULL;
    return ok;
}

/* Ask the registry; the image is in the store and remembered then. */
static int ask(struct job *j, struct repo *from, const struct xeno_registry_name *name,
               const char *text, char ret[XENO_DIGEST_TEXT], struct xeno_err *err)
{
    xeno_autofree char *path = imaged_path(j->d, "store");
    xeno_auto(xeno_store) st = NULL;
    xeno_auto(xeno_image) im = NULL;
    struct asked a = { .kind = j->q->kind };
    int r = collect_image_room(j->d, err);

    if (r >= 0)
        r = xeno_store_open(path, XENO_STORE_WRITE, &st, err);
    if (r < 0)
        return r;
    a.store = st;
    a.ref = name->digest[0] ? name->digest : name->tag;
    r = repo_do(from, pull_head, &a, err);
    if (r >= 0)
        r = xeno_store_load(st, a.pulled.digest, &im, err);
    if (r >= 0)
        r = memory_resolved(j->d, im, from, err);
    if (r >= 0)
        r = memory_name_set(j->d, text, a.pulled.digest, err);
    if (r < 0)
        return r;
    memcpy(ret, a.pulled.digest, XENO_DIGEST_TEXT);
    return 0;
}

/* The registry does not answer: what did the name stand for when it last did? */
static int take_old(struct job *j, const char *text, struct xeno_err *err)
{
    char digest[XENO_DIGEST_TEXT];
    struct xeno_err why = XENO_ERR_INIT;
    int r = memory_name(j->d, text, digest, NULL);

    if (r >= 0)
        r = known(j->d, j->q, digest, text, true, &j->ok, &why);
    if (r >= 0) {
        xeno_log_err(LOG_WARNING, "resolve.old", err, "name=%s image=%s", text, digest);
        atomic_fetch_add(&j->d->count.resolved_old, 1);
        *err = (struct xeno_err)XENO_ERR_INIT;
        return 0;
    }
    if (xeno_err_is(&why, "image.kind")) {
        *err = why;
        return r;
    }
    return -EAGAIN;
}

int job_resolve(struct job *j, struct xeno_err *err)
{
    struct xeno_registry_name name;
    xeno_autofree char *text = NULL;
    char digest[XENO_DIGEST_TEXT];
    struct repo *from = NULL;
    int r = xeno_registry_name_parse(j->q->name, &name, err);

    if (r >= 0)
        r = repo_get(j->d, &name, &from, err);
    if (r < 0)
        return r;
    text = xeno_registry_name_format(&name);
    /* Immutable, and asked for by whoever says that it is there: no registry is asked twice. */
    if (name.digest[0] && memory_name(j->d, text, digest, NULL) == 0 &&
        (r = known(j->d, j->q, digest, text, false, &j->ok, err)) != -ENOENT)
        return r;
    *err = (struct xeno_err)XENO_ERR_INIT;
    r = ask(j, from, &name, text, digest, err);
    if (r < 0)
        return repo_away(err) ? take_old(j, text, err) : r;
    atomic_fetch_add(&j->d->count.resolved, 1);
    return known(j->d, j->q, digest, text, false, &j->ok, err);
}
