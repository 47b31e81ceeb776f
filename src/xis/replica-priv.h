/* src/xis/replica-priv.h - what the files of replica.h share. */
#ifndef XENO_XIS_REPLICA_PRIV_H
#define XENO_XIS_REPLICA_PRIV_H

#include <uthash.h>

#include "json/json.h"
#include "xis/replica.h"

#define LETTERS 32
#define BUCKETS (LETTERS * LETTERS)
#define NOBODY  SIZE_MAX /* for a peer's number */

/* --- what this node has --- */

/* Gone: over and forgotten but for its version; neither in the feed nor in a bucket. */
struct entry {
    struct xeno_id id;
    bool gone;
    uint32_t slot;        /* in its bucket */
    int64_t version, pos; /* pos: in the feed */
    xeno_time expires;    /* gone: when it is not remembered any more */
    struct xeno_stamp stamp;
    UT_hash_handle hh;
};

struct bucket {
    struct entry **entries; /* in the order of ids when not `dirty` */
    uint32_t count, room;
    bool dirty; /* hash and order are to be made again */
    uint8_t hash[XENO_REPLICA_HASH];
};

struct feed_slot {
    int64_t pos;
    struct entry *e; /* NULL: it has moved on */
};

/* In the order of origins, none twice. */
struct vector {
    size_t count;
    struct xeno_stamp at[XENO_REPLICA_ORIGINS];
};

/* An origin of which there are entries. */
struct origin {
    uint64_t id;
    int64_t covered; /* 0: nothing is promised */
    size_t held, raised_by;
};

/* --- a peer --- */

enum phase { WAITING, ASKED, TAKING };
enum job { PULL, TREE, FETCH };

struct prefix {
    char text[3];
    char after[XENO_ID_CHARS + 1]; /* of a bucket's list */
};

struct wanted {
    struct xeno_id id;
    int64_t version;
};

/* What an answer brought, while it is taken. */
struct page {
    size_t pending, count;
    struct xeno_stamp stamps[XENO_REPLICA_PAGE];
    bool news, refused, again; /* whether any was */
    bool more, complete;       /* complete: `vector` is what all this stands for */
    uint64_t epoch;
    int64_t next;
    struct vector vector;
};

struct repair {
    bool runs, started, cut, news, refused;
    uint64_t epoch; /* of the first answer, as are next and vector */
    int64_t next;
    struct vector vector;
    struct prefix *prefixes; /* the first `asked` of them are in the question */
    size_t prefix_count, prefix_room, asked;
    struct wanted *wanted;
    size_t wanted_count, wanted_room, listed;
};

struct peer {
    enum phase phase;
    enum job job;
    int64_t n;    /* of the question */
    xeno_time at; /* waiting: ask then; asked: give up then */
    unsigned failures;
    uint64_t epoch; /* of the feed that `after` is a place in; 0: none known */
    int64_t after;
    xeno_time repair_at, doubted_until;
    struct page page;
    struct repair repair;
};

struct xeno_replica {
    const struct xeno_env *env;
    struct xeno_replica_host host;
    struct xeno_replica_limits limits;

    uint64_t origin; /* ours, and our feed's epoch */
    int64_t seq, pos;
    struct entry *entries;
    size_t alive;
    struct feed_slot *feed;
    size_t feed_count, feed_room, feed_holes;
    struct bucket buckets[BUCKETS];
    struct origin origins[XENO_REPLICA_ORIGINS];
    size_t origin_count;
    xeno_time next_over; /* nothing is over before; wall clock */
    xeno_time aged;      /* monotonic */

    struct peer *peers;
    size_t peer_count;
    size_t busy; /* the peer we get everything from, or compare with, now; NOBODY */
    struct xeno_replica_stats stats;
};

/* --- replica.c --- */
struct entry *xeno_replica_find(const struct xeno_replica *r, const char *id);
/* The first slot of the feed after a place. */
size_t xeno_replica_feed_from(const struct xeno_replica *r, int64_t after);
struct origin *xeno_replica_origin(struct xeno_replica *r, uint64_t id);
xeno_time xeno_replica_jitter(const struct xeno_replica *r, xeno_time about);

/* --- replica-tree.c --- */
void xeno_replica_tree_add(struct xeno_replica *r, struct entry *e);
void xeno_replica_tree_drop(struct xeno_replica *r, struct entry *e);
/* A bucket whose order and hash are right. */
const struct bucket *xeno_replica_bucket(struct xeno_replica *r, const char *prefix);
/* Of a prefix of no, one or two letters. */
void xeno_replica_hash(struct xeno_replica *r, const char *prefix, uint8_t ret[XENO_REPLICA_HASH]);
char xeno_replica_letter(size_t i);
bool xeno_replica_prefix_ok(const char *text); /* at most two letters of ids */

/* --- replica-wire.c: parts of messages --- */
/* The number that a vector has for an origin, 0 for none. */
int64_t xeno_replica_covers(const struct vector *v, uint64_t origin);
void xeno_replica_put_origin(struct xeno_json *o, const char *key, uint64_t origin);
/* 1: there is none. */
int xeno_replica_get_origin(const struct xeno_json_at *at, const char *key, uint64_t *ret,
                            struct xeno_err *err);
struct xeno_json *xeno_replica_vector(const struct xeno_replica *r);
/* 1: there is none. */
int xeno_replica_get_vector(const struct xeno_json_at *at, struct vector *ret,
                            struct xeno_err *err);
struct xeno_json *xeno_replica_entry(const struct entry *e, const struct xeno_replica_text *t);
int xeno_replica_get_entry(const struct xeno_json_at *at, struct xeno_replica_offer *ret,
                           struct xeno_err *err);

/* --- replica-hear.c --- */
void xeno_replica_repair_end(struct xeno_replica *r, size_t peer);
void xeno_replica_repair_drop(struct xeno_replica *r, size_t peer); /* it will begin anew */

#endif
