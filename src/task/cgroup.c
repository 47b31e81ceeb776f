/* src/task/cgroup.c - limits, counters and signals of whole sessions: what both versions share. */
#include "task/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "task/cgroup-priv.h"

#define CGROUP2_MAGIC    0x63677270
#define KILL_WAIT_MS     10000
#define SESSION_WAIT_MS  200   /* its processes have ended before: xeno_cgroup_kill() */
#define INSTANCE_WAIT_MS 10000 /* daemons that were killed may still be ending */
#define TOP_WAIT_MS      10000

/* --- small files --- */

int xeno_cgroup_write(const char *path, const char *fmt, ...)
{
    xeno_autofree char *text = NULL;
    xeno_autoclose int fd = -1;
    va_list ap;

    va_start(ap, fmt);
    text = xeno_vasprintf(fmt, ap);
    va_end(ap);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        return -errno;
    return 0;
}

bool xeno_cgroup_read(const char *path, char *buf, size_t room)
{
    xeno_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return false;
    n = read(fd, buf, room - 1);
    if (n < 0)
        return false;
    buf[n] = '\0';
    return true;
}

int64_t xeno_cgroup_read_int(const char *path)
{
    char buf[64];

    return xeno_cgroup_read(path, buf, sizeof buf) ? strtoll(buf, NULL, 10) : 0;
}

int64_t xeno_cgroup_stat(const char *text, const char *key)
{
    size_t len = strlen(key);

    while (text) {
        if (strncmp(text, key, len) == 0 && text[len] == ' ')
            return strtoll(text + len + 1, NULL, 10);
        text = strchr(text, '\n');
        if (text)
            text++;
    }
    return 0;
}

int64_t xeno_cgroup_pressure(const char *text)
{
    const char *line = strncmp(text, "some ", 5) == 0 ? text : strstr(text, "\nsome ");
    const char *total = line ? strstr(line, "total=") : NULL;
    const char *end = line ? strchr(line + 1, '\n') : NULL;

    return total && (!end || total < end) ? strtoll(total + strlen("total="), NULL, 10) : 0;
}

