/* src/task/run.c - the folder of a session below the run directory. */
#include "task/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"

#define FILE_MAX_BYTES (256 * 1024)
#define LOCK_WAIT_MS   30000

static const char *const stage_names[XENO_RUN_STAGES] = {
    [XENO_RUN_CREATING] = "creating", [XENO_RUN_READY] = "ready",
    [XENO_RUN_STOPPING] = "stopping", [XENO_RUN_STOPPED] = "stopped",
    [XENO_RUN_ENDING] = "ending",
};

const char *xeno_run_boot_id(void)
{
    static char id[64];

    if (!id[0]) {
        xeno_autofree char *text = NULL;
        size_t len;

        if (xeno_file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", sizeof id - 1, &text, &len,
                           NULL) == 0)
            memcpy(id, text, strcspn(text, "\n"));
    }
    return id;
}

static int64_t wall_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void xeno_run_free(struct xeno_run *run)
{
    if (!run)
        return;
    free(run->path);
    free(run);
}

char *xeno_run_path(const struct xeno_run *run, const char *fmt, ...)
{
    xeno_autofree char *tail = NULL;
    va_list ap;

    va_start(ap, fmt);
    tail = xeno_vasprintf(fmt, ap);
    va_end(ap);
    return xeno_asprintf("%s/%s", run->path, tail);
}

/* --- files --- */

int xeno_run_write(const char *path, const void *data, size_t len, struct xeno_err *err)
{
    xeno_autofree char *tmp = xeno_asprintf("%s.new", path);
    xeno_autoclose int fd = -1;
    int r;

    fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return xeno_fail_errno(err, -errno, "run.write", "make '%s'", tmp);
    r = xeno_write_all(fd, data, len);
    if (r == 0 && rename(tmp, path) < 0)
        r = -errno;
    if (r < 0) {
        unlink(tmp);
        return xeno_fail_errno(err, r, "run.write", "write '%s'", path);
    }
    return 0;
}

static int write_json(const char *path, const struct xeno_json *obj, bool durable,
                      struct xeno_err *err)
{
    size_t len;
    xeno_autofree char *text = xeno_json_format(obj, false, &len);

    if (durable)
        return xeno_file_write(AT_FDCWD, path, 0600, text, len, err);
    return xeno_run_write(path, text, len, err);
}

static int read_json(const char *path, struct xeno_json **ret, struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    size_t len;
    int r;

    r = xeno_file_read(AT_FDCWD, path, FILE_MAX_BYTES, &text, &len, err);
    if (r == 0)
        r = xeno_json_parse(text, len, FILE_MAX_BYTES, ret, err);
    return r < 0 ? xeno_context(err, r, "%s", path) : 0;
}

static int make_dir(const char *path, int64_t gid, mode_t mode, struct xeno_err *err)
{
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return xeno_fail_errno(err, -errno, "run.write", "make '%s'", path);
    if (gid >= 0 && (chown(path, (uid_t)-1, (gid_t)gid) < 0 || chmod(path, mode) < 0))
        return xeno_fail_errno(err, -errno, "run.write", "set the owner of '%s'", path);
    return 0;
}

/* --- session.json --- */

int xeno_run_save(struct xeno_run *run, bool durable, struct xeno_err *err)
{
    xeno_autofree char *path = xeno_run_path(run, "session.json");
    xeno_auto(xeno_json) obj = xeno_json_object();

    run->this_boot = true;
    run->changed_ms = wall_ms();
    strcpy(run->base.session, run->id);
    xeno_json_set_int(obj, "v", 1);
    xeno_json_set_str(obj, "driver", run->driver);
    xeno_json_set_str(obj, "stage", stage_names[run->stage]);
    xeno_json_set_bool(obj, "paused", run->paused);
    xeno_json_set_str(obj, "boot", xeno_run_boot_id());
    xeno_json_set_int(obj, "changed_ms", run->changed_ms);
    xeno_json_set(obj, "spec", xeno_task_spec_json(&run->spec));
    xeno_json_set(obj, "base", xeno_task_usage_json(&run->base));
    return write_json(path, obj, durable, err);
}

