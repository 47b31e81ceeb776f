/* src/xenocorpd/options.h - what an operator may decide about a XenoCorp. */
#ifndef XENO_XENOCORPD_OPTIONS_H
#define XENO_XENOCORPD_OPTIONS_H

#include "base/units.h"
#include "conf/args.h"
#include "corp/corp.h"

struct corpd_options {
    char *dir, *listen, *hosts, *db, *user;
    int64_t fee_bp;
    xeno_time credential, settlement, slack, keep, audit_every, audit_patience;
    int64_t connections, connections_per_address, running_per_peer;
    bool debug;
};

extern const struct xeno_conf_program corpd_program;

struct xeno_corp_policy corpd_policy(const struct corpd_options *o);

#endif
