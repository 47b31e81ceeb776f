/* src/cli/session.h - the verbs of the session family, which are in several files. */
#ifndef XENO_CLI_SESSION_H
#define XENO_CLI_SESSION_H

#include "cli/commands.h"

extern const struct cli_option cli_session_create_options[], cli_session_ls_options[],
    cli_session_one_options[], cli_session_move_options[], cli_session_restore_options[],
    cli_session_extend_options[], cli_session_logs_options[], cli_session_exec_options[],
    cli_session_attach_options[], cli_session_events_options[], cli_session_commit_options[];

int cli_session_create(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_session_ls(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_session_show(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_session_usage(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_session_pause(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_session_resume(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_session_suspend(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_session_restore(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_session_extend(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_session_end(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
/* session-io.c */
int cli_session_logs(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_session_exec(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_session_attach(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_session_events(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
/* session-commit.c */
int cli_session_commit(struct cli *cli, const struct cli_args *args, struct xeno_err *err);

#endif
