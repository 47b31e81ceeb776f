/* src/xis/replica.h - several information services that hold the same adverts, without a database
 * that they share (RFC 0017).
 *
 * A node knows of each advert the newest version and who first took it: its *stamp*, that node (for
 * as long as it runs: an *origin*) and the number it gave. It pulls from its peers what it does not
 * have: the peer's changes since the last time, but for those its *version vector* covers. A vector
 * says for each origin up to which number everything is here, or something newer. What was missed
 * all the same (a restart, a lost disk, a peer that lied) is found by comparing hash trees over
 * (id, version). There is no other state: an older version never replaces a newer, whoever sends it
 * and however often, so messages may be lost, late, doubled or in any order.
 *
 *      .--------> waiting <----------------------------------------.
 *      |           |    |                                          |
 *  not yet        pull  repair: hashes of prefixes, then lists,    | nothing more, or an error
 *  all told        |    then fetch what is newer there             | (an error: later and later)
 *      |           v    v                                          |
 *      '-- taking <- asked --------------------------------------->'
 *
 *  1 What came is the peer's word only: the host checks its signature, version and lease as those
 *    of an advert from its publisher, in `take`.
 *  2 A vector is adopted only when everything it stands for has been taken.
 *  3 A version that was known, alive or not, keeps older ones out for as long as their lease could
 *    go on: XENO_ADVERT_LEASE_S after it came.
 *  4 What a peer can make us do, keep or send is bounded; what it says too high is found out by the
 *    next repair, costs it its word (its vector counts for nothing for an hour), and is undone.
 *
 * Pure: the clock and randomness are `env`, messages come in and go out as text. Context: one
 * thread.
 */
#ifndef XENO_XIS_REPLICA_H
#define XENO_XIS_REPLICA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/mem.h"
#include "crypto/key.h"

#define XENO_REPLICA_PEERS   16
#define XENO_REPLICA_ASK     (64 * 1024)       /* bytes of a question */
#define XENO_REPLICA_ANSWER  (4 * 1024 * 1024) /* bytes of an answer */
#define XENO_REPLICA_PAGE    256               /* adverts in an answer */
#define XENO_REPLICA_ORIGINS 256               /* in a vector */
#define XENO_REPLICA_SEQ     ((INT64_C(1) << 53) - 1)

/* Who took a version first, and as which of its own; origin 0: not known. */
struct xeno_stamp {
    uint64_t origin;
    int64_t seq;
};

/* What is known of a version without its text. */
struct xeno_replica_item {
    struct xeno_id id;
    int64_t version;
    xeno_time expires; /* wall clock */
    struct xeno_stamp stamp;
};

/* The signed texts: an advert and perhaps its delta, or a withdrawal. */
struct xeno_replica_text {
    const char *jws, *delta; /* delta NULL: none */
    size_t jws_len, delta_len;
};

/* An advert that a peer offers. Borrowed for the call; `item` is what the peer says. */
struct xeno_replica_offer {
    struct xeno_replica_item item;
    struct xeno_replica_text text;
    size_t peer;
    uint64_t ticket;
};

struct xeno_replica_host {
    void *user;
    /* The texts of that version, borrowed until the loop's next turn. False: it is not here any
     * more; the peer will hear of what replaced it. */
    bool (*load)(void *user, const struct xeno_id *id, int64_t version,
                 struct xeno_replica_text *ret);
    /* Check it and keep it, now or later; then call xeno_replica_put() if it was kept, and in any
     * case, once, xeno_replica_took() with its ticket. */
    void (*take)(void *user, const struct xeno_replica_offer *offer);
};

struct xeno_replica_limits {
    xeno_time poll;     /* from one pull that brought nothing to the next, about */
    xeno_time repair;   /* from one repair to the next, about */
    xeno_time patience; /* how long a question waits for its answer */
    xeno_time backoff;  /* the longest wait after failures */
    size_t entries;     /* known at most, the forgotten ones counted */
    size_t fetches;     /* adverts fetched in one repair */
};
extern const struct xeno_replica_limits xeno_replica_limits_default;

struct xeno_replica;

/* A node with `peers` others (0 to XENO_REPLICA_PEERS), named by their number from now on.
 * Borrows: env and what host->user points to, for its life; limits NULL: the default. */
struct xeno_replica *xeno_replica_new(const struct xeno_env *env,
                                      const struct xeno_replica_host *host,
                                      const struct xeno_replica_limits *limits, size_t peers);
void xeno_replica_free(struct xeno_replica *r);
XENO_DEFINE_AUTO(xeno_replica, xeno_replica_free);

/* --- what this node has --- */

/* Would that version be news? To be asked before it is stored: also versions that are forgotten
 * count. */
bool xeno_replica_news(const struct xeno_replica *r, const struct xeno_id *id, int64_t version);

/* The store has this version now. A stamp of origin 0: this node took it first, and gives it the
 * next number; XENO_REPLICA_RESTORED: it was in the store when the node started.
 *
 * Errors: -EEXIST replica.old    a version that is not older is, or was, here
 *         -EDQUOT replica.full   more than limits.entries
 */
#define XENO_REPLICA_RESTORED (-1) /* as stamp.seq, with origin 0 */
int xeno_replica_put(struct xeno_replica *r, const struct xeno_replica_item *it,
                     struct xeno_err *err);

/* Forget what is over. Cheap when nothing is; call it every second or so. */
void xeno_replica_age(struct xeno_replica *r);

/* --- asking --- */

/* What to send to a peer now.
 *
 * Returns: 1 and the question in *ret, the caller's; 0: nothing yet, ask again at *ret_at
 *          (monotonic), or after xeno_replica_took().
 */
int xeno_replica_ask(struct xeno_replica *r, size_t peer, char **ret, size_t *ret_len,
                     xeno_time *ret_at);
/* The answer. One to an older question has no effect: -ESTALE replica.stale.
 * Errors: -EBADMSG replica.answer, those of json.h: the peer is asked again, later. */
int xeno_replica_hear(struct xeno_replica *r, size_t peer, const char *text, size_t len,
                      struct xeno_err *err);
/* None will come. (A question that waits for longer than limits.patience is given up anyway.) */
void xeno_replica_lost(struct xeno_replica *r, size_t peer);

/* What became of an offer: 0 kept; -EEXIST and -ETIME it was no news, or over meanwhile; -EAGAIN,
 * -ENOSPC, -ENOTCONN and -EIO (the database): it will be asked for again; any other failure: it was
 * refused for what it is. */
void xeno_replica_took(struct xeno_replica *r, uint64_t ticket, int result);

/* --- answering --- */

/* Borrows: text. Returns: 0 and the answer, the caller's.
 * Errors:  -EINVAL replica.question, -EFBIG json.size, those of json.h. */
int xeno_replica_answer(struct xeno_replica *r, const char *text, size_t len, char **ret,
                        size_t *ret_len, struct xeno_err *err);

/* --- looking in --- */

struct xeno_replica_stats {
    size_t entries, forgotten, origins;
    uint64_t asked, lost, offered, kept, old, refused, repairs, repaired, doubts;
    uint64_t whole; /* times that everything a peer had was taken: pulls and repairs to their end */
};
struct xeno_replica_stats xeno_replica_stats(const struct xeno_replica *r);

/* The hash over everything that is alive here: equal at two nodes that hold the same. */
#define XENO_REPLICA_HASH 16
void xeno_replica_root(struct xeno_replica *r, uint8_t ret[XENO_REPLICA_HASH]);

#endif
