/* src/xisd/options.c - the table of options. */
#include "xisd/options.h"

#include <stddef.h>

#include "base/mem.h"

#define ITEM(field_, name_, type_, ...)                                                            \
    {                                                                                              \
        .name = name_, .type = XENO_CONF_##type_, .offset = offsetof(struct xisd_options, field_), \
        __VA_ARGS__                                                                                \
    }

static const struct xeno_conf_item items[] = {
    ITEM(dir, "dir", TEXT, .fallback = XENO_DATA_DIR "/xisd", .min = 1, .max = 200,
         .help = "Folder of the key, the credential and the database"),
    ITEM(listen, "listen", TEXT, .fallback = "0.0.0.0:8446", .min = 3, .max = 80,
         .help = "Address and port of the API; not used with socket activation"),
    ITEM(corp_url, "corp-url", TEXT, .min = 8, .max = 200, .required = true,
         .help = "Where the XenoCorp is, for example https://corp.example:8440"),
    ITEM(database, "database", TEXT, .max = 500, .secret = true,
         .help = "Where the adverts are kept; default: the file xis.db in dir"),
    ITEM(peers, "peers", TEXT, .max = 3000,
         .help = "URLs of other nodes with databases of their own, with commas: what they have is "
                 "pulled from them"),
    ITEM(user, "user", TEXT, .min = 1, .max = 32,
         .help = "User to become when started as root; default: stay"),
    ITEM(operators, "operators", TEXT, .max = 1000, .reloadable = true,
         .help = "Ids of clients who may read the metrics from elsewhere, with commas"),
    ITEM(adverts, "adverts", INT, .fallback = "1000000", .min = 1, .max = 10000000,
         .help = "Adverts there may be in all, those that were withdrawn included"),
    ITEM(own_bytes, "own-bytes", SIZE, .fallback = "256K", .min = 1024, .max = INT64_C(1) << 30,
         .reloadable = true, .help = "Bytes of a XenoServer's own advert"),
    ITEM(own_rate, "own-rate", INT, .fallback = "20", .min = 1, .max = 1000000, .reloadable = true,
         .unit = "a second",
         .help = "Updates that a credential may send, other than a node's; in a burst five "
                 "times as many"),
    ITEM(other_adverts, "other-adverts", INT, .fallback = "16", .min = 0, .max = 10000000,
         .reloadable = true,
         .help = "Adverts of others that a credential may carry here, other than a node's"),
    ITEM(other_bytes, "other-bytes", SIZE, .fallback = "1M", .min = 1024, .max = INT64_C(1) << 40,
         .reloadable = true, .help = "Their bytes"),
    ITEM(node_adverts, "node-adverts", INT, .fallback = "4096", .min = 0, .max = 10000000,
         .reloadable = true, .help = "Adverts of others that a node may carry here"),
    ITEM(node_bytes, "node-bytes", SIZE, .fallback = "64M", .min = 1024, .max = INT64_C(1) << 40,
         .reloadable = true, .help = "Their bytes"),
    ITEM(node_rate, "node-rate", INT, .fallback = "5000", .min = 1, .max = 1000000,
         .reloadable = true, .unit = "a second",
         .help = "Updates that a node may send; in a burst twice as many"),
    ITEM(own_tokens, "own-tokens", INT, .fallback = "256", .min = 0, .max = 1000000,
         .reloadable = true,
         .help = "Tokens that nobody had before which a credential may bring, other than a node's"),
    ITEM(node_tokens, "node-tokens", INT, .fallback = "16384", .min = 0, .max = 1000000,
         .reloadable = true, .help = "The same of a node"),
    ITEM(lookup_rate, "lookup-rate", INT, .fallback = "1000000", .min = 1, .max = 100000000,
         .reloadable = true, .unit = "a second",
         .help = "Lookups that a credential may ask for; a query counts as 100, and one for each "
                 "advert it looks at"),
    ITEM(watches, "watches", INT, .fallback = "16", .min = 0, .max = 10000, .reloadable = true,
         .help = "Watches that a credential may have"),
    ITEM(waiting, "waiting", INT, .fallback = "16", .min = 0, .max = 10000, .reloadable = true,
         .help = "Requests for changes of one credential that may wait for one at once"),
    ITEM(verify, "verify", BOOL, .fallback = "no",
         .help = "Check all signatures again when the database is read"),
    ITEM(connections, "connections", INT, .fallback = "20000", .min = 1, .max = 100000,
         .help = "Most connections at once"),
    ITEM(connections_per_address, "connections-per-address", INT, .fallback = "2000", .min = 1,
         .max = 100000, .help = "Most connections from one address"),
    ITEM(running_per_peer, "requests-per-peer", INT, .fallback = "400", .min = 1, .max = 100000,
         .help = "Most requests of one peer at work at once"),
    ITEM(debug, "debug", BOOL, .fallback = "no", .reloadable = true, .help = "Log more"),
    XENO_MEMBER_ITEMS(struct xisd_options, told, "xis", "information service"),
};

static const struct xeno_conf_verb verbs[] = {
    { "enrol", "TOKEN", "make a key, register with the XenoCorp, save the credential" },
    { NULL },
};

const struct xeno_conf_program xisd_program = {
    .name = "xisd",
    .purpose = "XenoServer Information Service: keeps adverts and finds them",
    .items = items,
    .count = XENO_LEN(items),
    .verbs = verbs,
};
