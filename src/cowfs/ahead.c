/* src/cowfs/ahead.c - a list of pieces, and threads that go through it. */
#include "cowfs/ahead.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/mem.h"
#include "cowfs/layer-toc.h"

#define THREADS 8 /* so many requests are under way where each takes a long time to come back */
#define HINTS   64

/* A piece of a layer. */
struct place {
    uint32_t layer, piece;
};
struct hint {
    struct xeno_cowfs_layer *layer;
    size_t piece;
};

struct xeno_cowfs_ahead {
    struct xeno_cowfs_layer *const *layers;
    struct place *list;
    size_t count;
    int64_t left; /* bytes, for the list */

    pthread_mutex_t mutex; /* of what is above and below */
    pthread_cond_t changed;
    size_t next; /* in the list */
    struct hint hints[HINTS];
    size_t hint_first, hint_count;
    bool over;
    pthread_t threads[THREADS];
    size_t thread_count;
};

/* --- the list --- */

static int compare(const void *a, const void *b, void *arg)
{
    struct xeno_cowfs_layer *const *layers = arg;
    const struct place *x = a, *y = b;

    return memcmp(xeno_cowfs_toc_sha(layers[x->layer], x->piece),
                  xeno_cowfs_toc_sha(layers[y->layer], y->piece), 32);
}

/* All pieces of all layers that can be fetched, by digest. */
static struct place *all_places(struct xeno_cowfs_layer *const *layers, size_t layer_count,
                                size_t *ret_count)
{
    size_t total = 0, n = 0;
    struct place *all;

    for (size_t l = 0; l < layer_count; l++)
        total += xeno_cowfs_toc_pieces(layers[l]);
    all = xeno_new0_n(struct place, total + 1);
    for (size_t l = 0; l < layer_count; l++)
        for (size_t i = 0; i < xeno_cowfs_toc_pieces(layers[l]); i++)
            if (xeno_cowfs_toc_blob_bytes(layers[l], i) > 0)
                all[n++] = (struct place){ .layer = (uint32_t)l, .piece = (uint32_t)i };
    qsort_r(all, n, sizeof *all, compare, (void *)(uintptr_t)layers);
    *ret_count = n;
    return all;
}

static const struct place *find(struct xeno_cowfs_layer *const *layers, const struct place *all,
                                size_t count, const uint8_t *sha)
{
    size_t from = 0, to = count;

    while (from < to) {
        size_t mid = from + (to - from) / 2;
        int r = memcmp(sha, xeno_cowfs_toc_sha(layers[all[mid].layer], all[mid].piece), 32);

        if (r == 0)
            return &all[mid];
        if (r < 0)
            to = mid;
        else
            from = mid + 1;
    }
    return NULL;
}

static void make_list(struct xeno_cowfs_ahead *a, size_t layer_count, const uint8_t *shas,
                      size_t count)
{
    size_t all_count;
    xeno_autofree struct place *all = all_places(a->layers, layer_count, &all_count);

    a->list = xeno_new0_n(struct place, count + 1);
    for (size_t i = 0; i < count; i++) {
        const struct place *p = find(a->layers, all, all_count, shas + i * 32);

        if (p)
            a->list[a->count++] = *p;
    }
}

/* --- the threads --- */

/* With the mutex. Returns: false when there is nothing to do now. */
static bool take_hint(struct xeno_cowfs_ahead *a, struct hint *ret)
{
    if (a->hint_count == 0)
        return false;
    *ret = a->hints[a->hint_first];
    a->hint_first = (a->hint_first + 1) % HINTS;
    a->hint_count--;
    return true;
}

static bool take_listed(struct xeno_cowfs_ahead *a, struct hint *ret)
{
    const struct place *p = &a->list[a->next];
    int64_t bytes;

    if (a->next == a->count)
        return false;
    *ret = (struct hint){ .layer = a->layers[p->layer], .piece = p->piece };
    bytes = xeno_cowfs_toc_blob_bytes(ret->layer, ret->piece);
    if (bytes > a->left) {
        a->next = a->count;
        return false;
    }
    a->left -= bytes;
    a->next++;
    return true;
}

static void *work(void *arg)
{
    struct xeno_cowfs_ahead *a = arg;
    struct hint h;

    pthread_mutex_lock(&a->mutex);
    while (!a->over) {
        bool hint = take_hint(a, &h);
        int r;

        if (!hint && !take_listed(a, &h)) {
            pthread_cond_wait(&a->changed, &a->mutex);
            continue;
        }
        pthread_mutex_unlock(&a->mutex);
        r = xeno_cowfs_toc_ahead(h.layer, h.piece, !hint, NULL);
        pthread_mutex_lock(&a->mutex);
        if (!hint && r == 0)
            a->left += xeno_cowfs_toc_blob_bytes(h.layer, h.piece); /* it was there */
        if (!hint && r < 0)
            a->next = a->count;
    }
    pthread_mutex_unlock(&a->mutex);
    return NULL;
}

struct xeno_cowfs_ahead *xeno_cowfs_ahead_begin(struct xeno_cowfs_layer *const *layers,
                                                size_t layer_count, uint8_t *shas, size_t count,
                                                int64_t max_bytes)
{
    struct xeno_cowfs_ahead *a = xeno_new0(struct xeno_cowfs_ahead);
    sigset_t all, before;

    pthread_mutex_init(&a->mutex, NULL);
    pthread_cond_init(&a->changed, NULL);
    a->layers = layers;
    a->left = max_bytes;
    make_list(a, layer_count, shas, count);
    free(shas);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (a->thread_count < THREADS &&
           pthread_create(&a->threads[a->thread_count], NULL, work, a) == 0)
        a->thread_count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return a;
}

void xeno_cowfs_ahead_more(struct xeno_cowfs_ahead *a, struct xeno_cowfs_layer *l, size_t first,
                           size_t count)
{
    pthread_mutex_lock(&a->mutex);
    for (size_t i = 0; i < count && a->hint_count < HINTS; i++)
        a->hints[(a->hint_first + a->hint_count++) % HINTS] =
            (struct hint){ .layer = l, .piece = first + i };
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->mutex);
}

void xeno_cowfs_ahead_free(struct xeno_cowfs_ahead *a)
{
    if (!a)
        return;
    pthread_mutex_lock(&a->mutex);
    a->over = true;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->mutex);
    for (size_t i = 0; i < a->thread_count; i++)
        pthread_join(a->threads[i], NULL);
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->mutex);
    free(a->list);
    free(a);
}
