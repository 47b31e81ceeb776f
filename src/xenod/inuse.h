/* src/xenod/inuse.h - which ports the programs of this machine listen on.
 *
 * As the kernel says it for the network namespace we are in. To try it by bind(2) is not for us:
 * the sandbox lets nobody take a TCP port.
 */
#ifndef XENO_XENOD_INUSE_H
#define XENO_XENOD_INUSE_H

#include <stdio.h>

#include "host/admission.h"

/* Does a socket of IPv4 wait for callers on that port, on whatever address? What the kernel does
 * not tell is not in use. ctx is not used. */
xeno_port_in_use xenod_port_in_use;

/* The same of one table, as in /proc/net/tcp, udp, tcp6 or udp6. For tests. */
bool xenod_table_has(FILE *table, enum xeno_proto proto, uint16_t port);

#endif
