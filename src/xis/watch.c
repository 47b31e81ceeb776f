/* src/xis/watch.c - leased watches, each of which follows the feed by itself. */
#include "xis/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/enc.h"
#include "xis/xis-priv.h"

#define NAME_BYTES 20 /* of randomness; its text is cut to XENO_WATCH_NAME letters */

struct xeno_watch {
    struct xeno_xis *x;
    struct xeno_watch *next, *prev;
    char name[XENO_WATCH_NAME + 1], owner[XENO_ID_CHARS + 1];
    struct xeno_query_tree *q;
    xeno_time interval, until, due;
    int64_t after;                   /* read so far */
    uint64_t *inside;                /* a bit a slot: it matched */
    size_t slots;                    /* bits there are */
    struct xeno_watch_event *events; /* a ring of XENO_WATCH_HISTORY, grown when it is needed */
    size_t room;
    int64_t last; /* the newest event's id; the oldest's is last - kept + 1 */
    size_t kept;
};

static int check(xeno_time lease, struct xeno_err *err)
{
    int64_t s = lease.ns / XENO_NS_PER_S;

    if (s < XENO_WATCH_LEASE_MIN_S || s > XENO_WATCH_LEASE_MAX_S)
        return xeno_fail(err, -EINVAL, "xis.watch", "a lease of %" PRId64 " s, must be %d to %d", s,
                         XENO_WATCH_LEASE_MIN_S, XENO_WATCH_LEASE_MAX_S);
    return 0;
}

static int check_new(const struct xeno_xis *x, const char *owner, xeno_time interval,
                     xeno_time lease, struct xeno_err *err)
{
    int64_t ms = interval.ns / XENO_NS_PER_MS;
    size_t n = 0;

    if (ms < XENO_WATCH_MIN_MS || ms > XENO_WATCH_MAX_MS)
        return xeno_fail(err, -EINVAL, "xis.watch",
                         "an interval of %" PRId64 " ms, must be %d to %d", ms, XENO_WATCH_MIN_MS,
                         XENO_WATCH_MAX_MS);
    for (const struct xeno_watch *w = x->watches; w; w = w->next)
        n += strcmp(w->owner, owner) == 0;
    if (n >= x->limits.carrier_watches || x->watch_count >= x->limits.watches)
        return xeno_fail(
            err, -EDQUOT, "xis.watches",
            "%zu watches of this credential and %zu in all, at most %zu and %zu may be", n,
            x->watch_count, x->limits.carrier_watches, x->limits.watches);
    return check(lease, err);
}

int xeno_watch_new(struct xeno_xis *x, const char *owner, struct xeno_query_tree *taken,
                   xeno_time min_interval, xeno_time lease, xeno_time now, struct xeno_watch **ret,
                   struct xeno_err *err)
{
    xeno_auto(xeno_query_tree) q = taken;
    uint8_t bytes[NAME_BYTES];
    char name[NAME_BYTES / 5 * 8 + 1];
    struct xeno_watch *w;
    int r = check_new(x, owner, min_interval, lease, err);

    if (r < 0)
        return r;
    w = xeno_new0(struct xeno_watch);
    w->x = x;
    xeno_random(x->env, bytes, sizeof bytes);
    xeno_base32(bytes, sizeof bytes, name);
    memcpy(w->name, name, XENO_WATCH_NAME);
    memcpy(w->owner, owner, strnlen(owner, XENO_ID_CHARS));
    w->q = xeno_take(&q);
    w->interval = min_interval;
    w->until = xeno_time_add(now, lease);
    w->due = now;
    w->next = x->watches;
    if (w->next)
        w->next->prev = w;
    x->watches = w;
    x->watch_count++;
    *ret = w;
    return 0;
}

void xeno_watch_free(struct xeno_watch *w)
{
    if (!w)
        return;
    *(w->prev ? &w->prev->next : &w->x->watches) = w->next;
    if (w->next)
        w->next->prev = w->prev;
    w->x->watch_count--;
    xeno_query_free(w->q);
    free(w->inside);
    free(w->events);
    free(w);
}

const char *xeno_watch_name(const struct xeno_watch *w)
{
    return w->name;
}

xeno_time xeno_watch_until(const struct xeno_watch *w)
{
    return w->until;
}

struct xeno_watch *xeno_watch_find(struct xeno_xis *x, const char *owner, const char *name)
{
    for (struct xeno_watch *w = x->watches; w; w = w->next)
        if (strcmp(w->name, name) == 0 && strcmp(w->owner, owner) == 0)
            return w;
    return NULL;
}

int xeno_watch_renew(struct xeno_watch *w, xeno_time lease, xeno_time now, struct xeno_err *err)
{
    int r = check(lease, err);

    if (r == 0)
        w->until = xeno_time_add(now, lease);
    return r;
}

