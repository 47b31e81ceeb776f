/* src/cli/discover-priv.h - the parts of asking an RD. Only for discover*.c. */
#ifndef XENO_CLI_DISCOVER_PRIV_H
#define XENO_CLI_DISCOVER_PRIV_H

#include "cli/discover.h"

/* Why there is no answer though some match: only --sets does that. */
#define CLI_DISCOVER_NO_SET                                                                        \
    "but no set of them is known to have separate paths: try smaller --sets, or none"

/* What is asked, into `body`. `far`: a registry may be asked which layers an image has, though
 * they decide nothing. Errors: usage, and those of image-layers.h when they do decide. */
int cli_discover_question(struct cli *cli, const struct cli_args *args,
                          const struct xeno_requirement *req, int64_t count, bool far,
                          struct xeno_json *body, struct xeno_err *err);

#endif
