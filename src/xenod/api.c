/* src/xenod/api.c - the routes, and what all of them need. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "http/operators.h"
#include "spec/requirement.h"
#include "spec/task-doc.h"
#include "xenod/xenod.h"

#define JSON_BODY (128 * 1024) /* an order chain and a requirement document, as JSON strings */

#define SESSION "/v1/sessions/{session}"
#define TASK    SESSION "/tasks/{task}"

const struct xeno_http_route xenod_routes[] = {
    { "GET", "/healthz", XENO_ROUTE_ANON, 0, xenod_get_health },
    { "GET", "/metrics", XENO_ROUTE_ANON, 0, xenod_get_metrics },
    { "GET", "/v1/status", XENO_ROUTE_ANON, 0, xenod_get_status },
    { "GET", "/v1/advert", XENO_ROUTE_ANON, 0, xenod_get_advert },
    { "POST", "/v1/holds", XENO_ROUTE_IDEMPOTENT, XENO_REQUIREMENT_MAX_BYTES, xenod_post_hold },
    { "GET", "/v1/holds", 0, 0, xenod_get_holds },
    { "DELETE", "/v1/holds/{hold}", 0, 0, xenod_delete_hold },
    { "POST", "/v1/sessions", XENO_ROUTE_IDEMPOTENT, JSON_BODY, xenod_post_session },
    { "GET", "/v1/sessions", 0, 0, xenod_get_sessions },
    { "GET", SESSION, 0, 0, xenod_get_session },
    { "GET", SESSION "/usage", 0, 0, xenod_get_usage },
    { "GET", SESSION "/events", 0, 0, xenod_get_events },
    { "GET", SESSION "/layer", 0, 0, xenod_get_layer },
    { "POST", SESSION "/pause", XENO_ROUTE_IDEMPOTENT, 1024, xenod_post_verb },
    { "POST", SESSION "/resume", XENO_ROUTE_IDEMPOTENT, 1024, xenod_post_verb },
    { "POST", SESSION "/suspend", XENO_ROUTE_IDEMPOTENT, 1024, xenod_post_verb },
    { "POST", SESSION "/end", XENO_ROUTE_IDEMPOTENT, 1024, xenod_post_verb },
    { "POST", SESSION "/restore", XENO_ROUTE_IDEMPOTENT, JSON_BODY, xenod_post_restore },
    { "POST", SESSION "/extend", XENO_ROUTE_IDEMPOTENT, JSON_BODY, xenod_post_extend },
    { "POST", SESSION "/tasks", XENO_ROUTE_IDEMPOTENT, XENO_TASK_DOC_MAX_BYTES, xenod_post_task },
    { "GET", SESSION "/tasks", 0, 0, xenod_get_tasks },
    { "POST", TASK "/signal", 0, 1024, xenod_post_signal },
    { "GET", TASK "/logs", 0, 0, xenod_get_logs },
    { "GET", TASK "/attach", 0, 0, xenod_get_attach },
    { "GET", SESSION "/exec", 0, 0, xenod_get_exec },
    { "POST", "/v1/probes", 0, 1024, xenod_post_probe },
    { "POST", "/v1/traceroutes", 0, 1024, xenod_post_traceroute },
    { NULL },
};

const struct xeno_id *xenod_who(const struct xenod *d, const struct xeno_http_req *q)
{
    return xeno_http_is_operator(q, d->opt.operators) ? NULL : &xeno_http_peer(q)->id;
}

int xenod_client(const struct xeno_http_req *q, struct xeno_err *err)
{
    enum xeno_party kind = xeno_http_peer(q)->kind;

    if (kind == XENO_PARTY_CLIENT)
        return 0;
    return xeno_fail(err, -EPERM, "api.kind", "holds and sessions are for clients, not for a %s",
                     xeno_party_name(kind));
}

bool xenod_query_int(struct xeno_http_req *q, const char *name, int64_t min, int64_t max,
                     int64_t fallback, int64_t *ret)
{
    const char *text = xeno_http_query(q, name);
    struct xeno_err err;
    char *end;

    *ret = fallback;
    if (!text)
        return true;
    errno = 0;
    *ret = strtoll(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && *ret >= min && *ret <= max)
        return true;
    xeno_fail(&err, -EINVAL, "api.query", "%s=%.40s: must be a whole number from %lld to %lld",
              name, text, (long long)min, (long long)max);
    xeno_http_reply_err(q, &err);
    return false;
}

bool xenod_query_flag(const struct xeno_http_req *q, const char *name)
{
    const char *text = xeno_http_query(q, name);

    return text && (strcmp(text, "1") == 0 || strcmp(text, "true") == 0);
}

void xenod_refuse(struct xeno_http_req *q, const struct xeno_err *err)
{
    const struct xeno_cert *peer = xeno_http_peer(q);

    xeno_log_err(LOG_INFO, "api.refused", err, "peer=%s method=%s path=%s", peer ? peer->id.s : "-",
                 xeno_http_method(q), xeno_http_path(q));
    xeno_http_reply_err(q, err);
}
