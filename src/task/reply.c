/* src/task/reply.c - replies and events of the task protocol, made and read. */
#include "task/proto.h"

#include <errno.h>
#include <string.h>

static const char *const state_names[XENO_TASK_STATES] = {
    [XENO_TASK_CREATED] = "created",
    [XENO_TASK_RUNNING] = "running",
    [XENO_TASK_PAUSED] = "paused",
    [XENO_TASK_STOPPED] = "stopped",
};

static const char *const event_names[XENO_TASK_EVENT_KINDS] = {
    [XENO_TASK_EVENT_EXIT] = "exit",
    [XENO_TASK_EVENT_OOM] = "oom",
    [XENO_TASK_EVENT_EXEC_EXIT] = "exec-exit",
    [XENO_TASK_EVENT_LOST] = "lost",
};

const char *xeno_task_state_name(enum xeno_task_state s)
{
    return s < XENO_TASK_STATES ? state_names[s] : "?";
}

/* --- usage --- */

/* One row a number, so that writing and reading cannot differ. */
static const struct {
    const char *key;
    size_t at;
    bool optional; /* older ones did not write it: 0 */
} usage_rows[] = {
    { "cpu_us", offsetof(struct xeno_task_usage, cpu_us) },
    { "throttled_us", offsetof(struct xeno_task_usage, throttled_us) },
    { "waited_us", offsetof(struct xeno_task_usage, waited_us), true },
    { "memory_bytes", offsetof(struct xeno_task_usage, memory_bytes) },
    { "memory_peak", offsetof(struct xeno_task_usage, memory_peak) },
    { "disk_bytes", offsetof(struct xeno_task_usage, disk_bytes) },
    { "net_rx_bytes", offsetof(struct xeno_task_usage, net_rx_bytes) },
    { "net_tx_bytes", offsetof(struct xeno_task_usage, net_tx_bytes) },
    { "net_rx_packets", offsetof(struct xeno_task_usage, net_rx_packets) },
    { "net_tx_packets", offsetof(struct xeno_task_usage, net_tx_packets) },
    { "pids", offsetof(struct xeno_task_usage, pids) },
    { "oom_kills", offsetof(struct xeno_task_usage, oom_kills) },
};

struct xeno_json *xeno_task_usage_json(const struct xeno_task_usage *u)
{
    struct xeno_json *obj = xeno_json_object();

    xeno_json_set_str(obj, "session", u->session);
    for (size_t i = 0; i < XENO_LEN(usage_rows); i++)
        xeno_json_set_int(obj, usage_rows[i].key,
                          *(const int64_t *)((const char *)u + usage_rows[i].at));
    return obj;
}

static int read_session_id(const struct xeno_json_at *at, char *to, struct xeno_err *err)
{
    const char *text;
    int r;

    r = xeno_json_str(at, "session", 1, XENO_TASK_SESSION_LEN, &text, err);
    if (r < 0)
        return r;
    if (!xeno_task_session_ok(text))
        return xeno_fail(err, -EINVAL, "task.session", "'%s' is not a session id", text);
    strcpy(to, text);
    return 0;
}

static int read_name(const struct xeno_json_at *at, const char *key, char *to, struct xeno_err *err)
{
    const char *text;
    int r;

    r = xeno_json_str(at, key, 1, XENO_TASK_NAME_MAX, &text, err);
    if (r < 0)
        return r;
    if (!xeno_task_name_ok(text))
        return xeno_fail(err, -EINVAL, "task.name", "%s '%s' is not a name", key, text);
    strcpy(to, text);
    return 0;
}

int xeno_task_usage_read(const struct xeno_json_at *at, struct xeno_task_usage *ret,
                         struct xeno_err *err)
{
    struct xeno_task_usage u = { .cpu_us = 0 };
    int r;

    r = read_session_id(at, u.session, err);
    for (size_t i = 0; r >= 0 && i < XENO_LEN(usage_rows); i++)
        r = (usage_rows[i].optional ? xeno_json_int_opt : xeno_json_int)(
            at, usage_rows[i].key, 0, INT64_MAX, (int64_t *)((char *)&u + usage_rows[i].at), err);
    if (r < 0)
        return r;
    *ret = u;
    return 0;
}

/* --- list --- */

struct xeno_json *xeno_task_session_json(const struct xeno_task_session_info *s)
{
    struct xeno_json *obj = xeno_json_object();
    struct xeno_json *tasks = xeno_json_array();

    xeno_json_set_str(obj, "session", s->session);
    xeno_json_set_str(obj, "driver", s->driver);
    xeno_json_set_str(obj, "state", xeno_task_state_name(s->state));
    if (s->lost)
        xeno_json_set_bool(obj, "lost", true);
    for (size_t i = 0; i < s->ntasks; i++) {
        const struct xeno_task_info *t = &s->tasks[i];
        struct xeno_json *item = xeno_json_object();

        xeno_json_set_str(item, "task", t->task);
        xeno_json_set_str(item, "state", xeno_task_state_name(t->state));
        xeno_json_set_int(item, "pid", t->pid);
        xeno_json_set_int(item, "code", t->code);
        xeno_json_set_bool(item, "oom", t->oom);
        xeno_json_append(tasks, item);
    }
    xeno_json_set(obj, "tasks", tasks);
    return obj;
}

