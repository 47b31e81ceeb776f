/* src/net/net.h - a network of its own for each session.
 *
 * A session has one network namespace, pinned as RUN_DIR/netns/SESSION so that an OCI runtime can
 * join it by path. In it are lo and eth0, one end of a veth pair; eth0 holds the session's address
 * as a /32 and routes everything to the gateway, the first address of the pool. Sessions share no
 * segment: the host routes between them, so each packet meets the rules of the instance's table.
 *
 *     session's namespace        host
 *     eth0 10.201.1.7/32 ------- xvINST-7  (no ARP: both sides have a fixed neighbour)
 *                                xb-INST   10.201.1.1/32, a bridge without ports
 *                                table inet xeno-INST
 *
 * What holds while a session lives:
 *   1. A frame from a session passes only with the session's own MAC and IPv4 address as its
 *      source; ARP from a session is ignored; IPv6 is off inside and dropped outside.
 *   2. A session reaches: the outside (masqueraded), published ports of any session by an address
 *      of the host, ICMP echo to the gateway, and the name servers it was told. It does not reach
 *      other sessions, whichever instance they are of, the host, 127/8, 169.254/16, multicast, or
 *      a prefix that the operator denied. What policy refuses is answered at once, by a TCP reset
 *      or ICMP "administratively prohibited"; what is forged is dropped in silence.
 *   3. Only published ports are reached from elsewhere: at every address of the host, 127.0.0.1
 *      included. The host itself reaches all. Callers are seen by their own address and port; from
 *      the host's 127/8 by the last address of the pool, the host calling a session's address and
 *      a session that calls itself by the gateway's.
 *   4. Both directions are shaped by a token bucket on the sender's side of the cable. The session
 *      cannot change its own: the namespace belongs to the first user namespace, not to its own.
 *   5. Inside, ports below 1024 need no capability and ping works without one, for the same reason.
 *
 * The kernel and RUN_DIR/netns are the only state: xeno_net_open() finds what a killed process left
 * and goes on. Instances are independent; everything of one carries its name. One process per
 * instance, one thread (session_add and session_set change the thread's namespace for a moment).
 * Needs CAP_NET_ADMIN and CAP_SYS_ADMIN. Adding a session takes about 1 ms, with no sleep.
 *
 * For whoever starts containers: a mount namespace made from ours should be a slave, not private
 * (a copy of the pin is then gone with the pin; the kernel removes it in any case), and a container
 * in a user namespace of its own cannot mount sysfs: bind the host's /sys read-only, as runtimes
 * do.
 */
#ifndef XENO_NET_NET_H
#define XENO_NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define XENO_NET_INSTANCE_MAX 8  /* letters: [a-z][a-z0-9]* */
#define XENO_NET_SESSION_MAX  32 /* letters: [a-z0-9][a-z0-9-]* */
#define XENO_NET_PORTS_MAX    64 /* published ports of one session */
#define XENO_NET_DENY_MAX     64 /* denied prefixes of an instance */
#define XENO_NET_DNS_MAX      3  /* name servers (what resolv.conf takes) */
#define XENO_NET_ADDRESS_TEXT 16 /* "255.255.255.255" and the zero byte */

struct xeno_net;

struct xeno_net_config {
    const char *instance;
    const char *run_dir;     /* absolute; pins go to run_dir/netns, which is made */
    const char *pool;        /* "10.201.1.0/24": /16 to /29; the first address is the gateway */
    const char *uplink;      /* sessions leave only here; NULL: by any interface not of sessions */
    const char *const *deny; /* further prefixes that sessions must not reach: "192.168.0.0/16" */
    size_t n_deny;
    const char *const *dns; /* name servers (IPv4) sessions are told and may always ask */
    size_t n_dns;           /* 0: the host's own, found as resolv.h says */
};

/* Take over or build the instance's network in the caller's network namespace: bridge, nft table,
 * ip_forward. Sessions that exist are found and not disturbed for a packet; the rules are replaced
 * in one step. The strings of `config` are copied.
 *
 * Errors: -EINVAL net.config    a name, prefix or address is malformed
 *         -EPERM net.rights     the process lacks CAP_NET_ADMIN or CAP_SYS_ADMIN
 *         -EBUSY net.pool       sessions live in another pool than config says
 *         others net.link, net.nft, net.sysctl, net.pin   the kernel said no; the text has its
 * reason
 */
int xeno_net_open(const struct xeno_net_config *config, struct xeno_net **ret,
                  struct xeno_err *err);

/* Let go of descriptors and memory; sessions and rules stay. */
void xeno_net_free(struct xeno_net *net);
XENO_DEFINE_AUTO(xeno_net, xeno_net_free);

