/* src/cli/terminal.c - the user's terminal in raw mode, and back whatever happens. */
#include "cli/terminal.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"

static struct termios before;
static volatile sig_atomic_t is_raw;

bool cli_terminal_there(void)
{
    return isatty(STDIN_FILENO);
}

void cli_terminal_restore(void)
{
    if (!is_raw)
        return;
    is_raw = 0;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}

/* tcsetattr() may be called from a handler (signal-safety(7)). Then the signal does what it would
 * have done: its default action was put back when this was called. */
static void on_fatal(int signo)
{
    if (is_raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
    raise(signo);
}

static void guard(void)
{
    static const int fatal[] = { SIGSEGV, SIGBUS,  SIGILL, SIGFPE, SIGABRT,
                                 SIGQUIT, SIGTERM, SIGHUP, SIGINT };
    static bool done;
    struct sigaction sa = { .sa_handler = on_fatal, .sa_flags = SA_RESETHAND | SA_NODEFER };

    if (done)
        return;
    done = true;
    atexit(cli_terminal_restore);
    for (size_t i = 0; i < XENO_LEN(fatal); i++)
        sigaction(fatal[i], &sa, NULL);
}

bool cli_terminal_raw(void)
{
    struct termios raw;

    if (!is_raw && tcgetattr(STDIN_FILENO, &before) < 0)
        return false;
    guard();
    raw = before;
    cfmakeraw(&raw);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    is_raw = 1; /* first: a signal between the two must put the old mode back */
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0) {
        is_raw = 0;
        return false;
    }
    return true;
}

bool cli_terminal_size(int *ret_columns, int *ret_rows)
{
    static const int fds[] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO };

    for (size_t i = 0; i < XENO_LEN(fds); i++) {
        struct winsize w;

        if (ioctl(fds[i], TIOCGWINSZ, &w) == 0 && w.ws_col > 0 && w.ws_row > 0) {
            *ret_columns = w.ws_col;
            *ret_rows = w.ws_row;
            return true;
        }
    }
    return false;
}
