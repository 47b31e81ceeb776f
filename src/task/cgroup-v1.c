/* src/task/cgroup-v1.c - version 1, also beside an empty version 2 tree: each controller is a tree
 * of its own. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "task/cgroup-priv.h"

/* Of the parent and of our own group. Measured: 1024 (the default) leaves a session 40 of its 150
 * ms/s beside two foreign spinners, from 16384 on it gets all of them. */
#define HEAVY_SHARES 65536

static const char *const needed[] = { "cpu", "cpuacct", "memory", "pids", "freezer" };

static char *instance_file(const struct xeno_cgroups *cg, int tree, const char *tail)
{
    return xeno_asprintf("%s%s%s", cg->trees[tree].mount, cg->base, tail);
}

static int v1_favour(struct xeno_cgroups *cg, pid_t pid)
{
    xeno_autofree char *procs =
        instance_file(cg, xeno_cgroup_tree_of(cg, "cpu"), "/daemons/cgroup.procs");

    return xeno_cgroup_write(procs, "%d", (int)pid);
}

static int make_instance(struct xeno_cgroups *cg, size_t tree, struct xeno_err *err)
{
    static const char *const folders[] = { "", "/daemons", "/sessions" };
    bool cpu = strstr(cg->trees[tree].controllers, ",cpu,") != NULL;

    for (size_t i = 0; i < XENO_LEN(folders); i++) {
        xeno_autofree char *path = instance_file(cg, (int)tree, folders[i]);
        xeno_autofree char *shares = xeno_asprintf("%s/cpu.shares", path);
        int r;

        if (i == 1 && !cpu)
            continue; /* our own weight is all we want of our group */
        r = xeno_cgroup_mkdir(path);
        if (r == 0 && cpu)
            r = xeno_cgroup_write(shares, "%d", HEAVY_SHARES);
        if (r < 0)
            return xeno_fail_errno(err, r, "cgroup.write", "make '%s'", path);
    }
    return 0;
}

static int v1_prepare(struct xeno_cgroups *cg, struct xeno_err *err)
{
    int r;

    snprintf(cg->base, sizeof cg->base, "/xeno-%s", cg->instance);
    for (size_t i = 0; i < XENO_LEN(needed); i++) {
        int tree = xeno_cgroup_tree_of(cg, needed[i]);

        if (tree < 0)
            return xeno_fail(err, -ENOTSUP, "cgroup.none",
                             "the cgroup controller '%s' is not mounted: mount it below "
                             "/sys/fs/cgroup or start the machine with cgroup version 2",
                             needed[i]);
        r = make_instance(cg, (size_t)tree, err);
        if (r < 0)
            return r;
    }
    r = v1_favour(cg, getpid());
    return r < 0 ? xeno_fail_errno(err, r, "cgroup.write", "enter our own cgroup") : 0;
}

static bool v1_find(struct xeno_cgroups *cg)
{
    int tree = xeno_cgroup_tree_of(cg, "cpu");
    xeno_autofree char *path = NULL;

    if (tree < 0)
        return false;
    snprintf(cg->base, sizeof cg->base, "/xeno-%s", cg->instance);
    path = instance_file(cg, tree, "/sessions");
    return access(path, F_OK) == 0;
}

/* Write one file of the session in the tree of a controller. */
static int set_file(const struct xeno_cgroups *cg, const char *session, const char *controller,
                    const char *file, int64_t value)
{
    xeno_autofree char *path =
        xeno_cgroup_file(cg, (size_t)xeno_cgroup_tree_of(cg, controller), session, NULL, file);

    return xeno_cgroup_write(path, "%lld", (long long)value);
}

static int64_t get_file(const struct xeno_cgroups *cg, const char *session, const char *controller,
                        const char *file)
{
    xeno_autofree char *path =
        xeno_cgroup_file(cg, (size_t)xeno_cgroup_tree_of(cg, controller), session, NULL, file);

    return xeno_cgroup_read_int(path);
}

static int64_t within(int64_t n, int64_t min, int64_t max)
{
    return n < min ? min : n > max ? max : n;
}

