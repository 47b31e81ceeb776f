/* src/image/confine.c - start the confined child. */
#include "image/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "image/unpack.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define MEMORY_MAX  (INT64_C(2) << 30) /* the table of names, and a zstd window */
#define CPU_SECONDS 1800
#define FDS_MAX     64

#define NAMESPACES (CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

/* --- the child --- */

static int read_byte(int fd)
{
    char c;

    return recv(fd, &c, 1, MSG_WAITALL) == 1 ? c : -1;
}

static int write_byte(int fd, char c)
{
    return send(fd, &c, 1, MSG_NOSIGNAL) == 1 ? 0 : -EPIPE;
}

/* Only what setting owners, modes and attributes takes, or reading whatever is there; and those
 * only in our own namespace. */
static int drop_caps(bool reading)
{
    static const int writing[] = { CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID,
                                   CAP_SETFCAP };
    static const int looking[] = { CAP_DAC_READ_SEARCH };
    const int *keep = reading ? looking : writing;
    size_t kept = reading ? XENO_LEN(looking) : XENO_LEN(writing);
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = { { .effective = 0 } };

    for (size_t i = 0; i < kept; i++)
        data[keep[i] / 32].permitted |= 1u << keep[i] % 32;
    for (int cap = 0; cap <= 63; cap++) {
        if (!(data[cap / 32].permitted & 1u << cap % 32) &&
            prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL)
            return -errno;
    }
    data[0].effective = data[0].permitted;
    data[1].effective = data[1].permitted;
    return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

static int limit(int what, int64_t value)
{
    struct rlimit l, now;

    if (getrlimit((__rlimit_resource_t)what, &now) < 0)
        return -errno;
    l.rlim_cur = l.rlim_max = (rlim_t)value < now.rlim_max ? (rlim_t)value : now.rlim_max;
    return setrlimit((__rlimit_resource_t)what, &l) < 0 ? -errno : 0;
}

static int set_limits(const struct xeno_confine_opts *o)
{
    int r = limit(RLIMIT_CORE, 0);

    if (r >= 0)
        r = limit(RLIMIT_CPU, CPU_SECONDS);
    if (r >= 0)
        r = limit(RLIMIT_NOFILE, FDS_MAX);
    if (r >= 0)
        r = limit(RLIMIT_FSIZE, o->dirfd >= 0 && !o->reading ? o->file_bytes : 0);
    if (r >= 0 && !SANITIZED) /* a sanitizer's shadow alone is larger */
        r = limit(RLIMIT_AS, MEMORY_MAX);
    return r;
}

/* Descriptors 3, 4 and 5 become in, out and the folder; all others are closed. */
static int arrange_fds(int in, int out, int dirfd)
{
    int null = open("/dev/null", O_RDWR);
    int a = fcntl(in, F_DUPFD, 16), b = fcntl(out, F_DUPFD, 16);
    int c = dirfd >= 0 ? fcntl(dirfd, F_DUPFD, 16) : -1;

    if (a < 0 || b < 0 || (dirfd >= 0 && c < 0))
        return -errno;
    for (int fd = 0; null >= 0 && fd <= (SANITIZED ? 1 : 2); fd++)
        dup2(null, fd);
    if (dup2(a, 3) < 0 || dup2(b, 4) < 0 || (c >= 0 && dup2(c, XENO_CONFINED_DIR) < 0))
        return -errno;
    return syscall(SYS_close_range, c >= 0 ? 6u : 5u, ~0u, 0) < 0 ? -errno : 0;
}

/* In the new namespace we have every capability over what is mapped, and no id is set yet. */
static int become_mapped_root(bool own)
{
    if (!own && setgroups(0, NULL) < 0)
        return -errno;
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return -errno;
    return 0;
}

/* Returns: 0, or -errno with the failed step in *ret_step. *out is where it is in the end. */
static int enter(const struct xeno_confine_opts *o, int in, int *out, const char **ret_step)
{
    enum xeno_confine_files files = o->dirfd < 0 ? XENO_CONFINE_NO_FILES
                                    : o->reading ? XENO_CONFINE_READ
                                                 : XENO_CONFINE_WRITE;
    bool spaces, root;
    int dirfd, r;

    umask(0);
    *ret_step = "namespaces";
    spaces = unshare(CLONE_NEWUSER | NAMESPACES) == 0;
    if (!spaces && !o->own && o->dirfd >= 0)
        return -errno;
    if (write_byte(*out, spaces ? 'u' : 'n') < 0 || read_byte(in) != 'g')
        return -EPIPE;
    *ret_step = "ids";
    r = spaces ? become_mapped_root(o->own) : 0;
    if (r < 0)
        return r;
    *ret_step = "descriptors";
    r = arrange_fds(in, *out, o->dirfd);
    if (r < 0)
        return r;
    *out = 4;
    dirfd = o->dirfd >= 0 ? XENO_CONFINED_DIR : -1;
    *ret_step = "root folder";
    root = dirfd >= 0 && fchdir(dirfd) == 0 && chroot(".") == 0;
    if (dirfd >= 0 && !root && !o->own)
        return -errno;
    *ret_step = "limits";
    r = set_limits(o);
    if (r >= 0 && spaces)
        r = drop_caps(o->reading);
    if (r < 0)
        return r;
    *ret_step = "Landlock";
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    r = xeno_confine_landlock(dirfd, files);
    if (r < 0 && dirfd >= 0 && !root)
        return r; /* one of the two walls must stand */
    *ret_step = "system calls";
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) /* last: a change of ids clears it */
        return -errno;
    return xeno_confine_syscalls(files);
}

