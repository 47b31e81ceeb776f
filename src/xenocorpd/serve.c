/* src/xenocorpd/serve.c - the server, its threads and its timers. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "base/log.h"
#include "corp/registry.h"
#include "daemon/loop.h"
#include "xenocorpd/job.h"

#define TICK_US         UINT64_C(1000000)
#define TICK_ROWS       256
#define REVOCATION_US   UINT64_C(1800000000) /* half of what the list says of itself */
#define REVOCATION_LIFE 3600                 /* seconds */
#define TLS_US          UINT64_C(3600000000)

/* --- revocations --- */

void corpd_set_revocations(struct corpd *d, char *text)
{
    struct xeno_revocations *list = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_revocations_read(text, strlen(text), xeno_corp_pub(d->corp), &list, &err) < 0) {
        xeno_log_err(LOG_ERR, "revocations", &err, "kept=old");
        free(text);
        return;
    }
    free(d->revocations_text);
    d->revocations_text = text;
    xeno_revocations_free(d->revocations);
    d->revocations = list;
}

static int act_list(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    return xeno_revocation_list(corp, xeno_s(REVOCATION_LIFE), &j->text, err);
}

static void finish_list(struct job *j)
{
    j->d->listing = false;
    if (j->item.result == 0)
        corpd_set_revocations(j->d, xeno_take(&j->text));
    else
        xeno_log_err(LOG_ERR, "revocations", &j->item.err, "kept=old");
}

void corpd_refresh_revocations(struct corpd *d)
{
    struct job *j;

    if (d->listing)
        return;
    d->listing = true;
    j = job_new(d, NULL, act_list, NULL, NULL);
    j->finish = finish_list;
    job_submit(j);
}

/* The first one, before there are threads. */
static int first_revocations(struct corpd *d, struct xeno_err *err)
{
    char *text = NULL;
    int r = xeno_corp_begin(d->corp, err);

    if (r < 0)
        return r;
    r = xeno_revocation_list(d->corp, xeno_s(REVOCATION_LIFE), &text, err);
    xeno_corp_rollback(d->corp);
    if (r < 0)
        return r;
    corpd_set_revocations(d, text);
    return 0;
}

static bool is_revoked(const char *serial, void *user)
{
    struct corpd *d = user;

    return xeno_revocations_has(d->revocations, serial);
}

/* --- timers --- */

static void tick(struct corpd *d);

static int act_tick(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    int r = xeno_corp_tick(corp, TICK_ROWS, err);

    j->status = r; /* 1: there is more */
    return r < 0 ? r : 0;
}

static void finish_tick(struct job *j)
{
    j->d->ticking = false;
    if (j->item.result < 0)
        xeno_log_err(LOG_ERR, "tick", &j->item.err, "again=soon");
    else if (j->status > 0)
        tick(j->d);
}

static void tick(struct corpd *d)
{
    struct job *j;

    if (d->ticking)
        return;
    d->ticking = true;
    j = job_new(d, NULL, act_tick, NULL, NULL);
    j->finish = finish_tick;
    job_submit(j);
}

