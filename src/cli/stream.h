/* src/cli/stream.h - a command in a session at the user's fingertips: exec and attach. */
#ifndef XENO_CLI_STREAM_H
#define XENO_CLI_STREAM_H

#include "cli/cli.h"
#include "cli/profile.h"

struct cli_stream_opts {
    bool terminal; /* raw mode here, sizes sent there */
    bool input;    /* standard input is sent; else it is closed there at once */
    bool detach;   /* ctrl-p ctrl-q leaves, and the command goes on */
};

enum { CLI_STREAM_DETACHED = -2, CLI_STREAM_LOST = -1 };

/* Ask `server` for `path` as xeno-stream/1, and carry bytes, sizes and signals until the command
 * ends. The first SIGINT, SIGTERM and the like go to the command; a second one ends us.
 *
 * Returns: 0, and the exit code of the command in *ret_code (128 + n for signal n), or one of the
 * values above. Errors: those of the request; the problem that the server sent instead of a code.
 */
int cli_stream(struct cli *cli, const struct cli_server *server, const char *path,
               const struct cli_stream_opts *opts, int *ret_code, struct xeno_err *err);

#endif