static _Noreturn void child(const struct xeno_confine_opts *o, xeno_confine_fn fn, void *arg,
                            int in, int out)
{
    const char *step = "";
    char text[160];
    int r = enter(o, in, &out, &step);

    if (r < 0) {
        snprintf(text, sizeof(text), "e%s: %s", step, strerror(-r));
        (void)send(out, text, strlen(text), MSG_NOSIGNAL);
        _exit(125);
    }
    if (write_byte(out, 'r') < 0)
        _exit(125);
    _exit(fn(3, 4, arg));
}

/* --- the parent --- */

static int write_proc(pid_t pid, const char *name, const char *text)
{
    xeno_autofree char *path = xeno_asprintf("/proc/%ld/%s", (long)pid, name);
    xeno_autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int write_maps(pid_t pid, bool own)
{
    char uids[64], gids[64];
    int r;

    if (own) {
        snprintf(uids, sizeof(uids), "0 %u 1\n", (unsigned)geteuid());
        snprintf(gids, sizeof(gids), "0 %u 1\n", (unsigned)getegid());
    } else {
        snprintf(uids, sizeof(uids), "0 %u %u\n", XENO_SUBID_BASE, XENO_SUBID_COUNT);
        memcpy(gids, uids, sizeof(gids));
    }
    r = own ? write_proc(pid, "setgroups", "deny") : 0;
    if (r >= 0)
        r = write_proc(pid, "uid_map", uids);
    if (r >= 0)
        r = write_proc(pid, "gid_map", gids);
    return r;
}

/* The child says "u", gets its maps and "g", and says "r" or "e" and why. */
static int handshake(const struct xeno_confined *c, bool own, struct xeno_err *err)
{
    int r, got = read_byte(c->out);
    char text[160];
    ssize_t n;

    if (got == 'u') {
        r = write_maps(c->pid, own);
        if (r < 0)
            return xeno_fail_errno(err, -EPERM, "unpack.confine", "map ids for the unpacker (%s)",
                                   strerror(-r));
    }
    if ((got == 'u' || got == 'n') && write_byte(c->in, 'g') == 0)
        got = read_byte(c->out);
    if (got == 'r')
        return 0;
    n = got == 'e' ? recv(c->out, text, sizeof(text) - 1, 0) : 0;
    text[n > 0 ? n : 0] = '\0';
    return xeno_fail(err, -EPERM, "unpack.confine", "confine the unpacker: %s",
                     n > 0 ? text : "it ended early");
}

int xeno_confine_start(const struct xeno_confine_opts *opts, xeno_confine_fn fn, void *arg,
                       struct xeno_confined *ret, struct xeno_err *err)
{
    int in[2], out[2];
    struct xeno_confined c;
    int r;

    if (opts->dirfd >= 0 && !opts->own && !opts->reading &&
        fchown(opts->dirfd, XENO_SUBID_BASE, XENO_SUBID_BASE) < 0)
        return xeno_fail_errno(err, -errno, "unpack.confine", "give the folder to the unpacker");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) < 0)
        return xeno_fail_errno(err, -errno, "unpack.confine", "make a socket");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out) < 0) {
        r = xeno_fail_errno(err, -errno, "unpack.confine", "make a socket");
        close(in[0]);
        close(in[1]);
        return r;
    }
    c = (struct xeno_confined){ .pid = fork(), .in = in[0], .out = out[0] };
    if (c.pid == 0) {
        close(in[0]);
        close(out[0]);
        child(opts, fn, arg, in[1], out[1]);
    }
    close(in[1]);
    close(out[1]);
    r = c.pid < 0 ? xeno_fail_errno(err, -errno, "unpack.confine", "fork")
                  : handshake(&c, opts->own, err);
    if (r < 0) {
        close(c.in);
        close(c.out);
        if (c.pid > 0) {
            kill(c.pid, SIGKILL);
            waitpid(c.pid, NULL, 0);
        }
        return r;
    }
    *ret = c;
    return 0;
}
