/* src/xenocorpd/api-admin.c - what operators do: tokens, money in, parties, the books. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "corp/audit.h"
#include "corp/ledger.h"
#include "corp/registry.h"
#include "xenocorpd/api.h"
#include "xenocorpd/job.h"

/* One struct for all of them; each uses what it needs. */
struct admin {
    enum xeno_role role;
    xeno_time life;
    char id[XENO_ID_CHARS + 1];
    xeno_credit amount;
    char text[257];
    char order[XENO_ORDER_ID_CHARS + 1], session[XENO_SESSION_ID_CHARS + 1];
    int64_t after, batch;
    int limit;
    bool full;
    char *list; /* owned: revocations after a disable */
};

static void admin_free(void *args)
{
    struct admin *a = args;

    free(a->list);
    free(a);
}

/* Read a body with `read` and submit; everything that is wrong is answered. */
static void with_body(struct xeno_http_req *q, void *user, bool keep,
                      int (*read)(const struct xeno_json_at *at, struct admin *a,
                                  struct xeno_err *err),
                      int (*act)(struct job *j, struct xeno_corp *corp, struct xeno_err *err))
{
    struct xeno_err err = XENO_ERR_INIT;
    xeno_auto(xeno_json) body = NULL;
    struct xeno_json_at at;
    struct admin *a;
    struct job *j;

    if (!job_operator(q) || xeno_http_body_json(q, &body) < 0)
        return;
    a = xeno_new0(struct admin);
    at = xeno_json_top(body);
    if (read(&at, a, &err) < 0) {
        admin_free(a);
        xeno_http_reply_err(q, &err);
        return;
    }
    j = job_new(user, q, act, a, admin_free);
    if (!keep || job_keep(j))
        job_submit(j);
}

/* --- tokens --- */

static int read_token(const struct xeno_json_at *at, struct admin *a, struct xeno_err *err)
{
    int64_t life_s = 3600;
    const char *kind;
    int r = xeno_json_str(at, "kind", 1, 16, &kind, err);

    if (r == 0)
        r = xeno_json_int_opt(at, "lifetime_s", 1, XENO_TOKEN_LIFE_MAX_S, &life_s, err);
    if (r < 0)
        return r;
    a->life = xeno_s(life_s);
    if (!xeno_role_parse(kind, &a->role))
        return xeno_fail(err, -EINVAL, "registry.role",
                         "kind: '%s' is none of client, server, node, operator", kind);
    return 0;
}

static int act_token(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    const struct admin *a = j->args;
    char token[XENO_TOKEN_TEXT];
    int r = xeno_token_issue(corp, j->peer.s, a->role, a->life, token, err);

    if (r < 0)
        return r;
    j->status = 201;
    j->reply = xeno_json_object();
    xeno_json_set_str(j->reply, "token", token);
    xeno_json_set_str(j->reply, "kind", xeno_role_name(a->role));
    xeno_json_set_int(j->reply, "expires_ms", xeno_corp_now_ms(corp) + a->life.ns / XENO_NS_PER_MS);
    return 0;
}

void api_admin_token(struct xeno_http_req *q, void *user)
{
    with_body(q, user, false, read_token, act_token);
}

/* --- money in --- */

static int read_fund(const struct xeno_json_at *at, struct admin *a, struct xeno_err *err)
{
    static const char *const known[] = { "id", "amount", "text", NULL };
    const char *id, *text = "";
    int r = xeno_json_only(at, known, err);

    if (r == 0)
        r = xeno_json_str(at, "id", XENO_ID_CHARS, XENO_ID_CHARS, &id, err);
    if (r == 0)
        r = xeno_json_int(at, "amount", 1, XENO_CREDIT_MAX, &a->amount.micro, err);
    if (r == 0)
        r = xeno_json_str_opt(at, "text", 0, sizeof a->text - 1, &text, err);
    if (r < 0)
        return r;
    snprintf(a->id, sizeof a->id, "%s", id);
    snprintf(a->text, sizeof a->text, "%s", text);
    return 0;
}

static int act_fund(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    const struct admin *a = j->args;
    struct xeno_account_view v;
    int r = xeno_ledger_fund(corp, j->peer.s, a->id, a->amount, *a->text ? a->text : NULL, err);

    if (r == 0)
        r = xeno_ledger_account(corp, a->id, &v, err);
    if (r < 0)
        return r;
    j->reply = xeno_json_object();
    xeno_json_set_str(j->reply, "id", a->id);
    xeno_json_set_int(j->reply, "amount", a->amount.micro);
    xeno_json_set_int(j->reply, "free", v.free.micro);
    xeno_json_set_int(j->reply, "held", v.held.micro);
    return 0;
}

void api_admin_fund(struct xeno_http_req *q, void *user)
{
    with_body(q, user, true, read_fund, act_fund);
}

/* --- parties --- */

static struct xeno_json *party_json(const void *row)
{
    const struct xeno_party_view *v = row;
    struct xeno_json *o = xeno_json_object();

