/* src/http/public.c - the blocks of addresses that are not of the public internet. */
#include "http/public.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* IANA IPv4 special-purpose address registry, multicast and class E. */
static const struct {
    uint32_t block;
    int bits;
} four[] = {
    { 0x00000000, 8 },  /* this network */
    { 0x0a000000, 8 },  /* private */
    { 0x64400000, 10 }, /* shared by carriers */
    { 0x7f000000, 8 },  /* loopback */
    { 0xa9fe0000, 16 }, /* link local: a cloud's metadata, too */
    { 0xac100000, 12 }, /* private */
    { 0xc0000000, 24 }, /* protocol assignments */
    { 0xc0000200, 24 }, /* documentation */
    { 0xc0586300, 24 }, /* 6to4 relays */
    { 0xc0a80000, 16 }, /* private */
    { 0xc6120000, 15 }, /* benchmarks */
    { 0xc6336400, 24 }, /* documentation */
    { 0xcb007100, 24 }, /* documentation */
    { 0xe0000000, 4 },  /* multicast */
    { 0xf0000000, 4 },  /* reserved, broadcast */
};

/* Within 2000::/3, which is all that is given out. */
static const struct {
    uint8_t block[4];
    int bits;
} six[] = {
    { { 0x20, 0x01, 0x00, 0x00 }, 23 }, /* protocol assignments, Teredo */
    { { 0x20, 0x01, 0x0d, 0xb8 }, 32 }, /* documentation */
    { { 0x20, 0x02, 0x00, 0x00 }, 16 }, /* 6to4 */
    { { 0x3f, 0xff, 0x00, 0x00 }, 20 }, /* documentation */
};

static bool public_four(uint32_t a)
{
    for (size_t i = 0; i < XENO_LEN(four); i++)
        if ((a ^ four[i].block) >> (32 - four[i].bits) == 0)
            return false;
    return true;
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool public_six(const uint8_t a[16])
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };

    if (memcmp(a, mapped, sizeof mapped) == 0 || memcmp(a, nat64, sizeof nat64) == 0)
        return public_four(be32(a + 12));
    if (a[0] >> 5 != 1)
        return false;
    for (size_t i = 0; i < XENO_LEN(six); i++)
        if ((be32(a) ^ be32(six[i].block)) >> (32 - six[i].bits) == 0)
            return false;
    return true;
}

bool xeno_http_public(const struct sockaddr *address)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    switch (address->sa_family) {
    case AF_INET:
        memcpy(&in, address, sizeof in);
        return public_four(ntohl(in.sin_addr.s_addr));
    case AF_INET6:
        memcpy(&in6, address, sizeof in6);
        return public_six(in6.sin6_addr.s6_addr);
    default:
        return false;
    }
}

/* --- networks --- */

struct network {
    uint8_t block[16];
    int family, bits;
};

#define WORD_MAX 64

static bool read_network(const char *word, size_t len, struct network *ret)
{
    char text[WORD_MAX + 1], *bits, *end;

    if (len > WORD_MAX)
        return false;
    snprintf(text, sizeof text, "%.*s", (int)len, word);
    bits = strchr(text, '/');
    if (bits)
        *bits++ = '\0';
    ret->family = strchr(text, ':') ? AF_INET6 : AF_INET;
    ret->bits = ret->family == AF_INET6 ? 128 : 32;
    if (bits) {
        long n = strtol(bits, &end, 10);

        if (*bits < '0' || *bits > '9' || *end != '\0' || n > ret->bits)
            return false;
        ret->bits = (int)n;
    }
    return inet_pton(ret->family, text, ret->block) == 1;
}

/* The next word of the list: *len bytes from *at. */
static bool next_word(const char **at, size_t *len)
{
    *at += strspn(*at, ", ");
    *len = strcspn(*at, ", ");
    return *len > 0;
}

int xeno_http_networks_check(const char *list, struct xeno_err *err)
{
    struct network n;
    size_t len;

    for (const char *at = list ? list : ""; next_word(&at, &len); at += len)
        if (!read_network(at, len, &n))
            return xeno_fail(err, -EINVAL, "conf.range", "'%.*s' is no network: ADDRESS/BITS is",
                             (int)(len < WORD_MAX ? len : WORD_MAX), at);
    return 0;
}

static bool in_network(const struct network *n, const uint8_t *a)
{
    int whole = n->bits / 8, rest = n->bits % 8;

    return memcmp(a, n->block, (size_t)whole) == 0 &&
           (rest == 0 || (a[whole] ^ n->block[whole]) >> (8 - rest) == 0);
}

bool xeno_http_networks_have(const char *list, const struct sockaddr *address)
{
    uint8_t a[16] = { 0 };
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct network n;
    size_t len;

    if (address->sa_family == AF_INET) {
        memcpy(&in, address, sizeof in);
        memcpy(a, &in.sin_addr, sizeof in.sin_addr);
    } else if (address->sa_family == AF_INET6) {
        memcpy(&in6, address, sizeof in6);
        memcpy(a, &in6.sin6_addr, sizeof in6.sin6_addr);
    }
    for (const char *at = list ? list : ""; next_word(&at, &len); at += len)
        if (read_network(at, len, &n) && n.family == address->sa_family && in_network(&n, a))
            return true;
    return false;
}
