/* src/spec/match.c - can this kind of host do what a requirement asks, at all? */
#include "spec/match.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"

int xeno_kernel_compare(const char *a, const char *b)
{
    for (int i = 0; i < 4; i++) {
        char *end_a, *end_b;
        long x = strtol(a, &end_a, 10), y = strtol(b, &end_b, 10);

        if (x != y)
            return x < y ? -1 : 1;
        /* "6.1" and "6.1.0" are the same; what follows '-' is the distribution's own. */
        a = *end_a == '.' ? end_a + 1 : "0";
        b = *end_b == '.' ? end_b + 1 : "0";
    }
    return 0;
}

static int match_type(const struct xeno_requirement *req, const struct xeno_offer *offer,
                      struct xeno_err *err)
{
    xeno_autobuf list = XENO_BUF_INIT;

    for (const char *const *t = offer->env_types; *t; t++) {
        if (strcmp(*t, req->env_type) == 0)
            return 0;
        xeno_buf_printf(&list, "%s%s", list.len ? ", " : "", *t);
    }
    return xeno_fail(err, -ENOTSUP, "host.env-type", "EnvType: this host runs %s, not %s",
                     list.len ? list.data : "nothing", req->env_type);
}

static int match_kernel(const struct xeno_requirement *req, const struct xeno_offer *offer,
                        struct xeno_err *err)
{
    if (!*req->kernel || !offer->kernel || xeno_kernel_compare(offer->kernel, req->kernel) >= 0)
        return 0;
    return xeno_fail(err, -ENOTSUP, "host.kernel",
                     "EnvKernel: this host has %s, which is older than %s", offer->kernel,
                     req->kernel);
}

static int match_ports(const struct xeno_requirement *req, const struct xeno_offer *offer,
                       struct xeno_err *err)
{
    if (offer->port_last == 0)
        return 0;
    for (size_t i = 0; i < req->port_count; i++) {
        uint16_t p = req->ports[i].host_port;

        if (p != 0 && (p < offer->port_first || p > offer->port_last))
            return xeno_fail(err, -ERANGE, "admission.ports",
                             "Port: hostPort %u is not one of this host's, %u to %u", p,
                             offer->port_first, offer->port_last);
    }
    return 0;
}

int xeno_match(const struct xeno_requirement *req, const struct xeno_offer *offer,
               struct xeno_err *err)
{
    const struct {
        const char *element, *token, *unit;
        int64_t asked, limit, scale; /* scale: of one in the document's unit */
    } rows[] = {
        { "CPUmsps", "admission.cpu", "ms per second", req->cpu_msps, offer->cpu_msps, 1 },
        { "MemoryMB", "admission.memory", "MB", req->memory_bytes, offer->memory_bytes, 1 << 20 },
        { "DiskMB", "admission.disk", "MB", req->disk_bytes, offer->disk_bytes, 1 << 20 },
        { "NetMbps", "admission.net", "Mbit/s", req->net_kbps, offer->net_kbps, 1000 },
        { "MaxProcesses", "admission.pids", "processes", req->pids, offer->pids, 1 },
    };
    int r = match_type(req, offer, err);

    if (r == 0)
        r = match_kernel(req, offer, err);
    for (size_t i = 0; r == 0 && i < XENO_LEN(rows); i++) {
        if (rows[i].limit > 0 && rows[i].asked > rows[i].limit)
            r = xeno_fail(err, -ERANGE, rows[i].token,
                          "%s: %" PRId64 " %s were asked for, the most a session can get here is "
                          "%" PRId64,
                          rows[i].element, rows[i].asked / rows[i].scale, rows[i].unit,
                          rows[i].limit / rows[i].scale);
    }
    if (r == 0 && req->addresses > offer->addresses)
        r = xeno_fail(err, -ERANGE, "admission.addresses",
                      "EnvIPAddresses: this host has no addresses to give; ask for 0");
    if (r == 0)
        r = match_ports(req, offer, err);
    return r;
}
