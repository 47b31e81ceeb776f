/* src/taskd/remove.c - take everything of this instance off the machine (--remove).
 *
 * For the end, and for after a crash: what the daemon would do session by session, without a
 * daemon. It believes the kernel and names, not the sessions' files, which may be broken; needs no
 * runtime; and can be killed anywhere and asked again. In this order, so that nothing that is still
 * in use is pulled away: processes, supervisors, mounts and folders, groups, network, pins.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/log.h"
#include "image/cache.h"
#include "task/rootfs.h"
#include "taskd/remove.h"

#define SUPERVISOR_END_MS 3000 /* conmon has its container's end to write down */

struct removal {
    struct taskd *d;
    char **ids; /* of sessions that have a folder or a group */
    size_t nids, mounts, supervisors, pins;
    struct xeno_net_removed net;
    bool groups;
    bool failed;
};

/* One thing that stays is no reason to leave the others. */
static void note(struct removal *rm, int r, struct xeno_err *err)
{
    if (r < 0) {
        rm->failed = true;
        xeno_log_err(LOG_ERR, "remove.failed", err, "instance=%s", rm->d->conf.instance);
    }
    *err = (struct xeno_err)XENO_ERR_INIT;
}

/* --- which sessions --- */

static void add_id(struct removal *rm, char *id)
{
    id[strcspn(id, ".")] = '\0'; /* XENO_CGROUP_SERVER: the same session */
    if (!xeno_task_session_ok(id))
        return;
    for (size_t i = 0; i < rm->nids; i++)
        if (strcmp(rm->ids[i], id) == 0)
            return;
    rm->ids = xeno_grow(rm->ids, rm->nids + 1);
    rm->ids[rm->nids++] = xeno_strdup(id);
}

static int find_sessions(struct removal *rm, struct xeno_err *err)
{
    char **folders = NULL, **groups = NULL;
    int r = xeno_run_list(rm->d->conf.dir, &folders, err);

    if (rm->d->host.cgroups)
        groups = xeno_cgroups_list(rm->d->host.cgroups);
    for (size_t i = 0; folders && folders[i]; i++)
        add_id(rm, folders[i]);
    for (size_t i = 0; groups && groups[i]; i++)
        add_id(rm, groups[i]);
    xeno_run_list_free(folders);
    xeno_run_list_free(groups);
    return r;
}

/* --- processes --- */

/* A child of a killed daemon may be changing the session still: it holds the session's lock. */
static int await_jobs(struct removal *rm, const char *id, struct xeno_err *err)
{
    struct xeno_run run = { .path = xeno_asprintf("%s/sessions/%s", rm->d->conf.dir, id) };
    xeno_autoclose int lock = -1;

    strcpy(run.id, id);
    if (access(run.path, F_OK) == 0)
        lock = xeno_run_lock(&run, err);
    free(run.path);
    return lock < 0 && err->code < 0 ? err->code : 0;
}

/* Is that process a conmon of one of our containers? Its arguments say which, "INSTANCE-ID-TASK".
 * Anybody can choose arguments; its program and its user nobody can. */
static bool is_supervisor(const struct taskd *d, int proc, const char *pid)
{
    xeno_autofree char *cid = xeno_asprintf("%s-", d->conf.instance);
    xeno_autofree char *exe = xeno_asprintf("%s/exe", pid);
    xeno_autofree char *file = xeno_asprintf("%s/cmdline", pid);
    xeno_autoclose int fd = -1;
    char args[512], program[256];
    const char *at;
    ssize_t n = readlinkat(proc, exe, program, sizeof program - 1);
    struct stat st;

    program[n > 0 ? n : 0] = '\0';
    at = strrchr(program, '/');
    if (!at || strncmp(at, "/conmon", strlen("/conmon")) != 0 || fstatat(proc, pid, &st, 0) < 0 ||
        st.st_uid != 0)
        return false;
    fd = openat(proc, file, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, args, sizeof args - 1);
    if (n <= 0)
        return false;
    args[n] = '\0';
    for (at = args; at < args + n; at += strlen(at) + 1)
        if (strcmp(at, "--cid") == 0 && at + strlen("--cid") + 1 < args + n)
            return strncmp(at + strlen("--cid") + 1, cid, strlen(cid)) == 0;
    return false;
}

