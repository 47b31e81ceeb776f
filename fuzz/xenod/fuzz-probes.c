/* fuzz/xenod/fuzz-probes.c - bodies of /v1/probes and /v1/traceroutes as a XenoServer reads them,
 * and its answers as an RD does. The first byte says which. What is asked for is within its limits
 * and may be measured; what is heard is a round trip, or a way as paths.h reads it. */
#include <math.h>
#include <string.h>

#include "../fuzz.h"
#include "base/mem.h"
#include "xenod/targets.h"
#include "xenod/wish.h"
#include "xrdd/probed.h"

#define ALLOW "10.78.0.0/16,fd00:78::/32"
#define PORTS "443,80,8000-8010"

static void asked(const char *body, size_t len, bool way)
{
    xeno_auto(xeno_json) j = NULL;
    struct xenod_answer_to of = { .way = false };
    struct xeno_json_at top;
    char text[XENOD_ADDRESS_TEXT];
    union xenod_address again;

    if (xeno_json_parse(body, len, XRDD_PROBED_MAX, &j, NULL) < 0)
        return;
    top = xeno_json_top(j);
    if ((way ? xenod_wish_way : xenod_wish_probe)(&top, ALLOW, PORTS, &of, NULL) < 0)
        return;
    XENO_REQUIRE(of.way == way && of.count >= 1);
    XENO_REQUIRE(of.count <= (way ? XENOD_TRACE_HOPS : XENOD_MEASURE_MAX));
    XENO_REQUIRE(way || of.icmp || of.tcp);
    XENO_REQUIRE(xenod_target_allowed(&of.address, ALLOW, NULL) == 0);
    XENO_REQUIRE(way || !of.tcp || xenod_ports_have(PORTS, xenod_address_port(&of.address)));
    XENO_REQUIRE(xenod_address_parse(xenod_address_text(&of.address, text),
                                     xenod_address_port(&of.address), &again, NULL) == 0);
    XENO_REQUIRE(memcmp(&again, &of.address, xenod_address_len(&again)) == 0);
}

static void address(const char *text)
{
    char host[INET6_ADDRSTRLEN], key[XRDD_PREFIX_TEXT], again[XRDD_PREFIX_TEXT];
    unsigned port;

    if (!xrdd_address_split(text, host, &port) || !xrdd_prefix(host, false, key))
        return;
    XENO_REQUIRE(*key == 'r' && xrdd_prefix(key + 1, false, again) && strcmp(key, again) == 0);
}

static void heard(const char *body, size_t len)
{
    double ms = xrdd_probed_ms(body, len);
    struct xeno_path path;

    XENO_REQUIRE(isnan(ms) || (ms > 0 && ms <= 10000));
    if (xrdd_probed_path(body, len, &path))
        XENO_REQUIRE(path.count <= XENO_PATH_HOPS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    xeno_autofree char *body = NULL;

    if (size < 1 || size > XRDD_PROBED_MAX)
        return 0;
    body = xeno_new0_n(char, size); /* a zero behind it, and perhaps within */
    memcpy(body, data + 1, size - 1);
    switch (*data % 4) {
    case 0:
    case 1:
        asked(body, size - 1, *data % 4);
        break;
    case 2:
        heard(body, size - 1);
        break;
    default:
        address(body);
    }
    return 0;
}
