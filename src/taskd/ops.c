/* src/taskd/ops.c - slow requests.
 *
 * One at a time for each session, in the order they came.
 *
 *     begin_X: looks at the session, prepares what is quick, starts a job
 *     X_job:   in the child, under the session's lock, with the session read anew
 *     X_done:  reads the folder again, does the network's part, answers
 *
 * Every one can be asked again after a crash at any point and then completes.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "image/unpack.h"
#include "task/rootfs.h"
#include "taskd/taskd.h"

#define CREATE_WAIT_S 1800 /* a big template may have to be unpacked first */
#define FETCH_WAIT_S  3600
#define WORK_WAIT_S   120

/* --- the queue of a session --- */

void work_add(struct taskd *d, struct session *s, struct peer *p, struct xeno_task_request *q,
              void (*begin)(struct taskd *d, struct work *w))
{
    struct work *w = xeno_new0(struct work);

    *w = (struct work){ .session = s, .peer = p, .q = q, .begin = begin };
    *s->last = w;
    s->last = &w->next;
    s->nwaiting++;
    if (s->first == w)
        begin(d, w);
}

void work_end(struct taskd *d, struct work *w, struct xeno_json *ok, const struct xeno_err *err)
{
    struct session *s = w->session;

    if (err) {
        xeno_log_err(LOG_WARNING, "request.failed", err, "session=%s op=%s", s->id,
                     xeno_task_op_name(w->q->op));
        reply_error(w->peer, w->q->id, err);
        xeno_json_unref(ok);
    } else {
        reply_ok(w->peer, w->q->id, ok, NULL, 0);
    }
    s->first = w->next;
    if (!s->first)
        s->last = &s->first;
    s->nwaiting--;
    xeno_task_request_free(w->q);
    free(w);
    if (s->first)
        s->first->begin(d, s->first);
    else
        session_drop(d, s);
}

void work_forget_peer(struct taskd *d, struct peer *p)
{
    struct session *s, *next;

    HASH_ITER (hh, d->sessions, s, next) {
        for (struct work *w = s->first; w; w = w->next)
            if (w->peer == p)
                w->peer = NULL;
    }
}

void work_fail(struct taskd *d, struct work *w, int code, const char *token, const char *text)
{
    struct xeno_err err = XENO_ERR_INIT;

    xeno_fail(&err, code, token, "session %s %s", w->session->id, text);
    work_end(d, w, NULL, &err);
}

int work_load(struct taskd *d, const struct work *w, struct xeno_run **ret, int *ret_lock,
              struct xeno_err *err)
{
    xeno_auto(xeno_run) run = NULL;
    int lock, r;

    r = xeno_run_load(d->conf.dir, w->session->id, &run, err);
    if (r < 0)
        return r;
    lock = xeno_run_lock(run, err);
    if (lock < 0)
        return lock;
    xeno_run_free(xeno_take(&run));
    r = xeno_run_load(d->conf.dir, w->session->id, &run, err);
    if (r < 0) {
        close(lock);
        return r;
    }
    *ret = xeno_take(&run);
    *ret_lock = lock;
    return 0;
}

/* --- destroy --- */

/* One whose session.json was never written has only its id; destroy what may carry that. */
static struct xeno_run *nameless(struct taskd *d, const char *id)
{
    struct xeno_run *run = xeno_new0(struct xeno_run);

    strcpy(run->id, id);
    strcpy(run->driver, d->host.oci ? "oci" : "null");
    run->path = xeno_asprintf("%s/sessions/%s", d->conf.dir, id);
    run->this_boot = true;
    return run;
}

static int destroy_job(struct taskd *d, void *arg, struct xeno_task_channel *ch,
                       struct xeno_err *err)
{
    struct work *w = arg;
    xeno_auto(xeno_run) run = NULL;
    xeno_autoclose int lock = -1;
    const struct xeno_task_driver *drv;
    int r;

