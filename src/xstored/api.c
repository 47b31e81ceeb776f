/* src/xstored/api.c - the routes of the OCI distribution specification (1.1), and what all need. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "doc/order.h"
#include "http/problem.h"
#include "xstored/xstored.h"

#define BLOB_MAX ((size_t)1 << 38) /* 256 GiB: what a descriptor may say */

#define REPO   "/v2/{name*}"
#define UPLOAD REPO "/blobs/uploads/{upload}"

/* Every path under /v2/ is open to the anonymous here: xstored_who() is who asks for credentials,
 * so that there can be more kinds of them. */
#define OPEN XENO_ROUTE_ANON

const struct xeno_http_route xstored_routes[] = {
    { "GET", "/v2/", OPEN, 0, xstored_get_base },
    { "HEAD", "/v2/", OPEN, 0, xstored_get_base },
    { "GET", "/v2/_catalog", OPEN, 0, xstored_get_catalog },
    { "GET", REPO "/tags/list", OPEN, 0, xstored_get_tags },
    { "GET", REPO "/referrers/{digest}", OPEN, 0, xstored_get_referrers },
    { "GET", REPO "/manifests/{reference}", OPEN, 0, xstored_get_manifest },
    { "HEAD", REPO "/manifests/{reference}", OPEN, 0, xstored_get_manifest },
    { "PUT", REPO "/manifests/{reference}", OPEN, XSTORED_DOC_MAX_BYTES, xstored_put_manifest },
    { "DELETE", REPO "/manifests/{reference}", OPEN, 0, xstored_delete_manifest },
    { "POST", REPO "/blobs/uploads/", OPEN, BLOB_MAX, xstored_post_upload, &xstored_sink },
    { "POST", REPO "/blobs/uploads", OPEN, BLOB_MAX, xstored_post_upload, &xstored_sink },
    { "PATCH", UPLOAD, OPEN, BLOB_MAX, xstored_patch_upload, &xstored_sink },
    { "PUT", UPLOAD, OPEN, BLOB_MAX, xstored_put_upload, &xstored_sink },
    { "GET", UPLOAD, OPEN, 0, xstored_get_upload },
    { "DELETE", UPLOAD, OPEN, 0, xstored_delete_upload },
    { "GET", REPO "/blobs/{digest}", OPEN, 0, xstored_get_blob },
    { "HEAD", REPO "/blobs/{digest}", OPEN, 0, xstored_get_blob },
    { "DELETE", REPO "/blobs/{digest}", OPEN, 0, xstored_delete_blob },
    { "GET", "/v1/token", OPEN, 0, xstored_get_token },
    { "GET", "/v1/history", OPEN, 0, xstored_get_history },
    { "POST", "/v1/history", OPEN, 1024, xstored_post_history },
    { "GET", "/v1/usage", OPEN, 0, xstored_get_usage },
    { "GET", "/v1/certificates", OPEN, 0, xstored_get_certificates },
    { "POST", "/v1/certificates", OPEN, XENO_ORDER_BYTES_MAX + XENO_WRITECERT_BYTES_MAX + 1024,
      xstored_post_certificate },
    { "GET", "/v1/certificates/{certificate}", OPEN, 0, xstored_get_certificate },
    { "POST", "/v1/certificates/{certificate}/reclaim", OPEN, XENO_STORAGE_DOC_MAX + 256,
      xstored_post_reclaim },
    { "POST", "/v1/login", 0, 1024, xstored_post_login },
    { "GET", "/healthz", XENO_ROUTE_ANON, 0, xstored_get_health },
    { "GET", "/metrics", XENO_ROUTE_ANON, 0, xstored_get_metrics },
    { NULL },
};

/* --- errors --- */

/* Our tokens in the words of the specification ("Error Codes"). */
static const struct {
    const char *token, *code;
} codes[] = {
    { "store.blob", "BLOB_UNKNOWN" },
    { "store.upload", "BLOB_UPLOAD_UNKNOWN" },
    { "store.upload_busy", "BLOB_UPLOAD_INVALID" },
    { "store.range", "BLOB_UPLOAD_INVALID" },
    { "store.content_range", "BLOB_UPLOAD_INVALID" },
    { "store.body", "BLOB_UPLOAD_INVALID" },
    { "store.size", "SIZE_INVALID" },
    { "store.digest", "DIGEST_INVALID" },
    { "store.manifest", "MANIFEST_INVALID" },
    { "store.media_type", "MANIFEST_INVALID" },
    { "store.tag", "MANIFEST_INVALID" },
    { "store.manifest_blob", "MANIFEST_BLOB_UNKNOWN" },
    { "store.manifest_unknown", "MANIFEST_UNKNOWN" },
    { "store.name", "NAME_INVALID" },
    { "store.repository", "NAME_UNKNOWN" },
    { "http.body", "SIZE_INVALID" },
};

