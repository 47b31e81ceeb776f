/* src/http/sse.h - read server-sent events (HTML standard, 9.2.6) as their bytes come. Pure.
 *
 * Bounds: a line has at most XENO_SSE_LINE bytes, an event's data XENO_SSE_DATA.
 */
#ifndef XENO_HTTP_SSE_H
#define XENO_HTTP_SSE_H

#include "base/buf.h"
#include "base/err.h"

#define XENO_SSE_LINE (64 * 1024)
#define XENO_SSE_DATA (256 * 1024)

/* `struct xeno_sse s = { 0 };` is empty. */
struct xeno_sse {
    struct xeno_buf line, data, id, event;
    bool any_data, after_cr, started;
};
void xeno_sse_release(struct xeno_sse *s);

/* Each whole event calls `fn`; id is the last one seen ("" at first), event "message" unless it
 * was named; all borrowed. Errors: -EFBIG sse.size: the stream cannot be read on. */
int xeno_sse_feed(struct xeno_sse *s, const char *text, size_t len,
                  void (*fn)(const char *id, const char *event, const char *data, void *arg),
                  void *arg, struct xeno_err *err);

#endif