static int read_state(const struct xeno_json_at *at, enum xeno_task_state *ret,
                      struct xeno_err *err)
{
    const char *text;
    int r;

    r = xeno_json_str(at, "state", 1, 16, &text, err);
    if (r < 0)
        return r;
    for (int s = 0; s < XENO_TASK_STATES; s++)
        if (strcmp(text, state_names[s]) == 0) {
            *ret = (enum xeno_task_state)s;
            return 0;
        }
    return xeno_fail(err, -EINVAL, "task.state", "%s.state '%s' is not known", at->path, text);
}

static int read_info(const struct xeno_json_at *at, struct xeno_task_info *t, struct xeno_err *err)
{
    int r;

    r = read_name(at, "task", t->task, err);
    if (r == 0)
        r = read_state(at, &t->state, err);
    if (r == 0)
        r = xeno_json_int(at, "pid", 0, INT32_MAX, &t->pid, err);
    if (r == 0)
        r = xeno_json_int(at, "code", 0, 255, &t->code, err);
    if (r == 0)
        r = xeno_json_bool_opt(at, "oom", &t->oom, err);
    return r < 0 ? r : 0;
}

int xeno_task_session_read(const struct xeno_json_at *at, struct xeno_task_session_info *ret,
                           struct xeno_err *err)
{
    xeno_autofree struct xeno_task_session_info *s = xeno_new0(struct xeno_task_session_info);
    struct xeno_json_at tasks;
    const char *driver;
    int r;

    r = read_session_id(at, s->session, err);
    if (r == 0)
        r = xeno_json_str(at, "driver", 1, XENO_TASK_DRIVER_MAX, &driver, err);
    if (r == 0)
        r = read_state(at, &s->state, err);
    if (r == 0)
        r = xeno_json_bool_opt(at, "lost", &s->lost, err);
    if (r >= 0)
        r = xeno_json_arr(at, "tasks", XENO_TASK_TASKS_MAX, &tasks, &s->ntasks, err);
    if (r < 0)
        return r;
    strcpy(s->driver, driver);
    for (size_t i = 0; i < s->ntasks; i++) {
        struct xeno_json_at item = xeno_json_item(&tasks, i);

        r = read_info(&item, &s->tasks[i], err);
        if (r < 0)
            return r;
    }
    *ret = *s;
    return 0;
}

/* --- events --- */

/* Does the event tell how something ended? */
static bool has_code(enum xeno_task_event_kind kind)
{
    return kind == XENO_TASK_EVENT_EXIT || kind == XENO_TASK_EVENT_EXEC_EXIT;
}

struct xeno_json *xeno_task_event_json(const struct xeno_task_event *e)
{
    struct xeno_json *obj = xeno_json_object();

    xeno_json_set_str(obj, "event", event_names[e->kind]);
    xeno_json_set_str(obj, "session", e->session);
    if (e->kind == XENO_TASK_EVENT_EXIT)
        xeno_json_set_str(obj, "task", e->task);
    if (e->kind == XENO_TASK_EVENT_EXEC_EXIT)
        xeno_json_set_str(obj, "exec", e->exec);
    if (has_code(e->kind)) {
        xeno_json_set_int(obj, "code", e->code);
        xeno_json_set_int(obj, "signal", e->signal);
    }
    if (e->kind == XENO_TASK_EVENT_EXIT)
        xeno_json_set_bool(obj, "oom", e->oom);
    return obj;
}

int xeno_task_event_read(const struct xeno_json_at *at, struct xeno_task_event *ret,
                         struct xeno_err *err)
{
    struct xeno_task_event e = { .kind = 0 };
    const char *name;
    int r;

    r = xeno_json_str(at, "event", 1, 16, &name, err);
    if (r < 0)
        return r;
    while (e.kind < XENO_TASK_EVENT_KINDS && strcmp(event_names[e.kind], name) != 0)
        e.kind++;
    if (e.kind == XENO_TASK_EVENT_KINDS)
        return xeno_fail(err, -EINVAL, "task.event", "there is no event '%s'", name);
    r = read_session_id(at, e.session, err);
    if (r == 0 && e.kind == XENO_TASK_EVENT_EXIT)
        r = read_name(at, "task", e.task, err);
    if (r == 0 && e.kind == XENO_TASK_EVENT_EXEC_EXIT)
        r = read_name(at, "exec", e.exec, err);
    if (r == 0 && has_code(e.kind))
        r = xeno_json_int(at, "code", 0, 255, &e.code, err);
    if (r == 0 && has_code(e.kind))
        r = xeno_json_int(at, "signal", 0, 127, &e.signal, err);
    if (r == 0 && e.kind == XENO_TASK_EVENT_EXIT)
        r = xeno_json_bool(at, "oom", &e.oom, err);
    if (r < 0)
        return r;
    *ret = e;
    return 0;
}