    (void)ch;
    if (work_load(d, w, &run, &lock, NULL) < 0) {
        run = nameless(d, w->session->id);
    } else {
        run->stage = XENO_RUN_ENDING;
        r = xeno_run_save(run, false, err);
        if (r < 0)
            return r;
    }
    drv = xeno_task_driver_find(run->driver);
    r = drv ? drv->destroy(&d->host, run, err) : 0;
    return r < 0 ? r : xeno_remove_tree(AT_FDCWD, run->path, err);
}

static void destroy_done(struct taskd *d, void *arg, int value, const struct xeno_err *why)
{
    struct work *w = arg;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_json *ok = NULL;

    (void)value;
    session_reload(d, w->session);
    if (why) {
        work_end(d, w, NULL, why);
        return;
    }
    if (network_del(d, w->session->id, &err) < 0) {
        work_end(d, w, NULL, &err);
        return;
    }
    if (w->session->told.session[0]) {
        ok = xeno_json_object();
        xeno_json_set(ok, "usage", xeno_task_usage_json(&w->session->told));
    }
    xeno_log(LOG_INFO, "session.destroyed", "session=%s", w->session->id);
    w->session->told = (struct xeno_task_usage){ .cpu_us = 0 };
    work_end(d, w, ok, NULL);
}

static const struct job_kind destroy_kind = { .fn = destroy_job,
                                              .done = destroy_done,
                                              .timeout_s = WORK_WAIT_S };

/* What one session has used, its network included. */
static void usage_of(struct taskd *d, struct session *s, struct xeno_task_usage *ret)
{
    xeno_autofree struct xeno_net_counters *all = NULL;
    const struct xeno_net_counters *own = NULL;
    size_t n;

    network_counters(d, &all, &n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(all[i].session, s->id) == 0)
            own = &all[i];
    session_usage(d, s, own, ret);
}

void begin_destroy(struct taskd *d, struct work *w)
{
    struct xeno_task_usage last;

    if (w->session->run)
        usage_of(d, w->session, &last); /* remembered for the answer */
    session_unwatch_server(w->session);
    job_start(d, &destroy_kind, w);
}

/* --- create --- */

static int create_job(struct taskd *d, void *arg, struct xeno_task_channel *ch,
                      struct xeno_err *err)
{
    struct work *w = arg;
    xeno_auto(xeno_run) run = NULL;
    xeno_autoclose int lock = -1;
    int r;

    (void)ch;
    r = work_load(d, w, &run, &lock, err);
    if (r < 0 || run->stage == XENO_RUN_READY)
        return r;
    r = xeno_run_reset_tasks(run, err); /* of a session that comes back */
    d->host.spare = spare_layer(w->spare);
    if (r == 0)
        r = w->session->drv->create(&d->host, run, err);
    if (r < 0)
        return r;
    run->stage = XENO_RUN_READY;
    run->paused = false;
    return xeno_run_save(run, false, err);
}

/* A create that failed leaves nothing: it ends as a destroy does, with its own error. */
static void undo_done(struct taskd *d, void *arg, int value, const struct xeno_err *why)
{
    struct work *w = arg;

    (void)value;
    (void)why;
    session_reload(d, w->session);
    network_del(d, w->session->id, NULL);
    work_end(d, w, NULL, &w->err);
}

static const struct job_kind undo_kind = { .fn = destroy_job,
                                           .done = undo_done,
                                           .timeout_s = WORK_WAIT_S };

static void create_done(struct taskd *d, void *arg, int value, const struct xeno_err *why)
{
    struct work *w = arg;

    (void)value;
    spare_given(xeno_take(&w->spare));
    session_reload(d, w->session);
    if (why) {
        w->err = *why;
        job_start(d, &undo_kind, w);
        return;
    }
    session_watch_oom(d, w->session);
    session_watch_server(d, w->session);
    xeno_log(LOG_INFO, "session.created", "session=%s driver=%s", w->session->id,
             w->session->drv ? w->session->drv->name : "?");
    work_end(d, w, NULL, NULL);
}

static int lent_spare(const void *arg)
{
    const struct xeno_rootfs_spare *layer = spare_layer(((const struct work *)arg)->spare);

    return layer ? layer->mount : -1;
}

static const struct job_kind create_kind = {
    .fn = create_job, .done = create_done, .lent = lent_spare, .timeout_s = CREATE_WAIT_S
};

