/* src/image/registry-ask.c - one request to a registry, with the token it turns out to need. */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <systemd/sd-event.h>
#include <utlist.h>

#include "image/registry-priv.h"

struct ask *registry_ask_new(struct xeno_registry *r, const char *method, char *path)
{
    struct ask *a = xeno_new0(struct ask);

    a->r = r;
    a->method = method;
    a->path = path;
    a->part.fd = -1;
    a->max_body = REGISTRY_ANSWER_MAX;
    a->wait_s = r->wait_s;
    a->retry = true;
    DL_APPEND(r->asks, a);
    return a;
}

void registry_ask_header(struct ask *a, const char *name, char *value_taken)
{
    a->headers[a->header_count++] = (struct xeno_http_header){ name, value_taken };
}

static void ask_free(struct ask *a)
{
    struct ask *w;

    DL_FOREACH2(a->r->waiting, w, wait_next)
    {
        if (w == a) {
            DL_DELETE2(a->r->waiting, a, wait_prev, wait_next);
            break;
        }
    }
    DL_DELETE(a->r->asks, a);
    for (size_t i = 0; i < a->header_count; i++)
        free((char *)(uintptr_t)a->headers[i].value);
    free(a->body);
    free(a->path);
    free(a);
}

void registry_ask_cancel(struct ask *a)
{
    if (!a)
        return;
    xeno_http_cancel(a->http);
    ask_free(a);
}

void registry_ask_end(struct ask *a, const struct xeno_http_answer *answer)
{
    a->done(answer, a->arg);
    ask_free(a);
}

static int on_head(const struct xeno_http_answer *answer, void *arg, struct xeno_err *err)
{
    struct ask *a = arg;

    return a->head ? a->head(answer, a->arg, err) : 0;
}

static int on_sink(const void *data, size_t len, void *arg, struct xeno_err *err)
{
    struct ask *a = arg;

    a->r->count.in_bytes += (int64_t)len;
    return a->sink(data, len, a->arg, err);
}

static void on_sent(size_t len, void *arg)
{
    struct ask *a = arg;

    a->r->count.out_bytes += (int64_t)len;
    if (a->part.sent)
        a->part.sent(len, a->arg);
}

static void on_done(const struct xeno_http_answer *answer, void *arg)
{
    struct ask *a = arg;
    struct xeno_http_answer mine = *answer;
    struct xeno_err err = XENO_ERR_INIT;

    a->http = NULL;
    a->r->count.in_bytes += (int64_t)answer->len;
    if (answer->status == 401 && !a->again) {
        a->again = true;
        if (a->generation != a->r->generation) {
            registry_ask_send(a); /* another request has got a token meanwhile */
            return;
        }
        DL_APPEND2(a->r->waiting, a, wait_prev, wait_next);
        registry_token_start(a->r, answer);
        return;
    }
    if (answer->status != 0 && (answer->status < 200 || answer->status > 299)) {
        registry_refused(a->r, answer, &err);
        mine.err = &err;
    }
    registry_ask_end(a, &mine);
}

void registry_ask_send(struct ask *a)
{
    struct xeno_registry *r = a->r;
    struct xeno_http_header headers[REGISTRY_HEADERS + 1];
    xeno_autofree char *url =
        a->path[0] == '/' ? xeno_asprintf("%s%s", r->base, a->path) : xeno_strdup(a->path);
    struct xeno_http_part part = a->part;
    struct xeno_http_ask ask = { .method = a->method,
                                 .url = url,
                                 .server_id = r->server_id,
                                 .type = a->type,
                                 .body = a->body,
                                 .body_len = a->body_len,
                                 .part = a->part.fd >= 0 ? &part : NULL,
                                 .headers = headers,
                                 .header_count = a->header_count,
                                 .retry = a->retry,
                                 .tries = REGISTRY_TRIES,
                                 .redirects = XENO_HTTP_REDIRECTS,
                                 .pace_s = r->pace_s,
                                 .max_body = a->max_body,
                                 .done = on_done,
                                 .arg = a };

    part.sent = on_sent;
    memcpy(headers, a->headers, a->header_count * sizeof(headers[0]));
    if (r->token)
        headers[ask.header_count++] = (struct xeno_http_header){ "Authorization", r->token };
    if (a->sink) {
        ask.head = on_head;
        ask.sink = on_sink;
    } else if (a->part.fd < 0) {
        ask.deadline = xeno_ns((int64_t)a->wait_s * XENO_NS_PER_S);
    }
    a->generation = r->generation;
    r->count.requests++;
    r->count.out_bytes += (int64_t)a->body_len;
    a->http = xeno_http_send(r->http, &ask);
}

/* --- run the loop until it is answered --- */

struct waited {
    bool over;
    int status;
    char *body, *value;
    size_t len;
    const char *header;
    struct xeno_err err;
};

static void on_waited(const struct xeno_http_answer *answer, void *arg)
{
    struct waited *w = arg;

    w->over = true;
    w->status = answer->status;
    if (answer->err) {
        w->err = *answer->err;
        return;
    }
    w->body = xeno_strndup(answer->body, answer->len);
    w->len = answer->len;
    if (w->header)
        w->value = xeno_strdup(xeno_http_answer_header(answer, w->header));
}

int registry_run(struct xeno_registry *r, const bool *over, struct xeno_err *err)
{
    int n = 0;

    while (!*over && n >= 0 && sd_event_get_state(r->loop) != SD_EVENT_FINISHED)
        n = sd_event_run(r->loop, UINT64_MAX);
    return *over ? 0 : xeno_fail(err, -ECANCELED, "http.cancelled", "%s: interrupted", r->base);
}

int registry_ask_wait(struct ask *a, int *ret_status, char **ret_body, size_t *ret_len,
                      const char *header, char **ret_header, struct xeno_err *err)
{
    xeno_autofree struct waited *w = xeno_new0(struct waited);
    int r;

    w->header = header;
    a->done = on_waited;
    a->arg = w;
    registry_ask_send(a);
    r = registry_run(a->r, &w->over, err);
    if (r < 0) {
        registry_ask_cancel(a);
        return r;
    }
    if (ret_status)
        *ret_status = w->status;
    if (w->err.code < 0) {
        if (err)
            *err = w->err;
        return w->err.code;
    }
    if (ret_len)
        *ret_len = w->len;
    if (ret_body)
        *ret_body = xeno_take(&w->body);
    if (ret_header)
        *ret_header = xeno_take(&w->value);
    free(w->body);
    free(w->value);
    return 0;
}
