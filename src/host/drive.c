/* src/host/drive.c - getting the task manager to do what the journal says.
 *
 * Level, not edge: drive_session() looks at the state and sends the one message that is wanted
 * next, if none is under way. An answer moves the state or the step within it; a lost one is sent
 * again. After each loss of the connection the task manager is asked what it has, and both sides
 * are made to agree before anything else is sent.
 *
 * Ending and suspending take steps: stop the processes, take a last usage sample (the kernel's
 * counters do not grow any more), then destroy. So the last charge is exact.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/internal.h"

#define RETRY_FIRST_MS 200
#define RETRY_MOST_MS  10000
#define SNAPSHOT_TRIES 4 /* of an ending; then it is destroyed as it is */
#define USAGE_TRIES    4
#define RELIST_MS      30000 /* look again for what nobody owns, when removing it failed */
#define LIST_MAX       65536

/* --- messages that are waited for --- */

struct op *op_new(struct xeno_host *h, enum op_kind kind, const char *session, const char *name,
                  int64_t timeout_ms)
{
    struct op *op = xeno_new0(struct op);

    op->tag = ++h->tag;
    op->kind = kind;
    snprintf(op->session, sizeof(op->session), "%s", session);
    snprintf(op->name, sizeof(op->name), "%s", name);
    op->deadline_ns = host_after(h, timeout_ms);
    HASH_ADD(hh, h->ops, tag, sizeof(op->tag), op);
    return op;
}

struct op *op_take(struct xeno_host *h, uint64_t tag)
{
    struct op *op;

    HASH_FIND(hh, h->ops, &tag, sizeof(tag), op);
    if (op)
        HASH_DEL(h->ops, op);
    return op;
}

void op_drop(struct xeno_host *h, uint64_t *tag)
{
    if (*tag != 0)
        free(op_take(h, *tag));
    *tag = 0;
}

static void retry_later(struct xeno_host *h, struct session *s)
{
    s->retry_ns = host_after(h, host_backoff(h, s->tries, RETRY_FIRST_MS, RETRY_MOST_MS));
    s->tries++;
}

/* --- sending --- */

static void send_task(struct xeno_host *h, const struct op *op, struct xeno_task_request *q)
{
    h->ports.task(h->ports.ctx, op->tag, q);
}

static void fill_spec(const struct session *s, struct xeno_task_spec *spec)
{
    const struct xeno_grant *g = &s->offer.grant;

    spec->cpu_msps = g->cpu_msps;
    spec->cpu_burst_ms = g->cpu_burst_ms;
    spec->memory_bytes = g->memory_bytes;
    spec->pids = g->pids;
    spec->disk_bytes = g->disk_bytes;
    spec->net_kbps = g->net_kbps;
    snprintf(spec->address, sizeof(spec->address), "%s", g->address);
    xeno_hostname_from(s->offer.name, spec->hostname);
    for (size_t i = 0; i < g->port_count && i < XENO_TASK_PORTS_MAX; i++)
        if (g->ports[i].host_port != 0)
            spec->ports[spec->nports++] =
                (struct xeno_task_port){ .port = g->ports[i].port,
                                         .host_port = g->ports[i].host_port,
                                         .udp = g->ports[i].proto == XENO_PROTO_UDP };
    for (size_t i = 0; i < s->offer.layer_count && i < XENO_TASK_LAYERS_MAX; i++)
        snprintf(spec->layers[spec->nlayers++], sizeof(spec->layers[0]), "%s", s->offer.layers[i]);
}

/* A message about the whole session; one at a time. */
static void send_session(struct xeno_host *h, struct session *s, enum op_kind kind,
                         enum xeno_task_op what, int64_t timeout_ms)
{
    xeno_auto(xeno_task_request) q = xeno_task_request_new(what, s->id);
    struct op *op = op_new(h, kind, s->id, "", timeout_ms);

    if (kind == OP_CREATE)
        snprintf(q->driver, sizeof(q->driver), "%s", h->driver);
    if (kind == OP_CREATE || kind == OP_RESTORE)
        fill_spec(s, &q->spec);
    s->tag = op->tag;
    send_task(h, op, q);
}

