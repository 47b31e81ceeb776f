/* src/net/session.c - one session's network: build, change, count, tear down. */
#include "net/net.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "net/internal.h"
#include "net/ns.h"

#define RATE_MAX_KBIT                                                                              \
    10000000u /* 10 Gbit/s: what fits the shaper's 32-bit rate with room to spare */
#define RATE_MIN_KBIT 8u

void xeno_net_session_forget(struct xeno_net *net, struct xeno_net_session *s)
{
    HASH_DEL(net->sessions, s);
    free(s);
}

bool xeno_net_session_note_port(struct xeno_net_session *s, struct xeno_net_port port)
{
    if (s->n_ports == XENO_NET_PORTS_MAX)
        return false;
    s->ports[s->n_ports++] = port;
    return true;
}

/* Same port of the host; what it leads to may differ. */
static bool port_clash(struct xeno_net_port a, struct xeno_net_port b)
{
    return a.host_port == b.host_port && a.proto == b.proto;
}

static bool port_equal(struct xeno_net_port a, struct xeno_net_port b)
{
    return port_clash(a, b) && a.port == b.port;
}

static bool port_among(struct xeno_net_port p, const struct xeno_net_port *ports, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (port_equal(p, ports[i]))
            return true;
    }
    return false;
}

static int check_ports(const struct xeno_net_spec *spec, struct xeno_err *err)
{
    if (spec->n_ports > XENO_NET_PORTS_MAX)
        return xeno_fail(err, -EINVAL, "net.port", "%zu published ports, at most %d", spec->n_ports,
                         XENO_NET_PORTS_MAX);
    for (size_t i = 0; i < spec->n_ports; i++) {
        const struct xeno_net_port *p = &spec->ports[i];

        if (p->port == 0 || p->host_port == 0 ||
            (p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP))
            return xeno_fail(err, -EINVAL, "net.port",
                             "port %u as %u of protocol %u cannot be published", p->port,
                             p->host_port, p->proto);
        for (size_t j = 0; j < i; j++) {
            if (port_clash(*p, spec->ports[j]))
                return xeno_fail(err, -EINVAL, "net.port", "host port %u is published twice",
                                 p->host_port);
        }
    }
    return 0;
}

static int check_rate(uint32_t kbit, struct xeno_err *err)
{
    if (kbit != 0 && (kbit < RATE_MIN_KBIT || kbit > RATE_MAX_KBIT))
        return xeno_fail(err, -EINVAL, "net.rate", "%u kbit/s is not between %u and %u", kbit,
                         RATE_MIN_KBIT, RATE_MAX_KBIT);
    return 0;
}

static int check_spec(const struct xeno_net *net, const struct xeno_net_spec *spec,
                      uint32_t *ret_address, struct xeno_err *err)
{
    int r;

    if (!spec->session || !xeno_net_session_ok(spec->session))
        return xeno_fail(err, -EINVAL, "net.session", "'%.40s' cannot be a session's name",
                         spec->session ? spec->session : "");
    r = xeno_net_address_parse(spec->address, ret_address, err);
    if (r < 0)
        return r;
    if (!xeno_net_address_usable(net->pool, *ret_address))
        return xeno_fail(err, -EINVAL, "net.address",
                         "%s is not an address for sessions of the pool", spec->address);
    r = check_rate(spec->to_kbit, err);
    if (r == 0)
        r = check_rate(spec->from_kbit, err);
    return r < 0 ? r : check_ports(spec, err);
}

/* Does another session of this instance have what the spec asks for? */
static int check_others(const struct xeno_net *net, const struct xeno_net_spec *spec,
                        uint32_t address, struct xeno_err *err)
{
    for (const struct xeno_net_session *s = net->sessions; s; s = s->hh.next) {
        if (strcmp(s->name, spec->session) == 0)
            continue;
        if (s->address == address)
            return xeno_fail(err, -EEXIST, "net.address", "%s belongs to session '%s'",
                             spec->address, s->name);
        for (size_t i = 0; i < spec->n_ports; i++) {
            for (size_t j = 0; j < s->n_ports; j++) {
                if (port_clash(spec->ports[i], s->ports[j]))
                    return xeno_fail(err, -EEXIST, "net.port",
                                     "host port %u is published by session '%s'",
                                     s->ports[j].host_port, s->name);
            }
        }
    }
    return 0;
}

