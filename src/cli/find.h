/* src/cli/find.h - which session, on which XenoServer? */
#ifndef XENO_CLI_FIND_H
#define XENO_CLI_FIND_H

#include "cli/profile.h"

struct cli_found {
    struct cli_server server; /* owned copies */
    char *session;            /* its id */
    struct xeno_json *object; /* as the server shows it */
};
void cli_found_free(struct cli_found *f);
XENO_DEFINE_AUTO(cli_found, cli_found_free);

/* Find a session by its id, the first letters of it, or its name, on `server` (a reference as in
 * cli_servers_pick(); NULL: all that are known). Live ones win over ended ones of the same name.
 *
 * Errors: -ENOENT session.unknown, -EINVAL session.which (several); when a server did not answer,
 *         that is what the error says, since the session may be there.
 */
int cli_find_session(struct cli *cli, const char *server, const char *ref, struct cli_found **ret,
                     struct xeno_err *err);

/* Its state now, again. */
int cli_found_refresh(struct cli *cli, struct cli_found *f, struct xeno_err *err);

#endif
