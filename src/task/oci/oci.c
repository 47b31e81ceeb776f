/* src/task/oci/oci.c - the oci driver.
 *
 * A session is a root file system, a cgroup and a network namespace; each of its
 * tasks a container in them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "image/cache.h"
#include "net/resolv.h"
#include "task/oci/oci.h"
#include "task/oci/root.h"
#include "task/proc.h"
#include "task/rootfs.h"

#define GRACE_MS 3000 /* between the polite signal and the other one */

/* --- create --- */

/* Bound into /etc, writable as everywhere: so they are on the session's own disk, or it could fill
 * the host's with them. The folder is not part of its root, so no link of its can be there. */
static int write_etc(const struct xeno_run *run, const char *name, const char *text,
                     struct xeno_err *err)
{
    xeno_autofree char *path = xeno_run_path(run, "upper/etc/%s", name);
    int r = xeno_run_write(path, text, strlen(text), err);

    if (r == 0 && (chown(path, XENO_SUBID_BASE, XENO_SUBID_BASE) < 0 || chmod(path, 0644) < 0))
        r = xeno_fail_errno(err, -errno, "oci.files", "set the owner of '%s'", path);
    return r;
}

static int write_files(const struct xeno_task_host *h, const struct xeno_run *run,
                       struct xeno_err *err)
{
    const char *name = run->spec.hostname[0] ? run->spec.hostname : run->id;
    xeno_autofree char *hosts = xeno_net_hosts(name, run->spec.address);
    xeno_autofree char *hostname = xeno_asprintf("%s\n", name);
    xeno_autofree char *folder = xeno_run_path(run, "upper/etc");
    int r;

    if (mkdir(folder, 0755) < 0 && errno != EEXIST)
        return xeno_fail_errno(err, -errno, "oci.files", "make '%s'", folder);
    chmod(folder, 0755);
    r = write_etc(run, "hosts", hosts, err);
    if (r == 0)
        r = write_etc(run, "hostname", hostname, err);
    return r < 0 ? r : write_etc(run, "resolv.conf", h->resolv_conf, err);
}

/* sysfs shows the network namespace of whoever mounts it, so it is mounted from within; without an
 * address our own, which is empty. A session could not mount one itself: the network namespace is
 * not its user namespace's. */
