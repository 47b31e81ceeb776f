/* src/rd/columns.c - what all servers say under one token, side by side. */
#include "rd/table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const pinned_paths[RD_T_COUNT] = {
    [RD_T_ENV_TYPE] = "EnvType",    [RD_T_CPU] = "CPUmsps", [RD_T_MEMORY] = "MemoryMB",
    [RD_T_DISK] = "DiskMB",         [RD_T_NET] = "NetMbps", [RD_T_PROCESSES] = "Most/Processes",
    [RD_T_ADDRESSES] = "Addresses", [RD_T_PORTS] = "Ports", [RD_T_LOAD] = "LoadPercent",
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

#define SKETCH(hash) ((hash) & (RD_SKETCH - 1))

/* The next leaf of that path. */
const struct xeno_leaf *rd_next(const struct rd_server *s, const struct xeno_leaf *leaf)
{
    size_t i = (size_t)(leaf - s->advert->leaves);
    uint32_t hash = s->hashes[i];

    while (++i < s->leaf_count) {
        if (s->hashes[i] == hash && strcmp(s->advert->leaves[i].path, leaf->path) == 0)
            return &s->advert->leaves[i];
    }
    return NULL;
}

static void cell_note(struct rd_cell *c, const struct xeno_leaf *leaf, size_t i)
{
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

/* --- the columns there are, by the hash of their path --- */

static struct rd_column *column_find(struct xeno_rd *rd, uint32_t hash, const char *path)
{
    struct rd_column *col = rd->buckets[hash % RD_BUCKETS];

    while (col && (col->hash != hash || strcmp(col->path, path) != 0))
        col = col->next;
    return col;
}

static void column_name(struct xeno_rd *rd, struct rd_column *col, const char *path)
{
    struct rd_column **bucket;

    snprintf(col->path, sizeof(col->path), "%s", path);
    col->hash = rd_hash(path);
    bucket = &rd->buckets[col->hash % RD_BUCKETS];
    col->next = *bucket;
    *bucket = col;
}

static void column_unname(struct xeno_rd *rd, struct rd_column *col)
{
    struct rd_column **at = &rd->buckets[col->hash % RD_BUCKETS];

    while (*at != col)
        at = &(*at)->next;
    *at = col->next;
}

/* Where the column goes: a new place, or that of the one that was least lately named. */
static struct rd_column *column_place(struct xeno_rd *rd)
{
    struct rd_column *oldest = &rd->dynamic[0];

    if (rd->dynamic_count < XENO_RD_COLUMNS) {
        oldest = &rd->dynamic[rd->dynamic_count++];
        oldest->cells = xeno_new0_n(struct rd_cell, rd->room);
        return oldest;
    }
    for (size_t i = 1; i < XENO_RD_COLUMNS; i++) {
        if (rd->dynamic[i].named < oldest->named)
            oldest = &rd->dynamic[i];
    }
    column_unname(rd, oldest);
    memset(oldest->cells, 0, rd->used * sizeof(*oldest->cells));
    return oldest;
}

static void column_fill(struct rd_column *col, const struct rd_server *s)
{
    for (size_t i = 0; i < s->leaf_count; i++) {
        if (s->hashes[i] == col->hash && strcmp(col->path, s->advert->leaves[i].path) == 0)
            cell_note(&col->cells[s->slot], &s->advert->leaves[i], i);
    }
}

const struct rd_cell *rd_column(struct xeno_rd *rd, const char *path)
{
    uint32_t hash = rd_hash(path);
    struct rd_column *col = column_find(rd, hash, path);

    if (!col) {
        col = column_place(rd);
        column_name(rd, col, path);
        /* whoever invents tokens makes nobody look for them */
        for (size_t slot = 0; rd->sketch[SKETCH(hash)] > 0 && slot < rd->used; slot++) {
            if (rd->servers[slot])
                column_fill(col, rd->servers[slot]);
        }
    }
    col->named = rd->finds;
    return col->cells;
}

void rd_columns_init(struct xeno_rd *rd)
{
    for (size_t i = 0; i < RD_T_COUNT; i++)
        column_name(rd, &rd->pinned[i], pinned_paths[i]);
}

void rd_columns_clear(struct xeno_rd *rd, const struct rd_server *s)
{
    for (size_t i = 0; i < s->leaf_count; i++)
        rd->sketch[SKETCH(s->hashes[i])]--;
    for (size_t i = 0; i < RD_T_COUNT; i++)
        rd->pinned[i].cells[s->slot].kind = RD_NONE;
    for (size_t i = 0; i < rd->dynamic_count; i++)
        rd->dynamic[i].cells[s->slot].kind = RD_NONE;
}

/* The largest number that is told under the cell's token; NAN: none is. */
static double largest(const struct rd_server *s, const struct rd_cell *c)
{
    double most = NAN;

    for (const struct xeno_leaf *l = rd_first(s, c); l; l = rd_next(s, l)) {
        if (l->number && !(most >= l->n))
            most = l->n;
    }
    return most;
}

void rd_columns_fill(struct xeno_rd *rd, const struct rd_server *s)
{
    for (size_t i = 0; i < s->leaf_count; i++) {
        const struct xeno_leaf *leaf = &s->advert->leaves[i];
        struct rd_column *col = column_find(rd, s->hashes[i], leaf->path);

        rd->sketch[SKETCH(s->hashes[i])]++;
        if (col)
            cell_note(&col->cells[s->slot], leaf, i);
    }
    for (size_t i = 0; i < RD_T_COUNT; i++)
        rd->numbers[i][s->slot] = largest(s, &rd->pinned[i].cells[s->slot]);
}
