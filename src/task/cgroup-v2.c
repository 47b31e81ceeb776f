/* src/task/cgroup-v2.c - version 2: one tree.
 *
 * Under systemd with Delegate=yes our own group is ours to divide; elsewhere
 * we take one below the root. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "task/cgroup-priv.h"

#define HEAVY_WEIGHT   10000
#define DIVIDE_TRIES   50  /* at once, */
#define DIVIDE_WAITS   500 /* and then each after a rest: ten seconds in all */
#define DIVIDE_REST_MS 20
#define FIND_DEPTH     6 /* "/xeno.slice/xeno-sessions.service" is two */

static char *base_file(const struct xeno_cgroups *cg, const char *tail)
{
    return xeno_asprintf("%s%s%s", cg->trees[0].mount, cg->base, tail);
}

/* Did systemd give us this group? It says so by an attribute. */
static bool delegated(const char *path)
{
    char value[8];

    return getxattr(path, "trusted.delegate", value, sizeof value) > 0 ||
           getxattr(path, "user.delegate", value, sizeof value) > 0;
}

/* The unit beside ours that holds the sessions: "/xeno.slice/xeno-taskd.service" gives
 * "/xeno.slice/xeno-sessions.service". A unit with containers in its group could not be started
 * again: its group has children with controllers, so no process may be put into it. */
static bool sessions_unit(const struct xeno_cgroups *cg, const char *own, char *ret, size_t room)
{
    const char *unit = strrchr(own, '/');
    const char *taskd = unit ? strstr(unit, "taskd") : NULL;
    xeno_autofree char *path = NULL;

    if (!taskd)
        return false;
    snprintf(ret, room, "%.*ssessions%s", (int)(taskd - own), own, taskd + strlen("taskd"));
    path = xeno_asprintf("%s%s", cg->trees[0].mount, ret);
    return delegated(path);
}

/* "/UNIT/xeno-INST/daemons", where an earlier start of us or of another instance moved us: "/UNIT".
 */
static void cut_leaf(char *own)
{
    char *leaf = strrchr(own, '/'), *instance;

    if (!leaf || strcmp(leaf, "/daemons") != 0)
        return;
    *leaf = '\0';
    instance = strrchr(own, '/');
    if (instance && strncmp(instance, "/xeno-", 6) == 0)
        *instance = '\0';
}

/* What systemd gave us to divide, or else the root. */
static void find_top(struct xeno_cgroups *cg)
{
    char text[1024], own[512] = "";
    xeno_autofree char *path = NULL;

    if (xeno_cgroup_read("/proc/self/cgroup", text, sizeof text)) {
        const char *at = strstr(text, "0::");

        if (at)
            sscanf(at, "0::%511[^\n]", own);
    }
    cg->apart = sessions_unit(cg, own, cg->top, sizeof cg->top);
    if (cg->apart)
        return;
    cut_leaf(own);
    path = xeno_asprintf("%s%s", cg->trees[0].mount, own);
    if (own[0] && strcmp(own, "/") != 0 && delegated(path))
        snprintf(cg->top, sizeof cg->top, "%s", own);
}

static int enable(const struct xeno_cgroups *cg, const char *path, struct xeno_err *err)
{
    static const char *const controllers[] = { "cpu", "memory", "pids" };
    xeno_autofree char *file = xeno_asprintf("%s/cgroup.subtree_control", path);

    (void)cg;
    for (size_t i = 0; i < XENO_LEN(controllers); i++) {
        int r = xeno_cgroup_write(file, "+%s", controllers[i]);

        if (r < 0)
            return xeno_fail_errno(err, r == -ENOENT ? -ENOTSUP : r, "cgroup.none",
                                   "enable the controller '%s' in '%s' (run as a unit with "
                                   "Delegate=yes)",
                                   controllers[i], file);
    }
    xeno_cgroup_write(file, "+io"); /* welcome, not needed */
    return 0;
}

