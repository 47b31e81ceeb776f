/* src/image/pull-plan.c - find what of a layer's blob older layers have.
 *
 * The blob of a zstd:chunked layer is, in its order: frames with the heads of files, frames with
 * their data (the pieces of the table), the table and a foot. What older layers of the store have
 * is found in two ways:
 *   - a piece by its digest, when it has the same length in its blob;
 *   - the frame between two pieces by what it must hold: the heads of the same files, told by the
 *     tables in the same words, give the same frame where the same program wrote both.
 * The second is a guess, and so is that the same bytes were compressed alike; whoever follows the
 * plan checks what comes out.
 */
#include "image/pull-plan.h"

#include <errno.h>
#include <string.h>

#include "image/build-priv.h"
#include "image/chunked.h"
#include "image/layer.h"

#define TAIL_MAX     (64 * 1024) /* bytes behind the table that are fetched with it */
#define BRIDGE_BYTES 2048        /* less between two ranges is cheaper fetched than asked for */
#define ASK_BYTES    1024        /* what a request costs besides what it fetches */
#define WORTH_NUM    9           /* by pieces when it costs at most 9/10 of all */
#define WORTH_DEN    10

void pull_plan_release(struct pull_plan *b)
{
    HASH_CLEAR(hh, b->keys);
    for (size_t i = 0; i < b->sources; i++)
        close(b->fds[i]);
    xeno_toc_free(b->toc);
    free(b->tail);
    free(b->spans);
    free(b->old);
}

/* --- a blob cut into spans --- */

static void hash_text(struct xeno_sha256 *h, const char *text)
{
    xeno_sha256_add(h, text, strlen(text) + 1);
}

static void hash_number(struct xeno_sha256 *h, int64_t n)
{
    xeno_sha256_add(h, &n, sizeof(n));
}

/* All that the head of a member says. */
static void hash_head(struct xeno_sha256 *h, const struct xeno_toc_file *f)
{
    const int64_t numbers[] = { f->type,          f->mode,
                                f->uid,           f->gid,
                                f->size_bytes,    f->mtime.tv_sec,
                                f->mtime.tv_nsec, (int64_t)f->xattr_count };

    for (size_t i = 0; i < XENO_LEN(numbers); i++)
        hash_number(h, numbers[i]);
    hash_text(h, f->name);
    hash_text(h, f->link);
    for (size_t i = 0; i < f->xattr_count; i++) {
        hash_text(h, f->xattrs[i].name);
        hash_number(h, (int64_t)f->xattrs[i].len);
        xeno_sha256_add(h, f->xattrs[i].value, f->xattrs[i].len);
    }
}

typedef int (*span_fn)(void *arg, const uint8_t key[32], int64_t offset, int64_t len);

struct cutting {
    span_fn fn;
    void *arg;
    int64_t at; /* up to here the blob is cut */
    struct xeno_sha256 *heads;
};

/* The heads told since the last piece are the frame up to `end`. */
static int cut_heads(struct cutting *c, int64_t end)
{
    uint8_t key[32];
    int64_t at = c->at;

    if (end < at)
        return -EINVAL; /* out of order: of another writer */
    xeno_sha256_end(c->heads, key);
    c->at = end;
    return end > at ? c->fn(c->arg, key, at, end - at) : 0;
}

/* Tell the spans of a blob from its table: pieces by their digest, what is between by its heads;
 * up to the table's own frame. */
