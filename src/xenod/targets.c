/* src/xenod/targets.c - what may be measured. */
#include "xenod/targets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/public.h"

#define WORD_MAX  64
#define FOUR_BITS 24 /* of a network */
#define SIX_BITS  48

/* --- addresses --- */

/* ::ffff:192.0.2.1 is 192.0.2.1. */
static void unmap(union xenod_address *a)
{
    struct sockaddr_in four = { .sin_family = AF_INET };

    if (a->any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->six.sin6_addr))
        return;
    four.sin_port = a->six.sin6_port;
    memcpy(&four.sin_addr, a->six.sin6_addr.s6_addr + 12, 4);
    memset(a, 0, sizeof *a);
    a->four = four;
}

static bool parse(const char *text, uint16_t port, union xenod_address *ret)
{
    memset(ret, 0, sizeof *ret);
    if (inet_pton(AF_INET, text, &ret->four.sin_addr) == 1) {
        ret->four.sin_family = AF_INET;
        ret->four.sin_port = htons(port);
        return true;
    }
    if (inet_pton(AF_INET6, text, &ret->six.sin6_addr) != 1)
        return false;
    ret->six.sin6_family = AF_INET6;
    ret->six.sin6_port = htons(port);
    unmap(ret);
    return true;
}

int xenod_address_parse(const char *text, uint16_t port, union xenod_address *ret,
                        struct xeno_err *err)
{
    union xenod_address a;

    if (!parse(text, port, &a))
        return xeno_fail(err, -EINVAL, "probe.address",
                         "address '%.64s': a numeric address, IPv4 or IPv6, is needed; names are "
                         "not looked up",
                         text);
    *ret = a;
    return 0;
}

bool xenod_address_of(const struct sockaddr *from, union xenod_address *ret)
{
    memset(ret, 0, sizeof *ret);
    if (from->sa_family == AF_INET)
        memcpy(&ret->four, from, sizeof ret->four);
    else if (from->sa_family == AF_INET6)
        memcpy(&ret->six, from, sizeof ret->six);
    else
        return false;
    unmap(ret);
    return true;
}

socklen_t xenod_address_len(const union xenod_address *a)
{
    return a->any.sa_family == AF_INET ? sizeof a->four : sizeof a->six;
}

uint16_t xenod_address_port(const union xenod_address *a)
{
    return ntohs(a->any.sa_family == AF_INET ? a->four.sin_port : a->six.sin6_port);
}

const char *xenod_address_text(const union xenod_address *a, char buf[XENOD_ADDRESS_TEXT])
{
    const void *bytes = a->any.sa_family == AF_INET ? (const void *)&a->four.sin_addr
                                                    : (const void *)&a->six.sin6_addr;

    if (!inet_ntop(a->any.sa_family, bytes, buf, XENOD_ADDRESS_TEXT))
        buf[0] = '\0';
    return buf;
}

const char *xenod_address_network(const union xenod_address *a, char buf[XENOD_ADDRESS_TEXT])
{
    union xenod_address net = *a;
    size_t len;

    if (net.any.sa_family == AF_INET)
        net.four.sin_addr.s_addr &= htonl(~UINT32_C(0) << (32 - FOUR_BITS));
    else
        memset(net.six.sin6_addr.s6_addr + SIX_BITS / 8, 0, 16 - SIX_BITS / 8);
    xenod_address_text(&net, buf);
    len = strlen(buf);
    snprintf(buf + len, XENOD_ADDRESS_TEXT - len, "/%d",
             net.any.sa_family == AF_INET ? FOUR_BITS : SIX_BITS);
    return buf;
}

/* --- lists --- */

/* The next word of a list with commas, into `word`; false at its end. One that is too long comes
 * cut, and so is no address. */
static bool next_word(const char **list, char word[WORD_MAX])
{
    size_t len;

    if (!*list)
        return false;
    *list += strspn(*list, ", ");
    len = strcspn(*list, ", ");
    if (len == 0)
        return false;
    snprintf(word, WORD_MAX, "%.*s", (int)(len < WORD_MAX ? len : WORD_MAX - 1), *list);
    *list += len;
    return true;
}

static bool read_port(const char *word, uint16_t *ret)
{
    char *end;
    unsigned long n = strtoul(word, &end, 10);

    if (*word < '0' || *word > '9' || *end || n < 1 || n > 65535)
        return false;
    *ret = (uint16_t)n;
    return true;
}

int xenod_ports_check(const char *list, const char *option, struct xeno_err *err)
{
    char word[WORD_MAX];
    uint16_t port;

    while (next_word(&list, word))
        if (!read_port(word, &port))
            return xeno_fail(err, -EINVAL, "conf.range", "%s: '%s' is no port, 1 to 65535", option,
                             word);
    return 0;
}

bool xenod_ports_have(const char *list, uint16_t port)
{
    char word[WORD_MAX];
    uint16_t one;

    while (next_word(&list, word))
        if (read_port(word, &one) && one == port)
            return true;
    return false;
}

int xenod_addresses_read(const char *list, const char *option, size_t max, union xenod_address *ret,
                         struct xeno_err *err)
{
    char word[WORD_MAX];
    size_t n = 0;

    while (next_word(&list, word)) {
        if (n == max)
            return xeno_fail(err, -EINVAL, "conf.range", "%s: more than %zu addresses", option,
                             max);
        if (!parse(word, 0, &ret[n++]))
            return xeno_fail(err, -EINVAL, "conf.range",
                             "%s: '%s' is no numeric address, IPv4 or IPv6", option, word);
    }
    return (int)n;
}

int xenod_target_allowed(const union xenod_address *a, const char *allow, struct xeno_err *err)
{
    char text[XENOD_ADDRESS_TEXT];

    if (xeno_http_public(&a->any) || xeno_http_networks_have(allow, &a->any))
        return 0;
    return xeno_fail(err, -EPERM, "probe.address",
                     "%s is no address of the public internet, and not in the operator's "
                     "probe-allow",
                     xenod_address_text(a, text));
}
