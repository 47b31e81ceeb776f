/* src/xrdd/probed.c - what is probed, and what a XenoServer answers that was asked to. */
#include "xrdd/probed.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/public.h"
#include "json/json.h"
#include "rd/coord.h"

#define HOPS_TEXT (XENO_PATH_HOPS * (INET6_ADDRSTRLEN + 1))

bool xrdd_address_split(const char *text, char host[static INET6_ADDRSTRLEN], unsigned *ret_port)
{
    const char *end = text + strlen(text), *colon = strrchr(text, ':');
    const char *from = text, *to = end;

    *ret_port = 0;
    if (*text == '[') {
        from = text + 1;
        to = strchr(text, ']');
        colon = to && to[1] == ':' ? to + 1 : NULL;
    } else if (colon && strchr(text, ':') == colon) {
        to = colon;
    } else {
        colon = NULL;
    }
    if (!to || to - from >= INET6_ADDRSTRLEN)
        return false;
    snprintf(host, INET6_ADDRSTRLEN, "%.*s", (int)(to - from), from);
    if (colon)
        *ret_port = (unsigned)strtoul(colon + 1, NULL, 10);
    return true;
}

bool xrdd_prefix(const char *host, bool paths, char key[static XRDD_PREFIX_TEXT])
{
    struct sockaddr_in four = { .sin_family = AF_INET };
    struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
    bool is_four = inet_pton(AF_INET, host, &four.sin_addr) == 1;

    *key = paths ? 'p' : 'r';
    if (is_four) {
        if (xeno_http_public((struct sockaddr *)&four))
            four.sin_addr.s_addr &= htonl(0xffffff00);
        return inet_ntop(AF_INET, &four.sin_addr, key + 1, INET6_ADDRSTRLEN) != NULL;
    }
    if (inet_pton(AF_INET6, host, &six.sin6_addr) != 1)
        return false;
    if (xeno_http_public((struct sockaddr *)&six))
        memset(six.sin6_addr.s6_addr + 6, 0, 10);
    return inet_ntop(AF_INET6, &six.sin6_addr, key + 1, INET6_ADDRSTRLEN) != NULL;
}

double xrdd_probed_ms(const char *body, size_t len)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top, list;
    int64_t us[8], n;
    size_t count = 0, have = 0;

    if (xeno_json_parse(body, len, XRDD_PROBED_MAX, &j, NULL) < 0)
        return NAN;
    top = xeno_json_top(j);
    if (xeno_json_arr(&top, "rtt_us", XENO_LEN(us), &list, &count, NULL) < 0)
        return NAN;
    for (size_t i = 0; i < count; i++) { /* sorted as they come: the middle one counts */
        size_t at = have;

        if (xeno_json_item_int(&list, i, 1, (int64_t)XENO_COORD_MAX_MS * 1000, &n, NULL) < 0)
            continue;
        for (; at > 0 && us[at - 1] > n; at--)
            us[at] = us[at - 1];
        us[at] = n;
        have++;
    }
    return have > 0 ? (double)us[(have - 1) / 2] / 1000 : NAN;
}

bool xrdd_probed_path(const char *body, size_t len, struct xeno_path *ret)
{
    xeno_auto(xeno_json) j = NULL;
    char text[HOPS_TEXT] = "";
    struct xeno_json_at top, list;
    struct xeno_path path;
    const char *hop;
    size_t count = 0, used = 0;

    if (xeno_json_parse(body, len, XRDD_PROBED_MAX, &j, NULL) < 0)
        return false;
    top = xeno_json_top(j);
    if (xeno_json_arr(&top, "hops", XENO_PATH_HOPS, &list, &count, NULL) < 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (xeno_json_item_str(&list, i, 1, INET6_ADDRSTRLEN, &hop, NULL) < 0)
            return false;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s ", hop);
        if (used >= sizeof text)
            return false;
    }
    if (xeno_path_read(text, &path, NULL) < 0)
        return false;
    *ret = path;
    return true;
}
