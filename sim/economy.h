/* sim/economy.h - one XenoCorp, some XenoServers, some clients, for as long as one likes; and the
 * sums that must come out at the end.
 */
#ifndef XENO_SIM_ECONOMY_H
#define XENO_SIM_ECONOMY_H

#include "sim/client.h"

#define SIM_SERVERS_MAX 8
#define SIM_CLIENTS_MAX 16

struct economy {
    struct world w;
    struct sim_corp corp;
    struct sim_server servers[SIM_SERVERS_MAX];
    struct sim_client clients[SIM_CLIENTS_MAX];
    size_t server_count, client_count;
};

struct economy_options {
    uint64_t seed;
    size_t servers, clients;
    int64_t sample_ms, charge_ms; /* of the hosts */
    int64_t act_ms;               /* a client acts about that often */
    int check_each;               /* whole ledger check each so many commits */
    struct sim_faults faults;
};
extern const struct economy_options economy_default;

void economy_open(struct economy *e, const struct economy_options *o);
void economy_release(struct economy *e);

/* Let it go on for a while, with larger accidents now and then: a XenoCorp that is away for an
 * hour, a host that boots, tasks that end. */
void economy_run(struct economy *e, int64_t ms);

/* Faults off, everybody ends everything, and then: no order bound, nothing in an outbox, nothing
 * claimed, nothing left at a task manager; and the sum of the usage reports is the sum of the
 * charges is the ledger. */
void economy_close(struct economy *e);

struct economy_sums {
    int64_t sessions, charges, charged, refused, forfeited, usage;
    int64_t ledger; /* earned and fees */
};
struct economy_sums economy_sums(struct economy *e);

#endif