struct xeno_net_port {
    uint16_t port;      /* in the session */
    uint16_t host_port; /* on the host; unique per protocol among the sessions of the machine */
    uint8_t proto;      /* IPPROTO_TCP or IPPROTO_UDP */
};

struct xeno_net_spec {
    const char *session;
    const char *address; /* in the pool, neither its first two (network, gateway) nor its last */
    uint32_t to_kbit;    /* towards the session, 1000 bits a second on the wire; 0: not shaped */
    uint32_t from_kbit;  /* from the session */
    const struct xeno_net_port *ports;
    size_t n_ports;
};

/* Build the session's network. If it exists with the same address it is brought to `spec` and keeps
 * running (so a restarted process may call this for each session it knows); if it exists with
 * another address, or half, it is removed and built again. On failure nothing of it is left.
 *
 * Errors: -EINVAL net.session, net.address, net.rate, net.port   a value is out of bounds
 *         -EEXIST net.address   another session of the instance has the address
 *         -EEXIST net.port      another session of the instance publishes that host port
 *         others as xeno_net_open()
 */
int xeno_net_session_add(struct xeno_net *net, const struct xeno_net_spec *spec,
                         struct xeno_err *err);

/* Change rates and published ports; `spec` is the whole new wish, its address must be the same.
 * Connections through a port that is no longer published are cut.
 * Errors: -ENOENT net.session; others as above. */
int xeno_net_session_set(struct xeno_net *net, const struct xeno_net_spec *spec,
                         struct xeno_err *err);

/* Bytes and packets on the session's cable since session_add built it.
 *
 * Counted: Ethernet frames, header (14 bytes) included, at the host's end: towards the session what
 * its shaper let through, from the session all that it sent, also what the rules then dropped. The
 * kernel passes packets of a stream in groups with one header, so a bulk transfer counts up to 4 %
 * less than it would be on a wire: the error is always in the session's favour, and never touches
 * payload. The numbers never go down while the session lives, whatever restarts; they begin at zero
 * when a deleted session is added again, so who wants a sum across that keeps it (session_del).
 */
struct xeno_net_counters {
    char session[XENO_NET_SESSION_MAX + 1];
    uint64_t rx_bytes, rx_packets; /* received by the session */
    uint64_t tx_bytes, tx_packets; /* sent by the session */
};

/* Tear the session's network down: published ports, flows in progress, address, pin. Its processes
 * should be gone (a process left behind keeps a namespace without a cable). No such session is
 * success. Returns: 0, and the last counters in *ret_last unless that is NULL (zero when it did not
 * exist). The kernel frees the namespace in the background, some milliseconds later. */
int xeno_net_session_del(struct xeno_net *net, const char *session,
                         struct xeno_net_counters *ret_last, struct xeno_err *err);

/* Counters of all sessions in one dump (0.2 ms for 500). Returns: an array, the caller's (free()),
 * in no order. Errors: net.link. */
int xeno_net_counters(struct xeno_net *net, struct xeno_net_counters **ret, size_t *ret_n,
                      struct xeno_err *err);

struct xeno_net_info {
    char session[XENO_NET_SESSION_MAX + 1]; /* empty: a cable nobody owns */
    char address[XENO_NET_ADDRESS_TEXT];    /* empty: only the pin is left */
    char cable[16];                         /* the host's end; empty: only the pin is left */
    bool pinned;                            /* false: only the cable is left */
    size_t n_ports;
    struct xeno_net_port ports[XENO_NET_PORTS_MAX];
};

/* What exists of this instance, read from the kernel now, remnants included (a cable that was
 * never given to a session has an empty name; one that the kernel is taking down is still listed).
 * Returns: an array, the caller's (free()). */
int xeno_net_list(struct xeno_net *net, struct xeno_net_info **ret, size_t *ret_n,
                  struct xeno_err *err);

/* Remove every session (or remnant) that is not among `keep`. Returns: how many were removed. */
int xeno_net_sweep(struct xeno_net *net, const char *const *keep, size_t n_keep,
                   struct xeno_err *err);

/* The path of a session's namespace, for "linux.namespaces[].path" of an OCI bundle; the caller's.
 */
char *xeno_net_ns_path(const struct xeno_net *net, const char *session);

/* What xeno_net_remove() has taken away. */
struct xeno_net_removed {
    size_t namespaces, cables;
    bool rules, bridge;
};

/* Take the whole network of an instance that nobody has open off the machine, in whatever state it
 * is: cables, pins, rules, flows in progress, bridge. Needs no pool and builds nothing. Nothing
 * there: no effect. ip_forward stays as it is. Goes on after a failure and returns the first; *ret
 * says what was done in any case. */
int xeno_net_remove(const char *instance, const char *run_dir, struct xeno_net_removed *ret,
                    struct xeno_err *err);

#endif
