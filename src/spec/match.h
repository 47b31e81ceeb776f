/* src/spec/match.h - can this kind of host do what a requirement asks, at all?
 *
 * Answers from what a host is, never from what is free at the moment: that is admission's. So the
 * same function serves the host, which refuses before it reserves anything, and a client, which
 * reads the host's status and sees in advance why it would be refused. Pure.
 */
#ifndef XENO_SPEC_MATCH_H
#define XENO_SPEC_MATCH_H

#include "base/err.h"
#include "spec/requirement.h"

/* What a host is. Borrows everything. A limit of 0 is not known and not checked. */
struct xeno_offer {
    const char *const *env_types; /* NULL-terminated */
    const char *kernel;           /* its release: "6.1.0-18-amd64"; NULL: not known */
    int64_t cpu_msps, memory_bytes, disk_bytes, net_kbps, pids; /* the most one session can get */
    int addresses;                                              /* 1: has addresses to give */
    uint16_t port_first, port_last;                             /* host ports; 0, 0: not known */
};

/* Errors: -ENOTSUP host.env-type, host.kernel, -ERANGE admission.cpu, .memory, .disk, .net, .pids,
 *         .addresses, .ports: element, what was asked and the limit are in the text. */
int xeno_match(const struct xeno_requirement *req, const struct xeno_offer *offer,
               struct xeno_err *err);

/* Compare kernel releases by their leading numbers: below, equal or above zero. A program made for
 * an older kernel runs on a newer one, so EnvKernel is the least release that is needed. */
int xeno_kernel_compare(const char *a, const char *b);

#endif
