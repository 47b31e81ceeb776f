/* src/xenod/tasklink.c - the connection to the task manager.
 *
 * It counts as up for the host once it is connected, has said what it is, and has our driver. What
 * it says about the machine replaces what we could see ourselves.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "xenod/xenod.h"

#define DESCRIBE_RETRY_US (5 * 1000 * 1000)

static void describe(struct xenod *d);

static int on_retry(sd_event_source *s, uint64_t usec, void *data)
{
    struct xenod *d = data;

    (void)s;
    (void)usec;
    if (xeno_task_client_up(d->task) && !d->task_ready)
        describe(d);
    return 0;
}

static void retry_later(struct xenod *d)
{
    sd_event_source_disable_unref(d->describe_retry);
    d->describe_retry = NULL;
    (void)sd_event_add_time_relative(d->loop, &d->describe_retry, CLOCK_MONOTONIC,
                                     DESCRIBE_RETRY_US, 0, on_retry, d);
}

/* Has it our driver? Why not stands in the list: {"name","isolation"} or with a "problem". */
int xenod_task_check(const struct xenod *d, const struct xeno_json_at *ok, struct xeno_err *err)
{
    struct xeno_json_at list;
    size_t count;
    int r = xeno_json_arr(ok, "drivers", 64, &list, &count, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        struct xeno_json_at item = xeno_json_item(&list, i);
        const char *name, *problem = NULL;

        r = xeno_json_str(&item, "name", 1, 64, &name, err);
        if (r < 0)
            return r;
        if (strcmp(name, d->opt.driver) != 0)
            continue;
        (void)xeno_json_str_opt(&item, "problem", 1, 1024, &problem, NULL);
        if (!problem)
            return 0;
        return xeno_fail(err, -ENOTSUP, "task.driver", "driver %s cannot run: %s", name, problem);
    }
    return xeno_fail(err, -ENOTSUP, "task.driver",
                     "the task manager at '%s' has no driver '%s' that works; its own --check says "
                     "why",
                     d->opt.task_socket, d->opt.driver);
}

static int take_machine(struct xenod *d, const struct xeno_json_at *ok, struct xeno_err *err)
{
    struct xenod_machine m = d->machine;
    struct xeno_host_config cfg;
    int r = xeno_json_int_opt(ok, "cpus", 1, 100000, &m.cpus, err);

    if (r >= 0)
        r = xeno_json_int_opt(ok, "memory_bytes", 1, INT64_MAX, &m.memory_bytes, err);
    if (r >= 0)
        r = xeno_json_int_opt(ok, "disk_bytes", 0, INT64_MAX, &m.disk_bytes, err);
    if (r < 0)
        return r;
    d->machine = m;
    xenod_host_config(d, &cfg);
    return xeno_host_reconfigure(d->host, &cfg, err);
}

static void on_described(void *data, const struct xeno_json_at *ok, int *fds, size_t nfds,
                         const struct xeno_err *err)
{
    struct xenod *d = data;
    struct xeno_err why = XENO_ERR_INIT;
    int r = 0;

    (void)fds;
    (void)nfds;
    if (err)
        why = *err;
    r = err ? err->code : xenod_task_check(d, ok, &why);
    if (r >= 0)
        r = take_machine(d, ok, &why);
    if (r < 0) {
        xeno_log_err(LOG_ERR, "task.describe", &why, "%s", "");
        retry_later(d);
        return;
    }
    xeno_log(LOG_INFO, "task.up", "socket=%s driver=%s", d->opt.task_socket, d->opt.driver);
    d->task_ready = true;
    xeno_host_task_link(d->host, true);
}

static void describe(struct xenod *d)
{
    xeno_auto(xeno_task_request) q = xeno_task_request_new(XENO_TASK_DESCRIBE, NULL);
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_task_client_ask(d->task, q, xeno_s(15), on_described, d, &err) < 0)
        retry_later(d);
}

static void on_state(void *data, bool up)
{
    struct xenod *d = data;

    if (up) {
        describe(d);
        return;
    }
    if (d->task_ready) {
        xeno_log(LOG_WARNING, "task.away", "socket=%s", d->opt.task_socket);
        d->task_ready = false;
        xeno_host_task_link(d->host, false);
    }
}

static void on_event(void *data, const struct xeno_task_event *e)
{
    struct xenod *d = data;

    xenod_watch_task(d, e);
    xeno_host_task_event(d->host, e);
}

int xenod_task_open(struct xenod *d, struct xeno_err *err)
{
    struct xeno_task_client_hooks hooks = { .state = on_state, .event = on_event, .data = d };

    return xeno_task_client_new(d->loop, d->opt.task_socket, &hooks, &d->task, err);
}
