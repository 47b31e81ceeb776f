/* src/xenocorpd/api-charges.c - XenoServers and XenoStore nodes: validate, release, charge.
 *
 * None of these keeps its answer: a repeat finds what the first did, by order, session, epoch and
 * sequence, and is answered from that.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "corp/charges.h"
#include "corp/storage.h"
#include "corp/validate.h"
#include "xenocorpd/api.h"
#include "xenocorpd/job.h"

/* --- validate --- */

struct validate {
    struct xeno_json *body; /* the texts in `ask` are its */
    struct xeno_validate_ask ask;
    struct xeno_validation *checked;
};

static void validate_free(void *args)
{
    struct validate *v = args;

    xeno_json_unref(v->body);
    xeno_validation_free(v->checked);
    free(v);
}

static int check_validate(struct job *j, struct xeno_err *err)
{
    struct validate *v = j->args;

    v->ask.server = j->peer.s;
    return xeno_validate_check(xeno_corp_pub(j->d->corp), xeno_wall(j->d->env), &v->ask,
                               &v->checked, err);
}

static int act_validate(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    const struct validate *v = j->args;
    struct xeno_bound b;
    int r = xeno_validate_apply(corp, v->checked, &b, err);

    if (r < 0)
        return r;
    j->reply = xeno_json_object();
    xeno_json_set_str(j->reply, "order", b.order);
    xeno_json_set_str(j->reply, "session", b.session);
    xeno_json_set_int(j->reply, "epoch", b.epoch);
    xeno_json_set_int(j->reply, "limit", b.limit.micro);
    xeno_json_set_int(j->reply, "charged", b.charged.micro);
    xeno_json_set_int(j->reply, "left", b.left.micro);
    xeno_json_set_int(j->reply, "expires_ms", b.expires_ms);
    xeno_json_set_int(j->reply, "deadline_ms", b.deadline_ms);
    if (b.copy)
        xeno_json_set_int(j->reply, "copy", b.copy);
    return 0;
}

static void finish_validate(struct job *j)
{
    if (j->item.result < 0)
        return;
    j->d->counts.validations++;
    job_receipt(j);
}

static int read_validate(const struct xeno_json_at *at, struct xeno_validate_ask *a,
                         struct xeno_err *err)
{
    static const char *const known[] = { "chain",         "session", "epoch",       "env_type",
                                         "rate_per_hour", "holder",  "certificate", NULL };
    const char *holder;
    int r = xeno_json_only(at, known, err);

    if (r == 0)
        r = xeno_json_str(at, "chain", 1, XENO_ORDER_BYTES_MAX, &a->chain, err);
    if (r == 0)
        r = xeno_json_str(at, "session", XENO_SESSION_ID_CHARS, XENO_SESSION_ID_CHARS, &a->session,
                          err);
    if (r == 0)
        r = xeno_json_int(at, "epoch", 0, INT32_MAX, &a->epoch, err);
    if (r == 0)
        r = xeno_json_str(at, "env_type", 1, XENO_ENV_TYPE_CHARS, &a->env_type, err);
    if (r == 0)
        r = xeno_json_int(at, "rate_per_hour", 0, XENO_CREDIT_MAX, &a->rate_per_hour.micro, err);
    if (r == 0)
        r = xeno_json_str(at, "holder", XENO_PUB_TEXT - 1, XENO_PUB_TEXT - 1, &holder, err);
    if (r == 0)
        r = xeno_json_str_opt(at, "certificate", 1, XENO_WRITECERT_BYTES_MAX, &a->certificate, err);
    if (r < 0)
        return r;
    a->chain_len = strlen(a->chain);
    if (!xeno_pub_parse(holder, &a->holder))
        return xeno_fail(err, -EINVAL, "order.key", "holder is not an Ed25519 key in base64url");
    return 0;
}

void api_validate(struct xeno_http_req *q, void *user)
{
    struct xeno_err err = XENO_ERR_INIT;
    xeno_auto(xeno_json) body = NULL;
    struct xeno_json_at at;
    struct validate *v;
    struct job *j;

    if (!job_seller(q) || xeno_http_body_json(q, &body) < 0)
        return;
    v = xeno_new0(struct validate);
    v->body = xeno_take(&body);
    at = xeno_json_top(v->body);
    if (read_validate(&at, &v->ask, &err) < 0) {
        validate_free(v);
        xeno_http_reply_err(q, &err);
        return;
    }
    j = job_new(user, q, act_validate, v, validate_free);
    j->check = check_validate;
    j->finish = finish_validate;
    j->item.bytes =
        8192 + 2 * v->ask.chain_len + (v->ask.certificate ? 4 * strlen(v->ask.certificate) : 0);
    job_submit(j);
}