/* In the new namespace: what the kernel would otherwise allow or ask too much for. A container's
 * root has no rights over this namespace, so low ports and ping are opened to everybody in it. */
static int settle_inside(struct xeno_rtnl **ret, struct xeno_err *err)
{
    int r = xeno_ns_sysctl("ipv6/conf/all/disable_ipv6", "1", true, err);

    if (r == 0)
        r = xeno_ns_sysctl("ipv6/conf/default/disable_ipv6", "1", true, err);
    if (r == 0)
        r = xeno_ns_sysctl("ipv4/ip_unprivileged_port_start", "0", false, err);
    if (r == 0)
        r = xeno_ns_sysctl("ipv4/ping_group_range", "0 2147483647", true, err);
    return r < 0 ? r : xeno_rtnl_open(ret, err);
}

static int make_namespace(const char *path, int *ret_fd, struct xeno_rtnl **ret_inner,
                          struct xeno_err *err)
{
    struct xeno_ns_home home = XENO_NS_HOME;
    int r = xeno_ns_new(path, &home, ret_fd, err);

    if (r < 0)
        return r;
    r = settle_inside(ret_inner, err);
    xeno_ns_leave(&home);
    return r;
}

/* The name can still be taken by a cable that the kernel has not finished removing. */
static int make_cable(struct xeno_net *net, struct xeno_net_session *s, int ns_fd,
                      struct xeno_err *err)
{
    uint8_t host[XENO_NET_MAC_LEN], own[XENO_NET_MAC_LEN];
    const struct xeno_rtnl_veth veth = {
        .name = s->cable,
        .mac = host,
        .peer_name = "eth0",
        .peer_mac = own,
        .ns_fd = ns_fd,
    };
    int r, old;

    xeno_net_mac_host(s->address, host);
    xeno_net_mac_session(s->address, own);
    r = xeno_rtnl_veth_add(net->rtnl, &veth, err);
    if (r == -EEXIST) {
        old = xeno_rtnl_link_find(net->rtnl, s->cable, NULL);
        if (old > 0)
            (void)xeno_rtnl_link_del(net->rtnl, old, NULL);
        r = xeno_rtnl_veth_add(net->rtnl, &veth, err);
    }
    if (r < 0)
        return r;
    r = xeno_rtnl_link_find(net->rtnl, s->cable, err);
    if (r > 0)
        s->ifindex = r;
    return r < 0 ? r : 0;
}

/* The session's side: address, gateway as a fixed neighbour, everything by the gateway. */
static int furnish_inside(struct xeno_net *net, const struct xeno_net_session *s,
                          struct xeno_rtnl *inner, uint32_t kbit, struct xeno_err *err)
{
    const struct xeno_net_prefix gateway = { .base = net->gateway, .bits = 32 };
    const struct xeno_net_prefix everything = { 0 };
    uint8_t host[XENO_NET_MAC_LEN];
    int eth0 = xeno_rtnl_link_find(inner, "eth0", err), lo, r;

    if (eth0 < 0)
        return eth0;
    lo = xeno_rtnl_link_find(inner, "lo", err);
    if (lo < 0)
        return lo;
    xeno_net_mac_host(s->address, host);
    r = xeno_rtnl_link_up(inner, lo, NULL, false, err);
    if (r == 0)
        r = xeno_rtnl_address_add(inner, eth0, s->address, err);
    if (r == 0)
        r = xeno_rtnl_shape(inner, eth0, kbit, err);
    if (r == 0)
        r = xeno_rtnl_link_up(inner, eth0, NULL, false, err);
    if (r == 0)
        r = xeno_rtnl_neighbour_set(inner, eth0, net->gateway, host, err);
    if (r == 0)
        r = xeno_rtnl_route_set(inner, &(struct xeno_rtnl_route){ .to = gateway, .ifindex = eth0 },
                                err);
    if (r == 0)
        r = xeno_rtnl_route_set(
            inner,
            &(struct xeno_rtnl_route){ .to = everything, .ifindex = eth0, .via = net->gateway },
            err);
    return r;
}

