/* src/xenod/api-holds.c - reservations that expire by themselves. */
#include <errno.h>

#include "spec/requirement.h"
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

void xenod_post_hold(struct xeno_http_req *q, void *user)
{
    struct xenod *d = user;
    xeno_auto(xeno_requirement) req = NULL;
    struct xeno_host_quote quote;
    struct xeno_err err = XENO_ERR_INIT;
    int64_t ttl_s;

    if (!xenod_query_int(q, "ttl_s", 1, 86400, 0, &ttl_s))
        return;
    req = body_requirement(q);
    if (!req)
        return;
    if (xenod_client(q, &err) < 0 || xenod_begin_new(d, &err) < 0) {
        xenod_refuse(q, &err);
        return;
    }
    if (xeno_host_hold(d->host, &xeno_http_peer(q)->id, req, ttl_s * 1000, &quote, &err) < 0) {
        xenod_cancel(d);
        xenod_refuse(q, &err);
        return;
    }
    xenod_image_remember(d, quote.hold, req);
    xeno_http_reply_json(q, 201, xeno_host_quote_json(d->host, &quote));
    xenod_end(d);
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
