/* src/imaged/guard.c - what may be connected to, since clients say where to.
 *
 * The address counts, not the name: a name of the public internet can mean an address of ours. What
 * the operator lists may be anywhere. A registry that is not listed cannot lead, by a redirect or
 * by where it sends for tokens, to one that is.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http/public.h"
#include "imaged/imaged.h"

#define PLAIN "http://"

/* Take the next entry of a list with commas: *len bytes from *at. */
static bool next_entry(const char **at, size_t *len)
{
    *at += strspn(*at, ", ");
    *len = strcspn(*at, ", ");
    return *len > 0;
}

bool guard_lists(struct imaged *d, const char *host, bool *ret_plain)
{
    size_t want = strlen(host), len;
    bool found = false;

    *ret_plain = false;
    pthread_mutex_lock(&d->mutex);
    for (const char *at = d->opt.registries ? d->opt.registries : "";
         !found && next_entry(&at, &len); at += len) {
        bool plain = len > strlen(PLAIN) && strncmp(at, PLAIN, strlen(PLAIN)) == 0;
        const char *name = plain ? at + strlen(PLAIN) : at;
        size_t name_len = plain ? len - strlen(PLAIN) : len;

        found = name_len == want && strncasecmp(name, host, want) == 0;
        *ret_plain = found && plain;
    }
    pthread_mutex_unlock(&d->mutex);
    return found;
}

int guard_entries(const char *registries, struct xeno_err *err)
{
    size_t len;

    for (const char *at = registries ? registries : ""; next_entry(&at, &len); at += len) {
        size_t skip = strncmp(at, PLAIN, strlen(PLAIN)) == 0 ? strlen(PLAIN) : 0;
        xeno_autofree char *host = len > skip ? xeno_strndup(at + skip, len - skip) : NULL;

        if (!host || !xeno_registry_host_ok(host))
            return xeno_fail(err, -EINVAL, "conf.range",
                             "registries: '%.*s' is not HOST[:PORT] of a registry",
                             (int)(len < 200 ? len : 200), at);
    }
    return 0;
}

/* Is it on the list by the name and port that are really asked, without a port by the usual one? */
static bool listed_there(struct imaged *d, const struct xeno_http_peer *p)
{
    const char *form = strchr(p->host, ':') ? "[%s]" : "%s";
    char host[XENO_REGISTRY_HOST_MAX + 1], name[XENO_REGISTRY_HOST_MAX + 8];
    struct sockaddr_in in;
    uint16_t port; /* at the same place for both families */
    bool plain;

    memcpy(&in, p->address, sizeof in);
    port = ntohs(in.sin_port);
    snprintf(host, sizeof host, form, p->host);
    snprintf(name, sizeof name, "%s:%u", host, port);
    return guard_lists(d, name, &plain) ||
           (guard_lists(d, host, &plain) && port == (plain ? 80 : 443));
}

int guard_check(void *repo, const struct xeno_http_peer *p, struct xeno_err *err)
{
    struct imaged *d = repo_daemon(repo);
    char address[INET6_ADDRSTRLEN] = "?";
    bool plain;

    if (xeno_http_public(p->address))
        return 0;
    if (guard_lists(d, repo_host(repo), &plain) && listed_there(d, p))
        return 0;
    getnameinfo(p->address,
                p->address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                  : sizeof(struct sockaddr_in),
                address, sizeof address, NULL, 0, NI_NUMERICHOST);
    return xeno_fail(err, -EPERM, "agent.refused",
                     "'%.255s' is at %s, which is not an address of the public internet; the "
                     "XenoServer's operator may allow it (registries)",
                     p->host, address);
}