static struct xeno_rtnl_route route_to(const struct xeno_net *net, const struct xeno_net_session *s)
{
    return (struct xeno_rtnl_route){ .to = { .base = s->address, .bits = 32 },
                                     .ifindex = s->ifindex,
                                     .source = net->gateway };
}

/* The host's side; again brings everything back to what it should be. route_localnet lets a
 * connection to 127.0.0.1 leave by this cable; the rules keep 127/8 from coming in by it. */
static int furnish_host(struct xeno_net *net, const struct xeno_net_session *s, uint32_t kbit,
                        struct xeno_err *err)
{
    const struct xeno_rtnl_route route = route_to(net, s);
    uint8_t own[XENO_NET_MAC_LEN];
    char sysctl[64];
    int r;

    xeno_net_mac_session(s->address, own);
    snprintf(sysctl, sizeof sysctl, "ipv6/conf/%s/disable_ipv6", s->cable);
    r = xeno_ns_sysctl(sysctl, "1", true, err);
    snprintf(sysctl, sizeof sysctl, "ipv4/conf/%s/route_localnet", s->cable);
    if (r == 0)
        r = xeno_ns_sysctl(sysctl, "1", false, err);
    if (r == 0)
        r = xeno_rtnl_shape(net->rtnl, s->ifindex, kbit, err);
    if (r == 0)
        r = xeno_rtnl_link_up(net->rtnl, s->ifindex, s->name, true, err);
    if (r == 0)
        r = xeno_rtnl_neighbour_set(net->rtnl, s->ifindex, s->address, own, err);
    if (r == 0)
        r = xeno_rtnl_route_set(net->rtnl, &route, err);
    return r;
}

static struct xeno_elem source_of(const struct xeno_net_session *s, bool remove)
{
    struct xeno_elem e = { .kind = XENO_ELEM_SOURCE, .remove = remove, .address = s->address };

    memcpy(e.cable, s->cable, sizeof e.cable);
    return e;
}

static struct xeno_elem port_of(const struct xeno_net_session *s, struct xeno_net_port p,
                                bool remove)
{
    return (struct xeno_elem){
        .kind = XENO_ELEM_PORT, .remove = remove, .address = s->address, .port = p
    };
}

/* The changes that make the rules say what the spec says: the source, its ports, no others. What we
 * believe to be there is added too: no effect, or repair after somebody flushed the table. */
static size_t wanted(const struct xeno_net_session *s, const struct xeno_net_spec *spec,
                     struct xeno_elem *change)
{
    size_t n = 0;

    change[n++] = source_of(s, false);
    for (size_t i = 0; i < spec->n_ports; i++)
        change[n++] = port_of(s, spec->ports[i], false);
    return n;
}

static int publish(struct xeno_net *net, struct xeno_net_session *s,
                   const struct xeno_net_spec *spec, struct xeno_err *err)
{
    struct xeno_elem change[XENO_ELEM_BATCH_MAX];
    struct xeno_net_port gone[XENO_NET_PORTS_MAX];
    size_t n = 0, n_gone = 0;
    int r;

    for (size_t i = 0; i < s->n_ports; i++) {
        if (port_among(s->ports[i], spec->ports, spec->n_ports))
            continue;
        gone[n_gone++] = s->ports[i];
        change[n++] = port_of(s, s->ports[i], true);
    }
    n += wanted(s, spec, change + n);
    r = xeno_elem_change(net->nft, net->table, change, n, err);
    if (r == -ENOENT) /* what was to be removed had gone already */
        r = xeno_elem_change(net->nft, net->table, change + n_gone, n - n_gone, err);
    if (r < 0)
        return r;
    if (spec->n_ports > 0)
        memcpy(s->ports, spec->ports, spec->n_ports * sizeof *s->ports);
    s->n_ports = spec->n_ports;
    return xeno_net_ports_cut(net, s->address, gone, n_gone, err);
}

static int build(struct xeno_net *net, struct xeno_net_session *s, const char *path,
                 const struct xeno_net_spec *spec, struct xeno_err *err)
{
    xeno_auto(xeno_rtnl) inner = NULL;
    xeno_autoclose int ns_fd = -1;
    int r = make_namespace(path, &ns_fd, &inner, err);

    if (r == 0)
        r = make_cable(net, s, ns_fd, err);
    if (r == 0)
        r = furnish_host(net, s, spec->to_kbit, err);
    if (r == 0)
        r = furnish_inside(net, s, inner, spec->from_kbit, err);
    return r < 0 ? r : publish(net, s, spec, err);
}