int xeno_cgroup_mkdir(const char *path)
{
    return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

/* --- where things are --- */

int xeno_cgroup_mount_line(const char *line, struct xeno_cgroup_tree *ret)
{
    char mount[128], type[32], super[512];
    const char *rest = strstr(line, " - ");
    int version;

    if (!rest || sscanf(line, "%*d %*d %*s %*s %127s", mount) != 1 ||
        sscanf(rest + 3, "%31s %*s %511s", type, super) != 2)
        return 0;
    version = strcmp(type, "cgroup") == 0 ? 1 : strcmp(type, "cgroup2") == 0 ? 2 : 0;
    if (version == 0)
        return 0;
    *ret = (struct xeno_cgroup_tree){ .mount = "" };
    strcpy(ret->mount, mount);
    /* Of the options of the file system those with a name of a controller remain. */
    for (char *save, *w = strtok_r(super, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
        if (strcmp(w, "rw") == 0 || strcmp(w, "ro") == 0 || strcmp(w, "xattr") == 0 ||
            strlen(ret->controllers) + strlen(w) + 3 > sizeof ret->controllers)
            continue;
        if (!ret->controllers[0])
            strcpy(ret->controllers, ",");
        strcat(strcat(ret->controllers, w), ",");
    }
    return version;
}

int xeno_cgroup_tree_of(const struct xeno_cgroups *cg, const char *controller)
{
    char want[64];

    snprintf(want, sizeof want, ",%s,", controller);
    for (size_t i = 0; i < cg->ntrees; i++)
        if (strstr(cg->trees[i].controllers, want))
            return (int)i;
    return -1;
}

char *xeno_cgroup_file(const struct xeno_cgroups *cg, size_t tree, const char *session,
                       const char *task, const char *file)
{
    return xeno_asprintf("%s%s/sessions/%s%s%s%s%s", cg->trees[tree].mount, cg->base, session,
                         task ? "/" : "", task ? task : "", file ? "/" : "", file ? file : "");
}

static int find_trees(struct xeno_cgroups *cg, struct xeno_err *err)
{
    FILE *f = fopen("/proc/self/mountinfo", "re");
    struct xeno_cgroup_tree tree;
    char line[4096];
    struct statfs fs;

    if (!f)
        return xeno_fail_errno(err, -errno, "cgroup.none", "read /proc/self/mountinfo");
    if (statfs("/sys/fs/cgroup", &fs) == 0 && fs.f_type == CGROUP2_MAGIC) {
        cg->ops = &xeno_cgroup_v2;
        strcpy(cg->trees[0].mount, "/sys/fs/cgroup");
        cg->ntrees = 1;
    } else {
        cg->ops = &xeno_cgroup_v1;
        while (fgets(line, sizeof line, f)) {
            int version = xeno_cgroup_mount_line(line, &tree);

            if (version == 0 || strncmp(tree.mount, "/sys/fs/cgroup/", 15) != 0)
                continue;
            if (version == 1 && cg->ntrees < XENO_CGROUP_TREES_MAX)
                cg->trees[cg->ntrees++] = tree;
            else if (version == 2)
                strcpy(cg->unified, tree.mount);
        }
    }
    fclose(f);
    return 0;
}

/* The folder itself carries the lock, so that it is gone with whoever holds it and leaves no file.
 */
static int lock_instance(struct xeno_cgroups *cg, struct xeno_err *err)
{
    int tree = cg->ops == &xeno_cgroup_v1 ? xeno_cgroup_tree_of(cg, "cpu") : 0;
    xeno_autofree char *path = xeno_asprintf("%s%s", cg->trees[tree].mount, cg->base);

    cg->lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (cg->lock < 0)
        return xeno_fail_errno(err, -errno, "cgroup.write", "open '%s'", path);
    if (xeno_lock(cg->lock, XENO_LOCK_RESTART_MS) < 0)
        return xeno_fail(err, -EBUSY, "cgroup.instance",
                         "another xeno-taskd of instance '%s' runs on this machine", cg->instance);
    return 0;
}

int xeno_cgroup_lock_top(const struct xeno_cgroups *cg, int *ret_fd, struct xeno_err *err)
{
    xeno_autofree char *path = xeno_asprintf("%s%s", cg->trees[0].mount, cg->top);
    xeno_autoclose int fd = -1;

    *ret_fd = -1;
    if (!cg->top[0])
        return 0;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return xeno_fail_errno(err, -errno, "cgroup.write", "open '%s'", path);
    if (xeno_lock(fd, TOP_WAIT_MS) < 0)
        return xeno_fail(err, -EBUSY, "cgroup.busy",
                         "another instance in '%s' keeps its lock for more than %d s", path,
                         TOP_WAIT_MS / 1000);
    *ret_fd = xeno_take_fd(&fd);
    return 0;
}

static int new_groups(const char *instance, struct xeno_cgroups **ret, struct xeno_err *err)
{
    xeno_auto(xeno_cgroups) cg = xeno_new0(struct xeno_cgroups);
    int r;

    cg->lock = -1;
    if (geteuid() != 0)
        return xeno_fail(err, -EPERM, "cgroup.rights", "only root may make control groups");
    snprintf(cg->instance, sizeof cg->instance, "%s", instance);
    r = find_trees(cg, err);
    if (r == 0)
        *ret = xeno_take(&cg);
    return r;
}

int xeno_cgroups_open(const char *instance, struct xeno_cgroups **ret, struct xeno_err *err)
{
    xeno_auto(xeno_cgroups) cg = NULL;
    int r;

    r = new_groups(instance, &cg, err);
    if (r == 0)
        r = cg->ops->prepare(cg, err);
    if (r == 0)
        r = lock_instance(cg, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&cg);
    return 0;
}

int xeno_cgroups_find(const char *instance, struct xeno_cgroups **ret, struct xeno_err *err)
{
    xeno_auto(xeno_cgroups) cg = NULL;
    int r;

    r = new_groups(instance, &cg, err);
    if (r == 0 && !cg->ops->find(cg))
        r = xeno_fail(err, -ENOENT, "cgroup.none", "there are no control groups of instance '%s'",
                      instance);
    if (r == 0)
        r = lock_instance(cg, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&cg);
    return 0;
}

void xeno_cgroups_free(struct xeno_cgroups *cg)
{
    if (cg && cg->lock >= 0)
        close(cg->lock);
    free(cg);
}

const char *xeno_cgroups_version(const struct xeno_cgroups *cg)
{
    return cg->ops->version;
}

const char *xeno_cgroups_hybrid(const struct xeno_cgroups *cg)
{
    return cg->unified[0] ? cg->unified : NULL;
}

void xeno_cgroups_favour(struct xeno_cgroups *cg, pid_t pid)
{
    cg->ops->favour(cg, pid);
}

void xeno_cgroups_supervise(const struct xeno_cgroups *cg)
{
    if (cg->ops->supervise)
        cg->ops->supervise(cg);
}

int xeno_cgroups_door(const struct xeno_cgroups *cg)
{
    int tree = cg->ops == &xeno_cgroup_v1 ? xeno_cgroup_tree_of(cg, "cpu") : 0;
    xeno_autofree char *procs =
        xeno_asprintf("%s%s/daemons/cgroup.procs", cg->trees[tree].mount, cg->base);

    return open(procs, O_WRONLY | O_CLOEXEC);
}

/* --- sessions --- */

char **xeno_cgroups_list(const struct xeno_cgroups *cg)
{
    xeno_autofree char *path = xeno_asprintf("%s%s/sessions", cg->trees[0].mount, cg->base);
    char **ids = xeno_new0_n(char *, 1);
    DIR *dir = opendir(path);
    struct dirent *e;
    size_t n = 0;

    while (dir && (e = readdir(dir))) {
        if (e->d_type != DT_DIR || e->d_name[0] == '.')
            continue;
        ids = xeno_grow(ids, n + 2);
        ids[n++] = xeno_strdup(e->d_name);
        ids[n] = NULL;
    }
    if (dir)
        closedir(dir);
    return ids;
}

int xeno_cgroup_set(struct xeno_cgroups *cg, const char *session,
                    const struct xeno_cgroup_limits *limits, struct xeno_err *err)
{
    return cg->ops->set(cg, session, limits, err);
}

/* Born there rather than moved there: a move waits for every processor of the machine. */
pid_t xeno_cgroup_fork(const struct xeno_cgroups *cg, const char *session)
{
    xeno_autoclose int fd = cg->ops->birthplace ? cg->ops->birthplace(cg, session) : -1;
    struct clone_args args = { .flags = CLONE_INTO_CGROUP,
                               .exit_signal = SIGCHLD,
                               .cgroup = (uint64_t)fd };
    pid_t pid = fd >= 0 ? (pid_t)syscall(SYS_clone3, &args, sizeof args) : -1;

    return pid >= 0 ? pid : fork(); /* kernels before 5.7, and no such group: not counted */
}

/* Version 1 has the group in those trees only whose controllers we use. */
void xeno_cgroup_enter(const struct xeno_cgroups *cg, const char *session)
{
    for (size_t i = 0; i < cg->ntrees; i++) {
        xeno_autofree char *procs = xeno_cgroup_file(cg, i, session, NULL, "cgroup.procs");

        xeno_cgroup_write(procs, "0");
    }
}

pid_t xeno_cgroup_first(const struct xeno_cgroups *cg, const char *session)
{
    int tree = cg->ops == &xeno_cgroup_v1 ? xeno_cgroup_tree_of(cg, "pids") : 0;
    xeno_autofree char *procs = xeno_cgroup_file(cg, (size_t)tree, session, NULL, "cgroup.procs");

    return (pid_t)xeno_cgroup_read_int(procs);
}

int xeno_cgroup_usage(const struct xeno_cgroups *cg, const char *session,
                      struct xeno_cgroup_usage *ret)
{
    return cg->ops->usage(cg, session, ret);
}

int64_t xeno_cgroup_oom_kills(const struct xeno_cgroups *cg, const char *session, const char *task)
{
    return cg->ops->oom_kills(cg, session, task);
}

int xeno_cgroup_oom_fd(const struct xeno_cgroups *cg, const char *session)
{
    return cg->ops->oom_fd(cg, session);
}

int xeno_cgroup_freeze(struct xeno_cgroups *cg, const char *session, bool frozen,
                       struct xeno_err *err)
{
    return cg->ops->freeze(cg, session, frozen, err);
}

/* Returns: how many processes got the signal. Numbers come from the group itself, which nobody can
 * leave, so one that is used again in between is at worst another process of the same session. */
static int signal_procs(const char *path)
{
    xeno_autofree char *file = xeno_asprintf("%s/cgroup.procs", path);
    FILE *f = fopen(file, "re");
    int n = 0, pid;

    while (f && fscanf(f, "%d", &pid) == 1)
        if (pid > 0 && kill(pid, SIGKILL) == 0)
            n++;
    if (f)
        fclose(f);
    return n;
}

int xeno_cgroup_signal_tree(const char *path)
{
    int n = signal_procs(path);
    DIR *dir = opendir(path);
    struct dirent *e;

    while (dir && (e = readdir(dir))) {
        xeno_autofree char *sub = NULL;

        if (e->d_type != DT_DIR || e->d_name[0] == '.')
            continue;
        sub = xeno_asprintf("%s/%s", path, e->d_name);
        n += xeno_cgroup_signal_tree(sub);
    }
    if (dir)
        closedir(dir);
    return n;
}

int xeno_cgroup_kill(struct xeno_cgroups *cg, const char *session, struct xeno_err *err)
{
    for (int waited = 0; waited < KILL_WAIT_MS; waited += 2) {
        if (cg->ops->kill_all(cg, session) == 0)
            return 0;
        nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
    }
    return xeno_fail(err, -ETIMEDOUT, "cgroup.kill", "processes of session %s do not end", session);
}

/* rmdir of a folder and those below, deepest first. A group that has just lost its last process may
 * be busy for a moment, and one whose process was killed until the kernel has ended that: each is
 * waited for so long. */
static int remove_folder(const char *path, int wait_ms)
{
    DIR *dir = opendir(path);
    struct dirent *e;
    int r = 0;

    while (dir && (e = readdir(dir))) {
        xeno_autofree char *sub = NULL;

        if (e->d_type != DT_DIR || e->d_name[0] == '.')
            continue;
        sub = xeno_asprintf("%s/%s", path, e->d_name);
        r = remove_folder(sub, wait_ms);
        if (r < 0)
            break;
    }
    if (dir)
        closedir(dir);
    for (int waited = 0; r == 0 && rmdir(path) < 0; waited += 2) {
        if (errno == ENOENT)
            return 0;
        if (errno != EBUSY || waited >= wait_ms)
            return -errno;
        nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
    }
    return r;
}

int xeno_cgroup_remove_task(struct xeno_cgroups *cg, const char *session, const char *task,
                            struct xeno_err *err)
{
    int first = 0;

    /* runc also makes one in the version 2 tree beside version 1. */
    for (size_t i = 0; i < cg->ntrees + (cg->unified[0] != '\0'); i++) {
        const char *mount = i < cg->ntrees ? cg->trees[i].mount : cg->unified;
        xeno_autofree char *path = xeno_asprintf("%s%s/sessions/%s%s%s", mount, cg->base, session,
                                                 task ? "/" : "", task ? task : "");
        int r = remove_folder(path, SESSION_WAIT_MS);

        if (r < 0 && first == 0)
            first = xeno_fail_errno(err, r, "cgroup.remove", "remove '%s'", path);
    }
    return first;
}

int xeno_cgroup_remove(struct xeno_cgroups *cg, const char *session, struct xeno_err *err)
{
    return xeno_cgroup_remove_task(cg, session, NULL, err);
}

char *xeno_cgroup_oci_path(const struct xeno_cgroups *cg, const char *session, const char *task)
{
    return xeno_asprintf("%s/sessions/%s/%s", cg->base, session, task);
}

/* Version 2 in a unit: a group whose children have controllers may hold no process, so they are
 * given back: all, since a runtime enables more than we do. The kernel refuses, rightly, while
 * another instance in the unit uses them. */
static void give_back(const struct xeno_cgroups *cg)
{
    xeno_autofree char *sessions = xeno_asprintf("%s/sessions", cg->base);
    const char *const groups[] = { sessions, cg->base, cg->top };
    char text[512], *save;

    for (size_t i = 0; cg->top[0] && i < XENO_LEN(groups); i++) {
        xeno_autofree char *file =
            xeno_asprintf("%s%s/cgroup.subtree_control", cg->trees[0].mount, groups[i]);

        if (!xeno_cgroup_read(file, text, sizeof text))
            continue;
        for (char *w = strtok_r(text, " \n", &save); w; w = strtok_r(NULL, " \n", &save))
            xeno_cgroup_write(file, "-%s", w);
    }
}

/* To the daemons of another instance of the unit. */
static void move_beside(const char *mount, const struct xeno_cgroups *cg, int pid)
{
    xeno_autofree char *top = xeno_asprintf("%s%s", mount, cg->top);
    const char *own = strrchr(cg->base, '/') + 1;
    DIR *dir = opendir(top);
    bool moved = false;
    struct dirent *e;

    while (!moved && dir && (e = readdir(dir))) {
        xeno_autofree char *procs = NULL;

        if (strncmp(e->d_name, "xeno-", 5) != 0 || strcmp(e->d_name, own) == 0)
            continue;
        procs = xeno_asprintf("%s/%s/daemons/cgroup.procs", top, e->d_name);
        moved = xeno_cgroup_write(procs, "%d", pid) == 0;
    }
    if (dir)
        closedir(dir);
}

/* What the daemons' group of one tree holds goes to the group above the instance's; that one is
 * busy while another instance of the unit has controllers from it, then there. */
static void empty_daemons(const char *mount, const struct xeno_cgroups *cg)
{
    xeno_autofree char *from = xeno_asprintf("%s%s/daemons/cgroup.procs", mount, cg->base);
    xeno_autofree char *to = xeno_asprintf("%s%s/cgroup.procs", mount, cg->top);
    FILE *f = fopen(from, "re");
    int pid;

    while (f && fscanf(f, "%d", &pid) == 1)
        if (xeno_cgroup_write(to, "%d", pid) == -EBUSY)
            move_beside(mount, cg, pid);
    if (f)
        fclose(f);
}

int xeno_cgroups_remove(struct xeno_cgroups *cg, struct xeno_err *err)
{
    xeno_autoclose int lock = -1;
    int first = xeno_cgroup_lock_top(cg, &lock, err);

    if (first < 0)
        return first;
    give_back(cg);
    for (size_t i = 0; i < cg->ntrees + (cg->unified[0] != '\0'); i++) {
        const char *mount = i < cg->ntrees ? cg->trees[i].mount : cg->unified;
        xeno_autofree char *path = xeno_asprintf("%s%s", mount, cg->base);
        int r;

        empty_daemons(mount, cg);
        r = remove_folder(path, INSTANCE_WAIT_MS);
        if (r < 0 && first == 0)
            first = xeno_fail_errno(err, r, "cgroup.remove", "remove '%s'", path);
    }
    return first;
}
