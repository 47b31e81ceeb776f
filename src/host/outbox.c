/* src/host/outbox.c - charges on their way to the XenoCorp (bill/outbox.h), and what their fate
 * does to their sessions. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bill/outbox.h"
#include "host/internal.h"

#define BATCH_RETRY_MS 30000

int outbox_put(struct xeno_host *h, const struct xeno_charge *c, struct xeno_err *err)
{
    return xeno_outbox_put(h->db, ++h->outbox_next, c, err);
}

void outbox_added(struct xeno_host *h, struct session *s, const struct rec *old)
{
    int64_t count = s->r.seq - old->seq, amount = s->r.charged - old->charged;

    s->queued += count;
    s->queued_amount += amount;
    h->outbox_count += count;
    h->count.charges += count;
    h->count.charged += amount;
}

int outbox_load(struct xeno_host *h, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r;

    r = xeno_db_one_int(h->db, 0, &h->outbox_next, err, "SELECT max(n) FROM outbox", "");
    if (r < 0)
        return r;
    r = xeno_query_begin(h->db, &q,
                         "SELECT session, count(*), sum(amount) FROM outbox GROUP BY session", err);
    if (r < 0)
        return r;
    while ((r = xeno_query_step(&q, err)) > 0) {
        struct session *s = host_session(h, xeno_query_col_text(&q, 0));

        h->outbox_count += xeno_query_col_int(&q, 1);
        if (!s)
            continue;
        s->queued = xeno_query_col_int(&q, 1);
        s->queued_amount = xeno_query_col_int(&q, 2);
    }
    return r;
}

/* --- sending --- */

void outbox_kick(struct xeno_host *h)
{
    xeno_autofree char *batch = NULL;
    struct op *op;

    if (h->outbox_count == 0 || h->outbox_tag != 0 || !corp_may(h) ||
        mono_ns(h) < h->outbox_retry_ns)
        return;
    if (xeno_outbox_batch(h->db, h->cfg.key, &batch, NULL) <= 0) {
        corp_failed(h); /* the journal can not be read now: later */
        return;
    }
    op = op_new(h, OP_CHARGES, "", "", h->cfg.corp_timeout_ms);
    h->outbox_tag = op->tag;
    h->count.batches++;
    corp_send(h, op, "/v1/charges", "application/jose", NULL, batch, strlen(batch));
}

/* --- answers --- */

struct result {
    struct session *s;
    struct xeno_outbox_result charge;
};

/* Errors: not a result, or not of one of our sessions. */
static int read_result(struct xeno_host *h, const struct xeno_json_at *item, struct result *ret)
{
    int r = xeno_outbox_result(item, &ret->charge);

    ret->s = r == 0 ? host_session(h, ret->charge.session) : NULL;
    return r == 0 && !ret->s ? -ENOENT : r;
}

/* Move the row to where its result says. Returns: 1, or 0 when it was gone already. */
static int settle_row(struct xeno_host *h, struct result *res, struct xeno_err *err)
{
    struct rec *rec = &res->s->r;
    int r = xeno_outbox_settle(h->db, &res->charge, wall_ms(h), err);

    if (r <= 0)
        return r;
    if (!res->charge.refused) {
        rec->posted += res->charge.amount;
    } else {
        rec->refused += res->charge.amount;
        if (strcmp(rec->order, res->charge.order) == 0)
            rec->dead = 1;
    }
    r = journal_session_put(h, res->s, err);
    return r < 0 ? r : 1;
}

/* A charge was refused: tell, and do to the session what follows if it still lives on that order.
 */
static void act_on_refusal(struct xeno_host *h, const struct result *res)
{
    struct session *s = res->s;
    struct xeno_json *o = xeno_json_object();
    char reason[REASON_CHARS];

    h->count.refused_charges++;
    xeno_json_set_int(o, "seq", res->charge.seq);
    xeno_json_set_int(o, "amount", res->charge.amount);
    xeno_json_set_str(o, "order", res->charge.order);
    xeno_json_set_str(o, "type", res->charge.token);
    xeno_json_set_str(o, "detail", res->charge.detail);
    event_tell(h, s, "charge.refused", o);
    if (strcmp(s->r.order, res->charge.order) != 0)
        return;
    snprintf(reason, sizeof(reason), "%s: %.100s", res->charge.token, res->charge.detail);
    session_try_move(h, s, xeno_outbox_fenced(res->charge.token) ? XENO_ON_END : XENO_ON_SUSPEND,
                     reason);
}

struct applied {
    struct result res;
    struct rec old;
};

/* Returns: how many rows were settled, or a failure after which nothing was. */
static int apply_results(struct xeno_host *h, const struct xeno_json_at *list, size_t count,
                         struct applied *done, struct xeno_err *err)
{
    int n = 0, r;

    r = xeno_db_begin(h->db, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count && r >= 0; i++) {
        struct xeno_json_at item = xeno_json_item(list, i);
        struct applied *a = &done[n];

        if (read_result(h, &item, &a->res) < 0)
            continue;
        a->old = a->res.s->r;
        r = settle_row(h, &a->res, err);
        n += r != 0;
    }
    r = journal_end(h, r < 0 ? r : 0, err);
    if (r == 0)
        return n;
    while (n > 0) {
        n--;
        done[n].res.s->r = done[n].old;
    }
    return r;
}

void outbox_done(struct xeno_host *h, const struct op *op, const struct xeno_json *reply)
{
    xeno_autofree struct applied *done = xeno_new0_n(struct applied, XENO_CHARGE_BATCH_MAX + 1);
    struct xeno_json_at top = xeno_json_top(reply), list;
    size_t count;
    int n;

    (void)op;
    h->outbox_tag = 0;
    n = xeno_json_arr(&top, "results", XENO_CHARGE_BATCH_MAX, &list, &count, NULL);
    if (n == 0)
        n = apply_results(h, &list, count, done, NULL);
    if (n <= 0) {
        corp_failed(h); /* no answer to what was asked: again, later */
        return;
    }
    for (int i = 0; i < n; i++) {
        struct result *res = &done[i].res;

        res->s->queued--;
        res->s->queued_amount -= res->charge.amount;
        h->outbox_count--;
        if (!res->charge.refused)
            h->count.posted += res->charge.amount;
    }
    for (int i = 0; i < n; i++)
        if (done[i].res.charge.refused)
            act_on_refusal(h, &done[i].res);
    outbox_kick(h);
}

/* The batch as a whole: this XenoServer may not charge at present, or not so. What is in it is owed
 * all the same, so it is tried for ever, but rarely, and the rest goes on meanwhile. */
void outbox_refused(struct xeno_host *h)
{
    h->outbox_tag = 0;
    h->count.corp_errors++;
    h->outbox_retry_ns = host_after(h, BATCH_RETRY_MS);
}
