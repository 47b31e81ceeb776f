/* src/taskd/job.c - slow work in children of their own, a bounded number at a time. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "taskd/taskd.h"

/* At work at a time. Of jobs: enough to keep both the runtime's CPU use and its waiting busy, not
 * so many that each is slow. Of those that wait for somebody else's network: so many small
 * processes. */
static const size_t most[JOB_LINES] = { [JOB_WORK] = 6, [JOB_FETCH] = 64 };

/* From the child, over a socket that keeps messages whole. It is our own program speaking, forked a
 * moment ago, so a struct may pass as it is. */
struct note {
    enum { NOTE_RUNNING, NOTE_DONE, NOTE_FAILED } kind;
    int64_t value; /* pid; result */
    struct xeno_err err;
};

struct job {
    struct job *next;
    struct taskd *daemon;
    const struct job_kind *kind;
    void *arg;
    pid_t pid;
    int socket;
    sd_event_source *io, *child, *timer;
    bool counted, told;
};

/* --- the child --- */

struct child_channel {
    struct xeno_task_channel base;
    int socket;
};

static void send_note(int fd, const struct note *n, const int *fds, size_t nfds)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int) * XENO_FRAME_FDS_MAX)];
    } control = { .room = { 0 } };
    struct iovec iov = { (void *)n, sizeof *n };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (nfds > 0) {
        control.align.cmsg_level = SOL_SOCKET;
        control.align.cmsg_type = SCM_RIGHTS;
        control.align.cmsg_len = CMSG_LEN(sizeof(int) * nfds);
        memcpy(CMSG_DATA(&control.align), fds, sizeof(int) * nfds);
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
    }
    /* The daemon may be gone: then nobody wants to know. */
    while (sendmsg(fd, &msg, MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
}

static void tell_running(struct xeno_task_channel *ch, int64_t pid, const int *fds, size_t nfds)
{
    struct note n = { .kind = NOTE_RUNNING, .value = pid };

    send_note(((struct child_channel *)ch)->socket, &n, fds, nfds);
    for (size_t i = 0; i < nfds; i++)
        close(fds[i]);
}

/* Close every descriptor from `first` on but those. */
static void close_others(int first, const int *keep, size_t n)
{
    for (;;) {
        int next = INT_MAX;

        for (size_t i = 0; i < n; i++)
            if (keep[i] >= first && keep[i] < next)
                next = keep[i];
        if (next == INT_MAX)
            break;
        if (next > first)
            close_range((unsigned)first, (unsigned)next - 1, 0);
        first = next + 1;
    }
    close_range((unsigned)first, ~0U, 0);
}

/* Of the daemon's nothing goes along that the work does not need: a copy of a peer's connection
 * would keep it open. */
static void run_child(struct job *j, int socket) __attribute__((noreturn));
static void run_child(struct job *j, int socket)
{
    struct child_channel ch = { .base.running = tell_running, .socket = 3 };
    struct note n = { .kind = NOTE_DONE };
    int keep[] = { j->daemon->host.rouser, j->kind->lent ? j->kind->lent(j->arg) : -1 };
    sigset_t none;

    setpgid(0, 0);
    unsetenv("NOTIFY_SOCKET"); /* the service manager's: a runtime would show it to a session */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* It is for the daemon alone; a runtime that sees it mounts its folder into the container. */
    unsetenv("NOTIFY_SOCKET");
    if (socket != 3)
        dup2(socket, 3);
    close_others(4, keep, XENO_LEN(keep));
    n.value = j->kind->fn(j->daemon, j->arg, &ch.base, &n.err);
    if (n.value < 0)
        n.kind = NOTE_FAILED;
    if (n.value < 0 && n.err.code == 0)
        xeno_fail_errno(&n.err, (int)n.value, "task.job", "the work failed");
    send_note(3, &n, NULL, 0);
    _exit(0);
}

/* --- the daemon's side --- */

static void start_next(struct taskd *d, enum job_line line);

static void end_job(struct job *j, int value, const struct xeno_err *err)
{
    enum job_line line = j->kind->line;
    struct taskd *d = j->daemon;
    struct job **at = &d->jobs;

    if (j->told)
        return;
    j->told = true;
    while (*at && *at != j)
        at = &(*at)->next;
    if (*at)
        *at = j->next;
    if (j->counted)
        d->lines[line].count--;
    j->io = sd_event_source_disable_unref(j->io);
    j->timer = sd_event_source_disable_unref(j->timer);
    if (j->socket >= 0)
        close(j->socket);
    j->socket = -1;
    j->kind->done(d, j->arg, value, err);
    if (!j->child) /* else it is freed when the process has been collected */
        free(j);
    start_next(d, line);
}

static void crashed(struct job *j)
{
    struct xeno_err err = XENO_ERR_INIT;

    xeno_fail(&err, -EIO, "task.job", "the process that did the work was killed");
    end_job(j, 0, &err);
}

/* Take the descriptors out of a message; what nobody takes is closed. */
static size_t take_fds(struct msghdr *msg, int *fds)
{
    size_t n = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds, CMSG_DATA(c), n * sizeof(int));
    }
    return n;
}

