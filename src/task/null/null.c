/* src/task/null/null.c - runs nothing, uses a made-up but reproducible amount of everything.
 *
 * Needs no rights: with it the whole control plane is tested and simulated. A task "runs" until it
 * is told to end; three programs are known:
 *     exit N    ends at once with code N
 *     sleep S   ends after S seconds (decimals allowed) with code 0
 *     oom       ends at once, as if for want of memory
 * A session that is ready and not paused uses, each second, a tenth of its reserved CPU time, a
 * quarter of its memory, an eighth of its disk, and receives 1000 and sends 4000 bytes. All of it
 * follows from files and the clock, so it goes on through a restart of the daemon. Its writable
 * layer is an empty folder.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/units.h"
#include "image/unpack.h"
#include "task/driver.h"

static int64_t wall_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int null_probe(struct xeno_task_host *h, struct xeno_err *err)
{
    (void)h;
    (void)err;
    return 0;
}

/* --- slow half --- */

static int null_create(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_err *err)
{
    (void)h;
    (void)run;
    (void)err;
    return 0;
}

static int null_start(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_run_task *t,
                      const struct xeno_task_program *p, struct xeno_err *err)
{
    xeno_autofree char *log = xeno_run_path(run, "tasks/%s/log", t->name);
    xeno_autofree char *pid = xeno_run_path(run, "tasks/%s/pid", t->name);
    xeno_autobuf line = XENO_BUF_INIT;
    char when[XENO_TIME_TEXT];
    int r;

    (void)h;
    xeno_buf_printf(&line, "%s stdout F null:", xeno_time_text(xeno_ms(wall_ms()), when));
    for (size_t i = 0; p->argv[i]; i++)
        xeno_buf_printf(&line, " %s", p->argv[i]);
    xeno_buf_puts(&line, "\n");
    r = xeno_run_write(log, line.data, line.len, err);
    if (r == 0)
        r = xeno_run_write(pid, "0\n", 2, err);
    t->started = r == 0;
    t->since_ms = wall_ms();
    return r;
}

static int null_layer(const struct xeno_task_host *h, struct xeno_run *run, int *ret_dir,
                      int *ret_mount, struct xeno_err *err)
{
    xeno_autofree char *path = xeno_run_path(run, "upper");

    (void)h;
    *ret_mount = -1;
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return xeno_fail_errno(err, -errno, "task.commit", "make '%s'", path);
    if (geteuid() == 0 && chown(path, XENO_SUBID_BASE, XENO_SUBID_BASE) < 0)
        return xeno_fail_errno(err, -errno, "task.commit", "set the owner of '%s'", path);
    *ret_dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return *ret_dir < 0 ? xeno_fail_errno(err, -errno, "task.commit", "open '%s'", path) : 0;
}

static int null_reap(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_run_task *t,
                     struct xeno_err *err)
{
    (void)h;
    (void)run;
    (void)t;
    (void)err;
    return 0;
}

/* What the present stay has brought so far; it begins anew when the daemon saves the session. */
static void accrue(const struct xeno_run *run, struct xeno_task_usage *u)
{
    int64_t ms = run->paused ? 0 : wall_ms() - run->changed_ms;

    if (ms < 0)
        ms = 0;
    u->cpu_us += ms * run->spec.cpu_msps / 10;
    u->net_rx_bytes += ms;
    u->net_tx_bytes += ms * 4;
    u->net_rx_packets += ms / 100;
    u->net_tx_packets += ms / 100;
}

static void null_usage(const struct xeno_task_host *h, struct xeno_run *run,
                       struct xeno_task_usage *u)
{
    (void)h;
    accrue(run, u);
    u->memory_bytes = run->spec.memory_bytes / 4;
    if (u->memory_peak < u->memory_bytes)
        u->memory_peak = u->memory_bytes;
    u->disk_bytes = run->spec.disk_bytes / 8;
    u->pids = 0;
    for (size_t i = 0; i < run->ntasks; i++) {
        u->pids += run->tasks[i].started && !run->tasks[i].ended;
        u->oom_kills += run->tasks[i].oom_kills;
    }
}

static int null_resize(const struct xeno_task_host *h, struct xeno_run *run,
                       const struct xeno_task_spec *spec, struct xeno_err *err)
{
    (void)h;
    (void)err;
    (void)spec;
    accrue(run, &run->base);
    return 0;
}

static int null_pause(const struct xeno_task_host *h, struct xeno_run *run, bool paused,
                      struct xeno_err *err)
{
    (void)h;
    (void)err;
    if (paused)
        accrue(run, &run->base);
    return 0;
}

static int null_signal(const struct xeno_task_host *h, struct xeno_run *run,
                       struct xeno_run_task *t, int signal, struct xeno_err *err)
{
    xeno_autofree char *path = xeno_run_path(run, "tasks/%s/signal", t->name);
    char text[16];

    (void)h;
    if (signal != SIGTERM && signal != SIGKILL && signal != SIGINT && signal != SIGHUP)
        return 0;
    snprintf(text, sizeof text, "%d\n", signal);
    return xeno_run_write(path, text, strlen(text), err);
}

