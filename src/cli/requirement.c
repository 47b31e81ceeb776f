/* src/cli/requirement.c - a requirement document from options. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/cli.h"
#include "cli/make.h"

#define MIB (INT64_C(1) << 20)

int cli_document(const char *path, size_t max, char **ret, size_t *ret_len, struct xeno_err *err)
{
    int r;

    if (strcmp(path, "-") != 0)
        return xeno_file_read(AT_FDCWD, path, max, ret, ret_len, err);
    r = xeno_read_all(STDIN_FILENO, max, ret, ret_len);
    return r < 0 ? xeno_fail_errno(err, r, "io.read", "read the document from standard input") : 0;
}

static int from_file(const char *path, struct xeno_requirement **ret, struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    size_t len;
    int r = cli_document(path, XENO_REQUIREMENT_MAX_BYTES, &text, &len, err);

    if (r < 0)
        return r;
    r = xeno_requirement_parse(text, len, ret, err);
    return r < 0 ? xeno_context(err, r, "%s", path) : 0;
}

static bool port_number(const char *text, size_t len, uint16_t *ret)
{
    char room[8], *end;
    unsigned long n;

    if (len < 1 || len > 5)
        return false;
    memcpy(room, text, len);
    room[len] = '\0';
    n = strtoul(room, &end, 10);
    if (*end != '\0' || n < 1 || n > 65535)
        return false;
    *ret = (uint16_t)n;
    return true;
}

/* "80", "8080:80", "53/udp", "5353:53/udp" */
static int read_port(const char *text, struct xeno_port *ret, struct xeno_err *err)
{
    const char *slash = strchr(text, '/'), *colon = strchr(text, ':');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    struct xeno_port p = { .proto = XENO_PROTO_TCP };
    bool ok = true;

    if (slash && strcmp(slash, "/udp") == 0)
        p.proto = XENO_PROTO_UDP;
    else if (slash && strcmp(slash, "/tcp") != 0)
        ok = false;
    if (colon && ok) {
        ok = port_number(text, (size_t)(colon - text), &p.host_port);
        len -= (size_t)(colon + 1 - text);
        text = colon + 1;
    }
    if (!ok || !port_number(text, len, &p.port))
        return cli_usage(err,
                         "--publish: not PORT, HOST:PORT, PORT/udp or HOST:PORT/udp with ports "
                         "from 1 to 65535");
    *ret = p;
    return 0;
}

static int add_ports(const struct cli_args *args, struct xeno_requirement *req,
                     struct xeno_err *err)
{
    const char *const *list;
    size_t n;

    list = cli_values(args, "publish", &n);
    for (size_t i = 0; i < n; i++) {
        int r;

        if (req->port_count == XENO_PORTS_MAX)
            return cli_usage(err, "--publish: more than %d ports", XENO_PORTS_MAX);
        r = read_port(list[i], &req->ports[req->port_count], err);
        if (r < 0)
            return r;
        req->port_count++;
    }
    return 0;
}

/* A bare name gets the scheme that says what it is. */
static int set_ref(char out[XENO_IMAGE_REF_TEXT], const char *scheme, const char *name,
                   struct xeno_err *err)
{
    bool bare = !strstr(name, "://") && strncmp(name, "sha256:", 7) != 0;
    int n = snprintf(out, XENO_IMAGE_REF_TEXT, "%s%s", bare ? scheme : "", name);

    if (n < 0 || n >= XENO_IMAGE_REF_TEXT)
        return cli_usage(err, "'%s': the name of an image has at most %d characters", name,
                         XENO_IMAGE_REF_TEXT - 1);
    return 0;
}

static int add_images(const struct cli_args *args, struct xeno_requirement *req,
                      struct xeno_err *err)
{
    const char *name = cli_value(args, "template");
    const char *const *list;
    size_t n;
    int r = 0;

    if (name)
        r = set_ref(req->template_ref, "template://", name, err);
    list = cli_values(args, "overlay", &n);
    for (size_t i = 0; r == 0 && i < n; i++) {
        if (req->overlay_count == XENO_OVERLAYS_MAX)
            return cli_usage(err, "--overlay: more than %d", XENO_OVERLAYS_MAX);
        r = set_ref(req->overlays[req->overlay_count++], "overlay://", list[i], err);
    }
    return r;
}