    xeno_json_set_str(o, "id", v->id.s);
    xeno_json_set_str(o, "kind", xeno_role_name(v->role));
    xeno_json_set_str(o, "name", v->name);
    xeno_json_set_str(o, "contact", v->contact);
    if (*v->endpoint)
        xeno_json_set_str(o, "endpoint", v->endpoint);
    xeno_json_set_bool(o, "pseudonym", v->pseudonym);
    xeno_json_set_bool(o, "disabled", v->disabled);
    xeno_json_set_int(o, "created_ms", v->created_ms);
    xeno_json_set_int(o, "free", v->free.micro);
    xeno_json_set_int(o, "held", v->held.micro);
    xeno_json_set_int(o, "earned", v->earned.micro);
    return o;
}

static int act_parties(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    const struct admin *a = j->args;
    xeno_autofree struct xeno_party_view *views =
        xeno_new0_n(struct xeno_party_view, (size_t)a->limit);
    int count = xeno_parties(corp, a->after, a->limit, views, err);

    return job_answer_rows(j, JOB_ROWS("parties", party_json, views, n, count, a->limit));
}

void api_admin_parties(struct xeno_http_req *q, void *user)
{
    struct admin *a = xeno_new0(struct admin);

    if (job_operator(q) && job_page(q, 1000, &a->after, &a->limit))
        job_submit(job_new(user, q, act_parties, a, admin_free));
    else
        admin_free(a);
}

/* One party, with what it registered: how it pays or is paid, and its machine. */
static int act_party(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    const struct admin *a = j->args;
    xeno_auto(xeno_json) details = NULL;
    xeno_autofree char *text = NULL;
    struct xeno_party_view view;
    int r = xeno_party_get(corp, a->id, &view, err);

    if (r == 0)
        r = xeno_party_details(corp, a->id, &text, err);
    if (r == 0)
        r = xeno_json_parse(text, strlen(text), XENO_JOIN_DETAILS_MAX, &details, err);
    if (r < 0)
        return r;
    j->reply = party_json(&view);
    xeno_json_set(j->reply, "details", xeno_take(&details));
    return 0;
}

void api_admin_party(struct xeno_http_req *q, void *user)
{
    struct admin *a;

    if (!job_operator(q))
        return;
    a = xeno_new0(struct admin);
    snprintf(a->id, sizeof a->id, "%s", xeno_http_param(q, "id"));
    job_submit(job_new(user, q, act_party, a, admin_free));
}

/* The new list of revocations belongs to the same group: nobody disabled gets in after the answer.
 */
static int act_disable(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    struct admin *a = j->args;
    int r = xeno_disable(corp, j->peer.s, a->id, err);

    free(xeno_take(&a->list));
    if (r == 0)
        r = xeno_revocation_list(corp, xeno_s(3600), &a->list, err);
    if (r < 0)
        return r;
    j->reply = xeno_json_object();
    xeno_json_set_str(j->reply, "id", a->id);
    xeno_json_set_bool(j->reply, "disabled", true);
    return 0;
}

static void finish_disable(struct job *j)
{
    struct admin *a = j->args;

    if (j->item.result == 0)
        corpd_set_revocations(j->d, xeno_take(&a->list));
}

void api_admin_disable(struct xeno_http_req *q, void *user)
{
    struct admin *a;
    struct job *j;

    if (!job_operator(q))
        return;
    a = xeno_new0(struct admin);
    snprintf(a->id, sizeof a->id, "%s", xeno_http_param(q, "id"));
    j = job_new(user, q, act_disable, a, admin_free);
    j->finish = finish_disable;
    job_submit(j);
}

/* --- the books --- */

static int act_ledger(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    struct xeno_ledger_totals t;
    int r = xeno_ledger_totals(corp, &t, err);

    if (r < 0)
        return r;
    j->reply = xeno_json_object();
    xeno_json_set_int(j->reply, "issued", t.issued.micro);
    xeno_json_set_int(j->reply, "free", t.free.micro);
    xeno_json_set_int(j->reply, "held", t.held.micro);
    xeno_json_set_int(j->reply, "earned", t.earned.micro);
    xeno_json_set_int(j->reply, "fees", t.fees.micro);
    xeno_json_set_int(j->reply, "sum", t.sum.micro);
    xeno_json_set_bool(j->reply, "balanced", t.sum.micro == 0);
    xeno_json_set_int(j->reply, "clients", t.clients);
    xeno_json_set_int(j->reply, "servers", t.servers);
    xeno_json_set_int(j->reply, "orders_live", t.orders_live);
    xeno_json_set_int(j->reply, "orders_bound", t.orders_bound);
    xeno_json_set_int(j->reply, "entries", t.entries);
    xeno_json_set_int(j->reply, "charges", t.charges);
    return 0;
}

