/* src/xstored/open.c - put the parts together, and take them apart. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/log.h"
#include "daemon/loop.h"
#include "member/serve.h"
#include "sandbox/sandbox.h"
#include "xstored/job.h"
#include "xstored/upload.h"

/* --- the member of its XenoCorp --- */

struct xeno_member_opts xstored_member_opts(const struct xstored *d)
{
    return (struct xeno_member_opts){ .env = d->env,
                                      .kind = XENO_PARTY_NODE,
                                      .program = "xstored",
                                      .corp_url = d->opt.corp_url,
                                      .dir = d->opt.dir };
}

static int open_member(struct xstored *d, struct xeno_err *err)
{
    const struct xeno_member_opts who = xstored_member_opts(d);

    return xeno_member_open(&who, &d->dirfd, &d->loop, &d->member, err);
}

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
    const struct xeno_member_join join = {
        .told = &d->opt.told, .listen = d->opt.listen, .about = "storage", .has = storage
    };
    int r = open_member(d, err);

    if (r < 0)
        return r;
    xeno_json_set_int(storage, "capacity_bytes", capacity(d));
    return xeno_member_join(d->member, d->loop, token, &join, err);
}

/* --- what we keep --- */

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
    int r = open_member(d, err);

    if (r == 0)
        r = xeno_member_load(d->member, d->loop, err);
    if (r == 0)
        r = xeno_member_lock(d->member, err); /* each would remove what only the other knows */
    if (r == 0)
        r = xstored_open_books(d, err);
    if (r == 0)
        r = open_objects(d, err);
    if (r == 0)
        r = xstored_uploads_load(d, err);
    return r;
}

/* --- serving --- */

int xstored_listen(struct xstored *d, struct xeno_err *err)
{
    const struct xeno_member_serving most = { .listen = d->opt.listen,
                                              .connections = d->opt.connections,
                                              .connections_per_address =
                                                  d->opt.connections_per_address,
                                              .running_per_peer = d->opt.running_per_peer };
    const struct xeno_http_server_opts opts = { .routes = xstored_routes,
                                                .user = d,
                                                .problem = xstored_problem };
    int r = xeno_member_listen(d->member, d->loop, &most, &opts, &d->server, err);

    if (r == 0)
        r = xeno_member_client(d->member, d->loop, &d->client, err);
    if (r == 0)
        xeno_member_attach(d->member, d->client, d->server);
    return r;
}

static void reload(void *user)
{
    struct xstored *d = user;
    struct xstored_options fresh = { .dir = NULL };
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_conf_reload(&xstored_program, &d->opt, &fresh, d->argc, d->argv, NULL, &err) < 0) {
        xeno_log_err(LOG_ERR, "config.reload", &err, "kept=old");
        return;
    }
    xeno_member_fetch_now(d->member);
    xeno_log_init("xstored", d->opt.debug ? LOG_DEBUG : LOG_INFO);
    xstored_tend_now(d);
    xeno_log(LOG_NOTICE, "config.reloaded", "quota=%" PRId64, d->opt.quota_bytes);
}

static void each_second(void *user)
{
    struct xstored *d = user;

    xeno_member_tick(d->member);
    xstored_pay_tick(d);
    xstored_tend_tick(d);
}

static int add_basics(struct xstored *d, struct xeno_err *err)
{
    struct xeno_daemon_loop_opts opts = {
        .event = d->loop, .work = d->work, .reload = reload, .second = each_second, .user = d
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
    xeno_http_client_free(xeno_take(&d->client));
    xeno_member_free(xeno_take(&d->member));
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
