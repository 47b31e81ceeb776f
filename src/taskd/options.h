/* src/taskd/options.h - the configuration of xeno-taskd. */
#ifndef XENO_TASKD_OPTIONS_H
#define XENO_TASKD_OPTIONS_H

#include "conf/args.h"
#include "taskd/taskd.h"

extern const struct xeno_conf_program taskd_program;

/* Fill what depends on other options: paths below dir, the peer. Errors: -EINVAL taskd.options. */
int options_complete(struct taskd_conf *conf, struct xeno_err *err);

#endif
