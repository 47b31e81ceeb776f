/* src/task/oci/layers.c - how the layers of a session are to be stacked. */
#include "task/oci/layers.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "image/cache.h"

/* What becomes of a layer. */
enum way {
    UNPACKED,
    FROM_IMAGES, /* it is to be unpacked from the operator's store */
    FROM_IMAGED, /* from the image manager's */
    BY_PIECES
};

struct job {
    const struct xeno_oci_layers *l;
    const struct xeno_task_spec *spec;
    struct xeno_cache *cache;
    struct xeno_store *images, *imaged; /* NULL: there is none */
    enum way ways[XENO_TASK_LAYERS_MAX];
    struct xeno_layer tables[XENO_TASK_LAYERS_MAX]; /* of those by pieces */
};

static void release(struct job *j)
{
    xeno_cache_free(j->cache);
    xeno_store_free(j->images);
    xeno_store_free(j->imaged);
}

static bool has_imaged(const struct xeno_oci_layers *l)
{
    return l->imaged_store && *l->imaged_store;
}

static bool is_unpacked(const struct xeno_oci_layers *l, const char *layer)
{
    xeno_autofree char *path = xeno_asprintf("%s/layers/%s", l->cache, layer + strlen("sha256:"));

    return access(path, F_OK) == 0;
}

static bool is_blob(const char *store, const char *layer)
{
    xeno_autofree char *path =
        xeno_asprintf("%s/blobs/sha256/%s", store, layer + strlen("sha256:"));

    return access(path, F_OK) == 0;
}

static bool is_away(const struct xeno_oci_layers *l, const char *layer)
{
    return has_imaged(l) && !is_unpacked(l, layer) && !is_blob(l->images, layer);
}

bool xeno_oci_layers_away(const struct xeno_oci_layers *l, const struct xeno_task_spec *spec)
{
    for (size_t i = 0; i < spec->nlayers; i++)
        if (is_away(l, spec->layers[i]))
            return true;
    return false;
}

/* --- fetching --- */

/* The image manager bounds what it asks of whom; several at a time are for layers that come from
 * different places, and for tables, which are small and far away. */
#define FETCHES_MAX 4

struct fetching {
    const struct xeno_oci_layers *l;
    const struct xeno_task_spec *spec;
    pthread_mutex_t mutex; /* of the rest */
    size_t next;
    int failed; /* the first failure, and why */
    struct xeno_err err;
};

/* The next layer that is away; NULL: there is none, or one could not be had. */
static const char *next_away(struct fetching *f)
{
    const char *layer = NULL;

    pthread_mutex_lock(&f->mutex);
    while (!layer && f->failed == 0 && f->next < f->spec->nlayers) {
        const char *at = f->spec->layers[f->next++];

        layer = is_away(f->l, at) ? at : NULL;
    }
    pthread_mutex_unlock(&f->mutex);
    return layer;
}

static void *fetch_some(void *arg)
{
    struct xeno_agent_fetched got;
    struct fetching *f = arg;
    const char *layer;

    while ((layer = next_away(f)) != NULL) {
        struct xeno_err err = XENO_ERR_INIT;
        int r = f->l->fetch(f->l->arg, layer, &got, &err);

        pthread_mutex_lock(&f->mutex);
        if (r < 0 && f->failed == 0) {
            f->failed = r;
            f->err = err;
        }
        pthread_mutex_unlock(&f->mutex);
    }
    return NULL;
}

int xeno_oci_layers_fetch(const struct xeno_oci_layers *l, const struct xeno_task_spec *spec,
                          struct xeno_err *err)
{
    struct fetching f = { .l = l, .spec = spec, .mutex = PTHREAD_MUTEX_INITIALIZER };
    pthread_t threads[FETCHES_MAX - 1];
    size_t n = 0;

    while (n < XENO_LEN(threads) && n + 1 < spec->nlayers &&
           pthread_create(&threads[n], NULL, fetch_some, &f) == 0)
        n++;
    fetch_some(&f);
    while (n > 0)
        pthread_join(threads[--n], NULL);
    if (f.failed < 0 && err)
        *err = f.err;
    return f.failed;
}

/* --- which way --- */

/* The layer as a manifest of the session describes it. */
static int find_table(struct job *j, const char *layer, struct xeno_layer *ret,
                      struct xeno_err *err)
{
    int r = j->imaged ? 0 : xeno_store_open(j->l->imaged_store, XENO_STORE_READ, &j->imaged, err);

    for (size_t i = 0; r == 0 && i < j->spec->nimages; i++) {
        xeno_auto(xeno_image) im = NULL;

        r = xeno_store_load(j->imaged, j->spec->images[i], &im, err);
        if (r == -ENOENT && !xeno_store_has(j->imaged, j->spec->images[i]))
            r = 0; /* one of the operator's store, whose layers are all there */
        for (size_t k = 0; im && k < im->layer_count; k++)
            if (strcmp(im->layers[k].digest, layer) == 0 && im->layers[k].toc.bytes > 0) {
                *ret = im->layers[k];
                return 0;
            }
    }
    return r < 0
               ? r
               : xeno_fail(
                     err, -EINVAL, "oci.images",
                     "layer %.19s is not on this host, and no manifest of the session says where its "
                     "table of contents is",
                     layer);
}

static int choose_one(struct job *j, size_t i, const struct xeno_stack_part *before,
                      struct xeno_err *err)
{
    const char *layer = j->spec->layers[i];
    struct xeno_agent_fetched got;
    int r;