static int read_stage(const struct xeno_json_at *at, struct xeno_run *run, struct xeno_err *err)
{
    const char *text, *boot;
    int r;

    r = xeno_json_str(at, "stage", 1, 16, &text, err);
    if (r == 0)
        r = xeno_json_bool(at, "paused", &run->paused, err);
    if (r == 0)
        r = xeno_json_str(at, "boot", 0, 63, &boot, err);
    if (r == 0)
        r = xeno_json_int(at, "changed_ms", 0, INT64_MAX, &run->changed_ms, err);
    if (r < 0)
        return r;
    run->this_boot = strcmp(boot, xeno_run_boot_id()) == 0;
    while (run->stage < XENO_RUN_STAGES && strcmp(stage_names[run->stage], text) != 0)
        run->stage++;
    if (run->stage == XENO_RUN_STAGES)
        return xeno_fail(err, -EINVAL, "run.broken", "stage '%s' is not known", text);
    return 0;
}

static int read_session(struct xeno_run *run, struct xeno_err *err)
{
    xeno_autofree char *path = xeno_run_path(run, "session.json");
    xeno_auto(xeno_json) root = NULL;
    struct xeno_json_at top, sub;
    const char *driver;
    int r;

    r = read_json(path, &root, err);
    if (r < 0)
        return r;
    top = xeno_json_top(root);
    r = xeno_json_str(&top, "driver", 1, XENO_TASK_DRIVER_MAX, &driver, err);
    if (r == 0)
        r = read_stage(&top, run, err);
    if (r == 0)
        r = xeno_json_obj(&top, "spec", &sub, err);
    if (r == 0)
        r = xeno_task_spec_read(&sub, &run->spec, err);
    if (r == 0)
        r = xeno_json_obj(&top, "base", &sub, err);
    if (r == 0)
        r = xeno_task_usage_read(&sub, &run->base, err);
    if (r < 0)
        return xeno_context(err, r, "%s", path);
    strcpy(run->driver, driver);
    return 0;
}

/* --- tasks --- */

static void read_pid(const struct xeno_run *run, struct xeno_run_task *t)
{
    xeno_autofree char *path = xeno_run_path(run, "tasks/%s/pid", t->name);
    xeno_autofree char *text = NULL;
    struct stat st;
    size_t len;

    if (xeno_file_read(AT_FDCWD, path, 32, &text, &len, NULL) < 0)
        return;
    t->started = true;
    t->pid = strtoll(text, NULL, 10);
    if (stat(path, &st) == 0)
        t->since_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
}

static void read_end(const struct xeno_run *run, struct xeno_run_task *t)
{
    xeno_autofree char *path = xeno_run_path(run, "tasks/%s/end.json", t->name);
    xeno_auto(xeno_json) root = NULL;
    struct xeno_json_at top;

    if (read_json(path, &root, NULL) < 0)
        return;
    top = xeno_json_top(root);
    xeno_json_int_opt(&top, "code", 0, 255, &t->code, NULL);
    xeno_json_int_opt(&top, "oom_kills", 0, INT64_MAX, &t->oom_kills, NULL);
    t->oom = t->oom_kills > 0 && t->code == 137;
    t->ended = true;
    t->pid = 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct xeno_run_task *)a)->name, ((const struct xeno_run_task *)b)->name);
}

static void read_tasks(struct xeno_run *run)
{
    xeno_autofree char *path = xeno_run_path(run, "tasks");
    DIR *dir = opendir(path);
    struct dirent *e;

    while (dir && (e = readdir(dir)) && run->ntasks < XENO_TASK_TASKS_MAX) {
        struct xeno_run_task *t = &run->tasks[run->ntasks];
        struct xeno_task_program p;

        if (!xeno_task_name_ok(e->d_name))
            continue;
        *t = (struct xeno_run_task){ .started = false };
        strcpy(t->name, e->d_name);
        if (xeno_run_program(run, t->name, &p, NULL) < 0)
            continue; /* killed before it was whole: the next start writes it again */
        t->terminal = p.terminal;
        xeno_task_program_release(&p);
        read_pid(run, t);
        read_end(run, t);
        run->ntasks++;
    }
    if (dir)
        closedir(dir);
    qsort(run->tasks, run->ntasks, sizeof *run->tasks, by_name);
}

