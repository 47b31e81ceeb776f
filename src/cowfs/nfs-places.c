/* src/cowfs/nfs-places.c - in which directory an object was last seen. Open addressing, at most
 * half full, so that a look-up is one or two steps; what is dropped is closed up. */
#include "cowfs/nfs-places.h"

#include <string.h>

#include "base/mem.h"

#define ROOM_FIRST 1024

struct place {
    uint64_t number, in; /* number 0: free */
};
struct xeno_nfs_places {
    struct place *table;
    size_t room, count, max; /* room is a power of two */
};

struct xeno_nfs_places *xeno_nfs_places_new(size_t max)
{
    struct xeno_nfs_places *p = xeno_new0(struct xeno_nfs_places);

    p->room = ROOM_FIRST;
    p->max = max;
    p->table = xeno_new0_n(struct place, p->room);
    return p;
}

void xeno_nfs_places_free(struct xeno_nfs_places *p)
{
    if (!p)
        return;
    free(p->table);
    free(p);
}

static size_t home(const struct xeno_nfs_places *p, uint64_t number)
{
    return (size_t)((number * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (p->room - 1);
}

/* Where it is, or would be. */
static size_t seek(const struct xeno_nfs_places *p, uint64_t number)
{
    size_t i = home(p, number);

    while (p->table[i].number != 0 && p->table[i].number != number)
        i = (i + 1) & (p->room - 1);
    return i;
}

static void grow(struct xeno_nfs_places *p)
{
    struct place *old = p->table;
    size_t room = p->room;

    p->room *= 2;
    p->table = xeno_new0_n(struct place, p->room);
    for (size_t i = 0; i < room; i++)
        if (old[i].number)
            p->table[seek(p, old[i].number)] = old[i];
    free(old);
}

bool xeno_nfs_places_put(struct xeno_nfs_places *p, uint64_t number, uint64_t in)
{
    size_t i = seek(p, number);

    if (p->table[i].number == 0) {
        if (p->count == p->max)
            return false;
        p->count++;
    }
    p->table[i] = (struct place){ .number = number, .in = in };
    if (p->count * 2 > p->room)
        grow(p);
    return true;
}

bool xeno_nfs_places_get(const struct xeno_nfs_places *p, uint64_t number, uint64_t *ret)
{
    size_t i = seek(p, number);

    if (p->table[i].number == 0)
        return false;
    *ret = p->table[i].in;
    return true;
}

void xeno_nfs_places_drop(struct xeno_nfs_places *p, uint64_t number)
{
    size_t mask = p->room - 1, hole = seek(p, number);

    if (p->table[hole].number == 0)
        return;
    p->count--;
    for (size_t i = (hole + 1) & mask; p->table[i].number; i = (i + 1) & mask) {
        size_t from = home(p, p->table[i].number);

        /* It may move to the hole unless its home lies after that. */
        if (((i - from) & mask) >= ((i - hole) & mask)) {
            p->table[hole] = p->table[i];
            hole = i;
        }
    }
    p->table[hole].number = 0;
}

void xeno_nfs_places_clear(struct xeno_nfs_places *p)
{
    memset(p->table, 0, p->room * sizeof *p->table);
    p->count = 0;
}