static void send_start(struct xeno_host *h, struct session *s, struct task *t)
{
    xeno_auto(xeno_task_request) q = xeno_task_request_new(XENO_TASK_START, s->id);
    struct op *op = op_new(h, OP_START, s->id, t->name, h->cfg.task_timeout_ms);

    snprintf(q->task, sizeof(q->task), "%s", t->name);
    q->program = t->program; /* lent for the call */
    t->tag = op->tag;
    send_task(h, op, q);
    memset(&q->program, 0, sizeof(q->program));
}

static void start_tasks(struct xeno_host *h, struct session *s)
{
    for (struct task *t = s->tasks; t; t = t->next)
        if (t->state == TASK_PENDING && t->tag == 0)
            send_start(h, s, t);
}

static void drive_stopping(struct xeno_host *h, struct session *s)
{
    if (s->step == STEP_FIRST)
        send_session(h, s, OP_SNAPSHOT, XENO_TASK_SNAPSHOT, h->cfg.stop_timeout_ms);
    else if (s->step == STEP_USAGE)
        drive_sample(h);
    else
        send_session(h, s, OP_DESTROY, XENO_TASK_DESTROY, h->cfg.stop_timeout_ms);
}

void drive_session(struct xeno_host *h, struct session *s)
{
    if (!h->reconciled || s->tag != 0 || mono_ns(h) < s->retry_ns)
        return;
    switch (s->r.state) {
    case XENO_CREATING:
        send_session(h, s, OP_CREATE, XENO_TASK_CREATE, h->cfg.create_timeout_ms);
        break;
    case XENO_RUNNING:
        if (s->frozen)
            send_session(h, s, OP_RESUME, XENO_TASK_RESUME, h->cfg.task_timeout_ms);
        else
            start_tasks(h, s);
        break;
    case XENO_PAUSED:
        if (!s->frozen)
            send_session(h, s, OP_PAUSE, XENO_TASK_PAUSE, h->cfg.task_timeout_ms);
        break;
    case XENO_RESTORING:
        send_session(h, s, OP_RESTORE, XENO_TASK_RESTORE, h->cfg.create_timeout_ms);
        break;
    case XENO_SUSPENDING:
    case XENO_ENDING:
        drive_stopping(h, s);
        break;
    default:
        break;
    }
}

/* --- usage --- */

/* One request for all sessions; a session that waits for a sample made after now gets the next. */
void drive_sample(struct xeno_host *h)
{
    xeno_auto(xeno_task_request) q = NULL;
    struct op *op;

    if (!h->reconciled || h->usage_tag != 0)
        return;
    q = xeno_task_request_new(XENO_TASK_USAGE, NULL);
    op = op_new(h, OP_USAGE, "", "", h->cfg.task_timeout_ms);
    h->usage_tag = op->tag;
    h->sample_no++;
    send_task(h, op, q);
}

static void take_sample(struct xeno_host *h, const struct xeno_task_usage *u)
{
    struct session *s = host_session(h, u->session);
    struct xeno_sample sample = {
        .cpu_us = u->cpu_us,
        .stall_us = -1,
        .memory_bytes = u->memory_bytes,
        .disk_bytes = u->disk_bytes,
    };

    if (!s || s->r.meter.at_ms == 0 || !xeno_state_info((enum xeno_state)s->r.state)->built)
        return;
    if (__builtin_add_overflow(u->net_rx_bytes, u->net_tx_bytes, &sample.net_bytes))
        sample.net_bytes = -1;
    session_advance(h, s);
    xeno_meter_sample(&s->r.meter, &s->offer.grant, &sample);
}

/* The last sample of a session that stops is in: go on. It is journalled with the next step. */
static void sampled(struct xeno_host *h, struct session *s)
{
    if (s->r.state == XENO_SUSPENDING) {
        session_try_move(h, s, XENO_ON_STOPPED, NULL);
        return;
    }
    /* What was used must be on the disk before the counters are destroyed. */
    if (session_save(h, s, &s->r, NULL) < 0) {
        retry_later(h, s);
        return;
    }
    s->step = STEP_LAST;
    s->tries = 0;
    drive_session(h, s);
}