static int add_text(const struct cli_args *args, const char *option, char *out, size_t room,
                    struct xeno_err *err)
{
    const char *text = cli_value(args, option);

    if (text && (!*text || strlen(text) >= room))
        return cli_usage(err, "--%s: 1 to %zu characters", option, room - 1);
    if (text)
        strcpy(out, text); /* its length was checked */
    return 0;
}

static int add_sizes(const struct cli_args *args, struct xeno_requirement *req,
                     struct xeno_err *err)
{
    int64_t mbps = 0, cpu_msps = 0;
    int r;

    r = cli_size(args, "memory", &req->memory_bytes, err);
    if (r == 0)
        r = cli_size(args, "disk", &req->disk_bytes, err);
    if (r == 0 && (req->memory_bytes % MIB != 0 || req->disk_bytes % MIB != 0))
        return cli_usage(err, "--memory and --disk: whole MiB, for example 64M");
    if (r == 0)
        r = cli_number(args, "cpu", 1, XENO_CPU_MSPS_MAX, &cpu_msps, err);
    if (cpu_msps > 0) {
        req->cpu_msps = cpu_msps;
        req->cpu_burst_ms = cpu_msps / 10; /* as a document's, when it names none */
    }
    if (r == 0)
        r = cli_number(args, "burst", 0, XENO_CPU_MSPS_MAX, &req->cpu_burst_ms, err);
    if (r == 0)
        r = cli_number(args, "net", 1, XENO_NET_KBPS_MAX / 1000, &mbps, err);
    if (mbps > 0)
        req->net_kbps = mbps * 1000;
    if (r == 0)
        r = cli_number(args, "pids", 1, XENO_PIDS_MAX, &req->pids, err);
    return r;
}

static int add_limits(const struct cli_args *args, struct xeno_requirement *req,
                      struct xeno_err *err)
{
    xeno_time life = xeno_s(req->lifetime_s);
    xeno_credit total = xeno_micro(req->max_total), hour = xeno_micro(req->max_per_hour);
    int r;

    r = cli_duration(args, "lifetime", &life, err);
    if (r == 0)
        r = cli_credit(args, "max-total", &total, err);
    if (r == 0)
        r = cli_credit(args, "max-price", &hour, err);
    if (r < 0)
        return r;
    req->lifetime_s = (life.ns + XENO_NS_PER_S - 1) / XENO_NS_PER_S;
    req->max_total = total.micro;
    req->max_per_hour = hour.micro;
    return 0;
}

/* What the options made is parsed again: the schema is the one judge of a document, here as there.
 */
static int check(struct xeno_requirement **req, struct xeno_err *err)
{
    size_t len;
    xeno_autofree char *text = xeno_requirement_format(*req, &len);
    struct xeno_requirement *again = NULL;
    int r = xeno_requirement_parse(text, len, &again, err);

    if (r < 0)
        return r;
    xeno_requirement_free(*req);
    *req = again;
    return 0;
}

int cli_requirement(const struct cli_args *args, struct xeno_requirement **ret,
                    struct xeno_err *err)
{
    return cli_requirement_from(args, cli_value(args, "file"), ret, err);
}

int cli_requirement_from(const struct cli_args *args, const char *path,
                         struct xeno_requirement **ret, struct xeno_err *err)
{
    xeno_auto(xeno_requirement) req = NULL;
    int r = 0;

    xeno_spec_init();
    if (path)
        r = from_file(path, &req, err);
    else
        req = xeno_requirement_new(cli_value(args, "name") ? cli_value(args, "name") : "xeno");
    if (r == 0)
        r = add_text(args, "name", req->name, sizeof req->name, err);
    if (r == 0)
        r = add_text(args, "env-type", req->env_type, sizeof req->env_type, err);
    if (r == 0)
        r = add_images(args, req, err);
    if (r == 0)
        r = add_sizes(args, req, err);
    if (r == 0)
        r = add_ports(args, req, err);
    if (r == 0)
        r = add_limits(args, req, err);
    if (r < 0)
        return r;
    if (cli_flag(args, "address"))
        req->addresses = 1;
    r = check(&req, err);
    if (r == 0)
        *ret = xeno_take(&req);
    return r;
}
