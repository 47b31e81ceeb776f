/* src/xis/replica.c - what a node has: versions, the feed of their changes, what is over. */
#include "xis/replica.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "xis/advert.h"
#include "xis/replica-priv.h"

/* How long an older version's lease could go on, by a clock that is late, after a newer came. */
#define REMEMBERED_S (XENO_ADVERT_LEASE_S + 2 * XENO_ADVERT_SKEW_S)

const struct xeno_replica_limits xeno_replica_limits_default = {
    .poll = xeno_s(2),
    .repair = xeno_s(600),
    .patience = xeno_s(30),
    .backoff = xeno_s(60),
    .entries = 2000000,
    .fetches = 65536,
};

struct entry *xeno_replica_find(const struct xeno_replica *r, const char *id)
{
    struct entry *e;

    HASH_FIND(hh, r->entries, id, XENO_ID_CHARS, e);
    return e;
}

xeno_time xeno_replica_jitter(const struct xeno_replica *r, xeno_time about)
{
    uint32_t n;

    xeno_random(r->env, &n, sizeof n);
    return xeno_ns(about.ns / 2 + about.ns / 1024 * (int64_t)(n % 1024));
}

struct xeno_replica *xeno_replica_new(const struct xeno_env *env,
                                      const struct xeno_replica_host *host,
                                      const struct xeno_replica_limits *limits, size_t peers)
{
    struct xeno_replica *r = xeno_new0(struct xeno_replica);

    r->env = env;
    r->host = *host;
    r->limits = limits ? *limits : xeno_replica_limits_default;
    while (r->origin == 0)
        xeno_random(env, &r->origin, sizeof r->origin);
    r->next_over = xeno_ns(INT64_MAX);
    r->busy = NOBODY;
    r->peer_count = peers < XENO_REPLICA_PEERS ? peers : XENO_REPLICA_PEERS;
    r->peers = xeno_new0_n(struct peer, r->peer_count + 1);
    for (size_t i = 0; i < r->peer_count; i++)
        r->peers[i].repair_at =
            xeno_time_add(xeno_mono(env), xeno_replica_jitter(r, r->limits.repair));
    for (size_t i = 0; i < BUCKETS; i++)
        r->buckets[i].dirty = true;
    return r;
}

void xeno_replica_free(struct xeno_replica *r)
{
    struct entry *e, *next;

    if (!r)
        return;
    HASH_ITER (hh, r->entries, e, next) {
        HASH_DEL(r->entries, e);
        free(e);
    }
    for (size_t i = 0; i < BUCKETS; i++)
        free(r->buckets[i].entries);
    for (size_t i = 0; i < r->peer_count; i++) {
        free(r->peers[i].repair.prefixes);
        free(r->peers[i].repair.wanted);
    }
    free(r->peers);
    free(r->feed);
    free(r);
}

/* --- the feed: an array in the order of places; what moves on leaves a hole --- */

