/* src/http/sse.c - server-sent events, read line by line. */
#include "http/sse.h"

#include <errno.h>
#include <string.h>

typedef void event_fn(const char *id, const char *event, const char *data, void *arg);

void xeno_sse_release(struct xeno_sse *s)
{
    xeno_buf_release(&s->line);
    xeno_buf_release(&s->data);
    xeno_buf_release(&s->id);
    xeno_buf_release(&s->event);
}

static const char *text_of(const struct xeno_buf *b, const char *none)
{
    return b->len ? b->data : none;
}

static void set(struct xeno_buf *b, const char *value, size_t len)
{
    b->len = 0;
    xeno_buf_add(b, value, len);
}

static void dispatch(struct xeno_sse *s, event_fn *fn, void *arg)
{
    if (s->any_data)
        fn(text_of(&s->id, ""), text_of(&s->event, "message"), text_of(&s->data, ""), arg);
    s->any_data = false;
    s->data.len = s->event.len = 0;
}

static bool field(struct xeno_sse *s, const char *name, size_t name_len, const char *value,
                  size_t len)
{
    if (name_len == 4 && memcmp(name, "data", 4) == 0) {
        if (s->data.len + len + 1 > XENO_SSE_DATA)
            return false;
        if (s->any_data)
            xeno_buf_add(&s->data, "\n", 1);
        s->any_data = true;
        return xeno_buf_add(&s->data, value, len);
    }
    if (name_len == 5 && memcmp(name, "event", 5) == 0)
        set(&s->event, value, len);
    else if (name_len == 2 && memcmp(name, "id", 2) == 0 && !memchr(value, '\0', len))
        set(&s->id, value, len);
    return true; /* "retry" and names of later versions mean nothing here */
}

static bool end_line(struct xeno_sse *s, event_fn *fn, void *arg)
{
    const char *text = s->line.data, *colon, *value;
    size_t len = s->line.len;
    bool ok;

    if (!s->started && len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3; /* a byte order mark may lead the stream */
        len -= 3;
    }
    s->started = true;
    s->line.len = 0;
    if (len == 0) {
        dispatch(s, fn, arg);
        return true;
    }
    colon = memchr(text, ':', len);
    if (!colon)
        return field(s, text, len, "", 0);
    if (colon == text)
        return true; /* a comment */
    value = colon + 1;
    if (value < text + len && *value == ' ')
        value++;
    ok = field(s, text, (size_t)(colon - text), value, (size_t)(text + len - value));
    return ok;
}

int xeno_sse_feed(struct xeno_sse *s, const char *text, size_t len, event_fn *fn, void *arg,
                  struct xeno_err *err)
{
    while (len > 0) {
        size_t n = 0;

        if (s->after_cr && *text == '\n') {
            text++;
            len--;
            s->after_cr = false;
            continue;
        }
        while (n < len && text[n] != '\n' && text[n] != '\r')
            n++;
        s->after_cr = false;
        if (s->line.len + n > XENO_SSE_LINE)
            return xeno_fail(err, -EFBIG, "sse.size",
                             "a line of the event stream is longer than %d", XENO_SSE_LINE);
        xeno_buf_add(&s->line, text, n);
        if (n == len)
            return 0;
        s->after_cr = text[n] == '\r';
        if (!end_line(s, fn, arg))
            return xeno_fail(err, -EFBIG, "sse.size", "an event's data is longer than %d bytes",
                             XENO_SSE_DATA);
        text += n + 1;
        len -= n + 1;
    }
    return 0;
}
