/* src/spec/grant.c - a grant as JSON and back. */
#include "spec/grant.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *xeno_proto_name(enum xeno_proto proto)
{
    return proto == XENO_PROTO_UDP ? "udp" : "tcp";
}

bool xeno_address_ok(const char *text)
{
    char back[XENO_ADDRESS_TEXT];
    struct in_addr a;

    return inet_pton(AF_INET, text, &a) == 1 && inet_ntop(AF_INET, &a, back, sizeof back) &&
           strcmp(text, back) == 0;
}

/* --- grant --- */

static struct xeno_json *ports_json(const struct xeno_grant *g)
{
    struct xeno_json *arr = xeno_json_array();

    for (size_t i = 0; i < g->port_count; i++) {
        struct xeno_json *p = xeno_json_object();

        xeno_json_set_int(p, "port", g->ports[i].port);
        if (g->ports[i].host_port)
            xeno_json_set_int(p, "host_port", g->ports[i].host_port);
        xeno_json_set_str(p, "proto", xeno_proto_name(g->ports[i].proto));
        xeno_json_append(arr, p);
    }
    return arr;
}

struct xeno_json *xeno_grant_json(const struct xeno_grant *g)
{
    struct xeno_json *j = xeno_json_object();

    xeno_json_set_int(j, "cpu_msps", g->cpu_msps);
    xeno_json_set_int(j, "cpu_burst_ms", g->cpu_burst_ms);
    xeno_json_set_int(j, "memory_bytes", g->memory_bytes);
    xeno_json_set_int(j, "disk_bytes", g->disk_bytes);
    xeno_json_set_int(j, "net_kbps", g->net_kbps);
    xeno_json_set_int(j, "pids", g->pids);
    xeno_json_set_int(j, "addresses", g->addresses);
    xeno_json_set_str(j, "address", *g->address ? g->address : NULL);
    xeno_json_set(j, "ports", ports_json(g));
    return j;
}

static int read_port(const struct xeno_json_at *at, struct xeno_port *ret, struct xeno_err *err)
{
    int64_t port, host_port = 0;
    const char *proto = "tcp";
    int r = xeno_json_int(at, "port", 1, 65535, &port, err);

    if (r < 0)
        return r;
    r = xeno_json_int_opt(at, "host_port", 1, 65535, &host_port, err);
    if (r < 0)
        return r;
    r = xeno_json_str_opt(at, "proto", 3, 3, &proto, err);
    if (r < 0)
        return r;
    if (strcmp(proto, "tcp") != 0 && strcmp(proto, "udp") != 0)
        return xeno_fail(err, -EINVAL, "json.range", "%s.proto is neither tcp nor udp", at->path);
    ret->port = (uint16_t)port;
    ret->host_port = (uint16_t)host_port;
    ret->proto = proto[0] == 'u' ? XENO_PROTO_UDP : XENO_PROTO_TCP;
    return 0;
}

static int read_ports(const struct xeno_json_at *at, struct xeno_grant *g, struct xeno_err *err)
{
    struct xeno_json_at ports;
    size_t count = 0;
    int r = xeno_json_arr_opt(at, "ports", XENO_PORTS_MAX, &ports, &count, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        struct xeno_json_at item = xeno_json_item(&ports, i);

        r = read_port(&item, &g->ports[i], err);
        if (r < 0)
            return r;
    }
    g->port_count = count;
    return 0;
}

static int read_address(const struct xeno_json_at *at, struct xeno_grant *g, struct xeno_err *err)
{
    const char *address = "";
    int64_t addresses = 0;
    int r = xeno_json_int_opt(at, "addresses", 0, XENO_ADDRESSES_MAX, &addresses, err);

    if (r < 0)
        return r;
    r = xeno_json_str_opt(at, "address", 7, XENO_ADDRESS_TEXT - 1, &address, err);
    if (r < 0)
        return r;
    if (*address && !xeno_address_ok(address))
        return xeno_fail(err, -EINVAL, "json.range", "%s%saddress is not an IPv4 address", at->path,
                         *at->path ? "." : "");
    g->addresses = (int)addresses;
    snprintf(g->address, sizeof g->address, "%s", address);
    return 0;
}

int xeno_grant_read(const struct xeno_json_at *at, struct xeno_grant *ret, struct xeno_err *err)
{
    struct xeno_grant g = { .address = "" };
    const struct {
        const char *key;
        int64_t min, max, *out;
    } numbers[] = {
        { "cpu_msps", 1, XENO_CPU_MSPS_MAX, &g.cpu_msps },
        { "cpu_burst_ms", 0, XENO_CPU_MSPS_MAX / 10, &g.cpu_burst_ms },
        { "memory_bytes", XENO_MEMORY_BYTES_MIN, XENO_MEMORY_BYTES_MAX, &g.memory_bytes },
        { "disk_bytes", XENO_DISK_BYTES_MIN, XENO_DISK_BYTES_MAX, &g.disk_bytes },
        { "net_kbps", 1, XENO_NET_KBPS_MAX, &g.net_kbps },
        { "pids", 1, XENO_PIDS_MAX, &g.pids },
    };
    int r;

    for (size_t i = 0; i < XENO_LEN(numbers); i++) {
        r = xeno_json_int(at, numbers[i].key, numbers[i].min, numbers[i].max, numbers[i].out, err);
        if (r < 0)
            return r;
    }
    r = read_address(at, &g, err);
    if (r == 0)
        r = read_ports(at, &g, err);
    if (r < 0)
        return r;
    *ret = g;
    return 0;
}

bool xeno_grant_equal(const struct xeno_grant *a, const struct xeno_grant *b)
{
    if (a->cpu_msps != b->cpu_msps || a->cpu_burst_ms != b->cpu_burst_ms ||
        a->memory_bytes != b->memory_bytes || a->disk_bytes != b->disk_bytes ||
        a->net_kbps != b->net_kbps || a->pids != b->pids || a->addresses != b->addresses ||
        strcmp(a->address, b->address) != 0 || a->port_count != b->port_count)
        return false;
    for (size_t i = 0; i < a->port_count; i++) {
        if (a->ports[i].port != b->ports[i].port ||
            a->ports[i].host_port != b->ports[i].host_port ||
            a->ports[i].proto != b->ports[i].proto)
            return false;
    }
    return true;
}

/* --- host names --- */

void xeno_hostname_from(const char *name, char out[XENO_HOSTNAME_TEXT])
{
    size_t n = 0;

    for (; *name && n + 1 < XENO_HOSTNAME_TEXT; name++) {
        char c = *name >= 'A' && *name <= 'Z' ? (char)(*name - 'A' + 'a') : *name;

        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
            out[n++] = c;
        else if (n > 0 && out[n - 1] != '-')
            out[n++] = '-';
    }
    while (n > 0 && out[n - 1] == '-')
        n--;
    out[n] = '\0';
    if (n == 0)
        strcpy(out, "session");
}
