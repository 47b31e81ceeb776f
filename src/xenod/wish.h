/* src/xenod/wish.h - the bodies of POST /v1/probes and /v1/traceroutes (RFC 0018), checked. Pure.
 */
#ifndef XENOD_WISH_H
#define XENOD_WISH_H

#include "json/json.h"
#include "xenod/desk.h"

/* What is asked for. allow, ports: those of the configuration (targets.h).
 *
 * Returns: 0, and what is asked for in *ret, which is set before and is of no use on failure.
 * Errors:  -EINVAL json.*         an element is missing, unknown or out of range
 *                  probe.address  it is no numeric address
 *          -EPERM  probe.address  it may not be measured
 *                  probe.port     nor may that port, by tcp
 */
typedef int xenod_wish_read(const struct xeno_json_at *at, const char *allow, const char *ports,
                            struct xenod_answer_to *ret, struct xeno_err *err);
xenod_wish_read xenod_wish_probe, xenod_wish_way;

#endif