static void sample_waiters(struct xeno_host *h, bool ok)
{
    struct session *s, *next;
    bool more = false;

    HASH_ITER (hh, h->sessions, s, next) {
        if ((s->r.state != XENO_SUSPENDING && s->r.state != XENO_ENDING) || s->step != STEP_USAGE)
            continue;
        if (s->sample_after > h->sample_no) {
            more = true; /* asked before it had stopped */
            continue;
        }
        if (!ok && ++s->tries < USAGE_TRIES)
            continue;
        sampled(h, s);
    }
    if (more)
        drive_sample(h);
}

static void answered_usage(struct xeno_host *h, const struct xeno_json_at *ok)
{
    struct xeno_json_at list;
    struct xeno_task_usage u;
    size_t count = 0;
    bool good;

    h->usage_tag = 0;
    good = ok && xeno_json_arr(ok, "sessions", LIST_MAX, &list, &count, NULL) == 0;
    for (size_t i = 0; good && i < count; i++) {
        struct xeno_json_at item = xeno_json_item(&list, i);

        if (xeno_task_usage_read(&item, &u, NULL) == 0)
            take_sample(h, &u);
    }
    if (!good)
        h->count.task_errors++;
    sample_waiters(h, good);
}

/* --- answers about sessions --- */

static bool is_transient(int code)
{
    switch (code) {
    case -ENOTCONN:
    case -ETIMEDOUT:
    case -EAGAIN:
    case -EBUSY:
    case -EINTR:
    case -ENOBUFS:
        return true;
    default:
        return false;
    }
}

static void fail_session(struct xeno_host *h, struct session *s, enum xeno_trigger trigger,
                         const struct xeno_err *why)
{
    char reason[REASON_CHARS];

    reason_from(why, reason);
    session_try_move(h, s, trigger, reason);
}

/* Nothing runs any more. The answer says what it used, unless it had been stopped before. */
static void stopped(struct xeno_host *h, struct session *s, const struct xeno_json_at *ok)
{
    struct xeno_task_usage u;
    struct xeno_json_at at;

    if (s->r.state != XENO_SUSPENDING && s->r.state != XENO_ENDING)
        return;
    s->step = STEP_USAGE;
    s->tries = 0;
    if (ok && xeno_json_obj_opt(ok, "usage", &at, NULL) == 0 &&
        xeno_task_usage_read(&at, &u, NULL) == 0 && strcmp(u.session, s->id) == 0) {
        take_sample(h, &u);
        sampled(h, s);
        return;
    }
    s->sample_after = h->sample_no + 1;
    drive_sample(h);
}

static void session_succeeded(struct xeno_host *h, struct session *s, enum op_kind kind,
                              const struct xeno_json_at *ok)
{
    s->tries = 0;
    switch (kind) {
    case OP_CREATE:
        s->frozen = false;
        if (s->r.state == XENO_CREATING)
            session_try_move(h, s, XENO_ON_CREATED, NULL);
        break;
    case OP_RESTORE:
        s->frozen = false;
        if (s->r.state == XENO_RESTORING)
            session_try_move(h, s, XENO_ON_RESTORED, NULL);
        break;
    case OP_PAUSE:
    case OP_RESUME:
        s->frozen = kind == OP_PAUSE;
        break;
    case OP_SNAPSHOT:
        s->frozen = false;
        stopped(h, s, ok);
        break;
    case OP_DESTROY:
        if (s->r.state == XENO_ENDING)
            session_try_move(h, s, XENO_ON_GONE, NULL);
        break;
    default:
        break;
    }
}

/* A session that was not built whole cannot be stopped in order, only destroyed. */
static bool cannot_stop(const struct session *s, const struct xeno_err *why)
{
    return xeno_err_is(why, "task.stage") || (why->code != -ENOTCONN && s->tries >= SNAPSHOT_TRIES);
}

