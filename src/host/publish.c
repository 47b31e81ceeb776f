/* src/host/publish.c - host ports: asked for, chosen, given back. */
#include "host/publish.h"

#include <errno.h>

#define SEARCH_MAX 64 /* ports in use by others that are passed over for one */

void ports_init(struct ports *p, uint16_t first, uint16_t last)
{
    size_t count = last >= first && last > 0 ? (size_t)last - first + 1 : 0;

    p->first = first;
    p->last = last;
    pool_init(&p->tcp, count);
    pool_init(&p->udp, count);
}

void ports_release(struct ports *p)
{
    pool_release(&p->tcp);
    pool_release(&p->udp);
}

static const struct pool *pool_of(const struct ports *p, enum xeno_proto proto)
{
    return proto == XENO_PROTO_TCP ? &p->tcp : &p->udp;
}

static void take(struct ports *p, const struct xeno_port *port)
{
    pool_take(port->proto == XENO_PROTO_TCP ? &p->tcp : &p->udp, port->host_port - p->first);
}

static bool in_range(const struct ports *p, uint16_t port)
{
    return p->tcp.count > 0 && port >= p->first && port <= p->last;
}

static bool is_taken(const struct ports *p, const struct xeno_port *port)
{
    return pool_of(p, port->proto)->taken[port->host_port - p->first];
}

static bool in_use(const struct ports *p, enum xeno_proto proto, uint16_t port)
{
    return p->in_use && p->in_use(p->in_use_ctx, proto, port);
}

void ports_keep(struct ports *p, uint16_t port)
{
    const struct xeno_port kept = { .host_port = port, .proto = XENO_PROTO_TCP };

    if (port == 0 || !in_range(p, port) || is_taken(p, &kept))
        return;
    take(p, &kept);
    p->kept++;
}

size_t ports_count(const struct xeno_grant *g, enum xeno_proto proto)
{
    size_t n = 0;

    for (size_t i = 0; i < g->port_count; i++)
        n += g->ports[i].proto == proto;
    return n;
}

static bool asked_before(const struct xeno_grant *g, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (g->ports[j].proto == g->ports[i].proto &&
            g->ports[j].host_port == g->ports[i].host_port)
            return true;
    return false;
}

static int check_one(const struct ports *p, const struct xeno_grant *g, size_t i,
                     struct xeno_err *err)
{
    const struct xeno_port *port = &g->ports[i];
    const char *name = xeno_proto_name(port->proto);

    if (!in_range(p, port->host_port))
        return xeno_fail(err, -ERANGE, "admission.ports",
                         "host port %u: this host publishes %u to %u only", port->host_port,
                         p->first, p->last);
    if (is_taken(p, port))
        return xeno_fail(err, -EAGAIN, "admission.ports",
                         "host port %u/%s is taken; leave hostPort out to be given a free one",
                         port->host_port, name);
    if (asked_before(g, i))
        return xeno_fail(err, -ERANGE, "admission.ports", "host port %u/%s is asked for twice",
                         port->host_port, name);
    if (in_use(p, port->proto, port->host_port))
        return xeno_fail(err, -EAGAIN, "admission.ports",
                         "host port %u/%s is in use by another program there; leave hostPort out "
                         "to be given a free one",
                         port->host_port, name);
    return 0;
}

int ports_check(const struct ports *p, const struct xeno_grant *g, struct xeno_err *err)
{
    int r = 0;

    if (g->addresses > 0)
        return 0;
    for (int proto = XENO_PROTO_TCP; proto <= XENO_PROTO_UDP; proto++) {
        const struct pool *pool = pool_of(p, proto);
        size_t asked = ports_count(g, proto), left = pool->count - pool->used;

        if (asked > left)
            return claim_refuse(err, "admission.ports", "ports", xeno_proto_name(proto),
                                (int64_t)asked, (int64_t)left, (int64_t)pool->count);
    }
    for (size_t i = 0; i < g->port_count && r == 0; i++)
        if (g->ports[i].host_port != 0)
            r = check_one(p, g, i, err);
    return r;
}

void ports_give(struct ports *p, const struct xeno_grant *g)
{
    for (size_t i = 0; g->addresses == 0 && i < g->port_count; i++)
        if (g->ports[i].host_port != 0)
            pool_give(g->ports[i].proto == XENO_PROTO_TCP ? &p->tcp : &p->udp,
                      g->ports[i].host_port - p->first);
}

/* A port that is free, and that nobody else uses. */
static int choose(struct ports *p, enum xeno_proto proto, uint16_t *ret, struct xeno_err *err)
{
    struct pool *pool = proto == XENO_PROTO_TCP ? &p->tcp : &p->udp;
    size_t left = pool->count - pool->used, tries = left < SEARCH_MAX ? left : SEARCH_MAX;

    for (size_t i = 0; i < tries; i++) {
        size_t at = pool_find(pool);
        uint16_t port = (uint16_t)(p->first + at);

        if (!in_use(p, proto, port)) {
            *ret = port;
            return 0;
        }
        pool->next = (at + 1) % pool->count;
    }
    return xeno_fail(err, -EAGAIN, "admission.ports",
                     "ports: all %zu that were tried for %s are in use by other programs there; "
                     "try again later",
                     tries, xeno_proto_name(proto));
}

/* The asked-for ports first, so that a chosen one does not get in their way. */
int ports_take(struct ports *p, struct xeno_grant *g, struct xeno_err *err)
{
    struct xeno_grant now = *g;
    int r = 0;

    if (g->addresses > 0)
        return 0;
    for (size_t i = 0; i < now.port_count; i++)
        if (now.ports[i].host_port != 0)
            take(p, &now.ports[i]);
    for (size_t i = 0; i < now.port_count && r == 0; i++) {
        uint16_t chosen = 0;

        if (now.ports[i].host_port != 0)
            continue;
        r = choose(p, now.ports[i].proto, &chosen, err);
        if (r < 0)
            break;
        now.ports[i].host_port = chosen;
        take(p, &now.ports[i]);
    }
    if (r < 0)
        ports_give(p, &now);
    else
        *g = now;
    return r;
}

int ports_try(struct ports *p, const struct xeno_grant *g, struct xeno_err *err)
{
    struct xeno_grant copy = *g;
    int r;

    if (!p->in_use)
        return 0; /* as many as are left can be had */
    r = ports_take(p, &copy, err);
    if (r == 0)
        ports_give(p, &copy);
    return r;
}

int ports_adopt(struct ports *p, const struct xeno_grant *g, struct xeno_err *err)
{
    if (g->addresses > 0)
        return 0;
    for (size_t i = 0; i < g->port_count; i++)
        if (!in_range(p, g->ports[i].host_port) || is_taken(p, &g->ports[i]) || asked_before(g, i))
            return xeno_fail(err, -EEXIST, "admission.port",
                             "host port %u is taken or not in the range", g->ports[i].host_port);
    for (size_t i = 0; i < g->port_count; i++)
        take(p, &g->ports[i]);
    return 0;
}
