/* src/host/sample.c - usage: one request for all sessions, each sample_ms and when one stops. */
#include <errno.h>
#include <string.h>

#include "host/internal.h"

#define USAGE_TRIES 4
#define LIST_MAX    65536

/* A session that waits for a sample made after now gets the next. */
void drive_sample(struct xeno_host *h)
{
    xeno_auto(xeno_task_request) q = NULL;
    struct op *op;

    if (!h->reconciled || h->usage_tag != 0)
        return;
    q = xeno_task_request_new(XENO_TASK_USAGE, NULL);
    op = op_new(h, OP_USAGE, "", "", h->cfg.task_timeout_ms);
    h->usage_tag = op->tag;
    h->sample_no++;
    h->ports.task(h->ports.ctx, op->tag, q);
}

void sample_take(struct xeno_host *h, const struct xeno_task_usage *u)
{
    struct session *s = host_session(h, u->session);
    struct xeno_sample sample = {
        .cpu_us = u->cpu_us,
        .waited_us = u->waited_us,
        .throttled_us = u->throttled_us,
        .memory_bytes = u->memory_bytes,
        .disk_bytes = u->disk_bytes,
    };

    if (!s || s->r.meter.at_ms == 0 || !xeno_state_info((enum xeno_state)s->r.state)->built)
        return;
    if (__builtin_add_overflow(u->net_rx_bytes, u->net_tx_bytes, &sample.net_bytes))
        sample.net_bytes = -1;
    session_advance(h, s);
    xeno_meter_sample(&s->r.meter, &s->offer.grant, &sample);
}

/* The last sample of a session that stops is in: go on. It is journalled with the next step. */
void sampled(struct xeno_host *h, struct session *s)
{
    if (s->r.state == XENO_SUSPENDING) {
        session_try_move(h, s, XENO_ON_STOPPED, NULL);
        return;
    }
    /* What was used must be on the disk before the counters are destroyed. */
    if (session_save(h, s, &s->r, NULL) < 0) {
        drive_later(h, s);
        return;
    }
    s->step = STEP_LAST;
    s->tries = 0;
    drive_session(h, s);
}

static void sample_waiters(struct xeno_host *h, bool ok)
{
    struct session *s, *next;
    bool more = false;

    HASH_ITER (hh, h->sessions, s, next) {
        if ((s->r.state != XENO_SUSPENDING && s->r.state != XENO_ENDING) || s->step != STEP_USAGE)
            continue;
        if (s->sample_after > h->sample_no) {
            more = true; /* asked before it had stopped */
            continue;
        }
        if (!ok && ++s->tries < USAGE_TRIES)
            continue;
        sampled(h, s);
    }
    if (more)
        drive_sample(h);
}

void answered_usage(struct xeno_host *h, const struct xeno_json_at *ok)
{
    struct xeno_json_at list;
    struct xeno_task_usage u;
    size_t count = 0;
    bool good;

    h->usage_tag = 0;
    good = ok && xeno_json_arr(ok, "sessions", LIST_MAX, &list, &count, NULL) == 0;
    for (size_t i = 0; good && i < count; i++) {
        struct xeno_json_at item = xeno_json_item(&list, i);

        if (xeno_task_usage_read(&item, &u, NULL) == 0)
            sample_take(h, &u);
    }
    if (!good)
        h->count.task_errors++;
    sample_waiters(h, good);
}
