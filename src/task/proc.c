/* src/task/proc.c - run a helper program and wait for it, for a bounded time. */
#include "task/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

static const char *const environment[] = {
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", NULL
};

long long xeno_proc_now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (long long)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

char *xeno_proc_find(const char *name)
{
    static const char *const folders[] = { "/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                           "/usr/bin",        "/sbin",          "/bin" };

    for (size_t i = 0; i < XENO_LEN(folders); i++) {
        char *path = xeno_asprintf("%s/%s", folders[i], name);

        if (access(path, X_OK) == 0)
            return path;
        free(path);
    }
    return NULL;
}

static int code_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int xeno_proc_wait(pid_t pid, int timeout_ms)
{
    xeno_autoclose int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    long long end = xeno_proc_now_ms() + timeout_ms;
    int status;

    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        long long left = end - xeno_proc_now_ms();
        pid_t got = waitpid(pid, &status, WNOHANG);

        if (got == pid)
            return code_of(status);
        if (got < 0)
            return -errno;
        if (left <= 0)
            return -ETIMEDOUT;
        poll(&p, 1, (int)(fd < 0 && left > 10 ? 10 : left));
    }
}

/* In the child: nothing of ours goes along but the place for its complaints. */
static void become(const char *const *argv, int complaints)
{
    int null = open("/dev/null", O_RDWR);
    sigset_t none;

    dup2(null, 0);
    dup2(null, 1);
    dup2(complaints, 2);
    close_range(3, ~0U, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(argv[0], (char *const *)argv, (char *const *)environment);
    _exit(127);
}

/* The last line in the file, without its end. */
static void last_line(int fd, char *buf, size_t room)
{
    ssize_t n = pread(fd, buf, room - 1, 0);
    char *at;

    buf[n > 0 ? n : 0] = '\0';
    while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == '\r'))
        buf[--n] = '\0';
    at = strrchr(buf, '\n');
    if (at)
        memmove(buf, at + 1, strlen(at));
}

static int run(const char *const *argv, int timeout_ms, char *said, size_t room,
               struct xeno_err *err)
{
    xeno_autoclose int complaints = memfd_create("complaints", MFD_CLOEXEC);
    pid_t pid = fork();
    int r;

    if (pid < 0)
        return xeno_fail_errno(err, -errno, "proc.spawn", "run '%s'", argv[0]);
    if (pid == 0)
        become(argv, complaints);
    r = xeno_proc_wait(pid, timeout_ms);
    if (r == -ETIMEDOUT) {
        kill(pid, SIGKILL);
        xeno_proc_wait(pid, 1000);
        return xeno_fail(err, r, "proc.timeout", "'%s' did not end within %d s", argv[0],
                         timeout_ms / 1000);
    }
    last_line(complaints, said, room);
    return r;
}

int xeno_proc_run(const char *const *argv, int timeout_ms, struct xeno_err *err)
{
    char said[512];

    return run(argv, timeout_ms, said, sizeof said, err);
}

int xeno_proc_check(const char *const *argv, int timeout_ms, struct xeno_err *err)
{
    char said[512];
    int r = run(argv, timeout_ms, said, sizeof said, err);

    if (r > 0)
        return xeno_fail(err, -EIO, "proc.failed", "'%s' ended with %d: %s", argv[0], r, said);
    return r;
}
