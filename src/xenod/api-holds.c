/* src/xenod/api-holds.c - reservations that expire by themselves. */
#include <errno.h>

#include <stdlib.h>

#include "spec/requirement.h"
#include "xenod/elsewhere.h"
#include "xenod/xenod.h"

/* The body as a requirement document; when it is none, the request is answered. */
static struct xeno_requirement *body_requirement(struct xeno_http_req *q)
{
    struct xeno_requirement *req = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    size_t len;
    const char *text = xeno_http_body(q, &len);

    if (!xeno_http_is_type(q, "application/xml") && !xeno_http_is_type(q, "text/xml"))
        xeno_fail(&err, -EMEDIUMTYPE, "api.type",
                  "the body must be a requirement document, "
                  "Content-Type application/xml");
    else if (xeno_requirement_parse(text, len, &req, &err) == 0)
        return req;
    xenod_refuse(q, &err);
    return NULL;
}

/* --- making one, which may have to wait for the names of its images --- */

struct asked_hold {
    struct xenod *d;
    struct xeno_http_req *q;
    struct xeno_requirement *req;
    int64_t ttl_ms;
    struct xenod_pin *pin; /* NULL: not waiting */
};

static void asked_free(struct asked_hold *a)
{
    xenod_pin_cancel(a->pin);
    xeno_requirement_free(a->req);
    free(a);
}

static void on_gone(void *arg)
{
    asked_free(arg);
}

/* Claim it and answer. */
static int take(struct asked_hold *a, struct xeno_err *err)
{
    struct xeno_host_quote quote;
    struct xenod *d = a->d;
    int r = xenod_begin_new(d, err);

    if (r < 0)
        return r;
    r = xeno_host_hold(d->host, &xeno_http_peer(a->q)->id, a->req, a->ttl_ms, &quote, err);
    if (r < 0) {
        xenod_cancel(d);
        return r;
    }
    xenod_image_remember(d, quote.hold, a->req);
    xeno_http_reply_json(a->q, 201, xeno_host_quote_json(d->host, &quote));
    xenod_end(d);
    return 0;
}

static void on_pinned(void *arg, const struct xeno_err *failure)
{
    struct asked_hold *a = arg;
    struct xeno_err err = XENO_ERR_INIT;

    a->pin = NULL;
    if (failure)
        xenod_refuse(a->q, failure);
    else if (take(a, &err) < 0)
        xenod_refuse(a->q, &err);
    asked_free(a);
}

/* Returns: 1 when it waits now; 0: answered. */
static int begin(struct asked_hold *a, struct xeno_err *err)
{
    const struct xeno_id *who = &xeno_http_peer(a->q)->id;
    int r = xenod_client(a->q, err);

    if (r == 0)
        r = xenod_image_pin(a->d, who, a->req, true, on_pinned, a, &a->pin, err);
    return r != 0 ? r : take(a, err);
}

void xenod_post_hold(struct xeno_http_req *q, void *user)
{
    struct asked_hold *a;
    struct xeno_requirement *req;
    struct xeno_err err = XENO_ERR_INIT;
    int64_t ttl_s;
    int r;

    if (!xenod_query_int(q, "ttl_s", 1, 86400, 0, &ttl_s))
        return;
    req = body_requirement(q);
    if (!req)
        return;
    a = xeno_new0(struct asked_hold);
    *a = (struct asked_hold){ .d = user, .q = q, .req = req, .ttl_ms = ttl_s * 1000 };
    r = begin(a, &err);
    if (r > 0) {
        xeno_http_on_gone(q, on_gone, a);
        return;
    }
    if (r < 0)
        xenod_refuse(q, &err);
    asked_free(a);
}

void xenod_get_holds(struct xeno_http_req *q, void *user)
{
    struct xenod *d = user;

    xeno_http_reply_json(q, 200, xeno_host_holds_json(d->host, xenod_who(d, q)));
}

void xenod_delete_hold(struct xeno_http_req *q, void *user)
{
    struct xenod *d = user;
    struct xeno_json *body;
    struct xeno_err err = XENO_ERR_INIT;
    const char *hold = xeno_http_param(q, "hold");

    if (xeno_host_hold_release(d->host, xenod_who(d, q), hold, &err) < 0) {
        xenod_refuse(q, &err);
        return;
    }
    body = xeno_json_object();
    xeno_json_set_str(body, "hold", hold);
    xeno_json_set_bool(body, "released", true);
    xeno_http_reply_json(q, 200, body);
}
