/* src/rd/place.h - how requests name places in the network. Pure. */
#ifndef XENO_RD_PLACE_H
#define XENO_RD_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "rd/find.h"

/* A numeric address, IPv4 or IPv6, with or without a port: "192.0.2.1", "192.0.2.1:443",
 * "2001:db8::1", "[2001:db8::1]:443". Out of it the address alone, without brackets, and the port,
 * 0 without one. Returns: false when it is none of that; nothing is set then. */
bool xeno_rd_address(const char *text, char ret_host[XENO_RD_ADDRESS], uint16_t *ret_port);

#endif