static int cut_blob(const struct xeno_toc *toc, int64_t end, span_fn fn, void *arg)
{
    struct cutting c = { .fn = fn, .arg = arg, .heads = xeno_sha256_new() };
    int64_t rest = 0; /* of the file before, in its last block: what pads it */
    int r = 0;

    for (size_t i = 0; r >= 0 && i < toc->count; i++) {
        const struct xeno_toc_file *f = &toc->files[i];

        hash_head(c.heads, f);
        if (f->chunk_count == 0)
            continue;
        hash_number(c.heads, rest);
        rest = f->size_bytes % 512;
        r = cut_heads(&c, toc->chunks[f->chunk].blob_offset);
        for (size_t k = 0; r >= 0 && k < f->chunk_count; k++) {
            const struct xeno_toc_chunk *piece = &toc->chunks[f->chunk + k];

            if (piece->blob_bytes == 0)
                continue;
            r = piece->blob_offset == c.at
                    ? fn(arg, piece->sha, piece->blob_offset, piece->blob_bytes)
                    : -EINVAL;
            c.at = piece->blob_offset + piece->blob_bytes;
        }
    }
    hash_number(c.heads, rest);
    hash_text(c.heads, "end");
    if (r >= 0)
        r = cut_heads(&c, end);
    xeno_sha256_free(c.heads);
    return r;
}

/* --- what is wanted --- */

static int want_span(void *arg, const uint8_t key[32], int64_t offset, int64_t len)
{
    struct pull_plan *b = arg;
    struct pull_span *s = &b->spans[b->count++];

    *s = (struct pull_span){ .offset = offset, .len = len, .source = PULL_FETCH };
    memcpy(s->key, key, sizeof(s->key));
    return 0;
}

/* Spans of one key and one length are one; of one key and another length, the first counts. */
static void index_spans(struct pull_plan *b)
{
    for (size_t i = 0; i < b->count; i++) {
        struct pull_span *s = &b->spans[i], *first;

        HASH_FIND(hh, b->keys, s->key, sizeof(s->key), first);
        if (first)
            s->twin = first->len == s->len ? first : NULL;
        else
            HASH_ADD(hh, b->keys, key, sizeof(s->key), s);
    }
}

/* Table and what is behind it come first, in one request. */
static int get_table(struct pull_plan *b, struct xeno_err *err)
{
    const struct xeno_layer *l = b->layer;
    const struct xeno_unpack_limits *limits =
        b->p->o->limits ? b->p->o->limits : &xeno_unpack_defaults;
    int64_t behind = l->size_bytes - l->toc.offset - l->toc.bytes;
    int r;

    if (l->toc.bytes > XENO_TOC_MAX_BYTES)
        return xeno_fail(err, -EFBIG, "unpack.limit", "the table of contents is too large");
    b->tail_at = l->toc.offset >= 8 ? l->toc.offset - 8 : l->toc.offset;
    b->tail_len = (behind <= TAIL_MAX ? l->size_bytes : l->toc.offset + l->toc.bytes) - b->tail_at;
    b->tail = xeno_try_alloc((size_t)b->tail_len);
    if (!b->tail)
        return xeno_fail(err, -ENOMEM, "image.toc", "no memory for the table of contents");
    r = xeno_registry_read(b->p->o->registry, l->digest, b->tail_at, (size_t)b->tail_len, b->tail,
                           err);
    if (r < 0)
        return r;
    return xeno_chunked_toc(&l->toc, b->tail + (l->toc.offset - b->tail_at), l->size_bytes, limits,
                            &b->toc, err);
}

static int plan_spans(struct pull_plan *b, struct xeno_err *err)
{
    int64_t end = b->tail_at + b->tail_len;
    int r;

    /* Each file has at most one frame of heads before it. */
    b->spans = xeno_new0_n(struct pull_span, b->toc->chunk_count + b->toc->count + 3);
    r = cut_blob(b->toc, b->tail_at, want_span, b);
    if (r < 0)
        return xeno_fail(err, r, "image.toc", "the pieces are not in the order of the blob");
    index_spans(b);
    b->spans[b->count++] = (struct pull_span){
        .offset = b->tail_at, .len = b->tail_len, .source = PULL_TABLE, .at = 0
    };
    if (end < b->layer->size_bytes)
        b->spans[b->count++] = (struct pull_span){ .offset = end,
                                                   .len = b->layer->size_bytes - end,
                                                   .source = PULL_FETCH };
    return 0;
}

/* --- what is here --- */

