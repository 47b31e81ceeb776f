/* src/xis/index-priv.h - the index as the store changes and reads it. */
#ifndef XENO_XIS_INDEX_PRIV_H
#define XENO_XIS_INDEX_PRIV_H

#include "xis/advert.h"
#include "xis/index.h"
#include "xis/tree.h"

#define XENO_CELL_TEXT UINT32_C(0x80000000) /* in a cell's token: its value is a text's number */

/* The values of one advert, sorted by token (numbers before texts) and then by value as it is here,
 * none twice. Each holds a reference on its token and on its text. */
struct xeno_cells {
    uint32_t n;
    uint64_t *value; /* xeno_key_of_number(), or the text's number */
    uint32_t *token; /* and XENO_CELL_TEXT */
};

struct xeno_token {
    struct xeno_tree numbers, texts;
    uint32_t id, maker; /* whose new token it was; 0: nobody's */
    uint32_t then;      /* id of what followed it in a document; may be of another one by now */
    size_t refs;        /* cells */
    uint64_t hash;
    bool touched; /* since the last commit */
    char path[];
};

/* All paths in bytewise order; replaced whole. */
struct xeno_names {
    size_t n;
    struct xeno_token *token[];
};

struct xeno_index {
    struct xeno_epoch *epoch;
    struct xeno_forest forest;
    struct xeno_intern intern;
    struct xeno_column *tokens; /* struct xeno_token * */
    struct xeno_map map;
    _Atomic(struct xeno_names *) names;
    size_t token_count, token_max;
    uint64_t seed, values;
    struct xeno_token **touched;
    size_t touched_len, touched_room;
    void (*gone)(void *ctx, uint32_t maker); /* a token of `maker` is no more */
    void *ctx;
};

void xeno_index_init(struct xeno_index *ix, struct xeno_epoch *epoch, uint64_t seed,
                     size_t token_max);
void xeno_index_release(struct xeno_index *ix); /* no reader is left; before the epoch's end */

/* The cells of leaves; of `maker`, who may make `may_make` new tokens.
 * Returns: how many it made; *ret is to be released, or given to an advert.
 * Errors:  -EDQUOT xis.quota, -ENOSPC xis.full; nothing is changed. */
int xeno_index_cells(struct xeno_index *ix, const struct xeno_leaf *leaves, size_t n,
                     uint32_t maker, size_t may_make, struct xeno_cells *ret, struct xeno_err *err);
void xeno_index_cells_release(struct xeno_index *ix, struct xeno_cells *c);

/* `slot` had the cells `from`, and has `to`; either may be empty. */
void xeno_index_change(struct xeno_index *ix, uint32_t slot, const struct xeno_cells *from,
                       const struct xeno_cells *to);
/* Show readers all changes (the caller ticks the epoch after). */
void xeno_index_commit(struct xeno_index *ix);

/* --- readers --- */

struct xeno_token *xeno_index_token(const struct xeno_index *ix, const char *path);
size_t xeno_index_lookup(const struct xeno_index *ix, const struct xeno_lookup *l,
                         uint64_t *ret_total, struct xeno_hit *hits);

/* A token's trees as they were at one moment; path is a lookup's. */
struct xeno_roots {
    const char *path;
    const struct xeno_node *numbers, *texts;
};
/* What a batch saw of each token when it first came to it. Room only: nothing to init. */
struct xeno_moment {
    size_t n;
    uint16_t at[2048]; /* by hash: 1 + where in the next two; 0: nothing */
    uint64_t hash[XENO_XIS_BATCH];
    struct xeno_roots roots[XENO_XIS_BATCH];
};
size_t xeno_index_lookups(const struct xeno_index *ix, struct xeno_moment *m,
                          const struct xeno_lookup *l, size_t n, struct xeno_found *found,
                          struct xeno_hit *hits);
struct xeno_query_value xeno_index_value(const struct xeno_index *ix, uint32_t token,
                                         uint64_t value);
size_t xeno_index_tokens(const struct xeno_index *ix, const char *after, size_t limit,
                         struct xeno_token_info *ret);

/* A range of one of a token's trees as it was at one moment. */
struct xeno_span {
    const struct xeno_node *root;
    bool texts;
    uint64_t low, high; /* ranks; low == high: empty */
};
/* What a lookup covers: numbers in out[0], texts in out[1]. */
void xeno_index_spans(const struct xeno_index *ix, const struct xeno_token *t,
                      const struct xeno_lookup *l, struct xeno_span out[2]);

#endif
