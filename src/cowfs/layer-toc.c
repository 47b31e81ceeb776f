/* src/cowfs/layer-toc.c - a layer over a table of contents. Handles are numbers of objects. */
#include "cowfs/layer-toc.h"

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "cowfs/toc-tree.h"

#define BLOCK        4096
#define AHEAD_PIECES 8                   /* half a MiB, on the average */
#define DEV_FLAG     (UINT64_C(1) << 63) /* no device of this kernel has such a number */

struct toc_layer {
    struct xeno_cowfs_layer base; /* first, so the two pointers are one */
    struct xeno_cowfs_toc_opts opts;
    char digest[XENO_DIGEST_TEXT];
    uint64_t dev;
    struct toc_tree t;
    atomic_uint_fast64_t *noted; /* a bit for each piece: it was read, and the user told */
};

static struct toc_layer *of(const struct xeno_cowfs_layer *l)
{
    return (struct toc_layer *)(uintptr_t)l;
}

/* --- names --- */

static int toc_hold(struct xeno_cowfs_layer *l, int dir, const char *name)
{
    return *name ? toc_tree_find(&of(l)->t, (uint32_t)dir, name) : dir;
}

static int toc_dir_open(struct xeno_cowfs_layer *l, int parent, const char *name)
{
    int id = parent < 0 ? 0 : toc_hold(l, parent, name);

    if (id >= 0 && !S_ISDIR(of(l)->t.objects[id].mode))
        return -ENOTDIR;
    return id;
}

static void toc_dir_close(struct xeno_cowfs_layer *l, int dir)
{
    (void)l;
    (void)dir;
}

static int toc_stat(struct xeno_cowfs_layer *l, int dir, const char *name, struct stat *ret)
{
    struct toc_layer *tl = of(l);
    int id = toc_hold(l, dir, name);
    const struct object *o;

    if (id < 0)
        return id;
    o = &tl->t.objects[id];
    *ret = (struct stat){
        .st_dev = tl->dev,
        .st_ino = (ino_t)id + 1,
        .st_mode = o->mode,
        .st_nlink = o->nlink,
        .st_uid = tl->opts.own ? geteuid() : tl->opts.shift + o->uid,
        .st_gid = tl->opts.own ? getegid() : tl->opts.shift + o->gid,
        .st_size = S_ISDIR(o->mode) ? BLOCK : o->size,
        .st_blksize = BLOCK,
        .st_mtim = { .tv_sec = o->mtime_s, .tv_nsec = o->mtime_ns },
    };
    ret->st_blocks = S_ISLNK(o->mode) ? 0 : (ret->st_size + BLOCK - 1) / BLOCK * (BLOCK / 512);
    ret->st_atim = ret->st_ctim = ret->st_mtim;
    return 0;
}

static int toc_list(struct xeno_cowfs_layer *l, int dir, xeno_cowfs_each fn, void *arg)
{
    const struct toc_tree *t = &of(l)->t;
    const struct object *o = &t->objects[dir];
    int r = 0;

    for (uint32_t i = o->at; r >= 0 && i < o->at + o->count; i++)
        r = fn(arg, t->text + t->names[i].text,
               (uint8_t)IFTODT(t->objects[t->names[i].object].mode), t->names[i].object + 1);
    return r < 0 ? r : 0;
}

static bool toc_holds(struct xeno_cowfs_layer *l, int dir, const char *name, const char *inner)
{
    int id = toc_hold(l, dir, name);

    return id >= 0 && toc_tree_find(&of(l)->t, (uint32_t)id, inner) >= 0;
}

static ssize_t toc_readlink(struct xeno_cowfs_layer *l, int dir, const char *name, char *buf,
                            size_t size)
{
    const struct toc_tree *t = &of(l)->t;
    int id = toc_hold(l, dir, name);

    if (id < 0)
        return id;
    if (!S_ISLNK(t->objects[id].mode))
        return -EINVAL;
    if (size > (size_t)t->objects[id].size)
        size = (size_t)t->objects[id].size;
    memcpy(buf, t->text + t->objects[id].at, size);
    return (ssize_t)size;
}

/* --- attributes --- */