static int offer_span(void *arg, const uint8_t key[32], int64_t offset, int64_t len)
{
    struct pull_plan *b = arg;
    struct pull_span *s;

    HASH_FIND(hh, b->keys, key, 32, s);
    if (s && s->source == PULL_FETCH && s->len == len) {
        s->source = (int)b->sources;
        s->at = offset;
    }
    return 0;
}

/* One older layer; one that cannot be read is no loss. */
static void look_in(struct pull_plan *b, const struct xeno_layer *old)
{
    xeno_auto(xeno_toc) toc = NULL;
    int64_t size;

    if (xeno_layer_toc(b->p->st, old, &xeno_unpack_defaults, &toc, NULL) < 0 ||
        xeno_store_open_blob(b->p->st, old->digest, &b->fds[b->sources], &size, NULL) < 0)
        return;
    cut_blob(toc, old->toc.offset - 8, offer_span, b);
    b->sources++;
}

static void add_old(struct pull_plan *b, const struct xeno_image *im)
{
    for (size_t i = 0; im && i < im->layer_count && b->old_count < PULL_SOURCES_MAX; i++) {
        const struct xeno_layer *l = &im->layers[i];
        bool known = l->toc.bytes == 0;

        for (size_t k = 0; !known && k < b->old_count; k++)
            known = strcmp(b->old[k].digest, l->digest) == 0;
        if (!known)
            b->old[b->old_count++] = *l;
    }
}

/* The image that has the name now is the likeliest to be the older one; then all others. */
static void find_old(struct pull_plan *b)
{
    xeno_auto(xeno_store_list) list = NULL;

    b->old = xeno_new0_n(struct xeno_layer, PULL_SOURCES_MAX);
    if (xeno_store_list(b->p->st, &list, NULL) < 0)
        return;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < list->count; i++) {
            bool named = b->p->o->name && strcmp(list->items[i].name, b->p->o->name) == 0;

            if (named == (pass == 0))
                add_old(b, list->items[i].image);
        }
}

/* Twins follow their first; small islands are fetched with their surroundings; neighbours of one
 * source become one. */
static void settle(struct pull_plan *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->count; i++) {
        struct pull_span *s = &b->spans[i];

        if (s->twin) {
            s->source = s->twin->source;
            s->at = s->twin->at;
        }
    }
    for (size_t i = 1; i + 1 < b->count; i++)
        if (b->spans[i].source >= 0 && b->spans[i].len < BRIDGE_BYTES &&
            b->spans[i - 1].source == PULL_FETCH && b->spans[i + 1].source == PULL_FETCH)
            b->spans[i].source = PULL_FETCH;
    HASH_CLEAR(hh, b->keys);
    for (size_t i = 0; i < b->count; i++) {
        struct pull_span *last = n > 0 ? &b->spans[n - 1] : NULL, s = b->spans[i];
        bool joins = last && last->source == s.source &&
                     (s.source == PULL_FETCH ? last->len + s.len <= PULL_RANGE_BYTES
                                             : last->at + last->len == s.at);

        if (s.source == PULL_FETCH)
            b->fetched += s.len;
        if (joins)
            last->len += s.len;
        else
            b->spans[n++] = s;
    }
    b->count = n;
}

static bool worth_it(const struct pull_plan *b)
{
    int64_t cost = b->fetched;

    for (size_t i = 0; i < b->count; i++)
        cost += b->spans[i].source == PULL_FETCH ? ASK_BYTES : 0;
    return cost / WORTH_NUM <= b->layer->size_bytes / WORTH_DEN;
}

int pull_plan_make(struct pull_plan *b, struct xeno_err *err)
{
    int r;

    find_old(b);
    if (b->old_count == 0)
        return 1;
    r = get_table(b, err);
    if (r >= 0)
        r = plan_spans(b, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < b->old_count; i++)
        look_in(b, &b->old[i]);
    settle(b);
    return worth_it(b) ? 0 : 1;
}