static void build(struct taskd *d, struct work *w)
{
    if (w->session->drv->needs_root) {
        w->spare = spare_take(d, w->q->spec.disk_bytes);
        spare_want(d, w->q->spec.disk_bytes);
    }
    job_start(d, &create_kind, w);
}

/* What is elsewhere is fetched by a job that no other session's work waits for, and that has
 * nothing of the session but its specification. */
static int fetch_job(struct taskd *d, void *arg, struct xeno_task_channel *ch, struct xeno_err *err)
{
    const struct work *w = arg;

    (void)ch;
    return w->session->drv->fetch(&d->host, &w->q->spec, err);
}

static void fetch_done(struct taskd *d, void *arg, int value, const struct xeno_err *why)
{
    ((struct work *)arg)->fetching = false;
    if (why)
        create_done(d, arg, value, why);
    else
        build(d, arg);
}

static const struct job_kind fetch_kind = {
    .fn = fetch_job, .done = fetch_done, .line = JOB_FETCH, .timeout_s = FETCH_WAIT_S
};

/* The session is there already. Returns: true when the work is over. */
static bool create_again(struct taskd *d, struct work *w)
{
    const struct xeno_run *run = w->session->run;

    if (strcmp(run->driver, w->q->driver) != 0 || !xeno_task_spec_equal(&run->spec, &w->q->spec)) {
        work_fail(d, w, -EEXIST, "task.exists", "exists with another driver or specification");
        return true;
    }
    if (run->stage == XENO_RUN_READY && run->this_boot) {
        work_end(d, w, NULL, NULL);
        return true;
    }
    if (run->stage == XENO_RUN_CREATING && run->this_boot)
        return false;
    work_fail(d, w, -EBUSY, "task.stage",
              run->stage == XENO_RUN_ENDING ? "is being destroyed" : "is stopped: restore it");
    return true;
}

static void begin_create(struct taskd *d, struct work *w)
{
    struct session *s = w->session;
    const struct xeno_task_driver *drv = xeno_task_driver_find(w->q->driver);
    struct xeno_err err = XENO_ERR_INIT;
    int r = 0;

    if (!drv || !driver_usable(d, drv)) {
        work_fail(d, w, -ENOTSUP, "task.driver", "asks for a driver that cannot run here");
        return;
    }
    if (s->run && create_again(d, w))
        return;
    if (!s->run)
        r = xeno_run_new(d->conf.dir, s->id, drv->name, &w->q->spec,
                         drv->needs_root ? (int64_t)XENO_SUBID_BASE : -1, &s->run, &err);
    s->drv = drv;
    if (r == 0 && drv->needs_root)
        r = network_add(d, s->id, &w->q->spec, &err);
    if (r < 0) {
        create_done(d, w, 0, &err);
        return;
    }
    w->fetching = drv->away && drv->away(&d->host, &w->q->spec);
    if (w->fetching)
        job_start(d, &fetch_kind, w);
    else
        build(d, w);
}

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
                                            .timeout_s = WORK_WAIT_S };

/* Is the session ready for what is asked? Answers when it is not. */
static bool need_ready(struct taskd *d, struct work *w, bool may_be_paused)
{
    const struct xeno_run *run = w->session->run;

    if (!run)
        work_fail(d, w, -ENOENT, "run.unknown", "does not exist");
    else if (run->stage != XENO_RUN_READY || !run->this_boot)
        work_fail(d, w, -EBUSY, "task.stage", "is not ready for this: create or restore it");
    else if (run->paused && !may_be_paused)
        work_fail(d, w, -EBUSY, "task.paused", "is paused");
    else
        return true;
    return false;
}

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

static void begin_start(struct taskd *d, struct work *w)
{
    struct xeno_run_task *t;

    if (!need_ready(d, w, false))
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
                                            .timeout_s = WORK_WAIT_S };

static void begin_pause(struct taskd *d, struct work *w)
{
    bool paused = w->q->op == XENO_TASK_PAUSE;

    if (!need_ready(d, w, true))
        return;
    if (w->session->run->paused == paused)
        work_end(d, w, NULL, NULL);
    else
        job_start(d, &pause_kind, w);
}

