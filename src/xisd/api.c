/* src/xisd/api.c - the routes (rfc/0016). */
#include "conf/args.h"
#include "xisd/xisd.h"

const struct xeno_http_route xisd_routes[] = {
    { "GET", "/healthz", XENO_ROUTE_ANON, 0, xisd_get_health },
    { NULL },
};

void xisd_get_health(struct xeno_http_req *q, void *user)
{
    struct xisd *d = user;
    struct xeno_json *body = xeno_json_object();
    bool corp = xeno_member_corp_answers(d->member);

    xeno_json_set_str(body, "state", corp ? "ok" : "degraded");
    xeno_json_set_bool(body, "corp", corp);
    xeno_json_set_str(body, "version", xeno_version());
    xeno_http_reply_json(q, 200, body);
}
