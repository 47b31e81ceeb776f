/* src/corp/charges.c - checking batches of charges against the books, and posting them.
 *
 * The hot path: a charge to a row in memory costs one INSERT; balances are written at the commit.
 */
#include "corp/charges.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "corp/internal.h"

struct xeno_charges {
    struct xeno_charge_batch *batch;
    uint8_t (*shas)[32];      /* owned: digest of each charge */
    struct xeno_hash *leaves; /* owned: what each adds to the log */
    char *text;               /* owned: kept as evidence */
    size_t len;
};

void xeno_charges_free(struct xeno_charges *c)
{
    if (!c)
        return;
    xeno_charge_batch_free(c->batch);
    free(c->shas);
    free(c->leaves);
    free(c->text);
    free(c);
}

int xeno_charges_check(const char *text, size_t len, const struct xeno_pub *server,
                       struct xeno_charges **ret, struct xeno_err *err)
{
    xeno_auto(xeno_charge_batch) batch = NULL;
    int r = xeno_charge_batch_read(text, len, server, &batch, err);

    if (r < 0)
        return r;
    *ret = xeno_new0(struct xeno_charges);
    (*ret)->shas = xeno_alloc0(batch->count, sizeof *(*ret)->shas);
    (*ret)->leaves = xeno_alloc0(batch->count, sizeof *(*ret)->leaves);
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->faults[i])
            continue;
        xeno_charge_digest(&batch->charges[i], (*ret)->shas[i]);
        (*ret)->leaves[i] =
            xeno_charge_leaf_hash(&batch->charges[i], batch->server.s, (*ret)->shas[i]);
    }
    (*ret)->batch = xeno_take(&batch);
    (*ret)->text = xeno_memdup(text, len);
    (*ret)->len = len;
    return 0;
}

void xeno_charge_results_release(struct xeno_charge_results *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->items[i].detail);
    free(r->items);
    memset(r, 0, sizeof *r);
}

/* --- one charge --- */

/* What is being worked on. A refusal fills `res` and is no failure; a failure is the database's. */
struct posting {
    struct xeno_corp *corp;
    const struct corp_party *server;
    const struct xeno_charge *c;
    struct corp_order *order;
    struct corp_session *session;
    int64_t batch; /* row of the evidence */
    int64_t now_ms, slack_ms, from_ms, to_ms;
    const uint8_t *sha;
    const struct xeno_hash *leaf;
    struct xeno_charge_result *res;
};

