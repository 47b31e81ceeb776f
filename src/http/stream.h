/* src/http/stream.h - the frames of xeno-stream/1, which carries exec and attach after an upgrade
 * (rfc/0004-exec-stream.md).
 *
 * A frame: one byte channel, four bytes length (big-endian, at most XENO_STREAM_MAX), the bytes.
 * An empty frame on stdin is end of file. Control frames are JSON: {"resize":[cols,rows]},
 * {"signal":"INT"}; from the server {"exit":code} or {"error":problem}. Pure: no I/O.
 */
#ifndef XENO_HTTP_STREAM_H
#define XENO_HTTP_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define XENO_STREAM_PROTOCOL "xeno-stream/1"
#define XENO_STREAM_MAX      (64 * 1024)
#define XENO_STREAM_HEAD     5

enum xeno_channel {
    XENO_CHANNEL_STDIN,
    XENO_CHANNEL_STDOUT,
    XENO_CHANNEL_STDERR,
    XENO_CHANNEL_CONTROL
};

/* Append `data` as one frame, or as several when it is longer than one may be.
 * Returns false, with nothing appended, when the buffer's bound would be passed. */
bool xeno_stream_put(struct xeno_buf *out, enum xeno_channel channel, const void *data, size_t len);

struct xeno_frame {
    enum xeno_channel channel;
    const void *data; /* borrowed from the decoder until its next call */
    size_t len;
};

/* `struct xeno_stream in = { 0 };` is an empty decoder. */
struct xeno_stream {
    struct xeno_buf buf; /* at most one frame and one read */
    size_t used;         /* bytes at its front that were handed out */
};
void xeno_stream_release(struct xeno_stream *in);

/* Bytes as they came; then call next until it returns 0. At most XENO_STREAM_MAX at a time. */
void xeno_stream_add(struct xeno_stream *in, const void *data, size_t len);

/* Returns: 1 with a frame, 0 when more bytes are needed.
 * Errors: -EPROTO stream.channel, stream.length: end the connection, nothing after can be read. */
int xeno_stream_next(struct xeno_stream *in, struct xeno_frame *ret, struct xeno_err *err);

#endif
