/* src/rd/table.c - servers in columns, by slot. */
#include "rd/table.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "json/json.h"
#include "xis/query.h"

#define PEERS_MAX XENO_NEAR_LINKS

static const char *const pinned_paths[RD_T_COUNT] = {
    [RD_T_ACCEPTING] = "Accepting",      [RD_T_ENV_TYPE] = "EnvType",    [RD_T_CPU] = "CPUmsps",
    [RD_T_MEMORY] = "MemoryMB",          [RD_T_DISK] = "DiskMB",         [RD_T_NET] = "NetMbps",
    [RD_T_PROCESSES] = "Most/Processes", [RD_T_ADDRESSES] = "Addresses", [RD_T_PORTS] = "Ports",
    [RD_T_LOAD] = "LoadPercent",
};

uint32_t rd_hash(const char *text)
{
    uint32_t h = 2166136261u; /* FNV-1a; who makes collisions makes his own server slower */

    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * 16777619u;
    return h ^ h >> 15;
}

uint64_t rd_hash64(const char *text, uint64_t seed)
{
    uint64_t h = 14695981039346656037u ^ seed;

    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * 1099511628211u;
    return h ^ h >> 29;
}

bool rd_prefix(const char *digest, uint64_t *ret)
{
    uint64_t n = 0;

    if (strncmp(digest, "sha256:", 7) == 0)
        digest += 7;
    for (int i = 0; i < 16; i++) {
        char c = digest[i];

        if (c >= '0' && c <= '9')
            n = n << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            n = n << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *ret = n;
    return true;
}

enum rd_kind rd_key(const char *text, uint64_t ret[RD_SHORT_MAX / 8])
{
    size_t len = strlen(text);

    memset(ret, 0, RD_SHORT_MAX);
    if (len <= RD_SHORT_MAX) {
        memcpy(ret, text, len);
        return RD_SHORT;
    }
    ret[0] = rd_hash64(text, 0);
    return RD_LONG;
}

uint64_t rd_kernel_code(const char *release)
{
    const char *p = release;
    uint64_t code = 0;

    if (*p < '0' || *p > '9')
        return 0;
    for (int i = 0; i < 4; i++) {
        uint64_t part = 0;

        if (strchr("+- \t", *p) && *p)
            return RD_KERNEL_ODD;
        for (; *p >= '0' && *p <= '9'; p++) {
            part = part * 10 + (uint64_t)(*p - '0');
            if (part > UINT16_MAX)
                return RD_KERNEL_ODD;
        }
        code = code << 16 | part;
        p = *p == '.' ? p + 1 : "0";
    }
    return code == 0 ? RD_KERNEL_ODD : code;
}

uint64_t rd_corp_bit(const struct xeno_rd *rd, const char *id)
{
    size_t i = 0;

    while (i < rd->corp_count && strcmp(rd->corp_ids[i].s, id) != 0)
        i++;
    return UINT64_C(1) << (i < rd->corp_count ? i : RD_CORP_OTHER);
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

bool rd_has(const uint64_t *sorted, size_t n, uint64_t prefix)
{
    size_t low = 0;

    while (low < n) {
        size_t mid = low + (n - low) / 2;

        if (sorted[mid] == prefix)
            return true;
        if (sorted[mid] < prefix)
            low = mid + 1;
        else
            n = mid;
    }
    return false;
}

/* --- columns --- */

const struct xeno_leaf *rd_next(const struct rd_server *s, const struct xeno_leaf *leaf)
{
    size_t i = (size_t)(leaf - s->advert->leaves);
    uint32_t hash = s->hashes[i];

    while (++i < s->advert->leaf_count) {
        if (s->hashes[i] == hash && strcmp(s->advert->leaves[i].path, leaf->path) == 0)
            return &s->advert->leaves[i];
    }
    return NULL;
}

static void column_note(struct rd_column *col, const struct rd_server *s, size_t i)
{
    const struct xeno_leaf *leaf = &s->advert->leaves[i];
    struct rd_cell *c = &col->cells[s->slot];

    if (c->kind != RD_NONE) {
        c->kind = RD_SET;
        return;
    }
    c->first = (uint16_t)i;
    c->kind = RD_NUMBER;
    if (leaf->number)
        c->n = leaf->n;
    else
        c->kind = (uint8_t)rd_key(leaf->value, c->key);
}

static bool column_is(const struct rd_column *col, const struct rd_server *s, size_t i)
{
    return col->hash == s->hashes[i] && strcmp(col->path, s->advert->leaves[i].path) == 0;
}

static void column_fill(struct rd_column *col, const struct rd_server *s)
{
    for (size_t i = 0; i < s->advert->leaf_count; i++) {
        if (column_is(col, s, i))
            column_note(col, s, i);
    }
}

static void column_name(struct rd_column *col, const char *path)
{
    snprintf(col->path, sizeof(col->path), "%s", path);
    col->hash = rd_hash(path);
}

/* Where the column goes: a new place, or that of the one that was least lately named. */
static struct rd_column *column_place(struct xeno_rd *rd)
{
    struct rd_column *oldest = &rd->dynamic[0];

    if (rd->dynamic_count < XENO_RD_COLUMNS)
        return &rd->dynamic[rd->dynamic_count++];
    for (size_t i = 1; i < XENO_RD_COLUMNS; i++) {
        if (rd->dynamic[i].named < oldest->named)
            oldest = &rd->dynamic[i];
    }
    free(oldest->cells);
    return oldest;
}

const struct rd_cell *rd_column(struct xeno_rd *rd, const char *path)
{
    struct rd_column *col;

    for (size_t i = 0; i < RD_T_COUNT; i++) {
        if (strcmp(rd->pinned[i].path, path) == 0)
            return rd->pinned[i].cells;
    }
    for (size_t i = 0; i < rd->dynamic_count; i++) {
        if (strcmp(rd->dynamic[i].path, path) == 0) {
            rd->dynamic[i].named = rd->finds;
            return rd->dynamic[i].cells;
        }
    }
    col = column_place(rd);
    column_name(col, path);
    col->named = rd->finds;
    col->cells = xeno_new0_n(struct rd_cell, rd->room);
    for (size_t slot = 0; slot < rd->used; slot++) {
        if (rd->servers[slot])
            column_fill(col, rd->servers[slot]);
    }
    return col->cells;
}

static void columns_clear(struct xeno_rd *rd, uint32_t slot)
{
    for (size_t i = 0; i < RD_T_COUNT; i++)
        rd->pinned[i].cells[slot].kind = RD_NONE;
    for (size_t i = 0; i < rd->dynamic_count; i++)
        rd->dynamic[i].cells[slot].kind = RD_NONE;
}

static void columns_fill(struct xeno_rd *rd, const struct rd_server *s)
{
    columns_clear(rd, s->slot);
    for (size_t i = 0; i < RD_T_COUNT; i++)
        column_fill(&rd->pinned[i], s);
    for (size_t i = 0; i < rd->dynamic_count; i++)
        column_fill(&rd->dynamic[i], s);
}

/* --- what is read once from an advert --- */

static uint8_t read_isolation(const struct xeno_advert *a)
{
    static const struct {
        const char *name;
        uint8_t bit;
    } words[] = { { "null", XENO_RD_NULL },
                  { "process", XENO_RD_PROCESS },
                  { "container", XENO_RD_CONTAINER },
                  { "vm", XENO_RD_VM } };
    uint8_t bits = 0;

    for (const struct xeno_leaf *l = xeno_advert_leaf(a, "Isolation"); l;
         l = xeno_advert_leaf_next(a, l)) {
        for (size_t i = 0; i < XENO_LEN(words); i++) {
            if (strcmp(l->value, words[i].name) == 0)
                bits |= words[i].bit;
        }
    }
    return bits;
}

static uint64_t read_corps(struct xeno_rd *rd, const struct xeno_advert *a)
{
    uint64_t bits = 0, bit;

    for (const struct xeno_leaf *l = xeno_advert_leaf(a, "Corp"); l;
         l = xeno_advert_leaf_next(a, l)) {
        bit = rd_corp_bit(rd, l->value);
        if (bit == UINT64_C(1) << RD_CORP_OTHER && rd->corp_count < RD_CORP_OTHER &&
            xeno_id_ok(l->value)) {
            bit = UINT64_C(1) << rd->corp_count;
            memcpy(rd->corp_ids[rd->corp_count++].s, l->value, XENO_ID_CHARS + 1);
        }
        bits |= bit;
    }
    return bits;
}

static bool read_price(const struct xeno_advert *a, const char *resource, const char *kind,
                       int64_t *ret)
{
    char path[64];
    double n;

    snprintf(path, sizeof(path), "Price/%s/%s", resource, kind);
    n = xeno_advert_number(a, path, NAN);
    if (!(n >= 0 && n <= (double)XENO_PRICE_MAX) || n != floor(n))
        return false;
    *ret = (int64_t)n;
    return true;
}

/* All prices or none: a sum with a hole in it would look cheap. An address has no used part. */
static struct xeno_tariff read_tariff(const struct xeno_advert *a)
{
    static const char *const names[XENO_RES_COUNT] = {
        [XENO_RES_CPU] = "CPU", [XENO_RES_MEMORY] = "Memory",   [XENO_RES_DISK] = "Disk",
        [XENO_RES_NET] = "Net", [XENO_RES_ADDRESS] = "Address",
    };
    struct xeno_tariff t = { .epoch = 1 };
    double epoch = xeno_advert_number(a, "Price/Epoch", 1);

    for (int i = 0; i < XENO_RES_COUNT; i++) {
        bool used = read_price(a, names[i], "UsedMicro", &t.price[i].used);

        if (!read_price(a, names[i], "ReservedMicro", &t.price[i].reserved) ||
            (!used && i != XENO_RES_ADDRESS))
            return (struct xeno_tariff){ .epoch = 0 };
    }
    if (epoch >= 1 && epoch <= 1e15)
        t.epoch = (int64_t)epoch;
    return t;
}

static uint64_t *read_prefixes(const struct xeno_advert *a, const char *path, size_t *ret_count)
{
    uint64_t *all = NULL;
    size_t n = 0, room = 0;

    for (const struct xeno_leaf *l = xeno_advert_leaf(a, path); l;
         l = xeno_advert_leaf_next(a, l)) {
        if (n == room) {
            room = room ? 2 * room : 8;
            all = xeno_grow(all, room);
        }
        if (rd_prefix(l->value, &all[n]))
            n++;
    }
    if (n > 0)
        qsort(all, n, sizeof(*all), compare_u64);
    *ret_count = n;
    return all;
}

static const struct xeno_coord *read_coord(const struct xeno_advert *a, struct xeno_coord *ret)
{
    double samples = xeno_advert_number(a, "Coordinate/Samples", NAN);
    char path[32];

    for (int i = 0; i < XENO_COORD_DIM; i++) {
        snprintf(path, sizeof(path), "Coordinate/X%d", i + 1);
        ret->x[i] = xeno_advert_number(a, path, NAN);
    }
    ret->height_ms = xeno_advert_number(a, "Coordinate/HeightMs", NAN);
    ret->error_ms = xeno_advert_number(a, "Coordinate/ErrorMs", NAN);
    if (!(samples >= 0))
        return NULL;
    ret->samples = samples < UINT32_MAX ? (uint32_t)samples : UINT32_MAX;
    return xeno_coord_ok(ret) ? ret : NULL;
}

/* --- Accept --- */

static void accept_unref(struct xeno_rd *rd, struct rd_accept *a)
{
    if (!a || --a->refs > 0)
        return;
    HASH_DEL(rd->accepts, a);
    xeno_query_free(a->tree);
    free(a);
}

static struct rd_accept *accept_ref(struct xeno_rd *rd, const struct xeno_advert *advert)
{
    const struct xeno_leaf *leaf = xeno_advert_leaf(advert, "Accept");
    xeno_auto(xeno_json) j = NULL;
    struct rd_accept *a;
    struct xeno_json_at at;
    size_t len;

    if (!leaf)
        return NULL;
    len = strlen(leaf->value);
    HASH_FIND(hh, rd->accepts, leaf->value, len, a);
    if (a) {
        a->refs++;
        return a;
    }
    a = xeno_alloc0(1, sizeof(*a) + len + 1);
    memcpy(a->text, leaf->value, len + 1);
    a->refs = 1;
    if (xeno_json_parse(a->text, len, XENO_ADVERT_VALUE, &j, NULL) == 0) {
        at = xeno_json_top(j);
        if (xeno_query_read(&at, &a->tree, NULL) < 0)
            a->tree = NULL;
    }
    for (size_t i = 0; a->tree && i < a->tree->count; i++) {
        const char *token = a->tree->nodes[i].token;

        a->of_requirement |= token && strncmp(token, "Client/", 7) != 0;
    }
    HASH_ADD(hh, rd->accepts, text, len, a);
    return a;
}

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

    xeno_near_map_set(rd->map, s->slot, read_coord(s->advert, &coord), links, n);
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

static void slots_push(struct rd_slots *s, uint32_t slot)
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
        slots_push(&rd->free, rd->waiting.at[--rd->waiting.count]);
}

/* --- servers come and go --- */

struct xeno_rd *xeno_rd_new(size_t max_servers)
{
    struct xeno_rd *rd = xeno_new0(struct xeno_rd);

    rd->max = max_servers < UINT32_MAX / 4 ? max_servers : UINT32_MAX / 4;
    rd->map = xeno_near_map_new();
    for (size_t i = 0; i < RD_T_COUNT; i++)
        column_name(&rd->pinned[i], pinned_paths[i]);
    return rd;
}

static void server_free(struct xeno_rd *rd, struct rd_server *s)
{
    xeno_advert_free(s->advert);
    accept_unref(rd, rd->accept[s->slot]);
    rd->accept[s->slot] = NULL;
    free(s->hashes);
    free(s->layers);
    free(s->images);
    free(s);
}

void xeno_rd_free(struct xeno_rd *rd)
{
    struct rd_server *s, *next;

    if (!rd)
        return;
    HASH_ITER (hh, rd->by_id, s, next) {
        HASH_DEL(rd->by_id, s);
        server_free(rd, s);
    }
    for (size_t i = 0; i < RD_T_COUNT; i++)
        free(rd->pinned[i].cells);
    for (size_t i = 0; i < rd->dynamic_count; i++)
        free(rd->dynamic[i].cells);
    xeno_near_map_free(rd->map);
    rd_scratch_free(rd->scratch);
    free(rd->servers);
    free(rd->expires_ns);
    free(rd->complaints);
    free(rd->isolation);
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

static void server_read(struct xeno_rd *rd, struct rd_server *s)
{
    const struct xeno_advert *a = s->advert;
    const struct xeno_leaf *kernel;
    uint32_t slot = s->slot;

    s->hashes = xeno_new0_n(uint32_t, a->leaf_count + 1);
    for (size_t i = 0; i < a->leaf_count; i++)
        s->hashes[i] = rd_hash(a->leaves[i].path);
    s->layers = read_prefixes(a, "CachedLayer", &s->layer_count);
    s->images = read_prefixes(a, "CachedImage", &s->image_count);
    rd->accept[slot] = accept_ref(rd, a);
    rd->servers[slot] = s;
    rd->expires_ns[slot] = a->expires.ns;
    rd->isolation[slot] = read_isolation(a);
    rd->corps[slot] = read_corps(rd, a);
    kernel = xeno_advert_leaf(a, "Machine/Kernel");
    rd->kernels[slot] = kernel ? rd_kernel_code(kernel->value) : 0;
    rd->operators[slot] = rd_hash64(xeno_advert_text(a, "Operator", ""), 0);
    rd->places[slot] = rd_hash64(xeno_advert_text(a, "Location/Place", ""),
                                 rd_hash64(xeno_advert_text(a, "Location/Country", ""), 1));
    rd->bloom[slot] = 0;
    for (size_t i = 0; i < s->layer_count; i++)
        rd->bloom[slot] |= rd_bloom(s->layers[i]);
    rd->path_bloom[slot] = 0;
    for (const struct xeno_leaf *l = xeno_advert_leaf(a, "Path/To"); l;
         l = xeno_advert_leaf_next(a, l))
        rd->path_bloom[slot] |= rd_bloom_text(l->value);
    rd->tariffs[slot] = read_tariff(a);
    columns_fill(rd, s);
}

static void server_remove(struct xeno_rd *rd, struct rd_server *s)
{
    columns_clear(rd, s->slot);
    rd->servers[s->slot] = NULL;
    xeno_near_map_clear(rd->map, s->slot);
    slots_push(&rd->waiting, s->slot);
    HASH_DEL(rd->by_id, s);
    server_free(rd, s);
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
        server_free(rd, old);
        rd->live--;
    }
    s = xeno_new0(struct rd_server);
    s->advert = a;
    s->slot = slot;
    rd->complaints[slot] = complaints;
    server_read(rd, s);
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
