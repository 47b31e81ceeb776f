/* src/host/reconcile.c - making journal and task manager agree after a restart of either.
 *
 * What both have is adopted as it is, and driven on from there. What only the task manager has is
 * destroyed. What only the journal has is built if that was under way, and ended if it was lost.
 */
#include <errno.h>
#include <string.h>

#include "host/internal.h"

#define RETRY_FIRST_MS 200
#define RETRY_MOST_MS  10000
#define LIST_MAX       65536
#define LOST_AGAIN_NS  (INT64_C(600) * 1000000000)

void drive_list(struct xeno_host *h)
{
    xeno_auto(xeno_task_request) q = xeno_task_request_new(XENO_TASK_LIST, NULL);
    struct op *op = op_new(h, OP_LIST, "", "", h->cfg.task_timeout_ms);

    h->relist_ns = NEVER;
    h->ports.task(h->ports.ctx, op->tag, q);
}

static void sweep(struct xeno_host *h, const char *session, enum xeno_task_op what)
{
    xeno_auto(xeno_task_request) q = xeno_task_request_new(what, session);
    struct op *op = op_new(h, OP_SWEEP, session, "", h->cfg.stop_timeout_ms);

    h->ports.task(h->ports.ctx, op->tag, q);
}

/* Who served its file system was killed: it is built again around its writable layer, as after a
 * boot of the host. One that loses it again and again waits for its owner instead, and costs
 * little. */
void session_lost(struct xeno_host *h, struct session *s)
{
    int64_t now = mono_ns(h);
    bool again = s->lost_ns != 0 && now - s->lost_ns < LOST_AGAIN_NS;

    s->lost_ns = now;
    session_try_move(h, s, s->r.state == XENO_PAUSED || again ? XENO_ON_SUSPEND : XENO_ON_LOST,
                     "task.lost: who served its file system was killed");
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
        else if (info->lost)
            session_lost(h, s);
        else
            tasks_reconcile(h, s, info, true);
        break;
    case XENO_SUSPENDED:
        if (info->state != XENO_TASK_STOPPED)
            sweep(h, s->id, XENO_TASK_SNAPSHOT);
        break;
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
        else if (s->r.state == XENO_RUNNING)
            tasks_reconcile(h, s, info, false);
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

void answered_list(struct xeno_host *h, const struct xeno_json_at *ok)
{
    if (!ok)
        h->relist_ns = host_after(h, RETRY_FIRST_MS);
    else if (h->reconciled)
        (void)go_through(h, ok, false);
    else
        reconcile_all(h, ok);
}