static ssize_t toc_getxattr(struct xeno_cowfs_layer *l, int dir, const char *name, const char *attr,
                            void *buf, size_t size)
{
    const struct toc_tree *t = &of(l)->t;
    int id = toc_hold(l, dir, name);
    const char *at = NULL;
    struct toc_xattr x;

    if (id < 0)
        return id;
    while (toc_tree_xattr(t, &t->objects[id], &at, &x)) {
        if (strcmp(x.name, attr) != 0)
            continue;
        if (size > 0 && size < x.len)
            return -ERANGE;
        if (size > 0)
            memcpy(buf, x.value, x.len);
        return x.len;
    }
    return -ENODATA;
}

static ssize_t toc_listxattr(struct xeno_cowfs_layer *l, int dir, const char *name, char *buf,
                             size_t size)
{
    const struct toc_tree *t = &of(l)->t;
    int id = toc_hold(l, dir, name);
    const char *at = NULL;
    struct toc_xattr x;
    size_t len = 0;

    if (id < 0)
        return id;
    while (toc_tree_xattr(t, &t->objects[id], &at, &x)) {
        size_t n = strlen(x.name) + 1;

        if (size > 0 && len + n > size)
            return -ERANGE;
        if (size > 0)
            memcpy(buf + len, x.name, n);
        len += n;
    }
    return (ssize_t)len;
}

/* --- contents; a file that is open is its object --- */

static const struct object *object_of(struct xeno_cowfs_data *d)
{
    return (const struct object *)d;
}

static int toc_data_open(struct xeno_cowfs_layer *l, int dir, const char *name,
                         struct xeno_cowfs_data **ret)
{
    int id = toc_hold(l, dir, name);

    if (id < 0)
        return id;
    if (!S_ISREG(of(l)->t.objects[id].mode))
        return -EINVAL;
    *ret = (struct xeno_cowfs_data *)&of(l)->t.objects[id];
    return 0;
}

static void toc_data_close(struct xeno_cowfs_layer *l, struct xeno_cowfs_data *d)
{
    (void)l;
    (void)d;
}

/* Where piece i of the file ends, in it. */
static int64_t end_of(const struct toc_tree *t, const struct object *o, uint32_t i)
{
    return i + 1 < o->at + o->count ? t->pieces[i + 1].file_offset : o->size;
}

/* The piece that byte `off` is in; off is below the size. */
static uint32_t piece_at(const struct toc_tree *t, const struct object *o, int64_t off)
{
    uint32_t from = o->at, to = o->at + o->count;

    while (to - from > 1) {
        uint32_t mid = from + (to - from) / 2;

        if (t->pieces[mid].file_offset <= off)
            from = mid;
        else
            to = mid;
    }
    return from;
}

struct wanted {
    struct toc_layer *tl;
    struct xeno_toc_chunk chunk;
};

static int fetch_piece(void *arg, void *out, struct xeno_err *err)
{
    const struct wanted *w = arg;

    return xeno_sources_piece(w->tl->opts.sources, w->tl->digest, &w->chunk, out, err);
}

static struct wanted want(struct toc_layer *tl, size_t i)
{
    const struct piece *p = &tl->t.pieces[i];
    struct wanted w = { .tl = tl,
                        .chunk = { .size_bytes = p->size,
                                   .blob_offset = p->blob_offset,
                                   .blob_bytes = p->blob_bytes } };

    memcpy(w.chunk.sha, p->sha, 32);
    return w;
}

static struct xeno_piece as_piece(struct wanted *w)
{
    return (struct xeno_piece){
        .sha = w->chunk.sha, .size_bytes = w->chunk.size_bytes, .fetch = fetch_piece, .arg = w
    };
}

static void note(struct toc_layer *tl, size_t i, bool fetched)
{
    uint64_t bit = UINT64_C(1) << (i % 64);

    if (!(atomic_fetch_or(&tl->noted[i / 64], bit) & bit) && tl->opts.user)
        xeno_pieces_used(tl->opts.user, tl->t.pieces[i].sha, fetched);
}

static bool is_zeros(const struct toc_tree *t, size_t i)
{
    return t->pieces[i].blob_bytes == 0;
}

/* `len` bytes from `off` of piece i. */
static int read_piece(struct toc_layer *tl, size_t i, int64_t off, void *buf, size_t len)
{
    struct xeno_err err = XENO_ERR_INIT;
    struct wanted w = want(tl, i);
    struct xeno_piece piece = as_piece(&w);
    int r;

    if (is_zeros(&tl->t, i)) {
        memset(buf, 0, len);
        return 0;
    }
    r = xeno_pieces_read(tl->opts.pieces, &piece, off, buf, len, &err);
    if (r >= 0)
        note(tl, i, r > 0);
    else if (tl->opts.failed)
        tl->opts.failed(tl->opts.arg, tl->digest, &err);
    return r < 0 ? -EIO : 0;
}