static int set_cpu(struct xeno_cgroups *cg, const char *session, const struct xeno_cgroup_limits *l,
                   struct xeno_err *err)
{
    int64_t quota = within(l->cpu_msps * (XENO_CGROUP_PERIOD_US / 1000), 1000, INT64_MAX);
    int64_t burst = within(l->cpu_burst_ms * 1000, 0, quota);
    int r;

    /* Never a moment with more burst than quota: the kernel refuses it. */
    r = set_file(cg, session, "cpu", "cpu.cfs_burst_us", 0);
    if (r == 0)
        r = set_file(cg, session, "cpu", "cpu.cfs_period_us", XENO_CGROUP_PERIOD_US);
    if (r == 0)
        r = set_file(cg, session, "cpu", "cpu.cfs_quota_us", quota);
    if (r == 0)
        r = set_file(cg, session, "cpu", "cpu.cfs_burst_us", burst);
    /* In proportion to what was sold, so that what is free is shared like that, too. */
    if (r == 0)
        r = set_file(cg, session, "cpu", "cpu.shares", within(l->cpu_msps * 4, 2, 262144));
    return r < 0 ? xeno_fail_errno(err, r, "cgroup.write", "limit the CPU of session %s", session)
                 : 0;
}

/* BASE/sessions/SESSION[/FILE] of the version 2 tree beside; NULL when there is none. */
static char *pressure_path(const struct xeno_cgroups *cg, const char *session, const char *file)
{
    if (!cg->unified[0])
        return NULL;
    return xeno_asprintf("%s%s/sessions/%s%s", cg->unified, cg->base, session, file);
}

/* Only the kernel's count of waiting comes from it: what cannot be made is done without. */
static void make_pressure(const struct xeno_cgroups *cg, const char *session)
{
    xeno_autofree char *path = pressure_path(cg, session, "");

    for (char *at = path ? path + strlen(cg->unified) : NULL; at; at = strchr(at + 1, '/')) {
        char cut = *at;

        *at = '\0';
        xeno_cgroup_mkdir(path);
        *at = cut;
    }
    if (path)
        xeno_cgroup_mkdir(path);
}

static int v1_birthplace(const struct xeno_cgroups *cg, const char *session)
{
    xeno_autofree char *path = pressure_path(cg, session, "");

    return path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
}

static int v1_set(struct xeno_cgroups *cg, const char *session, const struct xeno_cgroup_limits *l,
                  struct xeno_err *err)
{
    int r;

    for (size_t i = 0; i < XENO_LEN(needed); i++) {
        xeno_autofree char *path =
            xeno_cgroup_file(cg, (size_t)xeno_cgroup_tree_of(cg, needed[i]), session, NULL, NULL);

        r = xeno_cgroup_mkdir(path);
        if (r < 0)
            return xeno_fail_errno(err, r, "cgroup.write", "make '%s'", path);
    }
    make_pressure(cg, session);
    r = set_cpu(cg, session, l, err);
    if (r < 0)
        return r;
    r = set_file(cg, session, "memory", "memory.limit_in_bytes", l->memory_bytes);
    if (r < 0)
        return xeno_fail_errno(err, r, r == -EBUSY ? "cgroup.memory" : "cgroup.write",
                               "limit session %s to %lld bytes of memory", session,
                               (long long)l->memory_bytes);
    set_file(cg, session, "memory", "memory.swappiness", 0); /* memory is sold, swap is not */
    r = set_file(cg, session, "pids", "pids.max", l->pids);
    if (r < 0)
        return xeno_fail_errno(err, r, "cgroup.write", "limit the processes of session %s",
                               session);
    return 0;
}

static int64_t kills_in(const char *folder)
{
    xeno_autofree char *path = xeno_asprintf("%s/memory.oom_control", folder);
    char text[256];

    return xeno_cgroup_read(path, text, sizeof text) ? xeno_cgroup_stat(text, "oom_kill") : 0;
}

static int64_t v1_oom_kills(const struct xeno_cgroups *cg, const char *session, const char *task)
{
    xeno_autofree char *folder =
        xeno_cgroup_file(cg, (size_t)xeno_cgroup_tree_of(cg, "memory"), session, task, NULL);

    return kills_in(folder);
}