static int on_note(sd_event_source *s, int fd, uint32_t events, void *data)
{
    struct job *j = data;
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int) * XENO_FRAME_FDS_MAX)];
    } control;
    struct note n;
    struct iovec iov = { &n, sizeof n };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    int fds[XENO_FRAME_FDS_MAX];
    ssize_t got = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    size_t nfds;

    (void)s;
    (void)events;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got != sizeof n) {
        crashed(j);
        return 0;
    }
    nfds = take_fds(&msg, fds);
    if (n.kind == NOTE_RUNNING && j->kind->running)
        j->kind->running(j->daemon, j->arg, n.value, fds, nfds);
    else if (n.kind == NOTE_DONE)
        end_job(j, (int)n.value, NULL);
    else
        end_job(j, 0, &n.err);
    return 0;
}

static int on_child(sd_event_source *s, const siginfo_t *si, void *data)
{
    struct job *j = data;

    (void)si;
    sd_event_source_disable_unref(s);
    j->child = NULL;
    if (j->told)
        free(j);
    return 0;
}

static int on_timeout(sd_event_source *s, uint64_t usec, void *data)
{
    struct job *j = data;
    struct xeno_err err = XENO_ERR_INIT;

    (void)s;
    (void)usec;
    xeno_log(LOG_WARNING, "job.timeout", "pid=%d after_s=%d", (int)j->pid, j->kind->timeout_s);
    kill(-j->pid, SIGKILL);
    kill(j->pid, SIGKILL);
    xeno_fail(&err, -ETIMEDOUT, "task.timeout", "the work was not done within %d s",
              j->kind->timeout_s);
    end_job(j, 0, &err);
    return 0;
}

static void launch(struct job *j)
{
    struct taskd *d = j->daemon;
    int pair[2];

    j->next = d->jobs;
    d->jobs = j;
    j->counted = !j->kind->at_once;
    d->lines[j->kind->line].count += j->counted;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        crashed(j);
        return;
    }
    j->socket = pair[0];
    j->pid = fork();
    if (j->pid == 0)
        run_child(j, pair[1]);
    close(pair[1]);
    if (j->pid < 0) {
        crashed(j);
        return;
    }
    sd_event_add_io(d->loop, &j->io, j->socket, EPOLLIN, on_note, j);
    sd_event_add_child(d->loop, &j->child, j->pid, WEXITED, on_child, j);
    if (j->kind->timeout_s > 0)
        sd_event_add_time_relative(d->loop, &j->timer, CLOCK_MONOTONIC,
                                   (uint64_t)j->kind->timeout_s * 1000000, 0, on_timeout, j);
}

static void start_next(struct taskd *d, enum job_line line)
{
    struct job_line_state *l = &d->lines[line];
    struct job *j = l->first;

    if (!j || l->count >= most[line])
        return;
    l->first = j->next;
    if (!l->first)
        l->last = NULL;
    launch(j);
}

void job_start(struct taskd *d, const struct job_kind *kind, void *arg)
{
    struct job_line_state *l = &d->lines[kind->line];
    struct job *j = xeno_new0(struct job);

    *j = (struct job){ .daemon = d, .kind = kind, .arg = arg, .socket = -1 };
    if (kind->at_once) {
        launch(j);
        return;
    }
    if (l->last)
        l->last->next = j;
    else
        l->first = j;
    l->last = j;
    start_next(d, kind->line);
}

void job_cancel(struct taskd *d, void *arg)
{
    for (struct job *j = d->jobs; j; j = j->next)
        if (j->arg == arg && j->pid > 0) {
            kill(-j->pid, SIGKILL);
            kill(j->pid, SIGKILL); /* it may not have its group yet */
        }
}
