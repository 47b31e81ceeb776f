/* src/cli/store-login.h - `store login`, `store token` and `store usage`: rows of the table in
 * remote.c. */
#ifndef XENO_CLI_STORE_LOGIN_H
#define XENO_CLI_STORE_LOGIN_H

#include "cli/args.h"
#include "cli/cli.h"

extern const struct cli_option cli_login_options[], cli_pass_options[];
int cli_run_login(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_run_store_usage(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_run_pass(struct cli *cli, const struct cli_args *args, struct xeno_err *err);

#endif