static int v1_usage(const struct xeno_cgroups *cg, const char *session,
                    struct xeno_cgroup_usage *ret)
{
    xeno_autofree char *stat =
        xeno_cgroup_file(cg, (size_t)xeno_cgroup_tree_of(cg, "cpu"), session, NULL, "cpu.stat");
    xeno_autofree char *pressure = pressure_path(cg, session, "/cpu.pressure");
    char text[512];

    if (!xeno_cgroup_read(stat, text, sizeof text))
        return -ENOENT;
    ret->throttled_us = xeno_cgroup_stat(text, "throttled_time") / 1000;
    if (pressure && xeno_cgroup_read(pressure, text, sizeof text))
        ret->waited_us = xeno_cgroup_pressure(text);
    ret->cpu_us = get_file(cg, session, "cpuacct", "cpuacct.usage") / 1000;
    ret->memory_bytes = get_file(cg, session, "memory", "memory.usage_in_bytes");
    ret->memory_peak = get_file(cg, session, "memory", "memory.max_usage_in_bytes");
    ret->pids = get_file(cg, session, "pids", "pids.current");
    ret->oom_kills = v1_oom_kills(cg, session, NULL);
    return 0;
}

static int v1_oom_fd(const struct xeno_cgroups *cg, const char *session)
{
    size_t tree = (size_t)xeno_cgroup_tree_of(cg, "memory");
    xeno_autofree char *control = xeno_cgroup_file(cg, tree, session, NULL, "memory.oom_control");
    xeno_autofree char *events = xeno_cgroup_file(cg, tree, session, NULL, "cgroup.event_control");
    xeno_autoclose int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    xeno_autoclose int fd = open(control, O_RDONLY | O_CLOEXEC);

    if (event < 0 || fd < 0 || xeno_cgroup_write(events, "%d %d", event, fd) < 0)
        return -1;
    return xeno_take_fd(&event);
}

static int v1_freeze(struct xeno_cgroups *cg, const char *session, bool frozen,
                     struct xeno_err *err)
{
    xeno_autofree char *path = xeno_cgroup_file(cg, (size_t)xeno_cgroup_tree_of(cg, "freezer"),
                                                session, NULL, "freezer.state");
    const char *want = frozen ? "FROZEN" : "THAWED";
    char state[32];
    int r;

    for (int i = 0; i < 500; i++) {
        r = xeno_cgroup_write(path, "%s", want);
        if (r < 0)
            return xeno_fail_errno(err, r, "cgroup.write", "write '%s'", path);
        if (xeno_cgroup_read(path, state, sizeof state) && strncmp(state, want, strlen(want)) == 0)
            return 0;
        nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
    }
    xeno_cgroup_write(path, "THAWED");
    return xeno_fail(err, -ETIMEDOUT, "cgroup.freeze", "session %s does not freeze", session);
}

/* A frozen process does not take the signal, so thaw first. cgroup.kill of the version 2 tree is
 * of no help here: crun sees no such tree and leaves its processes out of it. */
static int v1_kill_all(struct xeno_cgroups *cg, const char *session)
{
    xeno_autofree char *freezer = xeno_cgroup_file(cg, (size_t)xeno_cgroup_tree_of(cg, "freezer"),
                                                   session, NULL, "freezer.state");
    int n = 0;

    for (size_t i = 0; i < XENO_LEN(needed); i++) {
        xeno_autofree char *path =
            xeno_cgroup_file(cg, (size_t)xeno_cgroup_tree_of(cg, needed[i]), session, NULL, NULL);

        n += xeno_cgroup_signal_tree(path);
    }
    xeno_cgroup_write(freezer, "THAWED");
    return n;
}

const struct xeno_cgroup_ops xeno_cgroup_v1 = {
    .version = "v1",
    .prepare = v1_prepare,
    .find = v1_find,
    .set = v1_set,
    .usage = v1_usage,
    .oom_kills = v1_oom_kills,
    .oom_fd = v1_oom_fd,
    .freeze = v1_freeze,
    .kill_all = v1_kill_all,
    .favour = v1_favour,
    .birthplace = v1_birthplace,
};
