/* src/rd/find-priv.h - private to src/rd: one find, in its stages.
 *
 *     rd_match     which constraints each server fails, as bits        match.c, where.c, cost.c,
 *                                                                      trips.c
 *     rd_rank      the best of those that fail none                    rank.c, sets.c
 *     rd_explain   what the others fell to, what could be asked for    explain.c, words.c
 *     rd_why       the winners' reasons                                why.c
 */
#ifndef XENO_RD_FIND_PRIV_H
#define XENO_RD_FIND_PRIV_H

#include "base/buf.h"
#include "rd/table.h"
#include "xis/query.h"

#define RD_BIT(c)  (UINT64_C(1) << (c))
#define RD_ABSENT  (UINT64_C(1) << 63) /* no server in this slot */
#define RD_NO_SLOT UINT32_MAX
#define RD_NO_COST INT64_C(-1)
#define RD_NOT_YET INT64_C(-2)

#define RD_PART     4096 /* slots that are matched at a time */
#define RD_CLOSE    4096 /* servers whose uncertain round trips are weighed exactly */
#define RD_SET_POOL 128  /* servers among which sets are looked for */

/* Columns that a find writes, by slot; they grow with the table and are used again. */
struct rd_scratch {
    size_t room;
    uint64_t *no, *unknown; /* constraints that do not hold; that are not told */
    uint8_t truth[XENO_QUERY_DEPTH + 1][RD_PART];
    int64_t *total; /* RD_NO_COST: not known; RD_NOT_YET: ask rd_total() */
    double *score;  /* INFINITY: not known */
    double *terms[XENO_RD_TERMS];
    double *values;                                         /* for a median */
    float *rough[XENO_RD_TARGETS];                          /* ms, about; INFINITY: not known */
    struct xeno_latency *latency[XENO_RD_TARGETS], *packed; /* packed: in the order of `live` */
    uint32_t *live, *order, *groups;                        /* groups: a hash table */
    size_t live_count, group_room;
    struct xeno_path paths[RD_SET_POOL];
};

/* A constraint with a number: at least, or at most, `asked`. */
struct rd_test {
    enum xeno_rd_constraint c;
    bool at_least;              /* of `numbers` */
    int64_t asked, least, most; /* what could be asked for at all */
    const double *numbers;      /* at_least; NAN: not known */
};

struct rd_scale {
    double best, unit;
};

struct rd_find {
    struct xeno_rd *rd;
    const struct xeno_rd_request *req;
    const struct xeno_rd_client *client;
    const struct xeno_rd_network *net;
    xeno_time now;
    struct rd_scratch *s;
    struct xeno_grant grant;
    bool priced; /* there is something to price */
    struct xeno_quote total, hour,
        most; /* as expected; an hour as reserved; as dear as it can be */
    bool image_known;
    uint64_t image; /* of the template's digest */
    size_t test_count;
    struct rd_test tests[XENO_RD_C_COUNT];
    uint64_t asked; /* constraints there are, as bits */
    size_t where_count;
    size_t where_node[XENO_RD_WHERES]; /* the last one may stand for several */
    size_t term_count;
    struct xeno_rd_term terms[XENO_RD_TERMS];
    struct rd_scale scales[XENO_RD_TERMS];
    uint32_t from[XENO_RD_TARGETS]; /* the server that is the target; RD_NO_SLOT: none is */
    uint32_t begin, end;            /* the slots that are matched just now */
    size_t matched, considered;
    char to_host[XENO_RD_ADDRESS]; /* of disjoint_to */
    struct xeno_hop to;
    uint64_t to_bloom;
};

/* Note which servers of this part fail constraint `c`: where `truth`, of the part's first server
 * first, is false or unknown. */
void rd_note(struct rd_find *f, enum xeno_rd_constraint c, const uint8_t *truth);

/* match.c */
void rd_match(struct rd_find *f);
/* The number that a test is about, of one server; NAN: not known. In the request's unit. */
double rd_value(const struct rd_find *f, const struct rd_test *t, uint32_t slot);
static inline bool rd_is_where(enum xeno_rd_constraint c)
{
    return c >= XENO_RD_C_WHERE && c < XENO_RD_C_RTT;
}
static inline bool rd_holds(const struct rd_test *t, double value, double asked)
{
    return t->at_least ? value >= asked : value <= asked;
}
static inline int64_t rd_us(const struct xeno_latency *l)
{
    double us = (double)l->ms * 1000.0 + 0.5;

    return us >= 0 && us < 1e15 ? (int64_t)us : INT64_C(1000000000000000);
}

/* cost.c: RD_NO_COST is not known */
void rd_price(struct rd_find *f); /* what is to be priced */
void rd_match_price(struct rd_find *f, const struct rd_test *t);
int64_t rd_total(const struct rd_find *f, uint32_t slot);
int64_t rd_hour(const struct rd_find *f, uint32_t slot); /* as reserved */
int64_t rd_most(const struct rd_find *f, uint32_t slot); /* an hour, as dear as it can be */

/* trips.c: bounds on round trips, and who matches then, into `order` */
void rd_trips(struct rd_find *f);
struct xeno_latency rd_latency(const struct rd_find *f, size_t target, uint32_t slot);
static inline size_t rd_targets(const struct rd_find *f)
{
    return f->req->near_count + f->req->equal_count;
}
static inline const struct xeno_rd_place *rd_target(const struct rd_find *f, size_t i)
{
    return i < f->req->near_count ? &f->req->near[i] : &f->req->equal[i - f->req->near_count];
}

/* where.c */
void rd_where(struct rd_find *f);
void rd_accepts(struct rd_find *f);
enum xeno_truth rd_accept_eval(const struct rd_find *f, const struct rd_accept *a);

/* rank.c */
/* The best, first first. Returns: how many, at most req->count; `ret` holds XENO_RD_COUNT. */
size_t rd_rank(struct rd_find *f, uint32_t *ret, int *ret_sets);
double rd_term_value(const struct rd_find *f, enum xeno_rd_what what, uint32_t slot);
size_t rd_layers_there(const struct rd_find *f, uint32_t slot);
size_t rd_layers_of(const struct rd_find *f);
double rd_scaled(struct rd_scale s, double v);
bool rd_before(const struct rd_find *f, uint32_t a, uint32_t b);

/* sets.c: paths apart */
bool rd_path_told(const struct rd_find *f, uint32_t slot); /* or likely so */
void rd_apart(struct rd_find *f, const uint32_t *slots, size_t n, double *ret_by_slot);
size_t rd_sets(struct rd_find *f, uint32_t *pool, size_t n, uint32_t *ret, int *ret_sets);

/* explain.c, words.c */
void rd_explain(struct rd_find *f, struct xeno_rd_result *res);
void rd_constraint_words(const struct rd_find *f, enum xeno_rd_constraint c, bool unknown,
                         struct xeno_buf *out);
void rd_relax_words(const struct rd_find *f, const struct xeno_rd_relax *r, struct xeno_buf *out);
static inline const char *rd_place_text(const struct xeno_rd_place *p)
{
    return *p->address ? p->address : p->id.s;
}

/* why.c */
void rd_why(const struct rd_find *f, uint32_t slot, struct xeno_rd_answer *a);

#endif
