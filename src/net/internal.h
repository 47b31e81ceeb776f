/* src/net/internal.h - what net.c and session.c share. */
#ifndef XENO_NET_INTERNAL_H
#define XENO_NET_INTERNAL_H

#include <uthash.h>

#include "net/elem.h"
#include "net/flows.h"
#include "net/names.h"
#include "net/net.h"
#include "net/rtnl.h"
#include "net/talk.h"

#define XENO_NET_STALE_MAX 64

/* What this process knows of a session; read from the kernel when the instance was opened. */
struct xeno_net_session {
    char name[XENO_NET_SESSION_MAX + 1];
    char cable[IFNAMSIZ];
    int ifindex; /* of the cable; 0: not there yet */
    uint32_t address;
    struct xeno_net_port ports[XENO_NET_PORTS_MAX];
    size_t n_ports;
    UT_hash_handle hh;
};

struct xeno_net {
    char instance[XENO_NET_INSTANCE_MAX + 1];
    char table[16];
    char cables[IFNAMSIZ]; /* how the names of our cables begin */
    char *pins;            /* RUN_DIR/netns */
    struct xeno_net_prefix pool;
    uint32_t gateway;
    char uplink[IFNAMSIZ]; /* empty: any */
    struct xeno_net_prefix deny[XENO_NET_DENY_MAX];
    size_t n_deny;
    uint32_t dns[XENO_NET_DNS_MAX];
    size_t n_dns;
    struct xeno_rtnl *rtnl;
    struct xeno_talk *nft;
    struct xeno_flows *flows;
    struct xeno_net_session *sessions; /* by name */
    uint32_t
        stale[XENO_NET_STALE_MAX]; /* addresses of ended sessions whose flows are not cut yet */
    size_t n_stale;
};

/* Forget a session without touching the kernel. */
void xeno_net_session_forget(struct xeno_net *net, struct xeno_net_session *s);

/* Does a session have this address? */
bool xeno_net_owned(const struct xeno_net *net, uint32_t address);

/* Give the session a port in memory only; false when it has XENO_NET_PORTS_MAX. */
bool xeno_net_session_note_port(struct xeno_net_session *s, struct xeno_net_port port);

/* Flows of ended sessions are cut when there are many such sessions or when an address is to be
 * used again (stale.c); until then they lead nowhere, for the address has neither route nor source
 * element. */
int xeno_net_stale_mark(struct xeno_net *net, uint32_t address, struct xeno_err *err);
int xeno_net_stale_settle(struct xeno_net *net, uint32_t address, struct xeno_err *err);
int xeno_net_stale_cut(struct xeno_net *net, struct xeno_err *err);

/* Cut the flows of all addresses of the pool that no session has: what an earlier process owed. */
int xeno_net_stale_adopt(struct xeno_net *net, struct xeno_err *err);

/* Cut what came in by ports that are no longer published, now. */
int xeno_net_ports_cut(struct xeno_net *net, uint32_t address, const struct xeno_net_port *ports,
                       size_t n, struct xeno_err *err);

#endif
