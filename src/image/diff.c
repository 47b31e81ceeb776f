/* src/image/diff.c - two images, compared by their tables. */
#include "image/diff.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <uthash.h>

#include "image/build-priv.h"
#include "image/tree.h"

/* A name of any layer. Layers count from 1, the bottom one; 0 is none. */
struct seen {
    const struct xeno_toc_file
        *file;     /* of the topmost layer that has it; NULL: only whiteouts do */
    size_t layer;  /* of file */
    size_t hidden; /* topmost layer that hides it */
    size_t cut;    /* topmost layer that hides what is below it in other layers */
    UT_hash_handle hh;
    char path[];
};

struct piece {
    uint8_t sha[32];
    UT_hash_handle hh;
};

struct side {
    struct xeno_image *im;
    struct xeno_toc **tocs; /* one a layer; NULL for one that both sides have */
    struct seen *names;
};

static void side_release(struct side *s)
{
    struct seen *n, *next;

    HASH_ITER (hh, s->names, n, next) {
        HASH_DEL(s->names, n);
        free(n);
    }
    for (size_t i = 0; s->tocs && i < s->im->layer_count; i++)
        xeno_toc_free(s->tocs[i]);
    free(s->tocs);
    xeno_image_free(s->im);
}

/* --- one side: layers stacked --- */

static struct seen *seen_of(struct side *s, const char *path)
{
    size_t len = strlen(path);
    struct seen *n;

    HASH_FIND(hh, s->names, path, len, n);
    if (!n) {
        n = xeno_alloc0(1, sizeof(*n) + len + 1);
        memcpy(n->path, path, len);
        HASH_ADD_KEYPTR(hh, s->names, n->path, len, n);
    }
    return n;
}

/* ".wh.NAME" and ".wh..wh..opq" of image-spec. */
static bool add_whiteout(struct side *s, char *path, size_t layer)
{
    char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    struct seen *n;

    if (strncmp(base, ".wh.", 4) != 0)
        return false;
    if (strcmp(base, ".wh..wh..opq") == 0) {
        strcpy(slash ? slash : base, slash ? "" : ".");
        seen_of(s, path)->cut = layer;
    } else {
        memmove(base, base + 4, strlen(base + 4) + 1);
        n = seen_of(s, path);
        n->hidden = n->cut = layer;
    }
    return true;
}

static int stack_layer(struct side *s, const struct xeno_toc *toc, size_t layer,
                       struct xeno_err *err)
{
    char path[PATH_MAX];
    int r = 0;

    for (size_t i = 0; r >= 0 && i < toc->count; i++) {
        struct seen *n;

        r = xeno_tree_name(toc->files[i].name, &xeno_unpack_defaults, path, err);
        if (r < 0 || add_whiteout(s, path, layer))
            continue;
        n = seen_of(s, path);
        n->file = &toc->files[i];
        n->layer = layer;
        if (n->file->type != XENO_TAR_DIR)
            n->cut = layer; /* a file hides a folder of its name, and so all that is in it */
    }
    return r;
}

/* Would a session see it: does nothing above its layer hide it, or a folder on the way to it? */
static bool visible(struct side *s, const struct seen *n)
{
    const struct seen *top;

    if (!n->file || n->layer < n->hidden)
        return false;
    for (const char *slash = strchr(n->path, '/'); slash; slash = strchr(slash + 1, '/')) {
        HASH_FIND(hh, s->names, n->path, (size_t)(slash - n->path), top);
        if (top && n->layer < top->cut)
            return false;
    }
    HASH_FIND(hh, s->names, ".", 1, top);
    return !top || n == top || n->layer >= top->cut;
}

static void drop_hidden(struct side *s)
{
    struct seen *n, *next;

    HASH_ITER (hh, s->names, n, next) {
        if (!visible(s, n)) /* but it may hide others: only marked yet */
            n->hidden = SIZE_MAX;
    }
    HASH_ITER (hh, s->names, n, next) {
        if (n->hidden == SIZE_MAX) {
            HASH_DEL(s->names, n);
            free(n);
        }
    }
}

static bool has_layer(const struct xeno_image *im, const char *digest)
{
    for (size_t i = 0; i < im->layer_count; i++)
        if (strcmp(im->layers[i].digest, digest) == 0)
            return true;
    return false;
}

/* A layer without a table is passed over when both sides stand on the same ones. */
static bool same_bottom(const struct side *a, const struct side *b, size_t i)
{
    for (size_t k = 0; k <= i; k++)
        if (k >= a->im->layer_count || k >= b->im->layer_count ||
            strcmp(a->im->layers[k].digest, b->im->layers[k].digest) != 0)
            return false;
    return true;
}

static int read_side(struct xeno_store *st, struct side *s, const struct side *other,
                     struct xeno_err *err)
{
    int r = 0;

    s->tocs = xeno_new0_n(struct xeno_toc *, s->im->layer_count + 1);
    for (size_t i = 0; r >= 0 && i < s->im->layer_count; i++) {
        if (same_bottom(s, other, i) && s->im->layers[i].toc.bytes == 0)
            continue;
        r = xeno_layer_toc(st, &s->im->layers[i], &xeno_unpack_defaults, &s->tocs[i], err);
        if (r >= 0)
            r = stack_layer(s, s->tocs[i], i + 1, err);
    }
    drop_hidden(s);
    return r;
}

/* --- both --- */

static bool same_attributes(const struct xeno_toc_file *a, const struct xeno_toc_file *b)
{
    if (a->mode != b->mode || a->uid != b->uid || a->gid != b->gid ||
        a->xattr_count != b->xattr_count)
        return false;
    for (size_t i = 0; i < a->xattr_count; i++)
        if (strcmp(a->xattrs[i].name, b->xattrs[i].name) != 0 ||
            a->xattrs[i].len != b->xattrs[i].len ||
            memcmp(a->xattrs[i].value, b->xattrs[i].value, a->xattrs[i].len) != 0)
            return false;
    return true;
}

