/* src/cli/platform-spawn.c - starting daemons that outlive us. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/platform.h"

#define READY_S   30
#define OUT_MAX   65536
#define TAIL_MAX  400 /* bytes of a log that an error shows */
#define HANDED_FD 3   /* SD_LISTEN_FDS_START */

int platform_program(const char *name, char **ret, struct xeno_err *err)
{
    static const char *const places[] = { "../xenocorpd", "../xenod", "../xstored", "../taskd",
                                          "../imaged",    "../line",  "../xisd",    "../xrdd",
                                          "../sbin",      "." };
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    const char *dir;

    self[n > 0 ? n : 0] = '\0';
    dir = dirname(self);
    for (size_t i = 0; i < XENO_LEN(places); i++) {
        xeno_autofree char *path = xeno_asprintf("%s/%s/%s", dir, places[i], name);
        struct stat st;

        if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0) {
            *ret = xeno_take(&path);
            return 0;
        }
    }
    return xeno_fail(err, -ENOENT, "platform.program",
                     "the program %s is not where xeno was installed or built (%s)", name, dir);
}

/* --- in the child --- */

/* Give up root for good: no group, no way back. */
static bool become(uid_t uid)
{
    if (geteuid() != 0 || uid == 0)
        return true;
    return setgroups(0, NULL) == 0 && setresgid(uid, uid, uid) == 0 &&
           setresuid(uid, uid, uid) == 0;
}

/* As a service manager would (sd_listen_fds(3)): the socket is descriptor 3. Moves *exe, if that
 * is. */
static bool hand_over(int fd, int *exe)
{
    char pid[16];

    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    if (fd <= 0)
        return true;
    if (*exe == HANDED_FD)
        *exe = fcntl(*exe, F_DUPFD_CLOEXEC, HANDED_FD + 1);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "1", 1);
    return *exe >= 0 && (fd == HANDED_FD || dup2(fd, HANDED_FD) >= 0) &&
           fcntl(HANDED_FD, F_SETFD, 0) == 0;
}

static void child(const struct platform_spawn *s, int exe, int out, int log, const char *notify,
                  bool stays)
{
    size_t n = 0;
    const char **argv;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    while (s->argv[n])
        n++;
    argv = xeno_new0_n(const char *, n + 2);
    argv[0] = s->program;
    memcpy(argv + 1, s->argv, n * sizeof *argv);
    if (stays)
        setsid(); /* the terminal's signals are not for it */
    if (notify)
        setenv("NOTIFY_SOCKET", notify, 1);
    else
        unsetenv("NOTIFY_SOCKET");
    umask(022);
    if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(log, 2) < 0 || chdir("/") < 0 ||
        !hand_over(s->listen_fd, &exe) || !become(s->uid))
        _exit(126);
    /* By descriptor: its user need not be able to reach the folder it was built in. */
    execveat(exe, "", (char *const *)argv, environ, AT_EMPTY_PATH);
    dprintf(2, "cannot execute %s: %s\n", s->program, strerror(errno));
    _exit(127);
}

static int fork_child(const struct platform_spawn *s, int out, int log, const char *notify,
                      bool stays, pid_t *ret, struct xeno_err *err)
{
    xeno_autofree char *path = NULL;
    xeno_autoclose int exe = -1;
    int r = platform_program(s->program, &path, err);
    pid_t pid;

    if (r < 0)
        return r;
    exe = open(path, O_PATH | O_CLOEXEC);
    if (exe < 0)
        return xeno_fail_errno(err, -errno, "platform.start", "open %s", path);
    fflush(NULL);
    pid = fork();
    if (pid < 0)
        return xeno_fail_errno(err, -errno, "platform.start", "fork");
    if (pid == 0)
        child(s, exe, out, log, notify, stays);
    *ret = pid;
    return 0;
}

/* --- failures show the end of the log --- */

