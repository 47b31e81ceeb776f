/* fuzz/xisd/fuzz-xis-lookup.c - a line of a batch: no input is read behind its end, and what is
 * taken is within its bounds and can be said again. */
#include <math.h>
#include <string.h>

#include "../fuzz.h"
#include "json/json.h"
#include "xisd/ask.h"

/* A string comes back from JSON as it was, unless it is no UTF-8. */
static void check_string(const char *text)
{
    xeno_autobuf b = XENO_BUF_INIT;
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at at;
    const char *back;

    if (!xeno_json_utf8_ok(text))
        return;
    xeno_buf_puts(&b, "{\"x\":");
    xisd_put_string(&b, text, strlen(text));
    xeno_buf_puts(&b, "}");
    XENO_REQUIRE(xeno_json_parse(b.data, b.len, 1 << 16, &j, NULL) == 0);
    at = xeno_json_top(j);
    XENO_REQUIRE(xeno_json_str(&at, "x", 0, 1 << 16, &back, NULL) == 0);
    XENO_REQUIRE(strcmp(text, back) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char number[XISD_NUMBER_TEXT];
    struct xisd_ask a;

    if (xisd_ask_line((const char *)data, size, &a, NULL) < 0)
        return 0;
    XENO_REQUIRE(a.has & XISD_ASK_TOKEN);
    XENO_REQUIRE(strlen(a.token) > 0 && strlen(a.token) <= XENO_ADVERT_PATH);
    XENO_REQUIRE(a.limit >= 0 && a.limit <= XISD_LIMIT_MAX);
    XENO_REQUIRE(a.place >= 0 && a.place <= XISD_PLACE_MAX);
    check_string(a.token);
    if (a.has & XISD_ASK_IS)
        check_string(a.is);
    if (a.has & XISD_ASK_MIN) {
        XENO_REQUIRE(isfinite(a.min));
        XENO_REQUIRE(xisd_number_text(a.min, number) < XISD_NUMBER_TEXT);
    }
    return 0;
}
