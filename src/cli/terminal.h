/* src/cli/terminal.h - the user's terminal in raw mode, and back whatever happens.
 *
 * While raw, every key goes to the session. The old mode comes back by cli_terminal_restore(), at
 * exit(), and when a signal ends the program (then by a handler that does nothing else).
 */
#ifndef XENO_CLI_TERMINAL_H
#define XENO_CLI_TERMINAL_H

#include <stdbool.h>

/* Is standard input a terminal? */
bool cli_terminal_there(void);
/* Again: after a stop and continue, takes raw mode up again. False when it is no terminal. */
bool cli_terminal_raw(void);
void cli_terminal_restore(void);
/* Columns and rows of the terminal; false when there is none. */
bool cli_terminal_size(int *ret_columns, int *ret_rows);

#endif
