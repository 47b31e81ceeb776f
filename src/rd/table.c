/* src/rd/table.c - servers in columns, by slot. */
#include "rd/table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "xis/query.h"

#define PEERS_MAX XENO_NEAR_LINKS

/* --- the map --- */

static size_t read_links(const struct xeno_rd *rd, const struct xeno_advert *a,
                         struct xeno_near_link links[PEERS_MAX])
{
    const struct xeno_leaf *id = xeno_advert_leaf(a, "Measured/Peer/Id");
    const struct xeno_leaf *rtt = xeno_advert_leaf(a, "Measured/Peer/RttMs");
    size_t n = 0;

    for (int i = 0; i < PEERS_MAX && id && rtt; i++) {
        struct rd_server *peer;

        HASH_FIND(hh, rd->by_id, id->value, strlen(id->value), peer);
        if (peer && rtt->number)
            links[n++] = (struct xeno_near_link){ peer->slot, (float)rtt->n };
        id = xeno_advert_leaf_next(a, id);
        rtt = xeno_advert_leaf_next(a, rtt);
    }
    return n;
}

static void link_server(struct xeno_rd *rd, const struct rd_server *s)
{
    struct xeno_near_link links[PEERS_MAX];
    struct xeno_coord coord;
    size_t n = read_links(rd, s->advert, links);

    xeno_near_map_set(rd->map, s->slot, rd_coord(s->advert, &coord), links, n);
    rd_trips_set(rd, s->slot, links, n);
}

/* One old advert for each that comes; when all have had their turn, no link names a slot that was
 * given up before. */
static void link_another(struct xeno_rd *rd)
{
    if (rd->to_link == 0)
        return;
    if (rd->cursor >= rd->used)
        rd->cursor = 0;
    if (rd->servers[rd->cursor])
        link_server(rd, rd->servers[rd->cursor]);
    rd->cursor++;
    rd->to_link--;
}

void rd_slots_push(struct rd_slots *s, uint32_t slot)
{
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 64;
        s->at = xeno_grow(s->at, s->room);
    }
    s->at[s->count++] = slot;
}

void xeno_rd_settle(struct xeno_rd *rd)
{
    if (rd->to_link == 0 && rd->waiting.count == 0)
        return;
    for (size_t i = 0; i < rd->used; i++) {
        if (rd->servers[i])
            link_server(rd, rd->servers[i]);
    }
    rd->to_link = 0;
    while (rd->waiting.count > 0)
        rd_slots_push(&rd->free, rd->waiting.at[--rd->waiting.count]);
}

/* --- servers come and go --- */

struct xeno_rd *xeno_rd_new(size_t max_servers)
{
    struct xeno_rd *rd = xeno_new0(struct xeno_rd);

    rd->max = max_servers < UINT32_MAX / 4 ? max_servers : UINT32_MAX / 4;
    rd->map = xeno_near_map_new();
    rd_columns_init(rd);
    return rd;
}

void xeno_rd_free(struct xeno_rd *rd)
{
    struct rd_server *s, *next;

    if (!rd)
        return;
    HASH_ITER (hh, rd->by_id, s, next) {
        HASH_DEL(rd->by_id, s);
        rd_server_free(rd, s);
    }
    for (size_t i = 0; i < RD_T_COUNT; i++)
        free(rd->pinned[i].cells);
    for (size_t i = 0; i < rd->dynamic_count; i++)
        free(rd->dynamic[i].cells);
    xeno_near_map_free(rd->map);
    rd_trips_release(&rd->trips, rd->room);
    rd_scratch_free(rd->scratch);
    free(rd->servers);
    free(rd->expires_ns);
    free(rd->complaints);
    free(rd->isolation);
    free(rd->accepting);
    for (size_t i = 0; i < RD_T_COUNT; i++)
        free(rd->numbers[i]);
    for (size_t i = 0; i < XENO_LEN(rd->prices); i++)
        free(rd->prices[i]);
    free(rd->corps);
    free(rd->kernels);
    free(rd->operators);
    free(rd->places);
    free(rd->bloom);
    free(rd->path_bloom);
    free(rd->tariffs);
    free(rd->accept);
    free(rd->free.at);
    free(rd->waiting.at);
    free(rd);
}

/* A column with more room, zeroes where there was none. */
#define more(rd, to, pp)                                                                           \
    do {                                                                                           \
        *(pp) = xeno_grow(*(pp), to);                                                              \
        memset(*(pp) + (rd)->room, 0, ((to) - (rd)->room) * sizeof(**(pp)));                       \
    } while (0)

