/* fuzz/spec/fuzz-requirement.c - what is accepted is within its bounds and round-trips. */
#include <string.h>

#include "../fuzz.h"
#include "spec/match.h"
#include "spec/requirement.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = { "Linux", NULL };
    const struct xeno_offer offer = { .env_types = types, .kernel = "6.1.0", .cpu_msps = 2000 };
    xeno_auto(xeno_requirement) a = NULL;
    xeno_auto(xeno_requirement) b = NULL;
    xeno_autofree char *text = NULL;
    xeno_autofree char *again = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_grant g;
    size_t len;

    if (xeno_requirement_parse((const char *)data, size, &a, &err) < 0) {
        XENO_REQUIRE(err.code < 0 && err.token[0] != '\0' && err.text[0] != '\0');
        return 0;
    }
    XENO_REQUIRE(a->cpu_msps >= 1 && a->cpu_msps <= XENO_CPU_MSPS_MAX);
    XENO_REQUIRE(a->cpu_burst_ms >= 0 && a->cpu_burst_ms <= a->cpu_msps / 10);
    XENO_REQUIRE(a->memory_bytes >= XENO_MEMORY_BYTES_MIN);
    XENO_REQUIRE(a->memory_bytes <= XENO_MEMORY_BYTES_MAX);
    XENO_REQUIRE(a->disk_bytes >= XENO_DISK_BYTES_MIN && a->disk_bytes <= XENO_DISK_BYTES_MAX);
    XENO_REQUIRE(a->net_kbps >= 1 && a->net_kbps <= XENO_NET_KBPS_MAX);
    XENO_REQUIRE(a->pids >= 1 && a->pids <= XENO_PIDS_MAX);
    XENO_REQUIRE(a->port_count <= XENO_PORTS_MAX && a->overlay_count <= XENO_OVERLAYS_MAX);
    XENO_REQUIRE(a->lifetime_s >= 1 && a->lifetime_s <= XENO_LIFETIME_MAX_S);
    XENO_REQUIRE(a->max_total >= 0 && a->max_per_hour >= 0);
    (void)xeno_match(a, &offer, &err);
    xeno_requirement_grant(a, &g);
    text = xeno_requirement_format(a, &len);
    XENO_REQUIRE(xeno_requirement_parse(text, len, &b, NULL) == 0);
    XENO_REQUIRE(xeno_requirement_equal(a, b));
    again = xeno_requirement_format(b, &len);
    XENO_REQUIRE(strcmp(text, again) == 0);
    return 0;
}
