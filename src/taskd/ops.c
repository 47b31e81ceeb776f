/* src/taskd/ops.c - what is asked of a session that is built: start, pause, resume, resize. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/io.h"
#include "taskd/taskd.h"

/* --- start --- */

static int start_job(struct taskd *d, void *arg, struct xeno_task_channel *ch, struct xeno_err *err)
{
    struct work *w = arg;
    xeno_auto(xeno_run) run = NULL;
    xeno_autoclose int lock = -1;
    struct xeno_run_task *t;
    int r;

    (void)ch;
    r = work_load(d, w, &run, &lock, err);
    if (r < 0)
        return r;
    t = xeno_run_find(run, w->q->task);
    if (t && t->started)
        return 0; /* by a job that outlived its daemon */
    r = xeno_run_add_task(run, w->q->task, &w->q->program, err);
    if (r < 0)
        return r;
    t = xeno_run_find(run, w->q->task);
    r = w->session->drv->start(&d->host, run, t, &w->q->program, err);
    if (r < 0) {
        xeno_autofree char *path = xeno_run_path(run, "tasks/%s", w->q->task);

        xeno_remove_tree(AT_FDCWD, path, NULL);
    }
    return r;
}

static void answer_start(struct taskd *d, struct work *w)
{
    struct xeno_run_task *t = xeno_run_find(w->session->run, w->q->task);
    struct xeno_json *ok = xeno_json_object();
    struct session *s = w->session;
    char id[XENO_TASK_SESSION_LEN + 1];

    strcpy(id, s->id);
    xeno_json_set_str(ok, "task", w->q->task);
    xeno_json_set_int(ok, "pid", t ? t->pid : 0);
    work_end(d, w, ok, NULL);
    /* It may have ended meanwhile: told after the answer, never before. */
    s = session_find(d, id);
    if (s)
        session_check(d, s);
}

static void start_done(struct taskd *d, void *arg, int value, const struct xeno_err *why)
{
    struct work *w = arg;

    (void)value;
    session_reload(d, w->session);
    if (why)
        work_end(d, w, NULL, why);
    else if (!w->session->run)
        work_fail(d, w, -ENOENT, "run.unknown", "is gone");
    else
        answer_start(d, w);
}

static const struct job_kind start_kind = { .fn = start_job,
                                            .done = start_done,
                                            .timeout_s = TASKD_WORK_S };

static bool same_program(const struct xeno_run *run, const char *task,
                         const struct xeno_task_program *p)
{
    struct xeno_task_program old;
    xeno_auto(xeno_json) a = xeno_task_program_json(p);
    xeno_auto(xeno_json) b = NULL;
    xeno_autofree char *ta = NULL, *tb = NULL;
    size_t len;

    if (xeno_run_program(run, task, &old, NULL) < 0)
        return false;
    b = xeno_task_program_json(&old);
    xeno_task_program_release(&old);
    ta = xeno_json_format(a, false, &len);
    tb = xeno_json_format(b, false, &len);
    return strcmp(ta, tb) == 0;
}

void begin_start(struct taskd *d, struct work *w)
{
    struct xeno_run_task *t;

    if (!work_ready(d, w, false))
        return;
    t = xeno_run_find(w->session->run, w->q->task);
    if (!t || !t->started)
        job_start(d, &start_kind, w);
    else if (same_program(w->session->run, w->q->task, &w->q->program))
        answer_start(d, w);
    else
        work_fail(d, w, -EEXIST, "task.exists", "has a task of that name with another program");
}

/* --- pause and resume --- */

static int pause_job(struct taskd *d, void *arg, struct xeno_task_channel *ch, struct xeno_err *err)
{
    struct work *w = arg;
    bool paused = w->q->op == XENO_TASK_PAUSE;
    xeno_auto(xeno_run) run = NULL;
    xeno_autoclose int lock = -1;
    int r;

    (void)ch;
    r = work_load(d, w, &run, &lock, err);
    if (r < 0)
        return r;
    if (w->q->op == XENO_TASK_LIST) /* our own wish: as the folder says */
        return w->session->drv->pause(&d->host, run, run->paused, err);
    r = w->session->drv->pause(&d->host, run, paused, err);
    if (r < 0)
        return r;
    run->paused = paused;
    return xeno_run_save(run, false, err);
}

static void plain_done(struct taskd *d, void *arg, int value, const struct xeno_err *why)
{
    struct work *w = arg;

    (void)value;
    session_reload(d, w->session);
    work_end(d, w, NULL, why);
}

static const struct job_kind pause_kind = { .fn = pause_job,
                                            .done = plain_done,
                                            .timeout_s = TASKD_WORK_S };

void begin_pause(struct taskd *d, struct work *w)
{
    bool paused = w->q->op == XENO_TASK_PAUSE;

    if (!work_ready(d, w, true))
        return;
    if (w->session->run->paused == paused)
        work_end(d, w, NULL, NULL);
    else
        job_start(d, &pause_kind, w);
}

void begin_repause(struct taskd *d, struct work *w)
{
    if (work_ready(d, w, true))
        job_start(d, &pause_kind, w);
}

/* --- resize --- */

static int resize_job(struct taskd *d, void *arg, struct xeno_task_channel *ch,
                      struct xeno_err *err)
{
    struct work *w = arg;
    xeno_auto(xeno_run) run = NULL;
    xeno_autoclose int lock = -1;
    int r;

    (void)ch;
    r = work_load(d, w, &run, &lock, err);
    if (r == 0)
        r = w->session->drv->resize(&d->host, run, &w->q->spec, err);
    if (r < 0)
        return r;
    run->spec = w->q->spec;
    return xeno_run_save(run, false, err);
}

static void resize_done(struct taskd *d, void *arg, int value, const struct xeno_err *why)
{
    struct work *w = arg;
    struct xeno_err err = XENO_ERR_INIT;

    (void)value;
    session_reload(d, w->session);
    if (!why && w->session->drv && w->session->drv->needs_root &&
        network_set(d, w->session->id, &w->q->spec, &err) < 0)
        why = &err;
    work_end(d, w, NULL, why);
}

static const struct job_kind resize_kind = { .fn = resize_job,
                                             .done = resize_done,
                                             .timeout_s = TASKD_WORK_S };

void begin_resize(struct taskd *d, struct work *w)
{
    if (!work_ready(d, w, true))
        return;
    if (!same_layers(&w->session->run->spec, &w->q->spec) ||
        strcmp(w->session->run->spec.address, w->q->spec.address) != 0)
        work_fail(d, w, -EINVAL, "task.resize", "keeps its layers and its address");
    else
        job_start(d, &resize_kind, w);
}

/* --- what ended tasks leave --- */

static int reap_job(struct taskd *d, void *arg, struct xeno_task_channel *ch, struct xeno_err *err)
{
    struct work *w = arg;
    xeno_auto(xeno_run) run = NULL;
    xeno_autoclose int lock = -1;
    int r;

    (void)ch;
    r = work_load(d, w, &run, &lock, err);
    for (size_t i = 0; r == 0 && i < run->ntasks; i++)
        if (run->tasks[i].ended)
            r = w->session->drv->reap(&d->host, run, &run->tasks[i], err);
    return r;
}

static const struct job_kind reap_kind = { .fn = reap_job,
                                           .done = plain_done,
                                           .timeout_s = TASKD_WORK_S };

void begin_reap(struct taskd *d, struct work *w)
{
    if (w->session->run && w->session->drv && w->session->run->stage == XENO_RUN_READY)
        job_start(d, &reap_kind, w);
    else
        work_end(d, w, NULL, NULL);
}
