/* src/cowfs/ahead.c - a list of pieces, and threads that go through it. */
#include "cowfs/ahead.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "cowfs/layer-toc.h"

#define THREADS 4 /* so many requests are under way where each takes a long time to come back */

/* A piece of a layer. */
struct place {
    uint32_t layer, piece;
};

struct xeno_cowfs_ahead {
    struct xeno_cowfs_layer *const *layers;
    struct place *list;
    size_t count;
    atomic_size_t next;
    atomic_int_fast64_t left;
    atomic_bool over;
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

static void *work(void *arg)
{
    struct xeno_cowfs_ahead *a = arg;

    while (!atomic_load(&a->over)) {
        size_t i = atomic_fetch_add(&a->next, 1);
        struct xeno_cowfs_layer *l;
        int64_t bytes;
        int r;

        if (i >= a->count)
            break;
        l = a->layers[a->list[i].layer];
        bytes = xeno_cowfs_toc_blob_bytes(l, a->list[i].piece);
        if (atomic_fetch_sub(&a->left, bytes) < bytes)
            break;
        r = xeno_cowfs_toc_ahead(l, a->list[i].piece, NULL);
        if (r == 0)
            atomic_fetch_add(&a->left, bytes); /* it was there */
        if (r < 0)
            atomic_store(&a->over, true);
    }
    return NULL;
}

struct xeno_cowfs_ahead *xeno_cowfs_ahead_begin(struct xeno_cowfs_layer *const *layers,
                                                size_t layer_count, uint8_t *shas, size_t count,
                                                int64_t max_bytes)
{
    struct xeno_cowfs_ahead *a = xeno_new0(struct xeno_cowfs_ahead);
    sigset_t all, before;

    a->layers = layers;
    atomic_init(&a->left, max_bytes);
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

void xeno_cowfs_ahead_free(struct xeno_cowfs_ahead *a)
{
    if (!a)
        return;
    atomic_store(&a->over, true);
    for (size_t i = 0; i < a->thread_count; i++)
        pthread_join(a->threads[i], NULL);
    free(a->list);
    free(a);
}
