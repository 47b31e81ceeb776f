/* src/imaged/options.c - the table of options. */
#include "imaged/options.h"

#include <stddef.h>

#include "base/mem.h"

#define ITEM(field_, name_, type_, ...)                                                            \
    {                                                                                              \
        .name = name_, .type = XENO_CONF_##type_,                                                  \
        .offset = offsetof(struct imaged_options, field_), __VA_ARGS__                             \
    }

static const struct xeno_conf_item items[] = {
    ITEM(dir, "dir", TEXT, .fallback = XENO_DATA_DIR "/imaged", .min = 1, .max = 200,
         .help = "Folder of the store and of what names stood for"),
    ITEM(socket, "socket", TEXT, .fallback = "/run/xeno-imaged/x1.sock", .min = 1, .max = 107,
         .help = "Unix socket on which xenod, xeno-taskd and xeno-cowfs ask"),
    ITEM(identity, "identity", TEXT, .fallback = XENO_DATA_DIR "/xenod", .max = 200,
         .help = "Folder of xenod's key and credential, which XenoStores of its XenoCorp are "
                 "shown; empty: nobody is"),
    ITEM(user, "user", TEXT, .min = 1, .max = 32,
         .help = "User to become when started as root, that of xenod; default: stay"),
    ITEM(registries, "registries", TEXT, .max = 4000, .reloadable = true,
         .help = "Registries at addresses that are not of the public internet, as HOST[:PORT], "
                 "with commas; with http:// before it, one without TLS on this machine"),
    ITEM(ca_file, "registry-ca", TEXT, .max = 200,
         .help = "CA certificates (PEM) that registries are believed by; default: the machine's"),
    ITEM(auth_file, "registry-auth", TEXT, .max = 200,
         .help = "Passwords for registries, an auth.json as podman login writes it; default: none"),
    ITEM(store_bytes, "store-bytes", SIZE, .fallback = "20G", .min = 1 << 20,
         .max = INT64_C(1) << 56, .reloadable = true,
         .help = "What is kept of images that no session needs, and what layers without a table "
                 "of contents may take while they are fetched"),
    ITEM(reserve_bytes, "reserve", SIZE, .fallback = "1G", .max = INT64_C(1) << 50,
         .reloadable = true, .help = "Disk that is left free"),
    ITEM(connections, "connections", INT, .fallback = "32", .min = 4, .max = 256,
         .help = "Requests to registries at once, in all"),
    ITEM(per_host, "connections-per-host", INT, .fallback = "8", .min = 1, .max = 256,
         .help = "Requests to one registry at once"),
    ITEM(flight_bytes, "flight", SIZE, .fallback = "64M", .min = 8 << 20, .max = INT64_C(1) << 40,
         .help = "Memory for what was asked for and is not handed over yet"),
    ITEM(pace, "pace", DURATION, .fallback = "10s", .min = 1000, .max = 600000,
         .help = "A registry that gives next to nothing for so long is away"),
    ITEM(debug, "debug", BOOL, .fallback = "no", .reloadable = true, .help = "Log more"),
};

static const struct xeno_conf_verb verbs[] = {
    { "status", NULL, "ask the one that runs for its numbers, and print them as JSON" },
    { NULL },
};

const struct xeno_conf_program imaged_program = {
    .name = "xeno-imaged",
    .purpose = "image manager of a XenoServer: fetches what sessions name and the machine has not",
    .items = items,
    .count = XENO_LEN(items),
    .verbs = verbs,
};
