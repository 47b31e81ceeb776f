/* src/xrdd/api.c - the routes (rfc/0019). */
#include "base/log.h"
#include "http/problem.h"
#include "rd/request.h"
#include "xrdd/xrdd.h"

const struct xeno_http_route xrdd_routes[] = {
    { "POST", "/v1/find", 0, XENO_RD_REQUEST_BYTES, xrdd_post_find },
    { "GET", "/healthz", XENO_ROUTE_ANON, 0, xrdd_get_health },
    { "GET", "/metrics", XENO_ROUTE_ANON, 0, xrdd_get_metrics },
    { NULL },
};

void xrdd_refuse(struct xrdd *d, struct xeno_http_req *q, const struct xeno_err *err)
{
    d->counts.refused++;
    if (xeno_problem_status(err->code) == 500)
        xeno_log_err(LOG_ERR, "api.failed", err, "method=%s path=%s", xeno_http_method(q),
                     xeno_http_path(q));
    xeno_http_reply_err(q, err);
}
