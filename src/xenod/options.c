/* src/xenod/options.c - the table of options, and what they must be together. */
#include "xenod/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "http/public.h"
#include "xenod/advertise.h"
#include "xenod/targets.h"

#define ITEM(field_, name_, type_, ...)                                                            \
    {                                                                                              \
        .name = name_, .type = XENO_CONF_##type_,                                                  \
        .offset = offsetof(struct xenod_options, field_), __VA_ARGS__                              \
    }
#define PRICE(field_, name_, fallback_, unit_, help_)                                              \
    ITEM(field_, name_, CREDIT, .fallback = fallback_, .max = INT64_C(1000000000000),              \
         .unit = "credits per " unit_, .reloadable = true, .help = help_)

static const struct xeno_conf_item items[] = {
    ITEM(dir, "dir", TEXT, .fallback = XENO_DATA_DIR "/xenod", .min = 1, .max = 200,
         .help = "Folder of the journal, the key and the credential"),
    ITEM(instance, "instance", TEXT, .fallback = "x1", .min = 1, .max = 8,
         .help = "Name of this XenoServer among those on one machine"),
    ITEM(listen, "listen", TEXT, .fallback = "0.0.0.0:8443", .min = 3, .max = 80,
         .help = "Address and port of the API; not used with socket activation"),
    ITEM(corp_url, "corp-url", TEXT, .min = 8, .max = 200, .required = true,
         .help = "Where the XenoCorp is, for example https://corp.example:8440"),
    ITEM(task_socket, "task-socket", TEXT, .fallback = "/run/xeno-taskd/x1.sock", .min = 1,
         .max = 107, .help = "Unix socket of the task manager, xeno-taskd"),
    ITEM(user, "user", TEXT, .min = 1, .max = 32,
         .help = "User to become when started as root; default: stay"),
    ITEM(driver, "driver", TEXT, .fallback = "oci", .min = 1, .max = 15,
         .help = "How sessions run: oci (containers) or null (nothing runs; for tests)"),
    ITEM(images, "images", TEXT, .max = 200,
         .help = "OCI layout with the templates and overlays sessions start from"),
    ITEM(imaged, "imaged", TEXT, .max = 107,
         .help = "Unix socket of the image manager, xeno-imaged, which fetches images that are not "
                 "on this machine; empty: none is fetched"),
    ITEM(imaged_store, "imaged-store", TEXT, .max = 200,
         .help = "Its image store, the folder store in its dir"),
    ITEM(template_ref, "template", TEXT, .max = 700, .reloadable = true,
         .help = "Template of sessions that name none, for example template://debian:latest"),
    ITEM(pool, "pool", TEXT, .fallback = "10.201.1.0/24", .min = 9, .max = 18,
         .help = "Addresses of sessions; the same as the task manager's"),
    ITEM(own_addresses, "own-addresses", INT, .fallback = "16", .max = 32768,
         .help = "How many of the pool's last addresses are given out whole (EnvIPAddresses 1)"),
    ITEM(port_first, "port-first", INT, .fallback = "20000", .min = 1, .max = 65535,
         .help = "First host port that sessions may publish on"),
    ITEM(port_last, "port-last", INT, .fallback = "29999", .min = 1, .max = 65535,
         .help = "Last one"),
    ITEM(cpu_msps, "capacity.cpu", INT, .max = 1000000, .unit = "ms of CPU per second",
         .fallback = "0", .reloadable = true,
         .help = "Processor time of the machine; 0: all there is"),
    ITEM(memory_bytes, "capacity.memory", SIZE, .fallback = "0", .max = INT64_C(1) << 50,
         .reloadable = true, .help = "Memory of the machine; 0: all there is"),
    ITEM(disk_bytes, "capacity.disk", SIZE, .fallback = "0", .max = INT64_C(1) << 56,
         .reloadable = true, .help = "Disk for writable layers; 0: what is free on that of dir"),
    ITEM(net_mbps, "capacity.net", INT, .fallback = "1000", .min = 1, .max = 400000,
         .unit = "Mbit/s", .reloadable = true, .help = "Network rate of the machine, each way"),
    ITEM(reserve_cpu_msps, "reserve.cpu", INT, .fallback = "100", .max = 1000000,
         .unit = "ms of CPU per second", .reloadable = true,
         .help = "Processor time kept for the platform itself, never sold"),
    ITEM(reserve_memory_bytes, "reserve.memory", SIZE, .fallback = "256M", .max = INT64_C(1) << 50,
         .reloadable = true, .help = "Memory kept for the platform itself"),
    ITEM(reserve_disk_bytes, "reserve.disk", SIZE, .fallback = "1G", .max = INT64_C(1) << 56,
         .reloadable = true, .help = "Disk kept for the platform itself"),
    ITEM(headroom_percent, "headroom", INT, .fallback = "5", .max = 90, .unit = "percent",
         .reloadable = true, .help = "Part of the rest that is sold to nobody"),
    ITEM(sessions_max, "sessions", INT, .fallback = "4096", .min = 1, .max = 65536,
         .reloadable = true, .help = "Most sessions and holds at once"),
    ITEM(owner_sessions_max, "sessions-per-owner", INT, .fallback = "1024", .min = 1, .max = 65536,
         .reloadable = true, .help = "Most sessions and holds of one owner"),
    ITEM(charge_interval, "charge-interval", DURATION, .fallback = "10s", .min = 1000,
         .max = 3600000, .reloadable = true, .help = "How often a session is charged"),
    ITEM(grace, "grace", DURATION, .fallback = "15m", .min = 1000, .max = INT64_C(30) * 86400000,
         .reloadable = true,
         .help = "How long a session is kept, suspended, after its money is out; paid from a part "
                 "of its order set aside"),
    ITEM(hold_ttl, "hold-ttl", DURATION, .fallback = "30s", .min = 1000, .max = 3600000,
         .reloadable = true, .help = "How long a hold lives when the asker does not say"),
    ITEM(hold_ttl_max, "hold-ttl-max", DURATION, .fallback = "5m", .min = 1000, .max = 86400000,
         .reloadable = true, .help = "The longest a hold may live"),
    ITEM(retain, "retain", DURATION, .fallback = "1d", .min = 1000, .max = INT64_C(90) * 86400000,
         .reloadable = true, .help = "How long an ended session is still shown"),
    ITEM(warn_first_percent, "warn-first", INT, .fallback = "20", .min = 1, .max = 99,
         .unit = "percent of the order", .reloadable = true,
         .help = "First warning when this is left"),
    ITEM(warn_last_percent, "warn-last", INT, .fallback = "5", .min = 1, .max = 99,
         .unit = "percent of the order", .reloadable = true, .help = "Last warning"),
    PRICE(cpu_reserved, "tariff.cpu.reserved", "0.0001", "CPU second",
          "Price of reserved processor time"),
    PRICE(cpu_used, "tariff.cpu.used", "0.0005", "CPU second", "Price of processor time used"),
    PRICE(memory_reserved, "tariff.memory.reserved", "0.05", "GiB and hour",
          "Price of reserved memory"),
    PRICE(memory_used, "tariff.memory.used", "0.05", "GiB and hour", "Price of memory used"),
    PRICE(disk_reserved, "tariff.disk.reserved", "0.002", "GiB and hour", "Price of reserved disk"),
    PRICE(disk_used, "tariff.disk.used", "0.002", "GiB and hour", "Price of disk used"),
    PRICE(net_reserved, "tariff.net.reserved", "0.005", "Mbit/s and hour",
          "Price of reserved network rate"),
    PRICE(net_used, "tariff.net.used", "0.1", "GiB", "Price of bytes sent and received"),
    PRICE(address_reserved, "tariff.address.reserved", "0.04", "address and hour",
          "Price of an address of its own"),
    ITEM(operators, "operators", TEXT, .max = 1000, .reloadable = true,
         .help = "Ids of clients who may see and end every session, with commas"),
    ITEM(xis, "xis", TEXT, .max = 3000,
         .help = "Information services that this XenoServer is advertised to: URLs with commas, at "
                 "most 16; none: clients must know its address"),
    ITEM(xis_lease, "xis-lease", DURATION, .fallback = "10m", .min = 1000, .max = 86400000,
         .reloadable = true,
         .help = "How long an advert is good when it is not renewed; six times as long while "
                 "nothing changes"),
    ITEM(xis_interval, "xis-interval", DURATION, .fallback = "5s", .min = 100, .max = 3600000,
         .reloadable = true, .help = "What changed is told no sooner after what was told before"),
    ITEM(place, "place", TEXT, .max = 100, .reloadable = true,
         .help = "Where this machine is, for the advert: Cambridge"),
    ITEM(country, "country", TEXT, .max = 2, .reloadable = true,
         .help = "In which country, two capital letters: GB"),
    ITEM(latitude, "latitude", TEXT, .max = 16, .reloadable = true,
         .help = "Degrees north, as a decimal number: 52.2"),
    ITEM(longitude, "longitude", TEXT, .max = 16, .reloadable = true,
         .help = "Degrees east, as a decimal number: 0.1"),
    ITEM(accept, "accept", TEXT, .max = 256, .reloadable = true,
         .help = "Whom the advert says it accepts: a query, for example "
                 "{\"token\":\"Client/Attr/group\",\"is\":\"staff\"}; empty: everybody"),
    ITEM(connections, "connections", INT, .fallback = "2000", .min = 10, .max = 15000,
         .help = "Most connections at once"),
    ITEM(connections_per_address, "connections-per-address", INT, .fallback = "1000", .min = 1,
         .max = 15000, .help = "Most connections from one address"),
    ITEM(probe_group, "probe-group", INT, .fallback = "16", .max = 32,
         .help = "How many other XenoServers, found by xis, are measured all the time; 0: none"),
    ITEM(probe_interval, "probe-interval", DURATION, .fallback = "60s", .min = 1000,
         .max = 86400000, .help = "How often each of them is"),
    ITEM(probe_refresh, "probe-refresh", DURATION, .fallback = "30m", .min = 1000, .max = 86400000,
         .help = "How often some of them are given up for others"),
    ITEM(probe_rate, "probe-rate", INT, .fallback = "30", .max = 6000, .unit = "a minute",
         .reloadable = true,
         .help = "How many addresses are measured for one party that asks; four times as many for "
                 "all; 0: none"),
    ITEM(probe_ports, "probe-ports", TEXT, .fallback = "443,80", .max = 100, .reloadable = true,
         .help = "Ports that are connected to for others, with commas"),
    ITEM(probe_allow, "probe-allow", TEXT, .max = 1000, .reloadable = true,
         .help = "Networks that may be measured though they are not of the public internet, with "
                 "commas, for example 10.1.0.0/16"),
    ITEM(probe_source, "probe-source", TEXT, .max = 100,
         .help = "Address that is measured from, one of IPv4, of IPv6, or both with a comma; "
                 "empty: the machine's choice"),
    ITEM(landmarks, "landmarks", TEXT, .max = 400,
         .help = "Addresses to which the hops of the way are told, with commas, at most 8"),
    ITEM(debug, "debug", BOOL, .fallback = "no", .reloadable = true, .help = "Log more"),
    XENO_MEMBER_ITEMS(struct xenod_options, told, "xenoserver", "XenoServer"),
};

