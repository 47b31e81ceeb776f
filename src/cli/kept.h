/* src/cli/kept.h - small files about sessions, in a folder of the profile.
 *
 * FOLDER/SERVER-SESSION: a XenoServer has no say in what is kept of another's. Written without
 * waiting for the disk; when there are too many the oldest goes. Best effort.
 */
#ifndef XENO_CLI_KEPT_H
#define XENO_CLI_KEPT_H

#include "cli/profile.h"

struct cli_kept {
    const char *folder;
    size_t max_bytes; /* of a file */
    int max_files;
};

void cli_kept_put(struct cli *cli, const struct cli_kept *k, const struct cli_server *server,
                  const char *session, const char *text);
/* The caller's; NULL: there is none. */
char *cli_kept_get(struct cli *cli, const struct cli_kept *k, const struct cli_server *server,
                   const char *session);
void cli_kept_drop(struct cli *cli, const struct cli_kept *k, const struct cli_server *server,
                   const char *session);

#endif
