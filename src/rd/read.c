/* src/rd/read.c - what is read once from an advert, for columns that are not tokens. */
#include "rd/table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "json/json.h"
#include "xis/query.h"

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

static uint8_t read_accepting(const struct xeno_advert *a)
{
    const struct xeno_leaf *l = xeno_advert_leaf(a, "Accepting");

    if (!l)
        return XENO_UNKNOWN;
    while (l && strcmp(l->value, "yes") != 0)
        l = xeno_advert_leaf_next(a, l);
    return l ? XENO_TRUE : XENO_FALSE;
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

const struct xeno_coord *rd_coord(const struct xeno_advert *a, struct xeno_coord *ret)
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

/* --- a server --- */

static void spread(struct xeno_rd *rd, struct rd_server *s)
{
    const struct xeno_advert *a = s->advert;
    const struct xeno_leaf *kernel = xeno_advert_leaf(a, "Machine/Kernel");
    uint32_t slot = s->slot;

    rd->expires_ns[slot] = a->expires.ns;
    rd->isolation[slot] = read_isolation(a);
    rd->accepting[slot] = read_accepting(a);
    rd->corps[slot] = read_corps(rd, a);
    rd->kernels[slot] = kernel ? rd_kernel_code(kernel->value) : 0;
    rd->operators[slot] = rd_hash64(xeno_advert_text(a, "Operator", ""), 0);
    rd->places[slot] = rd_hash64(xeno_advert_text(a, "Location/Place", ""),
                                 rd_hash64(xeno_advert_text(a, "Location/Country", ""), 1));
    rd->bloom[slot] = rd->path_bloom[slot] = 0;
    for (size_t i = 0; i < s->layer_count; i++)
        rd->bloom[slot] |= rd_bloom(s->layers[i]);
    for (const struct xeno_leaf *l = xeno_advert_leaf(a, "Path/To"); l;
         l = xeno_advert_leaf_next(a, l))
        rd->path_bloom[slot] |= rd_bloom_text(l->value);
    rd->tariffs[slot] = read_tariff(a);
    for (int i = 0; i < XENO_RES_COUNT; i++) {
        const struct xeno_tariff *t = &rd->tariffs[slot];

        rd->prices[2 * i][slot] = t->epoch > 0 ? (float)t->price[i].reserved : NAN;
        rd->prices[2 * i + 1][slot] = t->epoch > 0 ? (float)t->price[i].used : NAN;
    }
    rd->accept[slot] = accept_ref(rd, a);
    rd_columns_fill(rd, s);
}

struct rd_server *rd_server_new(struct xeno_rd *rd, struct xeno_advert *a, uint32_t slot)
{
    struct rd_server *s = xeno_alloc0(1, sizeof(*s) + a->leaf_count * sizeof(s->hashes[0]));

    s->advert = a;
    s->slot = slot;
    s->leaf_count = (uint32_t)a->leaf_count;
    for (size_t i = 0; i < a->leaf_count; i++)
        s->hashes[i] = rd_hash(a->leaves[i].path);
    s->layers = read_prefixes(a, "CachedLayer", &s->layer_count);
    s->images = read_prefixes(a, "CachedImage", &s->image_count);
    spread(rd, s);
    return s;
}

void rd_server_free(struct xeno_rd *rd, struct rd_server *s)
{
    rd_columns_clear(rd, s);
    accept_unref(rd, rd->accept[s->slot]);
    rd->accept[s->slot] = NULL;
    xeno_advert_free(s->advert);
    free(s->layers);
    free(s->images);
    free(s);
}
