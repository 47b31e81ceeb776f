/* fuzz/image/fuzz-agent.c - no request crashes the image manager's parser, no reply those who ask;
 * what is taken reads the same again. */
#include <string.h>

#include "fuzz.h"
#include "image/agent-proto.h"

static void request(const char *text, size_t size)
{
    xeno_auto(xeno_agent_request) a = NULL;
    xeno_auto(xeno_agent_request) b = NULL;
    xeno_autofree char *once = NULL;
    xeno_autofree char *again = NULL;
    size_t len, again_len;

    if (xeno_agent_request_parse(text, size, &a, NULL) < 0)
        return;
    once = xeno_agent_request_format(a, &len);
    XENO_REQUIRE(xeno_agent_request_parse(once, len, &b, NULL) == 0);
    again = xeno_agent_request_format(b, &again_len);
    XENO_REQUIRE(len == again_len && memcmp(once, again, len) == 0);
}

static void reply(const char *text, size_t size)
{
    struct xeno_agent_progress items[4];
    xeno_auto(xeno_json) root = NULL;
    xeno_auto(xeno_agent_image) im = NULL;
    struct xeno_agent_fetched f;
    struct xeno_json_at top;

    if (xeno_json_parse(text, size, XENO_AGENT_FRAME_MAX, &root, NULL) < 0)
        return;
    top = xeno_json_top(root);
    if (xeno_agent_image_read(&top, &im, NULL) == 0)
        xeno_json_unref(xeno_agent_image_json(im));
    if (xeno_agent_fetched_read(&top, &f, NULL) == 0) {
        XENO_REQUIRE(f.way == XENO_AGENT_WHOLE || f.table.bytes <= f.size_bytes - f.table.offset);
        xeno_json_unref(xeno_agent_fetched_json(&f));
    }
    for (size_t n = 0; n <= XENO_LEN(items); n++)
        if (xeno_agent_progress_read(&top, items, n, NULL) == 0)
            xeno_json_unref(xeno_agent_progress_json(items, n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    request((const char *)data, size);
    reply((const char *)data, size);
    return 0;
}
