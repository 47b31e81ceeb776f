/* src/rd/find.h - finding: of all XenoServers the ones that a client asks for, best first, and why.
 *
 * A `struct xeno_rd` holds servers, made from adverts (xis/advert.h), in columns: what is asked of
 * all of them at once stands side by side. A find looks at each server once for each constraint:
 *
 *     match   each server gets the set of constraints that it does not satisfy, or does not say
 *             whether it does; it matches when that set is empty. Two-sided: its `Accept` is one.
 *     price   what the time and the usage that were asked for come to, by its prices (tariff.h)
 *     rank    one objective: by its value. Several: each is brought to a common scale, 0 for the
 *             best match and 1 for the median one, at most XENO_RD_WORST; the score is the mean by
 *             weight. (The median and not the last, so that no one advert can squeeze the others.)
 *             What is not known comes last. Equal ones: cheaper first, then by id.
 *     explain of the rest, what each fell to, and the least that would have to be asked otherwise
 *
 * What may be asked for is rfc/0019, whose objectives are those of section IV-B of the platform's
 * paper. The request is read by rd/request.h, the answer written by rd/answer.h.
 *
 * Pure: no clock, no I/O, no randomness; round trips and paths to other addresses come in by
 * struct xeno_rd_network. Money is micro-credits; round trips are microseconds in requests
 * (`_us`), milliseconds in struct xeno_latency.
 *
 * Context: one thread at a time for one xeno_rd; a find writes into scratch columns of it.
 */
#ifndef XENO_RD_FIND_H
#define XENO_RD_FIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/units.h"
#include "crypto/key.h"
#include "rd/latency.h"
#include "rd/nearest.h"
#include "rd/paths.h"
#include "spec/requirement.h"

struct xeno_advert;
struct xeno_query_tree;

#define XENO_RD_PLACES     8 /* `near`, `equal`, `beside`, each */
#define XENO_RD_TARGETS    (2 * XENO_RD_PLACES)
#define XENO_RD_TERMS      8   /* of an objective */
#define XENO_RD_LAYERS     128 /* of the image */
#define XENO_RD_COUNT      100 /* answers */
#define XENO_RD_SETS       8   /* members of a set */
#define XENO_RD_WHERES     16  /* parts of `where` that are told apart; the last has the rest */
#define XENO_RD_WEIGHT     1000
#define XENO_RD_WORST      10 /* the worst that one objective counts, in medians */
#define XENO_RD_RELAX      4  /* relaxations that are told */
#define XENO_RD_WHY        8  /* reasons of an answer */
#define XENO_RD_ADDRESS    72 /* "[IPv6%scope]:PORT" and a zero byte */
#define XENO_RD_DURATION_S XENO_LIFETIME_MAX_S
#define XENO_RD_ATTRS      32 /* of a client's credential */

/* --- the servers --- */

struct xeno_rd;
struct xeno_rd *xeno_rd_new(size_t max_servers); /* the caller's */
void xeno_rd_free(struct xeno_rd *rd);
XENO_DEFINE_AUTO(xeno_rd, xeno_rd_free);

/* A server's newest advert. A withdrawal takes the server away.
 *
 * Takes:  a, if it succeeds; what it replaces is freed.
 * Errors: -EEXIST rd.old (equal or older than what is held), -ENOSPC rd.full.
 */
int xeno_rd_put(struct xeno_rd *rd, struct xeno_advert *a, struct xeno_err *err);
bool xeno_rd_remove(struct xeno_rd *rd, const struct xeno_id *id); /* was it there? */

/* Forget servers whose lease was over at `now` (find passes them over from then on in any case).
 * Returns: how many. */
size_t xeno_rd_age(struct xeno_rd *rd, xeno_time now);

/* How many complaints its XenoCorp counts against it; kept with the server until it is taken away.
 * Returns: false when there is no such server. */
bool xeno_rd_complaints(struct xeno_rd *rd, const struct xeno_id *id, int64_t count);

size_t xeno_rd_count(const struct xeno_rd *rd);

/* Borrowed from rd, like everything that names an advert here: until the next put, remove, age. */
const struct xeno_advert *xeno_rd_get(const struct xeno_rd *rd, const struct xeno_id *id);

/* Servers are numbered: a slot is a server's until it is taken away, and for some time nobody's
 * after that. Slots below xeno_rd_slots(); NULL where there is none. */
size_t xeno_rd_slots(const struct xeno_rd *rd);
const struct xeno_advert *xeno_rd_at(const struct xeno_rd *rd, uint32_t slot);
bool xeno_rd_slot(const struct xeno_rd *rd, const struct xeno_id *id, uint32_t *ret);

/* What they say about coordinates and round trips, in the same slots, for searches (rd/nearest.h):
 * unchanged until the next put, remove, age, settle. */
