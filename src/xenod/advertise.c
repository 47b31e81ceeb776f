/* src/xenod/advertise.c - the advert on its way to each information service. */
#include "xenod/advertise.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "http/metrics.h"
#include "json/json.h"
#include "xenod/xenod.h"

#define READY_S    3  /* the first advert waits so long for the task manager */
#define DEADLINE_S 15 /* of a message */
#define END_S      2  /* of withdrawing */
#define LEASE_MOST 6  /* leases: what it grows to while nothing changes */

struct place {
    struct xenod_advertise *ad;
    size_t i;
    char *url;
    char last[XENO_ERR_TOKEN_MAX]; /* why it did not take what it was sent; "": it did */
};

struct xenod_advertise {
    struct xenod *d;
    struct xeno_refresh *r;
    struct xenod_cached cached;
    sd_event_source *timer, *end;
    char trouble[XENO_ERR_TEXT_MAX]; /* why there is no new advert; "": none */
    size_t count;
    struct place at[XENO_REFRESH_SERVICES];
};

/* --- the ports of xis/refresh.h --- */

static const char version_name[] = "advert-version";

static struct xeno_advert_maker *describe(void *ctx, int64_t version, xeno_time expires)
{
    struct xenod_advertise *ad = ctx;

    return xenod_describe(ad->d, &ad->cached, version, expires);
}

static void reserve(void *ctx, int64_t version)
{
    struct xenod_advertise *ad = ctx;
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, version);
    xenod_keep_put(ad->d, version_name, text);
}

static int64_t last_version(struct xenod *d)
{
    xeno_autofree char *text = xenod_keep_get(d, version_name);

    return text ? strtoll(text, NULL, 10) : 0;
}

static struct xeno_refresh_rules rules_of(const struct xenod *d)
{
    xeno_time lease = d->opt.xis_lease, most = xeno_ns(LEASE_MOST * lease.ns);

    if (most.ns > xeno_s(XENO_ADVERT_LEASE_S).ns)
        most = xeno_s(XENO_ADVERT_LEASE_S);
    return (struct xeno_refresh_rules){ .lease = lease,
                                        .lease_most = most,
                                        .interval = d->opt.xis_interval };
}

/* --- sending --- */

static void turn(struct xenod_advertise *ad);

static enum xeno_refresh_outcome outcome_of(const struct xeno_http_answer *a, int64_t *ret_version)
{
    xeno_auto(xeno_json) body = NULL;
    struct xeno_json_at at;

    if (a->status >= 200 && a->status < 300)
        return XENO_REFRESH_TAKEN;
    if (a->status == 409 && xeno_err_is(a->err, "xis.base"))
        return XENO_REFRESH_BASE;
    if (a->status == 409 && xeno_err_is(a->err, "xis.old") &&
        xeno_json_parse(a->body, a->len, 64 * 1024, &body, NULL) == 0) {
        at = xeno_json_top(body);
        if (xeno_json_int(&at, "version", 1, XENO_ADVERT_VERSION, ret_version, NULL) == 0)
            return XENO_REFRESH_OLD;
    }
    return xeno_member_corp_refused(a) ? XENO_REFRESH_REFUSED : XENO_REFRESH_AWAY;
}

/* Once for each change of mind, not for each try. */
static void tell(struct place *p, const struct xeno_http_answer *a, enum xeno_refresh_outcome o)
{
    bool well = o == XENO_REFRESH_TAKEN;

    if (o == XENO_REFRESH_BASE || (!a->err && !well))
        return;
    if (well && *p->last)
        xeno_log(LOG_NOTICE, "xis.back", "xis=%s", p->url);
    else if (!well && strcmp(p->last, a->err->token) != 0)
        xeno_log_err(LOG_WARNING, "xis.refused", a->err, "xis=%s", p->url);
    snprintf(p->last, sizeof p->last, "%s", well ? "" : a->err->token);
}

static void on_answer(const struct xeno_http_answer *a, void *arg)
{
    struct place *p = arg;
    int64_t version = 0;
    enum xeno_refresh_outcome o = outcome_of(a, &version);

    tell(p, a, o);
    xeno_refresh_done(p->ad->r, p->i, o, version);
    turn(p->ad);
}