static struct xeno_net_session *session_find(struct xeno_net *net, const char *name)
{
    struct xeno_net_session *s;

    HASH_FIND_STR(net->sessions, name, s);
    return s;
}

/* Bring a session that exists to the spec. */
static int adjust(struct xeno_net *net, struct xeno_net_session *s, const char *path,
                  const struct xeno_net_spec *spec, struct xeno_err *err)
{
    xeno_auto(xeno_rtnl) inner = NULL;
    struct xeno_ns_home home = XENO_NS_HOME;
    int r = xeno_ns_enter(path, &home, err);

    if (r < 0)
        return r;
    r = xeno_rtnl_open(&inner, err);
    xeno_ns_leave(&home);
    if (r == 0)
        r = furnish_host(net, s, spec->to_kbit, err);
    if (r == 0)
        r = furnish_inside(net, s, inner, spec->from_kbit, err);
    return r < 0 ? r : publish(net, s, spec, err);
}

static struct xeno_net_session *session_new(struct xeno_net *net, const char *name,
                                            uint32_t address)
{
    struct xeno_net_session *s = xeno_new0(struct xeno_net_session);

    snprintf(s->name, sizeof s->name, "%s", name);
    s->address = address;
    xeno_net_cable_name(net->instance, address - net->pool.base, s->cable);
    HASH_ADD_STR(net->sessions, name, s);
    return s;
}

int xeno_net_session_add(struct xeno_net *net, const struct xeno_net_spec *spec,
                         struct xeno_err *err)
{
    xeno_autofree char *path = NULL;
    struct xeno_net_session *s;
    uint32_t address;
    int r = check_spec(net, spec, &address, err);

    if (r == 0)
        r = check_others(net, spec, address, err);
    if (r < 0)
        return r;
    path = xeno_net_ns_path(net, spec->session);
    s = session_find(net, spec->session);
    if (s && s->address == address && xeno_ns_pinned(path) &&
        xeno_rtnl_link_find(net->rtnl, s->cable, NULL) == s->ifindex) {
        r = adjust(net, s, path, spec, err);
        return r < 0 ? xeno_context(err, r, "network of session '%s'", spec->session) : 0;
    }
    r = xeno_net_session_del(net, spec->session, NULL, err);
    if (r == 0)
        r = xeno_net_stale_settle(net, address, err);
    if (r < 0)
        return r;
    s = session_new(net, spec->session, address);
    r = build(net, s, path, spec, err);
    if (r == 0)
        return 0;
    (void)xeno_net_session_del(net, spec->session, NULL, NULL);
    return xeno_context(err, r, "network of session '%s'", spec->session);
}

int xeno_net_session_set(struct xeno_net *net, const struct xeno_net_spec *spec,
                         struct xeno_err *err)
{
    xeno_autofree char *path = NULL;
    struct xeno_net_session *s;
    uint32_t address;
    int r = check_spec(net, spec, &address, err);

    if (r < 0)
        return r;
    s = session_find(net, spec->session);
    if (!s)
        return xeno_fail(err, -ENOENT, "net.session", "no session '%s' here", spec->session);
    if (s->address != address)
        return xeno_fail(err, -EINVAL, "net.address", "the address of session '%s' cannot change",
                         spec->session);
    r = check_others(net, spec, address, err);
    if (r < 0)
        return r;
    path = xeno_net_ns_path(net, spec->session);
    r = adjust(net, s, path, spec, err);
    return r < 0 ? xeno_context(err, r, "network of session '%s'", spec->session) : 0;
}

/* What the rules know of the session; some of it may be missing after a crash or a foreign flush.
 */
static int unpublish(struct xeno_net *net, const struct xeno_net_session *s, struct xeno_err *err)
{
    struct xeno_elem change[XENO_ELEM_BATCH_MAX];
    size_t n = 0;
    int r;

    change[n++] = source_of(s, true);
    for (size_t i = 0; i < s->n_ports; i++)
        change[n++] = port_of(s, s->ports[i], true);
    r = xeno_elem_change(net->nft, net->table, change, n, NULL);
    for (size_t i = 0; r != 0 && i < n; i++) {
        struct xeno_err why = XENO_ERR_INIT;
        int one = xeno_elem_change(net->nft, net->table, &change[i], 1, &why);

        if (one < 0 && one != -ENOENT) {
            if (err)
                *err = why;
            return one;
        }
    }
    return 0;
}

