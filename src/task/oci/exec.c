/* src/task/oci/exec.c - run one more program in a container, under us.
 *
 * The program's end is told by our own.
 *
 * The runtime leaves once the program runs, and the program becomes our child (we reap what our
 * descendants leave), so its code is ours to collect. Were the runtime to stay, then in the mount
 * namespace it was started in, which holds copies of all sessions' mounts for as long. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "task/oci/oci.h"
#include "task/proc.h"

#define START_WAIT_MS 30000

struct stay {
    const struct xeno_oci *oci;
    char *name;    /* of the container */
    char *process; /* file with the process object */
    char *pid;     /* file the runtime writes the number to */
    char *console; /* name the runtime finds our socket by; NULL without a terminal */
    int listener;  /* for the terminal; -1 */
    int ours[3];   /* our ends of the pipes, or the terminal first */
    int theirs[3];
    size_t nours;
    pid_t runtime;
    int watch; /* pidfd of it */
};

static void release(struct stay *s)
{
    if (s->process)
        unlink(s->process);
    if (s->pid)
        unlink(s->pid);
    if (s->console)
        unlink(s->console);
    free(s->name);
    free(s->process);
    free(s->pid);
    free(s->console);
    if (s->listener >= 0)
        close(s->listener);
    for (int i = 0; i < 3; i++) {
        if (s->ours[i] >= 0)
            close(s->ours[i]);
        if (s->theirs[i] >= 0)
            close(s->theirs[i]);
    }
    if (s->watch >= 0)
        close(s->watch);
}

/* --- before --- */

static int write_process(const struct xeno_task_host *h, struct xeno_run *run,
                         struct xeno_run_task *t, const struct xeno_task_request *q,
                         const char *path, struct xeno_err *err)
{
    struct xeno_oci_words words = { .rootfs = NULL };
    struct xeno_oci_bundle bundle;
    int r;

    r = xeno_oci_bundle(h, run, t->name, &q->program, &words, &bundle, err);
    if (r == 0) {
        xeno_auto(xeno_json) obj = NULL;
        xeno_autofree char *text = NULL;
        size_t len;

        bundle.cols = q->cols;
        bundle.rows = q->rows;
        obj = xeno_oci_process(&bundle);
        text = xeno_json_format(obj, false, &len);
        r = xeno_run_write(path, text, len, err);
    }
    xeno_oci_words_release(&words);
    return r;
}

static int make_pipes(struct stay *s, struct xeno_err *err)
{
    for (int i = 0; i < 3; i++) {
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0)
            return xeno_fail_errno(err, -errno, "task.exec", "make a pipe");
        s->ours[i] = ends[i == 0];
        s->theirs[i] = ends[i != 0];
    }
    s->nours = 3;
    return 0;
}

/* The runtime sends the terminal to a socket. A socket's name is short, a folder's may be long: so
 * both of us find it through the folder's descriptor. */