static void send_to(struct place *p, const struct xeno_refresh_message *m)
{
    static const char *const methods[] = { [XENO_ADVERT_WHOLE] = "PUT",
                                           [XENO_ADVERT_DELTA] = "PATCH",
                                           [XENO_ADVERT_WITHDRAWAL] = "DELETE" };
    struct xenod *d = p->ad->d;
    xeno_autofree char *url =
        xeno_asprintf("%s/v1/adverts/%s", p->url, xeno_member_id(d->member)->s);
    struct xeno_http_ask ask = { .method = methods[m->kind],
                                 .url = url,
                                 .type = "application/jose",
                                 .body = m->text,
                                 .body_len = m->len,
                                 .deadline = xeno_s(DEADLINE_S),
                                 .max_body = 64 * 1024,
                                 .done = on_answer,
                                 .arg = p };

    xeno_http_send(d->client, &ask);
}

/* --- time --- */

static bool too_early(const struct xenod_advertise *ad)
{
    const struct xenod *d = ad->d;

    return !d->task_ready && !xeno_refresh_advert(ad->r) &&
           xeno_mono(d->env).ns - d->started.ns < xeno_s(READY_S).ns;
}

static void look(struct xenod_advertise *ad)
{
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_refresh_look(ad->r, &err) >= 0) {
        err.text[0] = '\0';
    } else if (strcmp(ad->trouble, err.text) != 0) {
        xeno_log_err(LOG_ERR, "advert.made", &err, "%s", "");
    }
    memcpy(ad->trouble, err.text, sizeof ad->trouble);
}

