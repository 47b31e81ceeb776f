/* src/xenod/identity.c - the XenoCorp's member that a XenoServer is. */
#include <stdio.h>

#include "json/json.h"
#include "xenod/xenod.h"

/* --- where the revocation list is: in the journal --- */

static const char revocations_name[] = "revocations";

static char *kept(void *ctx)
{
    return xenod_keep_get(ctx, revocations_name);
}

static void keep(const char *text, void *ctx)
{
    xenod_keep_put(ctx, revocations_name, text);
}

struct xeno_member *xenod_identity_new(struct xenod *d)
{
    struct xeno_member_opts opts = { .env = d->env,
                                     .kind = XENO_PARTY_SERVER,
                                     .program = "xenod",
                                     .corp_url = d->opt.corp_url,
                                     .dir = d->opt.dir,
                                     .dirfd = d->dirfd,
                                     .kept = kept,
                                     .keep = keep,
                                     .ctx = d };

    return xeno_member_new(&opts);
}

int xenod_identity_open(struct xenod *d, struct xeno_err *err)
{
    d->member = xenod_identity_new(d);
    return xeno_member_load(d->member, d->loop, err);
}

/* --- joining --- */

static struct xeno_json *machine_json(const struct xenod *d)
{
    struct xeno_json *m = xeno_json_object();

    xeno_json_set_str(m, "architecture", d->machine.architecture);
    xeno_json_set_str(m, "cpu", *d->machine.cpu ? d->machine.cpu : "unknown");
    xeno_json_set_int(m, "cpus", d->machine.cpus);
    xeno_json_set_int(m, "memory_bytes", d->machine.memory_bytes);
    xeno_json_set_int(m, "network_mbps", d->opt.net_mbps);
    return m;
}

int xenod_enrol(struct xenod *d, const char *token, struct xeno_err *err)
{
    xeno_auto(xeno_json) machine = NULL;
    struct xeno_member_join join = { .told = &d->opt.told,
                                     .listen = d->opt.listen,
                                     .about = "machine" };
    int r = xeno_member_dir(d->opt.dir, &d->dirfd, err);

    if (r < 0)
        return r;
    r = sd_event_default(&d->loop);
    if (r < 0)
        return xeno_fail_errno(err, r, "loop.new", "make an event loop");
    xenod_machine_read(&d->machine, d->opt.dir);
    join.has = machine = machine_json(d);
    d->member = xenod_identity_new(d);
    r = xeno_member_enrol(d->member, d->loop, token, &join, err);
    if (r < 0)
        return r;
    printf("%s\n", xeno_member_id(d->member)->s);
    return 0;
}
