/* src/base/signals.c - signals of a daemon are its event loop's. */
#include "base/signals.h"

#include <signal.h>
#include <stddef.h>

void xeno_signals_for_loop(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}
