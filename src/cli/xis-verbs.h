/* src/cli/xis-verbs.h - the verbs of `xeno xis`, in a file for each subject. */
#ifndef XENO_CLI_XIS_VERBS_H
#define XENO_CLI_XIS_VERBS_H

#include "cli/profile.h"
#include "cli/xis.h"

/* A query as a person writes it (cli/where.h), as JSON, or either in a file, "@FILE". Returns: its
 * JSON, the caller's. Errors: usage, json.*, those of reading the file. */
int cli_xis_where(const char *text, char **ret, struct xeno_err *err);

int cli_run_xis_use(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
extern const struct cli_option cli_xis_watch_options[];
int cli_run_xis_watch(struct cli *cli, const struct cli_args *args, struct xeno_err *err);

#endif
