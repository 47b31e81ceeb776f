/* src/xis/map.h - from a hash to small numbers: a table that is read while it is written.
 *
 * Holds (hash, number) pairs; what the numbers stand for, and so whether a pair with the right hash
 * is the one looked for, the caller says. One writer, readers inside the epoch.
 */
#ifndef XENO_XIS_MAP_H
#define XENO_XIS_MAP_H

#include "xis/epoch.h"

#define XENO_MAP_NONE UINT32_MAX

struct xeno_map_table;
struct xeno_map {
    struct xeno_epoch *epoch;
    _Atomic(struct xeno_map_table *) table;
    size_t live, used; /* used: also what removed ones left behind */
};

void xeno_map_init(struct xeno_map *m, struct xeno_epoch *epoch);
void xeno_map_release(struct xeno_map *m);

/* The number with that hash for which match(ctx, number, key, len) holds; XENO_MAP_NONE: none. */
typedef bool xeno_map_match(const void *ctx, uint32_t number, const char *key, size_t len);
uint32_t xeno_map_find(const struct xeno_map *m, uint64_t hash, xeno_map_match *match,
                       const void *ctx, const char *key, size_t len);

/* Writer. A number is below XENO_MAP_NONE and in the map at most once. */
void xeno_map_add(struct xeno_map *m, uint64_t hash, uint32_t number);
void xeno_map_remove(struct xeno_map *m, uint64_t hash, uint32_t number);
size_t xeno_map_bytes(const struct xeno_map *m);

/* A hash that whoever does not know `seed` cannot make collide at will. */
uint64_t xeno_map_hash(const char *key, size_t len, uint64_t seed);

#endif
