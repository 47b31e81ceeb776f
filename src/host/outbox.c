/* src/host/outbox.c - charges on their way to the XenoCorp.
 *
 * A charge is a row before anybody hears of it, and stays one until the XenoCorp has said what
 * became of it. Rows leave in the order they were made, one batch at a time; a batch whose answer
 * is lost is signed and sent again, and XenoCorp answers "repeated" for what it had posted. So an
 * hour without XenoCorp only makes the outbox longer.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "doc/charge.h"
#include "host/internal.h"

#define CHARGE_TEXT_MAX 8192
#define BATCH_RETRY_MS  30000

int outbox_put(struct xeno_host *h, struct session *s, const struct xeno_charge *c,
               struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = NULL;
    xeno_autofree char *text = NULL;
    int r;

    r = xeno_charge_check(c, err);
    if (r < 0)
        return r;
    doc = xeno_charge_json(c);
    text = xeno_json_format(doc, false, NULL);
    r = xeno_db_run(h->db, err,
                    "INSERT INTO outbox (n, session, seq, amount, body)"
                    " VALUES ($1, $2, $3, $4, $5)",
                    "itiit", ++h->outbox_next, s->id, c->seq, c->amount.micro, text);
    return r < 0 ? r : 0;
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

static int read_row(const char *text, struct xeno_charge *ret, struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top;
    int r;

    r = xeno_json_parse(text, strlen(text), CHARGE_TEXT_MAX, &doc, err);
    if (r < 0)
        return r;
    top = xeno_json_top(doc);
    return xeno_charge_read(&top, ret, err);
}

/* The oldest charges, at most a batch full. Returns: how many, or a failure. */
static int read_oldest(struct xeno_host *h, struct xeno_charge *charges, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int count = 0, r;

    r = xeno_query_begin(h->db, &q, "SELECT body FROM outbox ORDER BY n LIMIT 100", err);
    if (r < 0)
        return r;
    while (count < XENO_CHARGE_BATCH_MAX && (r = xeno_query_step(&q, err)) > 0) {
        r = read_row(xeno_query_col_text(&q, 0), &charges[count], err);
        if (r < 0)
            return r;
        count++;
    }
    return r < 0 ? r : count;
}

void outbox_kick(struct xeno_host *h)
{
    xeno_autofree struct xeno_charge *charges = NULL;
    xeno_autofree char *batch = NULL;
    struct op *op;
    int count, r;

    if (h->outbox_count == 0 || h->outbox_tag != 0 || !corp_may(h) ||
        mono_ns(h) < h->outbox_retry_ns)
        return;
    charges = xeno_new0_n(struct xeno_charge, XENO_CHARGE_BATCH_MAX);
    count = read_oldest(h, charges, NULL);
    r = count <= 0 ? -EIO
                   : xeno_charge_batch_sign(h->cfg.key, charges, (size_t)count, &batch, NULL);
    if (r < 0) {
        corp_failed(h); /* the journal can not be read now: later */
        return;
    }
    op = op_new(h, OP_CHARGES, "", "", h->cfg.corp_timeout_ms);
    h->outbox_tag = op->tag;
    h->count.batches++;
    corp_send(h, op, "/v1/charges", "application/jose", NULL, batch, strlen(batch));
}

/* --- answers --- */

/* Refusals that say the session is not ours to run on any order: another holds it, or XenoCorp
 * knows of no such thing. Every other one is about this order, and the session waits, suspended,
 * for a better one. */
static bool is_fenced(const char *token)
{
    static const char *const tokens[] = { "charge.order", "charge.epoch", "charge.server" };

    for (size_t i = 0; i < XENO_LEN(tokens); i++)
        if (strcmp(tokens[i], token) == 0)
            return true;
    return false;
}

struct result {
    struct session *s;
    int64_t seq, amount;
    bool refused;
    char order[XENO_ORDER_ID_CHARS + 1];
    char token[XENO_ERR_TOKEN_MAX];
    char detail[REASON_CHARS];
};

static int read_error(const struct xeno_json_at *item, struct result *ret)
{
    struct xeno_json_at error;
    const char *token = "charge.refused", *detail = "";

    if (xeno_json_obj_opt(item, "error", &error, NULL) == 0) {
        (void)xeno_json_str_opt(&error, "type", 1, XENO_ERR_TOKEN_MAX - 1, &token, NULL);
        (void)xeno_json_str_opt(&error, "detail", 0, 4096, &detail, NULL);
    }
    ret->refused = true;
    snprintf(ret->token, sizeof(ret->token), "%s", token);
    snprintf(ret->detail, sizeof(ret->detail), "%s", detail);
    return 0;
}

