/* src/taskd/stop.c - sessions are stopped, but for their writable layer, and built again around it.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "taskd/taskd.h"

/* --- snapshot --- */

/* After the processes: everything but the writable layer. What was used is safe on disk first. */
static int release_job(struct taskd *d, void *arg, struct xeno_task_channel *ch,
                       struct xeno_err *err)
{
    struct work *w = arg;
    struct xeno_run *run = w->session->run;
    xeno_autoclose int lock = -1;
    int r;

    (void)ch;
    lock = xeno_run_lock(run, err);
    if (lock < 0)
        return lock;
    r = xeno_run_save(run, true, err);
    return r < 0 ? r : w->session->drv->release(&d->host, run, err);
}

static void release_done(struct taskd *d, void *arg, int value, const struct xeno_err *why)
{
    struct work *w = arg;
    struct session *s = w->session;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_json *ok;
    int r;

    (void)value;
    session_reload(d, s);
    if (why || !s->run) {
        work_end(d, w, NULL, why);
        return;
    }
    r = network_del(d, s->id, &err);
    s->run->stage = XENO_RUN_STOPPED;
    s->run->paused = false;
    if (r == 0)
        r = xeno_run_save(s->run, false, &err);
    if (r < 0) {
        work_end(d, w, NULL, &err);
        return;
    }
    ok = xeno_json_object();
    xeno_json_set(ok, "usage", xeno_task_usage_json(&s->run->base));
    xeno_log(LOG_INFO, "session.stopped", "session=%s", s->id);
    work_end(d, w, ok, NULL);
}

static const struct job_kind release_kind = { .fn = release_job,
                                              .done = release_done,
                                              .timeout_s = TASKD_WORK_S };

/* Nothing runs any more: from here on `base` is all that was used (run.h, invariant 1). */
static void settle(struct taskd *d, struct work *w)
{
    struct xeno_run *run = w->session->run;

    session_unwatch_server(w->session);
    run->stage = XENO_RUN_STOPPING;
    run->base.memory_bytes = 0;
    run->base.pids = 0;
    job_start(d, &release_kind, w);
}

static int stop_job(struct taskd *d, void *arg, struct xeno_task_channel *ch, struct xeno_err *err)
{
    struct work *w = arg;
    xeno_auto(xeno_run) run = NULL;
    xeno_autoclose int lock = -1;
    int r;

    (void)ch;
    r = work_load(d, w, &run, &lock, err);
    return r < 0 ? r : w->session->drv->stop(&d->host, run, err);
}

static void stop_done(struct taskd *d, void *arg, int value, const struct xeno_err *why)
{
    struct work *w = arg;
    struct session *s = w->session;
    struct xeno_task_usage all;

    (void)value;
    session_reload(d, s);
    if (why || !s->run) {
        work_end(d, w, NULL, why);
        return;
    }
    session_check(d, s);
    work_usage(d, s, &all);
    s->run->base = all;
    settle(d, w);
}

static const struct job_kind stop_kind = { .fn = stop_job,
                                           .done = stop_done,
                                           .timeout_s = TASKD_WORK_S };

/* To `stopped`, for a session that a crash or a boot has left on the way there. */
void begin_settle(struct taskd *d, struct work *w)
{
    if (!w->session->run || !w->session->drv)
        work_fail(d, w, -ENOENT, "run.unknown", "does not exist");
    else
        settle(d, w);
}

void begin_snapshot(struct taskd *d, struct work *w)
{
    const struct xeno_run *run = w->session->run;

    if (run && run->stage == XENO_RUN_STOPPED)
        work_end(d, w, NULL, NULL);
    else if (run && run->stage == XENO_RUN_STOPPING)
        settle(d, w);
    else if (work_ready(d, w, true))
        job_start(d, &stop_kind, w);
}

/* --- restore --- */

/* A restore that failed leaves the session as it was: stopped. */
static void restore_done(struct taskd *d, void *arg, int value, const struct xeno_err *why)
{
    struct work *w = arg;

    if (!why) {
        create_done(d, arg, value, NULL);
        return;
    }
    w->err = *why;
    session_reload(d, w->session);
    reply_error(w->peer, w->q->id, why);
    w->peer = NULL; /* answered; the way back is our own business */
    if (w->session->run)
        settle(d, w);
    else
        work_end(d, w, NULL, why);
}

static const struct job_kind restore_kind = { .fn = create_job,
                                              .done = restore_done,
                                              .timeout_s = TASKD_CREATE_S };

bool same_layers(const struct xeno_task_spec *a, const struct xeno_task_spec *b)
{
    bool same = a->nlayers == b->nlayers;

    for (size_t i = 0; same && i < a->nlayers; i++)
        same = strcmp(a->layers[i], b->layers[i]) == 0;
    return same;
}

/* What is left of a session that lost its file system goes before it comes back: put in front of
 * what waits, as if it had been asked for. */
static void stop_first(struct taskd *d, struct work *w)
{
    struct session *s = w->session;
    struct work *stop = xeno_new0(struct work);

    *stop = (struct work){ .session = s,
                           .q = xeno_task_request_new(XENO_TASK_SNAPSHOT, s->id),
                           .begin = begin_snapshot,
                           .next = w };
    s->first = stop;
    s->nwaiting++;
    begin_snapshot(d, stop);
}

void begin_restore(struct taskd *d, struct work *w)
{
    struct session *s = w->session;
    struct xeno_err err = XENO_ERR_INIT;
    int r;

    if (!s->run || !s->drv) {
        work_fail(d, w, -ENOENT, "run.unknown", "does not exist");
        return;
    }
    if (s->lost) {
        stop_first(d, w);
        return;
    }
    if (s->run->stage == XENO_RUN_READY && s->run->this_boot &&
        xeno_task_spec_equal(&s->run->spec, &w->q->spec)) {
        work_end(d, w, NULL, NULL);
        return;
    }
    if (s->run->stage != XENO_RUN_STOPPED && s->run->stage != XENO_RUN_CREATING) {
        work_fail(d, w, -EBUSY, "task.stage", "is not stopped");
        return;
    }
    if (!same_layers(&s->run->spec, &w->q->spec)) {
        work_fail(d, w, -EINVAL, "task.layer", "cannot come back over other layers");
        return;
    }
    s->run->spec = w->q->spec;
    s->run->stage = XENO_RUN_CREATING;
    r = xeno_run_save(s->run, false, &err);
    if (r == 0 && s->drv->needs_root)
        r = network_add(d, s->id, &w->q->spec, &err);
    if (r < 0)
        restore_done(d, w, 0, &err);
    else
        job_start(d, &restore_kind, w);
}
