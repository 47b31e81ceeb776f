/* src/net/flows.c - cut what is in progress. */
#include "net/flows.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <stdbool.h>

#include "base/mem.h"

struct cut {
    uint32_t address; /* network order */
    const struct xeno_net_port *ports;
    size_t n_ports;
    struct nf_conntrack **found;
    size_t n, room;
};

static bool by_port(const struct cut *c, const struct nf_conntrack *ct)
{
    for (size_t i = 0; i < c->n_ports; i++) {
        if (nfct_get_attr_u8(ct, ATTR_L4PROTO) == c->ports[i].proto &&
            ntohs(nfct_get_attr_u16(ct, ATTR_ORIG_PORT_DST)) == c->ports[i].host_port)
            return true;
    }
    return false;
}

static int on_flow(enum nf_conntrack_msg_type type, struct nf_conntrack *ct, void *user)
{
    struct cut *c = user;
    bool in = nfct_get_attr_u32(ct, ATTR_REPL_IPV4_SRC) == c->address;
    bool out = nfct_get_attr_u32(ct, ATTR_ORIG_IPV4_SRC) == c->address;

    (void)type;
    if (!(c->n_ports > 0 ? in && by_port(c, ct) : in || out))
        return NFCT_CB_CONTINUE;
    if (c->n == c->room) {
        c->room = c->room ? c->room * 2 : 16;
        c->found = xeno_grow(c->found, c->room);
    }
    c->found[c->n++] = ct;
    return NFCT_CB_STOLEN;
}

int xeno_net_flows_cut(uint32_t address, const struct xeno_net_port *ports, size_t n_ports,
                       struct xeno_err *err)
{
    struct cut c = { .address = htonl(address), .ports = ports, .n_ports = n_ports };
    struct nfct_handle *h = nfct_open(CONNTRACK, 0);
    uint8_t family = AF_INET;
    int r = 0;

    if (!h)
        return xeno_fail_errno(err, -errno, "net.flows", "open connection tracking");
    nfct_callback_register(h, NFCT_T_ALL, on_flow, &c);
    if (nfct_query(h, NFCT_Q_DUMP, &family) < 0)
        r = xeno_fail_errno(err, -errno, "net.flows", "list flows");
    for (size_t i = 0; i < c.n; i++) {
        if (nfct_query(h, NFCT_Q_DESTROY, c.found[i]) < 0 && errno != ENOENT && r == 0)
            r = xeno_fail_errno(err, -errno, "net.flows", "cut a flow");
        nfct_destroy(c.found[i]);
    }
    free(c.found);
    nfct_close(h);
    return r < 0 ? r : (int)c.n;
}
