/* src/net/stale.c - addresses whose flows wait to be cut. */
#include <string.h>

#include "net/internal.h"

static bool is_stale(const struct xeno_net *net, uint32_t address)
{
    for (size_t i = 0; i < net->n_stale; i++) {
        if (net->stale[i] == address)
            return true;
    }
    return false;
}

static bool flow_is_stale(const struct xeno_flow *flow, void *user)
{
    const struct xeno_net *net = user;

    return is_stale(net, flow->from) || is_stale(net, flow->to);
}

int xeno_net_stale_cut(struct xeno_net *net, struct xeno_err *err)
{
    int r = net->n_stale > 0 ? xeno_flows_cut(net->flows, flow_is_stale, net, err) : 0;

    if (r < 0)
        return r;
    net->n_stale = 0;
    return 0;
}

int xeno_net_stale_mark(struct xeno_net *net, uint32_t address, struct xeno_err *err)
{
    if (net->n_stale == XENO_LEN(net->stale)) {
        int r = xeno_net_stale_cut(net, err);

        if (r < 0)
            return r;
    }
    if (!is_stale(net, address))
        net->stale[net->n_stale++] = address;
    return 0;
}

int xeno_net_stale_settle(struct xeno_net *net, uint32_t address, struct xeno_err *err)
{
    return is_stale(net, address) ? xeno_net_stale_cut(net, err) : 0;
}

static bool orphan(const struct xeno_net *net, uint32_t address)
{
    return xeno_net_address_usable(net->pool, address) && !xeno_net_owned(net, address);
}

static bool flow_is_orphan(const struct xeno_flow *flow, void *user)
{
    return orphan(user, flow->from) || orphan(user, flow->to);
}

int xeno_net_stale_adopt(struct xeno_net *net, struct xeno_err *err)
{
    int r = xeno_flows_cut(net->flows, flow_is_orphan, net, err);

    return r < 0 ? r : 0;
}

struct closing {
    uint32_t address;
    const struct xeno_net_port *ports;
    size_t n;
};

static bool flow_by_port(const struct xeno_flow *flow, void *user)
{
    const struct closing *c = user;

    for (size_t i = 0; i < c->n && flow->to == c->address; i++) {
        if (flow->proto == c->ports[i].proto && flow->asked_port == c->ports[i].host_port)
            return true;
    }
    return false;
}

int xeno_net_ports_cut(struct xeno_net *net, uint32_t address, const struct xeno_net_port *ports,
                       size_t n, struct xeno_err *err)
{
    struct closing c = { .address = address, .ports = ports, .n = n };
    int r = n > 0 ? xeno_flows_cut(net->flows, flow_by_port, &c, err) : 0;

    return r < 0 ? r : 0;
}
