/* src/xenod/api-events.c - what happens in a session, as server-sent events.
 *
 * First what is remembered after the given id, then live. The stream ends with the session.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xenod/xenod.h"

struct follower {
    struct xenod_watch watch; /* first: the two pointers are one */
    struct xenod *d;
    struct xeno_http_stream *stream;
    uint64_t last; /* id of the newest event that was sent */
    bool ended;
};

static void follower_free(struct follower *f)
{
    xenod_watch_remove(f->d, &f->watch);
    free(f);
}

static void on_gone(void *arg)
{
    follower_free(arg);
}

static void send_event(struct follower *f, const struct xeno_host_event *ev)
{
    char id[24];

    if (ev->id <= f->last)
        return;
    f->last = ev->id;
    snprintf(id, sizeof id, "%" PRIu64, ev->id);
    /* Over its bound: on_gone() follows from the loop. */
    (void)xeno_http_stream_event(f->stream, id, ev->type, ev->data);
    f->ended |= strcmp(ev->type, "session.state") == 0 && strstr(ev->data, "\"state\":\"ended\"");
}

static void on_event(struct xenod_watch *w, const struct xeno_host_event *ev)
{
    struct follower *f = (struct follower *)w;

    send_event(f, ev);
    if (f->ended) {
        xeno_http_stream_close(f->stream);
        follower_free(f);
    }
}

static void on_old_event(void *ctx, const struct xeno_host_event *ev)
{
    send_event(ctx, ev);
}

/* ?after= wins over the header that browsers send when they connect again. */
static bool first_wanted(struct xeno_http_req *q, uint64_t *ret)
{
    const char *header = xeno_http_header(q, "Last-Event-ID");
    int64_t after;

    if (!xenod_query_int(q, "after", 0, INT64_MAX, -1, &after))
        return false;
    *ret = after >= 0 ? (uint64_t)after : header ? strtoull(header, NULL, 10) : 0;
    return true;
}

void xenod_get_events(struct xeno_http_req *q, void *user)
{
    struct xenod *d = user;
    const struct xeno_id *who = xenod_who(d, q);
    const char *session = xeno_http_param(q, "session");
    struct follower *f;
    struct xeno_id id; /* of who asks: the request is gone when the stream begins */
    struct xeno_err err = XENO_ERR_INIT;
    uint64_t after;

    if (!first_wanted(q, &after))
        return;
    if (xeno_host_check(d->host, who, session, NULL, false, &err) < 0) {
        xenod_refuse(q, &err);
        return;
    }
    if (who) {
        id = *who;
        who = &id;
    }
    f = xeno_new0(struct follower);
    f->d = d;
    f->last = after;
    f->watch.host_event = on_event;
    snprintf(f->watch.session, sizeof f->watch.session, "%s", session);
    xenod_watch_add(d, &f->watch);
    f->stream = xeno_http_reply_stream(q, "text/event-stream", on_gone, f);
    (void)xeno_host_events(d->host, who, f->watch.session, after, on_old_event, f, NULL);
    if (f->ended) {
        xeno_http_stream_close(f->stream);
        follower_free(f);
    }
}
