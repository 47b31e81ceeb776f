/* src/rd/table.h - private to src/rd: servers in columns, by slot.
 *
 * An advert's leaves are spread over columns when it comes: a few that every find looks at always
 * exist, one for any other token is made when a query first names it (the least lately named goes
 * when there are XENO_RD_COLUMNS). So a find walks along arrays and touches a server's own memory
 * only where two texts have the same hash.
 */
#ifndef XENO_RD_TABLE_H
#define XENO_RD_TABLE_H

#include <uthash.h>

#include "host/tariff.h"
#include "rd/find.h"
#include "xis/advert.h"

#define XENO_RD_COLUMNS 64 /* made for queries */
#define RD_BUCKETS      256
#define RD_SKETCH       65536
#define RD_CORP_OTHER   63 /* XenoCorps that have a bit of their own */

/* What a server says under one token. */
enum rd_kind {
    RD_NONE,
    RD_NUMBER,
    RD_SHORT, /* a text that is here as a whole */
    RD_LONG,  /* any other text: its hash */
    RD_SET,   /* more than one leaf */
};

#define RD_SHORT_MAX 16

struct rd_cell {
    union {
        double n;
        uint64_t key[RD_SHORT_MAX / 8]; /* SHORT: the text, zero bytes after it; LONG: its hash */
    };
    uint16_t first; /* leaf */
    uint8_t kind;
};

struct rd_column {
    char path[XENO_ADVERT_PATH + 1];
    uint32_t hash;  /* of the path */
    uint64_t named; /* when it was asked for last, in finds */
    struct rd_cell *cells;
    struct rd_column *next; /* of its bucket */
};

enum rd_token { /* of columns that always exist */
                RD_T_ENV_TYPE,
                RD_T_CPU,
                RD_T_MEMORY,
                RD_T_DISK,
                RD_T_NET,
                RD_T_PROCESSES,
                RD_T_ADDRESSES,
                RD_T_PORTS,
                RD_T_LOAD,
                RD_T_COUNT
};

/* A text of `Accept`; servers with the same one share it. */
struct rd_accept {
    UT_hash_handle hh;
    size_t refs;
    struct xeno_query_tree *tree; /* NULL: it can not be read, and nobody knows whom it accepts */
    uint64_t find;                /* which find `holds` is of */
    int holds;
    bool of_requirement; /* it asks about more than Client/... */
    char text[];
};

struct rd_server {
    UT_hash_handle hh;
    struct xeno_advert *advert;
    uint32_t slot;
    size_t layer_count, image_count;
    uint64_t *layers, *images; /* the cached ones: 16 hex digits each, sorted */
    uint32_t leaf_count;
    uint32_t hashes[]; /* of its leaves' paths */
};

struct rd_slots {
    uint32_t *at;
    size_t count, room;
};

/* What predicts round trips, in single precision (trips.c). */
struct rd_trips {
    float *x[XENO_COORD_DIM], *height; /* height INFINITY: no coordinate of use */
    struct rd_slots *naming, *named;   /* who published a round trip to it, and to whom it did */
};

struct xeno_rd {
    size_t max, room, used, live; /* slots: allocated, ever used, with a server */
    struct rd_server *by_id;
    struct rd_accept *accepts;
    /* by slot */
    struct rd_server **servers;
    int64_t *expires_ns;
    int64_t *complaints;
    uint8_t *isolation;                /* bits; 0: not told */
    uint8_t *accepting;                /* enum xeno_truth */
    double *numbers[RD_T_COUNT];       /* of pinned columns: the largest number told; NAN: none */
    float *prices[2 * XENO_RES_COUNT]; /* reserved, used, reserved ...; NAN: not known */
    uint64_t *corps;                   /* bits of corp_ids; the last bit: some other */
    uint64_t *kernels;                 /* rd_kernel_code() of Machine/Kernel */
    uint64_t *operators, *places;      /* hashes of texts */
    uint64_t *bloom, *path_bloom;      /* of the cached layers; of Path/To */
    struct xeno_tariff *tariffs;       /* epoch 0: not known */
    struct rd_accept **accept;         /* NULL: everybody */
    struct rd_column pinned[RD_T_COUNT], dynamic[XENO_RD_COLUMNS], *buckets[RD_BUCKETS];
    size_t dynamic_count;
    uint32_t sketch[RD_SKETCH]; /* leaves by hash of their path: 0: nobody has such a token */

