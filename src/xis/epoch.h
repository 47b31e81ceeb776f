/* src/xis/epoch.h - when memory that readers may still look at can be freed.
 *
 * One writer replaces things while readers look at them without a lock. A reader *enters* before it
 * looks and *leaves* after; the writer unlinks a thing, *retires* it, and *ticks*. A thing is
 * freed once every reader that was inside when it was unlinked has left.
 *
 * Why that holds: a reader writes down the count it saw before it follows any pointer, and both
 * sides' accesses to counts and to the pointers that are followed (roots) are sequentially
 * consistent. So either the writer finds the reader's mark, and keeps what was retired at that
 * count or later, or the reader came after the writer looked, and follows the new pointers.
 */
#ifndef XENO_XIS_EPOCH_H
#define XENO_XIS_EPOCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

#define XENO_EPOCH_READERS 64

/* A reader's mark: 0 outside, else the count it entered at. A cache line each. */
struct xeno_mark {
    _Alignas(64) _Atomic uint64_t seen;
    bool taken; /* of whoever makes readers */
};

struct xeno_retired {
    uint64_t count; /* when it was unlinked */
    void (*drop)(void *ctx, void *thing);
    void *ctx, *thing;
};

struct xeno_epoch {
    struct xeno_mark marks[XENO_EPOCH_READERS];
    _Alignas(64) _Atomic uint64_t count; /* from 1 */
    struct xeno_retired *queue;          /* a ring */
    size_t room, first, len;
};

struct xeno_epoch *xeno_epoch_new(void);
void xeno_epoch_free(struct xeno_epoch *e); /* drops what is retired; no reader is inside */

/* A mark of one's own; NULL: all are taken. One thread at a time. */
struct xeno_mark *xeno_epoch_join(struct xeno_epoch *e);
void xeno_epoch_part(struct xeno_mark *m);

static inline void xeno_epoch_enter(struct xeno_epoch *e, struct xeno_mark *m)
{
    atomic_store(&m->seen, atomic_load(&e->count));
}

static inline void xeno_epoch_leave(struct xeno_mark *m)
{
    atomic_store_explicit(&m->seen, 0, memory_order_release);
}

/* Drop `thing` (drop(ctx, thing)) when no reader can see it. Before the tick it must be unlinked.
 */
void xeno_epoch_retire(struct xeno_epoch *e, void (*drop)(void *ctx, void *thing), void *ctx,
                       void *thing);
/* Everything retired is unlinked: count on, and drop what can be. */
void xeno_epoch_tick(struct xeno_epoch *e);

#endif
