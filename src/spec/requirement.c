/* src/spec/requirement.c - the requirement document to a struct and back. */
#include "spec/requirement.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "spec/schema.h"

#define MIB  (INT64_C(1) << 20)
#define KBPS INT64_C(1000) /* in a NetMbps */

#define DEFAULT_MSPS       100
#define DEFAULT_NET_KBPS   (10 * KBPS)
#define DEFAULT_MEMORY     (128 * MIB)
#define DEFAULT_DISK       (256 * MIB)
#define DEFAULT_LIFETIME_S 3600
#define DEFAULT_PIDS       256

void xeno_requirement_free(struct xeno_requirement *req)
{
    free(req);
}

/* --- reading: the schema has checked every form and bound before --- */

static void read_text(const struct xeno_xml_node *parent, const char *name, char *out, size_t size)
{
    const struct xeno_xml_node *n = xeno_xml_child(parent, name);
    xeno_autofree char *text = n ? xeno_xml_token(n) : NULL;

    if (text)
        snprintf(out, size, "%s", text);
}

static int64_t number_of(const char *text)
{
    return strtoll(text, NULL, 10);
}

static void read_number(const struct xeno_xml_node *parent, const char *name, int64_t factor,
                        int64_t *ret)
{
    const struct xeno_xml_node *n = xeno_xml_child(parent, name);
    xeno_autofree char *text = n ? xeno_xml_token(n) : NULL;

    if (text)
        *ret = number_of(text) * factor;
}

static int read_credits(const struct xeno_xml_node *parent, const char *name, int64_t *ret,
                        struct xeno_err *err)
{
    const struct xeno_xml_node *n = xeno_xml_child(parent, name);
    xeno_autofree char *text = n ? xeno_xml_token(n) : NULL;
    xeno_credit c;
    int r;

    if (!text)
        return 0;
    r = xeno_credit_parse(text, &c, err);
    if (r < 0)
        return xeno_context(err, r, "line %d: %s", xeno_xml_line(n), name);
    *ret = c.micro;
    return 0;
}

static void read_port(const struct xeno_xml_node *n, struct xeno_port *ret)
{
    xeno_autofree char *port = xeno_xml_attr(n, "port");
    xeno_autofree char *host_port = xeno_xml_attr(n, "hostPort");
    xeno_autofree char *proto = xeno_xml_attr(n, "protocol");

    ret->port = (uint16_t)number_of(port);
    ret->host_port = host_port ? (uint16_t)number_of(host_port) : 0;
    ret->proto = proto && strstr(proto, "udp") ? XENO_PROTO_UDP : XENO_PROTO_TCP;
}

static int read_network(const struct xeno_xml_node *n, struct xeno_requirement *req,
                        struct xeno_err *err)
{
    int64_t addresses = 0;

    read_number(n, "EnvIPAddresses", 1, &addresses);
    req->addresses = (int)addresses;
    for (n = xeno_xml_child(n, "Port"); n; n = xeno_xml_next(n, "Port")) {
        struct xeno_port p;

        read_port(n, &p);
        for (size_t i = 0; i < req->port_count; i++) {
            const struct xeno_port *o = &req->ports[i];

            if (o->proto == p.proto &&
                (o->port == p.port || (p.host_port && o->host_port == p.host_port)))
                return xeno_fail(err, -EINVAL, "spec.port",
                                 "line %d: Port: %s port %u (hostPort %u) is in the document twice",
                                 xeno_xml_line(n), xeno_proto_name(p.proto), p.port, p.host_port);
        }
        req->ports[req->port_count++] = p;
    }
    return 0;
}

static int read_qos(const struct xeno_xml_node *n, struct xeno_requirement *req,
                    struct xeno_err *err)
{
    read_number(n, "CPUmsps", 1, &req->cpu_msps);
    req->cpu_burst_ms = req->cpu_msps / 10;
    read_number(n, "CPUBurstMs", 1, &req->cpu_burst_ms);
    read_number(n, "NetMbps", KBPS, &req->net_kbps);
    read_number(n, "MemoryMB", MIB, &req->memory_bytes);
    read_number(n, "DiskMB", MIB, &req->disk_bytes);
    if (req->cpu_burst_ms > req->cpu_msps / 10)
        return xeno_fail(err, -EINVAL, "spec.burst",
                         "line %d: CPUBurstMs: %" PRId64 " is more than %" PRId64
                         ", a tenth of CPUmsps, which is what one scheduling period can hold",
                         xeno_xml_line(xeno_xml_child(n, "CPUBurstMs")), req->cpu_burst_ms,
                         req->cpu_msps / 10);
    return 0;
}

