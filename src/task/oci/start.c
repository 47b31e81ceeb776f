/* src/task/oci/start.c - start and reap one container under conmon. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "image/unpack.h"
#include "json/json.h"
#include "task/oci/oci.h"
#include "task/proc.h"
#include "task/rootfs.h"

#define RUNTIME_WAIT_MS 30000
#define CONMON_END_MS   3000
#define LOG_MAX_TEXT    "16777216" /* bytes of one task's log; then it begins anew */
#define NOFILE_WANTED   65536
#define REPORT_MAX      65536

/* --- config.json --- */

static uint64_t nofile_limit(void)
{
    struct rlimit now;

    /* Where CAP_SYS_RESOURCE is missing, the hard limit is all there is. */
    if (getrlimit(RLIMIT_NOFILE, &now) < 0)
        return 1024;
    return now.rlim_max < NOFILE_WANTED ? now.rlim_max : NOFILE_WANTED;
}

char *xeno_oci_netns(const struct xeno_task_host *h, const struct xeno_run *run)
{
    return h->netns && run->spec.address[0] ? h->netns(h, run->id) : NULL;
}

int xeno_oci_bundle(const struct xeno_task_host *h, const struct xeno_run *run, const char *task,
                    const struct xeno_task_program *p, struct xeno_oci_words *words,
                    struct xeno_oci_bundle *ret, struct xeno_err *err)
{
    struct xeno_oci_words w = { .rootfs = xeno_run_path(run, "rootfs"),
                                .sys = xeno_run_path(run, "sys"),
                                .netns = xeno_oci_netns(h, run),
                                .files = xeno_run_path(run, "upper/etc"),
                                .cgroup = xeno_cgroup_oci_path(h->cgroups, run->id, task) };
    int r;

    *ret =
        (struct xeno_oci_bundle){ .program = p,
                                  .hostname = run->spec.hostname[0] ? run->spec.hostname : run->id,
                                  .rootfs = w.rootfs,
                                  .files = w.files,
                                  .sys = xeno_rootfs_mounted(w.sys) ? w.sys : NULL,
                                  .netns = w.netns,
                                  .cgroup = w.cgroup,
                                  .id_base = XENO_SUBID_BASE,
                                  .id_count = XENO_SUBID_COUNT,
                                  .nofile = nofile_limit(),
                                  .bpf = h->oci->bpf,
                                  .seccomp = h->oci->seccomp };
    r = xeno_oci_user_in(w.rootfs, p->user ? p->user : "", &ret->user, err);
    if (r < 0) {
        xeno_oci_words_release(&w);
        return r;
    }
    *words = w;
    return 0;
}

static int write_config(const struct xeno_task_host *h, const struct xeno_run *run,
                        const char *task, const struct xeno_task_program *p, struct xeno_err *err)
{
    xeno_autofree char *path = xeno_run_path(run, "tasks/%s/config.json", task);
    struct xeno_oci_words words = { .rootfs = NULL };
    struct xeno_oci_bundle bundle;
    int r;

    r = xeno_oci_bundle(h, run, task, p, &words, &bundle, err);
    if (r == 0) {
        xeno_auto(xeno_json) config = xeno_oci_config(&bundle);
        size_t len;
        xeno_autofree char *text = xeno_json_format(config, false, &len);

        r = xeno_run_write(path, text, len, err);
    }
    xeno_oci_words_release(&words);
    return r;
}

/* --- conmon --- */

static pid_t read_pid(const char *path)
{
    xeno_autofree char *text = NULL;
    size_t len;

    return xeno_file_read(AT_FDCWD, path, 32, &text, &len, NULL) < 0 ? 0 : (pid_t)atoi(text);
}

/* Is that process a conmon of ours? Its arguments name the container. */
static bool is_conmon(pid_t pid, const char *name)
{
    xeno_autofree char *path = xeno_asprintf("/proc/%d/cmdline", (int)pid);
    char args[512];
    ssize_t n;
    xeno_autoclose int fd = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    n = fd < 0 ? -1 : read(fd, args, sizeof args - 1);
    if (n <= 0)
        return false;
    for (ssize_t i = 0; i < n; i++)
        if (args[i] == '\0')
            args[i] = '\n';
    args[n] = '\0';
    return strstr(args, name) != NULL;
}

/* conmon's child has ended, so it is about to; it must not write its exit file later. */
static void wait_for_conmon(const struct xeno_run *run, const char *task, const char *name)
{
    xeno_autofree char *path = xeno_run_path(run, "tasks/%s/conmon.pid", task);
    pid_t pid = read_pid(path);

    for (int waited = 0; is_conmon(pid, name); waited += 2) {
        if (waited == CONMON_END_MS)
            kill(pid, SIGKILL);
        if (waited > 2 * CONMON_END_MS)
            return;
        nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
    }
}

