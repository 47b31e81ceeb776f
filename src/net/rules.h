/* src/net/rules.h - the nft table of an instance: its text (pure) and how it is loaded.
 *
 * The table has rules that never change and sets that say which session has what (elem.h). Loading
 * replaces all rules in one transaction and leaves the sets' elements alone, so a restarted process
 * always runs its own version of the rules and no packet meets a half-built table.
 */
#ifndef XENO_NET_RULES_H
#define XENO_NET_RULES_H

#include <stddef.h>

#include "base/err.h"
#include "net/names.h"

struct xeno_net_rules {
    const char *instance;
    struct xeno_net_prefix pool;
    const char *uplink; /* NULL: any */
    const struct xeno_net_prefix *deny;
    size_t n_deny;
    const uint32_t *dns;
    size_t n_dns;
};

/* Names of the sets. */
#define XENO_NET_SET_SOURCE "source"    /* cable . MAC . address: who a session may say it is */
#define XENO_NET_MAP_TCP    "tcp_ports" /* host port : address . port */
#define XENO_NET_MAP_UDP    "udp_ports"

/* "xeno-INST"; buf holds 16 bytes. */
const char *xeno_net_table_name(const char *instance, char buf[16]);

/* The text for nft, the caller's. */
char *xeno_net_rules_text(const struct xeno_net_rules *rules);

/* Run nft commands as one transaction. Errors: token net.nft, with nft's own message. */
int xeno_net_nft(const char *commands, struct xeno_err *err);

#endif
