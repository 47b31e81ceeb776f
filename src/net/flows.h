/* src/net/flows.h - cut what is in progress: entries of connection tracking. */
#ifndef XENO_NET_FLOWS_H
#define XENO_NET_FLOWS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/net.h"

/* Forget every flow from or to `address`; with `ports`, only those that came in by one of these
 * published ports. Otherwise a flow of an ended session would go on to whoever has the address
 * next. Returns: how many. Errors: token net.flows. */
int xeno_net_flows_cut(uint32_t address, const struct xeno_net_port *ports, size_t n_ports,
                       struct xeno_err *err);

#endif