static bool is_noted(struct toc_layer *tl, size_t i)
{
    return atomic_load(&tl->noted[i / 64]) >> (i % 64) & 1;
}

/* The pieces of this read are asked for together. And if what was read before ends where the first
 * that is new begins, the file is being read from one end to the other: then some more. */
static void tell_more(struct toc_layer *tl, const struct object *o, uint32_t first, uint32_t last)
{
    uint32_t fresh = first, end = o->at + o->count;

    while (fresh <= last && is_noted(tl, fresh))
        fresh++;
    if (!tl->opts.more || fresh > last)
        return;
    if (fresh > o->at && is_noted(tl, fresh - 1))
        last = end - last > AHEAD_PIECES ? last + AHEAD_PIECES : end - 1;
    if (fresh < last)
        tl->opts.more(tl->opts.more_arg, &tl->base, fresh + 1, last - fresh);
}

static ssize_t toc_data_read(struct xeno_cowfs_layer *l, struct xeno_cowfs_data *d, void *buf,
                             size_t len, off_t off)
{
    const struct object *o = object_of(d);
    struct toc_layer *tl = of(l);
    size_t done = 0;

    if (off < 0)
        return -EINVAL;
    if (off >= o->size)
        return 0;
    if ((int64_t)len > o->size - off)
        len = (size_t)(o->size - off);
    if (len == 0)
        return 0;
    tell_more(tl, o, piece_at(&tl->t, o, off), piece_at(&tl->t, o, off + (off_t)len - 1));
    for (uint32_t i = piece_at(&tl->t, o, off); done < len; i++) {
        int64_t begin = tl->t.pieces[i].file_offset, end = end_of(&tl->t, o, i);
        int64_t from = off + (int64_t)done - begin;
        size_t n =
            len - done < (size_t)(end - begin - from) ? len - done : (size_t)(end - begin - from);
        int r = read_piece(tl, i, from, (char *)buf + done, n);

        if (r < 0)
            return r;
        done += n;
    }
    return (ssize_t)done;
}

/* Pieces of zeros are the holes. */
static off_t toc_data_seek(struct xeno_cowfs_layer *l, struct xeno_cowfs_data *d, off_t off,
                           int whence)
{
    const struct object *o = object_of(d);
    const struct toc_tree *t = &of(l)->t;

    if (whence != SEEK_DATA && whence != SEEK_HOLE)
        return -EINVAL;
    if (off < 0 || off >= o->size)
        return -ENXIO;
    for (uint32_t i = piece_at(t, o, off); i < o->at + o->count; i++)
        if (is_zeros(t, i) == (whence == SEEK_HOLE))
            return t->pieces[i].file_offset > off ? t->pieces[i].file_offset : off;
    return whence == SEEK_HOLE ? o->size : -ENXIO;
}

/* --- opening --- */

static void toc_free(struct xeno_cowfs_layer *l)
{
    struct toc_layer *tl = of(l);

    toc_tree_release(&tl->t);
    free(tl->noted);
    free(tl);
}

static const struct xeno_cowfs_layer_ops toc_ops = {
    .name = "table of contents",
    .dir_open = toc_dir_open,
    .dir_close = toc_dir_close,
    .hold = toc_hold,
    .stat = toc_stat,
    .list = toc_list,
    .holds = toc_holds,
    .readlink = toc_readlink,
    .data_open = toc_data_open,
    .data_read = toc_data_read,
    .data_seek = toc_data_seek,
    .data_close = toc_data_close,
    .getxattr = toc_getxattr,
    .listxattr = toc_listxattr,
    .free = toc_free,
};

struct table_fetch {
    struct xeno_sources *sources;
    const struct xeno_layer *layer;
};

static int fetch_table(void *arg, void *out, struct xeno_err *err)
{
    const struct table_fetch *f = arg;
    const struct xeno_toc_place *at = &f->layer->toc;

    return xeno_sources_part(f->sources, f->layer->digest, at->offset, (size_t)at->bytes, at->sha,
                             out, err);
}

