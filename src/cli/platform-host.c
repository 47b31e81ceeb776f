/* src/cli/platform-host.c - what instances share on the machine: names, ports, users, litter. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/platform.h"

#define CLAIMS     "/run/xeno-platform"
#define INDEX_MAX  75    /* 20000 + 500 * 75 is the last range of ports */
#define DYNAMIC_ID 61440 /* in the range that systemd gives to users without a name */

/* --- instances: CLAIMS/INDEX holds "PID START DIR" of the one that uses it --- */

static bool read_claim(int index, struct platform_process *ret, char dir[PATH_MAX])
{
    xeno_autofree char *path = xeno_asprintf(CLAIMS "/%d", index);
    xeno_autofree char *text = NULL;
    long long start;
    size_t len;
    int pid, at = 0;

    if (xeno_file_read(AT_FDCWD, path, PATH_MAX + 64, &text, &len, NULL) < 0 ||
        sscanf(text, "%d %lld %n", &pid, &start, &at) != 2 || at == 0)
        return false;
    *ret = (struct platform_process){ .pid = pid, .start = start };
    snprintf(dir, PATH_MAX, "%s", text + at);
    return true;
}

static bool bridge_there(int index)
{
    xeno_autofree char *path = xeno_asprintf("/sys/class/net/xb-x%d", index);

    return access(path, F_OK) == 0;
}

static bool is_free(const struct platform *p, int index)
{
    struct platform_process proc;
    char dir[PATH_MAX];

    if (!read_claim(index, &proc, dir))
        return !bridge_there(index); /* somebody may use it without having asked us */
    return strcmp(dir, p->dir) == 0 || !platform_alive(&proc);
}

/* Ours, and not by now another platform's. */
static bool claimed(const struct platform *p, int index)
{
    struct platform_process proc;
    char dir[PATH_MAX];

    return read_claim(index, &proc, dir) && strcmp(dir, p->dir) == 0;
}

void platform_claim_set(const struct platform *p, int index, const struct platform_process *proc)
{
    xeno_autofree char *path = xeno_asprintf(CLAIMS "/%d", index);
    xeno_autofree char *text =
        xeno_asprintf("%d %lld %s", (int)proc->pid, (long long)proc->start, p->dir);

    if (geteuid() == 0)
        xeno_file_write(AT_FDCWD, path, 0644, text, strlen(text), NULL);
}

void platform_claim_drop(const struct platform *p, int index)
{
    xeno_autofree char *path = xeno_asprintf(CLAIMS "/%d", index);

    if (geteuid() == 0 && claimed(p, index))
        unlink(path);
}

static int lock_claims(int *ret, struct xeno_err *err)
{
    int r = xeno_mkdirs(AT_FDCWD, CLAIMS, 0755, err);

    if (r < 0)
        return r;
    *ret = open(CLAIMS "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (*ret < 0 || flock(*ret, LOCK_EX) < 0)
        return xeno_fail_errno(err, -errno, "platform.instance", "lock " CLAIMS);
    return 0;
}

static bool ours(const struct platform *p, int index)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->servers[i].index == index)
            return true;
    return false;
}

int platform_claim(const struct platform *p, int *ret_index, struct xeno_err *err)
{
    struct platform_process self = platform_process_of(getpid());
    xeno_autoclose int lock = -1;
    int r;

    if (geteuid() != 0) { /* the null driver makes nothing that could meet another's */
        *ret_index = (int)p->count + 1;
        return 0;
    }
    r = lock_claims(&lock, err);
    for (int i = 1; r == 0 && i <= INDEX_MAX; i++) {
        if (ours(p, i) || !is_free(p, i))
            continue;
        platform_claim_set(p, i, &self);
        *ret_index = i;
        return 0;
    }
    return r < 0 ? r
                 : xeno_fail(err, -EBUSY, "platform.instance",
                             "all %d instances of this machine are in use (" CLAIMS ")", INDEX_MAX);
}

