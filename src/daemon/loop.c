/* src/daemon/loop.c - signals, the watchdog, finished work and each second in a daemon's event
 * loop.
 */
#include "daemon/loop.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "base/log.h"
#include "db/work.h"

#define SECOND_US (1000 * 1000)

struct xeno_daemon_loop {
    struct xeno_daemon_loop_opts opts;
    sd_event_source *sources[5];
    size_t source_count;
    bool ending;
};

static int on_end(sd_event_source *s, const struct signalfd_siginfo *si, void *user)
{
    struct xeno_daemon_loop *l = user;

    (void)s;
    xeno_log(LOG_NOTICE, "stop", "signal=%u", si->ssi_signo);
    if (!l->ending && l->opts.end && (l->ending = l->opts.end(l->opts.user)))
        return 0;
    return sd_event_exit(l->opts.event, 0);
}

static int on_hangup(sd_event_source *s, const struct signalfd_siginfo *si, void *user)
{
    struct xeno_daemon_loop *l = user;

    (void)s;
    (void)si;
    l->opts.reload(l->opts.user);
    return 0;
}

static int on_work(sd_event_source *s, int fd, uint32_t events, void *user)
{
    struct xeno_daemon_loop *l = user;

    (void)s;
    (void)fd;
    (void)events;
    (void)xeno_work_collect(l->opts.work);
    return 0;
}

static int on_second(sd_event_source *s, uint64_t usec, void *user)
{
    struct xeno_daemon_loop *l = user;

    (void)usec; /* it may be long ago: of the first time, and after the machine slept */
    l->opts.second(l->opts.user);
    (void)sd_event_source_set_time_relative(s, SECOND_US);
    return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int add_sources(struct xeno_daemon_loop *l)
{
    static const struct {
        int signal;
        sd_event_signal_handler_t handler;
    } signals[] = { { SIGTERM, on_end }, { SIGINT, on_end }, { SIGHUP, on_hangup } };
    struct sd_event *e = l->opts.event;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < XENO_LEN(signals); i++)
        r = sd_event_add_signal(e, &l->sources[l->source_count++], signals[i].signal,
                                signals[i].handler, l);
    if (r >= 0 && l->opts.work)
        r = sd_event_add_io(e, &l->sources[l->source_count++], xeno_work_fd(l->opts.work), EPOLLIN,
                            on_work, l);
    if (r >= 0 && l->opts.second)
        r = sd_event_add_time(e, &l->sources[l->source_count++], CLOCK_BOOTTIME, 0, 0, on_second,
                              l);
    return r < 0 ? r : sd_event_set_watchdog(e, 1);
}

int xeno_daemon_loop_new(const struct xeno_daemon_loop_opts *opts, struct xeno_daemon_loop **ret,
                         struct xeno_err *err)
{
    xeno_auto(xeno_daemon_loop) l = xeno_new0(struct xeno_daemon_loop);
    int r;

    l->opts = *opts;
    r = add_sources(l);
    if (r < 0)
        return xeno_fail_errno(err, r, "loop.source", "prepare the event loop");
    *ret = xeno_take(&l);
    return 0;
}

int xeno_daemon_run(struct sd_event *event, struct xeno_err *err)
{
    int r;

    sd_notify(0, "READY=1");
    r = sd_event_loop(event);
    sd_notify(0, "STOPPING=1");
    return r < 0 ? xeno_fail_errno(err, r, "loop.run", "run the event loop") : 0;
}

void xeno_daemon_loop_free(struct xeno_daemon_loop *l)
{
    if (!l)
        return;
    while (l->source_count > 0)
        sd_event_source_disable_unref(l->sources[--l->source_count]);
    free(l);
}
