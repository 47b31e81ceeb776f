/* src/rd/place.c - how requests name places in the network. */
#include "rd/place.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static bool is_address(int family, const char *text)
{
    struct in6_addr any;

    return inet_pton(family, text, &any) == 1;
}

static bool port_read(const char *text, uint16_t *ret)
{
    size_t len = strspn(text, "0123456789");
    long n;

    if (len == 0 || len > 5 || text[len] != '\0')
        return false;
    n = strtol(text, NULL, 10);
    if (n < 1 || n > UINT16_MAX)
        return false;
    *ret = (uint16_t)n;
    return true;
}

bool xeno_rd_address(const char *text, char ret_host[XENO_RD_ADDRESS], uint16_t *ret_port)
{
    char host[XENO_RD_ADDRESS];
    bool brackets = *text == '[';
    uint16_t port = 0;
    char *end;

    if (strlen(text) >= sizeof(host))
        return false;
    snprintf(host, sizeof(host), "%s", text + brackets);
    if (brackets) {
        end = strchr(host, ']');
        if (!end || (end[1] != '\0' && (end[1] != ':' || !port_read(end + 2, &port))))
            return false;
        *end = '\0';
        if (!is_address(AF_INET6, host))
            return false;
    } else if (!is_address(AF_INET6, host)) {
        end = strchr(host, ':');
        if (end && !port_read(end + 1, &port))
            return false;
        if (end)
            *end = '\0';
        if (!is_address(AF_INET, host))
            return false;
    }
    memcpy(ret_host, host, sizeof(host));
    *ret_port = port;
    return true;
}