void begin_repause(struct taskd *d, struct work *w)
{
    if (need_ready(d, w, true))
        job_start(d, &pause_kind, w);
}

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
                                              .timeout_s = WORK_WAIT_S };

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
    usage_of(d, s, &all);
    s->run->base = all;
    settle(d, w);
}

static const struct job_kind stop_kind = { .fn = stop_job,
                                           .done = stop_done,
                                           .timeout_s = WORK_WAIT_S };

/* To `stopped`, for a session that a crash or a boot has left on the way there. */
void begin_settle(struct taskd *d, struct work *w)
{
    if (!w->session->run || !w->session->drv)
        work_fail(d, w, -ENOENT, "run.unknown", "does not exist");
    else
        settle(d, w);
}

static void begin_snapshot(struct taskd *d, struct work *w)
{
    const struct xeno_run *run = w->session->run;

    if (run && run->stage == XENO_RUN_STOPPED)
        work_end(d, w, NULL, NULL);
    else if (run && run->stage == XENO_RUN_STOPPING)
        settle(d, w);
    else if (need_ready(d, w, true))
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
                                              .timeout_s = CREATE_WAIT_S };

static bool same_layers(const struct xeno_task_spec *a, const struct xeno_task_spec *b)
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

static void begin_restore(struct taskd *d, struct work *w)
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
                                             .timeout_s = WORK_WAIT_S };

static void begin_resize(struct taskd *d, struct work *w)
{
    if (!need_ready(d, w, true))
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
                                           .timeout_s = WORK_WAIT_S };

void begin_reap(struct taskd *d, struct work *w)
{
    if (w->session->run && w->session->drv && w->session->run->stage == XENO_RUN_READY)
        job_start(d, &reap_kind, w);
    else
        work_end(d, w, NULL, NULL);
}

/* --- the door --- */

void op_slow(struct taskd *d, struct peer *p, struct xeno_task_request *q)
{
    static const struct {
        void (*begin)(struct taskd *d, struct work *w);
    } ops[XENO_TASK_OPS] = {
        [XENO_TASK_CREATE] = { begin_create },     [XENO_TASK_START] = { begin_start },
        [XENO_TASK_PAUSE] = { begin_pause },       [XENO_TASK_RESUME] = { begin_pause },
        [XENO_TASK_SNAPSHOT] = { begin_snapshot }, [XENO_TASK_RESTORE] = { begin_restore },
        [XENO_TASK_RESIZE] = { begin_resize },     [XENO_TASK_DESTROY] = { begin_destroy },
        [XENO_TASK_COMMIT] = { begin_commit },
    };
    struct session *s = session_find(d, q->session);
    struct xeno_err err = XENO_ERR_INIT;

    if (!s && HASH_COUNT(d->sessions) >= TASKD_SESSIONS_MAX)
        xeno_fail(&err, -EMFILE, "task.many", "there are %d sessions, the limit",
                  TASKD_SESSIONS_MAX);
    else if (s && s->nwaiting >= TASKD_WAITING_MAX)
        xeno_fail(&err, -EBUSY, "task.busy", "%d requests wait for session %s", TASKD_WAITING_MAX,
                  s->id);
    else if (s && session_committing(s) && q->op == XENO_TASK_COMMIT)
        xeno_fail(&err, -EBUSY, "task.busy", "session %s is being committed already", s->id);
    if (err.code < 0) {
        reply_error(p, q->id, &err);
        xeno_task_request_free(q);
        return;
    }
    if (s && s->first && s->first->fetching &&
        (q->op == XENO_TASK_DESTROY || q->op == XENO_TASK_SNAPSHOT))
        job_cancel(d, s->first); /* nobody wants it any more */
    /* A commit may take as long as its reader likes: whoever wants something else goes first. */
    if (s && session_committing(s) && s->first->err.code == 0) /* else it is over, and thaws */
        job_cancel(d, s->first);
    work_add(d, session_get(d, q->session), p, q, ops[q->op].begin);
}
