/* src/cli/progress.h - a line on the terminal that shows that long work goes on.
 *
 * Drawn on stderr, only when that is a terminal and neither --json nor --quiet is given; wiped when
 * the work is over. While the loop runs it turns by itself; blocking work calls cli_progress_at().
 */
#ifndef XENO_CLI_PROGRESS_H
#define XENO_CLI_PROGRESS_H

#include "cli/cli.h"
#include "image/progress.h"

struct cli_progress;

/* Never NULL; draws nothing where nothing is to be drawn. `what` is copied. */
struct cli_progress *cli_progress_new(struct cli *cli, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void cli_progress_say(struct cli_progress *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void cli_progress_bytes(struct cli_progress *p, int64_t done, int64_t total);
void cli_progress_free(struct cli_progress *p);
XENO_DEFINE_AUTO(cli_progress, cli_progress_free);

/* For the calls of src/image: draws phase and bar. Borrows p. */
struct xeno_progress cli_progress_hook(struct cli_progress *p);

#endif
