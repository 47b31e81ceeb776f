/* src/xis/xis.h - an information service's store: adverts, their versions, leases, index and feed.
 *
 *     put --> alive --lease over--> expired ----.
 *               |                               +--all leases ever told are over--> forgotten
 *               '--withdrawal--> withdrawn -----'
 *
 * What is asked over the network is RFC 0016, whose operations are those of section III-A of the
 * platform's paper; what adverts are is RFC 0015.
 *
 * 1. Of one id the higher version counts: equal and older ones are refused, also while the id is
 *    expired or withdrawn. What is dead is remembered until no text of the id that was ever taken
 *    here could still be in time, so that nothing older comes back.
 * 2. What is not alive is found by no lookup, query or watch. An advert is alive until
 *    xeno_xis_age() is called with a time at or after its expiry.
 * 3. Every change gets a sequence number. The feed has of each id its newest change only, so it is
 *    as long as there are adverts and dead ones; whoever starts at 0 gets everything there is.
 * 4. All of one carrier's adverts, bytes, new tokens and updates are bounded.
 *
 * Kept of an advert: its signed texts, and beyond them its values in the index (some 2 KB for 40
 * tokens). Threads: one *writer*, who calls what takes a `struct xeno_xis *`; any number of
 * *readers* at the same time, who call what takes a `struct xeno_xis_reader *`, one reader a
 * thread. Neither waits for the other. Pure: the clock comes with `env`, nothing is logged, no
 * thread is started.
 */
#ifndef XENO_XIS_XIS_H
#define XENO_XIS_XIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/mem.h"
#include "xis/advert.h"
#include "xis/index.h"
#include "xis/query.h"

#define XENO_XIS_READERS 64   /* at most, at the same time */
#define XENO_XIS_LIMIT   1000 /* results of one lookup or query */

struct xeno_xis;

/* 0 anywhere: the default, in brackets. */
struct xeno_xis_limits {
    size_t ids;             /* alive and dead [2,000,000] */
    size_t tokens;          /* different paths in the index [65,536] */
    size_t watches;         /* in all [1,024] */
    size_t carrier_watches; /* of one credential [16] */
};

struct xeno_xis *xeno_xis_new(const struct xeno_env *env, const struct xeno_xis_limits *limits);
void xeno_xis_free(struct xeno_xis *x); /* no reader is left */
XENO_DEFINE_AUTO(xeno_xis, xeno_xis_free);

/* --- writer --- */

/* What one carrier may have here: a credential that brings adverts. 0: nothing of that. */
struct xeno_xis_bounds {
    size_t adverts; /* alive or dead, of others than itself; its own one is always one */
    size_t own_bytes, other_bytes; /* of signed texts */
    size_t tokens;                 /* paths that nobody had before it, as long as they are here */
    double updates_s, burst;       /* asked for, also refused ones */
};
#define XENO_XIS_UNBOUNDED                                                                         \
    {                                                                                              \
        .adverts = SIZE_MAX, .own_bytes = SIZE_MAX, .other_bytes = SIZE_MAX, .tokens = SIZE_MAX    \
    }
struct xeno_xis_carrier {
    const char *id; /* XENO_ID_CHARS letters */
    struct xeno_xis_bounds bounds;
};

/* Count an update that `c` asks for, before anything is read or verified.
 * Errors: -EAGAIN xis.rate, with *ret_wait (NULL allowed) how long until the next would do. */
int xeno_xis_admit(struct xeno_xis *x, const struct xeno_xis_carrier *c, xeno_time *ret_wait,
                   struct xeno_err *err);

/* What an advert that is on its way here needs of its carrier's bounds and of this node's: set
 * aside, so that what is written to a database in between is sure of its place. Bytes are of signed
 * texts, the rest is counted as in the bounds. */
struct xeno_xis_claim {
    uint32_t carrier; /* 0: nothing is set aside */
    size_t adverts, bytes, tokens, ids;
};
/* Set aside what `a` needs. Borrows: a and c. End the claim in any case, and before the advert is
 * put, which is then done for the same carrier with XENO_XIS_UNBOUNDED: its room was found here.
 * Errors: -EEXIST xis.old, -EDQUOT xis.quota, -ENOSPC xis.full, as xeno_xis_put(). */
