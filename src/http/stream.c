/* src/http/stream.c - encode and decode xeno-stream/1 frames. */
#include "http/stream.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

bool xeno_stream_put(struct xeno_buf *out, enum xeno_channel channel, const void *data, size_t len)
{
    const char *p = data;
    size_t before = out->len;

    do {
        size_t n = len < XENO_STREAM_MAX ? len : XENO_STREAM_MAX;
        uint8_t head[XENO_STREAM_HEAD] = { (uint8_t)channel, (uint8_t)(n >> 24), (uint8_t)(n >> 16),
                                           (uint8_t)(n >> 8), (uint8_t)n };

        if (!xeno_buf_add(out, head, sizeof(head)) || !xeno_buf_add(out, p, n)) {
            out->len = before;
            return false;
        }
        p = n ? p + n : p;
        len -= n;
    } while (len > 0);
    return true;
}

void xeno_stream_release(struct xeno_stream *in)
{
    xeno_buf_release(&in->buf);
    in->used = 0;
}

static void drop_used(struct xeno_stream *in)
{
    xeno_buf_shift(&in->buf, in->used);
    in->used = 0;
}

void xeno_stream_add(struct xeno_stream *in, const void *data, size_t len)
{
    assert(len <= XENO_STREAM_MAX);
    drop_used(in);
    xeno_buf_add(&in->buf, data, len);
}

int xeno_stream_next(struct xeno_stream *in, struct xeno_frame *ret, struct xeno_err *err)
{
    size_t have = in->buf.len - in->used;
    const uint8_t *p;
    uint32_t len;

    if (have == 0)
        return 0;
    p = (const uint8_t *)in->buf.data + in->used;
    if (p[0] > XENO_CHANNEL_CONTROL)
        return xeno_fail(err, -EPROTO, "stream.channel", "frame for channel %u, known are 0 to %d",
                         p[0], XENO_CHANNEL_CONTROL);
    if (have < XENO_STREAM_HEAD)
        return 0;
    len = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
    if (len > XENO_STREAM_MAX)
        return xeno_fail(err, -EPROTO, "stream.length", "frame of %u bytes, at most %d allowed",
                         len, XENO_STREAM_MAX);
    if (have - XENO_STREAM_HEAD < len)
        return 0;
    ret->channel = (enum xeno_channel)p[0];
    ret->data = p + XENO_STREAM_HEAD;
    ret->len = len;
    in->used += XENO_STREAM_HEAD + len;
    return 1;
}
