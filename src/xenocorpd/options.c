/* src/xenocorpd/options.c - the table of options and verbs. */
#include "xenocorpd/options.h"

#include <stddef.h>

#include "base/mem.h"

#define ITEM(field_, name_, type_, ...)                                                            \
    {                                                                                              \
        .name = name_, .type = XENO_CONF_##type_,                                                  \
        .offset = offsetof(struct corpd_options, field_), __VA_ARGS__                              \
    }

#define DAY_MS INT64_C(86400000)

static const struct xeno_conf_item items[] = {
    ITEM(dir, "dir", TEXT, .fallback = XENO_DATA_DIR "/xenocorpd", .min = 1, .max = 200,
         .help = "Folder of the CA key, the certificates and the ledger"),
    ITEM(listen, "listen", TEXT, .fallback = "127.0.0.1:8440", .min = 3, .max = 80,
         .help = "Address and port of the API; port 0: any; not used with socket activation"),
    ITEM(hosts, "hosts", TEXT, .fallback = "localhost 127.0.0.1 ::1", .min = 1, .max = 400,
         .help = "DNS names and addresses it is reached by, for its certificate"),
    ITEM(db, "db", TEXT, .max = 400,
         .help = "Database of the ledger, sqlite:PATH; default: ledger.db in the folder"),
    ITEM(user, "user", TEXT, .min = 1, .max = 32,
         .help = "User to become when started as root; default: stay"),
    ITEM(fee_bp, "fee", INT, .fallback = "500", .max = 10000, .unit = "1/100 percent",
         .reloadable = true,
         .help = "XenoCorp's part of what XenoServers charge; fixed in an order when it is made"),
    ITEM(credential, "credential-life", DURATION, .fallback = "24h", .min = 10000,
         .max = 90 * DAY_MS, .reloadable = true, .help = "Life of a credential"),
    ITEM(settlement, "settlement", DURATION, .fallback = "24h", .min = 1000, .max = 90 * DAY_MS,
         .reloadable = true,
         .help = "How long after an order's end its charges are taken; fixed when it is made"),
    ITEM(slack, "clock-slack", DURATION, .fallback = "60s", .min = 1000, .max = 3600000,
         .reloadable = true, .help = "How far the clock of a XenoServer may be off"),
    ITEM(keep, "keep-answers", DURATION, .fallback = "24h", .min = 60000, .max = 90 * DAY_MS,
         .reloadable = true,
         .help = "How long a request can be repeated under its Idempotency-Key"),
    ITEM(audit_every, "audit-every", DURATION, .fallback = "24h", .min = 1000, .max = 366 * DAY_MS,
         .reloadable = true,
         .help = "Mean time between two audits of what a XenoStore node is paid to keep"),
    ITEM(audit_patience, "audit-patience", DURATION, .fallback = "1h", .min = 1000,
         .max = 90 * DAY_MS, .reloadable = true,
         .help = "How long a XenoStore node has to answer one"),
    ITEM(connections, "connections", INT, .fallback = "2000", .min = 1, .max = 100000,
         .help = "Most connections at once"),
    ITEM(connections_per_address, "connections-per-address", INT, .fallback = "1000", .min = 1,
         .max = 100000, .help = "Most connections from one address"),
    ITEM(running_per_peer, "requests-per-peer", INT, .fallback = "400", .min = 1, .max = 100000,
         .help = "Most requests of one peer at work at once"),
    ITEM(debug, "debug", BOOL, .fallback = "no", .reloadable = true, .help = "Log more"),
};

static const struct xeno_conf_verb verbs[] = {
    { "init", NULL, "make the CA, the ledger and the first operator's token, which is printed" },
    { "operator-token", NULL, "print another token for an operator; the daemon must not run" },
    { "audit", NULL, "check every rule of the ledger, and recompute the log, from the rows" },
    { NULL, NULL, NULL },
};

const struct xeno_conf_program corpd_program = {
    .name = "xenocorpd",
    .purpose = "XenoCorp: registration, credentials, orders, ledger and charges",
    .items = items,
    .count = XENO_LEN(items),
    .verbs = verbs,
};

struct xeno_corp_policy corpd_policy(const struct corpd_options *o)
{
    return (struct xeno_corp_policy){
        .fee_bp = (int)o->fee_bp,
        .credential = o->credential,
        .settlement = o->settlement,
        .slack = o->slack,
        .keep = o->keep,
        .audit_every = o->audit_every,
        .audit_patience = o->audit_patience,
    };
}
