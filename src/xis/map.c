/* src/xis/map.c - from a hash to small numbers: open addressing, replaced whole when it is full. */
#include "xis/map.h"

#include <string.h>

#define TABLE_FIRST 64 /* a power of two */
#define EMPTY       UINT64_C(0)
#define REMOVED     UINT64_C(1) /* low half 1, high half 0: no pair, those are number + 2 */

/* A cell: the hash's high half, and below it the number + 2. */
struct xeno_map_table {
    size_t mask;
    _Atomic uint64_t cells[];
};

static uint64_t cell_of(uint64_t hash, uint32_t number)
{
    return (hash & ~UINT64_C(0xffffffff)) | (number + 2);
}

static struct xeno_map_table *table_new(size_t size)
{
    struct xeno_map_table *t = xeno_alloc0(1, sizeof *t + size * sizeof t->cells[0]);

    t->mask = size - 1;
    return t;
}

void xeno_map_init(struct xeno_map *m, struct xeno_epoch *epoch)
{
    *m = (struct xeno_map){ .epoch = epoch };
    atomic_init(&m->table, table_new(TABLE_FIRST));
}

void xeno_map_release(struct xeno_map *m)
{
    free(atomic_load(&m->table));
}

uint32_t xeno_map_find(const struct xeno_map *m, uint64_t hash, xeno_map_match *match,
                       const void *ctx, const char *key, size_t len)
{
    const struct xeno_map_table *t = atomic_load(&m->table);

    for (size_t i = (hash >> 32) & t->mask;; i = (i + 1) & t->mask) {
        uint64_t c = atomic_load_explicit(&t->cells[i], memory_order_acquire);

        if (c == EMPTY)
            return XENO_MAP_NONE;
        if (c != REMOVED && c >> 32 == hash >> 32 && match(ctx, (uint32_t)c - 2, key, len))
            return (uint32_t)c - 2;
    }
}

static void drop_table(void *ctx, void *t)
{
    (void)ctx;
    free(t);
}

/* By the half of the hash that cells keep, so that a table can be made from another. */
static size_t home(const struct xeno_map_table *t, uint64_t cell)
{
    return (cell >> 32) & t->mask;
}

static void rebuild(struct xeno_map *m)
{
    struct xeno_map_table *old = atomic_load(&m->table), *t;
    size_t size = TABLE_FIRST;

    while (size < (m->live + 1) * 2)
        size *= 2;
    t = table_new(size);
    for (size_t i = 0; i <= old->mask; i++) {
        uint64_t c = atomic_load_explicit(&old->cells[i], memory_order_relaxed);
        size_t at = home(t, c);

        if (c == EMPTY || c == REMOVED)
            continue;
        while (atomic_load_explicit(&t->cells[at], memory_order_relaxed) != EMPTY)
            at = (at + 1) & t->mask;
        atomic_store_explicit(&t->cells[at], c, memory_order_relaxed);
    }
    m->used = m->live;
    atomic_store(&m->table, t);
    xeno_epoch_retire(m->epoch, drop_table, NULL, old);
}

void xeno_map_add(struct xeno_map *m, uint64_t hash, uint32_t number)
{
    struct xeno_map_table *t = atomic_load(&m->table);
    uint64_t cell = cell_of(hash, number);
    size_t at;

    if ((m->used + 1) * 4 > (t->mask + 1) * 3) {
        rebuild(m);
        t = atomic_load(&m->table);
    }
    at = home(t, cell);
    while (atomic_load_explicit(&t->cells[at], memory_order_relaxed) != EMPTY)
        at = (at + 1) & t->mask;
    atomic_store_explicit(&t->cells[at], cell, memory_order_release);
    m->live++;
    m->used++;
}

void xeno_map_remove(struct xeno_map *m, uint64_t hash, uint32_t number)
{
    struct xeno_map_table *t = atomic_load(&m->table);
    uint64_t cell = cell_of(hash, number), c;

    for (size_t i = home(t, cell);; i = (i + 1) & t->mask) {
        c = atomic_load_explicit(&t->cells[i], memory_order_relaxed);
        if (c == EMPTY)
            return;
        if (c == cell) {
            atomic_store_explicit(&t->cells[i], REMOVED, memory_order_release);
            m->live--;
            return;
        }
    }
}

size_t xeno_map_bytes(const struct xeno_map *m)
{
    return (atomic_load(&m->table)->mask + 1) * sizeof(uint64_t);
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 p = (unsigned __int128)a * b;

    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

uint64_t xeno_map_hash(const char *key, size_t len, uint64_t seed)
{
    uint64_t h = seed ^ len, w;

    for (; len >= 8; key += 8, len -= 8) {
        memcpy(&w, key, 8);
        h = mix(h ^ w, seed | 1) ^ w;
    }
    w = 0;
    memcpy(&w, key, len);
    return mix(mix(h ^ w, UINT64_C(0x9e3779b97f4a7c15)) ^ seed, UINT64_C(0xd6e8feb86659fd93));
}
