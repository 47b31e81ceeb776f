/* src/host/metrics.c - Prometheus text. Sums of money and usage agree with the journal's. */
#include "host/internal.h"

static void help(struct xeno_buf *out, const char *name, const char *type, const char *text)
{
    xeno_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, text, name, type);
}

static void one(struct xeno_buf *out, const char *name, const char *type, const char *text,
                int64_t value)
{
    help(out, name, type, text);
    xeno_buf_printf(out, "%s %lld\n", name, (long long)value);
}

static void states(const struct xeno_host *h, struct xeno_buf *out)
{
    int64_t count[XENO_STATE_COUNT] = { 0 };
    struct session *s, *next;

    HASH_ITER (hh, h->sessions, s, next)
        count[s->r.state]++;
    help(out, "xeno_host_sessions", "gauge", "Sessions by state.");
    for (int i = 0; i < XENO_STATE_COUNT; i++)
        xeno_buf_printf(out, "xeno_host_sessions{state=\"%s\"} %lld\n", xeno_state_name(i),
                        (long long)count[i]);
}

static void capacity(const struct xeno_host *h, struct xeno_buf *out)
{
    struct xeno_free left = xeno_admission_left(h->admission);
    struct xeno_free limit = xeno_admission_limit(h->admission);
    const struct {
        const char *name;
        int64_t limit, left;
    } rows[] = {
        { "cpu_msps", limit.cpu_msps, left.cpu_msps },
        { "memory_bytes", limit.memory_bytes, left.memory_bytes },
        { "disk_bytes", limit.disk_bytes, left.disk_bytes },
        { "net_kbps", limit.net_kbps, left.net_kbps },
        { "nat_addresses", limit.nat_addresses, left.nat_addresses },
        { "own_addresses", limit.own_addresses, left.own_addresses },
        { "ports", limit.ports, left.ports },
    };

    help(out, "xeno_host_limit", "gauge", "What may be sold of a resource.");
    for (size_t i = 0; i < XENO_LEN(rows); i++)
        xeno_buf_printf(out, "xeno_host_limit{resource=\"%s\"} %lld\n", rows[i].name,
                        (long long)rows[i].limit);
    help(out, "xeno_host_left", "gauge", "What is left of it.");
    for (size_t i = 0; i < XENO_LEN(rows); i++)
        xeno_buf_printf(out, "xeno_host_left{resource=\"%s\"} %lld\n", rows[i].name,
                        (long long)rows[i].left);
}

/* What is in the journal: sums over the sessions it still has. */
static void money(const struct xeno_host *h, struct xeno_buf *out)
{
    int64_t charged = 0, posted = 0, refused = 0, forfeited = 0, pending = 0;
    struct session *s, *next;

    HASH_ITER (hh, h->sessions, s, next) {
        charged += s->r.charged;
        posted += s->r.posted;
        refused += s->r.refused;
        forfeited += s->r.forfeited;
        pending += s->queued_amount;
    }
    one(out, "xeno_host_charged_micro", "gauge", "Charged for the sessions shown.", charged);
    one(out, "xeno_host_posted_micro", "gauge", "Of that, posted by the XenoCorp.", posted);
    one(out, "xeno_host_pending_micro", "gauge", "Of that, in the outbox.", pending);
    one(out, "xeno_host_refused_micro", "gauge", "Of that, refused.", refused);
    one(out, "xeno_host_forfeited_micro", "gauge", "Delivered and never charged.", forfeited);
}

void xeno_host_metrics(struct xeno_host *h, struct xeno_buf *out)
{
    states(h, out);
    capacity(h, out);
    money(h, out);
    one(out, "xeno_host_holds", "gauge", "Holds.", HASH_COUNT(h->holds));
    one(out, "xeno_host_outbox", "gauge", "Charges in the outbox.", h->outbox_count);
    one(out, "xeno_host_task_manager_up", "gauge", "1 when connected and reconciled.",
        h->reconciled);
    one(out, "xeno_host_created_total", "counter", "Sessions created.", h->count.created);
    one(out, "xeno_host_refused_total", "counter", "Holds and sessions refused.", h->count.refused);
    one(out, "xeno_host_ended_total", "counter", "Sessions ended.", h->count.ended);
    one(out, "xeno_host_suspended_total", "counter", "Suspensions.", h->count.suspended);
    one(out, "xeno_host_charges_total", "counter", "Charges made.", h->count.charges);
    one(out, "xeno_host_batches_total", "counter", "Batches of charges sent.", h->count.batches);
    one(out, "xeno_host_charges_refused_total", "counter", "Charges the XenoCorp refused.",
        h->count.refused_charges);
    one(out, "xeno_host_late_answers_total", "counter", "Answers nobody waited for any more.",
        h->count.late_answers);
    one(out, "xeno_host_task_errors_total", "counter", "Failed requests to the task manager.",
        h->count.task_errors);
    one(out, "xeno_host_corp_errors_total", "counter", "Failed requests to the XenoCorp.",
        h->count.corp_errors);
    one(out, "xeno_host_corp_log_size", "gauge", "Leaves of the XenoCorp's log, as proved last.",
        h->log.seen.size);
    one(out, "xeno_host_corp_log_proofs_total", "counter", "Proofs that its log went on.",
        h->count.proofs);
    one(out, "xeno_host_corp_log_doubted", "gauge",
        "1 when the XenoCorp signed what cannot be one history.", h->log.doubted);
}