int platform_claim_again(const struct platform *p, int index, struct xeno_err *err)
{
    struct platform_process self = platform_process_of(getpid()), other;
    xeno_autoclose int lock = -1;
    char dir[PATH_MAX] = "";
    int r;

    if (geteuid() != 0)
        return 0;
    r = lock_claims(&lock, err);
    if (r < 0)
        return r;
    if (read_claim(index, &other, dir) && strcmp(dir, p->dir) != 0 && platform_alive(&other))
        return xeno_fail(err, -EBUSY, "platform.instance",
                         "the platform in %s uses instance x%d of this machine now: end it first",
                         dir, index);
    platform_claim_set(p, index, &self);
    return 0;
}

/* --- ports and users --- */

static int listen_at(struct in_addr address, int port)
{
    struct sockaddr_in sin = { .sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr = address };
    xeno_autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&sin, sizeof sin) < 0 || listen(fd, SOMAXCONN) < 0)
        return -errno;
    return xeno_take_fd(&fd);
}

int platform_listen(const char *address, int *port, int *ret_fd, struct xeno_err *err)
{
    struct sockaddr_in sin = { .sin_family = AF_INET };
    socklen_t len = sizeof sin;
    struct in_addr in;
    int fd;

    if (inet_pton(AF_INET, address, &in) != 1)
        return xeno_fail(err, -EINVAL, "platform.port", "%s is no address", address);
    fd = listen_at(in, *port);
    if (fd < 0)
        fd = listen_at(in, 0);
    if (fd < 0 || getsockname(fd, (struct sockaddr *)&sin, &len) < 0)
        return xeno_fail_errno(err, fd < 0 ? fd : -errno, "platform.port", "listen on %s", address);
    *port = ntohs(sin.sin_port);
    *ret_fd = fd;
    return 0;
}

uid_t platform_user(const char *name, int index)
{
    struct passwd *pw;

    if (geteuid() != 0)
        return geteuid();
    pw = getpwnam(name);
    if (pw && pw->pw_uid != 0)
        return pw->pw_uid;
    for (uid_t uid = DYNAMIC_ID + (uid_t)index;; uid++)
        if (!getpwuid(uid))
            return uid;
}

/* --- litter --- */

int platform_sweep(const struct platform *p, const struct platform_server *s, char **ret_said,
                   struct xeno_err *err)
{
    xeno_autofree char *dir = xeno_asprintf("--dir=%s/%s-task", p->dir, s->name);
    xeno_autofree char *instance = xeno_asprintf("--instance=%s", s->instance);
    xeno_autofree char *cache = xeno_asprintf("--cache=%s/cache", p->dir);
    xeno_autofree char *socket = xeno_asprintf("--socket=%s/run/%s.sock", p->dir, s->name);
    xeno_autofree char *log = platform_path(p, "log/%s-task.log", s->name);
    const char *const argv[] = { dir, instance, cache, socket, "--remove", NULL };
    const struct platform_spawn spawn = {
        .program = "xeno-taskd", .argv = argv, .uid = geteuid(), .log = log
    };

    if (geteuid() != 0 || !claimed(p, s->index))
        return 0;
    return platform_run(&spawn, ret_said, err);
}

static bool in_path(const char *name)
{
    static const char *const dirs[] = { "/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                        "/usr/bin",        "/sbin",          "/bin" };

    for (size_t i = 0; i < XENO_LEN(dirs); i++) {
        xeno_autofree char *path = xeno_asprintf("%s/%s", dirs[i], name);

        if (access(path, X_OK) == 0)
            return true;
    }
    return false;
}

const char *platform_lacks(void)
{
    if (geteuid() != 0)
        return "only root may make cgroups, mounts and networks";
    if (!in_path("conmon"))
        return "conmon is not installed";
    if (!in_path("crun") && !in_path("runc"))
        return "neither crun nor runc is installed";
    return NULL;
}
