/* src/cli/server.h - asking XenoServers what they are. */
#ifndef XENO_CLI_SERVER_H
#define XENO_CLI_SERVER_H

#include "cli/args.h"
#include "cli/profile.h"

/* The status of the XenoServer at `url`, its signature checked: by the server's own key, whose id
 * it names. `id` NULL: whoever answers with a certificate for that host; *ret_id says who did.
 * Returns: the status object, the caller's. Errors: server.status, those of the request. */
int cli_server_status(struct cli *cli, const char *url, const char *id, struct xeno_json **ret,
                      char ret_id[XENO_ID_CHARS + 1], struct xeno_err *err);

/* The server a verb means: its option --server, or the default. Borrowed from *ret_all, which is
 * the caller's. */
int cli_server_need(struct cli *cli, const char *ref, struct cli_servers **ret_all,
                    const struct cli_server **ret, struct xeno_err *err);

extern const struct cli_option cli_server_advertise_options[];
int cli_server_advertise(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_server_check(struct cli *cli, const struct cli_args *args, struct xeno_err *err);

#endif
