/* src/xisd/api.c - the routes (rfc/0016), and what all need. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "http/problem.h"
#include "xisd/ask.h"
#include "xisd/peer.h"
#include "xisd/update.h"

#define JWS_MAX        (96 * 1024) /* a little more than a text can be: then it is told why */
#define WITHDRAWAL_MAX (8 * 1024)
#define QUERY_MAX      (XENO_QUERY_BYTES + 1024)

const struct xeno_http_route xisd_routes[] = {
    { "PUT", "/v1/adverts/{id}", 0, JWS_MAX, xisd_put_advert },
    { "PATCH", "/v1/adverts/{id}", 0, JWS_MAX, xisd_patch_advert },
    { "DELETE", "/v1/adverts/{id}", 0, WITHDRAWAL_MAX, xisd_delete_advert },
    { "GET", "/v1/adverts/{id}", 0, 0, xisd_get_advert },
    { "GET", "/v1/lookup", 0, 0, xisd_get_lookup },
    { "POST", "/v1/lookups", 0, 256 * 1024, xisd_post_lookups },
    { "POST", "/v1/query", 0, QUERY_MAX, xisd_post_query },
    { "POST", "/v1/explain", 0, QUERY_MAX, xisd_post_explain },
    { "GET", "/v1/tokens", 0, 0, xisd_get_tokens },
    { "GET", "/v1/changes", 0, 0, xisd_get_changes },
    { "POST", "/v1/watches", 0, QUERY_MAX, xisd_post_watch },
    { "GET", "/v1/watches/{watch}", 0, 0, xisd_get_watch },
    { "POST", "/v1/watches/{watch}/renew", 0, 1024, xisd_renew_watch },
    { "DELETE", "/v1/watches/{watch}", 0, 0, xisd_delete_watch },
    { "POST", "/v1/replica", 0, XENO_REPLICA_ASK, xisd_post_replica },
    { "GET", "/v1/status", 0, 0, xisd_get_status },
    { "GET", "/healthz", XENO_ROUTE_ANON, 0, xisd_get_health },
    { "GET", "/metrics", XENO_ROUTE_ANON, 0, xisd_get_metrics },
    { NULL },
};

/* In the store's words a bound is EDQUOT, which is about money in those of HTTP. */
void xisd_refuse(struct xisd *d, struct xeno_http_req *q, const struct xeno_err *err)
{
    struct xeno_err said = *err;

    d->counts.refused++;
    if (err->code == -EDQUOT)
        said.code = strcmp(err->token, "xis.quota") == 0 ? -EPERM : -EUSERS;
    if (xeno_problem_status(said.code) >= 500)
        xeno_log_err(LOG_WARNING, "api.failed", err, "method=%s path=%s", xeno_http_method(q),
                     xeno_http_path(q));
    xeno_http_reply_err(q, &said);
}

int xisd_query_int(const struct xeno_http_req *q, const char *name, int64_t min, int64_t max,
                   int64_t *ret, struct xeno_err *err)
{
    const char *text = xeno_http_query(q, name);
    char *end;
    int64_t n;

    if (!text)
        return 0;
    errno = 0;
    n = strtoll(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || n < min || n > max)
        return xeno_fail(err, -EINVAL, "xis.parameter",
                         "%s is a whole number from %" PRId64 " to %" PRId64, name, min, max);
    *ret = n;
    return 0;
}

void xisd_put_int(struct xeno_buf *out, const char *before, int64_t n)
{
    xeno_buf_printf(out, "%s%" PRId64, before, n);
}

/* A JWS is letters, digits, '-', '_' and '.': nothing to escape. */
void xisd_put_texts(struct xeno_buf *out, const char *name, const struct xeno_xis_entry *e)
{
    xeno_buf_printf(out, ",\"%s\":\"", name);
    xeno_buf_add(out, e->jws, e->jws_len);
    xeno_buf_puts(out, "\"");
    if (!e->delta)
        return;
    xeno_buf_puts(out, ",\"delta\":\"");
    xeno_buf_add(out, e->delta, e->delta_len);
    xeno_buf_puts(out, "\"");
}

void xisd_put_value(struct xeno_buf *out, const struct xeno_query_value *v)
{
    char text[XISD_NUMBER_TEXT];

    if (v->number)
        xeno_buf_add(out, text, xisd_number_text(v->n, text));
    else
        xisd_put_string(out, v->text, strlen(v->text));
}