static int read_limits(const struct xeno_xml_node *n, struct xeno_requirement *req,
                       struct xeno_err *err)
{
    int r;

    read_number(n, "LifetimeSeconds", 1, &req->lifetime_s);
    read_number(n, "MaxTasks", 1, &req->tasks);
    read_number(n, "MaxProcesses", 1, &req->pids);
    r = read_credits(n, "MaxPricePerHour", &req->max_per_hour, err);
    if (r < 0)
        return r;
    return read_credits(n, "MaxTotal", &req->max_total, err);
}

static void read_basic(const struct xeno_xml_node *n, struct xeno_requirement *req)
{
    read_text(n, "EnvName", req->name, sizeof req->name);
    read_text(n, "EnvType", req->env_type, sizeof req->env_type);
    read_text(n, "EnvKernel", req->kernel, sizeof req->kernel);
    read_text(n, "EnvTemplate", req->template_ref, sizeof req->template_ref);
    for (n = xeno_xml_child(n, "EnvOverlay"); n; n = xeno_xml_next(n, "EnvOverlay")) {
        xeno_autofree char *text = xeno_xml_token(n);

        snprintf(req->overlays[req->overlay_count++], XENO_IMAGE_REF_TEXT, "%s", text);
    }
}

static struct xeno_requirement *new_default(void)
{
    struct xeno_requirement *req = xeno_new0(struct xeno_requirement);

    req->cpu_msps = DEFAULT_MSPS;
    req->cpu_burst_ms = DEFAULT_MSPS / 10;
    req->net_kbps = DEFAULT_NET_KBPS;
    req->memory_bytes = DEFAULT_MEMORY;
    req->disk_bytes = DEFAULT_DISK;
    req->lifetime_s = DEFAULT_LIFETIME_S;
    req->tasks = XENO_TASKS_MAX;
    req->pids = DEFAULT_PIDS;
    return req;
}

int xeno_requirement_from(const struct xeno_xml_node *root, struct xeno_requirement **ret,
                          struct xeno_err *err)
{
    xeno_auto(xeno_requirement) req = new_default();
    int r;

    read_basic(xeno_xml_child(root, "Basic"), req);
    r = read_network(xeno_xml_child(root, "Network"), req, err);
    if (r == 0)
        r = read_qos(xeno_xml_child(root, "QoS"), req, err);
    if (r == 0)
        r = read_limits(xeno_xml_child(root, "Limits"), req, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&req);
    return 0;
}

int xeno_requirement_parse(const char *text, size_t len, struct xeno_requirement **ret,
                           struct xeno_err *err)
{
    xeno_auto(xeno_xml) x = NULL;
    int r =
        xeno_xml_parse(text, len, XENO_REQUIREMENT_MAX_BYTES, xeno_schema_requirements(), &x, err);

    return r < 0 ? r : xeno_requirement_from(xeno_xml_root(x), ret, err);
}

struct xeno_requirement *xeno_requirement_new(const char *name)
{
    struct xeno_requirement *req = new_default();
    size_t n = 0;

    for (; *name && n + 1 < sizeof req->name; name++) {
        bool alnum = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
                     (*name >= '0' && *name <= '9');

        if (alnum || (n > 0 && strchr("._-", *name)))
            req->name[n++] = *name;
        else if (n > 0)
            req->name[n++] = '-';
    }
    if (n == 0)
        strcpy(req->name, "session");
    strcpy(req->env_type, "Linux");
    return req;
}

/* --- writing --- */

static void put_number(struct xeno_buf *b, const char *element, int64_t n)
{
    xeno_buf_printf(b, "    <%s>%" PRId64 "</%s>\n", element, n, element);
}

static void put_credits(struct xeno_buf *b, const char *element, int64_t micro)
{
    char text[XENO_CREDIT_TEXT];

    if (micro > 0)
        xeno_xml_put(b, 2, element, xeno_credit_text(xeno_micro(micro), text));
}

static void put_optional(struct xeno_buf *b, const char *element, const char *text)
{
    if (*text)
        xeno_xml_put(b, 2, element, text);
}