struct xeno_run_task *xeno_run_find(struct xeno_run *run, const char *task)
{
    for (size_t i = 0; i < run->ntasks; i++)
        if (strcmp(run->tasks[i].name, task) == 0)
            return &run->tasks[i];
    return NULL;
}

int xeno_run_add_task(struct xeno_run *run, const char *task, const struct xeno_task_program *p,
                      struct xeno_err *err)
{
    xeno_autofree char *dir = xeno_run_path(run, "tasks/%s", task);
    xeno_autofree char *path = xeno_run_path(run, "tasks/%s/task.json", task);
    xeno_auto(xeno_json) obj = xeno_task_program_json(p);
    struct xeno_run_task *t = xeno_run_find(run, task);
    int r;

    if (t && t->started)
        return xeno_fail(err, -EEXIST, "task.exists", "session %s has a task '%s'", run->id, task);
    if (!t && run->ntasks >= XENO_TASK_TASKS_MAX)
        return xeno_fail(err, -EMFILE, "task.many", "session %s has %d tasks, the limit", run->id,
                         XENO_TASK_TASKS_MAX);
    r = make_dir(dir, -1, 0, err);
    if (r == 0)
        r = write_json(path, obj, false, err);
    if (r < 0)
        return r;
    if (!t) {
        t = &run->tasks[run->ntasks++];
        *t = (struct xeno_run_task){ .started = false };
        strcpy(t->name, task);
    }
    t->terminal = p->terminal;
    return 0;
}

int xeno_run_reset_tasks(struct xeno_run *run, struct xeno_err *err)
{
    static const char *const files[] = { "pid", "end.json", "signal" };

    for (size_t i = 0; i < run->ntasks; i++) {
        struct xeno_run_task *t = &run->tasks[i];

        for (size_t f = 0; f < XENO_LEN(files); f++) {
            xeno_autofree char *path = xeno_run_path(run, "tasks/%s/%s", t->name, files[f]);

            if (unlink(path) < 0 && errno != ENOENT)
                return xeno_fail_errno(err, -errno, "run.write", "delete '%s'", path);
        }
        t->started = t->ended = t->oom = false;
        t->pid = t->code = t->oom_kills = 0;
    }
    return 0;
}

int xeno_run_program(const struct xeno_run *run, const char *task, struct xeno_task_program *ret,
                     struct xeno_err *err)
{
    xeno_autofree char *path = xeno_run_path(run, "tasks/%s/task.json", task);
    xeno_auto(xeno_json) root = NULL;
    struct xeno_json_at top;
    int r;

    r = read_json(path, &root, err);
    if (r < 0)
        return r;
    top = xeno_json_top(root);
    return xeno_task_program_read(&top, ret, err);
}

int xeno_run_end_task(struct xeno_run *run, struct xeno_run_task *t, int64_t code,
                      int64_t oom_kills, struct xeno_err *err)
{
    xeno_autofree char *path = xeno_run_path(run, "tasks/%s/end.json", t->name);
    xeno_auto(xeno_json) obj = xeno_json_object();
    int r;

    if (t->ended)
        return 0;
    xeno_json_set_int(obj, "code", code);
    xeno_json_set_int(obj, "oom_kills", oom_kills);
    r = write_json(path, obj, false, err);
    if (r < 0)
        return r;
    t->ended = true;
    t->code = code;
    t->oom_kills = oom_kills;
    t->oom = oom_kills > 0 && code == 137;
    t->pid = 0;
    return 0;
}

/* --- whole sessions --- */

static struct xeno_run *run_at(const char *dir, const char *id)
{
    struct xeno_run *run = xeno_new0(struct xeno_run);

    strcpy(run->id, id);
    run->path = xeno_asprintf("%s/sessions/%s", dir, id);
    return run;
}

