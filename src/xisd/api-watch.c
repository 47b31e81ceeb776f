/* src/xisd/api-watch.c - watches: made, renewed, and told as server-sent events.
 *
 * The store's watch follows the feed and keeps the history (xis/watch.h); it may end by itself, so
 * it is looked up by name each time. Here is the reader of it, if there is one: a watch has one at
 * a time, the newest.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "xis/watch.h"
#include "xisd/party.h"

#define POLL_CHANGES 4096 /* read on in one turn, by one watch */
#define EVENTS       256  /* handed on in one turn */
#define WAITING_MAX  (128 * 1024)

struct xisd_watch {
    struct xisd *d;
    char name[XENO_WATCH_NAME + 1], owner[XENO_ID_CHARS + 1];
    xeno_time poll;                  /* monotonic: when next */
    struct xeno_http_stream *stream; /* NULL: nobody reads */
    int64_t sent;                    /* the last event that the stream has */
    struct xisd_watch *prev, *next;
};

static struct xisd_watch *find(struct xisd *d, const char *owner, const char *name)
{
    struct xisd_watch *w;

    DL_FOREACH (d->watches, w)
        if (strcmp(w->name, name) == 0 && strcmp(w->owner, owner) == 0)
            return w;
    return NULL;
}

static void watch_free(struct xisd_watch *w)
{
    DL_DELETE(w->d->watches, w);
    if (w->stream)
        xeno_http_stream_close(w->stream);
    free(w);
}

void xisd_watches_free(struct xisd *d)
{
    while (d->watches)
        watch_free(d->watches);
}

void xisd_watches_tend(struct xisd *d)
{
    struct xisd_watch *w, *next;

    if (xeno_watch_age(d->xis, xeno_mono(d->env)) == 0)
        return;
    DL_FOREACH_SAFE (d->watches, w, next)
        if (!xeno_watch_find(d->xis, w->owner, w->name))
            watch_free(w);
}

/* --- telling --- */

static bool send_event(struct xisd_watch *w, const struct xeno_watch_event *e)
{
    static const char *const kinds[] = {
        [XENO_WATCH_MATCH] = "match", [XENO_WATCH_GONE] = "gone", [XENO_WATCH_GAP] = "gap"
    };
    char id[24], data[160];

    snprintf(id, sizeof id, "%" PRId64, e->id);
    if (e->kind == XENO_WATCH_MATCH)
        snprintf(data, sizeof data,
                 "{\"id\":\"%s\",\"version\":%" PRId64 ",\"expires_ms\":%" PRId64 "}", e->advert.s,
                 e->version, e->expires.ns / XENO_NS_PER_MS);
    else if (e->kind == XENO_WATCH_GONE)
        snprintf(data, sizeof data, "{\"id\":\"%s\"}", e->advert.s);
    else
        snprintf(data, sizeof data, "{\"lost\":%" PRId64 "}", e->lost);
    w->sent = e->id;
    return xeno_http_stream_event(w->stream, id, kinds[e->kind], data);
}

/* What the reader has not, as long as it takes it: what it is slow for stays in the history. */
static bool send_events(struct xisd_watch *w, const struct xeno_watch *watch)
{
    struct xeno_watch_event events[EVENTS];
    size_t n = 0;

    if (!w->stream || xeno_http_stream_waiting(w->stream) > WAITING_MAX)
        return false;
    n = xeno_watch_events(watch, w->sent, EVENTS, events);
    for (size_t i = 0; i < n; i++)
        if (!send_event(w, &events[i]))
            return false;
    return n == EVENTS;
}

static void set_timer(struct xisd *d)
{
    xeno_time first = { INT64_MAX };
    struct xisd_watch *w;

    DL_FOREACH (d->watches, w)
        first = w->poll.ns < first.ns ? w->poll : first;
    if (first.ns == INT64_MAX) {
        (void)sd_event_source_set_enabled(d->polls, SD_EVENT_OFF);
        return;
    }
    first.ns -= xeno_mono(d->env).ns;
    (void)sd_event_source_set_time_relative(d->polls,
                                            first.ns > 0 ? (uint64_t)first.ns / 1000 + 1 : 0);
    (void)sd_event_source_set_enabled(d->polls, SD_EVENT_ONESHOT);
}

static void poll_one(struct xisd_watch *w, xeno_time now)
{
    struct xeno_watch *watch = xeno_watch_find(w->d->xis, w->owner, w->name);

    if (!watch) {
        watch_free(w);
        return;
    }
    if (w->poll.ns <= now.ns)
        w->poll = xeno_watch_poll(watch, now, POLL_CHANGES);
    if (send_events(w, watch))
        w->poll = now;
}

void xisd_watches_poll(struct xisd *d)
{
    xeno_time now = xeno_mono(d->env);
    struct xisd_watch *w, *next;

    DL_FOREACH_SAFE (d->watches, w, next)
        poll_one(w, now);
    set_timer(d);
}

/* --- requests --- */

static int read_lease(const struct xeno_json_at *at, xeno_time *ret, struct xeno_err *err)
{
    int64_t s = 0;
    int r = xeno_json_int(at, "lease_s", XENO_WATCH_LEASE_MIN_S, XENO_WATCH_LEASE_MAX_S, &s, err);

    *ret = xeno_s(s);
    return r;
}

