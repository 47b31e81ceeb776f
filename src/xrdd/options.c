/* src/xrdd/options.c - the table of options. */
#include "xrdd/options.h"

#include <stddef.h>

#include "base/mem.h"

#define ITEM(field_, name_, type_, ...)                                                            \
    {                                                                                              \
        .name = name_, .type = XENO_CONF_##type_, .offset = offsetof(struct xrdd_options, field_), \
        __VA_ARGS__                                                                                \
    }

static const struct xeno_conf_item items[] = {
    ITEM(dir, "dir", TEXT, .fallback = XENO_DATA_DIR "/xrdd", .min = 1, .max = 200,
         .help = "Folder of the key and the credential; all else is in memory"),
    ITEM(listen, "listen", TEXT, .fallback = "0.0.0.0:8447", .min = 3, .max = 80,
         .help = "Address and port of the API; not used with socket activation"),
    ITEM(corp_url, "corp-url", TEXT, .min = 8, .max = 200, .required = true,
         .help = "Where the XenoCorp is, for example https://corp.example:8440"),
    ITEM(xis, "xis", TEXT, .max = 1000, .required = true, .unit = "URLs with commas between them",
         .help = "XIS nodes whose adverts are followed, for example https://xis.example:8446"),
    ITEM(user, "user", TEXT, .min = 1, .max = 32,
         .help = "User to become when started as root; default: stay"),
    ITEM(operators, "operators", TEXT, .max = 1000, .reloadable = true,
         .help = "Ids of clients who may read the metrics from elsewhere, with commas"),
    ITEM(allow, "allow", TEXT, .max = 1000, .reloadable = true,
         .unit = "ADDRESS/BITS with commas between them",
         .help = "Networks besides the public internet in which XenoServers are asked to measure"),
    ITEM(servers, "servers", INT, .fallback = "200000", .min = 1, .max = 10000000,
         .help = "Adverts kept at most; those that come when it is full are passed over"),
    ITEM(finds_per_minute, "finds-per-minute", INT, .fallback = "600", .min = 1, .max = 1000000,
         .reloadable = true, .help = "Questions of one credential in a minute"),
    ITEM(probes_per_minute, "probes-per-minute", INT, .fallback = "600", .max = 1000000,
         .reloadable = true,
         .help = "Measurements that XenoServers are asked for in a minute, in all; 0: none"),
    ITEM(probes_per_client, "probes-per-client", INT, .fallback = "30", .max = 1000000,
         .reloadable = true,
         .help = "Prefixes that are measured on account of one credential in a minute"),
    ITEM(probe_wait, "probe-wait", DURATION, .fallback = "4s", .min = 100, .max = 20000,
         .reloadable = true, .help = "How long a question waits for measurements at most"),
    ITEM(probe_keep, "probe-keep", DURATION, .fallback = "10m", .min = 1000, .max = 86400000,
         .reloadable = true, .help = "How long what was measured is used again"),
    ITEM(connections, "connections", INT, .fallback = "2000", .min = 1, .max = 100000,
         .help = "Most connections at once"),
    ITEM(connections_per_address, "connections-per-address", INT, .fallback = "1000", .min = 1,
         .max = 100000, .help = "Most connections from one address"),
    ITEM(running_per_peer, "requests-per-peer", INT, .fallback = "100", .min = 1, .max = 100000,
         .help = "Most requests of one peer at work at once"),
    ITEM(debug, "debug", BOOL, .fallback = "no", .reloadable = true, .help = "Log more"),
    XENO_MEMBER_ITEMS(struct xrdd_options, told, "xrdd", "RD system"),
};

static const struct xeno_conf_verb verbs[] = {
    { "enrol", "TOKEN", "make a key, register with the XenoCorp, save the credential" },
    { NULL },
};

const struct xeno_conf_program xrdd_program = {
    .name = "xrdd",
    .purpose = "Resource discovery: finds the XenoServers that have what is needed",
    .items = items,
    .count = XENO_LEN(items),
    .verbs = verbs,
};
