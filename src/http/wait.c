/* src/http/wait.c - calls that run the loop until they are answered. */
#include <errno.h>
#include <string.h>

#include "http/client-priv.h"

struct waiting {
    const struct xeno_http_ask *ask;
    bool over;
    int status;
    struct xeno_err err;
    char *body;
    size_t len;
};

static void on_done(const struct xeno_http_answer *a, void *arg)
{
    struct waiting *w = arg;

    w->over = true;
    w->status = a->status;
    if (a->err)
        w->err = *a->err;
    w->body = xeno_strndup(a->body, a->len);
    w->len = a->len;
}

static void on_event(const char *id, const char *event, const char *data, void *arg)
{
    struct waiting *w = arg;

    w->ask->event(id, event, data, w->ask->arg);
}

static void on_piece(const void *data, size_t len, void *arg)
{
    struct waiting *w = arg;

    w->ask->piece(data, len, w->ask->arg);
}

static void on_sent(size_t len, void *arg)
{
    struct waiting *w = arg;

    w->ask->part->sent(len, w->ask->arg);
}

static int on_head(const struct xeno_http_answer *a, void *arg, struct xeno_err *err)
{
    struct waiting *w = arg;

    return w->ask->head(a, w->ask->arg, err);
}

static int on_sink(const void *data, size_t len, void *arg, struct xeno_err *err)
{
    struct waiting *w = arg;

    return w->ask->sink(data, len, w->ask->arg, err);
}

int xeno_http_wait(struct xeno_http_client *c, const struct xeno_http_ask *ask, int *ret_status,
                   char **ret_body, size_t *ret_len, struct xeno_err *err)
{
    struct waiting w = { .ask = ask };
    struct xeno_http_ask mine = *ask;
    struct xeno_http_part part;
    struct xeno_http_call *call;
    int r = 0;

    if (ask->part && ask->part->sent) {
        part = *ask->part;
        part.sent = on_sent;
        mine.part = &part;
    }
    mine.done = on_done;
    mine.event = ask->event ? on_event : NULL;
    mine.piece = ask->piece ? on_piece : NULL;
    mine.head = ask->head ? on_head : NULL;
    mine.sink = ask->sink ? on_sink : NULL;
    mine.arg = &w;
    call = xeno_http_send(c, &mine);
    while (!w.over && r >= 0)
        r = sd_event_run(c->loop, UINT64_MAX);
    if (!w.over) {
        xeno_http_cancel(call);
        return xeno_fail(err, -ECANCELED, "http.cancelled", "%s: interrupted", ask->url);
    }
    if (ret_status)
        *ret_status = w.status;
    if (w.err.code < 0) {
        free(w.body);
        if (err)
            *err = w.err;
        return w.err.code;
    }
    if (ret_len)
        *ret_len = w.len;
    if (ret_body)
        *ret_body = w.body;
    else
        free(w.body);
    return 0;
}

char *xeno_http_escape(const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    struct xeno_buf b = XENO_BUF_INIT;

    for (; *text; text++) {
        if (strchr(plain, *text))
            xeno_buf_add(&b, text, 1);
        else
            xeno_buf_printf(&b, "%%%02X", (unsigned char)*text);
    }
    return xeno_buf_take(&b, NULL);
}
