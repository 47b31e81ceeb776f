/* fuzz/http/fuzz-sse.c - events read the same however their bytes are cut. The first byte says how
 * many come at a time. */
#include <string.h>

#include "../fuzz.h"
#include "http/sse.h"

#define MAX_BYTES (1 << 16)

static void on_event(const char *id, const char *event, const char *data, void *arg)
{
    XENO_REQUIRE(strlen(data) <= XENO_SSE_DATA);
    xeno_buf_printf(arg, "[%s|%s|%s]", id, event, data);
}

static int read_by(const char *text, size_t len, size_t step, struct xeno_buf *got)
{
    struct xeno_sse s = { .started = false };
    int r = 0;

    for (size_t at = 0; at < len && r == 0; at += step)
        r = xeno_sse_feed(&s, text + at, len - at < step ? len - at : step, on_event, got, NULL);
    xeno_sse_release(&s);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    xeno_autobuf whole = XENO_BUF_INIT;
    xeno_autobuf parts = XENO_BUF_INIT;
    int r;

    if (size < 2 || size > MAX_BYTES)
        return 0;
    xeno_buf_puts(&whole, "");
    xeno_buf_puts(&parts, "");
    r = read_by((const char *)data + 1, size - 1, size, &whole);
    XENO_REQUIRE(read_by((const char *)data + 1, size - 1, data[0] + 1u, &parts) == r);
    XENO_REQUIRE(strcmp(whole.data, parts.data) == 0);
    return 0;
}
