/* src/imaged/options.h - what an operator may decide about the image manager. */
#ifndef XENO_IMAGED_OPTIONS_H
#define XENO_IMAGED_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/units.h"
#include "conf/args.h"

struct imaged_options {
    char *dir, *socket, *identity, *user, *registries, *ca_file, *auth_file;
    int64_t store_bytes, reserve_bytes, connections, per_host, flight_bytes;
    xeno_time pace;
    bool debug;
};

extern const struct xeno_conf_program imaged_program;

#endif
