/* src/xisd/options.h - what an operator may decide about an information service. Units, bounds and
 * defaults are those of the table in options.c, which xisd(8) has. */
#ifndef XENO_XISD_OPTIONS_H
#define XENO_XISD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/units.h"
#include "conf/args.h"
#include "member/options.h"

struct xisd_options {
    char *dir, *listen, *corp_url, *database, *user, *operators, *peers;
    int64_t connections, connections_per_address, running_per_peer;
    int64_t adverts, own_bytes;                   /* in all; of one's own advert */
    int64_t node_adverts, node_bytes, node_rate;  /* of others' that a node carries */
    int64_t other_adverts, other_bytes, own_rate; /* that anybody else does */
    int64_t own_tokens, node_tokens;              /* that nobody had before */
    int64_t lookup_rate, watches, waiting;        /* of one credential */
    bool verify;
    bool debug;
    struct xeno_member_told told;
};

extern const struct xeno_conf_program xisd_program;

#endif
