/* src/http/reply.c - answers. */
#include "http/server-priv.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "http/problem.h"

#define JSON_TYPE    "application/json"
#define PROBLEM_TYPE "application/problem+json"

struct MHD_Response *http_answer_text(const char *type, const void *data, size_t len)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer(len, (void *)(uintptr_t)data, MHD_RESPMEM_MUST_COPY);

    if (!r)
        abort(); /* out of memory, like any other small allocation */
    MHD_add_response_header(r, "Content-Type", type);
    MHD_add_response_header(r, "Cache-Control", "no-store");
    return r;
}

void xeno_http_set_header(struct xeno_http_req *q, const char *name, const char *value)
{
    struct http_header *h = xeno_new0(struct http_header);

    h->name = xeno_strdup(name);
    h->value = xeno_strdup(value);
    for (char *p = h->value; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
    h->next = q->headers;
    q->headers = h;
}

void http_headers_release(struct xeno_http_req *q)
{
    while (q->headers) {
        struct http_header *h = q->headers;

        q->headers = h->next;
        free(h->name);
        free(h->value);
        free(h);
    }
}

void http_give(struct xeno_http_req *q, int status, struct MHD_Response *r)
{
    assert(!q->answer);
    if (!q->make.more) /* else a slow reader costs what it keeps */
        http_running_end(q);
    q->gone = NULL;
    q->answer = r;
    q->status = status;
    if (status == 429 || status == 503)
        MHD_add_response_header(r, "Retry-After", "1");
    for (const struct http_header *h = q->headers; h; h = h->next)
        MHD_add_response_header(r, h->name, h->value);
    if (!q->handling)
        http_wake(q->conn);
}

void http_give_kept(struct xeno_http_req *q, int status, const char *body)
{
    const char *type = status >= 400 ? PROBLEM_TYPE : JSON_TYPE;
    struct MHD_Response *r = http_answer_text(type, body, strlen(body));

    MHD_add_response_header(r, "Idempotency-Replayed", "true");
    http_give(q, status, r);
}

static void give_text(struct xeno_http_req *q, int status, const char *type, const void *data,
                      size_t len)
{
    http_pay(q->server, len);
    http_owes(q, len);
    http_give(q, status, http_answer_text(type, data, len));
}

/* With what the program adds. The caller's. */
static struct xeno_json *problem_of(struct xeno_http_req *q, const struct xeno_err *err)
{
    const struct xeno_http_server_opts *o = &q->server->opts;
    struct xeno_json *j = xeno_problem_make(err);

    if (o->problem)
        o->problem(q, err, j, o->user);
    return j;
}

void http_refuse(struct xeno_http_req *q, const struct xeno_err *err)
{
    xeno_auto(xeno_json) j = problem_of(q, err);
    size_t len;
    xeno_autofree char *text = xeno_json_format(j, false, &len);

    give_text(q, xeno_problem_status(err->code), PROBLEM_TYPE, text, len);
}

void xeno_http_reply_json(struct xeno_http_req *q, int status, struct xeno_json *body)
{
    xeno_auto(xeno_json) j = body;
    size_t len;
    xeno_autofree char *text = xeno_json_format(j, false, &len);

    http_idem_end(q, status, text);
    give_text(q, status, JSON_TYPE, text, len);
}

void xeno_http_reply_data(struct xeno_http_req *q, int status, const char *type, const void *data,
                          size_t len)
{
    bool json = strcmp(type, JSON_TYPE) == 0 && memchr(data, '\0', len) == NULL;
    xeno_autofree char *text = json && q->idem ? xeno_strndup(data, len) : NULL;

    http_idem_end(q, status, text);
    give_text(q, status, type, data, len);
}

void xeno_http_reply_problem(struct xeno_http_req *q, const struct xeno_err *err,
                             struct xeno_json *extra)
{
    xeno_auto(xeno_json) j = problem_of(q, err);
    xeno_auto(xeno_json) more = extra;
    struct xeno_json_at at = xeno_json_top(more);
    xeno_autofree char *text = NULL;
    int status = xeno_problem_status(err->code);
    const char *key;
    size_t len;

    for (size_t i = 0; more && (key = xeno_json_key(&at, i)) != NULL; i++)
        xeno_json_set(j, key, xeno_json_member(more, key));
    text = xeno_json_format(j, false, &len);
    http_idem_end(q, status, text);
    give_text(q, status, PROBLEM_TYPE, text, len);
}

void xeno_http_reply_err(struct xeno_http_req *q, const struct xeno_err *err)
{
    xeno_http_reply_problem(q, err, NULL);
}