static void session_failed(struct xeno_host *h, struct session *s, enum op_kind kind,
                           const struct xeno_err *why)
{
    h->count.task_errors++;
    if (kind == OP_CREATE && s->r.state == XENO_CREATING && !is_transient(why->code)) {
        fail_session(h, s, XENO_ON_FAIL, why);
        return;
    }
    if (kind == OP_RESTORE && s->r.state == XENO_RESTORING && !is_transient(why->code)) {
        fail_session(h, s, XENO_ON_FAIL, why);
        return;
    }
    if ((kind == OP_PAUSE || kind == OP_RESUME) && why->code == -ENOENT) {
        fail_session(h, s, XENO_ON_END, why); /* it has lost the session */
        return;
    }
    if (kind == OP_SNAPSHOT && s->r.state == XENO_ENDING && cannot_stop(s, why)) {
        session_succeeded(h, s, kind, NULL); /* as it is: destroying kills what runs */
        return;
    }
    retry_later(h, s);
}

static void answered_session(struct xeno_host *h, const struct op *op,
                             const struct xeno_json_at *ok, const struct xeno_err *why)
{
    struct session *s = host_session(h, op->session);
    bool gone = why && why->code == -ENOENT && (op->kind == OP_SNAPSHOT || op->kind == OP_DESTROY);

    if (!s || s->tag != op->tag)
        return;
    s->tag = 0;
    if (!why || gone)
        session_succeeded(h, s, op->kind, why ? NULL : ok);
    else
        session_failed(h, s, op->kind, why);
    drive_session(h, s);
}

/* --- tasks --- */

static void tell_task(struct xeno_host *h, struct session *s, const struct task *t,
                      const char *type)
{
    struct xeno_json *o = xeno_json_object();

    xeno_json_set_str(o, "task", t->name);
    if (t->state == TASK_EXITED) {
        xeno_json_set_int(o, "code", t->code);
        if (t->signal != 0)
            xeno_json_set_int(o, "signal", t->signal);
        xeno_json_set_bool(o, "oom", t->oom);
    }
    if (t->reason[0])
        xeno_json_set_str(o, "reason", t->reason);
    event_tell(h, s, type, o);
}

/* Change a task to what `now` says, journalled first. */
static void task_change(struct xeno_host *h, struct session *s, struct task *t,
                        const struct task *now, const char *type)
{
    struct task next = *t;

    next.state = now->state;
    next.code = now->code;
    next.signal = now->signal;
    next.oom = now->oom;
    next.since_ms = wall_ms(h);
    memcpy(next.reason, now->reason, sizeof(next.reason));
    if (xeno_db_begin(h->db, NULL) < 0 ||
        journal_end(h, journal_task_put(h, s->id, &next, NULL), NULL) < 0) {
        /* Told again by the next list; meanwhile memory says what the journal says. */
        h->relist_ns = host_after(h, RELIST_MS);
        return;
    }
    *t = next;
    tell_task(h, s, t, type);
}

static void task_exited(struct xeno_host *h, struct session *s, struct task *t, int64_t code,
                        int64_t signal, bool oom)
{
    struct task now = { .state = TASK_EXITED, .code = code, .signal = signal, .oom = oom };

    task_change(h, s, t, &now, "task.exit");
}

static void answered_start(struct xeno_host *h, const struct op *op, const struct xeno_err *why)
{
    struct session *s = host_session(h, op->session);
    struct task *t = s ? session_task(s, op->name) : NULL;
    struct task now = { .state = TASK_UP };

    if (!t || t->tag != op->tag)
        return;
    t->tag = 0;
    if (t->state != TASK_PENDING)
        return; /* its exit was told before its start */
    if (!why || why->code == -EEXIST) {
        task_change(h, s, t, &now, "task.started");
        return;
    }
    if (is_transient(why->code)) {
        retry_later(h, s);
        return;
    }
    now.state = TASK_FAILED;
    reason_from(why, now.reason);
    task_change(h, s, t, &now, "task.failed");
}

/* In these states processes end because the session stops; that is no exit of the task. */
static bool stops(const struct session *s)
{
    return s->r.state != XENO_RUNNING && s->r.state != XENO_PAUSED;
}