static bool same_content(const struct xeno_toc_file *a, const struct xeno_toc_file *b)
{
    return a->type == b->type && a->size_bytes == b->size_bytes && strcmp(a->link, b->link) == 0 &&
           memcmp(a->sha, b->sha, sizeof(a->sha)) == 0;
}

static int by_path(const struct seen *a, const struct seen *b)
{
    return strcmp(a->path, b->path);
}

struct telling {
    int (*fn)(void *arg, const struct xeno_diff_item *item, struct xeno_err *err);
    void *arg;
    struct xeno_diff *d;
};

static int tell(struct telling *t, enum xeno_diff_kind kind, const char *path,
                const struct xeno_toc_file *old, const struct xeno_toc_file *new,
                struct xeno_err *err)
{
    struct xeno_diff_item item = { .kind = kind,
                                   .path = path,
                                   .old_bytes = old ? old->size_bytes : 0,
                                   .new_bytes = new ? new->size_bytes : 0 };
    int64_t *const counts[] = { &t->d->added, &t->d->removed, &t->d->changed, &t->d->meta };

    ++*counts[kind];
    return t->fn ? t->fn(t->arg, &item, err) : 0;
}

/* Both lists are in order: one walk. */
static int compare(const struct seen *a, const struct seen *b, struct telling *t,
                   struct xeno_err *err)
{
    int r = 0;

    while (r >= 0 && (a || b)) {
        int c = !a ? 1 : !b ? -1 : strcmp(a->path, b->path);

        if (c < 0) {
            r = tell(t, XENO_DIFF_REMOVED, a->path, a->file, NULL, err);
        } else if (c > 0) {
            r = tell(t, XENO_DIFF_ADDED, b->path, NULL, b->file, err);
        } else if (!same_content(a->file, b->file)) {
            r = tell(t, XENO_DIFF_CHANGED, a->path, a->file, b->file, err);
        } else if (!same_attributes(a->file, b->file)) {
            r = tell(t, XENO_DIFF_META, a->path, a->file, b->file, err);
        }
        if (c <= 0)
            a = a->hh.next;
        if (c >= 0)
            b = b->hh.next;
    }
    return r;
}

/* Returns: false when it was there. */
static bool add_piece(struct piece **all, const uint8_t sha[32])
{
    struct piece *p;

    HASH_FIND(hh, *all, sha, sizeof(p->sha), p);
    if (p)
        return false;
    p = xeno_new0(struct piece);
    memcpy(p->sha, sha, sizeof(p->sha));
    HASH_ADD(hh, *all, sha, sizeof(p->sha), p);
    return true;
}

static void count_pieces(const struct side *old, const struct side *new, struct xeno_diff *d)
{
    struct piece *all = NULL, *p, *next;

    for (size_t i = 0; i < old->im->layer_count; i++)
        for (size_t k = 0; old->tocs[i] && k < old->tocs[i]->chunk_count; k++)
            (void)add_piece(&all, old->tocs[i]->chunks[k].sha);
    for (size_t i = 0; i < new->im->layer_count; i++) {
        const struct xeno_toc *toc = new->tocs[i];

        if (!has_layer(old->im, new->im->layers[i].digest))
            d->table_bytes += new->im->layers[i].toc.bytes;
        for (size_t k = 0; toc && k < toc->chunk_count; k++) {
            const struct xeno_toc_chunk *c = &toc->chunks[k];

            d->pieces++;
            d->bytes += c->blob_bytes;
            if (add_piece(&all, c->sha) && !c->zeros) {
                d->new_pieces++;
                d->new_bytes += c->blob_bytes;
            }
        }
    }
    HASH_ITER (hh, all, p, next) {
        HASH_DEL(all, p);
        free(p);
    }
}

/* An overlay is looked at over the template it was made for. */
static int resolve(struct xeno_store *st, const char *ref, struct xeno_image **ret,
                   struct xeno_err *err)
{
    const char *const overlays[] = { ref };
    xeno_auto(xeno_image) im = NULL;
    int r = xeno_store_resolve(st, ref, NULL, &im, err);

    if (r < 0)
        return r;
    if (im->kind == XENO_IMAGE_OVERLAY && im->base[0] != '\0')
        return xeno_store_stack(st, im->base, overlays, 1, ret, err);
    *ret = xeno_take(&im);
    return 0;
}

int xeno_image_diff(struct xeno_store *st, const char *old_ref, const char *new_ref,
                    int (*fn)(void *arg, const struct xeno_diff_item *item, struct xeno_err *err),
                    void *arg, struct xeno_diff *ret, struct xeno_err *err)
{
    struct side old = { .im = NULL }, new = { .im = NULL };
    struct xeno_diff d = { .added = 0 };
    struct telling t = { .fn = fn, .arg = arg, .d = &d };
    int r = resolve(st, old_ref, &old.im, err);

    if (r >= 0)
        r = resolve(st, new_ref, &new.im, err);
    if (r >= 0)
        r = read_side(st, &old, &new, err);
    if (r >= 0)
        r = read_side(st, &new, &old, err);
    if (r >= 0) {
        HASH_SORT(old.names, by_path);
        HASH_SORT(new.names, by_path);
        count_pieces(&old, &new, &d);
        r = compare(old.names, new.names, &t, err);
    }
    side_release(&old);
    side_release(&new);
    if (r < 0)
        return r;
    *ret = d;
    return 0;
}