static const struct xeno_conf_verb verbs[] = {
    { "enrol", "TOKEN", "make a key, register with the XenoCorp, save the credential" },
    { NULL },
};

const struct xeno_conf_program xenod_program = {
    .name = "xenod",
    .purpose = "environment manager of a XenoServer: sells slices of this machine",
    .items = items,
    .count = XENO_LEN(items),
    .verbs = verbs,
};

int xenod_pool_parse(const char *text, uint32_t *ret_first, uint32_t *ret_count,
                     struct xeno_err *err)
{
    char address[32];
    struct in_addr a;
    const char *slash = strchr(text, '/');
    char *end = NULL;
    long bits = slash ? strtol(slash + 1, &end, 10) : 0;
    uint32_t size;

    if (!slash || slash - text >= (long)sizeof address || *end != '\0' || bits < 16 || bits > 29)
        return xeno_fail(err, -EINVAL, "conf.range",
                         "pool = '%.40s': write it as 10.201.1.0/24, /16 to /29", text);
    snprintf(address, sizeof address, "%.*s", (int)(slash - text), text);
    size = UINT32_C(1) << (32 - bits);
    if (inet_pton(AF_INET, address, &a) != 1 || (ntohl(a.s_addr) & (size - 1)) != 0)
        return xeno_fail(err, -EINVAL, "conf.range",
                         "pool = '%.40s': not the first address of a prefix of that length", text);
    *ret_first = ntohl(a.s_addr) + 2;
    *ret_count = size - 3;
    return 0;
}

