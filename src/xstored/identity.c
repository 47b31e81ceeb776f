/* src/xstored/identity.c - the XenoCorp's member that a store is. */
#include <errno.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <time.h>

#include "xstored/xstored.h"

#define TICK_US (1000 * 1000)

struct xeno_member *xstored_identity_new(const struct xstored *d)
{
    struct xeno_member_opts opts = { .env = d->env,
                                     .kind = XENO_PARTY_NODE,
                                     .program = "xstored",
                                     .corp_url = d->opt.corp_url,
                                     .dir = d->opt.dir,
                                     .dirfd = d->dirfd };

    return xeno_member_new(&opts);
}

int xstored_identity_open(struct xstored *d, struct xeno_err *err)
{
    d->member = xstored_identity_new(d);
    return xeno_member_load(d->member, d->loop, err);
}

/* --- joining --- */

/* What there is for objects: what the operator says, or what is free where they are. */
static int64_t capacity(const struct xstored *d)
{
    bool given = d->opt.objects && *d->opt.objects;
    struct statvfs fs;

    if (d->opt.capacity_bytes)
        return d->opt.capacity_bytes;
    if ((given ? statvfs(d->opt.objects, &fs) : fstatvfs(d->dirfd, &fs)) < 0)
        return 1;
    return (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
}

int xstored_enrol(struct xstored *d, const char *token, struct xeno_err *err)
{
    xeno_auto(xeno_json) storage = xeno_json_object();
    struct xeno_member_join join = {
        .told = &d->opt.told, .listen = d->opt.listen, .about = "storage", .has = storage
    };
    int r = xstored_open_dir(d, err);

    if (r == 0)
        r = xstored_loop(d, err);
    if (r < 0)
        return r;
    xeno_json_set_int(storage, "capacity_bytes", capacity(d));
    d->member = xstored_identity_new(d);
    r = xeno_member_enrol(d->member, d->loop, token, &join, err);
    if (r < 0)
        return r;
    printf("%s\n", xeno_member_id(d->member)->s);
    return 0;
}

/* --- while it runs --- */

static int on_tick(sd_event_source *s, uint64_t usec, void *user)
{
    struct xstored *d = user;

    xeno_member_tick(d->member);
    if (d->work)
        xstored_pay_tick(d);
    (void)usec; /* it may be long ago: of the first tick, and after the machine slept */
    (void)sd_event_source_set_time_relative(s, TICK_US);
    return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

int xstored_identity_start(struct xstored *d, struct xeno_err *err)
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
    return r < 0 ? xeno_fail_errno(err, r, "store.loop", "set up the timers") : 0;
}

void xstored_identity_stop(struct xstored *d)
{
    xeno_http_client_free(xeno_take(&d->client));
    xeno_member_free(xeno_take(&d->member));
}
