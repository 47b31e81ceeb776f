/* src/cli/log.h - watching the XenoCorp: its audit log, and whether it is still the same one
 * (rfc/0006).
 *
 * The profile remembers the newest head that was seen (log-head, as it was signed). What does not
 * continue it is kept beside it (log-head.other): the two texts are the evidence.
 */
#ifndef XENO_CLI_LOG_H
#define XENO_CLI_LOG_H

#include "cli/args.h"
#include "cli/cli.h"

extern const struct cli_option cli_log_options[], cli_verify_options[];
int cli_run_log(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_run_verify(struct cli *cli, const struct cli_args *args, struct xeno_err *err);

#endif