static int again(sd_event_source *s, uint64_t period_us)
{
    sd_event_source_set_time_relative(s, period_us);
    return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int on_tick(sd_event_source *s, uint64_t usec, void *user)
{
    (void)usec;
    tick(user);
    return again(s, TICK_US);
}

static int on_revocations(sd_event_source *s, uint64_t usec, void *user)
{
    (void)usec;
    corpd_refresh_revocations(user);
    return again(s, REVOCATION_US);
}

static int on_tls(sd_event_source *s, uint64_t usec, void *user)
{
    struct corpd *d = user;
    struct xeno_err err = XENO_ERR_INIT;
    int r = corpd_renew_tls(d, false, &err);

    (void)usec;
    if (r > 0)
        r = xeno_http_server_cert(d->server, d->tls_pem, d->tls_key, &err);
    if (r < 0)
        xeno_log_err(LOG_ERR, "tls.renew", &err, "again_s=%d", (int)(TLS_US / 1000000));
    return again(s, TLS_US);
}

/* --- another configuration --- */

static int act_policy(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    return xeno_corp_set_policy(corp, j->args, err);
}

static void finish_policy(struct job *j)
{
    const struct xeno_corp_policy *p = j->args;

    if (j->item.result < 0)
        xeno_log_err(LOG_ERR, "config.reload", &j->item.err, "kept=old");
    else
        xeno_log(LOG_NOTICE, "config.reloaded", "fee=%d", p->fee_bp);
}

static void reload(void *user)
{
    struct corpd *d = user;
    struct corpd_options fresh = { .dir = NULL };
    struct xeno_conf_ask ask;
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_conf_args(&corpd_program, &fresh, d->argc, d->argv, &ask, &err) < 0) {
        xeno_log_err(LOG_ERR, "config.reload", &err, "kept=old");
    } else {
        struct xeno_corp_policy policy = corpd_policy(&fresh);
        struct job *j = job_new(d, NULL, act_policy, xeno_memdup(&policy, sizeof policy), free);

        xeno_log_init("xenocorpd", fresh.debug ? LOG_DEBUG : LOG_INFO);
        j->finish = finish_policy;
        job_submit(j);
    }
    xeno_conf_release(corpd_program.items, corpd_program.count, &fresh);
}

static int add_timers(struct corpd *d, struct xeno_err *err)
{
    static const struct {
        uint64_t first_us;
        sd_event_time_handler_t handler;
    } timers[] = { { 0, on_tick }, { REVOCATION_US, on_revocations }, { TLS_US, on_tls } };

    for (size_t i = 0; i < XENO_LEN(timers); i++) {
        int r = sd_event_add_time_relative(d->loop, &d->sources[d->source_count++], CLOCK_BOOTTIME,
                                           timers[i].first_us, 0, timers[i].handler, d);

        if (r < 0)
            return xeno_fail_errno(err, r, "corpd.loop", "set up the event loop");
    }
    return 0;
}

static int add_basics(struct corpd *d, struct xeno_err *err)
{
    struct xeno_daemon_loop_opts opts = {
        .event = d->loop, .work = d->work, .reload = reload, .user = d
    };

    return xeno_daemon_loop_new(&opts, &d->basics, err);
}

static int start_server(struct corpd *d, struct xeno_err *err)
{
    struct xeno_http_limits limits = xeno_http_limits_default;
    struct xeno_http_server_opts opts = {
        .listen = d->options.listen,
        .listen_fd = sd_listen_fds(1) > 0 ? SD_LISTEN_FDS_START : -1,
        .cert_pem = d->tls_pem,
        .key = d->tls_key,
        .ca_pem = d->ca_pem,
        .env = d->env,
        .limits = &limits,
        .routes = corpd_routes,
        .user = d,
        .revoked = is_revoked,
    };

    limits.connections = (unsigned)d->options.connections;
    limits.connections_per_address = (unsigned)d->options.connections_per_address;
    limits.running_per_peer = (unsigned)d->options.running_per_peer;
    return xeno_http_server_new(d->loop, &opts, &d->server, err);
}

int corpd_listen(struct corpd *d, struct xeno_err *err)
{
    int r = sd_event_new(&d->loop);

    if (r < 0)
        return xeno_fail_errno(err, r, "corpd.loop", "make an event loop");
    r = first_revocations(d, err);
    return r < 0 ? r : start_server(d, err);
}

int corpd_start(struct corpd *d, struct xeno_err *err)
{
    int r;

    d->books = books_new(d->corp);
    r = books_work(d->books, &xeno_work_limits_default, &d->work, err);

    if (r < 0)
        return r;
    r = add_timers(d, err);
    if (r == 0)
        r = add_basics(d, err);
    if (r < 0)
        return r;
    xeno_log(LOG_NOTICE, "start", "corp=%s port=%u", xeno_corp_id(d->corp),
             xeno_http_server_port(d->server));
    return 0;
}