int xeno_xis_claim(struct xeno_xis *x, const struct xeno_advert *a,
                   const struct xeno_xis_carrier *c, struct xeno_xis_claim *ret,
                   struct xeno_err *err);
void xeno_xis_claim_end(struct xeno_xis *x, struct xeno_xis_claim *claim); /* ended: no effect */

/* Take an advert, one with a delta, or a withdrawal. It counts for its carrier; `c` NULL: for
 * nobody and without bounds (what comes from this node's own database), and one that is not in time
 * is remembered as expired instead of refused.
 *
 * Takes:   `a`, also on failure.
 * Returns: 0 and the change's number (NULL allowed).
 * Errors:  -EEXIST xis.old     its version is not higher than what is known (xeno_xis_version)
 *          -ETIME  advert.expired, -EINVAL advert.lease   xeno_advert_timely()
 *          -EDQUOT xis.quota   the carrier has as many adverts, bytes or new tokens as it may
 *          -ENOSPC xis.full    this node has as many ids or tokens as it may
 */
int xeno_xis_put(struct xeno_xis *x, struct xeno_advert *a, const struct xeno_xis_carrier *c,
                 int64_t *ret_seq, struct xeno_err *err);

/* The version known of `id`, dead or alive; 0: none. */
int64_t xeno_xis_version(const struct xeno_xis *x, const char *id);

/* Many puts between these are seen by readers when they end, and cost less: for a restart. A reader
 * sees nothing new meanwhile. */
void xeno_xis_bulk_begin(struct xeno_xis *x);
void xeno_xis_bulk_end(struct xeno_xis *x);

/* Let what is over at `now` (wall clock) expire, and forget what can be; at most `max` of both.
 * Returns: how many. Call it again at once while it returns `max`, else at xeno_xis_next(). */
size_t xeno_xis_age(struct xeno_xis *x, xeno_time now, size_t max);
xeno_time xeno_xis_next(const struct xeno_xis *x); /* INT64_MAX ns: nothing to come */

/* --- readers --- */

struct xeno_xis_reader;
/* NULL when there are XENO_XIS_READERS. Making and freeing readers is done by one thread at a time.
 */
struct xeno_xis_reader *xeno_xis_reader_new(struct xeno_xis *x);
void xeno_xis_reader_free(struct xeno_xis_reader *r);
XENO_DEFINE_AUTO(xeno_xis_reader, xeno_xis_reader_free);

/* What is read between these stays valid until the leave. Short: memory that is replaced meanwhile
 * waits for it. The writer's own thread may be a reader too; it leaves before it writes. */
void xeno_xis_enter(struct xeno_xis_reader *r);
void xeno_xis_leave(struct xeno_xis_reader *r);

/* The adverts whose token lies in a range, in the order of the values (of equal ones, in the order
 * of slots): *ret_total of them (an advert with two such values counts twice), of which those from
 * `place` on go to hits, `limit` at most, for which there is room. No allocation.
 * Returns: how many hits. An unknown token: none. */
size_t xeno_xis_lookup(struct xeno_xis_reader *r, const struct xeno_lookup *l, uint64_t *ret_total,
                       struct xeno_hit *hits);

/* `n` lookups at once (XENO_XIS_BATCH at most), found[i] being what xeno_xis_lookup() would say of
 * l[i]. Faster than one after the other, since while one waits for memory the others go on: give it
 * all there are. They see each token's numbers, and its strings, as they were at one moment, so
 * that the parts of a range add up to it while a writer writes. No allocation.
 *
 * Hits stand in the order of the lookups without gaps, so `hits` has room for all limits together.
 * The ids themselves are not touched: whoever reads many prefetches those a few hits ahead.
 * Returns: how many hits in all. */
size_t xeno_xis_lookups(struct xeno_xis_reader *r, const struct xeno_lookup *l, size_t n,
                        struct xeno_found *found, struct xeno_hit *hits);

enum xeno_xis_state { XENO_XIS_ALIVE, XENO_XIS_EXPIRED, XENO_XIS_WITHDRAWN };

