/* src/taskd/network.c - the networks of sessions, made in the host's network namespace.
 *
 * The daemon itself lives in an empty one; only for these calls it is in the host's. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "net/resolv.h"
#include "taskd/taskd.h"

#define LIST_MAX 64

static void enter(struct taskd *d)
{
    if (d->netns_host >= 0 && setns(d->netns_host, CLONE_NEWNET) < 0)
        xeno_log(LOG_ERR, "network.enter", "error=%s", strerror(errno));
}

/* Staying in the host's namespace would break the promise of the split: rather end. */
static void leave(struct taskd *d)
{
    if (d->netns_own >= 0 && setns(d->netns_own, CLONE_NEWNET) < 0) {
        xeno_log(LOG_CRIT, "network.leave", "error=%s", strerror(errno));
        abort();
    }
}

/* Words of a list with commas; they point into `text`. */
static size_t split(char *text, const char **words, size_t max)
{
    size_t n = 0;

    for (char *save, *w = text ? strtok_r(text, ", ", &save) : NULL; w && n < max;
         w = strtok_r(NULL, ", ", &save))
        words[n++] = w;
    return n;
}

static char *resolv_text(const struct taskd *d, const char *const *servers, size_t n)
{
    struct xeno_net_dns dns = { .n = 0 };

    (void)d;
    for (size_t i = 0; i < n && dns.n < XENO_NET_DNS_MAX; i++)
        if (strlen(servers[i]) < XENO_NET_ADDRESS_TEXT)
            strcpy(dns.server[dns.n++], servers[i]);
    if (dns.n == 0)
        xeno_net_dns_find("/", &dns);
    return xeno_net_resolv_conf(&dns);
}

static char *netns_path(const struct xeno_task_host *h, const char *session)
{
    return xeno_net_ns_path(h->net, session);
}

int network_open(struct taskd *d, struct xeno_err *err)
{
    xeno_autofree char *deny_text = xeno_strdup(d->conf.deny);
    xeno_autofree char *dns_text = xeno_strdup(d->conf.dns);
    const char *deny[LIST_MAX], *dns[XENO_NET_DNS_MAX];
    struct xeno_net_config config = { .instance = d->conf.instance,
                                      .run_dir = d->conf.dir,
                                      .pool = d->conf.pool,
                                      .uplink = d->conf.uplink && d->conf.uplink[0] ? d->conf.uplink
                                                                                    : NULL,
                                      .deny = deny,
                                      .n_deny = split(deny_text, deny, LIST_MAX),
                                      .dns = dns,
                                      .n_dns = split(dns_text, dns, XENO_NET_DNS_MAX) };
    int r;

    r = xeno_net_open(&config, &d->net, err);
    if (r < 0)
        return r;
    d->host.resolv_conf = resolv_text(d, dns, config.n_dns);
    d->host.net = d->net;
    d->host.netns = netns_path;
    d->netns_host = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (d->netns_host < 0 || unshare(CLONE_NEWNET) < 0)
        return xeno_fail_errno(err, -errno, "taskd.netns", "leave the host's network");
    d->netns_own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (d->netns_own < 0)
        return xeno_fail_errno(err, -errno, "taskd.netns", "open our own network namespace");
    return 0;
}

/* --- calls --- */

static void fill(struct xeno_net_spec *to, struct xeno_net_port *ports, const char *session,
                 const struct xeno_task_spec *spec)
{
    for (size_t i = 0; i < spec->nports; i++)
        ports[i] =
            (struct xeno_net_port){ .port = spec->ports[i].port,
                                    .host_port = spec->ports[i].host_port,
                                    .proto = spec->ports[i].udp ? IPPROTO_UDP : IPPROTO_TCP };
    *to = (struct xeno_net_spec){ .session = session,
                                  .address = spec->address,
                                  .to_kbit = (uint32_t)spec->net_kbps,
                                  .from_kbit = (uint32_t)spec->net_kbps,
                                  .ports = ports,
                                  .n_ports = spec->nports };
}

static int call(struct taskd *d, const char *session, const struct xeno_task_spec *spec,
                int (*fn)(struct xeno_net *, const struct xeno_net_spec *, struct xeno_err *),
                struct xeno_err *err)
{
    struct xeno_net_port ports[XENO_TASK_PORTS_MAX];
    struct xeno_net_spec wish;
    int r;

    if (!d->net || !spec->address[0])
        return 0;
    fill(&wish, ports, session, spec);
    enter(d);
    r = fn(d->net, &wish, err);
    leave(d);
    return r;
}

int network_add(struct taskd *d, const char *session, const struct xeno_task_spec *spec,
                struct xeno_err *err)
{
    return call(d, session, spec, xeno_net_session_add, err);
}

int network_set(struct taskd *d, const char *session, const struct xeno_task_spec *spec,
                struct xeno_err *err)
{
    return call(d, session, spec, xeno_net_session_set, err);
}

int network_del(struct taskd *d, const char *session, struct xeno_err *err)
{
    int r;

    if (!d->net)
        return 0;
    enter(d);
    r = xeno_net_session_del(d->net, session, NULL, err);
    leave(d);
    return r;
}

void network_counters(struct taskd *d, struct xeno_net_counters **ret, size_t *ret_n)
{
    struct xeno_err err = XENO_ERR_INIT;

    *ret = NULL;
    *ret_n = 0;
    if (!d->net)
        return;
    enter(d);
    if (xeno_net_counters(d->net, ret, ret_n, &err) < 0)
        xeno_log_err(LOG_WARNING, "network.counters", &err, "instance=%s", d->conf.instance);
    leave(d);
}

void network_sweep(struct taskd *d)
{
    struct xeno_err err = XENO_ERR_INIT;
    const char **keep;
    struct session *s, *next;
    size_t n = 0;
    int r;

    if (!d->net)
        return;
    keep = xeno_new0_n(const char *, HASH_COUNT(d->sessions) + 1);
    HASH_ITER (hh, d->sessions, s, next) {
        keep[n++] = s->id;
    }
    enter(d);
    r = xeno_net_sweep(d->net, keep, n, &err);
    leave(d);
    free(keep);
    if (r < 0)
        xeno_log_err(LOG_WARNING, "network.sweep", &err, "instance=%s", d->conf.instance);
    else if (r > 0)
        xeno_log(LOG_NOTICE, "network.sweep", "instance=%s removed=%d", d->conf.instance, r);
}

void network_close(struct taskd *d)
{
    xeno_net_free(xeno_take(&d->net));
    free((char *)d->host.resolv_conf);
    if (d->netns_host >= 0)
        close(d->netns_host);
    if (d->netns_own >= 0)
        close(d->netns_own);
}
