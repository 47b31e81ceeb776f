/* src/xenod/watch.c - who follows what happens in a session. */
#include <string.h>
#include <utlist.h>

#include "xenod/xenod.h"

void xenod_watch_add(struct xenod *d, struct xenod_watch *w)
{
    DL_APPEND(d->watches, w);
}

void xenod_watch_remove(struct xenod *d, struct xenod_watch *w)
{
    DL_DELETE(d->watches, w);
}

void xenod_watch_host(struct xenod *d, const struct xeno_host_event *ev)
{
    struct xenod_watch *w, *next;

    DL_FOREACH_SAFE (d->watches, w, next) {
        if (w->host_event && strcmp(w->session, ev->session) == 0)
            w->host_event(w, ev);
    }
}

void xenod_watch_task(struct xenod *d, const struct xeno_task_event *ev)
{
    struct xenod_watch *w, *next;

    DL_FOREACH_SAFE (d->watches, w, next) {
        if (w->task_event && strcmp(w->session, ev->session) == 0)
            w->task_event(w, ev);
    }
}
