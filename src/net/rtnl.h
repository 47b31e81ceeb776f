/* src/net/rtnl.h - routing netlink: links, addresses, routes, neighbours, shapers.
 *
 * A socket belongs for ever to the network namespace it was opened in, which is how one thread
 * works on two. Each call is one request and its answer; the kernel answers at once.
 * Errors: the kernel's errno, token net.link, with the kernel's own reason where it gives one.
 */
#ifndef XENO_NET_RTNL_H
#define XENO_NET_RTNL_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "net/names.h"

struct xeno_rtnl;

int xeno_rtnl_open(struct xeno_rtnl **ret, struct xeno_err *err);
void xeno_rtnl_close(struct xeno_rtnl *nl);
XENO_DEFINE_AUTO(xeno_rtnl, xeno_rtnl_close);

struct xeno_rtnl_veth {
    const char *name; /* this end, in the socket's namespace */
    const uint8_t *mac;
    const char *peer_name; /* the other end, born in the namespace of ns_fd */
    const uint8_t *peer_mac;
    int ns_fd;
};

/* Both ends are made down (a peer that is born up makes the kernel roll back for 16 ms).
 * Errors: -EEXIST the name is taken. */
int xeno_rtnl_veth_add(struct xeno_rtnl *nl, const struct xeno_rtnl_veth *v, struct xeno_err *err);
int xeno_rtnl_bridge_add(struct xeno_rtnl *nl, const char *name, struct xeno_err *err);

/* Set up; `alias` (NULL: leave) is a text that stays with the link; noarp: answer and send no ARP.
 */
int xeno_rtnl_link_up(struct xeno_rtnl *nl, int ifindex, const char *alias, bool noarp,
                      struct xeno_err *err);

/* Slow (tens of ms: the kernel waits for all processors). A missing link is success. */
int xeno_rtnl_link_del(struct xeno_rtnl *nl, int ifindex, struct xeno_err *err);

/* Returns: the index, or -ENODEV. */
int xeno_rtnl_link_find(struct xeno_rtnl *nl, const char *name, struct xeno_err *err);

struct xeno_rtnl_link {
    int ifindex;
    char name[IFNAMSIZ];
    char alias[XENO_NET_SESSION_MAX + 1]; /* longer ones are cut */
};

/* Every link whose name begins with `prefix`. Returns: an array, the caller's (free()). */
int xeno_rtnl_link_list(struct xeno_rtnl *nl, const char *prefix, struct xeno_rtnl_link **ret,
                        size_t *ret_n, struct xeno_err *err);

struct xeno_rtnl_stats {
    int ifindex;
    uint64_t rx_bytes, rx_packets, tx_bytes, tx_packets; /* as this end sees it */
};

/* Counters of every link, one dump (ifindex 0) or of one. Returns: an array, the caller's. */
int xeno_rtnl_stats(struct xeno_rtnl *nl, int ifindex, struct xeno_rtnl_stats **ret, size_t *ret_n,
                    struct xeno_err *err);

/* Add `address`/32 to a link; again is success. */
int xeno_rtnl_address_add(struct xeno_rtnl *nl, int ifindex, uint32_t address,
                          struct xeno_err *err);

struct xeno_rtnl_route {
    struct xeno_net_prefix to;
    int ifindex;
    uint32_t via;    /* 0: on the link itself */
    uint32_t source; /* 0: the kernel's choice */
    bool local;      /* every address of it is this machine's own */
};

/* Add or replace. */
int xeno_rtnl_route_set(struct xeno_rtnl *nl, const struct xeno_rtnl_route *r,
                        struct xeno_err *err);
/* A missing route is success. */
int xeno_rtnl_route_del(struct xeno_rtnl *nl, const struct xeno_rtnl_route *r,
                        struct xeno_err *err);

/* A fixed neighbour: no ARP is sent for it and none can change it. */
int xeno_rtnl_neighbour_set(struct xeno_rtnl *nl, int ifindex, uint32_t address,
                            const uint8_t mac[XENO_NET_MAC_LEN], struct xeno_err *err);

/* Shape what leaves by a link, or stop to (kbit 0). Changing the rate loses no packet. */
int xeno_rtnl_shape(struct xeno_rtnl *nl, int ifindex, uint32_t kbit, struct xeno_err *err);

/* The shaper's burst and queue for a rate, in bytes: exposed for tests. */
uint32_t xeno_rtnl_burst_bytes(uint32_t kbit);
uint32_t xeno_rtnl_queue_bytes(uint32_t kbit);

#endif
