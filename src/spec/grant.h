/* src/spec/grant.h - what a session was granted.
 *
 * A grant is the outcome of admission: every quantity decided, nothing left open. It is what is
 * metered, priced, shown to the client ("grant" of a hold or session object), and the greater part
 * of the "spec" object of the task protocol (rfc/0003). Plain values, no pointers. Pure.
 */
#ifndef XENO_SPEC_GRANT_H
#define XENO_SPEC_GRANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "json/json.h"

/* The bounds of any grant, whatever the host. A document asking for more is absurd, not large. */
#define XENO_CPU_MSPS_MAX     INT64_C(1000000) /* a thousand whole processors */
#define XENO_MEMORY_BYTES_MIN (INT64_C(4) << 20)
#define XENO_MEMORY_BYTES_MAX (INT64_C(16) << 40)
#define XENO_DISK_BYTES_MIN   (INT64_C(4) << 20)
#define XENO_DISK_BYTES_MAX   (INT64_C(16) << 40)
#define XENO_NET_KBPS_MAX     INT64_C(400000000) /* 400 Gbit/s */
#define XENO_PIDS_MAX         INT64_C(65536)
#define XENO_ADDRESSES_MAX    1
#define XENO_PORTS_MAX        64
#define XENO_ADDRESS_TEXT     16 /* "255.255.255.255" and a zero byte */
#define XENO_HOSTNAME_TEXT    64
#define XENO_LAYER_TEXT       72 /* "sha256:" and 64 digits */

enum xeno_proto { XENO_PROTO_TCP, XENO_PROTO_UDP };
const char *xeno_proto_name(enum xeno_proto proto); /* "tcp", "udp" */

/* A port of the session that the host publishes. */
struct xeno_port {
    uint16_t port;      /* inside */
    uint16_t host_port; /* on the host; 0: none yet (the host chooses), or not needed because the
                           session has an address of its own */
    enum xeno_proto proto;
};

struct xeno_grant {
    int64_t cpu_msps;     /* ms of CPU per second of real time */
    int64_t cpu_burst_ms; /* CPU that may be saved up and used at once; at most cpu_msps / 10 */
    int64_t memory_bytes;
    int64_t disk_bytes; /* of the writable layer */
    int64_t net_kbps;   /* each way */
    int64_t pids;
    int addresses;                   /* 0: behind NAT; 1: an address of its own */
    char address[XENO_ADDRESS_TEXT]; /* the session's; "" until the host has chosen */
    size_t port_count;
    struct xeno_port ports[XENO_PORTS_MAX];
};

/* {"cpu_msps","cpu_burst_ms","memory_bytes","disk_bytes","net_kbps","pids","addresses","address",
 * "ports":[{"port","host_port","proto"}]}; an empty address and host_port 0 are left out.
 * Returns: the caller's. */
struct xeno_json *xeno_grant_json(const struct xeno_grant *g);
/* Read it back, checking every bound above. Members that are not a grant's are passed over.
 * Errors: those of json.h (the element and its limit in the text). *ret is set on success only. */
int xeno_grant_read(const struct xeno_json_at *at, struct xeno_grant *ret, struct xeno_err *err);
bool xeno_grant_equal(const struct xeno_grant *a, const struct xeno_grant *b);

/* A dotted quad, and nothing else: no leading zeros, no white space. */
bool xeno_address_ok(const char *text);

/* Make any name fit for a host name: lower case, other characters become '-'; "session" if nothing
 * is left. */
void xeno_hostname_from(const char *name, char out[XENO_HOSTNAME_TEXT]);

#endif
