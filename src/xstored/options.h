/* src/xstored/options.h - what an operator may decide about a XenoStore. */
#ifndef XENO_XSTORED_OPTIONS_H
#define XENO_XSTORED_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/units.h"
#include "conf/args.h"
#include "member/options.h"

struct xstored_options {
    char *dir, *listen, *corp_url, *objects, *user, *operators, *mirrors;
    int64_t quota_bytes, entries, uploads_per_owner, reserve_bytes, scrub_bytes;
    xeno_time upload_life, grace, scrub_every, history;
    int64_t connections, connections_per_address, running_per_peer;
    bool debug;
    char *s3_url, *s3_region, *s3_keys, *s3_ca; /* s3_url empty: objects are in a directory */
    bool s3_path_style;
    xeno_time s3_patience;
    int64_t cache_bytes;
    xeno_credit price; /* for a GiB and day; 0: it is free */
    xeno_time charge_every;
    int64_t certificates;
    int64_t capacity_bytes; /* told at enrolment, too */
    struct xeno_member_told told;
};

extern const struct xeno_conf_program xstored_program;

#endif