void xeno_host_task_event(struct xeno_host *h, const struct xeno_task_event *event)
{
    struct session *s = host_session(h, event->session);
    struct task *t;

    if (!s)
        return;
    if (event->kind == XENO_TASK_EVENT_OOM) {
        event_tell(h, s, "task.oom", xeno_json_object());
        return;
    }
    t = event->kind == XENO_TASK_EVENT_EXIT ? session_task(s, event->task) : NULL;
    if (!t || stops(s) || (t->state != TASK_UP && t->state != TASK_PENDING))
        return;
    task_exited(h, s, t, event->code, event->signal, event->oom);
}

/* --- reconciling --- */

void drive_list(struct xeno_host *h)
{
    xeno_auto(xeno_task_request) q = xeno_task_request_new(XENO_TASK_LIST, NULL);
    struct op *op = op_new(h, OP_LIST, "", "", h->cfg.task_timeout_ms);

    h->relist_ns = NEVER;
    send_task(h, op, q);
}

static void sweep(struct xeno_host *h, const char *session, enum xeno_task_op what)
{
    xeno_auto(xeno_task_request) q = xeno_task_request_new(what, session);
    struct op *op = op_new(h, OP_SWEEP, session, "", h->cfg.stop_timeout_ms);

    send_task(h, op, q);
}

static void reconcile_tasks(struct xeno_host *h, struct session *s,
                            const struct xeno_task_session_info *info)
{
    for (struct task *t = s->tasks; t; t = t->next) {
        const struct xeno_task_info *found = NULL;

        for (size_t i = 0; i < info->ntasks; i++)
            if (strcmp(info->tasks[i].task, t->name) == 0)
                found = &info->tasks[i];
        if (t->state != TASK_UP && t->state != TASK_PENDING)
            continue;
        if (found && found->state == XENO_TASK_STOPPED) {
            int64_t code = found->code;

            task_exited(h, s, t, code, code > 128 ? code - 128 : 0, found->oom);
        } else if (found && found->state != XENO_TASK_CREATED && t->state == TASK_PENDING) {
            struct task now = { .state = TASK_UP };

            task_change(h, s, t, &now, "task.started");
        } else if (!found && t->state == TASK_UP) {
            struct task now = { .state = TASK_FAILED, .reason = "task.lost" };

            task_change(h, s, t, &now, "task.failed");
        }
    }
}

/* A session of ours that the task manager has, in `info`. */
static void reconcile_known(struct xeno_host *h, struct session *s,
                            const struct xeno_task_session_info *info)
{
    s->listed = true;
    s->frozen = info->state == XENO_TASK_PAUSED;
    switch (s->r.state) {
    case XENO_RUNNING:
    case XENO_PAUSED:
        if (info->state == XENO_TASK_STOPPED)
            session_try_move(h, s, XENO_ON_LOST, "host.restart");
        else
            reconcile_tasks(h, s, info);
        break;
    case XENO_SUSPENDED:
        if (info->state != XENO_TASK_STOPPED)
            sweep(h, s->id, XENO_TASK_SNAPSHOT);
        break;
    case XENO_HELD:
    case XENO_ENDED:
        sweep(h, s->id, XENO_TASK_DESTROY);
        break;
    default: /* its state's own message comes next, and is idempotent */
        break;
    }
}

static void reconcile_missing(struct xeno_host *h, struct session *s)
{
    switch (s->r.state) {
    case XENO_RUNNING:
    case XENO_PAUSED:
    case XENO_SUSPENDING:
    case XENO_SUSPENDED:
    case XENO_RESTORING:
        session_try_move(h, s, XENO_ON_END, "host.lost: the task manager has nothing of it left");
        break;
    default:
        break;
    }
}

/* Go through what the task manager has; sessions only when nothing of theirs is under way, which
 * is so just after the connection came up. */
