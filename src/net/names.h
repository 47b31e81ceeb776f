/* src/net/names.h - names, addresses and prefixes of session networks, checked and made. Pure.
 *
 * Addresses are in host byte order here; netlink code converts.
 */
#ifndef XENO_NET_NAMES_H
#define XENO_NET_NAMES_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "net/net.h"

#define XENO_NET_MAC_LEN 6

struct xeno_net_prefix {
    uint32_t base; /* host bits are zero */
    uint8_t bits;
};

bool xeno_net_instance_ok(const char *name);
bool xeno_net_session_ok(const char *name);

/* "10.201.1.7"; exactly four decimal numbers. Errors: -EINVAL net.address. */
int xeno_net_address_parse(const char *text, uint32_t *ret, struct xeno_err *err);
const char *xeno_net_address_text(uint32_t address, char buf[XENO_NET_ADDRESS_TEXT]);

/* "10.201.1.0/24"; host bits must be zero. Errors: -EINVAL net.config. */
int xeno_net_prefix_parse(const char *text, struct xeno_net_prefix *ret, struct xeno_err *err);
bool xeno_net_prefix_has(struct xeno_net_prefix p, uint32_t address);

/* The first address of the pool is the gateway; sessions have the following ones, without the
 * last: who calls from the host's 127/8 is seen by it (rules.c). */
static inline uint32_t xeno_net_gateway_of(struct xeno_net_prefix pool)
{
    return pool.base + 1;
}
uint32_t xeno_net_last_of(struct xeno_net_prefix pool);
bool xeno_net_address_usable(struct xeno_net_prefix pool, uint32_t address);

/* The bridge "xb-INST" and the host's end of a cable, "xvINST-N" where N is the address's number
 * in the pool in hexadecimal: pools are a /16 at most, so the name always fits. */
void xeno_net_bridge_name(const char *instance, char buf[IFNAMSIZ]);
void xeno_net_cable_name(const char *instance, uint32_t number, char buf[IFNAMSIZ]);

/* The number in a cable's name; false when it is not one of this instance. */
bool xeno_net_cable_number(const char *instance, const char *ifname, uint32_t *ret);

/* Locally administered MACs made from the session's address: the session's own and the host's end.
 */
void xeno_net_mac_session(uint32_t address, uint8_t mac[XENO_NET_MAC_LEN]);
void xeno_net_mac_host(uint32_t address, uint8_t mac[XENO_NET_MAC_LEN]);

#endif
