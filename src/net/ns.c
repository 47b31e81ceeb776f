/* src/net/ns.c - network namespaces pinned by path. */
#include "net/ns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/mem.h"

#define OWN_NS "/proc/thread-self/ns/net"

void xeno_ns_leave(struct xeno_ns_home *home)
{
    if (home->fd < 0)
        return;
    if (setns(home->fd, CLONE_NEWNET) < 0) {
        perror("setns: cannot return to the host's network namespace");
        abort();
    }
    close(home->fd);
    home->fd = -1;
}

static int remember_home(struct xeno_ns_home *home, struct xeno_err *err)
{
    home->fd = open(OWN_NS, O_RDONLY | O_CLOEXEC);
    if (home->fd < 0)
        return xeno_fail_errno(err, -errno, "net.pin", "open %s", OWN_NS);
    return 0;
}

int xeno_ns_new(const char *path, struct xeno_ns_home *home, int *ret_fd, struct xeno_err *err)
{
    xeno_autoclose int file = -1, fd = -1;
    int r;

    file = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    if (file < 0)
        return xeno_fail_errno(err, -errno, "net.pin", "create '%s'", path);
    r = remember_home(home, err);
    if (r < 0)
        goto undo;
    if (unshare(CLONE_NEWNET) < 0) {
        r = xeno_fail_errno(err, -errno, "net.pin", "make a network namespace");
        goto undo;
    }
    fd = open(OWN_NS, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || mount(OWN_NS, path, NULL, MS_BIND, NULL) < 0) {
        r = xeno_fail_errno(err, -errno, "net.pin", "pin a network namespace at '%s'", path);
        goto undo;
    }
    *ret_fd = xeno_take_fd(&fd);
    return 0;

undo:
    xeno_ns_leave(home);
    (void)unlink(path);
    return r;
}

int xeno_ns_enter(const char *path, struct xeno_ns_home *home, struct xeno_err *err)
{
    xeno_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int r;

    if (fd < 0)
        return xeno_fail_errno(err, -errno, "net.pin", "open '%s'", path);
    r = remember_home(home, err);
    if (r < 0)
        return r;
    if (setns(fd, CLONE_NEWNET) < 0) {
        r = xeno_fail_errno(err, -errno, "net.pin", "enter '%s'", path);
        xeno_ns_leave(home);
        return r;
    }
    return 0;
}

bool xeno_ns_pinned(const char *path)
{
    struct statfs s;

    return statfs(path, &s) == 0 && s.f_type == NSFS_MAGIC;
}

/* unlink() also detaches the copies in other mount namespaces, such as a container runtime's. */
int xeno_ns_unpin(const char *path, struct xeno_err *err)
{
    while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
        ;
    if (errno != EINVAL && errno != ENOENT)
        return xeno_fail_errno(err, -errno, "net.pin", "unmount '%s'", path);
    if (unlink(path) < 0 && errno != ENOENT)
        return xeno_fail_errno(err, -errno, "net.pin", "remove '%s'", path);
    return 0;
}

int xeno_ns_sysctl(const char *name, const char *value, bool optional, struct xeno_err *err)
{
    xeno_autoclose int fd = -1;
    char path[128];

    snprintf(path, sizeof path, "/proc/sys/net/%s", name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && optional)
        return 0;
    if (fd < 0 || write(fd, value, strlen(value)) < 0)
        return xeno_fail_errno(err, -errno, "net.sysctl", "write '%s' to %s", value, path);
    return 0;
}