const struct xeno_near_map *xeno_rd_map(const struct xeno_rd *rd);

/* A round trip that an advert names belongs to a server that may become known later. Puts link old
 * adverts to new servers bit by bit; this does it for all (a second or so for 100,000, nothing when
 * no server came or went): after a snapshot, and now and then. */
void xeno_rd_settle(struct xeno_rd *rd);

/* --- the question --- */

/* A place in the network: an address (numeric, maybe with a port), or a XenoServer. */
struct xeno_rd_place {
    char address[XENO_RD_ADDRESS]; /* "": it is the server `id` */
    struct xeno_id id;
    int64_t rtt_max_us; /* 0: no bound */
};

enum xeno_rd_what {
    XENO_RD_COST,     /* least in all */
    XENO_RD_RTT_MAX,  /* least longest round trip to `near` */
    XENO_RD_RTT_MEAN, /* least mean round trip to `near` */
    XENO_RD_EQUAL,    /* least difference of the round trips to `equal` */
    XENO_RD_DISJOINT, /* fewest shared hops to `disjoint_to` with those of `beside`, or of a set */
    XENO_RD_WARM,     /* most of the image there */
    XENO_RD_LOAD,     /* least load */
    XENO_RD_WHAT_COUNT
};
const char *xeno_rd_what_name(enum xeno_rd_what what); /* "rtt-max" */

struct xeno_rd_term {
    enum xeno_rd_what what;
    int64_t weight; /* 1 to XENO_RD_WEIGHT */
};

enum xeno_rd_spread { XENO_RD_SPREAD_NONE, XENO_RD_SPREAD_OPERATOR, XENO_RD_SPREAD_PLACE };

enum { /* isolation classes, as bits */
       XENO_RD_NULL = 1,
       XENO_RD_PROCESS = 2,
       XENO_RD_CONTAINER = 4,
       XENO_RD_VM = 8,
};

struct xeno_rd_request {
    struct xeno_requirement *requirement; /* NULL: asks for nothing, and then nothing has a price */
    struct xeno_query_tree *where;        /* NULL: none */
    unsigned isolation;                   /* any of these; 0: any at all */
    size_t near_count, equal_count, beside_count, term_count, layer_count;
    struct xeno_rd_place near[XENO_RD_PLACES], equal[XENO_RD_PLACES];
    char disjoint_to[XENO_RD_ADDRESS]; /* "": not asked for */
    struct xeno_id beside[XENO_RD_PLACES];
    struct xeno_rd_term terms[XENO_RD_TERMS]; /* none: what the other members ask for, then cost */
    int64_t max_cost;                         /* of duration_s; -1: no limit */
    int64_t max_complaints;                   /* -1: no limit */
    int64_t duration_s;
    int64_t cpu_percent, net_bytes; /* expected use; memory and disk count as used in full */
    int64_t count;
    int64_t sets; /* members of a set; 0: no sets */
    enum xeno_rd_spread spread;
    bool probe, documents;           /* for the program; find does not look at them */
    uint64_t layers[XENO_RD_LAYERS]; /* the first 16 hex digits of each digest */
};
void xeno_rd_request_init(struct xeno_rd_request *req); /* asks for nothing; every default */
void xeno_rd_request_release(struct xeno_rd_request *req);

/* Do its members fit together? What is wrong with one by itself its reader says.
 * Errors: -EINVAL find.request. */
int xeno_rd_request_check(const struct xeno_rd_request *req, struct xeno_err *err);

/* Whom an `Accept` is asked about. Borrows everything. */
struct xeno_rd_client {
    struct xeno_id id;
    const char *corp; /* id of its XenoCorp: a server must be registered there; NULL: any */
    const char *kind; /* "client"; NULL: not known */
    size_t attr_count;
    const struct {
        const char *key, *value;
    } * attrs;
};

/* --- what is known of the network beyond adverts --- */

/* Round trips to places that are XenoServers come from the map. For any other, and for paths that
 * were asked for, find asks here. Targets are numbered: places of `near`, then those of `equal`. */
struct xeno_rd_network {
    void *ctx;
    /* The XenoServer that is at the target's address, if one is: then the map says how far it is.
     * May be NULL. */
    bool (*server)(void *ctx, size_t target, uint32_t *ret_slot);
    /* ret[i], which is unknown, of server slots[i] to the target; xeno_near_estimates() of a search
     * does this. NULL: nothing is known. */
    void (*estimate)(void *ctx, size_t target, const uint32_t *slots, size_t n,
                     struct xeno_latency *ret);
    /* The path from a server to `disjoint_to`, if it was measured; false: what its advert says.
     * `ret` NULL: is it known at all? May be NULL. */
    bool (*path)(void *ctx, uint32_t slot, struct xeno_path *ret);
};

/* --- the answer --- */

