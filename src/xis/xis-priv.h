/* src/xis/xis-priv.h - the store's parts, for the files that make it up. */
#ifndef XENO_XIS_XIS_PRIV_H
#define XENO_XIS_XIS_PRIV_H

#include "xis/index-priv.h"
#include "xis/watch.h"
#include "xis/xis.h"

/* What died is remembered this long at least, so that those who follow the feed see it die. */
#define XENO_XIS_REMEMBER_S 600

/* One state of one id: never changed once readers can see it, replaced whole. */
struct xeno_record {
    enum xeno_xis_state state;
    uint32_t carrier; /* for whom it counts; 0: nobody */
    bool own;         /* of the carrier itself */
    int64_t version, seq;
    _Atomic int64_t kept; /* kept.h; 0: not yet */
    xeno_time expires;
    xeno_time until; /* past it, no text of the id that was ever taken is in time */
    char *jws, *delta;
    uint32_t jws_len, delta_len;
    struct xeno_cells cells; /* within the same memory; none unless alive */
};

struct xeno_slot {
    _Atomic(struct xeno_record *) record; /* NULL: not in use */
    uint64_t hash;                        /* of the id */
    uint32_t due;                         /* place in the heap of what is to come; writer */
};

/* What a credential brought and may still bring. */
struct xeno_account {
    char id[XENO_ID_CHARS + 1];
    uint64_t hash;
    size_t others, own_bytes, other_bytes, tokens;
    struct xeno_xis_claim claimed; /* by all that is on its way */
    double level, burst;           /* updates it may ask for at `when` */
    double per_s;
    xeno_time when; /* monotonic */
};

struct xeno_xis {
    const struct xeno_env *env;
    struct xeno_xis_limits limits;
    struct xeno_epoch *epoch;
    struct xeno_index ix;
    struct xeno_column *ids;   /* struct xeno_id, by slot */
    struct xeno_column *slots; /* struct xeno_slot, by slot */
    _Atomic uint32_t slot_top; /* slots are below it */
    struct xeno_map map;       /* from id to slot */
    struct xeno_tree feed;     /* (seq, slot) */
    struct xeno_tree kept;     /* (kept, slot) */
    _Atomic int64_t seq, through;
    int64_t next_seq;
    uint64_t seed;
    bool bulk;
    uint32_t *heap; /* slots by when they are due next, the first at [0] */
    size_t heap_len, heap_room;
    struct xeno_column *accounts; /* struct xeno_account, by number */
    struct xeno_map carriers;
    size_t carrier_count;
    uint32_t sweep; /* the account looked at last */
    size_t alive, dead, text_bytes, record_bytes;
    size_t claimed_ids, claimed_tokens;
    struct xeno_watch *watches; /* a list */
    size_t watch_count;
};

struct xeno_xis_reader {
    struct xeno_xis *x;
    struct xeno_mark *mark;
    struct xeno_moment moment; /* of the last batch */
};

static inline struct xeno_slot *xeno_slot_at(const struct xeno_xis *x, uint32_t slot)
{
    return xeno_column_at(x->slots, slot);
}
static inline const char *xeno_slot_id(const struct xeno_xis *x, uint32_t slot)
{
    return ((const struct xeno_id *)xeno_column_at(x->ids, slot))->s;
}
static inline struct xeno_record *xeno_record_at(const struct xeno_xis *x, uint32_t slot)
{
    return atomic_load(&xeno_slot_at(x, slot)->record);
}
/* The slot of an id; XENO_MAP_NONE: it has none. */
uint32_t xeno_slot_find(const struct xeno_xis *x, const char *id);

/* --- xis-due.c: the heap of what is to expire or to be forgotten --- */
void xeno_due_set(struct xeno_xis *x, uint32_t slot); /* in it, or moved: its record changed */
void xeno_due_remove(struct xeno_xis *x, uint32_t slot);
xeno_time xeno_due_of(const struct xeno_record *r);

/* --- xis-carrier.c --- */
uint32_t xeno_account_of(struct xeno_xis *x, const char *id); /* made if it is not there */
struct xeno_account *xeno_account_at(const struct xeno_xis *x, uint32_t number);
/* What changes for a carrier when a record comes or goes. */
void xeno_account_add(struct xeno_xis *x, const struct xeno_record *r);
void xeno_account_drop(struct xeno_xis *x, const struct xeno_record *r);
void xeno_account_token_gone(void *ctx, uint32_t number);
/* May `c` have one more record of that size in place of `old` (NULL: none)? Errors: xis.quota. */
int xeno_account_check(const struct xeno_xis *x, const struct xeno_xis_carrier *c, uint32_t number,
                       bool own, size_t bytes, const struct xeno_record *old, struct xeno_err *err);
/* Forget a few accounts that hold nothing. */
void xeno_account_sweep(struct xeno_xis *x);

/* --- xis-put.c --- */
/* Returns: -EEXIST xis.old. */
int xeno_fail_old(const struct xeno_advert *a, int64_t known, struct xeno_err *err);
/* The record `r` takes the place of what `slot` has (or has not); both count, and the feed too. */
void xeno_record_replace(struct xeno_xis *x, uint32_t slot, struct xeno_record *r);
struct xeno_record *xeno_record_new(const struct xeno_cells *cells);
void xeno_record_forget(struct xeno_xis *x, uint32_t slot);
void xeno_xis_show(struct xeno_xis *x); /* a commit, unless in bulk */

/* --- kept.c: a record comes or goes --- */
void xeno_kept_add(struct xeno_xis *x, uint32_t slot, const struct xeno_record *r);
void xeno_kept_drop(struct xeno_xis *x, uint32_t slot, const struct xeno_record *r);

/* --- xis-view.c: a query asked of one record after the other --- */
struct xeno_view {
    const struct xeno_xis *x;
    const struct xeno_query_tree *q;
    uint32_t token[XENO_QUERY_NODES]; /* by node: its token's number; 0: no advert has it */
    const struct xeno_record *record; /* the one that is asked about */
    size_t units;                     /* of work: values that were compared */
};
void xeno_view_init(struct xeno_view *v, const struct xeno_xis *x, const struct xeno_query_tree *q);
/* The source for xeno_query_eval(); its ctx is the view. */
bool xeno_view_value(void *view, const struct xeno_query_node *node, size_t i,
                     struct xeno_query_value *ret);
/* The number of a path; 0: no advert has it. */
uint32_t xeno_token_number(const struct xeno_xis *x, const char *path);
/* The cells of a token in a record, numbers or (XENO_CELL_TEXT) texts. Returns: the first; *ret_n.
 */
uint32_t xeno_record_cells(const struct xeno_record *r, uint32_t token, uint32_t *ret_n);

/* --- xis-cover.c: ranges of the index in which all that a query can be true of must be --- */
#define XENO_COVER_SPANS 256
struct xeno_cover {
    const struct xeno_xis *x;
    uint64_t size; /* entries in all spans */
    size_t n;
    struct xeno_span span[XENO_COVER_SPANS];
};
void xeno_cover_of(struct xeno_cover *c, const struct xeno_xis *x,
                   const struct xeno_query_tree *q); /* NULL: all adverts */

/* --- xis-read.c --- */
/* The feed's first change after number `after`. */
void xeno_feed_from(const struct xeno_xis *x, const struct xeno_node *root, int64_t after,
                    struct xeno_cursor *ret);

/* --- watch.c --- */
void xeno_watch_forget(struct xeno_xis *x, uint32_t slot);

#endif