static int fail_with_log(const struct platform_spawn *s, const char *what, struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    size_t len = 0, from;

    if (xeno_file_read(AT_FDCWD, s->log, 64 << 20, &text, &len, NULL) < 0 || len == 0)
        return xeno_fail(err, -EIO, "platform.start", "%s %s (its log is %s)", s->program, what,
                         s->log);
    while (len > 0 && text[len - 1] == '\n')
        text[--len] = '\0';
    from = len > TAIL_MAX ? len - TAIL_MAX : 0;
    while (from > 0 && from < len && text[from - 1] != '\n')
        from++;
    return xeno_fail(err, -EIO, "platform.start", "%s %s: %s (its log is %s)", s->program, what,
                     text + from, s->log);
}

static int open_log(const struct platform_spawn *s, int *ret, struct xeno_err *err)
{
    *ret = open(s->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (*ret < 0)
        return xeno_fail_errno(err, -errno, "platform.start", "open %s", s->log);
    return 0;
}

/* --- readiness, by sd_notify(3) --- */

static int open_notify(const struct platform *p, char **ret_path, int *ret, struct xeno_err *err)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    xeno_autofree char *path = platform_path(p, "run/ready-%d", (int)getpid());
    xeno_autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof sun.sun_path)
        return xeno_fail(err, -ENAMETOOLONG, "platform.dir",
                         "%s is too long a name for a socket: choose another --dir", path);
    strcpy(sun.sun_path, path); /* its length was checked */
    unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&sun, sizeof sun) < 0 || chmod(path, 0666) < 0)
        return xeno_fail_errno(err, -errno, "platform.start", "make the socket %s", path);
    *ret_path = xeno_take(&path);
    *ret = xeno_take_fd(&fd);
    return 0;
}

static bool says_ready(int fd)
{
    char text[4096];
    ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);

    if (n <= 0)
        return false;
    text[n] = '\0';
    return strncmp(text, "READY=1", 7) == 0 || strstr(text, "\nREADY=1");
}

static int await_ready(struct cli *cli, const struct platform_spawn *s, int fd, pid_t pid,
                       struct xeno_err *err)
{
    xeno_time end = xeno_time_add(xeno_mono(cli->env), xeno_s(READY_S));

    while (xeno_mono(cli->env).ns < end.ns) {
        struct pollfd pfd = { .fd = fd, .events = POLLIN };
        int status;

        if (poll(&pfd, 1, 50) > 0 && says_ready(fd))
            return 0;
        if (waitpid(pid, &status, WNOHANG) == pid)
            return fail_with_log(s, "did not start", err);
    }
    return fail_with_log(s, "was not ready in time", err);
}

int platform_start(struct cli *cli, const struct platform *p, const struct platform_spawn *s,
                   struct platform_process *ret, struct xeno_err *err)
{
    xeno_autofree char *notify = NULL;
    xeno_autoclose int fd = -1, log = -1;
    struct platform_process proc = { .pid = 0 };
    int r;

    r = open_log(s, &log, err);
    if (r == 0)
        r = open_notify(p, &notify, &fd, err);
    if (r == 0)
        r = fork_child(s, log, log, notify, true, &proc.pid, err);
    if (r == 0) {
        proc = platform_process_of(proc.pid);
        r = await_ready(cli, s, fd, proc.pid, err);
        if (r < 0)
            platform_stop(cli, &proc, xeno_s(5));
    }
    if (notify)
        unlink(notify);
    if (r == 0)
        *ret = proc;
    return r;
}

int platform_run(const struct platform_spawn *s, char **ret_out, struct xeno_err *err)
{
    xeno_autoclose int log = -1, in = -1, out = -1;
    xeno_autofree char *text = NULL;
    size_t len;
    int fds[2], status, r;
    pid_t pid;

    r = open_log(s, &log, err);
    if (r < 0)
        return r;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return xeno_fail_errno(err, -errno, "platform.start", "make a pipe");
    in = fds[0];
    out = fds[1];
    r = fork_child(s, out, log, NULL, false, &pid, err);
    if (r < 0)
        return r;
    close(xeno_take_fd(&out));
    r = xeno_read_all(in, OUT_MAX, &text, &len);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (r < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return fail_with_log(s, "failed", err);
    text[strcspn(text, "\r\n")] = '\0';
    if (ret_out)
        *ret_out = xeno_take(&text);
    return 0;
}