size_t xeno_replica_feed_from(const struct xeno_replica *r, int64_t after)
{
    size_t low = 0, high = r->feed_count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (r->feed[mid].pos <= after)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void feed_compact(struct xeno_replica *r)
{
    size_t to = 0;

    for (size_t i = 0; i < r->feed_count; i++) {
        if (r->feed[i].e)
            r->feed[to++] = r->feed[i];
    }
    r->feed_count = to;
    r->feed_holes = 0;
}

static void feed_drop(struct xeno_replica *r, const struct entry *e)
{
    r->feed[xeno_replica_feed_from(r, e->pos - 1)].e = NULL;
    r->feed_holes++;
    if (r->feed_holes > 64 && r->feed_holes > r->feed_count / 2)
        feed_compact(r);
}

static void feed_add(struct xeno_replica *r, struct entry *e)
{
    if (r->feed_count == r->feed_room) {
        r->feed_room = r->feed_room ? r->feed_room * 2 : 64;
        r->feed = xeno_grow(r->feed, r->feed_room);
    }
    e->pos = ++r->pos;
    r->feed[r->feed_count++] = (struct feed_slot){ .pos = e->pos, .e = e };
}

/* --- origins of what is here --- */

struct origin *xeno_replica_origin(struct xeno_replica *r, uint64_t id)
{
    for (size_t i = 0; i < r->origin_count; i++) {
        if (r->origins[i].id == id)
            return &r->origins[i];
    }
    return NULL;
}

/* A stamp with no room for its origin is none: its entry is offered to everybody. */
static void stamp_add(struct xeno_replica *r, struct entry *e)
{
    uint64_t id = e->stamp.origin;
    struct origin *o = xeno_replica_origin(r, id);

    if (id == 0 || id == r->origin)
        return;
    if (!o && r->origin_count < XENO_REPLICA_ORIGINS - 1) { /* ours is in the vector too */
        o = &r->origins[r->origin_count++];
        *o = (struct origin){ .id = id, .raised_by = NOBODY };
    }
    if (o)
        o->held++;
    else
        e->stamp = (struct xeno_stamp){ 0 };
}

static void stamp_drop(struct xeno_replica *r, struct entry *e)
{
    struct origin *o = xeno_replica_origin(r, e->stamp.origin);

    if (o && --o->held == 0)
        *o = r->origins[--r->origin_count];
    e->stamp = (struct xeno_stamp){ 0 };
}

/* --- changes --- */

bool xeno_replica_news(const struct xeno_replica *r, const struct xeno_id *id, int64_t version)
{
    const struct entry *e = xeno_replica_find(r, id->s);

    return !e || e->version < version;
}

static void note_over(struct xeno_replica *r, xeno_time at)
{
    if (at.ns < r->next_over.ns)
        r->next_over = at;
}

static void leave(struct xeno_replica *r, struct entry *e)
{
    feed_drop(r, e);
    xeno_replica_tree_drop(r, e);
    stamp_drop(r, e);
    r->alive--;
}

static void forget(struct xeno_replica *r, struct entry *e)
{
    if (!e->gone)
        leave(r, e);
    e->gone = true;
    e->expires = xeno_time_add(xeno_wall(r->env), xeno_s(REMEMBERED_S));
}

static void stamp_new(struct xeno_replica *r, struct entry *e, struct xeno_stamp stamp)
{
    if (stamp.origin == 0 && stamp.seq != XENO_REPLICA_RESTORED)
        e->stamp = (struct xeno_stamp){ .origin = r->origin, .seq = ++r->seq };
    else if (stamp.origin != r->origin && stamp.seq > 0)
        e->stamp = stamp;
    stamp_add(r, e);
}

int xeno_replica_put(struct xeno_replica *r, const struct xeno_replica_item *it,
                     struct xeno_err *err)
{
    struct entry *e = xeno_replica_find(r, it->id.s);

    if (e && e->version >= it->version)
        return xeno_fail(err, -EEXIST, "replica.old", "version %" PRId64 " of %s is here already",
                         e->version, it->id.s);
    if (!e && HASH_COUNT(r->entries) >= r->limits.entries)
        return xeno_fail(err, -EDQUOT, "replica.full", "this node knows %zu adverts, its bound",
                         r->limits.entries);
    if (!e) {
        e = xeno_new0(struct entry);
        e->id = it->id;
        e->gone = true;
        HASH_ADD(hh, r->entries, id.s, XENO_ID_CHARS, e);
    }
    if (!e->gone)
        leave(r, e);
    e->gone = false;
    e->version = it->version;
    e->expires = it->expires;
    stamp_new(r, e, it->stamp);
    feed_add(r, e);
    xeno_replica_tree_add(r, e);
    r->alive++;
    if (it->expires.ns <= xeno_wall(r->env).ns)
        forget(r, e);
    note_over(r, e->expires);
    return 0;
}

void xeno_replica_age(struct xeno_replica *r)
{
    xeno_time now = xeno_wall(r->env), mono = xeno_mono(r->env);
    struct entry *e, *next;

    if (now.ns < r->next_over.ns || mono.ns < r->aged.ns + XENO_NS_PER_S)
        return;
    r->aged = mono;
    r->next_over = xeno_ns(INT64_MAX);
    HASH_ITER (hh, r->entries, e, next) {
        if (e->expires.ns <= now.ns && e->gone) {
            HASH_DEL(r->entries, e);
            free(e);
            continue;
        }
        if (e->expires.ns <= now.ns)
            forget(r, e);
        note_over(r, e->expires);
    }
}

struct xeno_replica_stats xeno_replica_stats(const struct xeno_replica *r)
{
    struct xeno_replica_stats s = r->stats;

    s.entries = r->alive;
    s.forgotten = HASH_COUNT(r->entries) - r->alive;
    s.origins = r->origin_count;
    return s;
}

void xeno_replica_root(struct xeno_replica *r, uint8_t ret[XENO_REPLICA_HASH])
{
    xeno_replica_hash(r, "", ret);
}
