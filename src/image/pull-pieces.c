/* src/image/pull-pieces.c - a layer put together from pieces of older layers and of the registry.
 *
 * The plan (image/pull-plan.h) rests on guesses; nothing rests on it: the digest of the whole blob
 * decides, and where it does not come out the layer is fetched whole.
 *
 * What is missing is fetched by ranges in the order of the blob, some of them ahead of need, within
 * AHEAD_BYTES of memory.
 */
#include <errno.h>
#include <string.h>

#include "image/pull-plan.h"
#include "image/registry-priv.h"

#define AHEAD_BYTES (16 << 20)
#define CHUNK       (256 * 1024)

struct window;
struct range {
    struct window *w;
    struct xeno_registry_job *job;
    char *data;
    int64_t got;
    bool over, failed;
};

struct window {
    struct pull_plan *b;
    struct range *ranges; /* one a span */
    size_t next;          /* the first that was not asked for */
    int64_t held;         /* bytes of memory */
    struct xeno_err err;  /* of the first range that failed */
    char *chunk;          /* CHUNK bytes to copy by */
    int64_t reused;       /* bytes copied from older layers */
};

static int on_bytes(const void *data, size_t len, void *arg, struct xeno_err *err)
{
    struct range *g = arg;

    (void)err;
    memcpy(g->data + g->got, data, len);
    g->got += (int64_t)len;
    return 0;
}

static void on_range(const struct xeno_err *err, void *arg)
{
    struct range *g = arg;

    g->job = NULL;
    g->over = true;
    g->failed = err != NULL;
    if (err && g->w->err.code == 0)
        g->w->err = *err;
}

static int ask_ahead(struct window *w, size_t at, struct xeno_err *err)
{
    for (; w->next < w->b->count; w->next++) {
        const struct pull_span *s = &w->b->spans[w->next];
        struct range *g = &w->ranges[w->next];

        if (s->source != PULL_FETCH)
            continue;
        if (w->next > at && w->held + s->len > AHEAD_BYTES)
            return 0;
        g->w = w;
        g->data = xeno_try_alloc((size_t)s->len);
        if (!g->data)
            return xeno_fail(err, -ENOMEM, "image.write", "no memory for a piece of a layer");
        w->held += s->len;
        g->job = xeno_registry_fetch(w->b->p->o->registry,
                                     &(struct xeno_registry_fetch){ .digest = w->b->layer->digest,
                                                                    .offset = s->offset,
                                                                    .len = s->len,
                                                                    .sink = on_bytes,
                                                                    .done = on_range,
                                                                    .arg = g });
    }
    return 0;
}

static int put_fetched(struct window *w, size_t i, struct xeno_blob_writer *out,
                       struct xeno_err *err)
{
    struct range *g = &w->ranges[i];
    int r = ask_ahead(w, i, err);

    if (r >= 0)
        r = registry_run(w->b->p->o->registry, &g->over, err);
    if (r >= 0 && g->failed) {
        *err = w->err;
        return w->err.code;
    }
    if (r >= 0)
        r = xeno_blob_add(out, g->data, (size_t)g->got, err);
    free(xeno_take(&g->data));
    w->held -= w->b->spans[i].len;
    return r;
}

static int put_copied(struct window *w, const struct pull_span *s, struct xeno_blob_writer *out,
                      struct xeno_err *err)
{
    int64_t done = 0;
    int r = 0;

    while (r >= 0 && done < s->len) {
        size_t want = s->len - done < CHUNK ? (size_t)(s->len - done) : CHUNK;
        ssize_t n = pread(w->b->fds[s->source], w->chunk, want, s->at + done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) /* an older blob is shorter than its own table says */
            return xeno_fail(err, -EBADMSG, "image.corrupt", "an older layer cannot be read");
        r = xeno_blob_add(out, w->chunk, (size_t)n, err);
        done += n;
    }
    w->reused += done;
    return r;
}

static int put_spans(struct pull_plan *b, struct window *w, struct xeno_err *err)
{
    xeno_auto(xeno_blob_writer) out = NULL;
    char digest[XENO_DIGEST_TEXT];
    int r = xeno_blob_new(b->p->st, &out, err);

    for (size_t i = 0; r >= 0 && i < b->count; i++) {
        const struct pull_span *s = &b->spans[i];

        if (s->source == PULL_FETCH)
            r = put_fetched(w, i, out, err);
        else if (s->source == PULL_TABLE)
            r = xeno_blob_add(out, b->tail + s->at, (size_t)s->len, err);
        else
            r = put_copied(w, s, out, err);
        if (r >= 0)
            r = pull_progress(b->p, s->len, err);
    }
    return r < 0 ? r : xeno_blob_commit(out, b->layer->digest, digest, NULL, err);
}

static int put_together(struct pull_plan *b, int64_t *reused, struct xeno_err *err)
{
    struct window w = { .b = b,
                        .ranges = xeno_new0_n(struct range, b->count + 1),
                        .chunk = xeno_alloc0(1, CHUNK) };
    int r = put_spans(b, &w, err);

    for (size_t i = b->count; i-- > 0;) { /* those that only wait first */
        xeno_registry_cancel(w.ranges[i].job);
        free(w.ranges[i].data);
    }
    *reused = w.reused;
    free(w.ranges);
    free(w.chunk);
    return r;
}

/* Is it a matter of this way, so that fetching it whole may yet do? */
static bool other_way(const struct xeno_err *err)
{
    return err->code == -EBADMSG || err->code == -EINVAL || err->code == -EFBIG ||
           err->code == -EOPNOTSUPP || xeno_err_is(err, "oci.answer");
}

static int try(struct pull_plan *b, int64_t *reused, struct xeno_err *err)
{
    struct pull *p = b->p;
    int64_t before = p->done_bytes;
    int r = pull_plan_make(b, err);

    if (r != 0)
        return r;
    r = put_together(b, reused, err);
    if (r < 0)
        p->done_bytes = before;
    return r;
}

int pull_by_pieces(struct pull *p, const struct xeno_layer *layer, struct xeno_err *err)
{
    struct pull_plan b = { .p = p, .layer = layer };
    struct xeno_err why = XENO_ERR_INIT;
    int64_t reused = 0;
    int r;

    if (layer->toc.bytes == 0)
        return 1;
    r = try(&b, &reused, &why);
    pull_plan_release(&b);
    if (r == 0) {
        p->ret->layers_pieced++;
        p->ret->reused_bytes += reused;
    } else if (r < 0 && other_way(&why)) {
        p->ret->layers_again++;
        return 1;
    }
    return r < 0 ? xeno_fail(err, why.code, why.token, "%s", why.text) : r;
}