/* In the order in which they are looked at: a server falls to the first. (Round trips are worked
 * out for those that fall to little else.) */
enum xeno_rd_constraint {
    XENO_RD_C_LEASE,     /* the advert ran out */
    XENO_RD_C_CORP,      /* registered with the client's XenoCorp */
    XENO_RD_C_ACCEPTING, /* takes new sessions at all */
    XENO_RD_C_ACCEPT,    /* its Accept, over the client */
    XENO_RD_C_ISOLATION,
    XENO_RD_C_ENV_TYPE,
    XENO_RD_C_KERNEL,
    XENO_RD_C_CPU,
    XENO_RD_C_MEMORY,
    XENO_RD_C_DISK,
    XENO_RD_C_NET,
    XENO_RD_C_PROCESSES,
    XENO_RD_C_ADDRESSES,
    XENO_RD_C_PORTS,
    XENO_RD_C_HOUR,       /* MaxPricePerHour */
    XENO_RD_C_TOTAL,      /* MaxTotal */
    XENO_RD_C_COST,       /* max_cost */
    XENO_RD_C_COMPLAINTS, /* max_complaints */
    XENO_RD_C_WHERE,      /* the first part of its `and`; the next ones follow */
    XENO_RD_C_RTT = XENO_RD_C_WHERE + XENO_RD_WHERES, /* rtt_max of near[0]; the next ones */
    XENO_RD_C_COUNT = XENO_RD_C_RTT + XENO_RD_PLACES
};
const char *xeno_rd_constraint_name(enum xeno_rd_constraint c); /* "MemoryMB", "near[1]",
                                                                   "where[0]" */

struct xeno_rd_latency_of {
    const struct xeno_rd_place *place; /* of the request */
    struct xeno_latency rtt;
};

struct xeno_rd_answer {
    const struct xeno_advert *advert; /* borrowed from rd */
    int64_t hour, total;              /* -1: not known; hour as reserved, total as expected */
    int64_t load_percent;             /* -1: not known */
    int64_t complaints;
    size_t latency_count;
    struct xeno_rd_latency_of latency[XENO_RD_TARGETS];
    size_t have, of; /* layers */
    int set;         /* from 1; 0: none */
    int64_t score;   /* millionths; less is better */
    size_t why_count;
    char *why[XENO_RD_WHY];
};

struct xeno_rd_fell {
    enum xeno_rd_constraint constraint;
    bool unknown;       /* it is not told; otherwise it does not hold */
    size_t count, only; /* fell to this first; and to nothing else */
    char *text;         /* "31 of 400: no VM isolation" */
};

/* What could be asked for instead. One part, or two where no single one would do. */
struct xeno_rd_relax {
    size_t part_count;
    struct xeno_rd_relaxed {
        enum xeno_rd_constraint constraint;
        bool drop;        /* do not ask for it at all */
        int64_t from, to; /* otherwise: in the unit of the document or request (MB, Mbit/s,
                             micro-credits, microseconds, isolation bits) */
    } part[2];
    size_t matches; /* in all, after it */
    char *text;     /* "MemoryMB from 512 to 384" */
};

struct xeno_rd_result {
    size_t answer_count, considered, matched, fell_count, relax_count;
    struct xeno_rd_answer *answers;
    struct xeno_rd_fell fell[2 * XENO_RD_C_COUNT]; /* sums up with `matched` to `considered` */
    struct xeno_rd_relax relax[XENO_RD_RELAX];     /* when fewer matched than were wanted */
};
void xeno_rd_result_free(struct xeno_rd_result *res);
XENO_DEFINE_AUTO(xeno_rd_result, xeno_rd_result_free);

/* Find.
 *
 * Borrows: all, for the call; the result names adverts of rd and places of req.
 * Returns: 0 and the result, the caller's; nothing that matches is a result as well.
 * Errors:  -EINVAL find.request (see xeno_rd_request_check).
 */
int xeno_rd_find(struct xeno_rd *rd, const struct xeno_rd_request *req,
                 const struct xeno_rd_client *client, const struct xeno_rd_network *net,
                 xeno_time now, struct xeno_rd_result **ret, struct xeno_err *err);

/* All that speaks against one server, not only what it falls to first: `each` hears of it in the
 * order of the constraints, in words that are borrowed for the call ("no vm isolation").
 *
 * Returns: how much that is; 0: it matches.
 * Errors:  as xeno_rd_find(), -ENOENT rd.unknown.
 */
int xeno_rd_judge(struct xeno_rd *rd, const struct xeno_rd_request *req,
                  const struct xeno_rd_client *client, const struct xeno_rd_network *net,
                  xeno_time now, const struct xeno_id *id,
                  void (*each)(void *ctx, enum xeno_rd_constraint c, bool unknown,
                               const char *text),
                  void *ctx, struct xeno_err *err);

#endif
