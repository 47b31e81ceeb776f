/* src/cli/guard.c - an interrupt while something that costs money is being made or ended. */
#include "cli/guard.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

static volatile sig_atomic_t caught;

/* Only write(2) and raise(3): safe in a handler (signal-safety(7)). */
static void on_signal(int signo)
{
    static const char first[] = "\ninterrupted: ending cleanly; once more stops at once\n";
    static const char again[] =
        "\nstopped at once; see what is left: xeno session ls; xeno order list\n";
    int before = errno;
    ssize_t ignored;

    if (!caught)
        ignored = write(STDERR_FILENO, first, sizeof first - 1);
    else {
        ignored = write(STDERR_FILENO, again, sizeof again - 1);
        signal(signo, SIG_DFL);
        raise(signo);
    }
    (void)ignored;
    caught = signo;
    errno = before;
}

void cli_guard_begin(void)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction sa = { .sa_handler = on_signal }, before;

    for (size_t i = 0; i < XENO_LEN(signals); i++)
        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(signals[i], &sa, NULL);
}

int cli_guard_caught(void)
{
    return caught;
}

int cli_guard_check(struct xeno_err *err)
{
    if (!caught)
        return 0;
    return xeno_fail(err, -EINTR, "cli.interrupted", "interrupted by SIG%s", sigabbrev_np(caught));
}