static void put_network(struct xeno_buf *b, const struct xeno_requirement *req)
{
    xeno_buf_puts(b, "  <Network>\n");
    put_number(b, "EnvIPAddresses", req->addresses);
    for (size_t i = 0; i < req->port_count; i++) {
        const struct xeno_port *p = &req->ports[i];

        xeno_buf_printf(b, "    <Port port=\"%u\" protocol=\"%s\"", p->port,
                        xeno_proto_name(p->proto));
        if (p->host_port)
            xeno_buf_printf(b, " hostPort=\"%u\"", p->host_port);
        xeno_buf_puts(b, "/>\n");
    }
    xeno_buf_puts(b, "  </Network>\n");
}

char *xeno_requirement_format(const struct xeno_requirement *req, size_t *ret_len)
{
    xeno_autobuf b = XENO_BUF_INIT;

    xeno_buf_puts(&b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                      "<EnvironmentalRequirements>\n  <Basic>\n");
    xeno_xml_put(&b, 2, "EnvName", req->name);
    xeno_xml_put(&b, 2, "EnvType", req->env_type);
    put_optional(&b, "EnvKernel", req->kernel);
    put_optional(&b, "EnvTemplate", req->template_ref);
    for (size_t i = 0; i < req->overlay_count; i++)
        xeno_xml_put(&b, 2, "EnvOverlay", req->overlays[i]);
    xeno_buf_puts(&b, "  </Basic>\n");
    put_network(&b, req);
    xeno_buf_puts(&b, "  <QoS>\n");
    put_number(&b, "CPUmsps", req->cpu_msps);
    put_number(&b, "CPUBurstMs", req->cpu_burst_ms);
    put_number(&b, "NetMbps", req->net_kbps / KBPS);
    put_number(&b, "MemoryMB", req->memory_bytes / MIB);
    put_number(&b, "DiskMB", req->disk_bytes / MIB);
    xeno_buf_puts(&b, "  </QoS>\n  <Limits>\n");
    put_number(&b, "LifetimeSeconds", req->lifetime_s);
    put_credits(&b, "MaxPricePerHour", req->max_per_hour);
    put_credits(&b, "MaxTotal", req->max_total);
    put_number(&b, "MaxTasks", req->tasks);
    put_number(&b, "MaxProcesses", req->pids);
    xeno_buf_puts(&b, "  </Limits>\n</EnvironmentalRequirements>\n");
    return xeno_buf_take(&b, ret_len);
}

static bool ports_equal(const struct xeno_requirement *a, const struct xeno_requirement *b)
{
    if (a->port_count != b->port_count)
        return false;
    for (size_t i = 0; i < a->port_count; i++) {
        const struct xeno_port *p = &a->ports[i], *q = &b->ports[i];

        if (p->port != q->port || p->host_port != q->host_port || p->proto != q->proto)
            return false;
    }
    return true;
}

static bool overlays_equal(const struct xeno_requirement *a, const struct xeno_requirement *b)
{
    if (a->overlay_count != b->overlay_count)
        return false;
    for (size_t i = 0; i < a->overlay_count; i++) {
        if (strcmp(a->overlays[i], b->overlays[i]) != 0)
            return false;
    }
    return true;
}

bool xeno_requirement_equal(const struct xeno_requirement *a, const struct xeno_requirement *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->env_type, b->env_type) == 0 &&
           strcmp(a->kernel, b->kernel) == 0 && strcmp(a->template_ref, b->template_ref) == 0 &&
           overlays_equal(a, b) && a->addresses == b->addresses && ports_equal(a, b) &&
           a->cpu_msps == b->cpu_msps && a->cpu_burst_ms == b->cpu_burst_ms &&
           a->net_kbps == b->net_kbps && a->memory_bytes == b->memory_bytes &&
           a->disk_bytes == b->disk_bytes && a->lifetime_s == b->lifetime_s &&
           a->max_per_hour == b->max_per_hour && a->max_total == b->max_total &&
           a->tasks == b->tasks && a->pids == b->pids;
}

void xeno_requirement_grant(const struct xeno_requirement *req, struct xeno_grant *ret)
{
    *ret = (struct xeno_grant){
        .cpu_msps = req->cpu_msps,
        .cpu_burst_ms = req->cpu_burst_ms,
        .memory_bytes = req->memory_bytes,
        .disk_bytes = req->disk_bytes,
        .net_kbps = req->net_kbps,
        .pids = req->pids,
        .addresses = req->addresses,
        .port_count = req->port_count,
    };
    memcpy(ret->ports, req->ports, req->port_count * sizeof *ret->ports);
}
