/* src/image/push.c - an image to a registry: blobs that are missing there, then the manifest. */
#include "image/push.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "image/build-priv.h"
#include "image/push-priv.h"

/* --- blobs, some at a time --- */

static void start_more(struct push *p)
{
    while (p->err.code == 0 && p->running < p->r->parallel && p->next < p->count) {
        p->running++;
        upload_step(&p->blobs[p->next++]);
    }
    p->over = p->err.code < 0 || (p->running == 0 && p->next == p->count);
}

void upload_show(struct upload *u, int64_t bytes)
{
    struct push *p = u->p;
    struct xeno_progress_at at = { .phase = "send", .total_bytes = p->total_bytes };

    p->done_bytes += bytes - u->shown;
    u->shown = bytes;
    at.done_bytes = p->done_bytes;
    if (xeno_progress_tell(p->o->progress, &at, &p->err) < 0)
        p->over = true;
}

void upload_over(struct upload *u)
{
    if (u->fd >= 0)
        close(u->fd);
    u->fd = -1;
    upload_show(u, u->size);
    u->p->running--;
    start_more(u->p);
}

void upload_failed(struct upload *u, const struct xeno_err *err)
{
    struct push *p = u->p;

    if (p->err.code == 0) {
        p->err = *err;
        xeno_context(&p->err, p->err.code, "blob %.19s", u->digest);
    }
    p->over = true;
}

static int add_blob(struct push *p, const char *digest, int64_t size, struct xeno_err *err)
{
    struct upload *u = &p->blobs[p->count];
    int64_t found;
    int r;

    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->blobs[i].digest, digest) == 0)
            return 0;
    *u = (struct upload){ .p = p, .size = size, .fd = -1 };
    snprintf(u->digest, sizeof(u->digest), "%s", digest);
    p->count++;
    p->total_bytes += size;
    r = xeno_store_open_blob(p->st, digest, &u->fd, &found, err);
    if (r >= 0 && found != size)
        r = xeno_fail(err, -EBADMSG, "image.corrupt", "blob %s is %" PRId64 " bytes, not %" PRId64,
                      digest, found, size);
    return r;
}

static int send_blobs(struct push *p, const struct xeno_image *im, struct xeno_err *err)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < im->layer_count; i++)
        r = add_blob(p, im->layers[i].digest, im->layers[i].size_bytes, err);
    if (r >= 0)
        r = add_blob(p, im->config.digest, im->config.size_bytes, err);
    if (r >= 0) {
        p->ret->blobs = p->count;
        start_more(p);
        r = registry_run(p->r, &p->over, err);
    }
    for (size_t i = 0; i < p->count; i++)
        upload_release(&p->blobs[i]);
    if (r >= 0 && p->err.code < 0) {
        if (err)
            *err = p->err;
        r = p->err.code;
    }
    return r;
}

/* The type it says it is of: a registry keeps it by that, and refuses a wrong one. */
static char *type_of(const char *text, size_t len)
{
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top;
    const char *type = XENO_MT_MANIFEST;

    if (xeno_json_parse(text, len, XENO_MANIFEST_MAX_BYTES, &doc, NULL) == 0) {
        top = xeno_json_top(doc);
        xeno_json_str_opt(&top, "mediaType", 1, 255, &type, NULL);
    }
    return xeno_strdup(type);
}

/* `text` is taken. */
static int send_manifest(struct push *p, const char *digest, char *text, size_t len,
                         struct xeno_err *err)
{
    const char *ref = p->o->tag ? p->o->tag : digest;
    xeno_autofree char *type = type_of(text, len), *says = NULL;
    struct ask *a;
    int r;

    a = registry_ask_new(p->r, "PUT", xeno_asprintf("/v2/%s/manifests/%s", p->r->repo, ref));
    a->type = type;
    a->body = text;
    a->body_len = len;
    r = registry_ask_wait(a, NULL, NULL, NULL, "Docker-Content-Digest", &says, err);
    if (r < 0)
        return xeno_context(err, r, "manifest '%.80s'", ref);
    if (says && strcmp(says, digest) != 0)
        return xeno_fail(err, -EBADMSG, "image.corrupt",
                         "the registry says that it keeps %s as %.80s", digest, says);
    return 0;
}

int xeno_image_push(struct xeno_store *st, const struct xeno_push_opts *opts,
                    struct xeno_pushed *ret, struct xeno_err *err)
{
    const struct xeno_registry_count before = *xeno_registry_counted(opts->registry);
    xeno_autofree struct push *p = xeno_new0(struct push);
    xeno_auto(xeno_image) im = NULL;
    xeno_autofree char *text = NULL;
    struct xeno_pushed sent = { .blobs = 0 };
    size_t len;
    int r = xeno_store_resolve(st, opts->ref, NULL, &im, err);

    /* All that is to be sent is held from the start on: the store may be collected meanwhile. */
    if (r >= 0)
        r = xeno_store_read(st, im->digest, XENO_MANIFEST_MAX_BYTES, &text, &len, err);
    if (r < 0)
        return r;
    p->st = st;
    p->o = opts;
    p->r = opts->registry;
    p->ret = &sent;
    p->chunk = opts->chunk_bytes > 0 ? opts->chunk_bytes : XENO_PUSH_CHUNK;
    r = send_blobs(p, im, err);
    if (r >= 0)
        r = send_manifest(p, im->digest, xeno_take(&text), len, err);
    if (r < 0)
        return r;
    memcpy(sent.digest, im->digest, sizeof(sent.digest));
    sent.size_bytes = im->size_bytes;
    sent.sent_bytes = xeno_registry_counted(opts->registry)->out_bytes - before.out_bytes;
    sent.requests = xeno_registry_counted(opts->registry)->requests - before.requests;
    *ret = sent;
    return 0;
}
