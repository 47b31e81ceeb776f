/* src/xisd/tell.c - when the index has changed: once for all changes of a turn of the loop. */
#include "xisd/xisd.h"

static int on_told(sd_event_source *s, void *user)
{
    struct xisd *d = user;

    (void)s;
    xisd_waiters_tell(d);
    return 0;
}

static int on_poll(sd_event_source *s, uint64_t usec, void *user)
{
    (void)s;
    (void)usec;
    xisd_watches_poll(user);
    return 0;
}

static int on_ages(sd_event_source *s, void *user)
{
    (void)s;
    xisd_age(user);
    return 0;
}

/* After everything else that is ready, so that a group of the writer is told as one. */
int xisd_tell_start(struct xisd *d, struct xeno_err *err)
{
    int r = sd_event_add_defer(d->loop, &d->told, on_told, d);

    if (r >= 0)
        r = sd_event_source_set_priority(d->told, SD_EVENT_PRIORITY_IDLE);
    if (r >= 0)
        r = sd_event_source_set_enabled(d->told, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_add_defer(d->loop, &d->ages, on_ages, d);
    if (r >= 0)
        r = sd_event_source_set_enabled(d->ages, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_add_time(d->loop, &d->polls, CLOCK_BOOTTIME, 0, 0, on_poll, d);
    if (r >= 0)
        r = sd_event_source_set_enabled(d->polls, SD_EVENT_OFF);
    return r < 0 ? xeno_fail_errno(err, r, "xis.loop", "set up what tells of changes") : 0;
}

void xisd_changed(struct xisd *d)
{
    if (d->waiters)
        (void)sd_event_source_set_enabled(d->told, SD_EVENT_ONESHOT);
}