/* Errors: not a result, or not of one of our sessions. */
static int read_result(struct xeno_host *h, const struct xeno_json_at *item, struct result *ret)
{
    const char *session, *status;
    int r;

    *ret = (struct result){ .s = NULL };
    r = xeno_json_str(item, "session", 1, XENO_SESSION_CHARS, &session, NULL);
    if (r == 0)
        r = xeno_json_int(item, "seq", 1, INT64_MAX, &ret->seq, NULL);
    if (r == 0)
        r = xeno_json_str(item, "status", 1, 16, &status, NULL);
    if (r < 0)
        return r;
    ret->s = host_session(h, session);
    if (!ret->s)
        return -ENOENT;
    if (strcmp(status, "posted") == 0 || strcmp(status, "repeated") == 0)
        return 0;
    return strcmp(status, "refused") == 0 ? read_error(item, ret) : -EINVAL;
}

/* Which order a charge in the outbox is on, and its amount. Returns: 1, or 0 when it is gone. */
static int look_up(struct xeno_host *h, struct result *res, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    struct xeno_charge c;
    int r;

    r = xeno_query_begin(h->db, &q, "SELECT body FROM outbox WHERE session = $1 AND seq = $2", err);
    if (r < 0)
        return r;
    xeno_query_text(&q, 1, res->s->id);
    xeno_query_int(&q, 2, res->seq);
    r = xeno_query_step(&q, err);
    if (r <= 0)
        return r;
    r = read_row(xeno_query_col_text(&q, 0), &c, err);
    if (r < 0)
        return r;
    memcpy(res->order, c.order, sizeof(res->order));
    res->amount = c.amount.micro;
    return 1;
}

/* Move the row to where its result says. Returns: 1, or 0 when it was gone already. */
static int settle_row(struct xeno_host *h, struct result *res, struct xeno_err *err)
{
    struct rec *rec = &res->s->r;
    int r;

    r = look_up(h, res, err);
    if (r <= 0)
        return r;
    r = xeno_db_run(h->db, err, "DELETE FROM outbox WHERE session = $1 AND seq = $2", "ti",
                    res->s->id, res->seq);
    if (r < 0)
        return r;
    if (!res->refused) {
        rec->posted += res->amount;
    } else {
        rec->refused += res->amount;
        if (strcmp(rec->order, res->order) == 0)
            rec->dead = 1;
        r = xeno_db_run(h->db, err,
                        "INSERT INTO refused (session, seq, amount, token, detail, time_ms)"
                        " VALUES ($1, $2, $3, $4, $5, $6)",
                        "tiitti", res->s->id, res->seq, res->amount, res->token, res->detail,
                        wall_ms(h));
    }
    if (r >= 0)
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
    xeno_json_set_int(o, "seq", res->seq);
    xeno_json_set_int(o, "amount", res->amount);
    xeno_json_set_str(o, "order", res->order);
    xeno_json_set_str(o, "type", res->token);
    xeno_json_set_str(o, "detail", res->detail);
    event_tell(h, s, "charge.refused", o);
    if (strcmp(s->r.order, res->order) != 0)
        return;
    snprintf(reason, sizeof(reason), "%s: %.100s", res->token, res->detail);
    session_try_move(h, s, is_fenced(res->token) ? XENO_ON_END : XENO_ON_SUSPEND, reason);
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
        res->s->queued_amount -= res->amount;
        h->outbox_count--;
        if (!res->refused)
            h->count.posted += res->amount;
    }
    for (int i = 0; i < n; i++)
        if (done[i].res.refused)
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

struct xeno_json *outbox_refused_json(struct xeno_host *h, const char *session)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    struct xeno_json *list = xeno_json_array();

    if (xeno_query_begin(h->db, &q,
                         "SELECT seq, amount, token, detail, time_ms FROM refused"
                         " WHERE session = $1 ORDER BY seq LIMIT 100",
                         NULL) < 0)
        return list;
    xeno_query_text(&q, 1, session);
    while (xeno_query_step(&q, NULL) > 0) {
        struct xeno_json *o = xeno_json_object();

        xeno_json_set_int(o, "seq", xeno_query_col_int(&q, 0));
        xeno_json_set_int(o, "amount", xeno_query_col_int(&q, 1));
        xeno_json_set_str(o, "type", xeno_query_col_text(&q, 2));
        xeno_json_set_str(o, "detail", xeno_query_col_text(&q, 3));
        xeno_json_set_int(o, "time_ms", xeno_query_col_int(&q, 4));
        xeno_json_append(list, o);
    }
    return list;
}