/* Words that depend on nothing but the runtime and the program, behind the n there are. */
static void add_words(const char **argv, size_t n, const struct xeno_oci *oci,
                      const struct xeno_task_program *p)
{
    static const char *const fixed[] = { "--api-version",  "1",
                                         "--log-size-max", LOG_MAX_TEXT,
                                         "--full-attach",  "--no-sync-log",
                                         "--log-level",    "error" };

    for (size_t i = 0; i < XENO_LEN(fixed); i++)
        argv[n++] = fixed[i];
    argv[n++] = "--exit-dir";
    argv[n++] = oci->exits;
    argv[n++] = "--runtime";
    argv[n++] = oci->head[0];
    for (size_t i = 1; i < oci->nhead; i++) {
        argv[n++] = "--runtime-arg";
        argv[n++] = oci->head[i];
    }
    if (p->terminal)
        argv[n++] = "--terminal";
    if (p->open_stdin && !p->terminal)
        argv[n++] = "--stdin";
    if (p->terminal || p->open_stdin)
        argv[n++] = "--leave-stdin-open";
    argv[n] = NULL;
}

/* Nothing of ours goes along but the pipe for its report. */
static void let_go(int report)
{
    int null = open("/dev/null", O_RDWR);

    for (int i = 0; i < 3; i++)
        dup2(null, i);
    dup2(report, 3);
    close_range(4, ~0U, 0);
    umask(0077);
    setenv("_OCI_SYNCPIPE", "3", 1);
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    setsid();
}

/* In the child: conmon puts itself into the background and reports over the pipe. */
static void become_conmon(const struct xeno_task_host *h, const struct xeno_run *run,
                          const char *task, const struct xeno_task_program *p, int report)
{
    xeno_autofree char *name = xeno_oci_name(h, run, task);
    xeno_autofree char *bundle = xeno_run_path(run, "tasks/%s", task);
    xeno_autofree char *pid = xeno_run_path(run, "tasks/%s/container.pid", task);
    xeno_autofree char *own_pid = xeno_run_path(run, "tasks/%s/conmon.pid", task);
    xeno_autofree char *log = xeno_run_path(run, "tasks/%s/log", task);
    xeno_autofree char *log_to = xeno_asprintf("k8s-file:%s", log);
    const char *argv[64] = { h->oci->conmon, "--cid" };
    size_t n = 2;

    argv[n++] = name;
    argv[n++] = "--cuuid";
    argv[n++] = name;
    argv[n++] = "--bundle";
    argv[n++] = bundle;
    argv[n++] = "--container-pidfile";
    argv[n++] = pid;
    argv[n++] = "--conmon-pidfile";
    argv[n++] = own_pid;
    argv[n++] = "--log-path";
    argv[n++] = log_to;
    add_words(argv, n, h->oci, p);
    if (chdir(bundle) < 0) /* where it leaves a file named oom when that happens */
        _exit(127);
    let_go(report);
    execv(argv[0], (char *const *)argv);
    _exit(127);
}

/* The one line that conmon writes: {"data":PID} or {"data":-1,"message":TEXT}. */
static int read_report(int fd, char *buf, size_t room)
{
    long long end = xeno_proc_now_ms() + RUNTIME_WAIT_MS;
    size_t have = 0;

    while (have < room - 1) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        long long left = end - xeno_proc_now_ms();
        ssize_t n;

        if (left <= 0 || poll(&p, 1, (int)left) == 0)
            return -ETIMEDOUT;
        n = read(fd, buf + have, room - 1 - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        have += (size_t)n;
        if (memchr(buf, '\n', have))
            break;
    }
    buf[have] = '\0';
    return 0;
}

static int parse_report(const char *text, struct xeno_err *err)
{
    xeno_auto(xeno_json) root = NULL;
    const char *message = "conmon said nothing";
    struct xeno_json_at top;
    int64_t pid = -1;
    int r;

    r = xeno_json_parse(text, strlen(text), REPORT_MAX, &root, NULL);
    if (r == 0) {
        top = xeno_json_top(root);
        xeno_json_int_opt(&top, "data", INT32_MIN, INT32_MAX, &pid, NULL);
        xeno_json_str_opt(&top, "message", 0, REPORT_MAX, &message, NULL);
    }
    if (pid > 0)
        return 0;
    return xeno_fail(err, -ENOEXEC, "task.start", "the program cannot be started: %.*s",
                     (int)strcspn(message, "\n"), message);
}

/* conmon creates the container and stays with it. */
static int create_container(const struct xeno_task_host *h, const struct xeno_run *run,
                            const char *task, const struct xeno_task_program *p,
                            struct xeno_err *err)
{
    xeno_autofree char *text = xeno_alloc0(1, REPORT_MAX);
    xeno_autoclose int from = -1;
    int report[2], r;
    pid_t pid;

