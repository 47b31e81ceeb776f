/* src/cli/cli.h - what every verb of the command line gets, and how it ends.
 *
 * A verb is a row of a table (commands.h): its words, options, help, examples and a function. The
 * function returns the exit status, or a negative errno with `err` filled, which main() prints once
 * with what to do next and turns into an exit status.
 */
#ifndef XENO_CLI_CLI_H
#define XENO_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/env.h"
#include "base/err.h"
#include "base/mem.h"
#include "json/json.h"

/* Exit statuses; documented in xeno(1). */
enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_REFUSED = 3,      /* a rule, a limit or a balance says no */
    CLI_UNREACHABLE = 4,  /* XenoCorp, XenoServer or a daemon does not answer */
    CLI_RUN_FAILED = 125, /* run, exec, attach: the command was never started */
    CLI_RUN_CANNOT = 126, /* ... it is there and cannot be run */
    CLI_RUN_MISSING = 127 /* ... it is not there */
};

struct sd_event;
struct cli_profile;
struct xeno_http_client;
struct cli_command;

struct cli {
    const struct xeno_env *env;
    const struct cli_command *command;
    const char *home; /* profile folder; NULL: as profile.h says */
    bool json;        /* --json: results, and errors on stderr, are JSON */
    bool quiet;
    bool out_tty, err_tty;
    bool colour;                   /* of stdout; never with NO_COLOR or --json */
    struct sd_event *loop;         /* NULL until needed: cli_loop() */
    struct cli_profile *profile;   /* NULL until needed: cli_profile_need() */
    struct xeno_http_client *http; /* NULL until needed: cli_http() */
};
void cli_release(struct cli *cli);

struct sd_event *cli_loop(struct cli *cli);

/* Run the loop for `length`; signals and timers of the loop are served. */
void cli_wait(struct cli *cli, xeno_time length);

/* A failure that the command line itself caused; exit status 2. Returns: -EINVAL. */
int cli_usage(struct xeno_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The exit status that goes with an error. */
enum cli_exit cli_exit_of(const struct xeno_err *err);

/* What somebody who sees this error should do next; NULL when its text says it all. */
const char *cli_hint(const struct xeno_err *err);

/* Print an error, with its hint, to stderr. */
void cli_complain(const struct cli *cli, const struct xeno_err *err);

#endif
