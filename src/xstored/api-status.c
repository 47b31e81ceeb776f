/* src/xstored/api-status.c - how it fares. */
#include <errno.h>
#include <uthash.h>

#include "conf/args.h"
#include "http/metrics.h"
#include "http/operators.h"
#include "keep/keep.h"
#include "xstored/upload.h"

void xstored_get_health(struct xeno_http_req *q, void *user)
{
    struct xstored *d = user;
    struct xeno_json *body = xeno_json_object();
    bool corp = xeno_member_corp_answers(d->member);

    xeno_json_set_str(body, "state", corp ? "ok" : "degraded");
    xeno_json_set_bool(body, "corp", corp);
    xeno_json_set_str(body, "version", xeno_version());
    xeno_http_reply_json(q, 200, body);
}

/* What the asker has here, and may have. */
void xstored_get_usage(struct xeno_http_req *q, void *user)
{
    struct xstored *d = user;
    int64_t bytes = 0, entries = 0;
    const struct xstored_use *use = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    struct xstored_asker who;
    struct xeno_json *body, *sums;
    struct xeno_keep_sums have;
    char key[XENO_PUB_TEXT];
    int r = xstored_who(d, q, &who, &err);

    if (r == 0)
        r = xstored_may_list(&who, &err);
    if (r == 0)
        r = xstored_meta_used(d->view, who.id.s, &bytes, &err);
    if (r == 0)
        r = xstored_meta_entries(d->view, who.id.s, &entries, &err);
    if (r == 0)
        r = xeno_keep_sums(d->view, who.id.s, &have, &err);
    if (r < 0) {
        xstored_refuse(d, q, &err);
        return;
    }
    sums = xeno_json_object();
    xeno_json_set_int(sums, "kept", have.kept);
    xeno_json_set_int(sums, "paying_bytes", have.paying_bytes);
    xeno_json_set_int(sums, "per_day", have.per_day);
    xeno_json_set_int(sums, "charged", have.charged);
    xeno_json_set_int(sums, "posted", have.posted);
    HASH_FIND_STR(d->uses, who.id.s, use);
    body = xeno_json_object();
    xeno_json_set_str(body, "owner", who.id.s);
    xeno_pub_text(xeno_key_pub(xeno_member_key(d->member)), key);
    xeno_json_set_str(body, "store", xeno_member_id(d->member)->s);
    xeno_json_set_str(body, "key", key);
    xeno_json_set_int(body, "used_bytes", bytes);
    xeno_json_set_int(body, "upload_bytes", use ? use->bytes : 0);
    xeno_json_set_int(body, "quota_bytes", d->opt.quota_bytes);
    xeno_json_set_int(body, "entries", entries);
    xeno_json_set_int(body, "entries_max", d->opt.entries);
    xeno_json_set_int(body, "price_gib_day", d->opt.price.micro);
    xeno_json_set_int(body, "grace_s", d->opt.grace.ns / XENO_NS_PER_S);
    xeno_json_set(body, "certificates", sums);
    xeno_http_reply_json(q, 200, body);
}

static void kept(const struct xstored *d, struct xeno_buf *out)
{
    struct xstored_total t = { 0 };
    const struct xstored_use *use;
    int64_t bytes = 0, heads = 0;

    (void)xstored_meta_total(d->view, &t, NULL);
    (void)xstored_meta_count_heads(d->view, &heads, NULL);
    for (use = d->uses; use; use = use->hh.next)
        bytes += use->bytes;
    xeno_metric(out, "xstored_objects", "gauge", "Objects kept, each once.");
    xeno_metric_int(out, "xstored_objects", NULL, NULL, t.blobs);
    xeno_metric(out, "xstored_object_bytes", "gauge", "Their bytes.");
    xeno_metric_int(out, "xstored_object_bytes", NULL, NULL, t.bytes);
    xeno_metric(out, "xstored_objects_damaged", "gauge",
                "Objects that were found damaged and not pushed again since.");
    xeno_metric_int(out, "xstored_objects_damaged", NULL, NULL, t.damaged);
    xeno_metric(out, "xstored_heads", "gauge", "Heads of tags kept that something else replaced.");
    xeno_metric_int(out, "xstored_heads", NULL, NULL, heads);
    xeno_metric(out, "xstored_uploads", "gauge", "Open uploads.");
    xeno_metric_int(out, "xstored_uploads", NULL, NULL, HASH_COUNT(d->uploads));
    xeno_metric(out, "xstored_upload_bytes", "gauge", "Bytes in open uploads.");
    xeno_metric_int(out, "xstored_upload_bytes", NULL, NULL, bytes);
}