/* ?check=1: every rule of the ledger, from the rows. It reads the whole journal meanwhile. */
static int act_ledger_checked(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    struct xeno_err broken = XENO_ERR_INIT;
    int r = act_ledger(j, corp, err);

    if (r < 0)
        return r;
    r = xeno_ledger_check(j->d->db, &broken);
    if (r < 0 && r != -EUCLEAN)
        return xeno_fail(err, r, broken.token, "%s", broken.text);
    xeno_json_set_bool(j->reply, "checked", true);
    if (r < 0) {
        xeno_json_set_bool(j->reply, "balanced", false);
        xeno_json_set_str(j->reply, "broken", broken.text);
    }
    return 0;
}

void api_admin_ledger(struct xeno_http_req *q, void *user)
{
    if (job_operator(q))
        job_submit(job_new(user, q, xeno_http_query(q, "check") ? act_ledger_checked : act_ledger,
                           NULL, NULL));
}

/* --- the audit trail --- */

static struct xeno_json *charge_json(const void *row)
{
    const struct xeno_audit_charge *c = row;
    struct xeno_json *o = xeno_json_object();

    xeno_json_set_int(o, "entry", c->entry);
    xeno_json_set_int(o, "time_ms", c->time_ms);
    xeno_json_set_str(o, "order", c->order);
    xeno_json_set_str(o, "client", c->client);
    xeno_json_set_str(o, "server", c->server);
    xeno_json_set_str(o, "session", c->session);
    xeno_json_set_int(o, "epoch", c->epoch);
    xeno_json_set_int(o, "seq", c->seq);
    xeno_json_set_int(o, "from_ms", c->from_ms);
    xeno_json_set_int(o, "to_ms", c->to_ms);
    xeno_json_set_int(o, "tariff", c->tariff);
    xeno_json_set_int(o, "amount", c->amount);
    xeno_json_set_int(o, "fee", c->fee);
    xeno_json_set_int(o, "batch", c->batch);
    xeno_json_set_str(o, "activity", c->activity);
    return o;
}

static int act_charges(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    const struct admin *a = j->args;
    xeno_autofree struct xeno_audit_charge *rows =
        xeno_new0_n(struct xeno_audit_charge, (size_t)a->limit);
    int count = xeno_audit_charges(corp, *a->order ? a->order : NULL,
                                   *a->session ? a->session : NULL, a->after, a->limit, rows, err);

    return job_answer_rows(j, JOB_ROWS("charges", charge_json, rows, entry, count, a->limit));
}

/* An id from the query, or "" when it is not asked for; what is none finds nothing. */
static void query_id(struct xeno_http_req *q, const char *name, char *out, size_t room)
{
    const char *text = xeno_http_query(q, name);

    snprintf(out, room, "%s", text ? text : "");
    if (text && strlen(text) != room - 1)
        snprintf(out, room, "?");
}

void api_admin_charges(struct xeno_http_req *q, void *user)
{
    struct admin *a = xeno_new0(struct admin);

    query_id(q, "order", a->order, sizeof a->order);
    query_id(q, "session", a->session, sizeof a->session);
    if (job_operator(q) && job_page(q, XENO_AUDIT_MAX, &a->after, &a->limit))
        job_submit(job_new(user, q, act_charges, a, admin_free));
    else
        admin_free(a);
}

static int act_batch(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    const struct admin *a = j->args;

    j->type = "application/jose";
    return xeno_audit_batch(corp, a->batch, &j->text, &j->text_len, err);
}

void api_admin_batch(struct xeno_http_req *q, void *user)
{
    struct admin a = { .batch = strtoll(xeno_http_param(q, "batch"), NULL, 10) };

    if (job_operator(q))
        job_submit(job_new(user, q, act_batch, xeno_memdup(&a, sizeof a), admin_free));
}

static struct xeno_json *act_json(const void *row)
{
    const struct xeno_audit_act *a = row;
    struct xeno_json *o = xeno_json_object();

    xeno_json_set_int(o, "act", a->n);
    xeno_json_set_int(o, "time_ms", a->time_ms);
    xeno_json_set_str(o, "who", a->who);
    xeno_json_set_str(o, "kind", a->act);
    xeno_json_set_str(o, "target", a->target);
    xeno_json_set_str(o, "detail", a->detail);
    return o;
}

static int act_acts(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    const struct admin *a = j->args;
    xeno_autofree struct xeno_audit_act *rows =
        xeno_new0_n(struct xeno_audit_act, (size_t)a->limit);
    int count = xeno_audit_acts(corp, a->after, a->limit, rows, err);

    return job_answer_rows(j, JOB_ROWS("acts", act_json, rows, n, count, a->limit));
}

void api_admin_acts(struct xeno_http_req *q, void *user)
{
    struct admin *a = xeno_new0(struct admin);

    if (job_operator(q) && job_page(q, XENO_AUDIT_MAX, &a->after, &a->limit))
        job_submit(job_new(user, q, act_acts, a, admin_free));
    else
        admin_free(a);
}
