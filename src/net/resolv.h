/* src/net/resolv.h - which name servers a session is told.
 *
 * A session cannot reach the host's loopback, so a name server there (systemd-resolved's stub, a
 * local dnsmasq) is of no use to it. The order tried: what the operator configured; the host's
 * /etc/resolv.conf; the list of real servers that systemd-resolved keeps in
 * /run/systemd/resolve/resolv.conf. IPv6 and loopback servers are left out. When none is left the
 * session has no name service, and its resolv.conf says so in a comment.
 */
#ifndef XENO_NET_RESOLV_H
#define XENO_NET_RESOLV_H

#include <stddef.h>

#include "base/err.h"
#include "net/net.h"

struct xeno_net_dns {
    char server[XENO_NET_DNS_MAX][XENO_NET_ADDRESS_TEXT];
    size_t n;
};

/* Add the usable servers in the text of a resolv.conf to `dns`, up to its room; pure. */
void xeno_net_dns_parse(const char *text, struct xeno_net_dns *dns);

/* Find the host's usable name servers by reading the two files below `root` ("/" outside tests).
 * Unreadable files count as empty. */
void xeno_net_dns_find(const char *root, struct xeno_net_dns *dns);

/* The text of a session's /etc/resolv.conf; the caller's. Search domains are not passed on: they
 * describe the host. */
char *xeno_net_resolv_conf(const struct xeno_net_dns *dns);

/* The text of a session's /etc/hosts: localhost, and `hostname` (a checked host name) at
 * `address`; the caller's. */
char *xeno_net_hosts(const char *hostname, const char *address);

#endif