    if (pipe2(report, O_CLOEXEC) < 0)
        return xeno_fail_errno(err, -errno, "task.start", "make a pipe");
    from = report[0];
    pid = xeno_cgroup_fork(h->cgroups, run->id);
    if (pid == 0) {
        xeno_cgroups_supervise(h->cgroups);
        become_conmon(h, run, task, p, report[1]);
    }
    close(report[1]);
    if (pid < 0)
        return xeno_fail_errno(err, -errno, "task.start", "start conmon");
    r = read_report(from, text, REPORT_MAX);
    xeno_proc_wait(pid, RUNTIME_WAIT_MS); /* the one that went into the background */
    if (r < 0)
        return xeno_fail(err, r, "task.start", "the container was not made within %d s",
                         RUNTIME_WAIT_MS / 1000);
    return parse_report(text, err);
}

/* --- start --- */

/* What an attempt that was killed half-way left: a container that waits, its conmon, its files. */
static void forget_container(const struct xeno_task_host *h, const struct xeno_run *run,
                             const char *task, const char *name)
{
    static const char *const files[] = { "container.pid", "conmon.pid", "attach", "ctl", "winsz" };
    const char *const words[] = { "delete", "--force", name, NULL };
    xeno_autofree char *state = xeno_asprintf("%s/%s", h->oci->root, name);
    xeno_autofree char *end = xeno_asprintf("%s/%s", h->oci->exits, name);

    if (access(state, F_OK) == 0 && xeno_oci_call(h->oci, words, RUNTIME_WAIT_MS, NULL) < 0)
        xeno_remove_tree(AT_FDCWD, state, NULL);
    wait_for_conmon(run, task, name);
    xeno_cgroup_remove_task(h->cgroups, run->id, task, NULL);
    unlink(end);
    for (size_t i = 0; i < XENO_LEN(files); i++) {
        xeno_autofree char *path = xeno_run_path(run, "tasks/%s/%s", task, files[i]);

        unlink(path);
    }
}

/* Let the container that was made begin. What waits in it reads from a fifo in the runtime's state;
 * crun's `start` does nothing but write a byte there and take the name away. Doing that ourselves
 * saves a process of 4 ms, a third of a start; whatever looks different is left to the runtime. */
static int let_begin(const struct xeno_oci *oci, const char *name, struct xeno_err *err)
{
    xeno_autofree char *fifo = xeno_asprintf("%s/%s/exec.fifo", oci->root, name);
    const char *const words[] = { "start", name, NULL };
    xeno_autoclose int fd = -1;
    struct stat st;

    if (oci->crun)
        fd = open(fifo, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) && write(fd, "", 1) == 1) {
        unlink(fifo);
        return 0;
    }
    return xeno_oci_call(oci, words, RUNTIME_WAIT_MS, err);
}

int xeno_oci_start(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_run_task *t,
                   const struct xeno_task_program *p, struct xeno_err *err)
{
    xeno_autofree char *name = xeno_oci_name(h, run, t->name);
    xeno_autofree char *made = xeno_run_path(run, "tasks/%s/container.pid", t->name);
    xeno_autofree char *pid = xeno_run_path(run, "tasks/%s/pid", t->name);
    xeno_autofree char *state = xeno_asprintf("%s/%s", h->oci->root, name);
    char text[16];
    int r;

    xeno_task_rouse(h);
    if (access(made, F_OK) == 0 || access(state, F_OK) == 0)
        forget_container(h, run, t->name, name);
    r = write_config(h, run, t->name, p, err);
    if (r == 0)
        r = create_container(h, run, t->name, p, err);
    if (r == 0)
        r = let_begin(h->oci, name, err);
    if (r < 0) {
        forget_container(h, run, t->name, name);
        return r;
    }
    t->pid = read_pid(made);
    snprintf(text, sizeof text, "%d\n", (int)t->pid);
    return xeno_run_write(pid, text, strlen(text), err);
}

int xeno_oci_reap(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_run_task *t,
                  struct xeno_err *err)
{
    xeno_autofree char *name = xeno_oci_name(h, run, t->name);

    (void)err;
    forget_container(h, run, t->name, name);
    return 0;
}

/* --- is it still that process? --- */

bool xeno_oci_alive(const struct xeno_task_host *h, const struct xeno_run *run,
                    const struct xeno_run_task *t, int *ret_pidfd)
{
    xeno_autofree char *cgroup = xeno_cgroup_oci_path(h->cgroups, run->id, t->name);
    xeno_autofree char *path = xeno_asprintf("/proc/%d/cgroup", (int)t->pid);
    xeno_autofree char *text = NULL;
    xeno_autoclose int fd = -1;
    size_t len;

    if (t->pid <= 0)
        return false;
    fd = (int)syscall(SYS_pidfd_open, (pid_t)t->pid, 0);
    /* Opened first: so the text is that process's, or it has ended and the signal goes nowhere. */
    if (fd < 0 || xeno_file_read(AT_FDCWD, path, 8192, &text, &len, NULL) < 0 ||
        !strstr(text, cgroup))
        return false;
    if (ret_pidfd)
        *ret_pidfd = xeno_take_fd(&fd);
    return true;
}
