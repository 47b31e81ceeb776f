/* src/taskd/exec.c - programs beside a task: each has a job of its own for as long as it runs. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "taskd/taskd.h"

struct exec {
    struct exec *next;
    struct peer *peer; /* who asked; NULL when gone or answered */
    struct xeno_task_request *q;
    int64_t pid;
    int pidfd; /* of the program; -1 before it runs */
    bool running;
};

static struct exec *find(struct taskd *d, const char *session, const char *name)
{
    for (struct exec *e = d->execs; e; e = e->next)
        if (strcmp(e->q->session, session) == 0 && strcmp(e->q->exec, name) == 0)
            return e;
    return NULL;
}

static size_t count(struct taskd *d, const char *session)
{
    size_t n = 0;

    for (struct exec *e = d->execs; e; e = e->next)
        n += strcmp(e->q->session, session) == 0;
    return n;
}

static void forget(struct taskd *d, struct exec *e)
{
    struct exec **at = &d->execs;

    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    d->nexecs--;
    if (e->pidfd >= 0)
        close(e->pidfd);
    xeno_task_request_free(e->q);
    free(e);
}

/* In the child. The session is only read, so its lock is not taken: a program may run for hours. */
static int exec_job(struct taskd *d, void *arg, struct xeno_task_channel *ch, struct xeno_err *err)
{
    struct exec *e = arg;
    xeno_auto(xeno_run) run = NULL;
    struct xeno_run_task *t;
    int r;

    r = xeno_run_load(d->conf.dir, e->q->session, &run, err);
    if (r < 0)
        return r;
    t = xeno_run_find(run, e->q->task);
    if (!t)
        return xeno_fail(err, -ENOENT, "task.unknown", "there is no task '%s'", e->q->task);
    return xeno_task_driver_find(run->driver)->exec(&d->host, run, t, e->q, ch, err);
}

static void exec_running(struct taskd *d, void *arg, int64_t pid, int *fds, size_t nfds)
{
    struct exec *e = arg;
    struct xeno_json *ok = xeno_json_object();

    (void)d;
    e->pid = pid;
    if (pid > 0)
        e->pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    e->running = true;
    xeno_json_set_str(ok, "exec", e->q->exec);
    xeno_json_set_int(ok, "pid", pid);
    reply_ok(e->peer, e->q->id, ok, fds, nfds);
}

static void exec_done(struct taskd *d, void *arg, int value, const struct xeno_err *why)
{
    struct exec *e = arg;
    struct xeno_task_event event = { .kind = XENO_TASK_EVENT_EXEC_EXIT,
                                     .code = why ? 255 : value & 255 };
    struct xeno_err err = XENO_ERR_INIT;

    event.signal = event.code > 128 && event.code <= 192 ? event.code - 128 : 0;
    strcpy(event.session, e->q->session);
    strcpy(event.exec, e->q->exec);
    if (!e->running) {
        if (!why)
            xeno_fail(&err, -ENOEXEC, "task.exec", "the program ended before it began, with %d",
                      value);
        reply_error(e->peer, e->q->id, why ? why : &err);
    } else {
        send_event(d, &event);
    }
    forget(d, e);
}

static const struct job_kind exec_kind = {
    .fn = exec_job,
    .done = exec_done,
    .running = exec_running,
    .at_once = true,
};

/* The task to run beside: the one that is named, or the first that runs. */
static struct xeno_run_task *choose_task(struct xeno_run *run, const char *name)
{
    for (size_t i = 0; i < run->ntasks; i++) {
        struct xeno_run_task *t = &run->tasks[i];

        if (t->started && !t->ended && (!name[0] || strcmp(t->name, name) == 0))
            return t;
    }
    return NULL;
}

static int check(struct taskd *d, struct xeno_task_request *q, struct xeno_err *err)
{
    struct session *s = session_find(d, q->session);
    struct xeno_run_task *t;

    if (!s || !s->run || !s->drv)
        return xeno_fail(err, -ENOENT, "run.unknown", "there is no session %s", q->session);
    if (s->run->stage != XENO_RUN_READY || !s->run->this_boot)
        return xeno_fail(err, -EBUSY, "task.stage", "session %s is not ready", s->id);
    if (s->run->paused)
        return xeno_fail(err, -EBUSY, "task.paused", "session %s is paused", s->id);
    if (session_committing(s))
        return xeno_fail(err, -EBUSY, "task.paused", "session %s is being committed", s->id);
    t = choose_task(s->run, q->task);
    if (!t)
        return xeno_fail(err, -ENOENT, "task.idle",
                         "no task runs in session %s to run a program beside", s->id);
    if (find(d, q->session, q->exec))
        return xeno_fail(err, -EEXIST, "task.exists", "session %s runs an exec '%s'", s->id,
                         q->exec);
    if (count(d, q->session) >= XENO_TASK_EXECS_MAX || d->nexecs >= TASKD_EXECS_MAX)
        return xeno_fail(err, -EMFILE, "task.many", "session %s runs %d programs, the limit", s->id,
                         XENO_TASK_EXECS_MAX);
    strcpy(q->task, t->name);
    return 0;
}

/* An exec runs as its task does unless it says otherwise. */
static void inherit(struct taskd *d, struct xeno_task_request *q)
{
    struct session *s = session_find(d, q->session);
    struct xeno_task_program of_task;

    if (xeno_run_program(s->run, q->task, &of_task, NULL) < 0)
        return;
    if (!q->program.user)
        q->program.user = xeno_take(&of_task.user);
    if (!q->program.cwd)
        q->program.cwd = xeno_take(&of_task.cwd);
    if (!q->program.env)
        q->program.env = xeno_take(&of_task.env);
    xeno_task_program_release(&of_task);
}

void op_exec(struct taskd *d, struct peer *p, struct xeno_task_request *q)
{
    struct xeno_err err = XENO_ERR_INIT;
    struct exec *e;

    if (check(d, q, &err) < 0) {
        reply_error(p, q->id, &err);
        xeno_task_request_free(q);
        return;
    }
    inherit(d, q);
    e = xeno_new0(struct exec);
    *e = (struct exec){ .next = d->execs, .peer = p, .q = q, .pidfd = -1 };
    d->execs = e;
    d->nexecs++;
    job_start(d, &exec_kind, e);
}

void exec_forget_peer(struct taskd *d, struct peer *p)
{
    for (struct exec *e = d->execs; e; e = e->next)
        if (e->peer == p)
            e->peer = NULL;
}

bool exec_find(struct taskd *d, const char *session, const char *exec, int *ret_pidfd,
               int64_t *ret_pid)
{
    struct exec *e = find(d, session, exec);

    if (!e || !e->running)
        return false;
    *ret_pidfd = e->pidfd;
    *ret_pid = e->pid;
    return true;
}