/* Move every process out of a group that is to have children with controllers. */
static int empty_top(const struct xeno_cgroups *cg, const char *top)
{
    xeno_autofree char *from = xeno_asprintf("%s/cgroup.procs", top);
    xeno_autofree char *to = base_file(cg, "/daemons/cgroup.procs");
    FILE *f = fopen(from, "re");
    int pid;

    while (f && fscanf(f, "%d", &pid) == 1)
        xeno_cgroup_write(to, "%d", pid);
    if (f)
        fclose(f);
    return cg->apart ? 0 : xeno_cgroup_write(to, "%d", (int)getpid());
}

/* Name one that stays in a group which is to be empty. */
static int still_there(const char *top, int r, struct xeno_err *err)
{
    xeno_autofree char *procs = xeno_asprintf("%s/cgroup.procs", top);
    char text[4096], comm[64] = "?\n";
    int pid = 0;

    if (!xeno_cgroup_read(procs, text, sizeof text) || sscanf(text, "%d", &pid) != 1)
        return r;
    xeno_autofree char *file = xeno_asprintf("/proc/%d/comm", pid);
    xeno_cgroup_read(file, comm, sizeof comm);
    return xeno_fail(err, r, "cgroup.none",
                     "process %d (%.*s) cannot be moved out of '%s', which has to be empty to be "
                     "divided: end it, or run as a unit with Delegate=yes",
                     pid, (int)strcspn(comm, "\n"), comm, top);
}

/* Processes fork while they are moved, so that one is left behind: then try again. One that is
 * ending cannot be moved any more, the kernel passes over it without a word, and what it has still
 * to close or unmount may take its time: then wait for it. The root may have both, processes and
 * children with controllers. */
static int divide(const struct xeno_cgroups *cg, struct xeno_err *err)
{
    xeno_autofree char *top = xeno_asprintf("%s%s", cg->trees[0].mount, cg->top);
    xeno_autofree char *daemons = base_file(cg, "/daemons/cgroup.procs");

    if (!cg->top[0]) {
        int r = xeno_cgroup_write(daemons, "%d", (int)getpid());

        if (r < 0)
            return xeno_fail_errno(err, r, "cgroup.write", "enter our own cgroup");
        return enable(cg, top, err);
    }
    for (int tries = 0;; tries++) {
        int r = empty_top(cg, top);

        if (r < 0)
            return xeno_fail_errno(err, r, "cgroup.write", "enter our own cgroup");
        r = enable(cg, top, err);
        if (r != -EBUSY)
            return r;
        if (tries == DIVIDE_TRIES + DIVIDE_WAITS)
            return still_there(top, r, err);
        if (tries >= DIVIDE_TRIES)
            usleep(DIVIDE_REST_MS * 1000);
    }
}

static int v2_prepare(struct xeno_cgroups *cg, struct xeno_err *err)
{
    static const char *const folders[] = { "", "/daemons", "/sessions" };
    xeno_autofree char *base = NULL, *sessions = NULL;
    xeno_autoclose int lock = -1;
    int r;

    find_top(cg);
    snprintf(cg->base, sizeof cg->base, "%.470s/xeno-%s", cg->top, cg->instance);
    r = xeno_cgroup_lock_top(cg, &lock, err);
    if (r < 0)
        return r;
    base = base_file(cg, "");
    sessions = base_file(cg, "/sessions");
    for (size_t i = 0; i < XENO_LEN(folders); i++) {
        xeno_autofree char *path = base_file(cg, folders[i]);

        r = xeno_cgroup_mkdir(path);
        if (r < 0)
            return xeno_fail_errno(err, r, "cgroup.write", "make '%s'", path);
    }
    r = divide(cg, err);
    if (r == 0)
        r = enable(cg, base, err);
    if (r == 0)
        r = enable(cg, sessions, err);
    for (size_t i = 0; r == 0 && i < XENO_LEN(folders); i++) {
        xeno_autofree char *path = base_file(cg, folders[i]);
        xeno_autofree char *weight = xeno_asprintf("%s/cpu.weight", path);

        xeno_cgroup_write(weight, "%d", HEAVY_WEIGHT);
    }
    return r;
}

/* Look for the instance's group below `top`, a path of the tree. Whoever asks need not live where
 * the daemon did, so that what find_top() says is of no use here. */