/* --- release --- */

struct release {
    char order[XENO_ORDER_ID_CHARS + 1], session[XENO_SESSION_ID_CHARS + 1];
};

static int act_release(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    const struct release *a = j->args;
    int r = xeno_validate_release(corp, j->peer.s, a->order, a->session, err);

    if (r < 0)
        return r;
    j->reply = xeno_json_object();
    xeno_json_set_str(j->reply, "order", a->order);
    xeno_json_set_str(j->reply, "session", a->session);
    return 0;
}

void api_release(struct xeno_http_req *q, void *user)
{
    static const char *const known[] = { "order", "session", NULL };
    struct xeno_err err = XENO_ERR_INIT;
    xeno_auto(xeno_json) body = NULL;
    const char *order, *session;
    struct xeno_json_at at;
    struct release a;
    int r;

    if (!job_seller(q) || xeno_http_body_json(q, &body) < 0)
        return;
    at = xeno_json_top(body);
    r = xeno_json_only(&at, known, &err);
    if (r == 0)
        r = xeno_json_str(&at, "order", XENO_ORDER_ID_CHARS, XENO_ORDER_ID_CHARS, &order, &err);
    if (r == 0)
        r = xeno_json_str(&at, "session", XENO_SESSION_ID_CHARS, XENO_SESSION_ID_CHARS, &session,
                          &err);
    if (r < 0) {
        xeno_http_reply_err(q, &err);
        return;
    }
    snprintf(a.order, sizeof a.order, "%s", order);
    snprintf(a.session, sizeof a.session, "%s", session);
    job_submit(job_new(user, q, act_release, xeno_memdup(&a, sizeof a), free));
}

/* --- charge --- */

struct charge {
    const char *text; /* the request's body */
    size_t len;
    struct xeno_pub server;
    struct xeno_charges *checked;
    struct xeno_charge_results results;
};

static void charge_free(void *args)
{
    struct charge *c = args;

    xeno_charges_free(c->checked);
    xeno_charge_results_release(&c->results);
    free(c);
}

static int check_charges(struct job *j, struct xeno_err *err)
{
    struct charge *c = j->args;

    return xeno_charges_check(c->text, c->len, &c->server, &c->checked, err);
}

static int act_charges(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    struct charge *c = j->args;

    xeno_charge_results_release(&c->results);
    return xeno_charges_apply(corp, c->checked, &c->results, err);
}

/* The answer is written on the loop: the writer has better things to do. */
static void finish_charges(struct job *j)
{
    const struct charge *c = j->args;

    if (j->item.result < 0)
        return;
    j->d->counts.posted += c->results.posted;
    j->d->counts.repeated += c->results.repeated;
    j->d->counts.charges_refused += c->results.refused;
    j->d->counts.micro_posted += c->results.micro;
    j->reply =
        xeno_charges_reply(c->checked, &c->results, xeno_wall(j->d->env).ns / XENO_NS_PER_MS);
    job_receipt(j);
}

void api_charges(struct xeno_http_req *q, void *user)
{
    const struct xeno_cert *peer = job_seller(q);
    struct xeno_err err = XENO_ERR_INIT;
    struct charge *c;
    struct job *j;

    if (!peer)
        return;
    if (!xeno_http_is_type(q, "application/jose")) {
        xeno_fail(&err, -EMEDIUMTYPE, "http.type",
                  "a batch of charges is a signed document: application/jose");
        xeno_http_reply_err(q, &err);
        return;
    }
    c = xeno_new0(struct charge);
    c->text = xeno_http_body(q, &c->len);
    c->server = peer->pub;
    j = job_new(user, q, act_charges, c, charge_free);
    j->check = check_charges;
    j->finish = finish_charges;
    /* The body, its copy as evidence, and the charges: as many structs as there is text for. */
    j->item.bytes = 4 * c->len + 4096;
    j->item.weight = 1 + c->len / 800;
    job_submit(j);
}
