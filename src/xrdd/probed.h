/* src/xrdd/probed.h - what is probed, and what a XenoServer answers that was asked to. Pure.
 *
 * Answers come from XenoServers, which say what they like: bounded, and what is not as rfc/0018 has
 * it counts as nothing heard.
 */
#ifndef XENO_XRDD_PROBED_H
#define XENO_XRDD_PROBED_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "rd/paths.h"

#define XRDD_PROBED_MAX  (64 << 10)             /* bytes of an answer */
#define XRDD_PREFIX_TEXT (INET6_ADDRSTRLEN + 2) /* "r192.0.2.0", "p2001:db8::" */

/* "192.0.2.7:443", "2001:db8::7" or "[2001:db8::7]:443" taken apart; without a port it is 0. False:
 * it is none of these. That the host is an address is not checked. */
bool xrdd_address_split(const char *text, char host[static INET6_ADDRSTRLEN], unsigned *ret_port);

/* The prefix that is measured for a host, with a letter for what is measured (ways, or round
 * trips). Of an address that is not of the public internet it is the address: there a prefix says
 * little about where it is, in an emulated network nothing. False: it is no address. */
bool xrdd_prefix(const char *host, bool paths, char key[static XRDD_PREFIX_TEXT]);

/* The middle one of the round trips in an answer, in ms; NaN: none was heard. */
double xrdd_probed_ms(const char *body, size_t len);
/* The way in an answer; false, *ret as it was: there is none. */
bool xrdd_probed_path(const char *body, size_t len, struct xeno_path *ret);

#endif