static void turn(struct xenod_advertise *ad)
{
    struct xeno_refresh_message m;
    uint64_t next;

    if (ad->end && xeno_refresh_withdrawn(ad->r)) {
        (void)sd_event_exit(ad->d->loop, 0);
        return;
    }
    if (!ad->end && !too_early(ad))
        look(ad);
    for (size_t i = 0; i < ad->count; i++) {
        if (xeno_refresh_take(ad->r, i, &m))
            send_to(&ad->at[i], &m);
    }
    next = (uint64_t)xeno_refresh_next(ad->r).ns / 1000 + 1;
    if (too_early(ad))
        next = (uint64_t)xeno_mono(ad->d->env).ns / 1000 + 100000;
    (void)sd_event_source_set_time(ad->timer, next);
    (void)sd_event_source_set_enabled(ad->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *data)
{
    (void)s;
    (void)usec;
    turn(data);
    return 0;
}

/* --- open, reload, end --- */

int xenod_advertise_open(struct xenod *d, struct xeno_err *err)
{
    struct xenod_advertise *ad = xeno_new0(struct xenod_advertise);
    struct xeno_refresh_opts opts = { .env = d->env,
                                      .key = xeno_member_key(d->member),
                                      .rules = rules_of(d),
                                      .last_version = last_version(d),
                                      .describe = describe,
                                      .reserve = reserve,
                                      .ctx = ad };
    char *urls[XENO_REFRESH_SERVICES];
    int n = xenod_xis_urls(d->opt.xis, urls, err);

    d->advertise = ad;
    ad->d = d;
    if (n < 0)
        return n;
    for (ad->count = 0; ad->count < (size_t)n; ad->count++)
        ad->at[ad->count] = (struct place){ .ad = ad, .i = ad->count, .url = urls[ad->count] };
    opts.services = ad->count;
    ad->r = xeno_refresh_new(&opts);
    if (ad->count == 0)
        return 0; /* nobody is told: the advert is made when somebody asks for it */
    n = sd_event_add_time(d->loop, &ad->timer, CLOCK_BOOTTIME, 0, 1000, on_timer, ad);
    return n < 0 ? xeno_fail_errno(err, n, "loop.source", "prepare the event loop") : 0;
}

void xenod_advertise_free(struct xenod_advertise *ad)
{
    if (!ad)
        return;
    sd_event_source_disable_unref(ad->timer);
    sd_event_source_disable_unref(ad->end);
    for (size_t i = 0; i < ad->count; i++)
        free(ad->at[i].url);
    xeno_refresh_free(ad->r);
    free(ad);
}

void xenod_advertise_reload(struct xenod_advertise *ad)
{
    struct xeno_refresh_rules rules = rules_of(ad->d);

    xeno_refresh_rules(ad->r, &rules);
    if (ad->count > 0)
        turn(ad);
}

static int on_end_timeout(sd_event_source *s, uint64_t usec, void *data)
{
    struct xenod_advertise *ad = data;

    (void)s;
    (void)usec;
    xeno_log(LOG_WARNING, "xis.withdraw", "%s", "not all information services answered in time");
    return sd_event_exit(ad->d->loop, 0);
}

bool xenod_advertise_end(struct xenod_advertise *ad)
{
    if (!ad || ad->count == 0 || ad->end)
        return false;
    xeno_refresh_withdraw(ad->r);
    if (xeno_refresh_withdrawn(ad->r) ||
        sd_event_add_time_relative(ad->d->loop, &ad->end, CLOCK_BOOTTIME, END_S * 1000000, 0,
                                   on_end_timeout, ad) < 0)
        return false;
    turn(ad);
    return true;
}

/* --- what is known of it --- */

static struct xeno_json *services_json(const struct xenod_advertise *ad)
{
    struct xeno_json *list = xeno_json_array();

    for (size_t i = 0; i < ad->count; i++) {
        struct xeno_refresh_service s = xeno_refresh_service(ad->r, i);
        struct xeno_json *o = xeno_json_object();

        xeno_json_set_str(o, "url", ad->at[i].url);
        xeno_json_set_int(o, "version", s.version);
        xeno_json_set_bool(o, "up", s.up);
        xeno_json_set_str(o, "problem", *ad->at[i].last ? ad->at[i].last : NULL);
        xeno_json_append(list, o);
    }
    return list;
}

void xenod_get_advert(struct xeno_http_req *q, void *user)
{
    struct xenod *d = user;
    struct xenod_advertise *ad = d->advertise;
    const struct xeno_advert *a;
    struct xeno_json *body;
    struct xeno_err err;

    /* Nobody is told, or nobody was yet: then it is made for who asks. */
    if (ad->count == 0 || !xeno_refresh_advert(ad->r))
        look(ad);
    a = xeno_refresh_advert(ad->r);
    if (!a) {
        xeno_fail(&err, -ENOENT, "advert.none", "there is no advert%s%s",
                  *ad->trouble ? ": " : " yet", ad->trouble);
        xenod_refuse(q, &err);
        return;
    }
    body = xeno_json_object();
    xeno_json_set_str(body, "id", a->id.s);
    xeno_json_set_int(body, "version", a->version);
    xeno_json_set_int(body, "expires_ms", a->expires.ns / XENO_NS_PER_MS);
    xeno_json_set_str(body, "advert", a->jws);
    xeno_json_set_str(body, "delta", a->delta);
    if (xeno_http_peer(q) && !xenod_who(d, q))
        xeno_json_set(body, "xis", services_json(ad));
    xeno_http_reply_json(q, 200, body);
}

void xenod_advertise_metrics(const struct xenod_advertise *ad, struct xeno_buf *out)
{
    static const struct {
        const char *name, *type, *help;
    } rows[] = {
        { "xenod_xis_up", "gauge", "Did the information service take what it was sent last?" },
        { "xenod_xis_wholes_total", "counter", "Whole adverts sent to it." },
        { "xenod_xis_deltas_total", "counter", "Deltas sent to it." },
        { "xenod_xis_failed_total", "counter", "Messages it did not answer." },
        { "xenod_xis_refused_total", "counter", "Messages it refused." },
    };
    const struct xeno_advert *a = xeno_refresh_advert(ad->r);

    xeno_metric(out, "xenod_advert_expires_seconds", "gauge",
                "When the lease of the advert is over, in seconds since 1970; 0: there is none.");
    xeno_metric_int(out, "xenod_advert_expires_seconds", NULL, NULL,
                    a ? a->expires.ns / XENO_NS_PER_S : 0);
    for (size_t row = 0; row < XENO_LEN(rows); row++) {
        xeno_metric(out, rows[row].name, rows[row].type, rows[row].help);
        for (size_t i = 0; i < ad->count; i++) {
            struct xeno_refresh_service s = xeno_refresh_service(ad->r, i);
            const uint64_t values[] = { s.up, s.whole, s.deltas, s.failed, s.refused };

            xeno_metric_int(out, rows[row].name, "xis", ad->at[i].url, (int64_t)values[row]);
        }
    }
}
