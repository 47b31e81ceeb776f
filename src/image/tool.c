/* src/image/tool.c - run another program. */
#include "image/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"

#define CHUNK          65536
#define LINE_MAX_BYTES 4096
#define NO_TOOL        127

static _Noreturn void child(const struct xeno_tool *t, int out, int err)
{
    sigset_t none;
    int null = open("/dev/null", O_RDONLY);

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
    if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        _exit(126);
    for (size_t i = 0; t->env && t->env[i]; i++)
        putenv((char *)(uintptr_t)t->env[i]);
    execvp(t->argv[0], (char *const *)(uintptr_t)t->argv);
    _exit(errno == ENOENT ? NO_TOOL : 126);
}

struct runner {
    const struct xeno_tool *t;
    struct xeno_buf lines;
    char chunk[CHUNK];
};

static int take_lines(struct runner *x, size_t len, bool end, struct xeno_err *err)
{
    char *stop;
    int r = 0;

    for (size_t i = 0; i < len; i++)
        if (x->chunk[i] == '\r') /* a bar that is drawn over: each state is a line */
            x->chunk[i] = '\n';
        else if ((unsigned char)x->chunk[i] < 0x20 && x->chunk[i] != '\n')
            x->chunk[i] = x->chunk[i] == '\t' ? ' ' : '?';
    xeno_buf_add(&x->lines, x->chunk, len);
    while (r >= 0 && x->lines.len > 0 &&
           ((stop = memchr(x->lines.data, '\n', x->lines.len)) != NULL || end ||
            x->lines.len > LINE_MAX_BYTES)) {
        size_t n = stop ? (size_t)(stop - x->lines.data) : x->lines.len;

        x->lines.data[n] = '\0';
        if (n > 0)
            r = x->t->line(x->t->arg, x->lines.data, err);
        xeno_buf_shift(&x->lines, stop ? n + 1 : n);
    }
    return r;
}

/* Returns: 1 while there is more to come on fd, 0 at its end. */
static int take(struct runner *x, int fd, bool is_err, struct xeno_err *err)
{
    ssize_t n = read(fd, x->chunk, sizeof(x->chunk));
    int r;

    if (n < 0 && errno == EINTR)
        return 1;
    if (n < 0)
        return xeno_fail_errno(err, -errno, "build.failed", "read from %s", x->t->argv[0]);
    if (is_err)
        r = take_lines(x, (size_t)n, n == 0, err);
    else
        r = n > 0 ? x->t->data(x->t->arg, x->chunk, (size_t)n, err) : 0;
    return r < 0 ? r : n > 0;
}

static int take_all(struct runner *x, int out, int errfd, struct xeno_err *err)
{
    struct pollfd p[2] = { { .fd = out, .events = POLLIN }, { .fd = errfd, .events = POLLIN } };

    while (p[0].fd >= 0 || p[1].fd >= 0) {
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return xeno_fail_errno(err, -errno, "build.failed", "wait for %s", x->t->argv[0]);
        for (int i = 0; i < 2; i++) {
            int r = p[i].fd >= 0 && p[i].revents ? take(x, p[i].fd, i == 1, err) : 1;

            if (r < 0)
                return r;
            if (r == 0)
                p[i].fd = -1;
        }
    }
    return 0;
}

static int wait_tool(pid_t pid, const char *name, struct xeno_err *err)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_TOOL)
        return xeno_fail(err, -ENOENT, "build.tool",
                         "there is no program '%s' here: install the package of that name", name);
    if (WIFSIGNALED(status))
        return xeno_fail(err, -EIO, "build.failed", "%s was ended by signal %d", name,
                         WTERMSIG(status));
    return xeno_fail(err, -EIO, "build.failed", "%s failed with status %d", name,
                     WEXITSTATUS(status));
}

int xeno_tool_run(const struct xeno_tool *t, struct xeno_err *err)
{
    xeno_autofree struct runner *x = xeno_new0(struct runner);
    int out[2], errs[2], r;
    pid_t pid;

    x->t = t;
    if (pipe2(out, O_CLOEXEC) < 0)
        return xeno_fail_errno(err, -errno, "build.failed", "make a pipe");
    if (pipe2(errs, O_CLOEXEC) < 0) {
        r = xeno_fail_errno(err, -errno, "build.failed", "make a pipe");
        close(out[0]);
        close(out[1]);
        return r;
    }
    pid = fork();
    if (pid == 0)
        child(t, out[1], errs[1]);
    r = pid < 0 ? xeno_fail_errno(err, -errno, "build.failed", "fork") : 0;
    close(out[1]);
    close(errs[1]);
    if (r >= 0)
        r = take_all(x, out[0], errs[0], err);
    close(out[0]);
    close(errs[0]);
    if (r < 0 && pid > 0) {
        kill(pid, SIGTERM);
        (void)wait_tool(pid, t->argv[0], NULL);
    } else if (r >= 0) {
        r = wait_tool(pid, t->argv[0], err);
    }
    xeno_buf_release(&x->lines);
    return r;
}
