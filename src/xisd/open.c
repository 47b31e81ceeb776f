/* src/xisd/open.c - put the parts together, and take them apart. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "daemon/loop.h"
#include "xisd/follow.h"
#include "xisd/party.h"
#include "xisd/peer.h"
#include "xisd/update.h"

int xisd_open_dir(struct xisd *d, struct xeno_err *err)
{
    return xeno_member_dir(d->opt.dir, &d->dirfd, err);
}

int xisd_loop(struct xisd *d, struct xeno_err *err)
{
    int r = d->loop ? 0 : sd_event_default(&d->loop);

    return r < 0 ? xeno_fail_errno(err, r, "xis.loop", "make an event loop") : 0;
}

/* Two daemons of one identity would number the same changes twice. */
static int lock_dir(struct xisd *d, struct xeno_err *err)
{
    if (xeno_lock(d->dirfd, XENO_LOCK_RESTART_MS) < 0)
        return xeno_fail(err, -EBUSY, "xis.lock", "another xisd has '%s' open: end it first",
                         d->opt.dir);
    return 0;
}

int xisd_open(struct xisd *d, struct xeno_err *err)
{
    int r = xisd_peers_check(d->opt.peers, err);

    if (r == 0)
        r = xisd_open_dir(d, err);
    if (r == 0)
        r = xisd_loop(d, err);
    if (r == 0)
        r = xisd_identity_open(d, err);
    if (r == 0)
        r = lock_dir(d, err);
    if (r == 0)
        r = xisd_books_open(d, err);
    if (r == 0)
        r = xisd_follow_open(d, err);
    return r;
}

/* --- serving --- */

static int open_server(struct xisd *d, struct xeno_err *err)
{
    struct xeno_http_limits limits = xeno_http_limits_default;
    struct xeno_http_server_opts opts = {
        .listen = d->opt.listen,
        .limits = &limits,
        .routes = xisd_routes,
        .user = d,
    };

    xeno_member_serves(d->member, &opts);
    limits.connections = (unsigned)d->opt.connections;
    limits.connections_per_address = (unsigned)d->opt.connections_per_address;
    limits.running_per_peer = (unsigned)d->opt.running_per_peer;
    return xeno_http_server_new(d->loop, &opts, &d->server, err);
}

int xisd_listen(struct xisd *d, struct xeno_err *err)
{
    int r = open_server(d, err);

    return r < 0 ? r : xisd_identity_start(d, err);
}

static void reload(void *user)
{
    struct xisd *d = user;
    struct xisd_options fresh = { .dir = NULL };
    struct xeno_conf_ask ask;
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_conf_args(&xisd_program, &fresh, d->argc, d->argv, &ask, &err) < 0) {
        xeno_log_err(LOG_ERR, "config.reload", &err, "kept=old");
    } else {
        xeno_conf_take(xisd_program.items, xisd_program.count, &d->opt, &fresh);
        xeno_member_fetch_now(d->member);
        xeno_log_init("xisd", d->opt.debug ? LOG_DEBUG : LOG_INFO);
        xeno_log(LOG_NOTICE, "config.reloaded", NULL);
    }
    xeno_conf_release(xisd_program.items, xisd_program.count, &fresh);
}

int xisd_start(struct xisd *d, struct xeno_err *err)
{
    struct xeno_daemon_loop_opts opts = { .event = d->loop, .reload = reload, .user = d };
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

void xisd_tick(struct xisd *d)
{
    xisd_age(d);
    xisd_peers_tend(d);
    xisd_watches_tend(d);
    xisd_waiters_tell(d);
    xisd_parties_tend(d);
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
    while (d->source_count > 0)
        sd_event_source_disable_unref(d->sources[--d->source_count]);
    xisd_identity_stop(d);
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