/* One id's newest state; texts are valid until the leave. */
struct xeno_xis_entry {
    const char *id;
    uint32_t slot;
    enum xeno_xis_state state;
    int64_t version, seq, kept; /* kept: its number in xis/kept.h, 0: none */
    xeno_time expires;
    const char *jws,
        *delta; /* jws: advert or withdrawal; NULL of an expired one. delta may be NULL */
    size_t jws_len, delta_len;
};
/* False: nothing is known of it. */
bool xeno_xis_get(struct xeno_xis_reader *r, const char *id, struct xeno_xis_entry *ret);
/* Of a hit: the entry as it is now; false when it is not alive any more. */
bool xeno_xis_entry(struct xeno_xis_reader *r, const struct xeno_hit *hit,
                    struct xeno_xis_entry *ret);
/* The i-th value that the alive advert `id` has of a token. */
bool xeno_xis_value(struct xeno_xis_reader *r, const char *id, const char *token, size_t i,
                    struct xeno_query_value *ret);

/* The feed after number `after`, in order; those that changed again are left out here and come
 * later. *ret_next: what to ask for next; *ret_more: there is more already.
 * Returns: how many entries, `limit` at most. */
size_t xeno_xis_changes(struct xeno_xis_reader *r, int64_t after, size_t limit,
                        struct xeno_xis_entry *entries, int64_t *ret_next, bool *ret_more);
int64_t xeno_xis_seq(const struct xeno_xis_reader *r); /* of the newest change; 0: none yet */

/* Adverts of which a query is true, by the first of their values of `order` in that direction;
 * those that have none are last; equal ones, and all without `order`, by id. */
struct xeno_xis_ask {
    const struct xeno_query_tree *where; /* NULL: all */
    const char *order;                   /* NULL: by id */
    bool desc;
    uint64_t place;
    size_t limit; /* XENO_XIS_LIMIT at most; place + limit XENO_XIS_REACH */
    size_t work;  /* adverts looked at, fewer where they are long; 0: XENO_XIS_WORK */
};
#define XENO_XIS_WORK  250000
#define XENO_XIS_REACH 250000
struct xeno_xis_answer {
    uint64_t total; /* adverts; when not exact, those found until the work was over */
    bool exact;
    size_t looked; /* adverts looked at */
    size_t count;  /* hits; value of `order` or, without, the id's */
};
/* Errors: -EINVAL query.reach, query.limit. hits has room for `limit`. */
int xeno_xis_query(struct xeno_xis_reader *r, const struct xeno_xis_ask *ask,
                   struct xeno_xis_answer *ret, struct xeno_hit *hits, struct xeno_err *err);

/* Each node of a query, parents first: of how many adverts it is what. */
struct xeno_xis_clause {
    uint64_t n[3]; /* by enum xeno_truth */
};
/* Returns: how many adverts were considered, `work` (0: XENO_XIS_WORK) at most; clauses has room
 * for q->count, and the top's true ones are the matches. */
uint64_t xeno_xis_explain(struct xeno_xis_reader *r, const struct xeno_query_tree *q, size_t work,
                          struct xeno_xis_clause *clauses);
/* What each node is of one alive advert, and the first value of its token (value.number false and
 * text NULL: none). False: no such advert. */
struct xeno_xis_reason {
    enum xeno_truth truth;
    struct xeno_query_value value;
};
bool xeno_xis_explain_one(struct xeno_xis_reader *r, const struct xeno_query_tree *q,
                          const char *id, struct xeno_xis_reason *reasons);

/* The tokens after `after` (NULL: from the first), bytewise. Returns: how many, `limit` at most. */
size_t xeno_xis_tokens(struct xeno_xis_reader *r, const char *after, size_t limit,
                       struct xeno_token_info *ret);

struct xeno_xis_stats {
    size_t alive, dead, tokens, watches, carriers;
    uint64_t values;      /* entries of the index */
    uint64_t text_bytes;  /* of signed texts */
    uint64_t other_bytes; /* of everything else, as asked for */
    uint64_t node_bytes;  /* of those, what is in slabs instead of malloc's memory */
};
void xeno_xis_stats(const struct xeno_xis *x, struct xeno_xis_stats *ret); /* writer */

#endif
