/* src/xstored/options.c - the table of options. */
#include "xstored/options.h"

#include <stddef.h>

#include "base/mem.h"

#define ITEM(field_, name_, type_, ...)                                                            \
    {                                                                                              \
        .name = name_, .type = XENO_CONF_##type_,                                                  \
        .offset = offsetof(struct xstored_options, field_), __VA_ARGS__                            \
    }

#define DAY_MS INT64_C(86400000)

static const struct xeno_conf_item items[] = {
    ITEM(dir, "dir", TEXT, .fallback = XENO_DATA_DIR "/xstored", .min = 1, .max = 200,
         .help = "Folder of the key, the credential and what is known about the objects"),
    ITEM(objects, "objects", TEXT, .max = 200,
         .help = "Folder of the objects themselves; default: objects in dir"),
    ITEM(listen, "listen", TEXT, .fallback = "0.0.0.0:8445", .min = 3, .max = 80,
         .help = "Address and port of the API; not used with socket activation"),
    ITEM(corp_url, "corp-url", TEXT, .min = 8, .max = 200, .required = true,
         .help = "Where the XenoCorp is, for example https://corp.example:8440"),
    ITEM(user, "user", TEXT, .min = 1, .max = 32,
         .help = "User to become when started as root; default: stay"),
    ITEM(operators, "operators", TEXT, .max = 1000, .reloadable = true,
         .help = "Ids of clients who may read the metrics from elsewhere, with commas"),
    ITEM(quota_bytes, "quota", SIZE, .fallback = "10G", .min = 1, .max = INT64_C(1) << 56,
         .reloadable = true,
         .help = "Bytes an owner may have, open uploads included; what several of its repositories "
                 "share counts once"),
    ITEM(entries, "entries", INT, .fallback = "200000", .min = 10, .max = 1000000000,
         .reloadable = true,
         .help = "Links, references of manifests and tags an owner may have, together"),
    ITEM(uploads_per_owner, "uploads-per-owner", INT, .fallback = "64", .min = 1, .max = 10000,
         .reloadable = true, .help = "Uploads an owner may have open at once"),
    ITEM(reserve_bytes, "reserve", SIZE, .fallback = "1G", .min = 1, .max = INT64_C(1) << 50,
         .reloadable = true,
         .help = "Disk that is left free; when less is, nothing new is taken, and deleting works"),
    ITEM(upload_life, "upload-life", DURATION, .fallback = "1d", .min = 1000, .max = 90 * DAY_MS,
         .reloadable = true, .help = "An upload that nothing was added to for so long is dropped"),
    ITEM(grace, "grace", DURATION, .fallback = "1d", .min = 1000, .max = 90 * DAY_MS,
         .reloadable = true,
         .help = "How long a blob is kept that no manifest of its repository needs"),
    ITEM(history, "history", DURATION, .fallback = "7d", .min = 1000, .max = 365 * DAY_MS,
         .reloadable = true,
         .help =
             "How long what a tag stood for is kept after something else took its place, at the "
             "owner's cost"),
    ITEM(scrub_bytes, "scrub-rate", SIZE, .fallback = "8M", .min = 4096, .max = INT64_C(1) << 34,
         .reloadable = true, .unit = "bytes a second",
         .help = "How fast the objects are read again to find damage"),
    ITEM(scrub_every, "scrub-every", DURATION, .fallback = "7d", .min = 1000, .max = 365 * DAY_MS,
         .reloadable = true, .help = "How often all of them are; at that rate it may take longer"),
    ITEM(mirrors, "mirrors", TEXT, .max = 1000, .reloadable = true,
         .unit = "HOST[:PORT] with commas between them",
         .help = "XenoStores of the same XenoCorp from which a damaged object is fetched again, "
                 "tried in their order"),
    ITEM(connections, "connections", INT, .fallback = "2000", .min = 1, .max = 100000,
         .help = "Most connections at once"),
    ITEM(connections_per_address, "connections-per-address", INT, .fallback = "1000", .min = 1,
         .max = 100000, .help = "Most connections from one address"),
    ITEM(running_per_peer, "requests-per-peer", INT, .fallback = "400", .min = 1, .max = 100000,
         .help = "Most requests of one peer at work at once"),
    ITEM(debug, "debug", BOOL, .fallback = "no", .reloadable = true, .help = "Log more"),
    ITEM(s3_url, "s3-url", TEXT, .max = 200,
         .help = "Keep the objects in a bucket that is spoken to as S3, for example "
                 "https://s3.example/BUCKET/PREFIX; objects is a cache then"),
    ITEM(s3_region, "s3-region", TEXT, .fallback = "us-east-1", .min = 1, .max = 60,
         .help = "Region that its requests are signed for"),
    ITEM(s3_keys, "s3-keys", TEXT, .max = 200,
         .help = "File of mode 0600 with the access key and the secret, each a line; default: "
                 "s3-keys in dir"),
    ITEM(s3_ca, "s3-ca", TEXT, .max = 200,
         .help = "File of the CAs its server is checked by; default: those of this machine"),
    ITEM(s3_path_style, "s3-path-style", BOOL, .fallback = "yes",
         .help = "The bucket is in the path; else in the host's name"),
    ITEM(s3_patience, "s3-patience", DURATION, .fallback = "30s", .min = 100, .max = 600000,
         .help = "How long it is tried again before the client is told"),
    ITEM(cache_bytes, "cache", SIZE, .fallback = "10G", .max = INT64_C(1) << 56,
         .help = "Bytes of copies kept of what is in the bucket"),
    ITEM(price, "price-gib-day", CREDIT, .fallback = "0", .max = XENO_CREDIT_MAX,
         .unit = "a GiB and day", .reloadable = true,
         .help = "Price of what is kept; what no certificate pays for is deleted after the grace "
                 "time; 0: all of it is free"),
    ITEM(charge_every, "charge-every", DURATION, .fallback = "1h", .min = 1000, .max = DAY_MS,
         .reloadable = true, .help = "How often it is charged"),
    ITEM(certificates, "certificates", INT, .fallback = "10000", .min = 1, .max = 1000000,
         .reloadable = true, .help = "Certificates that an owner may have here"),
    ITEM(capacity_bytes, "capacity", SIZE, .fallback = "0", .max = INT64_C(1) << 56,
         .help =
             "Bytes this store has for objects, told at enrolment; 0: what is free where they are"),
    XENO_MEMBER_ITEMS(struct xstored_options, told, "xenostore", "store"),
};

static const struct xeno_conf_verb verbs[] = {
    { "enrol", "TOKEN", "make a key, register with the XenoCorp, save the credential" },
    { NULL },
};

const struct xeno_conf_program xstored_program = {
    .name = "xstored",
    .purpose = "XenoStore: keeps templates and overlays, as an OCI registry",
    .items = items,
    .count = XENO_LEN(items),
    .verbs = verbs,
};