static int mount_sys(const struct xeno_task_host *h, const struct xeno_run *run,
                     struct xeno_err *err)
{
    xeno_autofree char *path = xeno_run_path(run, "sys");
    xeno_autofree char *netns = xeno_oci_netns(h, run);
    xeno_autoclose int inside = -1, outside = -1;
    int r = 0;

    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return xeno_fail_errno(err, -errno, "oci.sys", "make '%s'", path);
    if (xeno_rootfs_mounted(path))
        return 0;
    outside = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    inside = netns ? open(netns, O_RDONLY | O_CLOEXEC) : -1;
    if (netns && (inside < 0 || outside < 0 || setns(inside, CLONE_NEWNET) < 0))
        return xeno_fail_errno(err, -errno, "oci.sys", "enter '%s'", netns);
    if (mount("sysfs", path, "sysfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        r = xeno_fail_errno(err, -errno, "oci.sys", "mount '%s'", path);
    if (netns)
        setns(outside, CLONE_NEWNET);
    return r;
}

static struct xeno_cgroup_limits limits_of(const struct xeno_task_spec *spec)
{
    return (struct xeno_cgroup_limits){ .cpu_msps = spec->cpu_msps,
                                        .cpu_burst_ms = spec->cpu_burst_ms,
                                        .memory_bytes = spec->memory_bytes,
                                        .pids = spec->pids };
}

static int oci_create(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_err *err)
{
    struct xeno_cgroup_limits limits = limits_of(&run->spec);
    int r;

    r = xeno_cgroup_set(h->cgroups, run->id, &limits, err);
    xeno_task_rouse(h);
    if (r == 0)
        r = xeno_oci_root_build(h, run, err);
    if (r == 0)
        r = write_files(h, run, err);
    return r < 0 ? r : mount_sys(h, run, err);
}

static int oci_resize(const struct xeno_task_host *h, struct xeno_run *run,
                      const struct xeno_task_spec *spec, struct xeno_err *err)
{
    struct xeno_cgroup_limits limits = limits_of(spec);
    int r;

    r = xeno_rootfs_grow(run->path, spec->disk_bytes, err);
    return r < 0 ? r : xeno_cgroup_set(h->cgroups, run->id, &limits, err);
}

static int oci_pause(const struct xeno_task_host *h, struct xeno_run *run, bool paused,
                     struct xeno_err *err)
{
    return xeno_cgroup_freeze(h->cgroups, run->id, paused, err);
}

/* What the session wrote by FUSE may still be in the kernel, and not in the layer. */
static int flush_fuse(const struct xeno_run *run, struct xeno_err *err)
{
    xeno_autofree char *root = xeno_run_path(run, "rootfs");
    xeno_autoclose int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct statfs fs;

    if (fd < 0 || fstatfs(fd, &fs) < 0 || fs.f_type != FUSE_SUPER_MAGIC || syncfs(fd) == 0)
        return 0;
    return xeno_fail_errno(err, -errno, "rootfs.image", "flush '%s'", root);
}

static int oci_layer(const struct xeno_task_host *h, struct xeno_run *run, int *ret_dir,
                     int *ret_mount, struct xeno_err *err)
{
    int r = run->stage == XENO_RUN_READY ? flush_fuse(run, err) : 0;

    (void)h;
    return r < 0 ? r : xeno_rootfs_open_upper(run->path, ret_dir, ret_mount, err);
}

/* --- the end --- */

/* Would the first process of a container notice SIGTERM? Without a handler the kernel keeps it from
 * a namespace's first process, and waiting would be for nothing. */
static bool catches_term(const struct xeno_run_task *t)
{
    xeno_autofree char *path = xeno_asprintf("/proc/%d/status", (int)t->pid);
    xeno_autofree char *text = NULL;
    const char *at;
    size_t len;

    if (xeno_file_read(AT_FDCWD, path, 16384, &text, &len, NULL) < 0)
        return false;
    at = strstr(text, "\nSigCgt:");
    return at && (strtoull(at + strlen("\nSigCgt:"), NULL, 16) >> (SIGTERM - 1) & 1);
}

/* Send `signal` (0: none) to the first process of every task. Returns: does any live that is worth
 * waiting for? */
static bool any_polite(const struct xeno_task_host *h, struct xeno_run *run, int signal)
{
    bool any = false;

    for (size_t i = 0; i < run->ntasks; i++) {
        xeno_autoclose int fd = -1;

        if (!xeno_oci_alive(h, run, &run->tasks[i], &fd))
            continue;
        any |= catches_term(&run->tasks[i]);
        if (signal)
            syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0);
    }
    return any;
}

/* conmon writes the code right after its container's end: give it the moment it needs. */
static void wait_for_codes(const struct xeno_task_host *h, struct xeno_run *run)
{
    for (size_t i = 0; i < run->ntasks; i++) {
        xeno_autofree char *name = xeno_oci_name(h, run, run->tasks[i].name);
        xeno_autofree char *end = xeno_asprintf("%s/%s", h->oci->exits, name);

        if (!run->tasks[i].started || run->tasks[i].ended)
            continue;
        for (int tries = 0; tries < 500 && access(end, F_OK) < 0; tries++)
            nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
    }
}

static int oci_stop(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_err *err)
{
    int r;

    if (xeno_cgroup_usage(h->cgroups, run->id, &(struct xeno_cgroup_usage){ 0 }) < 0)
        return 0; /* there is no group, so there is no process */
    xeno_cgroup_freeze(h->cgroups, run->id, false, NULL);
    any_polite(h, run, SIGTERM);
    for (int waited = 0; waited < GRACE_MS && any_polite(h, run, 0); waited += 5)
        nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
    r = xeno_cgroup_kill(h->cgroups, run->id, err);
    if (r == -ETIMEDOUT && xeno_oci_root_free(h, run))
        r = xeno_cgroup_kill(h->cgroups, run->id, err);
    if (r == 0)
        wait_for_codes(h, run);
    return r;
}

static int oci_release(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_err *err)
{
    xeno_autofree char *sys = xeno_run_path(run, "sys");
    int r;

    for (size_t i = 0; i < run->ntasks; i++)
        xeno_oci_reap(h, run, &run->tasks[i], err);
    r = xeno_cgroup_remove(h->cgroups, run->id, err);
    if (umount2(sys, MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
        r = xeno_fail_errno(err, -errno, "oci.sys", "unmount '%s'", sys);
    if (r == 0)
        r = xeno_oci_root_end(h, run, err);
    return r < 0 ? r : xeno_rootfs_release(run->path, err);
}

static int oci_destroy(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_err *err)
{
    xeno_autofree char *sys = xeno_run_path(run, "sys");
    xeno_autofree char *pin = xeno_oci_pin(h, run);
    xeno_auto(xeno_cache) cache = NULL;
    int r = xeno_oci_root_kill(h, run, err); /* first, since others may wait for it */

    if (r == 0)
        r = xeno_cgroup_kill(h->cgroups, run->id, err);
    for (size_t i = 0; r == 0 && i < run->ntasks; i++)
        xeno_oci_reap(h, run, &run->tasks[i], err);
    if (r == 0)
        r = xeno_cgroup_remove(h->cgroups, run->id, err);
    if (r == 0 && umount2(sys, MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
        r = xeno_fail_errno(err, -errno, "oci.sys", "unmount '%s'", sys);
    if (r == 0)
        r = xeno_rootfs_destroy(run->path, err);
    if (r == 0)
        r = xeno_cache_open(h->cache, &cache, err);
    return r < 0 ? r : xeno_cache_unpin(cache, pin, err);
}

/* --- quick half --- */

static int oci_signal(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_run_task *t,
                      int signal, struct xeno_err *err)
{
    xeno_autoclose int fd = -1;

    if (!xeno_oci_alive(h, run, t, &fd))
        return xeno_fail(err, -ESRCH, "task.ended", "task '%s' has ended", t->name);
    if (syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0) < 0)
        return xeno_fail_errno(err, -errno, "task.signal", "signal task '%s'", t->name);
    return 0;
}

static void oci_usage(const struct xeno_task_host *h, struct xeno_run *run,
                      struct xeno_task_usage *u)
{
    struct xeno_cgroup_usage now = { .cpu_us = 0 };

    u->disk_bytes = xeno_rootfs_used(run->path);
    if (xeno_cgroup_usage(h->cgroups, run->id, &now) < 0)
        return;
    u->cpu_us += now.cpu_us;
    u->throttled_us += now.throttled_us;
    u->waited_us += now.waited_us;
    u->memory_bytes = now.memory_bytes;
    if (u->memory_peak < now.memory_peak)
        u->memory_peak = now.memory_peak;
    u->pids = now.pids;
    /* Version 1 counts kills where the victim was; an ended task's group is gone, its count kept.
     */
    u->oom_kills += now.oom_kills;
    if (strcmp(xeno_cgroups_version(h->cgroups), "v1") != 0)
        return;
    for (size_t i = 0; i < run->ntasks; i++)
        u->oom_kills += run->tasks[i].ended
                            ? run->tasks[i].oom_kills
                            : xeno_cgroup_oom_kills(h->cgroups, run->id, run->tasks[i].name);
}

static int oci_ended(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_run_task *t,
                     int64_t *ret_code, int64_t *ret_oom_kills)
{
    xeno_autofree char *name = xeno_oci_name(h, run, t->name);
    xeno_autofree char *path = xeno_asprintf("%s/%s", h->oci->exits, name);
    xeno_autofree char *own = xeno_run_path(run, "tasks/%s/conmon.pid", t->name);
    xeno_autofree char *text = NULL, *conmon = NULL;
    size_t len;

    *ret_oom_kills = xeno_cgroup_oom_kills(h->cgroups, run->id, t->name);
    if (xeno_file_read(AT_FDCWD, path, 32, &text, &len, NULL) == 0 && len > 0) {
        *ret_code = atoi(text) & 255;
        return 1;
    }
    if (xeno_oci_alive(h, run, t, NULL))
        return 0;
    /* Without its conmon nobody will ever say how it ended. */
    if (xeno_file_read(AT_FDCWD, own, 32, &conmon, &len, NULL) == 0 && kill(atoi(conmon), 0) == 0)
        return 0;
    *ret_code = 255;
    return 1;
}

/* conmon gives one packet a piece of output, its first byte 2 for output and 3 for errors, and
 * takes input as it is. */
static int oci_attach(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_run_task *t,
                      int *ret_fd, struct xeno_err *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    xeno_autofree char *folder = xeno_run_path(run, "tasks/%s", t->name);
    xeno_autoclose int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    xeno_autoclose int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    (void)h;
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/attach", dir);
    if (dir < 0 || fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return xeno_fail_errno(err, -errno, "task.attach", "attach to task '%s'", t->name);
    *ret_fd = xeno_take_fd(&fd);
    return 0;
}

static int oci_winch(const struct xeno_task_host *h, struct xeno_run *run, struct xeno_run_task *t,
                     int cols, int rows, struct xeno_err *err)
{
    xeno_autofree char *path = xeno_run_path(run, "tasks/%s/ctl", t->name);
    xeno_autoclose int fd = open(path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    char text[64];
    int n = snprintf(text, sizeof text, "1 %d %d\n", rows, cols);

    (void)h;
    if (fd < 0 || write(fd, text, (size_t)n) != n)
        return xeno_fail_errno(err, -errno, "task.winch", "resize the terminal of task '%s'",
                               t->name);
    return 0;
}

static int oci_oom_fd(const struct xeno_task_host *h, struct xeno_run *run)
{
    return xeno_cgroup_oom_fd(h->cgroups, run->id);
}

const struct xeno_task_driver xeno_task_driver_oci = {
    .name = "oci",
    .isolation = "container",
    .needs_root = true,
    .probe = xeno_oci_probe,
    .away = xeno_oci_away,
    .fetch = xeno_oci_fetch,
    .create = oci_create,
    .start = xeno_oci_start,
    .reap = xeno_oci_reap,
    .resize = oci_resize,
    .pause = oci_pause,
    .stop = oci_stop,
    .release = oci_release,
    .destroy = oci_destroy,
    .layer = oci_layer,
    .exec = xeno_oci_exec,
    .signal = oci_signal,
    .usage = oci_usage,
    .ended = oci_ended,
    .attach = oci_attach,
    .winch = oci_winch,
    .oom_fd = oci_oom_fd,
    .server_fd = xeno_oci_server_fd,
};