static int read_table(const struct xeno_layer *layer, const struct xeno_cowfs_toc_opts *opts,
                      const struct xeno_unpack_limits *limits, struct xeno_toc **ret,
                      struct xeno_err *err)
{
    const struct xeno_toc_place *at = &layer->toc;
    struct table_fetch f = { .sources = opts->sources, .layer = layer };
    struct xeno_piece piece = {
        .sha = at->sha, .size_bytes = at->bytes, .fetch = fetch_table, .arg = &f
    };
    xeno_autofree char *data = NULL;
    int r;

    if (at->bytes == 0)
        return xeno_fail(err, -ENODATA, "image.toc",
                         "it has no table of contents, so it cannot be read by pieces");
    if (at->bytes > XENO_COWFS_TABLE_MAX_BYTES || at->raw_bytes > XENO_COWFS_TABLE_MAX_BYTES)
        return xeno_fail(err, -EFBIG, "unpack.limit",
                         "the table of contents has %lld bytes; to be read by pieces it may have "
                         "%d",
                         (long long)at->raw_bytes, XENO_COWFS_TABLE_MAX_BYTES);
    data = xeno_try_alloc((size_t)at->bytes);
    if (!data)
        return xeno_fail(err, -ENOMEM, "image.toc", "no memory for the table of contents");
    r = xeno_pieces_read(opts->pieces, &piece, 0, data, (size_t)at->bytes, err);
    if (r < 0)
        return r;
    if (opts->user)
        xeno_pieces_used(opts->user, at->sha, r > 0);
    return xeno_chunked_toc(at, data, layer->size_bytes, limits, ret, err);
}

int xeno_cowfs_layer_toc(const struct xeno_layer *layer, const struct xeno_cowfs_toc_opts *opts,
                         struct xeno_cowfs_layer **ret, struct xeno_err *err)
{
    static const struct xeno_unpack_limits limits = XENO_UNPACK_LIMITS;
    struct toc_tree_opts how = { .shift = opts->shift, .own = opts->own };
    xeno_auto(xeno_toc) toc = NULL;
    struct toc_tree tree;
    struct toc_layer *tl;
    uint8_t sha[32];
    int r = read_table(layer, opts, &limits, &toc, err);

    if (r >= 0)
        r = toc_tree_make(toc, &how, &limits, &tree, err);
    if (r < 0)
        return xeno_context(err, r, "layer %.19s", layer->digest);
    tl = xeno_new0(struct toc_layer);
    tl->base.ops = &toc_ops;
    tl->base.no_mounts = !tree.mounts;
    tl->opts = *opts;
    memcpy(tl->digest, layer->digest, sizeof tl->digest);
    tl->t = tree;
    tl->noted = xeno_new0_n(atomic_uint_fast64_t, tree.piece_count / 64 + 1);
    if (xeno_digest_parse(layer->digest, sha))
        memcpy(&tl->dev, sha, sizeof tl->dev);
    tl->dev |= DEV_FLAG; /* the same at each start, as are the numbers that follow from it */
    *ret = &tl->base;
    return 0;
}

/* --- ahead --- */

size_t xeno_cowfs_toc_pieces(const struct xeno_cowfs_layer *l)
{
    return l->ops == &toc_ops ? of(l)->t.piece_count : 0;
}

const uint8_t *xeno_cowfs_toc_sha(const struct xeno_cowfs_layer *l, size_t i)
{
    return of(l)->t.pieces[i].sha;
}

int64_t xeno_cowfs_toc_blob_bytes(const struct xeno_cowfs_layer *l, size_t i)
{
    return of(l)->t.pieces[i].blob_bytes;
}

int xeno_cowfs_toc_ahead(struct xeno_cowfs_layer *l, size_t i, bool behind, struct xeno_err *err)
{
    struct wanted w = want(of(l), i);
    struct xeno_piece piece = as_piece(&w);

    return is_zeros(&of(l)->t, i) ? 0 : xeno_pieces_ahead(of(l)->opts.pieces, &piece, behind, err);
}

size_t xeno_cowfs_toc_memory(const struct xeno_cowfs_layer *l)
{
    const struct toc_tree *t = &of(l)->t;

    return sizeof(struct toc_layer) + t->object_count * sizeof *t->objects +
           t->name_count * sizeof *t->names + t->piece_count * sizeof *t->pieces +
           t->piece_count / 8 + t->text_len;
}
