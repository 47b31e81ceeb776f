/* src/xis/xis-due.c - what is to expire or to be forgotten next: a heap of slots, and ageing. */
#include <string.h>

#include "xis/xis-priv.h"

xeno_time xeno_due_of(const struct xeno_record *r)
{
    return r->state == XENO_XIS_ALIVE ? r->expires : r->until;
}

static int64_t key(const struct xeno_xis *x, size_t i)
{
    return xeno_due_of(xeno_record_at(x, x->heap[i])).ns;
}

static void put_at(struct xeno_xis *x, size_t i, uint32_t slot)
{
    x->heap[i] = slot;
    xeno_slot_at(x, slot)->due = (uint32_t)i;
}

static void swap(struct xeno_xis *x, size_t a, size_t b)
{
    uint32_t slot = x->heap[a];

    put_at(x, a, x->heap[b]);
    put_at(x, b, slot);
}

static void settle(struct xeno_xis *x, size_t i)
{
    while (i > 0 && key(x, i) < key(x, (i - 1) / 2)) {
        swap(x, i, (i - 1) / 2);
        i = (i - 1) / 2;
    }
    for (;;) {
        size_t least = i;

        for (size_t c = 2 * i + 1; c <= 2 * i + 2 && c < x->heap_len; c++)
            if (key(x, c) < key(x, least))
                least = c;
        if (least == i)
            return;
        swap(x, i, least);
        i = least;
    }
}

static bool in_heap(const struct xeno_xis *x, uint32_t slot)
{
    uint32_t i = xeno_slot_at(x, slot)->due;

    return i < x->heap_len && x->heap[i] == slot;
}

void xeno_due_set(struct xeno_xis *x, uint32_t slot)
{
    if (!in_heap(x, slot)) {
        if (x->heap_len == x->heap_room) {
            x->heap_room = x->heap_room ? x->heap_room * 2 : 64;
            x->heap = xeno_grow(x->heap, x->heap_room);
        }
        put_at(x, x->heap_len++, slot);
    }
    settle(x, xeno_slot_at(x, slot)->due);
}

void xeno_due_remove(struct xeno_xis *x, uint32_t slot)
{
    size_t i = xeno_slot_at(x, slot)->due;

    if (!in_heap(x, slot))
        return;
    x->heap_len--;
    if (i == x->heap_len)
        return;
    put_at(x, i, x->heap[x->heap_len]);
    settle(x, i);
}

xeno_time xeno_xis_next(const struct xeno_xis *x)
{
    return xeno_ns(x->heap_len > 0 ? key(x, 0) : INT64_MAX);
}

/* It is found no more, and the feed says so. */
static void expire(struct xeno_xis *x, uint32_t slot, xeno_time now)
{
    static const struct xeno_cells none;
    const struct xeno_record *old = xeno_record_at(x, slot);
    struct xeno_record *r = xeno_record_new(&none);
    xeno_time remember = xeno_time_add(now, xeno_s(XENO_XIS_REMEMBER_S));

    r->state = XENO_XIS_EXPIRED;
    r->carrier = old->carrier;
    r->own = old->own;
    r->version = old->version;
    r->kept = atomic_load(&old->kept);
    r->expires = old->expires;
    r->until = old->until.ns > remember.ns ? old->until : remember;
    xeno_record_replace(x, slot, r);
}

size_t xeno_xis_age(struct xeno_xis *x, xeno_time now, size_t max)
{
    size_t n = 0;

    for (; n < max && x->heap_len > 0 && key(x, 0) <= now.ns; n++) {
        uint32_t slot = x->heap[0];

        if (xeno_record_at(x, slot)->state == XENO_XIS_ALIVE)
            expire(x, slot, now);
        else
            xeno_record_forget(x, slot);
    }
    if (n > 0)
        xeno_xis_show(x);
    xeno_account_sweep(x);
    return n;
}
