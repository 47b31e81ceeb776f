/* src/xenod/options.h - what an operator may decide about a XenoServer. */
#ifndef XENOD_OPTIONS_H
#define XENOD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/units.h"
#include "conf/args.h"
#include "member/options.h"

/* Units as in the table; every text may be NULL where the table has no fallback. */
struct xenod_options {
    char *dir, *listen, *corp_url, *task_socket, *user, *instance;
    char *driver, *images, *template_ref;
    char *imaged, *imaged_store;
    char *pool;
    int64_t own_addresses, port_first, port_last;
    int64_t cpu_msps, memory_bytes, disk_bytes, net_mbps;
    int64_t reserve_cpu_msps, reserve_memory_bytes, reserve_disk_bytes, headroom_percent;
    int64_t sessions_max, owner_sessions_max;
    xeno_time charge_interval, grace, hold_ttl, hold_ttl_max, retain;
    int64_t warn_first_percent, warn_last_percent;
    xeno_credit cpu_reserved, cpu_used, memory_reserved, memory_used, disk_reserved, disk_used,
        net_reserved, net_used, address_reserved;
    char *operators;
    char *xis; /* URLs with commas */
    xeno_time xis_lease, xis_interval;
    char *place, *country, *latitude, *longitude, *accept;
    char *probe_source, *probe_allow, *probe_ports, *landmarks;
    int64_t probe_group, probe_rate;
    xeno_time probe_interval, probe_refresh;
    int64_t connections, connections_per_address;
    bool debug;
    struct xeno_member_told told;
};

extern const struct xeno_conf_program xenod_program;

/* The folder of the files that `dir` names; "instance" is at most 8 letters, as the network wants.
 * Errors: -EINVAL conf.range when options contradict each other. */
int xenod_options_check(const struct xenod_options *o, struct xeno_err *err);

/* The addresses of a pool "A.B.C.D/N": first and count of those a session may have (all but the
 * network's, the gateway and the last), in host byte order. Errors: -EINVAL conf.range. */
int xenod_pool_parse(const char *text, uint32_t *ret_first, uint32_t *ret_count,
                     struct xeno_err *err);

#endif