static int refuse(struct posting *p, int code, const char *token, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static int refuse(struct posting *p, int code, const char *token, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    p->res->status = XENO_CHARGE_REFUSED;
    p->res->code = code;
    p->res->token = token;
    p->res->detail = xeno_vasprintf(fmt, ap);
    va_end(ap);
    return 1;
}

/* Returns, here and below: 0 go on, 1 the charge is dealt with, or a failure. */
static int find_rows(struct posting *p, struct xeno_err *err)
{
    struct xeno_err why = XENO_ERR_INIT;
    int r = corp_order(p->corp, p->c->order, &p->order, &why);

    if (r == -ENOENT && !p->corp->spoilt)
        return refuse(p, -ENOENT, "charge.order", "there is no order %s here", p->c->order);
    if (r < 0)
        return xeno_fail(err, r, why.token, "%s", why.text);
    r = corp_session(p->corp, p->server->n, p->c->session, &p->session, err);
    if (r < 0)
        return r;
    if (!p->session)
        return refuse(p, -EPERM, "charge.server",
                      "order %s was never bound to this server and session %s", p->c->order,
                      p->c->session);
    return 0;
}

/* Was it posted already? Then that is the answer, whatever became of the order since. Asked only
 * when there is a reason to refuse: what can be posted is found out by the journal. */
static int find_repeat(struct posting *p, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    const void *sha;
    size_t len = 0;
    int r = corp_query(p->corp, &q, "SELECT sha FROM entry WHERE session = $1 AND seq = $2", err);

    if (r < 0)
        return r;
    xeno_query_int(&q, 1, p->session->n);
    xeno_query_int(&q, 2, p->c->seq);
    r = corp_step(p->corp, &q, err);
    if (r <= 0)
        return r;
    free(xeno_take(&p->res->detail));
    p->res->token = NULL;
    p->res->code = 0;
    sha = xeno_query_col_blob(&q, 0, &len);
    if ((len != CORP_SHA_BYTES && len != XENO_LEAF_SHA_SHORT) || memcmp(sha, p->sha, len) != 0)
        return refuse(p, -EEXIST, "charge.mismatch",
                      "another charge was posted as sequence %" PRId64 " of session %s", p->c->seq,
                      p->c->session);
    p->res->status = XENO_CHARGE_REPEATED;
    return 1;
}

/* Is the order bound to this server and session, under this epoch? */
static int check_binding(struct posting *p, struct xeno_err *err)
{
    const struct corp_order *o = p->order;
    int64_t known = 0;
    int r;

    if (o->session == p->session->n) {
        if (p->c->epoch != o->epoch)
            return refuse(p, -ESTALE, "charge.epoch",
                          "order %s is bound under epoch %" PRId64 ", not %" PRId64, o->id,
                          o->epoch, p->c->epoch);
        if (p->now_ms >= o->deadline_ms)
            return refuse(p, -EPERM, "charge.closed", "order %s took charges until %" PRId64 " ms",
                          o->id, o->deadline_ms);
        return 0;
    }
    r = corp_one(p->corp, 0, &known, err,
                 "SELECT count(*) FROM binding WHERE ord = $1 AND session = $2", "ii", o->n,
                 p->session->n);
    if (r < 0)
        return r;
    if (known == 0)
        return refuse(p, -EPERM, "charge.server",
                      "order %s was never bound to this server and session %s", o->id,
                      p->c->session);
    return refuse(p, -EPERM, "charge.closed", "the binding of order %s to session %s has ended",
                  o->id, p->c->session);
}

static int check_window(struct posting *p)
{
    const struct corp_order *o = p->order;
    int64_t first = o->from_ms > o->terms.not_before_ms ? o->from_ms : o->terms.not_before_ms;
    int64_t last = o->expires_ms < o->terms.not_after_ms ? o->expires_ms : o->terms.not_after_ms;

    if (o->suspended_ms > 0 && p->to_ms > o->suspended_ms)
        return refuse(p, -EPERM, "charge.audit",
                      "what it stores is not paid for since %" PRId64
                      " ms: it was asked to show some of it, and did not",
                      o->suspended_ms);
    if (last > p->now_ms)
        last = p->now_ms;
    if (p->from_ms < first - p->slack_ms || p->to_ms > last + p->slack_ms)
        return refuse(p, -ERANGE, "charge.window",
                      "it is for %" PRId64 " to %" PRId64 " ms; the order can be charged for"
                      " %" PRId64 " to %" PRId64 " ms, with %" PRId64 " s of slack",
                      p->from_ms, p->to_ms, first, last, p->slack_ms / 1000);
    return 0;
}

static int check_limits(struct posting *p)
{
    const struct corp_order *o = p->order;
    int64_t amount = p->c->amount.micro, left = o->terms.max_total - o->charged;
    int64_t end = p->to_ms > o->to_ms ? p->to_ms : o->to_ms;
    int64_t span = end - o->from_ms + p->slack_ms, allowed = 0;

    if (amount > left)
        return refuse(
            p, -EDQUOT, "charge.limit", "charged %s credits, %s of %s are left",
            xeno_credit_text(xeno_micro(amount), (char[XENO_CREDIT_TEXT]){ 0 }),
            xeno_credit_text(xeno_micro(left), (char[XENO_CREDIT_TEXT]){ 0 }),
            xeno_credit_text(xeno_micro(o->terms.max_total), (char[XENO_CREDIT_TEXT]){ 0 }));
    if (o->terms.max_rate == 0)
        return 0;
    if (!xeno_muldiv(o->terms.max_rate, span > 0 ? span : 0, 3600 * 1000, &allowed))
        allowed = INT64_MAX;
    if (o->charged - o->base + amount > allowed)
        return refuse(
            p, -EDQUOT, "charge.rate", "that makes %s credits so far, %s an hour allow %s",
            xeno_credit_text(xeno_micro(o->charged - o->base + amount),
                             (char[XENO_CREDIT_TEXT]){ 0 }),
            xeno_credit_text(xeno_micro(o->terms.max_rate), (char[XENO_CREDIT_TEXT]){ 0 }),
            xeno_credit_text(xeno_micro(allowed), (char[XENO_CREDIT_TEXT]){ 0 }));
    return 0;
}

static int post(struct posting *p, struct xeno_err *err)
{
    struct corp_order *o = p->order;
    struct corp_entry e = {
        .kind = CORP_CHARGE,
        .order = o,
        .client = o->client,
        .amount = p->c->amount.micro,
        .server = p->server->n,
        .epoch = p->c->epoch,
        .session = p->session,
        .seq = p->c->seq,
        .from_ms = p->from_ms,
        .to_ms = p->to_ms,
        .tariff = p->c->tariff,
        .batch = p->batch,
        .sha = p->sha,
        .leaf = p->leaf,
        .text = p->c->activity[0] ? p->c->activity : NULL,
    };
    int r = corp_post(p->corp, &e, err);

    if (r == 0)
        return find_repeat(p, err);
    if (r < 0)
        return r;
    r = 0;
    if (p->to_ms > o->to_ms)
        o->to_ms = p->to_ms;
    if (p->c->final)
        r = corp_unbind(p->corp, o, CORP_END_FINAL, err);
    if (r < 0)
        return r;
    p->res->status = XENO_CHARGE_POSTED;
    return 0;
}

static int post_one(struct posting *p, struct xeno_err *err)
{
    int r;

    p->from_ms = p->c->from.ns / XENO_NS_PER_MS;
    p->to_ms = p->c->to.ns / XENO_NS_PER_MS;
    r = find_rows(p, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = check_binding(p, err);
    if (r == 0)
        r = check_window(p);
    if (r == 0)
        r = check_limits(p);
    if (r > 0)
        r = find_repeat(p, err);
    else if (r == 0)
        r = post(p, err);
    return r < 0 ? r : 0;
}

/* --- a batch --- */

/* Tokens of doc/charge.h as texts that live for ever. */
static const char *fault_token(const struct xeno_err *fault)
{
    return strcmp(fault->token, "charge.sum") == 0 ? "charge.sum" : "charge.format";
}

static void count_result(struct xeno_charge_results *r, size_t i, const struct xeno_charge *c)
{
    switch (r->items[i].status) {
    case XENO_CHARGE_POSTED:
        r->posted++;
        r->micro += c->amount.micro;
        break;
    case XENO_CHARGE_REPEATED:
        r->repeated++;
        break;
    case XENO_CHARGE_REFUSED:
        r->refused++;
        break;
    }
}

static int post_all(struct posting *p, const struct xeno_charges *c,
                    struct xeno_charge_results *out, struct xeno_err *err)
{
    for (size_t i = 0; i < c->batch->count; i++) {
        int r = 0;

        p->c = &c->batch->charges[i];
        p->sha = c->shas[i];
        p->leaf = &c->leaves[i];
        p->res = &out->items[i];
        if (c->batch->faults[i])
            refuse(p, -EINVAL, fault_token(c->batch->faults[i]), "%s", c->batch->faults[i]->text);
        else
            r = post_one(p, err);
        if (r < 0)
            return r;
        count_result(out, i, p->c);
    }
    return 0;
}

/* The signed text stays with what it was posted from: it is what convicts a XenoServer. */
static int keep_evidence(struct posting *p, const struct xeno_charges *c, struct xeno_err *err)
{
    int r = corp_run(p->corp, err,
                     "INSERT INTO batch (n, server, time_ms, doc) VALUES ($1, $2, $3, $4)", "iiib",
                     p->batch, p->server->n, p->now_ms, c->text, c->len);

    if (r < 0)
        return r;
    p->corp->next_batch++;
    return 0;
}

int xeno_charges_apply(struct xeno_corp *corp, const struct xeno_charges *c,
                       struct xeno_charge_results *ret, struct xeno_err *err)
{
    struct xeno_charge_results out = { .count = c->batch->count };
    struct corp_party *server = NULL;
    int r = corp_party_seller(corp, c->batch->server.s, &server, err);

    if (r < 0)
        return r;
    struct posting p = {
        .corp = corp,
        .server = server,
        .batch = corp->next_batch,
        .now_ms = xeno_corp_now_ms(corp),
        .slack_ms = corp->policy.slack.ns / XENO_NS_PER_MS,
    };
    out.items = xeno_new0_n(struct xeno_charge_result, out.count);
    r = post_all(&p, c, &out, err);
    if (r == 0 && out.posted > 0)
        r = keep_evidence(&p, c, err);
    if (r < 0) {
        corp->spoilt = true; /* some may be posted: they must not be committed without the rest */
        xeno_charge_results_release(&out);
        return r;
    }
    *ret = out;
    return 0;
}

struct xeno_json *xeno_charges_reply(const struct xeno_charges *c,
                                     const struct xeno_charge_results *r, int64_t now_ms)
{
    static const char *const words[] = { "refused", "posted", "repeated" };
    struct xeno_json *reply = xeno_json_object();
    struct xeno_json *list = xeno_json_array();

    for (size_t i = 0; i < r->count; i++) {
        struct xeno_json *one = xeno_json_object();

        xeno_json_set_str(one, "session", c->batch->charges[i].session);
        xeno_json_set_int(one, "seq", c->batch->charges[i].seq);
        xeno_json_set_str(one, "status", words[r->items[i].status]);
        if (r->items[i].token) {
            struct xeno_json *error = xeno_json_object();

            xeno_json_set_str(error, "type", r->items[i].token);
            xeno_json_set_str(error, "detail", r->items[i].detail);
            xeno_json_set(one, "error", error);
        }
        xeno_json_append(list, one);
    }
    xeno_json_set(reply, "results", list);
    xeno_json_set_int(reply, "time_ms", now_ms);
    return reply;
}
