/* src/net/names.c - names, addresses and prefixes of session networks. */
#include "net/names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

bool xeno_net_instance_ok(const char *name)
{
    size_t n = strnlen(name, XENO_NET_INSTANCE_MAX + 1);

    if (n == 0 || n > XENO_NET_INSTANCE_MAX || !lower(name[0]))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!lower(name[i]) && !digit(name[i]))
            return false;
    }
    return true;
}

bool xeno_net_session_ok(const char *name)
{
    size_t n = strnlen(name, XENO_NET_SESSION_MAX + 1);

    if (n == 0 || n > XENO_NET_SESSION_MAX || name[0] == '-')
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!lower(name[i]) && !digit(name[i]) && name[i] != '-')
            return false;
    }
    return true;
}

int xeno_net_address_parse(const char *text, uint32_t *ret, struct xeno_err *err)
{
    struct in_addr in;

    if (!text || inet_pton(AF_INET, text, &in) != 1)
        return xeno_fail(err, -EINVAL, "net.address", "'%.40s' is not an IPv4 address",
                         text ? text : "");
    *ret = ntohl(in.s_addr);
    return 0;
}

const char *xeno_net_address_text(uint32_t address, char buf[XENO_NET_ADDRESS_TEXT])
{
    struct in_addr in = { .s_addr = htonl(address) };

    return inet_ntop(AF_INET, &in, buf, XENO_NET_ADDRESS_TEXT);
}

static uint32_t mask_of(uint8_t bits)
{
    return bits == 0 ? 0 : UINT32_MAX << (32 - bits);
}

int xeno_net_prefix_parse(const char *text, struct xeno_net_prefix *ret, struct xeno_err *err)
{
    char address[XENO_NET_ADDRESS_TEXT];
    struct xeno_net_prefix p;
    const char *slash = text ? strchr(text, '/') : NULL;
    size_t n = slash ? (size_t)(slash - text) : 0;

    if (n == 0 || n >= sizeof address || !digit(slash[1]) ||
        (slash[2] != '\0' && (slash[1] == '0' || !digit(slash[2]) || slash[3] != '\0')))
        goto bad;
    memcpy(address, text, n);
    address[n] = '\0';
    p.bits = (uint8_t)atoi(slash + 1);
    if (p.bits > 32 || xeno_net_address_parse(address, &p.base, NULL) < 0)
        goto bad;
    if ((p.base & ~mask_of(p.bits)) != 0)
        return xeno_fail(err, -EINVAL, "net.config", "prefix '%s' has bits set beyond its length",
                         text);
    *ret = p;
    return 0;

bad:
    return xeno_fail(err, -EINVAL, "net.config", "'%.40s' is not a prefix such as 10.201.1.0/24",
                     text ? text : "");
}

bool xeno_net_prefix_has(struct xeno_net_prefix p, uint32_t address)
{
    return (address & mask_of(p.bits)) == p.base;
}

uint32_t xeno_net_last_of(struct xeno_net_prefix pool)
{
    return pool.base | ~mask_of(pool.bits);
}

bool xeno_net_address_usable(struct xeno_net_prefix pool, uint32_t address)
{
    return xeno_net_prefix_has(pool, address) && address > xeno_net_gateway_of(pool) &&
           address != xeno_net_last_of(pool);
}

void xeno_net_bridge_name(const char *instance, char buf[IFNAMSIZ])
{
    snprintf(buf, IFNAMSIZ, "xb-%.8s", instance);
}

void xeno_net_cable_name(const char *instance, uint32_t number, char buf[IFNAMSIZ])
{
    snprintf(buf, IFNAMSIZ, "xv%.8s-%x", instance, number & 0xffff);
}

bool xeno_net_cable_number(const char *instance, const char *ifname, uint32_t *ret)
{
    char again[IFNAMSIZ];
    const char *dash = strchr(ifname, '-');
    unsigned long number;

    if (!dash)
        return false;
    number = strtoul(dash + 1, NULL, 16);
    if (number > UINT16_MAX)
        return false;
    xeno_net_cable_name(instance, (uint32_t)number, again);
    if (strcmp(again, ifname) != 0)
        return false;
    *ret = (uint32_t)number;
    return true;
}

/* 02 and 06 say "local, unicast"; 78 is an x. */
static void mac_of(uint8_t kind, uint32_t address, uint8_t mac[XENO_NET_MAC_LEN])
{
    mac[0] = kind;
    mac[1] = 0x78;
    mac[2] = (uint8_t)(address >> 24);
    mac[3] = (uint8_t)(address >> 16);
    mac[4] = (uint8_t)(address >> 8);
    mac[5] = (uint8_t)address;
}

void xeno_net_mac_session(uint32_t address, uint8_t mac[XENO_NET_MAC_LEN])
{
    mac_of(0x02, address, mac);
}

void xeno_net_mac_host(uint32_t address, uint8_t mac[XENO_NET_MAC_LEN])
{
    mac_of(0x06, address, mac);
}
