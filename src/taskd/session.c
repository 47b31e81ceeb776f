/* src/taskd/session.c - the sessions the daemon knows, and what it watches of them. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/log.h"
#include "taskd/taskd.h"

/* The kernel tells of want of memory before it counts the kill. */
#define OOM_CHECK_US 30000

struct session *session_find(struct taskd *d, const char *id)
{
    struct session *s;

    HASH_FIND_STR(d->sessions, id, s);
    return s;
}

struct session *session_get(struct taskd *d, const char *id)
{
    struct session *s = session_find(d, id);

    if (s)
        return s;
    s = xeno_new0(struct session);
    s->daemon = d;
    strcpy(s->id, id);
    s->last = &s->first;
    HASH_ADD_STR(d->sessions, id, s);
    return s;
}

static void unwatch_oom(struct session *s)
{
    s->oom = sd_event_source_disable_unref(s->oom);
    s->oom_check = sd_event_source_disable_unref(s->oom_check);
}

void session_unwatch_server(struct session *s)
{
    s->server = sd_event_source_disable_unref(s->server);
    s->lost = false;
}

void session_drop(struct taskd *d, struct session *s)
{
    if (s->run || s->first)
        return;
    d->collect_due = true;
    unwatch_oom(s);
    session_unwatch_server(s);
    HASH_DEL(d->sessions, s);
    free(s);
}

void session_reload(struct taskd *d, struct session *s)
{
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_run *run = NULL;

    if (xeno_run_load(d->conf.dir, s->id, &run, &err) < 0 && err.code != -ENOENT)
        xeno_log_err(LOG_ERR, "session.broken", &err, "session=%s", s->id);
    xeno_run_free(s->run);
    s->run = run;
    s->drv = run ? xeno_task_driver_find(run->driver) : NULL;
    if (run && run->stage == XENO_RUN_READY)
        return;
    unwatch_oom(s);
    session_unwatch_server(s);
}

/* --- ends of tasks --- */

static void tell_exit(struct taskd *d, struct session *s, const struct xeno_run_task *t)
{
    struct xeno_task_event e = { .kind = XENO_TASK_EVENT_EXIT,
                                 .code = t->code,
                                 .signal = t->code > 128 ? t->code - 128 : 0,
                                 .oom = t->oom };

    if (e.signal > 64)
        e.signal = 0;
    strcpy(e.session, s->id);
    strcpy(e.task, t->name);
    send_event(d, &e);
    xeno_log(LOG_INFO, "task.exit", "session=%s task=%s code=%d oom=%d", s->id, t->name,
             (int)t->code, t->oom);
}

void session_check(struct taskd *d, struct session *s)
{
    struct xeno_err err = XENO_ERR_INIT;
    bool any = false;

    if (!s->run || !s->drv || !s->run->this_boot)
        return;
    for (size_t i = 0; i < s->run->ntasks; i++) {
        struct xeno_run_task *t = &s->run->tasks[i];
        int64_t code = 0, kills = 0;

        if (!t->started || t->ended || !s->drv->ended(&d->host, s->run, t, &code, &kills))
            continue;
        if (xeno_run_end_task(s->run, t, code, kills, &err) < 0) {
            xeno_log_err(LOG_ERR, "task.end", &err, "session=%s task=%s", s->id, t->name);
            continue;
        }
        tell_exit(d, s, t);
        any = true;
    }
    if (any)
        work_add(d, s, NULL, xeno_task_request_new(XENO_TASK_LIST, s->id), begin_reap);
}

/* --- want of memory --- */

static int64_t kills_of(struct taskd *d, struct session *s)
{
    struct xeno_task_usage u = s->run->base;

    s->drv->usage(&d->host, s->run, &u);
    return u.oom_kills;
}

static int on_oom_check(sd_event_source *src, uint64_t usec, void *data)
{
    struct session *s = data;
    struct xeno_task_event e = { .kind = XENO_TASK_EVENT_OOM };
    int64_t kills;

    (void)usec;
    s->oom_check = sd_event_source_disable_unref(src);
    if (!s->run || !s->drv)
        return 0;
    kills = kills_of(s->daemon, s);
    if (kills <= s->oom_seen)
        return 0; /* also told when the group goes away */
    s->oom_seen = kills;
    strcpy(e.session, s->id);
    send_event(s->daemon, &e);
    xeno_log(LOG_INFO, "session.oom", "session=%s kills=%lld", s->id, (long long)kills);
    return 0;
}