static int go_through(struct xeno_host *h, const struct xeno_json_at *ok, bool all)
{
    xeno_autofree struct xeno_task_session_info *info = xeno_new0(struct xeno_task_session_info);
    struct xeno_json_at list;
    size_t count = 0;
    int r;

    r = xeno_json_arr(ok, "sessions", LIST_MAX, &list, &count, NULL);
    for (size_t i = 0; r == 0 && i < count; i++) {
        struct xeno_json_at item = xeno_json_item(&list, i);
        struct session *s;

        r = xeno_task_session_read(&item, info, NULL);
        if (r < 0)
            break;
        s = host_session(h, info->session);
        if (!s || s->r.state == XENO_ENDED)
            sweep(h, info->session, XENO_TASK_DESTROY);
        else if (all)
            reconcile_known(h, s, info);
    }
    return r;
}

static void reconcile_all(struct xeno_host *h, const struct xeno_json_at *ok)
{
    struct session *s, *next;

    HASH_ITER (hh, h->sessions, s, next)
        s->listed = false;
    if (go_through(h, ok, true) < 0) {
        h->relist_ns = host_after(h, RETRY_MOST_MS); /* not a list: nothing is sent before one is */
        return;
    }
    HASH_ITER (hh, h->sessions, s, next)
        if (!s->listed)
            reconcile_missing(h, s);
    h->reconciled = true;
    HASH_ITER (hh, h->sessions, s, next) {
        if (s->r.state != XENO_HELD)
            session_arm(h, s);
        drive_session(h, s);
    }
    drive_sample(h);
}

static void answered_list(struct xeno_host *h, const struct xeno_json_at *ok)
{
    if (!ok)
        h->relist_ns = host_after(h, RETRY_FIRST_MS);
    else if (h->reconciled)
        (void)go_through(h, ok, false);
    else
        reconcile_all(h, ok);
}

/* --- in from the program --- */

void xeno_host_task_link(struct xeno_host *h, bool up)
{
    struct session *s, *next;
    struct op *op, *next_op;

    h->link = up;
    h->reconciled = false;
    h->usage_tag = 0;
    h->relist_ns = NEVER;
    HASH_ITER (hh, h->ops, op, next_op)
        if (op->kind < OP_VALIDATE) {
            HASH_DEL(h->ops, op);
            free(op);
        }
    HASH_ITER (hh, h->sessions, s, next) {
        s->tag = 0;
        for (struct task *t = s->tasks; t; t = t->next)
            t->tag = 0;
    }
    if (up)
        drive_list(h);
}

static void answered(struct xeno_host *h, const struct op *op, const struct xeno_json_at *ok,
                     const struct xeno_err *failure)
{
    switch (op->kind) {
    case OP_USAGE:
        answered_usage(h, failure ? NULL : ok);
        break;
    case OP_LIST:
        answered_list(h, failure ? NULL : ok);
        break;
    case OP_START:
        answered_start(h, op, failure);
        break;
    case OP_SWEEP:
        if (failure && failure->code != -ENOENT)
            h->relist_ns = host_after(h, RELIST_MS);
        break;
    case OP_SIGNAL:
        break;
    default:
        answered_session(h, op, ok, failure);
        break;
    }
}

void xeno_host_task_done(struct xeno_host *h, uint64_t tag, const struct xeno_json_at *ok,
                         const struct xeno_err *failure)
{
    struct op *op = op_take(h, tag);

    if (!op) {
        h->count.late_answers++;
        return;
    }
    answered(h, op, ok, failure);
    free(op);
}

static struct op *overdue(const struct xeno_host *h, int64_t now)
{
    struct op *op, *next;

    HASH_ITER (hh, h->ops, op, next)
        if (now >= op->deadline_ns)
            return op;
    return NULL;
}

void drive_timeouts(struct xeno_host *h)
{
    struct xeno_err why = XENO_ERR_INIT;
    int64_t now = mono_ns(h);
    struct op *op;

    xeno_fail(&why, -ETIMEDOUT, "task.timeout", "no answer in time");
    while ((op = overdue(h, now))) { /* each may change the table, but adds nothing overdue */
        HASH_DEL(h->ops, op);
        if (op->kind >= OP_VALIDATE)
            corp_timed_out(h, op);
        else
            answered(h, op, NULL, &why);
        free(op);
    }
}
