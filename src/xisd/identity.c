/* src/xisd/identity.c - the XenoCorp's member that an information service is. */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "xisd/xisd.h"

#define TICK_US (1000 * 1000)

struct xeno_member *xisd_identity_new(const struct xisd *d)
{
    struct xeno_member_opts opts = { .env = d->env,
                                     .kind = XENO_PARTY_NODE,
                                     .program = "xisd",
                                     .corp_url = d->opt.corp_url,
                                     .dir = d->opt.dir,
                                     .dirfd = d->dirfd };

    return xeno_member_new(&opts);
}

int xisd_identity_open(struct xisd *d, struct xeno_err *err)
{
    d->member = xisd_identity_new(d);
    return xeno_member_load(d->member, d->loop, err);
}

/* --- joining --- */

int xisd_enrol(struct xisd *d, const char *token, struct xeno_err *err)
{
    struct xeno_member_join join = { .told = &d->opt.told, .listen = d->opt.listen };
    int r = xisd_open_dir(d, err);

    if (r == 0)
        r = xisd_loop(d, err);
    if (r < 0)
        return r;
    d->member = xisd_identity_new(d);
    r = xeno_member_enrol(d->member, d->loop, token, &join, err);
    if (r < 0)
        return r;
    printf("%s\n", xeno_member_id(d->member)->s);
    return 0;
}

/* --- while it runs --- */

static int on_tick(sd_event_source *s, uint64_t usec, void *user)
{
    struct xisd *d = user;

    xeno_member_tick(d->member);
    if (d->work)
        xisd_tick(d);
    (void)usec; /* it may be long ago: of the first tick, and after the machine slept */
    (void)sd_event_source_set_time_relative(s, TICK_US);
    return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

int xisd_identity_start(struct xisd *d, struct xeno_err *err)
{
    struct xeno_http_client_opts opts = { .env = NULL };
    int r;

    xeno_member_calls(d->member, &opts);
    r = xeno_http_client_new(d->loop, &opts, &d->client, err);
    if (r < 0)
        return r;
    xeno_member_attach(d->member, d->client, d->server);
    r = sd_event_add_time(d->loop, &d->sources[d->source_count++], CLOCK_BOOTTIME, 0, 0, on_tick,
                          d);
    return r < 0 ? xeno_fail_errno(err, r, "xis.loop", "set up the timers") : 0;
}

void xisd_identity_stop(struct xisd *d)
{
    xeno_http_client_free(xeno_take(&d->client));
    xeno_member_free(xeno_take(&d->member));
}