static void count(const struct xeno_net_session *s, const struct xeno_rtnl_stats *at,
                  struct xeno_net_counters *ret)
{
    snprintf(ret->session, sizeof ret->session, "%s", s->name);
    ret->rx_bytes = at->tx_bytes; /* what our end sends is what the session receives */
    ret->rx_packets = at->tx_packets;
    ret->tx_bytes = at->rx_bytes;
    ret->tx_packets = at->rx_packets;
}

static void count_last(struct xeno_net *net, const struct xeno_net_session *s,
                       struct xeno_net_counters *ret)
{
    xeno_autofree struct xeno_rtnl_stats *stats = NULL;
    size_t n;

    if (s->ifindex > 0 && xeno_rtnl_stats(net->rtnl, s->ifindex, &stats, &n, NULL) == 0 && n == 1)
        count(s, &stats[0], ret);
}

/* First what lets packets pass, then what they pass through, then what remembers them. */
static int tear_down(struct xeno_net *net, struct xeno_net_session *s, const char *path,
                     struct xeno_net_counters *last, struct xeno_err *err)
{
    const struct xeno_rtnl_route route = route_to(net, s);
    int r = unpublish(net, s, err);

    if (r < 0)
        return r;
    count_last(net, s, last);
    if (s->ifindex > 0) {
        r = xeno_rtnl_route_del(net->rtnl, &route, err);
        if (r < 0)
            return r;
    }
    r = xeno_ns_unpin(path, err);
    if (r < 0)
        return r;
    if (last->rx_packets + last->tx_packets > 0) {
        r = xeno_net_stale_mark(net, s->address, err);
        if (r < 0)
            return r;
    }
    xeno_net_session_forget(net, s);
    return 0;
}

int xeno_net_session_del(struct xeno_net *net, const char *session,
                         struct xeno_net_counters *ret_last, struct xeno_err *err)
{
    xeno_autofree char *path = NULL;
    struct xeno_net_counters last = { 0 };
    struct xeno_net_session *s;
    int r;

    if (!xeno_net_session_ok(session))
        return xeno_fail(err, -EINVAL, "net.session", "'%.40s' cannot be a session's name",
                         session);
    path = xeno_net_ns_path(net, session);
    s = session_find(net, session);
    r = s ? tear_down(net, s, path, &last, err) : xeno_ns_unpin(path, err);
    if (r < 0)
        return xeno_context(err, r, "network of session '%s'", session);
    if (ret_last) {
        snprintf(last.session, sizeof last.session, "%s", session);
        *ret_last = last;
    }
    return 0;
}

static int by_index(const void *a, const void *b)
{
    const struct xeno_rtnl_stats *x = a, *y = b;

    return (x->ifindex > y->ifindex) - (x->ifindex < y->ifindex);
}

int xeno_net_counters(struct xeno_net *net, struct xeno_net_counters **ret, size_t *ret_n,
                      struct xeno_err *err)
{
    xeno_autofree struct xeno_rtnl_stats *stats = NULL;
    xeno_autofree struct xeno_net_counters *all = NULL;
    size_t n, got = 0;
    int r = xeno_rtnl_stats(net->rtnl, 0, &stats, &n, err);

    if (r < 0)
        return r;
    if (n > 0)
        qsort(stats, n, sizeof *stats, by_index);
    all = xeno_new0_n(struct xeno_net_counters, HASH_COUNT(net->sessions) + 1);
    for (const struct xeno_net_session *s = net->sessions; s; s = s->hh.next) {
        const struct xeno_rtnl_stats key = { .ifindex = s->ifindex };
        const struct xeno_rtnl_stats *at =
            n > 0 ? bsearch(&key, stats, n, sizeof key, by_index) : NULL;

        if (at)
            count(s, at, &all[got++]);
    }
    *ret = xeno_take(&all);
    *ret_n = got;
    return 0;
}