static const char *code_of(const struct xeno_err *err)
{
    for (size_t i = 0; i < XENO_LEN(codes); i++)
        if (strcmp(codes[i].token, err->token) == 0)
            return codes[i].code;
    switch (xeno_problem_status(err->code)) {
    case 401:
        return "UNAUTHORIZED";
    case 403:
    case 409:
    case 507:
        return "DENIED";
    case 404:
        return "NAME_UNKNOWN";
    case 429:
    case 503:
        return "TOOMANYREQUESTS";
    default:
        return "UNSUPPORTED";
    }
}

void xstored_problem(struct xeno_http_req *q, const struct xeno_err *err, struct xeno_json *problem,
                     void *user)
{
    struct xeno_json *errors = xeno_json_array(), *e = xeno_json_object();

    if (xeno_problem_status(err->code) == 401)
        xstored_challenge(user, q, err);
    xeno_json_set_str(e, "code", code_of(err));
    xeno_json_set_str(e, "message", err->text);
    xeno_json_set_str(e, "detail", err->token);
    xeno_json_append(errors, e);
    xeno_json_set(problem, "errors", errors);
}

void xstored_refuse(struct xstored *d, struct xeno_http_req *q, const struct xeno_err *err)
{
    d->counts.refused++;
    if (xeno_problem_status(err->code) >= 500)
        xeno_log_err(LOG_ERR, "api.failed", err, "method=%s path=%s", xeno_http_method(q),
                     xeno_http_path(q));
    xeno_http_reply_err(q, err);
}

/* --- who asks for what --- */

static bool admit(struct xstored *d, struct xeno_http_req *q,
                  int (*may)(const struct xstored_asker *who, const char *repo,
                             struct xeno_err *err),
                  const char **ret_repo)
{
    struct xeno_err err = XENO_ERR_INIT;
    struct xstored_asker who;
    int r;

    d->counts.requests++;
    *ret_repo = xeno_http_param(q, "name");
    r = xstored_who(d, q, &who, &err);
    if (r == 0)
        r = xstored_name_check(*ret_repo, &err);
    if (r == 0)
        r = may(&who, *ret_repo, &err);
    if (r < 0)
        xstored_refuse(d, q, &err);
    return r == 0;
}

bool xstored_reader(struct xstored *d, struct xeno_http_req *q, const char **ret_repo)
{
    return admit(d, q, xstored_may_read, ret_repo);
}

bool xstored_writer(struct xstored *d, struct xeno_http_req *q, const char **ret_repo)
{
    return admit(d, q, xstored_may_write, ret_repo);
}

/* --- small things --- */

int64_t xstored_now_ms(const struct xstored *d)
{
    return xeno_wall(d->env).ns / XENO_NS_PER_MS;
}

struct xstored_limits xstored_limits(const struct xstored *d)
{
    return (struct xstored_limits){ .quota_bytes = d->opt.quota_bytes, .entries = d->opt.entries };
}

void xstored_location(struct xeno_http_req *q, const char *repo, const char *what, const char *name)
{
    xeno_autofree char *text = xeno_asprintf("/v2/%s/%s/%s", repo, what, name);

    xeno_http_set_header(q, "Location", text);
}

void xstored_next(struct xeno_http_req *q, const char *name, const char *value, const char *last)
{
    xeno_autofree char *text =
        xeno_asprintf("<%s?%s=%s&last=%s>; rel=\"next\"", xeno_http_path(q), name, value, last);

    xeno_http_set_header(q, "Link", text);
}

void xstored_get_base(struct xeno_http_req *q, void *user)
{
    struct xstored *d = user;
    struct xeno_err err = XENO_ERR_INIT;
    struct xstored_asker who;

    d->counts.requests++;
    if (xstored_who(d, q, &who, &err) < 0) {
        xstored_refuse(d, q, &err);
        return;
    }
    xeno_http_set_header(q, "Docker-Distribution-API-Version", "registry/2.0");
    xeno_http_reply_json(q, 200, xeno_json_object());
}