int xeno_run_new(const char *dir, const char *id, const char *driver,
                 const struct xeno_task_spec *spec, int64_t gid, struct xeno_run **ret,
                 struct xeno_err *err)
{
    xeno_auto(xeno_run) run = run_at(dir, id);
    xeno_autofree char *tasks = xeno_run_path(run, "tasks");
    int r;

    strcpy(run->driver, driver);
    run->spec = *spec;
    run->stage = XENO_RUN_CREATING;
    r = make_dir(run->path, gid, 0710, err);
    if (r == 0)
        r = make_dir(tasks, gid, 0710, err);
    if (r == 0)
        r = xeno_run_save(run, false, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&run);
    return 0;
}

int xeno_run_load(const char *dir, const char *id, struct xeno_run **ret, struct xeno_err *err)
{
    xeno_auto(xeno_run) run = NULL;
    int r;

    if (!xeno_task_session_ok(id))
        return xeno_fail(err, -EINVAL, "run.broken", "'%.40s' is not a session id", id);
    run = run_at(dir, id);
    if (access(run->path, F_OK) < 0)
        return xeno_fail(err, -ENOENT, "run.unknown", "there is no session %s", id);
    r = read_session(run, err);
    if (r < 0)
        return r;
    read_tasks(run);
    *ret = xeno_take(&run);
    return 0;
}

int xeno_run_list(const char *dir, char ***ret, struct xeno_err *err)
{
    xeno_autofree char *path = xeno_asprintf("%s/sessions", dir);
    DIR *d = opendir(path);
    struct dirent *e;
    size_t n = 0;

    *ret = xeno_new0_n(char *, 1);
    if (!d)
        return errno == ENOENT ? 0 : xeno_fail_errno(err, -errno, "run.read", "read '%s'", path);
    while ((e = readdir(d))) {
        if (!xeno_task_session_ok(e->d_name))
            continue;
        *ret = xeno_grow(*ret, n + 2);
        (*ret)[n++] = xeno_strdup(e->d_name);
        (*ret)[n] = NULL;
    }
    closedir(d);
    return 0;
}

void xeno_run_list_free(char **ids)
{
    for (size_t i = 0; ids && ids[i]; i++)
        free(ids[i]);
    free(ids);
}

int xeno_run_lock(const struct xeno_run *run, struct xeno_err *err)
{
    xeno_autofree char *path = xeno_run_path(run, "lock");
    xeno_autoclose int fd = -1;

    fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return xeno_fail_errno(err, -errno, "run.lock", "open '%s'", path);
    if (xeno_lock(fd, LOCK_WAIT_MS) < 0)
        return xeno_fail(err, -ETIMEDOUT, "run.locked",
                         "another process has been changing session %s for %d s", run->id,
                         LOCK_WAIT_MS / 1000);
    return xeno_take_fd(&fd);
}

/* Invariant 3 of the header: another boot means that nothing runs. */
static enum xeno_task_state session_state(const struct xeno_run *run, bool running)
{
    if (run->stage == XENO_RUN_STOPPED || run->stage == XENO_RUN_STOPPING || !run->this_boot)
        return XENO_TASK_STOPPED;
    if (run->paused)
        return XENO_TASK_PAUSED;
    return running ? XENO_TASK_RUNNING : XENO_TASK_CREATED;
}

void xeno_run_info(const struct xeno_run *run, struct xeno_task_session_info *ret)
{
    bool running = false;

    *ret = (struct xeno_task_session_info){ .ntasks = run->ntasks };
    strcpy(ret->session, run->id);
    strcpy(ret->driver, run->driver);
    for (size_t i = 0; i < run->ntasks; i++) {
        const struct xeno_run_task *t = &run->tasks[i];
        struct xeno_task_info *info = &ret->tasks[i];
        bool lives = t->started && !t->ended && run->this_boot;

        strcpy(info->task, t->name);
        info->state = lives        ? run->paused ? XENO_TASK_PAUSED : XENO_TASK_RUNNING
                      : t->started ? XENO_TASK_STOPPED
                                   : XENO_TASK_CREATED;
        info->pid = lives ? t->pid : 0;
        info->code = t->code;
        info->oom = t->oom;
        running |= lives;
    }
    ret->state = session_state(run, running);
}