static int make_listener(struct stay *s, const char *folder, const char *exec, struct xeno_err *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    xeno_autoclose int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    xeno_autofree char *file = xeno_asprintf("%s/exec-%s.tty", folder, exec);

    unlink(file);
    s->console = xeno_asprintf("/proc/%d/fd/%d/exec-%s.tty", (int)getpid(), dir, exec);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", s->console);
    s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (dir < 0 || s->listener < 0 ||
        bind(s->listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(s->listener, 1) < 0)
        return xeno_fail_errno(err, -errno, "task.exec", "listen for the terminal");
    xeno_take_fd(&dir); /* stays open for as long as this process lives */
    return 0;
}

static void become_runtime(struct stay *s)
{
    const char *argv[32];
    size_t n = 0;

    for (size_t i = 0; i < s->oci->nhead; i++)
        argv[n++] = s->oci->head[i];
    argv[n++] = "exec";
    argv[n++] = "--detach";
    argv[n++] = "--process";
    argv[n++] = s->process;
    argv[n++] = "--pid-file";
    argv[n++] = s->pid;
    if (s->console) {
        argv[n++] = "--console-socket";
        argv[n++] = s->console;
    }
    argv[n++] = s->name;
    argv[n] = NULL;
    if (s->console) {
        int null = open("/dev/null", O_RDWR);

        /* Complaints of the runtime go where ours would: read by whoever waits for the start. */
        dup2(null, 0);
        dup2(null, 1);
        dup2(s->theirs[2], 2);
    } else {
        for (int i = 0; i < 3; i++)
            dup2(s->theirs[i], i);
    }
    close_range(3, ~0U, 0);
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execv(argv[0], (char *const *)argv);
    _exit(127);
}

static int spawn(struct stay *s, const struct xeno_task_host *h, const struct xeno_run *run,
                 struct xeno_err *err)
{
    s->runtime = xeno_cgroup_fork(h->cgroups, run->id);
    if (s->runtime < 0)
        return xeno_fail_errno(err, -errno, "task.exec", "start the runtime");
    if (s->runtime == 0)
        become_runtime(s);
    s->watch = (int)syscall(SYS_pidfd_open, s->runtime, 0);
    for (int i = 0; i < 3; i++)
        if (s->theirs[i] >= 0) {
            close(s->theirs[i]);
            s->theirs[i] = -1;
        }
    return 0;
}

/* --- its start --- */

/* The runtime ended before there was a program: what it wrote says why. */
static int complain(struct stay *s, struct xeno_err *err)
{
    struct pollfd p = { .fd = s->ours[2], .events = POLLIN };
    char said[512];
    ssize_t n = poll(&p, 1, 100) == 1 ? read(p.fd, said, sizeof said - 1) : 0;

    if (n < 0)
        n = 0;
    said[n] = '\0';
    return xeno_fail(err, -ENOEXEC, "task.exec", "the program cannot be started: %.*s",
                     (int)strcspn(said, "\n"), said);
}

/* Receive the terminal's other half. Returns: it, or -1. */
static int receive_terminal(int listener)
{
    xeno_autoclose int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    char name[4096];
    struct iovec iov = { name, sizeof name };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    struct cmsghdr *c;
    int terminal = -1;

    if (fd < 0 || recvmsg(fd, &msg, MSG_CMSG_CLOEXEC) < 0)
        return -1;
    c = CMSG_FIRSTHDR(&msg);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len >= CMSG_LEN(sizeof(int)))
        memcpy(&terminal, CMSG_DATA(c), sizeof terminal);
    return terminal;
}

static int wait_for_terminal(struct stay *s, const struct xeno_task_request *q,
                             struct xeno_err *err)
{
    struct pollfd p[2] = { { .fd = s->listener, .events = POLLIN },
                           { .fd = s->watch, .events = POLLIN } };

    if (poll(p, 2, START_WAIT_MS) <= 0)
        return xeno_fail(err, -ETIMEDOUT, "task.exec", "no terminal came within %d s",
                         START_WAIT_MS / 1000);
    if (!(p[0].revents & POLLIN))
        return complain(s, err);
    s->ours[0] = receive_terminal(s->listener);
    if (s->ours[0] < 0)
        return complain(s, err);
    s->nours = 1;
    /* The program may be running by now: the runtime does not wait, and crun passes over an exec's
     * consoleSize. What looked too early is told by SIGWINCH. */
    if (q->cols > 0) {
        struct winsize size = { .ws_col = (unsigned short)q->cols,
                                .ws_row = (unsigned short)q->rows };

        ioctl(s->ours[0], TIOCSWINSZ, &size);
    }
    return 0;
}

/* The runtime ends when the program runs or cannot. Returns: the program's number, or a failure. */
static int wait_for_pid(struct stay *s, struct xeno_err *err)
{
    int code = xeno_proc_wait(s->runtime, START_WAIT_MS);
    xeno_autofree char *text = NULL;
    size_t len;

    if (code == -ETIMEDOUT)
        return xeno_fail(err, code, "task.exec", "the program was not made within %d s",
                         START_WAIT_MS / 1000);
    s->runtime = 0;
    if (code != 0 || xeno_file_read(AT_FDCWD, s->pid, 32, &text, &len, NULL) < 0 || atoi(text) <= 0)
        return complain(s, err);
    return atoi(text);
}