static int null_stop(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < run->ntasks; i++)
        if (run->tasks[i].started && !run->tasks[i].ended)
            r = null_signal(h, run, &run->tasks[i], SIGTERM, err);
    return r;
}

static int null_nothing(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_err *err)
{
    (void)h;
    (void)run;
    (void)err;
    return 0;
}

/* --- how a task ends --- */

static int told_to_end(struct xeno_run *run, struct xeno_run_task *t)
{
    xeno_autofree char *path = xeno_run_path(run, "tasks/%s/signal", t->name);
    xeno_autofree char *text = NULL;
    size_t len;

    return xeno_file_read(AT_FDCWD, path, 16, &text, &len, NULL) < 0 ? 0 : atoi(text);
}

static int null_ended(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_run_task *t,
                      int64_t *ret_code, int64_t *ret_oom_kills)
{
    struct xeno_task_program p;
    int signal = told_to_end(run, t), r = 1;

    (void)h;
    *ret_oom_kills = 0;
    if (signal > 0) {
        *ret_code = 128 + signal;
        return 1;
    }
    if (run->paused || xeno_run_program(run, t->name, &p, NULL) < 0)
        return 0;
    if (strcmp(p.argv[0], "exit") == 0) {
        *ret_code = p.argv[1] ? atoi(p.argv[1]) & 255 : 0;
    } else if (strcmp(p.argv[0], "oom") == 0) {
        *ret_code = 128 + SIGKILL;
        *ret_oom_kills = 1;
    } else if (strcmp(p.argv[0], "sleep") == 0 && p.argv[1] &&
               wall_ms() - t->since_ms >= (int64_t)(strtod(p.argv[1], NULL) * 1000)) {
        *ret_code = 0;
    } else {
        r = 0;
    }
    xeno_task_program_release(&p);
    return r;
}

/* --- streams --- */

/* "cat" gives back what it is given, everything else says its own name. */
static void play(const struct xeno_task_program *p, int in, int out)
{
    char buf[4096];
    ssize_t n;

    if (strcmp(p->argv[0], "cat") != 0) {
        for (size_t i = 0; p->argv[i]; i++)
            dprintf(out, "%s%s", i == 0 ? "null: " : " ", p->argv[i]);
        dprintf(out, "\n");
        return;
    }
    while ((n = read(in, buf, sizeof buf)) > 0)
        if (xeno_write_all(out, buf, (size_t)n) < 0)
            return;
}

static int open_terminal(int *ret_master, struct xeno_err *err)
{
    xeno_autoclose int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    char name[64];
    int slave;

    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 ||
        ptsname_r(master, name, sizeof name) != 0)
        return xeno_fail_errno(err, -errno, "null.terminal", "make a terminal");
    slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return xeno_fail_errno(err, -errno, "null.terminal", "open '%s'", name);
    *ret_master = xeno_take_fd(&master);
    return slave;
}

static int null_exec(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_run_task *t,
                     const struct xeno_task_request *q, struct xeno_task_channel *ch,
                     struct xeno_err *err)
{
    const struct xeno_task_program *p = &q->program;

    (void)h;
    (void)run;
    (void)t;
    signal(SIGPIPE, SIG_IGN);
    if (p->terminal) {
        int master = -1, slave = open_terminal(&master, err);

        if (slave < 0)
            return slave;
        ch->running(ch, 0, &master, 1);
        play(p, slave, slave);
    } else {
        int in[2], out[2], bad[2];

        if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(bad, O_CLOEXEC) < 0)
            return xeno_fail_errno(err, -errno, "null.pipe", "make pipes");
        ch->running(ch, 0, (int[]){ in[1], out[0], bad[0] }, 3);
        play(p, in[0], out[1]);
    }
    return strcmp(p->argv[0], "exit") == 0 && p->argv[1] ? atoi(p->argv[1]) & 255 : 0;
}

/* There is nobody to talk to: the stream is at its end. */
static int null_attach(const struct xeno_task_host *h, struct xeno_run *run,
                       struct xeno_run_task *t, int *ret_fd, struct xeno_err *err)
{
    int fds[2];

    (void)h;
    (void)run;
    (void)t;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return xeno_fail_errno(err, -errno, "null.attach", "make a socket");
    close(fds[1]);
    *ret_fd = fds[0];
    return 0;
}

static int null_winch(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_run_task *t,
                      int cols, int rows, struct xeno_err *err)
{
    (void)h;
    (void)run;
    (void)t;
    (void)cols;
    (void)rows;
    (void)err;
    return 0;
}

const struct xeno_task_driver xeno_task_driver_null = {
    .name = "null",
    .isolation = "null",
    .probe = null_probe,
    .create = null_create,
    .start = null_start,
    .reap = null_reap,
    .resize = null_resize,
    .pause = null_pause,
    .stop = null_stop,
    .release = null_nothing,
    .destroy = null_nothing,
    .layer = null_layer,
    .exec = null_exec,
    .signal = null_signal,
    .usage = null_usage,
    .ended = null_ended,
    .attach = null_attach,
    .winch = null_winch,
};