static void reply(struct xeno_http_req *q, int status, const struct xeno_watch *watch,
                  xeno_time now)
{
    struct xeno_json *body = xeno_json_object();

    xeno_json_set_str(body, "watch", xeno_watch_name(watch));
    xeno_json_set_int(body, "lease_s", (xeno_watch_until(watch).ns - now.ns) / XENO_NS_PER_S);
    xeno_http_reply_json(q, status, body);
}

static int make(struct xisd *d, const char *owner, const struct xeno_json_at *top, xeno_time now,
                struct xeno_watch **ret, struct xeno_err *err)
{
    static const char *const keys[] = { "where", "min_interval_ms", "lease_s", NULL };
    struct xeno_query_tree *tree = NULL;
    struct xeno_json_at where;
    int64_t interval = 1000;
    xeno_time lease;
    int r = xeno_json_only(top, keys, err);

    if (r == 0)
        r = xeno_json_int_opt(top, "min_interval_ms", XENO_WATCH_MIN_MS, XENO_WATCH_MAX_MS,
                              &interval, err);
    if (r >= 0)
        r = read_lease(top, &lease, err);
    if (r == 0)
        r = xeno_json_obj(top, "where", &where, err);
    if (r == 0)
        r = xeno_query_read(&where, &tree, err);
    if (r < 0)
        return r;
    return xeno_watch_new(d->xis, owner, tree, xeno_ms(interval), lease, now, ret, err);
}

void xisd_post_watch(struct xeno_http_req *q, void *user)
{
    struct xisd *d = user;
    const char *owner = xeno_http_peer(q)->id.s;
    xeno_auto(xeno_json) j = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    xeno_time now = xeno_mono(d->env);
    struct xeno_watch *watch = NULL;
    struct xeno_xis_stats s = { 0 };
    struct xeno_json_at top;
    struct xisd_watch *w;

    d->counts.requests++;
    if (xeno_http_body_json(q, &j) < 0 || !xisd_may_ask(d, q, XISD_QUERY_COST))
        return;
    top = xeno_json_top(j);
    if (make(d, owner, &top, now, &watch, &err) < 0) {
        xisd_refuse(d, q, &err);
        return;
    }
    w = xeno_new0(struct xisd_watch);
    w->d = d;
    snprintf(w->name, sizeof w->name, "%s", xeno_watch_name(watch));
    snprintf(w->owner, sizeof w->owner, "%s", owner);
    w->poll = now;
    DL_APPEND(d->watches, w);
    xeno_xis_stats(d->xis, &s);
    xisd_spent(d, q, s.alive + s.dead); /* its beginning looks at all */
    reply(q, 201, watch, now);
    xisd_watches_poll(d);
}

/* Which one the path names; else the request is answered. */
static struct xeno_watch *named(struct xisd *d, struct xeno_http_req *q)
{
    const char *name = xeno_http_param(q, "watch");
    struct xeno_watch *watch = xeno_watch_find(d->xis, xeno_http_peer(q)->id.s, name);
    struct xeno_err err = XENO_ERR_INIT;

    d->counts.requests++;
    if (watch)
        return watch;
    xeno_fail(&err, -ENOENT, "xis.watch", "you have no watch '%.40s': its lease may be over", name);
    xisd_refuse(d, q, &err);
    return NULL;
}

static void on_reader_gone(void *arg)
{
    ((struct xisd_watch *)arg)->stream = NULL;
}

void xisd_get_watch(struct xeno_http_req *q, void *user)
{
    struct xisd *d = user;
    const char *last = xeno_http_header(q, "Last-Event-ID");
    struct xeno_watch *watch = named(d, q);
    struct xisd_watch *w;

    if (!watch)
        return;
    w = find(d, xeno_http_peer(q)->id.s, xeno_watch_name(watch));
    if (w->stream)
        xeno_http_stream_close(xeno_take(&w->stream));
    w->sent = last ? strtoll(last, NULL, 10) : 0;
    w->sent = w->sent > 0 ? w->sent : 0;
    w->stream = xeno_http_reply_stream(q, "text/event-stream", on_reader_gone, w);
    w->poll = xeno_mono(d->env);
    xisd_watches_poll(d);
}

void xisd_renew_watch(struct xeno_http_req *q, void *user)
{
    struct xisd *d = user;
    struct xeno_watch *watch = named(d, q);
    xeno_auto(xeno_json) j = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    xeno_time now = xeno_mono(d->env), lease;
    struct xeno_json_at top;
    int r;

    if (!watch || xeno_http_body_json(q, &j) < 0)
        return;
    top = xeno_json_top(j);
    r = read_lease(&top, &lease, &err);
    if (r == 0)
        r = xeno_watch_renew(watch, lease, now, &err);
    if (r < 0)
        xisd_refuse(d, q, &err);
    else
        reply(q, 200, watch, now);
}

void xisd_delete_watch(struct xeno_http_req *q, void *user)
{
    struct xisd *d = user;
    struct xeno_watch *watch = named(d, q);

    if (!watch)
        return;
    watch_free(find(d, xeno_http_peer(q)->id.s, xeno_watch_name(watch)));
    xeno_watch_free(watch);
    xeno_http_reply_data(q, 204, "text/plain", "", 0);
}
