/* src/xrdd/api-status.c - how it fares. */
#include <errno.h>
#include <string.h>

#include "conf/args.h"
#include "http/metrics.h"
#include "http/operators.h"
#include "xrdd/xrdd.h"

void xrdd_get_health(struct xeno_http_req *q, void *user)
{
    struct xrdd *d = user;
    struct xeno_json *body = xeno_json_object();
    bool corp = xeno_member_corp_answers(d->member), xis = xrdd_follow_heard(d->follow);

    xeno_json_set_str(body, "state", corp && xis ? "ok" : "degraded");
    xeno_json_set_bool(body, "corp", corp);
    xeno_json_set_int(body, "servers", (int64_t)xeno_rd_count(xrdd_world_rd(d->world)));
    if (xis)
        xeno_json_set_int(body, "age_ms", xrdd_follow_age_ms(d->follow));
    xeno_json_set(body, "xis", xrdd_sources_json(d));
    xeno_json_set_str(body, "version", xeno_version());
    xeno_http_reply_json(q, 200, body);
}

static void counted(const struct xrdd *d, struct xeno_buf *out)
{
    const struct xrdd_measured m = xrdd_measure_counts(d->measure);
    const struct {
        const char *name, *help;
        int64_t n;
    } rows[] = {
        { "xrdd_requests_total", "Questions asked.", d->counts.requests },
        { "xrdd_refused_total", "Of those, refused.", d->counts.refused },
        { "xrdd_answers_total", "Of those, answered.", d->counts.answers },
        { "xrdd_empty_total", "Of those, with no XenoServer.", d->counts.empty },
        { "xrdd_probes_total", "Measurements that XenoServers were asked for.", m.asked },
        { "xrdd_probes_failed_total", "Of those, not answered.", m.failed },
        { "xrdd_probes_held_back_total", "Measurements not asked for, by a limit.", m.held_back },
        { "xrdd_prefixes_total", "Prefixes that were measured.", m.prefixes },
    };

    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_metric(out, rows[i].name, "counter", rows[i].help);
        xeno_metric_int(out, rows[i].name, NULL, NULL, rows[i].n);
    }
}

static void known(const struct xrdd *d, struct xeno_buf *out)
{
    xeno_metric(out, "xrdd_servers", "gauge", "XenoServers that are known.");
    xeno_metric_int(out, "xrdd_servers", NULL, NULL,
                    (int64_t)xeno_rd_count(xrdd_world_rd(d->world)));
    xeno_metric(out, "xrdd_xis_age_seconds", "gauge",
                "How long ago this was as new as that XIS; none before it first answered.");
    for (size_t i = 0; i < xrdd_follow_count(d->follow); i++) {
        struct xrdd_followed s = xrdd_follow_get(d->follow, i);

        if (s.age_ms >= 0)
            xeno_metric_micro(out, "xrdd_xis_age_seconds", "xis", s.url, s.age_ms * 1000);
    }
    xeno_metric(out, "xrdd_xis_changes_total", "counter", "Changes that it told.");
    for (size_t i = 0; i < xrdd_follow_count(d->follow); i++) {
        struct xrdd_followed s = xrdd_follow_get(d->follow, i);

        xeno_metric_int(out, "xrdd_xis_changes_total", "xis", s.url, s.changes);
    }
    xeno_metric(out, "xrdd_xis_refused_total", "counter", "Of those, adverts that were not right.");
    for (size_t i = 0; i < xrdd_follow_count(d->follow); i++) {
        struct xrdd_followed s = xrdd_follow_get(d->follow, i);

        xeno_metric_int(out, "xrdd_xis_refused_total", "xis", s.url, s.refused);
    }
}

static void own(const struct xrdd *d, struct xeno_buf *out)
{
    xeno_metric(out, "xrdd_corp_up", "gauge", "Did the XenoCorp answer the last request?");
    xeno_metric_int(out, "xrdd_corp_up", NULL, NULL, xeno_member_corp_answers(d->member));
    xeno_metric(out, "xrdd_credential_expires_seconds", "gauge",
                "When the credential ends, in seconds since 1970.");
    xeno_metric_int(out, "xrdd_credential_expires_seconds", NULL, NULL,
                    xeno_member_cert(d->member)->not_after.ns / XENO_NS_PER_S);
}

void xrdd_get_metrics(struct xeno_http_req *q, void *user)
{
    struct xrdd *d = user;
    xeno_autobuf out = XENO_BUF_INIT;
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_http_may_watch(q, d->opt.operators, &err) < 0) {
        xrdd_refuse(d, q, &err);
        return;
    }
    known(d, &out);
    counted(d, &out);
    own(d, &out);
    xeno_http_reply_data(q, 200, XENO_METRICS_TYPE, out.data, out.len);
}