static int on_oom(sd_event_source *src, int fd, uint32_t events, void *data)
{
    struct session *s = data;
    char drain[4096];

    (void)src;
    (void)events;
    while (read(fd, drain, sizeof drain) > 0)
        ;
    if (!s->oom_check)
        sd_event_add_time_relative(s->daemon->loop, &s->oom_check, CLOCK_MONOTONIC, OOM_CHECK_US, 0,
                                   on_oom_check, s);
    return 0;
}

void session_watch_oom(struct taskd *d, struct session *s)
{
    int fd;

    if (s->oom || !s->run || s->run->stage != XENO_RUN_READY || !s->drv || !s->drv->oom_fd)
        return;
    fd = s->drv->oom_fd(&d->host, s->run);
    if (fd < 0 || sd_event_add_io(d->loop, &s->oom, fd, EPOLLIN, on_oom, s) < 0)
        return;
    sd_event_source_set_io_fd_own(s->oom, 1);
    s->oom_seen = kills_of(d, s);
}

/* --- who serves its file system --- */

static void tell_lost(struct session *s)
{
    struct xeno_task_event e = { .kind = XENO_TASK_EVENT_LOST };

    s->lost = true;
    strcpy(e.session, s->id);
    send_event(s->daemon, &e);
    xeno_log(LOG_ERR, "session.lost", "session=%s", s->id);
}

static int on_server_end(sd_event_source *src, int fd, uint32_t events, void *data)
{
    struct session *s = data;

    (void)fd;
    (void)events;
    s->server = sd_event_source_disable_unref(src);
    tell_lost(s);
    return 0;
}

void session_watch_server(struct taskd *d, struct session *s)
{
    int fd;

    if (s->server || !s->run || s->run->stage != XENO_RUN_READY || !s->drv || !s->drv->server_fd)
        return;
    fd = s->drv->server_fd(&d->host, s->run);
    if (fd == -ENOENT) {
        tell_lost(s);
        return;
    }
    if (fd < 0)
        return;
    if (sd_event_add_io(d->loop, &s->server, fd, EPOLLIN, on_server_end, s) < 0) {
        close(fd);
        return;
    }
    sd_event_source_set_io_fd_own(s->server, 1);
}

/* --- use --- */

static void add_counters(const struct xeno_net_counters *net, struct xeno_task_usage *u)
{
    if (!net)
        return;
    u->net_rx_bytes += (int64_t)net->rx_bytes;
    u->net_tx_bytes += (int64_t)net->tx_bytes;
    u->net_rx_packets += (int64_t)net->rx_packets;
    u->net_tx_packets += (int64_t)net->tx_packets;
}

static void never_less(int64_t *now, int64_t before)
{
    if (*now < before)
        *now = before;
}

void session_usage(struct taskd *d, struct session *s, const struct xeno_net_counters *net,
                   struct xeno_task_usage *ret)
{
    struct xeno_task_usage u = s->run->base;

    strcpy(u.session, s->id);
    if (s->run->stage == XENO_RUN_READY && s->run->this_boot && s->drv) {
        s->drv->usage(&d->host, s->run, &u);
        add_counters(net, &u);
    }
    never_less(&u.cpu_us, s->told.cpu_us);
    never_less(&u.throttled_us, s->told.throttled_us);
    never_less(&u.waited_us, s->told.waited_us);
    never_less(&u.memory_peak, s->told.memory_peak);
    never_less(&u.net_rx_bytes, s->told.net_rx_bytes);
    never_less(&u.net_tx_bytes, s->told.net_tx_bytes);
    never_less(&u.net_rx_packets, s->told.net_rx_packets);
    never_less(&u.net_tx_packets, s->told.net_tx_packets);
    never_less(&u.oom_kills, s->told.oom_kills);
    s->told = u;
    *ret = u;
}
