/* src/task/serve.c - a root file system that xeno-cowfs serves over FUSE. */
#include "task/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "task/proc.h"
#include "task/rootfs.h"

#define FUSE_DEVICE   "/dev/fuse"
#define FUSE_FD       3 /* in the server */
#define READY_WAIT_MS 120000
#define UNMOUNT_TRIES 200
#define UNMOUNT_NS    5000000
#define WORDS_MAX     32
#define SAID_MAX      1024

int xeno_serve_check(const char *program, struct xeno_err *err)
{
    if (!program || access(program, X_OK) < 0)
        return xeno_fail(
            err, -ENOENT, "serve.missing",
            "xeno-cowfs, which serves layers that are read by pieces, is not installed "
            "beside xeno-taskd");
    if (access(FUSE_DEVICE, R_OK | W_OK) < 0)
        return xeno_fail_errno(
            err, -ENOENT, "serve.missing",
            "layers can be read by pieces only where the kernel has FUSE: load its "
            "module (modprobe fuse) or give this machine " FUSE_DEVICE);
    return 0;
}

/* --- the server's process --- */

static void become(const struct xeno_serve *s, const char *const *argv, int fuse, int said)
{
    static const char *const environment[] = { "LANG=C.UTF-8", NULL, NULL };
    const char *words[XENO_LEN(environment)];
    xeno_autofree char *journal = NULL;
    sigset_t none;

    memcpy(words, environment, sizeof words);
    if (getenv("JOURNAL_STREAM")) /* it says how the log is written, which is ours */
        words[1] = journal = xeno_asprintf("JOURNAL_STREAM=%s", getenv("JOURNAL_STREAM"));
    setsid();
    if (s->enter)
        s->enter(s->arg);
    fuse = fcntl(fuse, F_DUPFD, FUSE_FD + 1); /* out of the way of what comes next */
    dup2(said, STDOUT_FILENO);
    dup2(fuse, FUSE_FD);
    close_range(FUSE_FD + 1, ~0U, 0);
    close(STDIN_FILENO);
    open("/dev/null", O_RDONLY);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(argv[0], (char *const *)argv, (char *const *)words);
    printf("failed serve.failed cannot run '%s': %s\n", argv[0], strerror(errno));
    fflush(stdout);
    _exit(127);
}

/* The words of its command line; those in `own` are the caller's to free. */
static void make_words(const struct xeno_serve *s, const char **words, char **own)
{
    const struct {
        const char *key, *value;
    } rows[] = {
        { "stack", s->stack }, { "upper", s->upper }, { "work", s->work }, { "cache", s->cache }
    };
    size_t n = 0, k = 0;

    words[n++] = s->program;
    words[n++] = "--foreground=yes";
    words[n++] = own[k++] = xeno_asprintf("--fuse-fd=%d", FUSE_FD);
    for (size_t i = 0; i < XENO_LEN(rows); i++)
        words[n++] = own[k++] = xeno_asprintf("--%s=%s", rows[i].key, rows[i].value);
    words[n++] = own[k++] = xeno_asprintf("--cache-bytes=%lld", (long long)s->cache_bytes);
    for (size_t i = 0; s->more && s->more[i] && n < WORDS_MAX; i++)
        words[n++] = s->more[i];
    words[n] = NULL;
}

static pid_t launch(const struct xeno_serve *s, int fuse, int said)
{
    const char *words[WORDS_MAX + 1];
    char *own[WORDS_MAX] = { NULL };
    pid_t pid;

    make_words(s, words, own);
    pid = fork();
    if (pid == 0)
        become(s, words, fuse, said);
    for (size_t i = 0; i < WORDS_MAX; i++)
        free(own[i]);
    return pid;
}

/* --- waiting for it --- */

