/* src/xis/epoch.c - when memory that readers may still look at can be freed. */
#include "xis/epoch.h"

#define ROOM_FIRST 256

struct xeno_epoch *xeno_epoch_new(void)
{
    struct xeno_epoch *e = aligned_alloc(64, sizeof *e);

    if (!e)
        abort();
    *e = (struct xeno_epoch){ .room = ROOM_FIRST };
    atomic_init(&e->count, 1);
    e->queue = xeno_new0_n(struct xeno_retired, ROOM_FIRST);
    return e;
}

/* Drop what was unlinked before count `before`, oldest first. */
static void drop_before(struct xeno_epoch *e, uint64_t before)
{
    while (e->len > 0 && e->queue[e->first].count < before) {
        struct xeno_retired r = e->queue[e->first];

        e->first = (e->first + 1) & (e->room - 1);
        e->len--;
        r.drop(r.ctx, r.thing);
    }
}

void xeno_epoch_free(struct xeno_epoch *e)
{
    if (!e)
        return;
    drop_before(e, UINT64_MAX);
    free(e->queue);
    free(e);
}

struct xeno_mark *xeno_epoch_join(struct xeno_epoch *e)
{
    for (size_t i = 0; i < XENO_EPOCH_READERS; i++)
        if (!e->marks[i].taken) {
            e->marks[i].taken = true;
            return &e->marks[i];
        }
    return NULL;
}

void xeno_epoch_part(struct xeno_mark *m)
{
    xeno_epoch_leave(m);
    m->taken = false;
}

static void grow(struct xeno_epoch *e)
{
    struct xeno_retired *bigger = xeno_new0_n(struct xeno_retired, e->room * 2);

    for (size_t i = 0; i < e->len; i++)
        bigger[i] = e->queue[(e->first + i) & (e->room - 1)];
    free(e->queue);
    e->queue = bigger;
    e->room *= 2;
    e->first = 0;
}

void xeno_epoch_retire(struct xeno_epoch *e, void (*drop)(void *ctx, void *thing), void *ctx,
                       void *thing)
{
    if (e->len == e->room)
        grow(e);
    e->queue[(e->first + e->len++) & (e->room - 1)] = (struct xeno_retired){
        .count = atomic_load_explicit(&e->count, memory_order_relaxed),
        .drop = drop,
        .ctx = ctx,
        .thing = thing,
    };
}

void xeno_epoch_tick(struct xeno_epoch *e)
{
    uint64_t oldest = atomic_fetch_add(&e->count, 1) + 1;

    if (e->len == 0)
        return;
    for (size_t i = 0; i < XENO_EPOCH_READERS; i++) {
        uint64_t seen = atomic_load(&e->marks[i].seen);

        if (seen != 0 && seen < oldest)
            oldest = seen;
    }
    drop_before(e, oldest);
}