/* Send `signal` (0: none) to every supervisor. Returns: how many there are. */
static size_t each_supervisor(const struct taskd *d, int signal)
{
    DIR *proc = opendir("/proc");
    struct dirent *e;
    size_t n = 0;

    while (proc && (e = readdir(proc)) != NULL) {
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
        xeno_autoclose int fd = pid > 1 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

        /* Opened first, so that what is looked at is what is signalled. */
        if (fd < 0 || !is_supervisor(d, dirfd(proc), e->d_name))
            continue;
        n++;
        if (signal)
            syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0);
    }
    if (proc)
        closedir(proc);
    return n;
}

static int end_supervisors(struct removal *rm, struct xeno_err *err)
{
    size_t left = each_supervisor(rm->d, 0);

    for (int waited = 0; left > 0; waited += 20) {
        if (waited > 2 * SUPERVISOR_END_MS)
            return xeno_fail(err, -EBUSY, "remove.conmon", "%zu conmon do not end", left);
        nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
        left = each_supervisor(rm->d, waited < SUPERVISOR_END_MS ? 0 : SIGKILL);
    }
    return 0;
}

/* --- what they stood on --- */

static int remove_folder(struct removal *rm, const char *id, struct xeno_err *err)
{
    xeno_autofree char *path = xeno_asprintf("%s/sessions/%s", rm->d->conf.dir, id);
    static const char *const mounts[] = { "sys", "rootfs", "upper" };
    int r;

    for (size_t i = 0; i < XENO_LEN(mounts); i++) {
        xeno_autofree char *at = xeno_asprintf("%s/%s", path, mounts[i]);

        if (!xeno_rootfs_mounted(at))
            continue;
        if (umount2(at, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
            return xeno_fail_errno(err, -errno, "remove.mount", "unmount '%s'", at);
        rm->mounts++;
    }
    r = xeno_rootfs_destroy(path, err);
    return r < 0 ? r : xeno_remove_tree(AT_FDCWD, path, err);
}

/* What is of no use without sessions. Images, unpacked layers and the lock stay. */
static void remove_rest(struct removal *rm)
{
    static const char *const names[] = { "sessions", "runtime", "exits", "pool", "probe" };
    struct xeno_err err = XENO_ERR_INIT;

    for (size_t i = 0; i < XENO_LEN(names); i++) {
        xeno_autofree char *path = xeno_asprintf("%s/%s", rm->d->conf.dir, names[i]);

        note(rm, xeno_remove_tree(AT_FDCWD, path, &err), &err);
    }
    if (unlink(rm->d->conf.socket) < 0 && errno != ENOENT)
        note(rm, xeno_fail_errno(&err, -errno, "remove.socket", "delete '%s'", rm->d->conf.socket),
             &err);
}

/* --- what they used of what is shared --- */

static int remove_pins(struct removal *rm, struct xeno_err *err)
{
    xeno_autofree char *pins = xeno_asprintf("%s/pins", rm->d->conf.cache);
    xeno_auto(xeno_cache) cache = NULL;
    char **names = NULL;
    size_t n = 0;
    int r;

    if (access(pins, F_OK) < 0)
        return 0; /* to open a cache is to make it */
    r = xeno_cache_open(rm->d->conf.cache, &cache, err);
    if (r == 0)
        r = xeno_cache_pinned(cache, &names, &n, err);
    for (size_t i = 0; i < n; i++) {
        char id[XENO_TASK_SESSION_LEN + 1];

        if (r < 0 || !pin_session(rm->d, names[i], id))
            continue;
        r = xeno_cache_unpin(cache, names[i], err);
        rm->pins += r == 0;
    }
    if (names)
        xeno_cache_paths_free(names, n);
    return r;
}

/* --- its control groups --- */

/* Who serves its files first: its processes may wait for it, and then go on with an error. */
static void end_processes(struct removal *rm, const char *id)
{
    xeno_autofree char *server = xeno_asprintf("%s" XENO_CGROUP_SERVER, id);
    struct xeno_err err = XENO_ERR_INIT;

    note(rm, xeno_cgroup_kill(rm->d->host.cgroups, server, &err), &err);
    note(rm, xeno_cgroup_kill(rm->d->host.cgroups, id, &err), &err);
}

static void remove_groups(struct removal *rm, const char *id)
{
    xeno_autofree char *server = xeno_asprintf("%s" XENO_CGROUP_SERVER, id);
    struct xeno_err err = XENO_ERR_INIT;

    note(rm, xeno_cgroup_remove(rm->d->host.cgroups, server, &err), &err);
    note(rm, xeno_cgroup_remove(rm->d->host.cgroups, id, &err), &err);
}

/* --- all of it --- */

static void remove_kernel(struct removal *rm)
{
    struct taskd *d = rm->d;
    struct xeno_err err = XENO_ERR_INIT;

    rm->supervisors = each_supervisor(d, 0); /* most end with their containers */
    for (size_t i = 0; d->host.cgroups && i < rm->nids; i++)
        end_processes(rm, rm->ids[i]);
    note(rm, end_supervisors(rm, &err), &err);
    for (size_t i = 0; i < rm->nids; i++)
        note(rm, remove_folder(rm, rm->ids[i], &err), &err);
    for (size_t i = 0; d->host.cgroups && i < rm->nids; i++)
        remove_groups(rm, rm->ids[i]);
    if (d->host.cgroups) {
        int r = xeno_cgroups_remove(d->host.cgroups, &err);

        rm->groups = r == 0;
        note(rm, r, &err);
    }
    note(rm, xeno_net_remove(d->conf.instance, d->conf.dir, &rm->net, &err), &err);
}

static void say(struct xeno_buf *b, size_t n, const char *what)
{
    if (n > 0)
        xeno_buf_printf(b, "%s%zu %s%s", b->len > 0 ? ", " : "", n, what, n == 1 ? "" : "s");
}

static void print(const struct removal *rm)
{
    xeno_autobuf b = XENO_BUF_INIT;

    say(&b, rm->nids, "session");
    say(&b, rm->supervisors, "supervisor");
    say(&b, rm->mounts, "mount");
    say(&b, rm->net.namespaces, "network namespace");
    say(&b, rm->net.cables, "cable");
    say(&b, rm->pins, "pin");
    if (rm->net.bridge)
        xeno_buf_printf(&b, "%sbridge", b.len > 0 ? ", " : "");
    if (rm->net.rules)
        xeno_buf_printf(&b, "%srules", b.len > 0 ? ", " : "");
    if (rm->groups)
        xeno_buf_printf(&b, "%scontrol groups", b.len > 0 ? ", " : "");
    printf("instance %s: %s%s\n", rm->d->conf.instance, b.len > 0 ? "removed " : "nothing is left",
           b.len > 0 ? b.data : "");
}

/* Only one of us at a time: by the folder, and by the groups, should a daemon of the instance use
 * another folder. What is not there needs no lock. */
static int take_instance(struct taskd *d, struct xeno_err *err)
{
    int r = 0;

    if (access(d->conf.dir, F_OK) == 0)
        r = lock_folder(d, err);
    if (r < 0 || geteuid() != 0)
        return r;
    r = xeno_cgroups_find(d->conf.instance, &d->host.cgroups, err);
    if (r != -ENOENT)
        return r;
    *err = (struct xeno_err)XENO_ERR_INIT;
    return 0;
}

int remove_instance(struct taskd *d, struct xeno_err *err)
{
    struct removal rm = { .d = d };
    struct xeno_err why = XENO_ERR_INIT;
    int r = take_instance(d, err);

    if (r == 0)
        r = find_sessions(&rm, err);
    for (size_t i = 0; r == 0 && i < rm.nids; i++)
        r = await_jobs(&rm, rm.ids[i], err);
    if (r == 0 && geteuid() == 0)
        remove_kernel(&rm);
    for (size_t i = 0; r == 0 && geteuid() != 0 && i < rm.nids; i++)
        note(&rm, remove_folder(&rm, rm.ids[i], &why), &why);
    if (r == 0) {
        note(&rm, remove_pins(&rm, &why), &why);
        remove_rest(&rm);
        print(&rm);
    }
    for (size_t i = 0; i < rm.nids; i++)
        free(rm.ids[i]);
    free(rm.ids);
    if (rm.failed)
        return xeno_fail(err, -EIO, "remove.left", "something of instance '%s' is still there",
                         d->conf.instance);
    return r;
}