    j->ways[i] = BY_PIECES;
    if (before && !before->dir) {
        j->tables[i] = before->layer; /* it stays what it was */
        return 0;
    }
    j->ways[i] = is_unpacked(j->l, layer) ? UNPACKED : FROM_IMAGES;
    if (!is_away(j->l, layer))
        return 0; /* or nobody has it, which unpacking will say */
    r = j->l->fetch(j->l->arg, layer, &got, err);
    if (r < 0)
        return r;
    j->ways[i] = got.way == XENO_AGENT_WHOLE ? FROM_IMAGED : BY_PIECES;
    return got.way == XENO_AGENT_WHOLE ? 0 : find_table(j, layer, &j->tables[i], err);
}

/* Does the stack of another time have these layers? */
static bool fits(const struct xeno_stack *before, const struct xeno_task_spec *spec)
{
    bool same = before && before->count == spec->nlayers;

    for (size_t i = 0; same && i < spec->nlayers; i++)
        same = before->parts[i].dir || strcmp(before->parts[i].layer.digest, spec->layers[i]) == 0;
    return same;
}

static int choose(struct job *j, const struct xeno_stack *before, struct xeno_err *err)
{
    bool same = fits(before, j->spec);
    int r = 0;

    for (size_t i = 0; r == 0 && i < j->spec->nlayers; i++)
        r = choose_one(j, i, same ? &before->parts[i] : NULL, err);
    return r;
}

/* --- making it so --- */

/* The store at `path` is opened when something is wanted of it: the image manager's may not be
 * there before it has run once. */
static int unpack(struct job *j, enum way way, const char *path, struct xeno_store **store,
                  struct xeno_err *err)
{
    const char *digests[XENO_TASK_LAYERS_MAX];
    size_t n = 0;
    int r = 0;

    for (size_t i = 0; i < j->spec->nlayers; i++)
        if (j->ways[i] == way)
            digests[n++] = j->spec->layers[i];
    if (n > 0 && !*store)
        r = xeno_store_open(path, XENO_STORE_READ, store, err);
    return n > 0 && r == 0 ? xeno_cache_fill(j->cache, *store, digests, n, NULL, err) : r;
}

/* Pinned before they are unpacked: the collector may come at any time. Returns: as
 * xeno_cache_pin().
 */
static int pin_whole(struct job *j, const char *pin, struct xeno_err *err)
{
    const char *digests[XENO_TASK_LAYERS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < j->spec->nlayers; i++)
        if (j->ways[i] != BY_PIECES)
            digests[n++] = j->spec->layers[i];
    return xeno_cache_pin(j->cache, pin, digests, n, err);
}

static int unpack_all(struct job *j, struct xeno_err *err)
{
    int r = unpack(j, FROM_IMAGES, j->l->images, &j->images, err);

    return r < 0 ? r : unpack(j, FROM_IMAGED, j->l->imaged_store, &j->imaged, err);
}

static int make_ready(struct job *j, const char *pin, const struct xeno_stack *before,
                      struct xeno_err *err)
{
    int r = choose(j, before, err);

    if (r == 0)
        r = pin_whole(j, pin, err);
    return r > 0 ? unpack_all(j, err) : r;
}

/* Must xeno-cowfs stack them? Returns: 0, 1. */
static int wants_cowfs(struct job *j, struct xeno_err *err)
{
    for (size_t i = 0; i < j->spec->nlayers; i++) {
        int r = j->ways[i] == BY_PIECES ? 1 : xeno_cache_mounts(j->cache, j->spec->layers[i], err);

        if (r != 0)
            return r;
    }
    return 0;
}

static struct xeno_stack *stack_of(const struct job *j)
{
    struct xeno_stack *s = xeno_stack_new();

    for (size_t i = 0; i < j->spec->nlayers; i++) {
        xeno_autofree char *dir = NULL;

        if (j->ways[i] == BY_PIECES) {
            xeno_stack_add_layer(s, &j->tables[i]);
            continue;
        }
        dir = xeno_cache_path(j->cache, j->spec->layers[i]);
        xeno_stack_add_dir(s, dir);
    }
    return s;
}

static int ready(struct job *j, const char *pin, const struct xeno_stack *before,
                 struct xeno_stack **ret, struct xeno_err *err)
{
    const char *digests[XENO_TASK_LAYERS_MAX];
    int r = xeno_cache_open(j->l->cache, &j->cache, err);

    for (size_t i = 0; i < j->spec->nlayers; i++)
        digests[i] = j->spec->layers[i];
    /* All there: the way of almost every start. */
    if (r == 0 && !before)
        r = xeno_cache_pin(j->cache, pin, digests, j->spec->nlayers, err);
    if (r > 0 || (r == 0 && before))
        r = make_ready(j, pin, before, err);
    if (r == 0)
        r = wants_cowfs(j, err);
    if (r > 0)
        *ret = stack_of(j);
    return r < 0 ? r : 0;
}

int xeno_oci_layers_ready(const struct xeno_oci_layers *l, const struct xeno_task_spec *spec,
                          const char *pin, const struct xeno_stack *before, struct xeno_stack **ret,
                          struct xeno_err *err)
{
    struct job j = { .l = l, .spec = spec };
    int r;

    *ret = NULL;
    if (spec->nlayers == 0)
        return xeno_fail(err, -EINVAL, "oci.layers", "a container needs at least one layer");
    r = ready(&j, pin, before, ret, err);
    release(&j);
    return r;
}
