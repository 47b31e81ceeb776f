/* src/xenocorpd/api-orders.c - a client's orders. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "corp/orders.h"
#include "xenocorpd/api.h"
#include "xenocorpd/job.h"

#define ORDERS_MAX 1000 /* in a page */

struct order_args {
    struct xeno_order_ask ask;
    struct xeno_pub key;
    char order[XENO_ORDER_ID_CHARS + 1];
    int64_t after;
    int limit;
};

static struct xeno_json *order_json(const struct xeno_order_view *v, const char *chain)
{
    struct xeno_json *o = xeno_json_object();

    xeno_json_set_str(o, "order", v->order);
    xeno_json_set_str(o, "state", v->state);
    xeno_json_set_int(o, "amount", v->amount.micro);
    xeno_json_set_int(o, "charged", v->charged.micro);
    xeno_json_set_int(o, "held", v->held.micro);
    xeno_json_set_int(o, "fee_bp", v->fee_bp);
    xeno_json_set_int(o, "issued_ms", v->issued_ms);
    xeno_json_set_int(o, "expires_ms", v->expires_ms);
    xeno_json_set_int(o, "deadline_ms", v->deadline_ms);
    if (v->closed_ms)
        xeno_json_set_int(o, "closed_ms", v->closed_ms);
    xeno_json_set_int(o, "epoch", v->epoch);
    if (*v->session) {
        struct xeno_json *bound = xeno_json_object();

        xeno_json_set_str(bound, "server", v->server);
        xeno_json_set_str(bound, "session", v->session);
        xeno_json_set(o, "bound", bound);
    }
    xeno_json_set_str(o, "chain", chain);
    return o;
}

/* --- create --- */

static int act_create(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    const struct order_args *a = j->args;
    xeno_autofree char *chain = NULL;
    struct xeno_order_view v;
    int r = xeno_order_create(corp, j->peer.s, &a->ask, &v, &chain, err);

    if (r < 0)
        return r;
    j->status = 201;
    j->reply = order_json(&v, chain);
    return 0;
}

static int read_key(const struct xeno_json_at *at, struct order_args *a, struct xeno_err *err)
{
    const char *text = NULL;
    int r = xeno_json_str_opt(at, "key", XENO_PUB_TEXT - 1, XENO_PUB_TEXT - 1, &text, err);

    if (r != 0)
        return r < 0 ? r : 0;
    if (!xeno_pub_parse(text, &a->key))
        return xeno_fail(err, -EINVAL, "order.key", "key is not an Ed25519 key in base64url");
    a->ask.key = &a->key;
    return 0;
}

static int read_create(const struct corpd *d, const struct xeno_json_at *at, struct order_args *a,
                       struct xeno_err *err)
{
    static const char *const known[] = { "amount", "expires_ms", "lifetime_s", "key", NULL };
    int64_t expires_ms = 0, life_s = 0;
    int r = xeno_json_only(at, known, err);

    if (r == 0)
        r = xeno_json_int(at, "amount", 1, XENO_CREDIT_MAX, &a->ask.amount.micro, err);
    if (r == 0)
        r = read_key(at, a, err);
    if (r == 0)
        r = xeno_json_int_opt(at, "expires_ms", 0, XENO_DOC_MS_MAX, &expires_ms, err);
    if (r < 0)
        return r;
    if (r == 0) {
        a->ask.expires = xeno_ms(expires_ms);
        return 0;
    }
    r = xeno_json_int(at, "lifetime_s", XENO_ORDER_LIFE_MIN_S, XENO_ORDER_LIFE_MAX_S, &life_s, err);
    if (r < 0)
        return r;
    a->ask.expires = xeno_time_add(xeno_wall(d->env), xeno_s(life_s));
    return 0;
}

void api_order_create(struct xeno_http_req *q, void *user)
{
    struct order_args *a = NULL;
    xeno_auto(xeno_json) body = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_json_at at;
    struct job *j;

    if (!job_client(q) || xeno_http_body_json(q, &body) < 0)
        return;
    a = xeno_new0(struct order_args);
    at = xeno_json_top(body);
    if (read_create(user, &at, a, &err) < 0) {
        free(a);
        xeno_http_reply_err(q, &err);
        return;
    }
    j = job_new(user, q, act_create, a, free);
    if (job_keep(j))
        job_submit(j);
}

/* --- list, show, close --- */

static struct xeno_json *row_json(const void *row)
{
    return order_json(row, NULL);
}

static int act_list(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    const struct order_args *a = j->args;
    xeno_autofree struct xeno_order_view *views =
        xeno_new0_n(struct xeno_order_view, (size_t)a->limit);
    int count = xeno_orders(corp, j->peer.s, a->after, a->limit, views, err);

    return job_answer_rows(j, JOB_ROWS("orders", row_json, views, n, count, a->limit));
}

void api_orders(struct xeno_http_req *q, void *user)
{
    struct order_args a = { .after = 0 };

    if (job_client(q) && job_page(q, ORDERS_MAX, &a.after, &a.limit))
        job_submit(job_new(user, q, act_list, xeno_memdup(&a, sizeof a), free));
}

static int act_show(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    const struct order_args *a = j->args;
    xeno_autofree char *chain = NULL;
    struct xeno_order_view v;
    int r = xeno_order_get(corp, j->peer.s, a->order, &v, &chain, err);

    if (r < 0)
        return r;
    j->reply = order_json(&v, chain);
    return 0;
}

static int act_close(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    const struct order_args *a = j->args;
    struct xeno_order_view v;
    int r = xeno_order_close(corp, j->peer.s, a->order, &v, err);

    if (r < 0)
        return r;
    j->reply = order_json(&v, NULL);
    return 0;
}

static void by_id(struct xeno_http_req *q, void *user,
                  int (*act)(struct job *j, struct xeno_corp *corp, struct xeno_err *err))
{
    struct order_args a = { .after = 0 };

    if (!job_client(q))
        return;
    /* One that is too long is cut, and so is no order's id any more. */
    snprintf(a.order, sizeof a.order, "%s", xeno_http_param(q, "order"));
    if (strlen(xeno_http_param(q, "order")) != XENO_ORDER_ID_CHARS)
        a.order[0] = '\0';
    job_submit(job_new(user, q, act, xeno_memdup(&a, sizeof a), free));
}

void api_order(struct xeno_http_req *q, void *user)
{
    by_id(q, user, act_show);
}

/* Closing again has no effect, so its answer needs no keeping. */
void api_order_close(struct xeno_http_req *q, void *user)
{
    by_id(q, user, act_close);
}