static void grow(struct xeno_rd *rd)
{
    size_t room = rd->room ? 2 * rd->room : 64;

    more(rd, room, &rd->servers);
    more(rd, room, &rd->expires_ns);
    more(rd, room, &rd->complaints);
    more(rd, room, &rd->isolation);
    more(rd, room, &rd->accepting);
    for (size_t i = 0; i < RD_T_COUNT; i++)
        more(rd, room, &rd->numbers[i]);
    for (size_t i = 0; i < XENO_LEN(rd->prices); i++)
        more(rd, room, &rd->prices[i]);
    more(rd, room, &rd->corps);
    more(rd, room, &rd->kernels);
    more(rd, room, &rd->operators);
    more(rd, room, &rd->places);
    more(rd, room, &rd->bloom);
    more(rd, room, &rd->path_bloom);
    more(rd, room, &rd->tariffs);
    more(rd, room, &rd->accept);
    for (size_t i = 0; i < RD_T_COUNT; i++)
        more(rd, room, &rd->pinned[i].cells);
    for (size_t i = 0; i < rd->dynamic_count; i++)
        more(rd, room, &rd->dynamic[i].cells);
    rd_trips_grow(&rd->trips, rd->room, room);
    rd->room = room;
}

static uint32_t slot_take(struct xeno_rd *rd)
{
    /* When as many slots wait as there are servers, it is time to let go of them. */
    if (rd->free.count == 0 && rd->waiting.count > rd->live)
        xeno_rd_settle(rd);
    if (rd->free.count > 0)
        return rd->free.at[--rd->free.count];
    if (rd->used == rd->room)
        grow(rd);
    return (uint32_t)rd->used++;
}

static void server_remove(struct xeno_rd *rd, struct rd_server *s)
{
    rd->servers[s->slot] = NULL;
    xeno_near_map_clear(rd->map, s->slot);
    rd_trips_clear(rd, s->slot);
    rd_slots_push(&rd->waiting, s->slot);
    HASH_DEL(rd->by_id, s);
    rd_server_free(rd, s);
    rd->live--;
}

static struct rd_server *server_find(const struct xeno_rd *rd, const struct xeno_id *id)
{
    struct rd_server *s;

    HASH_FIND(hh, rd->by_id, id->s, strlen(id->s), s);
    return s;
}

int xeno_rd_put(struct xeno_rd *rd, struct xeno_advert *a, struct xeno_err *err)
{
    struct rd_server *old = server_find(rd, &a->id), *s;
    int64_t complaints = 0;
    uint32_t slot;

    if (old && old->advert->version >= a->version)
        return xeno_fail(err, -EEXIST, "rd.old", "version %lld of %s is held, this is %lld",
                         (long long)old->advert->version, a->id.s, (long long)a->version);
    if (a->withdrawn) {
        if (old)
            server_remove(rd, old);
        xeno_advert_free(a);
        return 0;
    }
    if (!old && rd->live >= rd->max)
        return xeno_fail(err, -ENOSPC, "rd.full", "%zu servers are held, the limit", rd->live);
    slot = old ? old->slot : slot_take(rd);
    if (old) {
        complaints = rd->complaints[slot];
        HASH_DEL(rd->by_id, old);
        rd_server_free(rd, old);
        rd->live--;
    }
    s = rd->servers[slot] = rd_server_new(rd, a, slot);
    rd->complaints[slot] = complaints;
    HASH_ADD_KEYPTR(hh, rd->by_id, s->advert->id.s, strlen(s->advert->id.s), s);
    rd->live++;
    link_server(rd, s);
    if (!old)
        rd->to_link = rd->used;
    link_another(rd);
    return 0;
}

bool xeno_rd_remove(struct xeno_rd *rd, const struct xeno_id *id)
{
    struct rd_server *s = server_find(rd, id);

    if (s)
        server_remove(rd, s);
    return s;
}

size_t xeno_rd_age(struct xeno_rd *rd, xeno_time now)
{
    size_t n = 0;

    for (size_t i = 0; i < rd->used; i++) {
        if (!rd->servers[i] || rd->expires_ns[i] > now.ns)
            continue;
        server_remove(rd, rd->servers[i]);
        n++;
    }
    return n;
}

bool xeno_rd_complaints(struct xeno_rd *rd, const struct xeno_id *id, int64_t count)
{
    struct rd_server *s = server_find(rd, id);

    if (s)
        rd->complaints[s->slot] = count > 0 ? count : 0;
    return s;
}

/* --- looking at them --- */

size_t xeno_rd_count(const struct xeno_rd *rd)
{
    return rd->live;
}

size_t xeno_rd_slots(const struct xeno_rd *rd)
{
    return rd->used;
}

const struct xeno_advert *xeno_rd_at(const struct xeno_rd *rd, uint32_t slot)
{
    return slot < rd->used && rd->servers[slot] ? rd->servers[slot]->advert : NULL;
}

const struct xeno_advert *xeno_rd_get(const struct xeno_rd *rd, const struct xeno_id *id)
{
    struct rd_server *s = server_find(rd, id);

    return s ? s->advert : NULL;
}

bool xeno_rd_slot(const struct xeno_rd *rd, const struct xeno_id *id, uint32_t *ret)
{
    struct rd_server *s = server_find(rd, id);

    if (s)
        *ret = s->slot;
    return s;
}

const struct xeno_near_map *xeno_rd_map(const struct xeno_rd *rd)
{
    return rd->map;
}