static int prepare(struct stay *s, const struct xeno_task_host *h, struct xeno_run *run,
                   struct xeno_run_task *t, const struct xeno_task_request *q, struct xeno_err *err)
{
    xeno_autofree char *folder = xeno_run_path(run, "tasks/%s", t->name);
    int r;

    s->oci = h->oci;
    s->name = xeno_oci_name(h, run, t->name);
    s->process = xeno_asprintf("%s/exec-%s.json", folder, q->exec);
    s->pid = xeno_asprintf("%s/exec-%s.pid", folder, q->exec);
    unlink(s->pid);
    r = write_process(h, run, t, q, s->process, err);
    if (r == 0)
        r = make_pipes(s, err);
    if (r < 0 || !q->program.terminal)
        return r;
    r = make_listener(s, folder, q->exec, err);
    for (int i = 0; i < 2; i++) { /* of the pipes only the one for complaints is of use */
        close(s->ours[i]);
        close(s->theirs[i]);
        s->ours[i] = s->theirs[i] = -1;
    }
    return r;
}

/* Returns: the program's number, or a failure. */
static int start(struct stay *s, const struct xeno_task_host *h, const struct xeno_run *run,
                 const struct xeno_task_request *q, struct xeno_task_channel *ch,
                 struct xeno_err *err)
{
    int pid, r;

    r = spawn(s, h, run, err);
    if (r == 0 && q->program.terminal)
        r = wait_for_terminal(s, q, err);
    if (r < 0)
        return r;
    pid = wait_for_pid(s, err);
    if (pid < 0)
        return pid;
    ch->running(ch, pid, s->ours, s->nours);
    for (size_t i = 0; i < s->nours; i++)
        s->ours[i] = -1;
    return pid;
}

/* Is the task's first process still the runtime's? To start a program is to let the runtime replace
 * itself by it, and that takes as long as its file takes to be read. What can be said of it until
 * then is root's, since its memory was a program's of the host. */
static bool is_runtime(const struct xeno_run_task *t)
{
    xeno_autofree char *exe = xeno_asprintf("/proc/%d/exe", (int)t->pid);
    xeno_autofree char *comm = xeno_asprintf("/proc/%d/comm", (int)t->pid);
    xeno_autofree char *name = NULL;
    struct stat st;
    size_t len;

    if (lstat(exe, &st) < 0 || st.st_uid != 0 ||
        xeno_file_read(AT_FDCWD, comm, 64, &name, &len, NULL) < 0)
        return false;
    return strncmp(name, "crun", 4) == 0 || strncmp(name, "runc", 4) == 0;
}

/* Until then the kernel lets nobody into its namespaces. Bounded: one that never comes is told of
 * by the runtime. */
static void await_program(const struct xeno_run_task *t)
{
    long long end = xeno_proc_now_ms() + START_WAIT_MS;

    while (t->pid > 0 && is_runtime(t) && xeno_proc_now_ms() < end)
        nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
}

int xeno_oci_exec(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_run_task *t,
                  const struct xeno_task_request *q, struct xeno_task_channel *ch,
                  struct xeno_err *err)
{
    struct stay s = {
        .listener = -1, .ours = { -1, -1, -1 }, .theirs = { -1, -1, -1 }, .watch = -1
    };
    int status = 0, r;

    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    r = prepare(&s, h, run, t, q, err);
    await_program(t);
    if (r == 0)
        r = start(&s, h, run, q, ch, err);
    if (r > 0) {
        while (waitpid(r, &status, 0) < 0 && errno == EINTR)
            ;
        r = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    } else if (s.runtime > 0) {
        kill(s.runtime, SIGKILL);
        waitpid(s.runtime, &status, 0);
    }
    release(&s);
    return r;
}
