/* src/xrdd/open.c - put the parts together, and take them apart. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "daemon/loop.h"
#include "http/public.h"
#include "member/serve.h"
#include "xrdd/xrdd.h"

#define AGE_EVERY_S 5

/* --- the member of its XenoCorp --- */

struct xeno_member_opts xrdd_member_opts(const struct xrdd *d)
{
    return (struct xeno_member_opts){ .env = d->env,
                                      .kind = XENO_PARTY_NODE,
                                      .program = "xrdd",
                                      .corp_url = d->opt.corp_url,
                                      .dir = d->opt.dir };
}

static int open_member(struct xrdd *d, struct xeno_err *err)
{
    const struct xeno_member_opts who = xrdd_member_opts(d);

    return xeno_member_open(&who, &d->dirfd, &d->loop, &d->member, err);
}

int xrdd_enrol(struct xrdd *d, const char *token, struct xeno_err *err)
{
    const struct xeno_member_join join = { .told = &d->opt.told, .listen = d->opt.listen };
    int r = open_member(d, err);

    return r < 0 ? r : xeno_member_join(d->member, d->loop, token, &join, err);
}

/* --- serving --- */

static int open_server(struct xrdd *d, struct xeno_err *err)
{
    const struct xeno_member_serving most = { .listen = d->opt.listen,
                                              .connections = d->opt.connections,
                                              .connections_per_address =
                                                  d->opt.connections_per_address,
                                              .running_per_peer = d->opt.running_per_peer };
    const struct xeno_http_server_opts opts = { .routes = xrdd_routes, .user = d };

    return xeno_member_listen(d->member, d->loop, &most, &opts, &d->server, err);
}

/* An advert may name any endpoint; what is inside the operator's network is the operator's to open.
 * Whoever answers there must also have the id of the advert. */
static int guard(void *arg, const struct xeno_http_peer *p, struct xeno_err *err)
{
    const struct xrdd *d = arg;

    if (xeno_http_public(p->address) || xeno_http_networks_have(d->opt.allow, p->address))
        return 0;
    return xeno_fail(err, -EPERM, "rd.allow",
                     "%.255s is no address of the public internet; this RD's operator may allow it",
                     p->host);
}

static int open_clients(struct xrdd *d, struct xeno_err *err)
{
    struct xeno_http_client_opts opts = { .guard = guard, .guard_arg = d };
    int r = xeno_member_client(d->member, d->loop, &d->client, err);

    xeno_member_calls(d->member, &opts);
    return r < 0 ? r : xeno_http_client_new(d->loop, &opts, &d->stranger, err);
}

/* A renewed credential is given to the member's own client; here the other gets it. */
static void renew_stranger(struct xrdd *d)
{
    const char *pem = xeno_member_cert_pem(d->member);

    if (d->shown && strcmp(d->shown, pem) == 0)
        return;
    free(d->shown);
    d->shown = xeno_strdup(pem);
    (void)xeno_http_client_cert(d->stranger, pem, xeno_member_key(d->member), NULL);
}

static int open_parts(struct xrdd *d, struct xeno_err *err)
{
    struct xrdd_follow_opts follow = { .env = d->env, .client = d->client, .urls = d->opt.xis };
    struct xrdd_measure_opts measure = {
        .env = d->env, .loop = d->loop, .client = d->stranger, .opt = &d->opt
    };

    d->accounts = xrdd_accounts_new(d->env);
    d->world = xrdd_world_new(d->env, (size_t)d->opt.servers);
    measure.accounts = d->accounts;
    follow.world = measure.world = d->world;
    d->measure = xrdd_measure_new(&measure);
    d->complaints = (struct xrdd_complaints){ .env = d->env,
                                              .client = d->client,
                                              .world = d->world,
                                              .corp_url = d->opt.corp_url,
                                              .corp_id = xeno_member_corp(d->member)->s };
    return xrdd_follow_new(&follow, &d->follow, err);
}

int xrdd_open(struct xrdd *d, struct xeno_err *err)
{
    int r = xeno_http_networks_check(d->opt.allow, err);

    if (r == 0)
        r = open_member(d, err);
    if (r == 0)
        r = xeno_member_load(d->member, d->loop, err);
    if (r == 0)
        r = open_server(d, err);
    if (r == 0)
        r = open_clients(d, err);
    if (r == 0)
        r = open_parts(d, err);
    if (r == 0)
        xeno_member_attach(d->member, d->client, d->server);
    return r;
}

static int check_options(const void *fresh, struct xeno_err *err)
{
    return xeno_http_networks_check(((const struct xrdd_options *)fresh)->allow, err);
}

static void reload(void *user)
{
    struct xrdd *d = user;
    struct xrdd_options fresh = { .dir = NULL };
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_conf_reload(&xrdd_program, &d->opt, &fresh, d->argc, d->argv, check_options, &err) <
        0) {
        xeno_log_err(LOG_ERR, "config.reload", &err, "kept=old");
        return;
    }
    xeno_member_fetch_now(d->member);
    xeno_log_init("xrdd", d->opt.debug ? LOG_DEBUG : LOG_INFO);
    xeno_log(LOG_NOTICE, "config.reloaded", "debug=%d", d->opt.debug);
}

static void each_second(void *user)
{
    struct xrdd *d = user;

    xeno_member_tick(d->member);
    renew_stranger(d);
    xrdd_follow_tick(d->follow);
    xrdd_measure_tick(d->measure);
    xrdd_complaints_tick(&d->complaints);
    if (xeno_mono(d->env).ns - d->aged.ns > AGE_EVERY_S * XENO_NS_PER_S) {
        d->aged = xeno_mono(d->env);
        xrdd_world_age(d->world);
    }
}

int xrdd_start(struct xrdd *d, struct xeno_err *err)
{
    struct xeno_daemon_loop_opts opts = {
        .event = d->loop, .reload = reload, .second = each_second, .user = d
    };
    int r = xeno_daemon_loop_new(&opts, &d->basics, err);

    if (r < 0)
        return r;
    xeno_log(LOG_NOTICE, "start", "version=%s rd=%s corp=%s port=%u", xeno_version(),
             xeno_member_id(d->member)->s, xeno_member_corp(d->member)->s,
             xeno_http_server_port(d->server));
    return 0;
}

void xrdd_release(struct xrdd *d)
{
    xeno_http_server_free(xeno_take(&d->server)); /* and the questions */
    xrdd_complaints_release(&d->complaints);
    xrdd_follow_free(xeno_take(&d->follow));
    xrdd_measure_free(xeno_take(&d->measure));
    xrdd_accounts_free(xeno_take(&d->accounts));
    xrdd_world_free(xeno_take(&d->world));
    xeno_http_client_free(xeno_take(&d->stranger));
    free(xeno_take(&d->shown));
    xeno_http_client_free(xeno_take(&d->client));
    xeno_daemon_loop_free(xeno_take(&d->basics));
    xeno_member_free(xeno_take(&d->member));
    sd_event_unref(xeno_take(&d->loop));
    if (d->dirfd >= 0)
        close(xeno_take_fd(&d->dirfd));
    xeno_conf_release(xrdd_program.items, xrdd_program.count, &d->opt);
}
