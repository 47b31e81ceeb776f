/* sim/taskman.c - a model of a task manager. */
#include "sim/taskman.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <uthash.h>

struct tm_session {
    char id[XENO_TASK_SESSION_LEN + 1];
    struct xeno_task_session_info info;
    struct xeno_task_spec spec;
    struct xeno_task_usage usage;
    int64_t at_ms;
    unsigned load; /* percent of its quota that a running task uses */
    UT_hash_handle hh;
};

struct taskman {
    struct world *w;
    struct tm_session *sessions;
};

struct taskman *taskman_new(struct world *w)
{
    struct taskman *tm = xeno_new0(struct taskman);

    tm->w = w;
    return tm;
}

void taskman_free(struct taskman *tm)
{
    struct tm_session *s, *next;

    if (!tm)
        return;
    HASH_ITER (hh, tm->sessions, s, next) {
        HASH_DEL(tm->sessions, s);
        free(s);
    }
    free(tm);
}

static struct tm_session *find(const struct taskman *tm, const char *id)
{
    struct tm_session *s;

    HASH_FIND_STR(tm->sessions, id, s);
    return s;
}

static struct xeno_task_info *find_task(struct tm_session *s, const char *name)
{
    for (size_t i = 0; i < s->info.ntasks; i++)
        if (strcmp(s->info.tasks[i].task, name) == 0)
            return &s->info.tasks[i];
    return NULL;
}

static bool busy(const struct tm_session *s)
{
    if (s->info.state != XENO_TASK_RUNNING)
        return false;
    for (size_t i = 0; i < s->info.ntasks; i++)
        if (s->info.tasks[i].state == XENO_TASK_RUNNING)
            return true;
    return false;
}

/* Use what is used by now. */
static void use(struct taskman *tm, struct tm_session *s)
{
    int64_t ms = world_ms(tm->w) - s->at_ms;

    s->at_ms = world_ms(tm->w);
    s->usage.memory_bytes = 0;
    if (!busy(s))
        return;
    s->usage.cpu_us += s->spec.cpu_msps * ms * s->load / 100;
    s->usage.net_tx_bytes += s->spec.net_kbps / 8 * ms * s->load / 1000;
    s->usage.net_rx_bytes += s->spec.net_kbps / 8 * ms * s->load / 2000;
    s->usage.memory_bytes = s->spec.memory_bytes / 100 * s->load;
    if (s->usage.disk_bytes < s->spec.disk_bytes)
        s->usage.disk_bytes += s->spec.disk_bytes / 1000 * s->load / 100;
}

static void stop_tasks(struct tm_session *s, int64_t code)
{
    for (size_t i = 0; i < s->info.ntasks; i++)
        if (s->info.tasks[i].state != XENO_TASK_STOPPED) {
            s->info.tasks[i].state = XENO_TASK_STOPPED;
            s->info.tasks[i].code = code;
        }
}

static int unknown(struct xeno_err *err, const char *id)
{
    return xeno_fail(err, -ENOENT, "task.unknown", "no session %s", id);
}

static int handle_create(struct taskman *tm, const struct xeno_task_request *q,
                         struct xeno_err *err)
{
    struct tm_session *s = find(tm, q->session);

    if (s)
        return xeno_task_spec_equal(&s->spec, &q->spec)
                   ? 0
                   : xeno_fail(err, -EEXIST, "task.exists", "another session %s", q->session);
    s = xeno_new0(struct tm_session);
    snprintf(s->id, sizeof(s->id), "%s", q->session);
    snprintf(s->info.session, sizeof(s->info.session), "%s", q->session);
    snprintf(s->info.driver, sizeof(s->info.driver), "%s", q->driver);
    snprintf(s->usage.session, sizeof(s->usage.session), "%s", q->session);
    s->info.state = XENO_TASK_CREATED;
    s->spec = q->spec;
    s->at_ms = world_ms(tm->w);
    s->load = (unsigned)world_dice(tm->w, 120); /* some want more than they have */
    s->load = s->load > 100 ? 100 : s->load;
    HASH_ADD_STR(tm->sessions, id, s);
    return 0;
}

/* Starting what was started already has no effect, also when it has ended. */
static int handle_start(struct tm_session *s, const struct xeno_task_request *q,
                        struct xeno_err *err)
{
    struct xeno_task_info *t = find_task(s, q->task);

    if (s->info.state == XENO_TASK_STOPPED || s->info.state == XENO_TASK_PAUSED)
        return xeno_fail(err, -EBUSY, "task.stage", "session %s is not running", s->id);
    if (t)
        return 0;
    t = &s->info.tasks[s->info.ntasks++];
    snprintf(t->task, sizeof(t->task), "%s", q->task);
    t->state = XENO_TASK_RUNNING;
    t->pid = 1000;
    s->info.state = XENO_TASK_RUNNING;
    return 0;
}

