/* src/http/events.c - answers without end: server-sent events and chunked bodies. */
#include "http/server-priv.h"

#include <string.h>
#include <utlist.h>

static void maybe_free(struct xeno_http_stream *st)
{
    if (!st->owner_done || !st->mhd_done)
        return;
    DL_DELETE(st->server->streams, st);
    xeno_buf_release(&st->out);
    free(st);
}

/* The last word to the owner, unless the owner closed it. */
static void tell_gone(struct xeno_http_stream *st)
{
    if (st->owner_done)
        return;
    st->owner_done = true;
    if (st->gone)
        st->gone(st->gone_arg);
}

static ssize_t reader(void *cls, uint64_t pos, char *buf, size_t max)
{
    struct xeno_http_stream *st = cls;
    size_t n = st->out.len - st->sent;

    (void)pos;
    if (st->failed)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (n > 0) {
        n = n < max ? n : max;
        memcpy(buf, st->out.data + st->sent, n);
        st->sent += n;
        if (st->sent == st->out.len) {
            st->sent = st->out.len = 0;
            if (st->taken && !st->owner_done)
                st->taken(st->taken_arg);
        }
        return (ssize_t)n;
    }
    if (st->closed)
        return MHD_CONTENT_READER_END_OF_STREAM;
    http_sleep(st->conn);
    return 0;
}

static void on_free(void *cls)
{
    struct xeno_http_stream *st = cls;

    if (st->conn)
        st->conn->stream = NULL;
    st->conn = NULL;
    st->mhd_done = true;
    st->failed = true;
    tell_gone(st);
    maybe_free(st);
}

struct xeno_http_stream *xeno_http_reply_stream(struct xeno_http_req *q, const char *type,
                                                void (*gone)(void *arg), void *arg)
{
    struct xeno_http_stream *st = xeno_new0(struct xeno_http_stream);
    struct MHD_Response *r;

    st->server = q->server;
    st->conn = q->conn;
    st->events = strcmp(type, "text/event-stream") == 0;
    st->gone = gone;
    st->gone_arg = arg;
    st->last = xeno_mono(q->server->opts.env);
    st->out.max = HTTP_STREAM_BYTES;
    DL_APPEND(st->server->streams, st);
    q->conn->stream = st;
    r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16 * 1024, reader, st, on_free);
    if (!r)
        abort();
    st->response = r;
    MHD_add_response_header(r, "Content-Type", type);
    MHD_add_response_header(r, "Cache-Control", "no-store");
    http_idem_end(q, 0, NULL);
    http_give(q, 200, r);
    return st;
}

static void fail(struct xeno_http_stream *st)
{
    st->failed = true;
    if (st->conn) {
        http_close_socket(st->conn);
        http_wake(st->conn);
    }
    http_later(st->server);
}

bool xeno_http_stream_write(struct xeno_http_stream *st, const void *data, size_t len)
{
    if (st->failed || st->closed)
        return false;
    if (st->sent > 0) {
        xeno_buf_shift(&st->out, st->sent);
        st->sent = 0;
    }
    if (!xeno_buf_add(&st->out, data, len)) {
        fail(st);
        return false;
    }
    st->last = xeno_mono(st->server->opts.env);
    if (st->conn)
        http_wake(st->conn);
    return true;
}

/* A value of several lines becomes several "data:" lines, which the reader joins again. */
static void put_lines(struct xeno_buf *out, const char *field, const char *text)
{
    do {
        size_t len = strcspn(text, "\r\n");

        xeno_buf_printf(out, "%s: %.*s\n", field, (int)len, text);
        text += len;
        if (text[0] == '\r' && text[1] == '\n')
            text++;
    } while (*text++ != '\0');
}

bool xeno_http_stream_event(struct xeno_http_stream *st, const char *id, const char *event,
                            const char *data)
{
    xeno_autobuf out = XENO_BUF_INIT;

    if (id)
        xeno_buf_printf(&out, "id: %.*s\n", (int)strcspn(id, "\r\n"), id);
    if (event)
        xeno_buf_printf(&out, "event: %.*s\n", (int)strcspn(event, "\r\n"), event);
    put_lines(&out, "data", data);
    xeno_buf_puts(&out, "\n");
    return xeno_http_stream_write(st, out.data, out.len);
}

size_t xeno_http_stream_waiting(const struct xeno_http_stream *st)
{
    return st->out.len - st->sent;
}

void xeno_http_stream_close(struct xeno_http_stream *st)
{
    st->closed = true;
    st->owner_done = true;
    if (st->conn)
        http_wake(st->conn);
    maybe_free(st);
}

void xeno_http_stream_close_with(struct xeno_http_stream *st, const char *name, const char *value)
{
    if (st->conn)
        MHD_add_response_footer(st->response, name, value);
    xeno_http_stream_close(st);
}

void xeno_http_stream_abort(struct xeno_http_stream *st)
{
    st->owner_done = true;
    fail(st);
    maybe_free(st);
}

void xeno_http_stream_on_taken(struct xeno_http_stream *st, void (*fn)(void *arg), void *arg)
{
    st->taken = fn;
    st->taken_arg = arg;
}

void http_stream_drop(struct xeno_http_stream *st)
{
    fail(st);
}

void http_streams_tend(struct xeno_http_server *s, xeno_time now)
{
    struct xeno_http_stream *st;

    DL_FOREACH (s->streams, st) {
        if (st->events && !st->failed && !st->closed && now.ns - st->last.ns >= HTTP_PING_NS)
            xeno_http_stream_write(st, ":\n\n", 3);
    }
}

void http_streams_fail(struct xeno_http_server *s)
{
    struct xeno_http_stream *st;
    bool again = true;

    /* `gone` may close or write to other streams: start over after each. */
    while (again) {
        again = false;
        DL_FOREACH (s->streams, st) {
            if (!st->failed || st->owner_done)
                continue;
            tell_gone(st);
            maybe_free(st);
            again = true;
            break;
        }
    }
}
