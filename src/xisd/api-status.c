/* src/xisd/api-status.c - how it fares. */
#include <errno.h>
#include <string.h>

#include "conf/args.h"
#include "http/metrics.h"
#include "http/operators.h"
#include "xis/kept.h"
#include "xisd/party.h"
#include "xisd/peer.h"

static bool database_answers(const struct xisd *d)
{
    return !d->database_away && !d->books_fail;
}

static const char *state_of(const struct xisd *d)
{
    if (!xisd_ready(d))
        return "loading";
    return xeno_member_corp_answers(d->member) && database_answers(d) ? "ok" : "degraded";
}

void xisd_get_health(struct xeno_http_req *q, void *user)
{
    struct xisd *d = user;
    struct xeno_json *body = xeno_json_object();
    struct xeno_err err = XENO_ERR_INIT;

    xeno_json_set_str(body, "state", state_of(d));
    xeno_json_set_bool(body, "corp", xeno_member_corp_answers(d->member));
    xeno_json_set_bool(body, "database", database_answers(d));
    xeno_json_set_str(body, "version", xeno_version());
    if (xisd_check_ready(d, xisd_ready(d), &err) == 0)
        xeno_http_reply_json(q, 200, body);
    else
        xeno_http_reply_problem(q, &err, body);
}

static struct xeno_json *limits_json(const struct xisd_options *o)
{
    struct xeno_json *j = xeno_json_object();

    xeno_json_set_int(j, "adverts", o->adverts);
    xeno_json_set_int(j, "own_bytes", o->own_bytes);
    xeno_json_set_int(j, "own_rate", o->own_rate);
    xeno_json_set_int(j, "own_tokens", o->own_tokens);
    xeno_json_set_int(j, "other_adverts", o->other_adverts);
    xeno_json_set_int(j, "other_bytes", o->other_bytes);
    xeno_json_set_int(j, "node_adverts", o->node_adverts);
    xeno_json_set_int(j, "node_bytes", o->node_bytes);
    xeno_json_set_int(j, "node_rate", o->node_rate);
    xeno_json_set_int(j, "node_tokens", o->node_tokens);
    xeno_json_set_int(j, "lookup_rate", o->lookup_rate);
    xeno_json_set_int(j, "watches", o->watches);
    xeno_json_set_int(j, "waiting", o->waiting);
    return j;
}

void xisd_get_status(struct xeno_http_req *q, void *user)
{
    struct xisd *d = user;
    struct xeno_json *body = xeno_json_object();
    struct xeno_json *replication;
    struct xeno_xis_stats s = { 0 };

    d->counts.requests++;
    xeno_xis_stats(d->xis, &s);
    xeno_json_set_str(body, "id", xeno_member_id(d->member)->s);
    xeno_json_set_str(body, "corp", xeno_member_corp(d->member)->s);
    xeno_json_set_str(body, "version", xeno_version());
    xeno_json_set_str(body, "state", state_of(d));
    xeno_json_set_str(body, "epoch", d->epoch);
    xeno_json_set_int(body, "seq", xeno_kept_seq(d->reader));
    xeno_json_set_int(body, "adverts", (int64_t)s.alive);
    xeno_json_set_int(body, "tombstones", (int64_t)s.dead);
    xeno_json_set_int(body, "tokens", (int64_t)s.tokens);
    xeno_json_set_int(body, "values", (int64_t)s.values);
    xeno_json_set_int(body, "watches", (int64_t)s.watches);
    xeno_json_set_int(body, "text_bytes", (int64_t)s.text_bytes);
    xeno_json_set_int(body, "other_bytes", (int64_t)s.other_bytes);
    replication = xisd_peers_status(d);
    if (replication)
        xeno_json_set(body, "replication", replication);
    xeno_json_set_int(body, "started_ms", d->started.ns / XENO_NS_PER_MS);
    xeno_json_set(body, "limits", limits_json(&d->opt));
    xeno_http_reply_json(q, 200, body);
}

/* --- metrics --- */

struct metric {
    const char *name, *kind, *help;
    int64_t n;
};

static void put_metrics(struct xeno_buf *out, const struct metric *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        xeno_metric(out, rows[i].name, rows[i].kind, rows[i].help);
        xeno_metric_int(out, rows[i].name, NULL, NULL, rows[i].n);
    }
}

static void kept(struct xisd *d, struct xeno_buf *out)
{
    struct xeno_xis_stats s = { 0 };

    xeno_xis_stats(d->xis, &s);
    {
        const struct metric rows[] = {
            { "xisd_adverts", "gauge", "Adverts that can be found.", (int64_t)s.alive },
            { "xisd_tombstones", "gauge", "Ids that are over or withdrawn and remembered.",
              (int64_t)s.dead },
            { "xisd_tokens", "gauge", "Different tokens.", (int64_t)s.tokens },
            { "xisd_values", "gauge", "Values in the index.", (int64_t)s.values },
            { "xisd_text_bytes", "gauge", "Bytes of signed texts in memory.",
              (int64_t)s.text_bytes },
            { "xisd_other_bytes", "gauge", "Bytes of the index and all else beside them.",
              (int64_t)s.other_bytes },
            { "xisd_watches", "gauge", "Watches.", (int64_t)s.watches },
        };

        put_metrics(out, rows, XENO_LEN(rows));
    }
}

static void counted(const struct xisd *d, struct xeno_buf *out)
{
    const struct metric rows[] = {
        { "xisd_requests_total", "counter", "Requests.", d->counts.requests },
        { "xisd_refused_total", "counter", "Of those, refused.", d->counts.refused },
        { "xisd_updates_total", "counter", "Adverts, deltas and withdrawals taken.",
          d->counts.updates },
        { "xisd_lookups_total", "counter", "Lookups, also those of batches.", d->counts.lookups },
        { "xisd_batches_total", "counter", "Batches of lookups.", d->counts.batches },
        { "xisd_queries_total", "counter", "Queries and explanations.", d->counts.queries },
        { "xisd_changes_total", "counter", "Changes told to those who follow.", d->counts.changes },
    };

    put_metrics(out, rows, XENO_LEN(rows));
}

static void own(const struct xisd *d, struct xeno_buf *out)
{
    const struct metric rows[] = {
        { "xisd_database_up", "gauge", "Did the database take the last update?",
          database_answers(d) },
        { "xisd_corp_up", "gauge", "Did the XenoCorp answer the last request?",
          xeno_member_corp_answers(d->member) },
        { "xisd_credential_expires_seconds", "gauge",
          "When the credential ends, in seconds since 1970.",
          xeno_member_cert(d->member)->not_after.ns / XENO_NS_PER_S },
    };

    put_metrics(out, rows, XENO_LEN(rows));
}

void xisd_get_metrics(struct xeno_http_req *q, void *user)
{
    struct xisd *d = user;
    xeno_autobuf out = XENO_BUF_INIT;
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_http_may_watch(q, d->opt.operators, &err) < 0) {
        xisd_refuse(d, q, &err);
        return;
    }
    kept(d, &out);
    counted(d, &out);
    own(d, &out);
    xeno_http_reply_data(q, 200, XENO_METRICS_TYPE, out.data, out.len);
}
