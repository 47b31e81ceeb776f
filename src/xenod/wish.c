/* src/xenod/wish.c - what is asked for in a body of /v1/probes or /v1/traceroutes. */
#include "xenod/wish.h"

#include <errno.h>
#include <string.h>

#define DEFAULT_PORT  443
#define DEFAULT_COUNT 3
#define DEFAULT_HOPS  20

static int read_address(const struct xeno_json_at *at, const char *allow, uint16_t port,
                        struct xenod_answer_to *ret, struct xeno_err *err)
{
    const char *text = NULL;
    int r = xeno_json_str(at, "address", 1, XENOD_ADDRESS_TEXT, &text, err);

    if (r == 0)
        r = xenod_address_parse(text, port, &ret->address, err);
    return r < 0 ? r : xenod_target_allowed(&ret->address, allow, err);
}

int xenod_wish_probe(const struct xeno_json_at *at, const char *allow, const char *ports,
                     struct xenod_answer_to *ret, struct xeno_err *err)
{
    static const char *const keys[] = { "address", "port", "kind", "count", NULL };
    int64_t port = DEFAULT_PORT, count = DEFAULT_COUNT;
    const char *kind = "";
    int r = xeno_json_only(at, keys, err);

    if (r == 0)
        r = xeno_json_int_opt(at, "port", 1, 65535, &port, err);
    if (r >= 0)
        r = xeno_json_int_opt(at, "count", 1, XENOD_MEASURE_MAX, &count, err);
    if (r >= 0)
        r = xeno_json_str_opt(at, "kind", 3, 4, &kind, err);
    if (r >= 0)
        r = read_address(at, allow, (uint16_t)port, ret, err);
    if (r < 0)
        return r;
    ret->icmp = !*kind || strcmp(kind, "icmp") == 0;
    ret->tcp = !*kind || strcmp(kind, "tcp") == 0;
    ret->count = (unsigned)count;
    if (!ret->icmp && !ret->tcp)
        return xeno_fail(err, -EINVAL, "json.range", "kind: 'icmp' or 'tcp', not '%s'", kind);
    if (ret->tcp && !xenod_ports_have(ports, (uint16_t)port))
        return xeno_fail(err, -EPERM, "probe.port", "port %d is not among those measured here: %s",
                         (int)port, ports);
    return 0;
}

int xenod_wish_way(const struct xeno_json_at *at, const char *allow, const char *ports,
                   struct xenod_answer_to *ret, struct xeno_err *err)
{
    static const char *const keys[] = { "address", "hops", NULL };
    int64_t hops = DEFAULT_HOPS;
    int r = xeno_json_only(at, keys, err);

    if (r == 0)
        r = xeno_json_int_opt(at, "hops", 1, XENOD_TRACE_HOPS, &hops, err);
    if (r >= 0)
        r = read_address(at, allow, 0, ret, err);
    (void)ports; /* a way is asked for by no port */
    ret->way = true;
    ret->count = (unsigned)hops;
    return r;
}
