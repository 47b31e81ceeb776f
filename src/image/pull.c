/* src/image/pull.c - an image from a registry: what is missing is fetched, checked and named. */
#include "image/pull.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "image/build-priv.h"
#include "image/pull-priv.h"
#include "image/registry-priv.h"
#include "image/store-priv.h"

int pull_progress(struct pull *p, int64_t bytes, struct xeno_err *err)
{
    struct xeno_progress_at at = { .phase = "fetch", .total_bytes = p->total_bytes };

    p->done_bytes += bytes;
    at.done_bytes = p->done_bytes < 0 ? 0 : p->done_bytes;
    return xeno_progress_tell(p->o->progress, &at, err);
}

/* --- manifest and config --- */

static int check_kind(const struct pull *p, struct xeno_err *err)
{
    enum xeno_image_kind want = p->o->kind, is = p->im->kind;

    if (want == XENO_IMAGE_ANY || is == XENO_IMAGE_ANY || want == is)
        return 0;
    return xeno_fail(err, -EINVAL, "image.kind", "'%s' there is made as %s %s, not as %s %s",
                     p->o->ref, is == XENO_IMAGE_OVERLAY ? "an" : "a", xeno_image_kind_name(is),
                     want == XENO_IMAGE_OVERLAY ? "an" : "a", xeno_image_kind_name(want));
}

static int get_manifest(struct pull *p, char **ret_text, size_t *ret_len, struct xeno_err *err)
{
    int r = xeno_registry_manifest(p->o->registry, p->o->ref, p->o->arch, ret_text, ret_len,
                                   p->ret->digest, err);

    if (r >= 0)
        r = xeno_manifest_parse(*ret_text, *ret_len, &p->im, err);
    if (r < 0)
        return r;
    memcpy(p->im->digest, p->ret->digest, sizeof(p->im->digest));
    return check_kind(p, err);
}

static int check_config(struct pull *p, const char *text, size_t len, struct xeno_err *err)
{
    const char *arch = p->o->arch ? p->o->arch : xeno_image_host_arch();
    int r = xeno_config_parse(p->im, text, len, err);

    if (r < 0)
        return r;
    if (p->im->kind != XENO_IMAGE_OVERLAY && p->im->arch[0] && strcmp(p->im->arch, arch) != 0)
        return xeno_fail(err, -EINVAL, "image.arch", "'%s' is made for %s, not for %s", p->o->ref,
                         p->im->arch, arch);
    return 0;
}

static int get_config(struct pull *p, struct xeno_err *err)
{
    const struct xeno_descriptor *d = &p->im->config;
    xeno_autofree char *text = NULL;
    char digest[XENO_DIGEST_TEXT];
    size_t len;
    int r;

    if (xeno_store_read(p->st, d->digest, XENO_MANIFEST_MAX_BYTES, &text, &len, NULL) == 0)
        return check_config(p, text, len, err);
    if (d->size_bytes > XENO_MANIFEST_MAX_BYTES || d->size_bytes == 0)
        return xeno_fail(err, -EFBIG, "image.config", "the config has %" PRId64 " bytes, not 1-%d",
                         d->size_bytes, XENO_MANIFEST_MAX_BYTES);
    len = (size_t)d->size_bytes;
    text = xeno_alloc0(1, len + 1);
    r = xeno_registry_read_all(p->o->registry, d->digest, len, text, err);
    if (r >= 0)
        r = check_config(p, text, len, err);
    if (r >= 0)
        r = xeno_store_put(p->st, text, len, digest, err);
    if (r >= 0 && strcmp(digest, d->digest) != 0)
        r = xeno_fail(err, -EBADMSG, "image.corrupt", "the config %s has the content of %s",
                      d->digest, digest);
    return r;
}

/* --- layers, whole --- */

struct layer_job {
    struct pull *p;
    struct crowd *crowd;
    const struct xeno_layer *layer;
    struct xeno_registry_job *job;
    struct xeno_blob_writer *w;
};
struct crowd {
    size_t left;
    bool over;
    struct xeno_err err;
    struct layer_job jobs[XENO_LAYERS_MAX];
};

static int on_sink(const void *data, size_t len, void *arg, struct xeno_err *err)
{
    struct layer_job *j = arg;
    int r = 0;

    if (!j->w)
        r = xeno_blob_new(j->p->st, &j->w, err);
    if (r >= 0)
        r = xeno_blob_add(j->w, data, len, err);
    return r < 0 ? r : pull_progress(j->p, (int64_t)len, err);
}

static void on_done(const struct xeno_err *err, void *arg)
{
    struct layer_job *j = arg;
    struct crowd *c = j->crowd;
    struct xeno_err why = err ? *err : (struct xeno_err)XENO_ERR_INIT;
    char digest[XENO_DIGEST_TEXT];

    j->job = NULL;
    if (why.code == 0 && !j->w)
        xeno_blob_new(j->p->st, &j->w, &why); /* an empty blob */
    if (why.code == 0)
        xeno_blob_commit(j->w, j->layer->digest, digest, NULL, &why);
    xeno_blob_free(xeno_take(&j->w));
    if (why.code < 0 && c->err.code == 0)
        c->err = why;
    c->left--;
    c->over = c->left == 0 || c->err.code < 0;
}

static void fetch_whole(struct pull *p, struct crowd *c, const struct xeno_layer *layer)
{
    struct layer_job *j = &c->jobs[c->left++];

    *j = (struct layer_job){ .p = p, .crowd = c, .layer = layer };
    j->job = xeno_registry_fetch(p->o->registry,
                                 &(struct xeno_registry_fetch){ .digest = layer->digest,
                                                                .len = layer->size_bytes,
                                                                .blob_bytes = layer->size_bytes,
                                                                .sink = on_sink,
                                                                .done = on_done,
                                                                .arg = j });
}

