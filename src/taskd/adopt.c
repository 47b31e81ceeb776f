/* src/taskd/adopt.c - the one path of start and restart: what the folders and the kernel say, made
 * whole. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "image/cache.h"
#include "task/oci/oci.h"
#include "taskd/taskd.h"

#define TICK_US    100000 /* for drivers whose tasks end by the clock */
#define CALM_TICKS 50     /* for the others: in case a message was lost */

static struct xeno_task_request *own_request(const char *session)
{
    return xeno_task_request_new(XENO_TASK_LIST, session);
}

/* --- one session --- */

/* The kernel has forgotten its processes: they ended when the machine did. */
static void end_lost_tasks(struct session *s)
{
    for (size_t i = 0; i < s->run->ntasks; i++) {
        struct xeno_run_task *t = &s->run->tasks[i];

        if (t->started && !t->ended)
            xeno_run_end_task(s->run, t, 255, 0, NULL);
    }
}

static void adopt_ready(struct taskd *d, struct session *s)
{
    struct xeno_err err = XENO_ERR_INIT;
    bool any_ended = false;

    if (s->drv->needs_root && network_add(d, s->id, &s->run->spec, &err) < 0)
        xeno_log_err(LOG_ERR, "adopt.network", &err, "session=%s", s->id);
    session_watch_oom(d, s);
    session_watch_server(d, s);
    session_check(d, s);
    for (size_t i = 0; i < s->run->ntasks; i++)
        any_ended |= s->run->tasks[i].ended;
    if (any_ended)
        work_add(d, s, NULL, own_request(s->id), begin_reap);
    work_add(d, s, NULL, own_request(s->id), begin_repause);
}

static void adopt_session(struct taskd *d, const char *id)
{
    struct session *s = session_get(d, id);
    struct xeno_run *run;

    session_reload(d, s);
    run = s->run;
    if (!run || !s->drv || run->stage == XENO_RUN_ENDING) {
        xeno_log(LOG_NOTICE, "adopt.litter", "session=%s", id);
        work_add(d, s, NULL, own_request(id), begin_destroy);
    } else if (!driver_usable(d, s->drv)) {
        xeno_log(LOG_ERR, "adopt.driver", "session=%s driver=%s", id, run->driver);
    } else if (run->stage == XENO_RUN_STOPPING ||
               (!run->this_boot && run->stage != XENO_RUN_STOPPED)) {
        xeno_log(LOG_NOTICE, "adopt.stopped", "session=%s this_boot=%d", id, run->this_boot);
        end_lost_tasks(s);
        work_add(d, s, NULL, own_request(id), begin_settle);
    } else if (run->stage == XENO_RUN_READY) {
        adopt_ready(d, s);
    }
}

/* --- what belongs to no session --- */

/* Ids of cgroups without a session: their folder is gone, so nobody will ever ask for them. */
static void sweep_cgroups(struct taskd *d)
{
    char **ids = d->host.cgroups ? xeno_cgroups_list(d->host.cgroups) : NULL;

    for (size_t i = 0; ids && ids[i]; i++) {
        ids[i][strcspn(ids[i], ".")] = '\0'; /* of who serves its files: the same session */
        if (xeno_task_session_ok(ids[i]) && !session_find(d, ids[i])) {
            xeno_log(LOG_NOTICE, "adopt.cgroup", "session=%s", ids[i]);
            work_add(d, session_get(d, ids[i]), NULL, own_request(ids[i]), begin_destroy);
        }
        free(ids[i]);
    }
    free(ids);
}

/* The session in a name of this instance, INSTANCE-SESSION...; *ret_tail: what comes behind it. */
static bool session_in(const struct taskd *d, const char *name, char *ret, const char **ret_tail)
{
    size_t len = strlen(d->conf.instance);

    if (strncmp(name, d->conf.instance, len) != 0 || name[len] != '-' ||
        strlen(name + len + 1) < XENO_TASK_SESSION_LEN)
        return false;
    memcpy(ret, name + len + 1, XENO_TASK_SESSION_LEN);
    ret[XENO_TASK_SESSION_LEN] = '\0';
    *ret_tail = name + len + 1 + XENO_TASK_SESSION_LEN;
    return xeno_task_session_ok(ret);
}

