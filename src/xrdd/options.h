/* src/xrdd/options.h - what an operator may decide about an RD system. Units, bounds and defaults
 * are those of the table in options.c, which xrdd(8) has. */
#ifndef XENO_XRDD_OPTIONS_H
#define XENO_XRDD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/units.h"
#include "conf/args.h"
#include "member/options.h"

struct xrdd_options {
    char *dir, *listen, *corp_url, *user, *operators, *xis, *allow;
    int64_t servers, finds_per_minute, probes_per_minute, probes_per_client;
    xeno_time probe_wait, probe_keep;
    int64_t connections, connections_per_address, running_per_peer;
    bool debug;
    struct xeno_member_told told;
};

extern const struct xeno_conf_program xrdd_program;

#endif