static bool find_below(struct xeno_cgroups *cg, const char *top, int depth)
{
    xeno_autofree char *path = xeno_asprintf("%s%s", cg->trees[0].mount, top);
    xeno_autofree char *ours = xeno_asprintf("%s/xeno-%s/sessions", path, cg->instance);
    bool found = access(ours, F_OK) == 0;
    DIR *dir = found || depth == 0 ? NULL : opendir(path);
    struct dirent *e;

    if (found) {
        snprintf(cg->top, sizeof cg->top, "%s", top);
        snprintf(cg->base, sizeof cg->base, "%.470s/xeno-%s", top, cg->instance);
    }
    while (!found && dir && (e = readdir(dir)) != NULL) {
        xeno_autofree char *sub = NULL;

        if (e->d_type != DT_DIR || e->d_name[0] == '.')
            continue;
        sub = xeno_asprintf("%s/%s", top, e->d_name);
        found = find_below(cg, sub, depth - 1);
    }
    if (dir)
        closedir(dir);
    return found;
}

static bool v2_find(struct xeno_cgroups *cg)
{
    return find_below(cg, "", FIND_DEPTH);
}

static int v2_favour(struct xeno_cgroups *cg, pid_t pid)
{
    xeno_autofree char *procs = base_file(cg, "/daemons/cgroup.procs");
    xeno_autofree char *file = xeno_asprintf("/proc/%d/cgroup", (int)pid);
    char text[1024];

    /* A unit's processes stay where systemd put them; its weight is in the unit file. */
    if (xeno_cgroup_read(file, text, sizeof text) && strstr(text, ".service"))
        return 0;
    return xeno_cgroup_write(procs, "%d", (int)pid);
}

static void v2_supervise(const struct xeno_cgroups *cg)
{
    xeno_autofree char *procs = base_file(cg, "/daemons/cgroup.procs");

    if (cg->apart)
        xeno_cgroup_write(procs, "0");
}

static int64_t within(int64_t n, int64_t min, int64_t max)
{
    return n < min ? min : n > max ? max : n;
}

static int set_file(const struct xeno_cgroups *cg, const char *session, const char *file,
                    const char *fmt, int64_t a, int64_t b, struct xeno_err *err)
{
    xeno_autofree char *path = xeno_cgroup_file(cg, 0, session, NULL, file);
    xeno_autofree char *text = xeno_asprintf(fmt, (long long)a, (long long)b);
    int r = xeno_cgroup_write(path, "%s", text);

    return r < 0 ? xeno_fail_errno(err, r, "cgroup.write", "write '%s' to '%s'", text, path) : 0;
}

static int v2_set(struct xeno_cgroups *cg, const char *session, const struct xeno_cgroup_limits *l,
                  struct xeno_err *err)
{
    int64_t quota = within(l->cpu_msps * (XENO_CGROUP_PERIOD_US / 1000), 1000, INT64_MAX);
    int64_t burst = within(l->cpu_burst_ms * 1000, 0, quota);
    xeno_autofree char *path = xeno_cgroup_file(cg, 0, session, NULL, NULL);
    int r;

    r = xeno_cgroup_mkdir(path);
    if (r < 0)
        return xeno_fail_errno(err, r, "cgroup.write", "make '%s'", path);
    set_file(cg, session, "cpu.max.burst", "%lld", 0, 0, NULL); /* kernels before 5.14: none */
    r = set_file(cg, session, "cpu.max", "%lld %lld", quota, XENO_CGROUP_PERIOD_US, err);
    if (r == 0)
        set_file(cg, session, "cpu.max.burst", "%lld", burst, 0, NULL);
    if (r == 0)
        r = set_file(cg, session, "cpu.weight", "%lld", within(l->cpu_msps, 1, 10000), 0, err);
    if (r == 0)
        r = set_file(cg, session, "memory.max", "%lld", l->memory_bytes, 0, err);
    if (r == 0)
        set_file(cg, session, "memory.swap.max", "%lld", 0, 0, NULL); /* memory is sold, not swap */
    if (r == 0)
        r = set_file(cg, session, "pids.max", "%lld", l->pids, 0, err);
    return r;
}

