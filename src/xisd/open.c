/* src/xisd/open.c - put the parts together, and take them apart. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/loop.h"
#include "member/serve.h"
#include "xisd/follow.h"
#include "xisd/owed.h"
#include "xisd/party.h"
#include "xisd/peer.h"
#include "xisd/update.h"

struct xeno_member_opts xisd_member_opts(const struct xisd *d)
{
    return (struct xeno_member_opts){ .env = d->env,
                                      .kind = XENO_PARTY_NODE,
                                      .program = "xisd",
                                      .corp_url = d->opt.corp_url,
                                      .dir = d->opt.dir };
}

static int open_member(struct xisd *d, struct xeno_err *err)
{
    const struct xeno_member_opts who = xisd_member_opts(d);

    return xeno_member_open(&who, &d->dirfd, &d->loop, &d->member, err);
}

int xisd_enrol(struct xisd *d, const char *token, struct xeno_err *err)
{
    const struct xeno_member_join join = { .told = &d->opt.told, .listen = d->opt.listen };
    int r = open_member(d, err);

    return r < 0 ? r : xeno_member_join(d->member, d->loop, token, &join, err);
}

int xisd_open(struct xisd *d, struct xeno_err *err)
{
    int r = xisd_peers_check(d->opt.peers, err);

    if (r == 0)
        r = open_member(d, err);
    if (r == 0)
        r = xeno_member_load(d->member, d->loop, err);
    if (r == 0)
        r = xeno_member_lock(d->member, err); /* two would number the same changes twice */
    if (r == 0)
        r = xisd_books_open(d, err);
    if (r == 0)
        r = xisd_follow_open(d, err);
    return r;
}

/* --- serving --- */

int xisd_listen(struct xisd *d, struct xeno_err *err)
{
    const struct xeno_member_serving most = { .listen = d->opt.listen,
                                              .connections = d->opt.connections,
                                              .connections_per_address =
                                                  d->opt.connections_per_address,
                                              .running_per_peer = d->opt.running_per_peer };
    const struct xeno_http_server_opts opts = { .routes = xisd_routes, .user = d };
    int r = xeno_member_listen(d->member, d->loop, &most, &opts, &d->server, err);

    if (r == 0)
        r = xeno_member_client(d->member, d->loop, &d->client, err);
    if (r == 0)
        xeno_member_attach(d->member, d->client, d->server);
    return r;
}

static void reload(void *user)
{
    struct xisd *d = user;
    struct xisd_options fresh = { .dir = NULL };
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_conf_reload(&xisd_program, &d->opt, &fresh, d->argc, d->argv, NULL, &err) < 0) {
        xeno_log_err(LOG_ERR, "config.reload", &err, "kept=old");
        return;
    }
    xeno_member_fetch_now(d->member);
    xeno_log_init("xisd", d->opt.debug ? LOG_DEBUG : LOG_INFO);
    xeno_log(LOG_NOTICE, "config.reloaded", NULL);
}

static void each_second(void *user)
{
    struct xisd *d = user;

    xeno_member_tick(d->member);
    xisd_age(d);
    xisd_peers_tend(d);
    xisd_owed_tend(d);
    xisd_watches_tend(d);
    xisd_waiters_tell(d);
    xisd_parties_tend(d);
}

int xisd_start(struct xisd *d, struct xeno_err *err)
{
    struct xeno_daemon_loop_opts opts = {
        .event = d->loop, .reload = reload, .second = each_second, .user = d
    };
    int r = xisd_load(d, err);

    if (r == 0)
        r = xisd_work_start(d, err);
    opts.work = d->work;
    if (r == 0)
        r = xeno_daemon_loop_new(&opts, &d->basics, err);
    if (r == 0)
        r = xisd_tell_start(d, err);
    if (r == 0)
        r = xisd_peers_start(d, err);
    if (r == 0)
        r = xisd_follow_start(d, err);
    if (r < 0)
        return r;
    d->started = xeno_wall(d->env);
    xeno_log(LOG_NOTICE, "start", "version=%s xis=%s corp=%s port=%u", xeno_version(),
             xeno_member_id(d->member)->s, xeno_member_corp(d->member)->s,
             xeno_http_server_port(d->server));
    return 0;
}

bool xisd_ready(const struct xisd *d)
{
    return !d->loading || xisd_peers_whole(d);
}

/* What is at work is finished; the answers may not leave any more. */
static void stop(struct xisd *d)
{
    xisd_follow_free(d);
    if (d->work) {
        xeno_work_stop(d->work);
        (void)xeno_work_collect(d->work);
    }
    xisd_watches_free(d);
    xeno_http_server_free(xeno_take(&d->server));
    xisd_waiters_free(d);
    xeno_daemon_loop_free(xeno_take(&d->basics));
    xeno_work_free(xeno_take(&d->work));
    sd_event_source_disable_unref(xeno_take(&d->told));
    sd_event_source_disable_unref(xeno_take(&d->polls));
    sd_event_source_disable_unref(xeno_take(&d->ages));
    xeno_http_client_free(xeno_take(&d->client));
    xeno_member_free(xeno_take(&d->member));
    sd_event_unref(xeno_take(&d->loop));
}

void xisd_release(struct xisd *d)
{
    stop(d);
    xisd_peers_free(d);
    xisd_parties_free(d);
    free(d->group);
    xeno_xis_reader_free(d->reader);
    xeno_xis_free(d->xis);
    xeno_db_free(d->books);
    if (d->dirfd >= 0)
        close(d->dirfd);
    xeno_conf_release(xisd_program.items, xisd_program.count, &d->opt);
}
