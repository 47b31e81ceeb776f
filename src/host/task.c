/* src/host/task.c - the tasks in a session: started once it runs, and what becomes of them.
 *
 *     pending --start--> running --exit--> exited          A restore makes running ones pending
 *        '------------- refused ---------> failed          again (move.c).
 *
 * The order is paid for once a session is being created; so its tasks are sent right behind the
 * request to create it, and begin without another way to and fro.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/internal.h"

#define RELIST_MS 30000

static void send_start(struct xeno_host *h, struct session *s, struct task *t)
{
    xeno_auto(xeno_task_request) q = xeno_task_request_new(XENO_TASK_START, s->id);
    int64_t before_ms = s->r.state == XENO_CREATING ? h->cfg.create_timeout_ms : 0;
    struct op *op = op_new(h, OP_START, s->id, t->name, before_ms + h->cfg.task_timeout_ms);

    snprintf(q->task, sizeof(q->task), "%s", t->name);
    q->program = t->program; /* lent for the call */
    t->tag = op->tag;
    h->ports.task(h->ports.ctx, op->tag, q);
    memset(&q->program, 0, sizeof(q->program));
}

void tasks_start(struct xeno_host *h, struct session *s)
{
    for (struct task *t = s->tasks; t; t = t->next)
        if (t->state == TASK_PENDING && t->tag == 0)
            send_start(h, s, t);
}

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

void answered_start(struct xeno_host *h, const struct op *op, const struct xeno_err *why)
{
    struct session *s = host_session(h, op->session);
    struct task *t = s ? session_task(s, op->name) : NULL;
    struct task now = { .state = TASK_UP };

    if (!t || t->tag != op->tag)
        return;
    t->tag = 0;
    if (t->state != TASK_PENDING)
        return; /* its exit was told before its start */
    if (!why) {
        task_change(h, s, t, &now, "task.started");
        return;
    }
    if (s->r.state != XENO_RUNNING && s->r.state != XENO_PAUSED)
        return; /* for want of its session: it is sent again with that, or never */
    if (op_is_transient(why->code)) {
        drive_later(h, s);
        return;
    }
    now.state = TASK_FAILED;
    reason_from(why, now.reason);
    task_change(h, s, t, &now, "task.failed");
}

/* In these states processes end because the session stops; that is no exit of the task. */
static bool stops(const struct session *s)
{
    return s->r.state != XENO_CREATING && s->r.state != XENO_RUNNING && s->r.state != XENO_PAUSED;
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
    if (event->kind == XENO_TASK_EVENT_LOST) {
        if (s->r.state == XENO_RUNNING || s->r.state == XENO_PAUSED)
            session_lost(h, s);
        return;
    }
    t = event->kind == XENO_TASK_EVENT_EXIT ? session_task(s, event->task) : NULL;
    if (!t || stops(s) || (t->state != TASK_UP && t->state != TASK_PENDING))
        return;
    task_exited(h, s, t, event->code, event->signal, event->oom);
}

/* Make the tasks of a session agree with what the task manager has. Only with `all`, when nothing
 * is under way, is one that is not there lost. */
void tasks_reconcile(struct xeno_host *h, struct session *s,
                     const struct xeno_task_session_info *info, bool all)
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
        } else if (all && !found && t->state == TASK_UP) {
            struct task now = { .state = TASK_FAILED, .reason = "task.lost" };

            task_change(h, s, t, &now, "task.failed");
        }
    }
}
