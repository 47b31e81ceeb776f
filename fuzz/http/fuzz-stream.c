/* fuzz/http/fuzz-stream.c - frames are the same however their bytes are cut, and what was decoded
 * is encoded to the bytes it came from. The first byte says how many come at a time. */
#include <string.h>

#include "../fuzz.h"
#include "http/stream.h"

static size_t read_by(const uint8_t *data, size_t size, size_t step, struct xeno_buf *again)
{
    struct xeno_stream in = { .used = 0 };
    struct xeno_frame f;
    size_t frames = 0;
    int r = 0;

    for (size_t at = 0; at < size && r >= 0; at += step) {
        xeno_stream_add(&in, data + at, size - at < step ? size - at : step);
        while ((r = xeno_stream_next(&in, &f, NULL)) == 1) {
            XENO_REQUIRE(f.len <= XENO_STREAM_MAX && f.channel <= XENO_CHANNEL_CONTROL);
            xeno_stream_put(again, f.channel, f.data, f.len);
            frames++;
        }
    }
    xeno_stream_release(&in);
    return frames;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    xeno_autobuf whole = XENO_BUF_INIT;
    xeno_autobuf parts = XENO_BUF_INIT;
    size_t frames;

    if (size < 2 || size > XENO_STREAM_MAX)
        return 0;
    frames = read_by(data + 1, size - 1, size, &whole);
    XENO_REQUIRE(read_by(data + 1, size - 1, data[0] + 1u, &parts) == frames);
    XENO_REQUIRE(whole.len == parts.len && whole.len <= size - 1);
    if (whole.len > 0)
        XENO_REQUIRE(memcmp(whole.data, parts.data, whole.len) == 0 &&
                     memcmp(whole.data, data + 1, whole.len) == 0);
    return 0;
}
