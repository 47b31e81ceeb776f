/* src/xenod/targets.h - what may be measured: addresses, networks, ports. Pure. */
#ifndef XENOD_TARGETS_H
#define XENOD_TARGETS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

/* An address with a port, of either family. */
union xenod_address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

/* A numeric address, "192.0.2.1" or "2001:db8::1"; one of IPv4 within IPv6 becomes that one. No
 * scope: an address of a link is nobody else's business. Errors: -EINVAL probe.address. */
int xenod_address_parse(const char *text, uint16_t port, union xenod_address *ret,
                        struct xeno_err *err);
/* The same of what a socket has; false when it is neither family. */
bool xenod_address_of(const struct sockaddr *from, union xenod_address *ret);
socklen_t xenod_address_len(const union xenod_address *a);
uint16_t xenod_address_port(const union xenod_address *a);
/* Without the port. */
#define XENOD_ADDRESS_TEXT 48
#define XENOD_LANDMARKS    8 /* whose ways are published */
const char *xenod_address_text(const union xenod_address *a, char buf[XENOD_ADDRESS_TEXT]);
/* Its network, as it is counted: "192.0.2.0/24", 48 bits of IPv6. */
const char *xenod_address_network(const union xenod_address *a, char buf[XENOD_ADDRESS_TEXT]);

/* Lists of the configuration, with commas; NULL or "" has nothing. Errors: -EINVAL conf.range,
 * naming `option`. */
int xenod_ports_check(const char *list, const char *option, struct xeno_err *err);
bool xenod_ports_have(const char *list, uint16_t port);
/* Addresses, at most `max`. Returns: how many there are. Errors: -EINVAL conf.range. */
int xenod_addresses_read(const char *list, const char *option, size_t max, union xenod_address *ret,
                         struct xeno_err *err);

/* May this address be measured? One of the public internet, or one that is in the list.
 * Errors: -EPERM probe.address. */
int xenod_target_allowed(const union xenod_address *a, const char *allow, struct xeno_err *err);

#endif
