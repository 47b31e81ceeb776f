/* src/taskd/work.c - slow requests wait for their session.
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
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "taskd/taskd.h"

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

void work_usage(struct taskd *d, struct session *s, struct xeno_task_usage *ret)
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

bool work_ready(struct taskd *d, struct work *w, bool may_be_paused)
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