static void paid(const struct xstored *d, struct xeno_buf *out)
{
    static const struct {
        const char *name, *type, *help, *sql;
    } rows[] = {
        { "xstored_certificates", "gauge", "Certificates that are kept and paid for.",
          "SELECT count(*) FROM kept WHERE state = 2" },
        { "xstored_paying_bytes", "gauge", "Bytes they pay for.",
          "SELECT coalesce(sum(paying), 0) FROM kept WHERE state = 2" },
        { "xstored_charged_micro_total", "counter", "Micro-credits charged.",
          "SELECT coalesce(sum(charged), 0) FROM kept" },
        { "xstored_posted_micro_total", "counter", "Of those, taken by the XenoCorp.",
          "SELECT coalesce(sum(posted), 0) FROM kept" },
        { "xstored_outbox", "gauge", "Charges that the XenoCorp has not answered.",
          "SELECT count(*) FROM outbox" },
    };

    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        int64_t n = 0;

        (void)xeno_db_one_int(d->view, 0, &n, NULL, rows[i].sql, "");
        xeno_metric(out, rows[i].name, rows[i].type, rows[i].help);
        xeno_metric_int(out, rows[i].name, NULL, NULL, n);
    }
}

static void counted(const struct xstored *d, struct xeno_buf *out)
{
    const struct {
        const char *name, *help;
        int64_t n;
    } rows[] = {
        { "xstored_requests_total", "Requests of the registry API.", d->counts.requests },
        { "xstored_refused_total", "Of those, refused.", d->counts.refused },
        { "xstored_received_bytes_total", "Bytes of blobs and manifests that arrived.",
          d->counts.received_bytes },
        { "xstored_pushed_total", "Blobs and manifests that were pushed.", d->counts.pushed },
        { "xstored_mounted_total", "Blobs that were mounted.", d->counts.mounted },
        { "xstored_uploads_expired_total", "Uploads dropped for their age.", d->counts.expired },
        { "xstored_collected_total", "Objects removed since nothing needs them.",
          d->counts.collected },
        { "xstored_scrubbed_bytes_total", "Bytes read again to find damage.",
          d->counts.scrubbed_bytes },
        { "xstored_passes_total", "Passes given to tools without a certificate.",
          d->counts.passes },
        { "xstored_restored_total", "Tags set back to what they stood for.", d->counts.restored },
        { "xstored_fetched_bytes_total", "Bytes fetched from the object store to be read.",
          d->counts.fetched_bytes },
        { "xstored_mended_total", "Damaged objects fetched again from mirrors.", d->counts.mended },
        { "xstored_quarantined_total", "Objects put aside as damaged.", d->counts.quarantined },
    };

    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_metric(out, rows[i].name, "counter", rows[i].help);
        xeno_metric_int(out, rows[i].name, NULL, NULL, rows[i].n);
    }
}

static void own(const struct xstored *d, struct xeno_buf *out)
{
    xeno_metric(out, "xstored_corp_up", "gauge", "Did the XenoCorp answer the last request?");
    xeno_metric_int(out, "xstored_corp_up", NULL, NULL, xeno_member_corp_answers(d->member));
    xeno_metric(out, "xstored_credential_expires_seconds", "gauge",
                "When the credential ends, in seconds since 1970.");
    xeno_metric_int(out, "xstored_credential_expires_seconds", NULL, NULL,
                    xeno_member_cert(d->member)->not_after.ns / XENO_NS_PER_S);
}

void xstored_get_metrics(struct xeno_http_req *q, void *user)
{
    struct xstored *d = user;
    xeno_autobuf out = XENO_BUF_INIT;
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_http_may_watch(q, d->opt.operators, &err) < 0) {
        xstored_refuse(d, q, &err);
        return;
    }
    kept(d, &out);
    paid(d, &out);
    counted(d, &out);
    own(d, &out);
    xeno_http_reply_data(q, 200, XENO_METRICS_TYPE, out.data, out.len);
}
