/* src/daemon/loop.h - what the event loop of every daemon has: signals, the watchdog, finished
 * work, what is done once a second.
 */
#ifndef XENO_DAEMON_LOOP_H
#define XENO_DAEMON_LOOP_H

#include <stdbool.h>

#include "base/err.h"
#include "base/mem.h"

struct sd_event;
struct xeno_work;
struct xeno_daemon_loop;

struct xeno_daemon_loop_opts {
    struct sd_event *event;     /* borrowed, as the rest, until it is freed */
    struct xeno_work *work;     /* what its threads have finished is collected; NULL: none */
    void (*reload)(void *user); /* at SIGHUP */
    /* At once, and a second after it has returned again, on a clock that goes on while the machine
     * sleeps. NULL: nothing. */
    void (*second)(void *user);
    /* At the first SIGTERM or SIGINT: something is still to be done, and the loop will be ended
     * when it is. NULL or false: it ends at once. */
    bool (*end)(void *user);
    void *user;
};

/* SIGTERM and SIGINT end the loop with 0, the second one at once, and that is logged. The watchdog
 * is served when systemd asks for it. Call xeno_signals_for_loop() before the first thread. Errors:
 * loop.source. */
int xeno_daemon_loop_new(const struct xeno_daemon_loop_opts *opts, struct xeno_daemon_loop **ret,
                         struct xeno_err *err);
/* Say that we are ready, run until something ends the loop, and say that we stop. Errors: loop.run.
 */
int xeno_daemon_run(struct sd_event *event, struct xeno_err *err);
void xeno_daemon_loop_free(struct xeno_daemon_loop *l);
XENO_DEFINE_AUTO(xeno_daemon_loop, xeno_daemon_loop_free);

#endif
