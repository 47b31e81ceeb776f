/* src/xis/watch.h - to be told what begins and ends to match a query: leased, and bounded.
 *
 * A watch follows the store's feed by itself: it remembers how far it read and which adverts
 * matched, and xeno_watch_poll() reads on. So what changes several times within its interval is
 * told once, as it is then, and a put costs nothing for watches. Its first events are what matches
 * when it is made. It keeps the last XENO_WATCH_HISTORY events; a reader that asks for older ones
 * is told how many it missed. Context: the writer's thread.
 */
#ifndef XENO_XIS_WATCH_H
#define XENO_XIS_WATCH_H

#include "xis/xis.h"

#define XENO_WATCH_HISTORY     1024
#define XENO_WATCH_NAME        26 /* letters */
#define XENO_WATCH_LEASE_MIN_S 10
#define XENO_WATCH_LEASE_MAX_S 3600
#define XENO_WATCH_MIN_MS      100
#define XENO_WATCH_MAX_MS      3600000

enum xeno_watch_kind { XENO_WATCH_MATCH, XENO_WATCH_GONE, XENO_WATCH_GAP };
struct xeno_watch_event {
    int64_t id; /* rising by one; 1 is the first. Of a gap: of the last that was lost */
    enum xeno_watch_kind kind;
    struct xeno_id advert;
    int64_t version; /* MATCH */
    xeno_time expires;
    int64_t lost; /* GAP: so many events before the next */
};

struct xeno_watch;

/* Takes `q`, also on failure. `owner`: the credential it is of; `now`: monotonic, as below.
 * Returns: 0 and the watch, which belongs to the store.
 * Errors:  -EINVAL xis.watch (interval or lease out of bounds), -EDQUOT xis.watches. */
int xeno_watch_new(struct xeno_xis *x, const char *owner, struct xeno_query_tree *q,
                   xeno_time min_interval, xeno_time lease, xeno_time now, struct xeno_watch **ret,
                   struct xeno_err *err);
const char *xeno_watch_name(const struct xeno_watch *w);
xeno_time xeno_watch_until(const struct xeno_watch *w);
/* The owner's watch of that name; NULL: none. */
struct xeno_watch *xeno_watch_find(struct xeno_xis *x, const char *owner, const char *name);
int xeno_watch_renew(struct xeno_watch *w, xeno_time lease, xeno_time now, struct xeno_err *err);
void xeno_watch_free(struct xeno_watch *w);

/* Read on in the feed when the interval has passed: at most `budget` changes.
 * Returns: when to poll again (now: there is more already). */
xeno_time xeno_watch_poll(struct xeno_watch *w, xeno_time now, size_t budget);

/* Events after the one numbered `after`, oldest first. Returns: how many, `limit` at most. */
size_t xeno_watch_events(const struct xeno_watch *w, int64_t after, size_t limit,
                         struct xeno_watch_event *ret);

/* End the watches whose lease is over. Returns: how many. */
size_t xeno_watch_age(struct xeno_xis *x, xeno_time now);

#endif