/* The answer to a snapshot says what was used, when there was something to stop. */
static void handle_snapshot(struct tm_session *s, struct xeno_json *ok)
{
    s->usage.memory_bytes = 0;
    if (s->info.state != XENO_TASK_STOPPED)
        xeno_json_set(ok, "usage", xeno_task_usage_json(&s->usage));
    s->info.state = XENO_TASK_STOPPED;
    s->info.lost = false;
    stop_tasks(s, 137);
}

static int handle_session(struct taskman *tm, const struct xeno_task_request *q,
                          struct xeno_json *ok, struct xeno_err *err)
{
    struct tm_session *s = find(tm, q->session);

    if (!s)
        return q->op == XENO_TASK_DESTROY ? 0 : unknown(err, q->session);
    use(tm, s);
    switch (q->op) {
    case XENO_TASK_START:
        return handle_start(s, q, err);
    case XENO_TASK_PAUSE:
    case XENO_TASK_RESUME:
        if (s->info.state == XENO_TASK_STOPPED)
            return xeno_fail(err, -EINVAL, "task.state", "session %s is stopped", s->id);
        s->info.state = q->op == XENO_TASK_PAUSE ? XENO_TASK_PAUSED : XENO_TASK_RUNNING;
        return 0;
    case XENO_TASK_SNAPSHOT:
        handle_snapshot(s, ok);
        return 0;
    case XENO_TASK_RESTORE:
        if (s->info.state == XENO_TASK_STOPPED || s->info.lost) {
            s->info.state = XENO_TASK_CREATED;
            s->info.lost = false;
            s->info.ntasks = 0;
        }
        return 0;
    case XENO_TASK_DESTROY:
        HASH_DEL(tm->sessions, s);
        free(s);
        return 0;
    default:
        return 0;
    }
}

static struct xeno_json *everything(struct taskman *tm, bool usage)
{
    struct xeno_json *o = xeno_json_object(), *list = xeno_json_array();
    struct tm_session *s, *next;

    HASH_ITER (hh, tm->sessions, s, next) {
        use(tm, s);
        xeno_json_append(list, usage ? xeno_task_usage_json(&s->usage)
                                     : xeno_task_session_json(&s->info));
    }
    xeno_json_set(o, "sessions", list);
    return o;
}

int taskman_handle(struct taskman *tm, const struct xeno_task_request *q, struct xeno_json **ret_ok,
                   struct xeno_err *err)
{
    struct xeno_json *ok;
    int r;

    if (q->op == XENO_TASK_USAGE || q->op == XENO_TASK_LIST) {
        *ret_ok = everything(tm, q->op == XENO_TASK_USAGE);
        return 0;
    }
    ok = xeno_json_object();
    r = q->op == XENO_TASK_CREATE ? handle_create(tm, q, err) : handle_session(tm, q, ok, err);
    if (r == 0)
        *ret_ok = xeno_take(&ok);
    xeno_json_unref(ok);
    return r;
}

bool taskman_exit(struct taskman *tm, const char *session, const char *task)
{
    struct tm_session *s = find(tm, session);
    struct xeno_task_info *t = s ? find_task(s, task) : NULL;

    if (!t || t->state != XENO_TASK_RUNNING)
        return false;
    use(tm, s);
    t->state = XENO_TASK_STOPPED;
    return true;
}

bool taskman_pick(struct taskman *tm, char session[XENO_TASK_SESSION_LEN + 1],
                  char task[XENO_TASK_NAME_MAX + 1])
{
    size_t skip = HASH_COUNT(tm->sessions);
    struct tm_session *s, *next;

    skip = skip > 0 ? world_dice(tm->w, skip) : 0;
    HASH_ITER (hh, tm->sessions, s, next) {
        if (skip > 0) {
            skip--;
            continue;
        }
        if (!busy(s))
            continue;
        memcpy(session, s->id, sizeof(s->id));
        for (size_t i = 0; i < s->info.ntasks; i++)
            if (s->info.tasks[i].state == XENO_TASK_RUNNING) {
                memcpy(task, s->info.tasks[i].task, XENO_TASK_NAME_MAX + 1);
                return true;
            }
    }
    return false;
}

void taskman_lose(struct taskman *tm, const char *session)
{
    find(tm, session)->info.lost = true;
}

void taskman_boot(struct taskman *tm)
{
    struct tm_session *s, *next;

    HASH_ITER (hh, tm->sessions, s, next) {
        use(tm, s);
        s->info.state = XENO_TASK_STOPPED;
        stop_tasks(s, 137);
    }
}

size_t taskman_sessions(const struct taskman *tm)
{
    return HASH_COUNT(tm->sessions);
}

bool taskman_has(const struct taskman *tm, const char *session)
{
    return find(tm, session) != NULL;
}

int64_t taskman_cpu_msps(const struct taskman *tm)
{
    struct tm_session *s, *next;
    int64_t sum = 0;

    HASH_ITER (hh, tm->sessions, s, next)
        if (s->info.state != XENO_TASK_STOPPED)
            sum += s->spec.cpu_msps;
    return sum;
}