size_t xeno_watch_age(struct xeno_xis *x, xeno_time now)
{
    size_t n = 0;

    for (struct xeno_watch *w = x->watches, *next; w; w = next) {
        next = w->next;
        if (w->until.ns > now.ns)
            continue;
        xeno_watch_free(w);
        n++;
    }
    return n;
}

/* The ring grows until it has its full size: most watches see little. */
static void grow(struct xeno_watch *w)
{
    size_t room = w->room ? w->room * 2 : 16;
    struct xeno_watch_event *events = xeno_new0_n(struct xeno_watch_event, room);

    for (int64_t id = w->last - (int64_t)w->kept + 1; id <= w->last; id++)
        events[(size_t)id % room] = w->events[(size_t)id % w->room];
    free(w->events);
    w->events = events;
    w->room = room;
}

static void tell(struct xeno_watch *w, enum xeno_watch_kind kind, uint32_t slot,
                 const struct xeno_record *r)
{
    struct xeno_watch_event *e;

    if (w->kept == w->room && w->room < XENO_WATCH_HISTORY)
        grow(w);
    e = &w->events[(size_t)++w->last % w->room];
    if (w->kept < w->room)
        w->kept++;
    *e = (struct xeno_watch_event){ .id = w->last, .kind = kind, .version = r->version };
    memcpy(e->advert.s, xeno_slot_id(w->x, slot), XENO_ID_CHARS);
    e->expires = r->expires;
}

static bool was_inside(const struct xeno_watch *w, uint32_t slot)
{
    return slot < w->slots && w->inside[slot / 64] >> slot % 64 & 1;
}

static void set_inside(struct xeno_watch *w, uint32_t slot, bool in)
{
    size_t slots = atomic_load(&w->x->slot_top) / 64 * 64 + 64;

    if (slot >= w->slots) {
        w->inside = xeno_grow(w->inside, slots / 64);
        memset(w->inside + w->slots / 64, 0, (slots - w->slots) / 8);
        w->slots = slots;
    }
    if (in)
        w->inside[slot / 64] |= UINT64_C(1) << slot % 64;
    else
        w->inside[slot / 64] &= ~(UINT64_C(1) << slot % 64);
}

static void see(struct xeno_watch *w, struct xeno_view *v, uint32_t slot)
{
    bool in, was = was_inside(w, slot);

    v->record = xeno_record_at(w->x, slot);
    in = v->record->state == XENO_XIS_ALIVE &&
         xeno_query_eval(w->q, xeno_view_value, v) == XENO_TRUE;
    if (in)
        tell(w, XENO_WATCH_MATCH, slot, v->record);
    else if (was)
        tell(w, XENO_WATCH_GONE, slot, v->record);
    if (in != was)
        set_inside(w, slot, in);
}

void xeno_watch_forget(struct xeno_xis *x, uint32_t slot)
{
    for (struct xeno_watch *w = x->watches; w; w = w->next)
        if (was_inside(w, slot)) {
            tell(w, XENO_WATCH_GONE, slot, xeno_record_at(x, slot));
            set_inside(w, slot, false);
        }
}

/* The writer's own thread reads without entering: nothing is dropped while it does. */
xeno_time xeno_watch_poll(struct xeno_watch *w, xeno_time now, size_t budget)
{
    const struct xeno_node *root = xeno_tree_root(&w->x->feed);
    struct xeno_cursor c;
    struct xeno_entry e;
    struct xeno_view v;

    if (now.ns < w->due.ns)
        return w->due;
    xeno_view_init(&v, w->x, w->q);
    xeno_feed_from(w->x, root, w->after, &c);
    for (; budget > 0 && xeno_cursor_get(&c, &e); xeno_cursor_next(&c), budget--) {
        w->after = (int64_t)e.key;
        see(w, &v, e.slot);
    }
    if (xeno_cursor_get(&c, &e))
        return now;
    w->due = xeno_time_add(now, w->interval);
    return w->due;
}

size_t xeno_watch_events(const struct xeno_watch *w, int64_t after, size_t limit,
                         struct xeno_watch_event *ret)
{
    int64_t first = w->last - (int64_t)w->kept + 1;
    size_t n = 0;

    if (after < 0 || after > w->last)
        after = 0; /* a number that was never given */
    if (after < first - 1 && limit > 0)
        ret[n++] = (struct xeno_watch_event){ .id = first - 1,
                                              .kind = XENO_WATCH_GAP,
                                              .lost = first - 1 - after };
    for (int64_t id = after < first ? first : after + 1; id <= w->last && n < limit; id++)
        ret[n++] = w->events[(size_t)id % w->room];
    return n;
}
