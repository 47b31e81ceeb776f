/* src/host/admission.h - who has what of this host; nothing is ever sold twice.
 *
 * A claim takes CPU, memory, disk, network rate, an address and host ports, all or nothing. What
 * can be sold of a quantity is (total - the control plane's reserve) less headroom percent. Claims
 * are made by the name of their owner (a hold's or session's id); moving a claim from a hold to its
 * session is a rename and can not fail. Pure bookkeeping in memory: rebuilt from the journal by
 * xeno_admission_adopt(). Context: one thread.
 */
#ifndef XENO_HOST_ADMISSION_H
#define XENO_HOST_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "json/json.h"
#include "spec/grant.h"

/* What the machine has and what of it is for sale; policy and probing put together. */
struct xeno_capacity {
    int64_t cpu_msps, memory_bytes, disk_bytes, net_kbps;               /* of the machine */
    int64_t reserve_cpu_msps, reserve_memory_bytes, reserve_disk_bytes; /* the control plane's */
    int headroom_percent; /* of the rest, sold to nobody: 0..90 */
    uint32_t nat_first;   /* addresses for sessions behind NAT, host byte order */
    uint32_t nat_count;   /* at most 65,536; bounds the number of sessions */
    uint32_t own_first;   /* addresses given out whole; 0 and 0 when there are none */
    uint32_t own_count;   /* at most 65,536 */
    uint16_t port_first;  /* host ports that may be published, inclusive */
    uint16_t port_last;   /* below port_first: none */
    uint16_t port_daemon; /* TCP, where the daemon itself answers: not for sale; 0: none */
};

/* Errors: -EINVAL host.config, naming the member. */
int xeno_capacity_check(const struct xeno_capacity *c, struct xeno_err *err);

struct xeno_admission;

/* Copies cap. */
struct xeno_admission *xeno_admission_new(const struct xeno_capacity *cap);
void xeno_admission_free(struct xeno_admission *a);
XENO_DEFINE_AUTO(xeno_admission, xeno_admission_free);

/* New totals; claims stay, even when they are now more than may be sold (nothing new is, then).
 * Addresses and ports must not change while claims exist: those members are kept. */
void xeno_admission_resize(struct xeno_admission *a, const struct xeno_capacity *cap);

/* Take everything `g` names for `name`. On success g->address is chosen (from the own pool when
 * g->addresses is 1, else from the NAT pool) and every port without a host_port has one (not for
 * an own address: those need none).
 *
 * Errors: -EAGAIN admission.cpu, .memory, .disk, .net, .addresses, .ports: others have it now;
 *         -ERANGE with the same tokens: more than this host could ever give;
 *         -EEXIST admission.name: our own mistake. The text says resource, asked, left and limit.
 *         Nothing is taken and g is untouched on failure.
 */
int xeno_admission_take(struct xeno_admission *a, const char *name, struct xeno_grant *g,
                        struct xeno_err *err);

/* Take the daemon's own port out of the sale. After adoption: a session that has it already,
 * because the daemon moved, keeps it. */
void xeno_admission_keep_daemon_port(struct xeno_admission *a);

/* Ports that programs of the machine listen on are not for sale: a published one would take from
 * them what comes there. `in_use` is asked at once about each port before it is taken, not when a
 * claim is adopted. What begins to listen later is not seen. */
typedef bool xeno_port_in_use(void *ctx, enum xeno_proto proto, uint16_t port);
void xeno_admission_ask_ports(struct xeno_admission *a, xeno_port_in_use *in_use, void *ctx);

/* Would it succeed? Changes nothing. */
int xeno_admission_try(struct xeno_admission *a, const struct xeno_grant *g, struct xeno_err *err);

/* Enter a claim that exists already (from the journal), with the address and ports it has; `parked`
 * as below. Errors: -EEXIST admission.name, admission.address, admission.port: the journal sells
 * something twice. Totals are not checked: what is sold is sold. */
int xeno_admission_adopt(struct xeno_admission *a, const char *name, const struct xeno_grant *g,
                         bool parked, struct xeno_err *err);

/* A suspended session keeps disk, address and ports and gives the rest back; unpark takes the rest
 * again (errors as xeno_admission_take()). Parking what is parked has no effect, and so on. */
void xeno_admission_park(struct xeno_admission *a, const char *name);
int xeno_admission_unpark(struct xeno_admission *a, const char *name, struct xeno_err *err);

/* The claim changes hands. Both names are valid: asserted. */
void xeno_admission_rename(struct xeno_admission *a, const char *from, const char *to);
/* Give everything back; an unknown name has no effect. */
void xeno_admission_drop(struct xeno_admission *a, const char *name);

/* {"cpu_msps":{"total","reserve","limit","sold","left"},...,"addresses","ports","claims":n} */
struct xeno_json *xeno_admission_json(const struct xeno_admission *a);

/* What is left and what the limit is, for status and metrics. */
struct xeno_free {
    int64_t cpu_msps, memory_bytes, disk_bytes, net_kbps, nat_addresses, own_addresses, ports;
};
struct xeno_free xeno_admission_left(const struct xeno_admission *a);
struct xeno_free xeno_admission_limit(const struct xeno_admission *a);
size_t xeno_admission_claims(const struct xeno_admission *a);

/* For tests: every sum equals the sum of the claims, and nothing is sold twice or over its limit
 * (the latter unless resized below it or adopted). */
bool xeno_admission_sound(const struct xeno_admission *a);

#endif
