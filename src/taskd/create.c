/* src/taskd/create.c - sessions are built and destroyed. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "image/unpack.h"
#include "task/rootfs.h"
#include "taskd/taskd.h"

#define FETCH_WAIT_S 3600

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
                                              .timeout_s = TASKD_WORK_S };

void begin_destroy(struct taskd *d, struct work *w)
{
    struct xeno_task_usage last;

    if (w->session->run)
        work_usage(d, w->session, &last); /* remembered for the answer */
    session_unwatch_server(w->session);
    job_start(d, &destroy_kind, w);
}

/* --- create --- */

int create_job(struct taskd *d, void *arg, struct xeno_task_channel *ch, struct xeno_err *err)
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
                                           .timeout_s = TASKD_WORK_S };

void create_done(struct taskd *d, void *arg, int value, const struct xeno_err *why)
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
    .fn = create_job, .done = create_done, .lent = lent_spare, .timeout_s = TASKD_CREATE_S
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

void begin_create(struct taskd *d, struct work *w)
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
