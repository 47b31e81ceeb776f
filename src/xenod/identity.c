/* src/xenod/identity.c - the XenoCorp's member that a XenoServer is. */
#include "json/json.h"
#include "member/serve.h"
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

struct xeno_member_opts xenod_member_opts(struct xenod *d)
{
    return (struct xeno_member_opts){ .env = d->env,
                                      .kind = XENO_PARTY_SERVER,
                                      .program = "xenod",
                                      .corp_url = d->opt.corp_url,
                                      .dir = d->opt.dir,
                                      .kept = kept,
                                      .keep = keep,
                                      .ctx = d };
}

int xenod_member_open(struct xenod *d, struct xeno_err *err)
{
    const struct xeno_member_opts who = xenod_member_opts(d);

    return xeno_member_open(&who, &d->dirfd, &d->loop, &d->member, err);
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
    int r = xenod_member_open(d, err);

    if (r < 0)
        return r;
    xenod_machine_read(&d->machine, d->opt.dir);
    join.has = machine = machine_json(d);
    return xeno_member_join(d->member, d->loop, token, &join, err);
}