/* The line that it says, without its end; "" when it ended without one. */
static int hear(int fd, char *said, size_t room)
{
    long long end = xeno_proc_now_ms() + READY_WAIT_MS;
    size_t len = 0;

    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        long long left = end - xeno_proc_now_ms();
        ssize_t n;

        if (left <= 0)
            return -ETIMEDOUT;
        if (poll(&p, 1, (int)left) <= 0)
            continue;
        n = read(fd, said + len, room - 1 - len);
        len += n > 0 ? (size_t)n : 0;
        said[len] = '\0';
        said[strcspn(said, "\n")] = '\0';
        if (n <= 0 || strlen(said) < len || len == room - 1)
            return 0;
    }
}

/* "failed TOKEN TEXT": the token is its own business, the text is for people. */
static int refused(const char *said, struct xeno_err *err)
{
    const char *text = strncmp(said, "failed ", 7) == 0 ? strchr(said + 7, ' ') : NULL;

    return xeno_fail(err, -EIO, "serve.failed", "xeno-cowfs %s%s",
                     text ? "cannot serve the layers:" : "ended before it served the layers",
                     text ? text : "");
}

static int await(pid_t pid, int said_fd, struct xeno_err *err)
{
    char said[SAID_MAX] = "";
    int r = hear(said_fd, said, sizeof said);

    if (r == 0 && strcmp(said, "ready") == 0)
        return 0;
    kill(pid, SIGKILL);
    xeno_proc_wait(pid, 1000);
    if (r < 0)
        return xeno_fail(err, r, "serve.failed", "xeno-cowfs did not serve within %d s",
                         READY_WAIT_MS / 1000);
    return refused(said, err);
}

static int start(const struct xeno_serve *s, int fuse, struct xeno_err *err)
{
    int ends[2], r;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return xeno_fail_errno(err, -errno, "serve.failed", "start xeno-cowfs");
    pid = launch(s, fuse, ends[1]);
    close(ends[1]);
    r = pid < 0 ? xeno_fail_errno(err, -errno, "serve.failed", "start xeno-cowfs")
                : await(pid, ends[0], err);
    close(ends[0]);
    return r;
}

int xeno_serve_start(const struct xeno_serve *s, struct xeno_err *err)
{
    xeno_autoclose int fuse = -1;
    char options[128];
    int r = xeno_serve_check(s->program, err);

    if (r < 0)
        return r;
    fuse = open(FUSE_DEVICE, O_RDWR | O_CLOEXEC);
    if (fuse < 0)
        return xeno_fail_errno(err, -errno, "serve.mount", "open '" FUSE_DEVICE "'");
    snprintf(options, sizeof options,
             "fd=%d,rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other", fuse);
    if (mount("xeno-cowfs", s->at, "fuse.xeno-cowfs", MS_NODEV, options) < 0)
        return xeno_fail_errno(err, -errno, "serve.mount", "mount '%s'", s->at);
    r = start(s, fuse, err);
    if (r < 0)
        umount2(s->at, MNT_DETACH | UMOUNT_NOFOLLOW);
    return r;
}

/* --- the end --- */

void xeno_serve_sync(const char *at)
{
    xeno_autoclose int root = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (root >= 0 && syncfs(root) < 0) /* a server that is dead has told the session so */
        xeno_log(LOG_WARNING, "serve.sync", "mount=%s error=%s", at, strerror(errno));
}

int xeno_serve_stop(const char *at, struct xeno_err *err)
{
    if (!xeno_rootfs_mounted(at))
        return 0;
    /* By itself: a copy of the mount elsewhere would keep the kernel from doing it at the umount.
     */
    xeno_serve_sync(at);
    for (int tries = 0; umount2(at, UMOUNT_NOFOLLOW) < 0; tries++) {
        if (errno == EINVAL || errno == ENOENT)
            return 0;
        if (errno != EBUSY || tries >= UNMOUNT_TRIES)
            return xeno_fail_errno(err, -errno, "rootfs.mount", "unmount '%s'", at);
        nanosleep(&(struct timespec){ .tv_nsec = UNMOUNT_NS }, NULL);
    }
    return 0;
}
