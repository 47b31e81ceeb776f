/* src/net/flows.c - cut what is in progress. */
#include "net/flows.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>

struct xeno_flows {
    struct nfct_handle *h; /* kept: closing one costs 5 ms */
    bool (*want)(const struct xeno_flow *flow, void *user);
    void *user;
    struct nf_conntrack **found;
    size_t n, room;
};

static int on_entry(enum nf_conntrack_msg_type type, struct nf_conntrack *ct, void *user)
{
    struct xeno_flows *f = user;
    const struct xeno_flow flow = {
        .proto = nfct_get_attr_u8(ct, ATTR_L4PROTO),
        .from = ntohl(nfct_get_attr_u32(ct, ATTR_ORIG_IPV4_SRC)),
        .to = ntohl(nfct_get_attr_u32(ct, ATTR_REPL_IPV4_SRC)),
        .asked_port = ntohs(nfct_get_attr_u16(ct, ATTR_ORIG_PORT_DST)),
    };

    (void)type;
    if (!f->want(&flow, f->user))
        return NFCT_CB_CONTINUE;
    if (f->n == f->room) {
        f->room = f->room ? f->room * 2 : 16;
        f->found = xeno_grow(f->found, f->room);
    }
    f->found[f->n++] = ct;
    return NFCT_CB_STOLEN;
}

int xeno_flows_open(struct xeno_flows **ret, struct xeno_err *err)
{
    xeno_auto(xeno_flows) f = xeno_new0(struct xeno_flows);

    f->h = nfct_open(CONNTRACK, 0);
    if (!f->h)
        return xeno_fail_errno(err, -errno, "net.flows", "open connection tracking");
    nfct_callback_register(f->h, NFCT_T_ALL, on_entry, f);
    *ret = xeno_take(&f);
    return 0;
}

void xeno_flows_close(struct xeno_flows *f)
{
    if (!f)
        return;
    if (f->h)
        nfct_close(f->h);
    free(f->found);
    free(f);
}

int xeno_flows_cut(struct xeno_flows *f, bool (*want)(const struct xeno_flow *flow, void *user),
                   void *user, struct xeno_err *err)
{
    const uint32_t family = AF_INET;
    int r = 0;

    f->want = want;
    f->user = user;
    f->n = 0;
    if (nfct_query(f->h, NFCT_Q_DUMP, &family) < 0)
        r = xeno_fail_errno(err, -errno, "net.flows", "list flows");
    for (size_t i = 0; i < f->n; i++) {
        /* ENOENT: it ended by itself. */
        if (nfct_query(f->h, NFCT_Q_DESTROY, f->found[i]) < 0 && errno != ENOENT && r == 0)
            r = xeno_fail_errno(err, -errno, "net.flows", "cut a flow");
        nfct_destroy(f->found[i]);
    }
    return r < 0 ? r : (int)f->n;
}
