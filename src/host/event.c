/* src/host/event.c - what happened in a session, for those who watch it.
 *
 * The last XENO_HOST_EVENTS of each session are kept in memory. After a restart the history is
 * gone, but ids go on growing, and the first event of the new life tells the present state; so a
 * watcher that comes back with an old id misses nothing that is still true.
 */
#include <stdio.h>
#include <stdlib.h>

#include "host/internal.h"

void event_tell(struct xeno_host *h, struct session *s, const char *type, struct xeno_json *data)
{
    struct event *e;

    xeno_json_set_int(data, "time_ms", wall_ms(h));
    if (!s->events)
        s->events = xeno_new0_n(struct event, XENO_HOST_EVENTS);
    if (s->event_count == XENO_HOST_EVENTS) {
        free(s->events[s->event_first].data);
        s->event_first = (s->event_first + 1) % XENO_HOST_EVENTS;
        s->event_count--;
    }
    e = &s->events[(s->event_first + s->event_count++) % XENO_HOST_EVENTS];
    e->id = ++h->event_id;
    e->type = type;
    e->data = xeno_json_format(data, false, NULL);
    xeno_json_unref(data);
    if (h->ports.event)
        h->ports.event(h->ports.ctx,
                       &(struct xeno_host_event){
                           .id = e->id, .session = s->id, .type = e->type, .data = e->data });
}

void xeno_host_tell(struct xeno_host *h, const char *session, const char *type,
                    struct xeno_json *data)
{
    struct session *s = host_session(h, session);

    if (s)
        event_tell(h, s, type, data);
    else
        xeno_json_unref(data);
}

void events_free(struct session *s)
{
    for (size_t i = 0; i < s->event_count; i++)
        free(s->events[(s->event_first + i) % XENO_HOST_EVENTS].data);
    free(s->events);
}

int xeno_host_events(struct xeno_host *h, const struct xeno_id *who, const char *session,
                     uint64_t after, void (*fn)(void *ctx, const struct xeno_host_event *ev),
                     void *ctx, struct xeno_err *err)
{
    struct session *s;
    int r;

    r = host_find(h, who, session, &s, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < s->event_count; i++) {
        const struct event *e = &s->events[(s->event_first + i) % XENO_HOST_EVENTS];

        if (e->id > after)
            fn(ctx, &(struct xeno_host_event){
                        .id = e->id, .session = s->id, .type = e->type, .data = e->data });
    }
    return 0;
}

void reason_from(const struct xeno_err *err, char out[REASON_CHARS])
{
    snprintf(out, REASON_CHARS, "%s: %.140s", err->token, err->text);
}