static int64_t get_file(const struct xeno_cgroups *cg, const char *session, const char *file)
{
    xeno_autofree char *path = xeno_cgroup_file(cg, 0, session, NULL, file);

    return xeno_cgroup_read_int(path);
}

static int64_t v2_oom_kills(const struct xeno_cgroups *cg, const char *session, const char *task)
{
    xeno_autofree char *path = xeno_cgroup_file(cg, 0, session, task, "memory.events");
    char text[512];

    return xeno_cgroup_read(path, text, sizeof text) ? xeno_cgroup_stat(text, "oom_kill") : 0;
}

static int v2_usage(const struct xeno_cgroups *cg, const char *session,
                    struct xeno_cgroup_usage *ret)
{
    xeno_autofree char *stat = xeno_cgroup_file(cg, 0, session, NULL, "cpu.stat");
    xeno_autofree char *pressure = xeno_cgroup_file(cg, 0, session, NULL, "cpu.pressure");
    char text[1024];

    if (!xeno_cgroup_read(stat, text, sizeof text))
        return -ENOENT;
    ret->cpu_us = xeno_cgroup_stat(text, "usage_usec");
    ret->throttled_us = xeno_cgroup_stat(text, "throttled_usec");
    if (xeno_cgroup_read(pressure, text, sizeof text))
        ret->waited_us = xeno_cgroup_pressure(text);
    ret->memory_bytes = get_file(cg, session, "memory.current");
    ret->memory_peak = get_file(cg, session, "memory.peak"); /* kernels before 5.19: none */
    if (ret->memory_peak < ret->memory_bytes)
        ret->memory_peak = ret->memory_bytes;
    ret->pids = get_file(cg, session, "pids.current");
    ret->oom_kills = v2_oom_kills(cg, session, NULL);
    return 0;
}

static int v2_oom_fd(const struct xeno_cgroups *cg, const char *session)
{
    xeno_autofree char *path = xeno_cgroup_file(cg, 0, session, NULL, "memory.events");
    xeno_autoclose int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

    if (fd < 0 || inotify_add_watch(fd, path, IN_MODIFY) < 0)
        return -1;
    return xeno_take_fd(&fd);
}

static int v2_freeze(struct xeno_cgroups *cg, const char *session, bool frozen,
                     struct xeno_err *err)
{
    xeno_autofree char *events = xeno_cgroup_file(cg, 0, session, NULL, "cgroup.events");
    char text[256];
    int r;

    r = set_file(cg, session, "cgroup.freeze", "%lld", frozen, 0, err);
    if (r < 0)
        return r;
    for (int i = 0; i < 500; i++) {
        if (xeno_cgroup_read(events, text, sizeof text) &&
            xeno_cgroup_stat(text, "frozen") == frozen)
            return 0;
        nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
    }
    set_file(cg, session, "cgroup.freeze", "%lld", 0, 0, NULL);
    return xeno_fail(err, -ETIMEDOUT, "cgroup.freeze", "session %s does not freeze", session);
}

/* cgroup.kill also reaches what is frozen and what forks meanwhile. A group that was killed is not
 * used again: processes cloned into it later would be born dead (seen on 6.12 and 6.18). */
static int v2_kill_all(struct xeno_cgroups *cg, const char *session)
{
    xeno_autofree char *events = xeno_cgroup_file(cg, 0, session, NULL, "cgroup.events");
    xeno_autofree char *folder = xeno_cgroup_file(cg, 0, session, NULL, NULL);
    char text[256];

    if (!xeno_cgroup_read(events, text, sizeof text) || xeno_cgroup_stat(text, "populated") == 0)
        return 0;
    if (set_file(cg, session, "cgroup.kill", "%lld", 1, 0, NULL) < 0)
        xeno_cgroup_signal_tree(folder); /* kernels before 5.14 */
    return 1;
}

const struct xeno_cgroup_ops xeno_cgroup_v2 = {
    .version = "v2",
    .prepare = v2_prepare,
    .find = v2_find,
    .set = v2_set,
    .usage = v2_usage,
    .oom_kills = v2_oom_kills,
    .oom_fd = v2_oom_fd,
    .freeze = v2_freeze,
    .kill_all = v2_kill_all,
    .favour = v2_favour,
    .supervise = v2_supervise,
};
