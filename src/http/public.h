/* src/http/public.h - is an address one of the public internet?
 *
 * For programs that connect where strangers tell them to: the special-purpose registries of IANA
 * (RFC 6890 and its updates) list what is never reached over the internet, and so leads to this
 * machine, its operator's network or a cloud's metadata when somebody connects to it.
 */
#ifndef XENO_HTTP_PUBLIC_H
#define XENO_HTTP_PUBLIC_H

#include <stdbool.h>

#include "base/err.h"

struct sockaddr;

/* An address of IPv6 that carries one of IPv4 (mapped, NAT64, 6to4, Teredo) is judged by that one,
 * or refused where it need not be its only meaning. Other families are not public. */
bool xeno_http_public(const struct sockaddr *address);

/* Networks that an operator lists with commas: "127.0.0.0/8,fd00::/8"; without "/BITS" one address.
 * Errors: -EINVAL conf.range, naming the one that is none. */
int xeno_http_networks_check(const char *list, struct xeno_err *err);
/* Is it in one of them? Of a list that was checked; NULL: none. */
bool xeno_http_networks_have(const char *list, const struct sockaddr *address);

#endif
