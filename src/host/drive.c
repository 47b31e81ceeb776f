/* src/host/drive.c - getting the task manager to do with sessions what the journal says.
 *
 * Level, not edge: drive_session() looks at the state and sends the one message that is wanted
 * next, if none is under way. An answer moves the state or the step within it; a lost one is sent
 * again. After each loss of the connection the task manager is asked what it has, and both sides
 * are made to agree before anything else is sent (reconcile.c).
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

void drive_later(struct xeno_host *h, struct session *s)
{
    s->retry_ns = host_after(h, host_backoff(h, s->tries, RETRY_FIRST_MS, RETRY_MOST_MS));
    s->tries++;
}

/* --- sending --- */

static void fill_spec(const struct session *s, struct xeno_task_spec *spec)
{
    const struct xeno_host_image *im = &s->offer.image;
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
    for (size_t i = 0; i < im->layer_count && i < XENO_TASK_LAYERS_MAX; i++)
        snprintf(spec->layers[spec->nlayers++], sizeof(spec->layers[0]), "%s", im->layers[i]);
    for (size_t i = 0; i < im->image_count && i < XENO_TASK_IMAGES_MAX; i++)
        snprintf(spec->images[spec->nimages++], sizeof(spec->images[0]), "%s", im->images[i]);
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
    h->ports.task(h->ports.ctx, op->tag, q);
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

/* The task manager does what it is asked of a session in the order in which it is asked: tasks may
 * follow the create at once. What becomes of them is answered after what became of it. */
static void drive_creating(struct xeno_host *h, struct session *s)
{
    if (s->tag == 0 && !s->built)
        send_session(h, s, OP_CREATE, XENO_TASK_CREATE, h->cfg.create_timeout_ms);
    if (s->r.state != XENO_CREATING)
        return; /* nothing runs before its order is bound */
    tasks_start(h, s);
    if (s->built)
        session_try_move(h, s, XENO_ON_CREATED, NULL);
}

void drive_session(struct xeno_host *h, struct session *s)
{
    if (!h->reconciled || mono_ns(h) < s->retry_ns)
        return;
    if (s->r.state == XENO_HELD || s->r.state == XENO_CREATING) {
        drive_creating(h, s);
        return;
    }
    if (s->tag != 0)
        return;
    switch (s->r.state) {
    case XENO_RUNNING:
        if (s->frozen)
            send_session(h, s, OP_RESUME, XENO_TASK_RESUME, h->cfg.task_timeout_ms);
        else
            tasks_start(h, s);
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

/* --- answers about sessions --- */

bool op_is_transient(int code)
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
        sample_take(h, &u);
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
        s->built = true; /* what follows from it is driven */
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
    if (kind == OP_CREATE && (s->r.state == XENO_HELD || s->r.state == XENO_CREATING) &&
        !op_is_transient(why->code)) {
        fail_session(h, s, XENO_ON_FAIL, why);
        return;
    }
    if (kind == OP_RESTORE && s->r.state == XENO_RESTORING && !op_is_transient(why->code)) {
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
    drive_later(h, s);
}

void answered_session(struct xeno_host *h, const struct op *op, const struct xeno_json_at *ok,
                      const struct xeno_err *why)
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
