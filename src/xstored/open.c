/* src/xstored/open.c - put the parts together, and take them apart. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/log.h"
#include "daemon/loop.h"
#include "sandbox/sandbox.h"
#include "xstored/job.h"
#include "xstored/upload.h"

int xstored_open_dir(struct xstored *d, struct xeno_err *err)
{
    return xeno_member_dir(d->opt.dir, &d->dirfd, err);
}

int xstored_loop(struct xstored *d, struct xeno_err *err)
{
    int r = d->loop ? 0 : sd_event_default(&d->loop);

    return r < 0 ? xeno_fail_errno(err, r, "store.loop", "make an event loop") : 0;
}

/* --- what we keep --- */

/* Two daemons on the same objects would each remove what only the other knows. */
static int lock_dir(struct xstored *d, struct xeno_err *err)
{
    if (xeno_lock(d->dirfd, XENO_LOCK_RESTART_MS) < 0)
        return xeno_fail(err, -EBUSY, "store.lock", "another xstored has '%s' open: end it first",
                         d->opt.dir);
    return 0;
}

int xstored_open_books(struct xstored *d, struct xeno_err *err)
{
    xeno_autofree char *url = xeno_asprintf("sqlite:%s/store.db", d->opt.dir);
    int r = xeno_db_open(url, &d->books, err);

    if (r == 0)
        r = xstored_meta_open(d->books, err);
    if (r == 0)
        r = xstored_pay_open(d, err);
    if (r == 0)
        r = xeno_db_open(url, &d->view, err);
    return r;
}

struct bucket_opts xstored_bucket(const struct xstored *d, const char *keys)
{
    const struct xstored_options *o = &d->opt;

    return (struct bucket_opts){ .env = d->env,
                                 .url = o->s3_url,
                                 .region = o->s3_region,
                                 .keys = o->s3_keys && *o->s3_keys ? o->s3_keys : keys,
                                 .ca_file = o->s3_ca && *o->s3_ca ? o->s3_ca : NULL,
                                 .path_style = o->s3_path_style,
                                 .patience = o->s3_patience };
}

static int open_objects(struct xstored *d, struct xeno_err *err)
{
    xeno_autofree char *inside = xeno_asprintf("%s/objects", d->opt.dir);
    xeno_autofree char *places = xeno_asprintf("%s/places", d->opt.dir);
    xeno_autofree char *keys = xeno_asprintf("%s/s3-keys", d->opt.dir);
    const char *folder = d->opt.objects && *d->opt.objects ? d->opt.objects : inside;
    const struct xstored_s3_opts opts = { .bucket = xstored_bucket(d, keys),
                                          .dir = places,
                                          .cache = folder,
                                          .cache_bytes = d->opt.cache_bytes };

    if (!d->opt.s3_url || !*d->opt.s3_url)
        return xstored_dir_open(folder, &d->objects, err);
    return xstored_s3_open(&opts, &d->objects, err);
}

int xstored_open(struct xstored *d, struct xeno_err *err)
{
    int r = xstored_open_dir(d, err);

    if (r == 0)
        r = xstored_loop(d, err);
    if (r == 0)
        r = xstored_identity_open(d, err);
    if (r == 0)
        r = lock_dir(d, err);
    if (r == 0)
        r = xstored_open_books(d, err);
    if (r == 0)
        r = open_objects(d, err);
    if (r == 0)
        r = xstored_uploads_load(d, err);
    return r;
}

/* --- serving --- */

static int open_server(struct xstored *d, struct xeno_err *err)
{
    struct xeno_http_limits limits = xeno_http_limits_default;
    struct xeno_http_server_opts opts = {
        .listen = d->opt.listen,
        .limits = &limits,
        .routes = xstored_routes,
        .user = d,
        .problem = xstored_problem,
    };

    xeno_member_serves(d->member, &opts);
    limits.connections = (unsigned)d->opt.connections;
    limits.connections_per_address = (unsigned)d->opt.connections_per_address;
    limits.running_per_peer = (unsigned)d->opt.running_per_peer;
    return xeno_http_server_new(d->loop, &opts, &d->server, err);
}

int xstored_listen(struct xstored *d, struct xeno_err *err)
{
    int r = open_server(d, err);

    return r < 0 ? r : xstored_identity_start(d, err);
}

static void reload(void *user)
{
    struct xstored *d = user;
    struct xstored_options fresh = { .dir = NULL };
    struct xeno_conf_ask ask;
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_conf_args(&xstored_program, &fresh, d->argc, d->argv, &ask, &err) < 0) {
        xeno_log_err(LOG_ERR, "config.reload", &err, "kept=old");
    } else {
        xeno_conf_take(xstored_program.items, xstored_program.count, &d->opt, &fresh);
        xeno_member_fetch_now(d->member);
        xeno_log_init("xstored", d->opt.debug ? LOG_DEBUG : LOG_INFO);
        xstored_tend_now(d);
        xeno_log(LOG_NOTICE, "config.reloaded", "quota=%" PRId64, d->opt.quota_bytes);
    }
    xeno_conf_release(xstored_program.items, xstored_program.count, &fresh);
}

static int add_basics(struct xstored *d, struct xeno_err *err)
{
    struct xeno_daemon_loop_opts opts = {
        .event = d->loop, .work = d->work, .reload = reload, .user = d
    };

    return xeno_daemon_loop_new(&opts, &d->basics, err);
}

int xstored_start(struct xstored *d, struct xeno_err *err)
{
    int r;

    xstored_mend_open(d);
    r = job_start(d, err);

    if (r == 0)
        r = add_basics(d, err);
    if (r == 0)
        r = xstored_tend_start(d, err);
    if (r < 0)
        return r;
    xeno_log(LOG_NOTICE, "start", "version=%s store=%s corp=%s port=%u", xeno_version(),
             xeno_member_id(d->member)->s, xeno_member_corp(d->member)->s,
             xeno_http_server_port(d->server));
    return 0;
}

/* What is at work is finished; the answers may not leave any more. */
static void stop(struct xstored *d)
{
    xstored_mend_stop(d);
    if (d->work && d->objects->back->stop)
        d->objects->back->stop(d->objects);
    if (d->work) {
        xeno_work_stop(d->work);
        (void)xeno_work_collect(d->work);
    }
    xeno_http_server_free(xeno_take(&d->server));
    xstored_tend_stop(d);
    xeno_daemon_loop_free(xeno_take(&d->basics));
    xeno_work_free(xeno_take(&d->work));
    xstored_mend_close(d);
    while (d->source_count > 0)
        sd_event_source_disable_unref(d->sources[--d->source_count]);
    xstored_identity_stop(d);
    sd_event_unref(xeno_take(&d->loop));
}

void xstored_release(struct xstored *d)
{
    stop(d);
    xstored_uploads_release(d);
    if (d->objects)
        d->objects->back->close(d->objects);
    xeno_db_free(d->view);
    xeno_db_free(d->books);
    free(d->pay);
    if (d->dirfd >= 0)
        close(d->dirfd);
    xeno_conf_release(xstored_program.items, xstored_program.count, &d->opt);
}