    size_t corp_count;
    struct xeno_id corp_ids[RD_CORP_OTHER];

    struct rd_slots free, waiting; /* waiting: links of the map may still name them */
    struct xeno_near_map *map;
    struct rd_trips trips;
    size_t cursor, to_link; /* old adverts that may name new servers */

    struct rd_scratch *scratch; /* of a find */
    uint64_t finds;
};

uint32_t rd_hash(const char *text);
uint64_t rd_hash64(const char *text, uint64_t seed);

/* A text as a cell has it: RD_SHORT or RD_LONG. */
enum rd_kind rd_key(const char *text, uint64_t ret[RD_SHORT_MAX / 8]);

/* Four leading numbers of a kernel's release, that compare as xeno_kernel_compare() does.
 * RD_KERNEL_ODD: look at the text; 0: it is none. */
#define RD_KERNEL_ODD UINT64_MAX
uint64_t rd_kernel_code(const char *release);

/* The bit of a XenoCorp; of RD_CORP_OTHER when it has none. */
uint64_t rd_corp_bit(const struct xeno_rd *rd, const char *id);

/* The column of a token, made if need be. Borrowed until XENO_RD_COLUMNS others were asked for. */
const struct rd_cell *rd_column(struct xeno_rd *rd, const char *path);
void rd_columns_init(struct xeno_rd *rd);
void rd_columns_fill(struct xeno_rd *rd, const struct rd_server *s);
void rd_columns_clear(struct xeno_rd *rd, const struct rd_server *s);

/* Spread what an advert says over the columns of its slot, and take it away again. */
struct rd_server *rd_server_new(struct xeno_rd *rd, struct xeno_advert *a, uint32_t slot);
void rd_server_free(struct xeno_rd *rd, struct rd_server *s); /* its advert too */

/* The coordinate that an advert tells; NULL: none, or not one that can be. */
const struct xeno_coord *rd_coord(const struct xeno_advert *a, struct xeno_coord *ret);

/* The next leaf of the path of `leaf`; NULL: none. */
const struct xeno_leaf *rd_next(const struct rd_server *s, const struct xeno_leaf *leaf);
static inline const struct xeno_leaf *rd_first(const struct rd_server *s, const struct rd_cell *c)
{
    return c->kind == RD_NONE ? NULL : &s->advert->leaves[c->first];
}

/* The first 16 hex digits of a digest, "sha256:" before them or not; false: there are not as many.
 */
bool rd_prefix(const char *digest, uint64_t *ret);
static inline uint64_t rd_bloom(uint64_t prefix)
{
    return UINT64_C(1) << (prefix * UINT64_C(0x9e3779b97f4a7c15) >> 58);
}
static inline uint64_t rd_bloom_text(const char *text)
{
    return rd_bloom(rd_hash64(text, 0));
}
bool rd_has(const uint64_t *sorted, size_t n, uint64_t prefix);

void rd_slots_push(struct rd_slots *s, uint32_t slot);

/* After each change of the map. Slots from..to are new. */
void rd_trips_grow(struct rd_trips *t, size_t from, size_t to);
void rd_trips_release(struct rd_trips *t, size_t room);
void rd_trips_set(struct xeno_rd *rd, uint32_t slot, const struct xeno_near_link *links, size_t n);
void rd_trips_clear(struct xeno_rd *rd, uint32_t slot);

void rd_scratch_free(struct rd_scratch *s);

#endif
