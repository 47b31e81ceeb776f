/* src/net/flows.h - cut what is in progress: entries of connection tracking.
 *
 * An entry lives on after the session it was made for (an idle TCP connection for five days), and
 * would go on to whoever has the address next. Looking for entries means to walk the whole table,
 * about 5 ms when it is nearly empty: callers gather what is to be cut and cut it at once.
 */
#ifndef XENO_NET_FLOWS_H
#define XENO_NET_FLOWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

struct xeno_flows;

int xeno_flows_open(struct xeno_flows **ret, struct xeno_err *err);
void xeno_flows_close(struct xeno_flows *f);
XENO_DEFINE_AUTO(xeno_flows, xeno_flows_close);

/* One entry, IPv4. */
struct xeno_flow {
    uint8_t proto;
    uint32_t from;       /* who began */
    uint32_t to;         /* who answers: behind a published port, the session */
    uint16_t asked_port; /* where the first packet was sent: the published port */
};

/* Forget every flow for which `want` says yes.
 * Returns: how many. Errors: token net.flows. */
int xeno_flows_cut(struct xeno_flows *f, bool (*want)(const struct xeno_flow *flow, void *user),
                   void *user, struct xeno_err *err);

#endif
