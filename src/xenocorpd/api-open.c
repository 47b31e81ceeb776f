/* src/xenocorpd/api-open.c - what anybody may see: health, metrics, the CA, revocations. */
#include <string.h>

#include "http/metrics.h"
#include "xenocorpd/api.h"
#include "xenocorpd/job.h"

static int act_healthz(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    (void)err;
    j->reply = xeno_json_object();
    xeno_json_set_str(j->reply, "status", "ok");
    xeno_json_set_str(j->reply, "corp", xeno_corp_id(corp));
    xeno_json_set_int(j->reply, "time_ms", xeno_corp_now_ms(corp));
    return 0;
}

/* Through the writer and a commit: what answers here can also serve. */
void api_healthz(struct xeno_http_req *q, void *user)
{
    job_submit(job_new(user, q, act_healthz, NULL, NULL));
}

void api_metrics(struct xeno_http_req *q, void *user)
{
    struct corpd *d = user;
    const struct corpd_counts *c = &d->counts;
    struct xeno_work_stats s = xeno_work_stats(d->work);
    const struct {
        const char *name, *kind, *help;
        int64_t n;
    } metrics[] = {
        { "xeno_corp_validations_total", "counter", "Orders bound or confirmed.", c->validations },
        { "xeno_corp_charges_posted_total", "counter", "Charges posted.", c->posted },
        { "xeno_corp_charges_repeated_total", "counter", "Charges sent again.", c->repeated },
        { "xeno_corp_charges_refused_total", "counter", "Charges refused.", c->charges_refused },
        { "xeno_corp_requests_refused_total", "counter", "Requests refused.", c->refused },
        { "xeno_corp_groups_total", "counter", "Groups committed: disk flushes shared.",
          (int64_t)s.groups },
        { "xeno_corp_groups_undone_total", "counter", "Groups that failed and were undone.",
          (int64_t)s.undone },
        { "xeno_corp_requests_applied_total", "counter", "Requests that went through a group.",
          (int64_t)s.applied },
        { "xeno_corp_waiting", "gauge", "Requests waiting or at work.", (int64_t)s.waiting },
        { "xeno_corp_waiting_bytes", "gauge", "Bytes held by them.", (int64_t)s.bytes },
    };
    xeno_autobuf out = XENO_BUF_INIT;

    for (size_t i = 0; i < XENO_LEN(metrics); i++) {
        xeno_metric(&out, metrics[i].name, metrics[i].kind, metrics[i].help);
        xeno_metric_int(&out, metrics[i].name, NULL, NULL, metrics[i].n);
    }
    xeno_metric(&out, "xeno_corp_charged_credits_total", "counter", "Credits charged.");
    xeno_metric_micro(&out, "xeno_corp_charged_credits_total", NULL, NULL, c->micro_posted);
    xeno_http_reply_data(q, 200, XENO_METRICS_TYPE, out.data, out.len);
}

void api_ca(struct xeno_http_req *q, void *user)
{
    struct corpd *d = user;

    xeno_http_reply_data(q, 200, "application/x-pem-file", d->ca_pem, strlen(d->ca_pem));
}

void api_revocations(struct xeno_http_req *q, void *user)
{
    struct corpd *d = user;
    struct xeno_json *reply = xeno_json_object();

    xeno_json_set_str(reply, "signed", d->revocations_text);
    xeno_http_reply_json(q, 200, reply);
}