static int wait_all(struct pull *p, struct crowd *c, struct xeno_err *err)
{
    size_t count = c->left;
    int r;

    c->over = count == 0;
    r = registry_run(p->o->registry, &c->over, err);
    for (size_t i = count; i-- > 0;) { /* those that only wait first */
        xeno_registry_cancel(c->jobs[i].job);
        xeno_blob_free(c->jobs[i].w);
    }
    if (r == 0 && c->err.code < 0) {
        if (err)
            *err = c->err;
        return c->err.code;
    }
    return r;
}

/* --- which layers --- */

static bool is_here(struct pull *p, const struct xeno_layer *layer)
{
    xeno_autoclose int fd = -1;
    int64_t size;

    return xeno_store_open_blob(p->st, layer->digest, &fd, &size, NULL) == 0 &&
           size == layer->size_bytes &&
           (!p->o->check ||
            xeno_store_verify_blob(p->st, layer, 0, layer->size_bytes, p->o->progress, NULL) == 0);
}

/* The same layer twice in one image is fetched once. */
static bool came_before(const struct xeno_image *im, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(im->layers[k].digest, im->layers[i].digest) == 0)
            return true;
    return false;
}

static int get_layers(struct pull *p, bool missing[XENO_LAYERS_MAX], struct xeno_err *err)
{
    xeno_autofree struct crowd *c = xeno_new0(struct crowd);
    bool whole[XENO_LAYERS_MAX] = { false };
    int r = 0;

    for (size_t i = 0; i < p->im->layer_count; i++) {
        missing[i] = !came_before(p->im, i) && !is_here(p, &p->im->layers[i]);
        if (missing[i])
            p->total_bytes += p->im->layers[i].size_bytes;
        else
            p->ret->layers_here++;
    }
    for (size_t i = 0; r >= 0 && i < p->im->layer_count; i++) {
        if (!missing[i])
            continue;
        r = p->o->whole ? 1 : pull_by_pieces(p, &p->im->layers[i], err);
        whole[i] = r > 0;
    }
    if (r < 0)
        return r;
    for (size_t i = 0; i < p->im->layer_count; i++)
        if (whole[i])
            fetch_whole(p, c, &p->im->layers[i]);
    return wait_all(p, c, err);
}

/* Has an image here been found to be right in that this layer holds the tar `diff_id`? */
static bool known_inside(struct pull *p, const struct xeno_layer *layer)
{
    struct xeno_layer known;

    for (size_t i = 0; xeno_store_layer(p->st, layer->digest, i, &known, NULL) == 0; i++)
        if (strcmp(known.diff_id, layer->diff_id) == 0)
            return true;
    return false;
}

static int try_layers(struct pull *p, const bool missing[XENO_LAYERS_MAX], struct xeno_err *err)
{
    struct xeno_made made = { .layers = 0 };
    int r = 0;

    for (size_t i = 0; r >= 0 && i < p->im->layer_count; i++) {
        struct xeno_layer *layer = &p->im->layers[i];

        if (missing[i] || !known_inside(p, layer))
            r = xeno_layer_check(p->st, layer, p->o->limits, p->o->progress, &made, err);
        if (r < 0)
            return xeno_context(err, r, "layer %.19s", layer->digest);
    }
    return r;
}

static int pull(struct pull *p, struct xeno_err *err)
{
    bool missing[XENO_LAYERS_MAX] = { false };
    xeno_autofree char *text = NULL;
    char digest[XENO_DIGEST_TEXT];
    size_t len;
    int r = get_manifest(p, &text, &len, err);

    if (r >= 0)
        r = get_config(p, err);
    if (r >= 0 && !p->o->partial)
        r = get_layers(p, missing, err);
    if (r >= 0 && !p->o->partial)
        r = try_layers(p, missing, err);
    if (r >= 0)
        r = xeno_store_put(p->st, text, len, digest, err);
    return r < 0 ? r : xeno_store_add(p->st, digest, (int64_t)len, p->o->name, err);
}

int xeno_image_pull(struct xeno_store *st, const struct xeno_pull_opts *opts,
                    struct xeno_pulled *ret, struct xeno_err *err)
{
    const struct xeno_registry_count before = *xeno_registry_counted(opts->registry);
    struct xeno_pulled got = { .layers = 0 };
    struct pull p = { .st = st, .o = opts, .ret = &got };
    int r = opts->name ? xeno_name_check(opts->name, err) : 0;

    if (r >= 0)
        r = xeno_store_hold(st, err);
    if (r < 0)
        return r;
    r = pull(&p, err);
    xeno_store_drop(st);
    if (r >= 0) {
        got.layers = p.im->layer_count;
        got.size_bytes = p.im->size_bytes;
        got.fetched_bytes = xeno_registry_counted(opts->registry)->in_bytes - before.in_bytes;
        got.requests = xeno_registry_counted(opts->registry)->requests - before.requests;
        *ret = got;
    }
    xeno_image_free(p.im);
    return r < 0 ? r : 0;
}

int xeno_image_pull_layer(struct xeno_store *st, struct xeno_registry *registry,
                          const struct xeno_layer *layer, const struct xeno_progress *progress,
                          struct xeno_err *err)
{
    const struct xeno_pull_opts opts = { .registry = registry, .progress = progress };
    struct pull p = { .st = st, .o = &opts, .total_bytes = layer->size_bytes };
    xeno_autofree struct crowd *c = xeno_new0(struct crowd);
    int r = xeno_store_hold(st, err);

    if (r < 0)
        return r;
    fetch_whole(&p, c, layer);
    r = wait_all(&p, c, err);
    xeno_store_drop(st);
    return r;
}