/* The session a container's name speaks of: INSTANCE-SESSION-TASK. */
static bool session_of(const struct taskd *d, const char *name, char *ret)
{
    const char *tail;

    return session_in(d, name, ret, &tail) && *tail;
}

bool pin_session(const struct taskd *d, const char *name, char *ret)
{
    const char *tail;

    return session_in(d, name, ret, &tail) && !*tail;
}

/* Pins of sessions whose folder somebody took away: their layers could never be collected. */
static void sweep_pins(struct taskd *d)
{
    xeno_auto(xeno_cache) cache = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    char **names = NULL, id[XENO_TASK_SESSION_LEN + 1];
    size_t n = 0;
    int r;

    r = xeno_cache_open(d->conf.cache, &cache, &err);
    if (r == 0)
        r = xeno_cache_pinned(cache, &names, &n, &err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        if (!pin_session(d, names[i], id) || session_find(d, id))
            continue;
        xeno_log(LOG_NOTICE, "adopt.pin", "session=%s", id);
        r = xeno_cache_unpin(cache, names[i], &err);
    }
    if (names)
        xeno_cache_paths_free(names, n);
    if (r < 0)
        xeno_log_err(LOG_WARNING, "adopt.pin", &err, "cache=%s", d->conf.cache);
}

static void sweep_folder(struct taskd *d, const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *e;
    char id[XENO_TASK_SESSION_LEN + 1];

    while (dir && (e = readdir(dir)))
        if (session_of(d, e->d_name, id) && !session_find(d, id))
            xeno_remove_tree(dirfd(dir), e->d_name, NULL);
    if (dir)
        closedir(dir);
}

/* --- watching --- */

static int on_exit_file(sd_event_source *src, int fd, uint32_t events, void *data)
{
    struct taskd *d = data;
    char buf[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
    char id[XENO_TASK_SESSION_LEN + 1];
    ssize_t n = read(fd, buf, sizeof buf);

    (void)src;
    (void)events;
    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *e = (const void *)(buf + at);
        struct session *s;

        at += (ssize_t)(sizeof *e + e->len);
        s = e->len > 0 && session_of(d, e->name, id) ? session_find(d, id) : NULL;
        if (s)
            session_check(d, s);
    }
    return 0;
}

static int on_tick(sd_event_source *src, uint64_t usec, void *data)
{
    static unsigned ticks;
    struct taskd *d = data;
    struct session *s, *next;
    bool calm = ++ticks % CALM_TICKS == 0;

    HASH_ITER (hh, d->sessions, s, next) {
        if (s->run && s->drv && s->run->stage == XENO_RUN_READY && (calm || !s->drv->needs_root))
            session_check(d, s);
    }
    collect_tick(d, usec);
    sd_event_source_set_time(src, usec + TICK_US);
    return sd_event_source_set_enabled(src, SD_EVENT_ONESHOT);
}

static int watch(struct taskd *d, struct xeno_err *err)
{
    uint64_t now;

    if (d->host.oci) {
        d->exits = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (d->exits < 0 ||
            inotify_add_watch(d->exits, d->host.oci->exits, IN_MOVED_TO | IN_CLOSE_WRITE) < 0)
            return xeno_fail_errno(err, -errno, "taskd.watch", "watch '%s'", d->host.oci->exits);
        sd_event_add_io(d->loop, &d->exits_source, d->exits, EPOLLIN, on_exit_file, d);
    }
    d->collect_due = true;
    sd_event_now(d->loop, CLOCK_MONOTONIC, &now);
    sd_event_add_time(d->loop, &d->tick, CLOCK_MONOTONIC, now + TICK_US, 10000, on_tick, d);
    return 0;
}

int adopt(struct taskd *d, struct xeno_err *err)
{
    char **ids = NULL;
    int r;

    r = watch(d, err); /* before looking, so that no end falls between */
    if (r == 0)
        r = xeno_run_list(d->conf.dir, &ids, err);
    for (size_t i = 0; r == 0 && ids[i]; i++)
        adopt_session(d, ids[i]);
    xeno_run_list_free(ids);
    if (r < 0)
        return r;
    spares_sweep(d);
    sweep_cgroups(d);
    network_sweep(d);
    if (d->host.oci) {
        sweep_folder(d, d->host.oci->exits);
        sweep_folder(d, d->host.oci->root);
        sweep_pins(d);
    }
    return 0;
}