static int check_probes(const struct xenod_options *o, struct xeno_err *err)
{
    union xenod_address a[XENOD_LANDMARKS];
    int r = xeno_http_networks_check(o->probe_allow, err);

    if (r < 0)
        return xeno_context(err, r, "probe-allow");
    r = xenod_ports_check(o->probe_ports, "probe-ports", err);
    if (r == 0)
        r = xenod_addresses_read(o->probe_source, "probe-source", 2, a, err);
    if (r >= 0)
        r = xenod_addresses_read(o->landmarks, "landmarks", XENOD_LANDMARKS, a, err);
    return r < 0 ? r : 0;
}

int xenod_options_check(const struct xenod_options *o, struct xeno_err *err)
{
    uint32_t first, count;
    size_t len = strlen(o->instance);
    int r;

    if (strspn(o->instance, "abcdefghijklmnopqrstuvwxyz0123456789") != len ||
        (o->instance[0] >= '0' && o->instance[0] <= '9'))
        return xeno_fail(err, -EINVAL, "conf.range",
                         "instance = '%s': lower-case letters and digits, a letter first",
                         o->instance);
    if (o->port_first > o->port_last)
        return xeno_fail(err, -EINVAL, "conf.range", "port-first is above port-last");
    if (o->warn_last_percent >= o->warn_first_percent)
        return xeno_fail(err, -EINVAL, "conf.range", "warn-last must be below warn-first");
    if (o->hold_ttl.ns > o->hold_ttl_max.ns)
        return xeno_fail(err, -EINVAL, "conf.range", "hold-ttl is above hold-ttl-max");
    r = xenod_pool_parse(o->pool, &first, &count, err);
    if (r < 0)
        return r;
    if (!(o->imaged && *o->imaged) != !(o->imaged_store && *o->imaged_store))
        return xeno_fail(err, -EINVAL, "conf.range",
                         "imaged and imaged-store go together: both are the image manager's");
    r = xenod_advertise_check(o, err);
    if (r == 0)
        r = check_probes(o, err);
    if (r < 0)
        return r;
    if (o->own_addresses >= count)
        return xeno_fail(err, -EINVAL, "conf.range",
                         "own-addresses: the pool has %u addresses for sessions, and some must be "
                         "left for address translation",
                         count);
    return 0;
}
