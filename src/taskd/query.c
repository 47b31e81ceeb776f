/* src/taskd/query.c - what is answered at once. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <termios.h>
#include <unistd.h>

#include "base/log.h"
#include "task/oci/oci.h"
#include "taskd/taskd.h"

#define USAGE_A_PAGE    120                          /* of at most 400 bytes */
#define LIST_PAGE_BYTES (XENO_TASK_FRAME_MAX - 8192) /* one session has at most 5 KiB */

/* --- describe --- */

static struct xeno_json *drivers_json(struct taskd *d)
{
    struct xeno_json *arr = xeno_json_array();

    for (size_t i = 0; xeno_task_drivers[i]; i++) {
        struct xeno_json *item = xeno_json_object();

        if (!d->usable[i]) {
            xeno_json_unref(item);
            continue;
        }
        xeno_json_set_str(item, "name", xeno_task_drivers[i]->name);
        xeno_json_set_str(item, "isolation", xeno_task_drivers[i]->isolation);
        xeno_json_append(arr, item);
    }
    return arr;
}

static int describe(struct taskd *d, struct xeno_json **ret)
{
    struct xeno_json *obj = xeno_json_object();
    struct statvfs fs = { .f_frsize = 0 };
    struct sysinfo info = { .mem_unit = 0 };

    statvfs(d->conf.dir, &fs);
    sysinfo(&info);
    xeno_json_set(obj, "drivers", drivers_json(d));
    xeno_json_set_int(obj, "cpus", sysconf(_SC_NPROCESSORS_ONLN));
    xeno_json_set_int(obj, "memory_bytes", (int64_t)info.totalram * info.mem_unit);
    xeno_json_set_int(obj, "disk_bytes", (int64_t)fs.f_bavail * (int64_t)fs.f_frsize);
    xeno_json_set_str(obj, "runtime", d->host.oci ? d->host.oci->name : "");
    xeno_json_set_str(obj, "cgroup", d->host.cgroups ? xeno_cgroups_version(d->host.cgroups) : "");
    xeno_json_set_str(obj, "instance", d->conf.instance);
    xeno_json_set_str(obj, "pool", d->net ? d->conf.pool : "");
    xeno_json_set_str(obj, "boot", xeno_run_boot_id());
    *ret = obj;
    return 0;
}

/* --- usage and list --- */

static int by_id(struct session *a, struct session *b)
{
    return strcmp(a->id, b->id);
}

static int by_session(const void *a, const void *b)
{
    return strcmp(((const struct xeno_net_counters *)a)->session,
                  ((const struct xeno_net_counters *)b)->session);
}

static struct xeno_json *usage_item(struct taskd *d, struct session *s,
                                    const struct xeno_net_counters *all, size_t n)
{
    struct xeno_net_counters key = { .rx_bytes = 0 };
    struct xeno_task_usage u;

    strcpy(key.session, s->id);
    session_usage(d, s, n ? bsearch(&key, all, n, sizeof *all, by_session) : NULL, &u);
    return xeno_task_usage_json(&u);
}

static int usage(struct taskd *d, const char *after, struct xeno_json **ret)
{
    xeno_autofree struct xeno_net_counters *all = NULL;
    struct xeno_json *obj = xeno_json_object();
    struct xeno_json *arr = xeno_json_array();
    const char *last = NULL;
    struct session *s, *next;
    size_t n, items = 0;

    network_counters(d, &all, &n);
    if (n > 0)
        qsort(all, n, sizeof *all, by_session);
    HASH_SORT(d->sessions, by_id);
    HASH_ITER (hh, d->sessions, s, next) {
        if (!s->run || strcmp(s->id, after) <= 0)
            continue;
        if (items++ == USAGE_A_PAGE) {
            xeno_json_set_str(obj, "next", last);
            break;
        }
        xeno_json_append(arr, usage_item(d, s, all, n));
        last = s->id;
    }
    xeno_json_set(obj, "sessions", arr);
    *ret = obj;
    return 0;
}

static int list(struct taskd *d, const char *after, struct xeno_json **ret)
{
    xeno_autofree struct xeno_task_session_info *info = xeno_new0(struct xeno_task_session_info);
    struct xeno_json *obj = xeno_json_object();
    struct xeno_json *arr = xeno_json_array();
    const char *last = NULL;
    struct session *s, *next;
    size_t bytes = 0;

    HASH_SORT(d->sessions, by_id);
    HASH_ITER (hh, d->sessions, s, next) {
        if (!s->run || strcmp(s->id, after) <= 0)
            continue;
        if (bytes > LIST_PAGE_BYTES - 160 * (XENO_TASK_TASKS_MAX + 1)) {
            xeno_json_set_str(obj, "next", last);
            break;
        }
        xeno_run_info(s->run, info);
        info->lost = s->lost;
        bytes += 160 * (info->ntasks + 1);
        xeno_json_append(arr, xeno_task_session_json(info));
        last = s->id;
    }
    xeno_json_set(obj, "sessions", arr);
    *ret = obj;
    return 0;
}

/* --- one task or exec --- */

struct target {
    struct session *s;
    struct xeno_run_task *t; /* NULL for an exec */
    int pidfd;
    int64_t pid; /* of an exec */
};

static int find_target(struct taskd *d, const struct xeno_task_request *q, struct target *ret,
                       struct xeno_err *err)
{
    struct target to = { .s = session_find(d, q->session), .pidfd = -1 };

    if (!to.s || !to.s->run || !to.s->drv)
        return xeno_fail(err, -ENOENT, "run.unknown", "there is no session %s", q->session);
    if (q->exec[0]) {
        if (!exec_find(d, q->session, q->exec, &to.pidfd, &to.pid))
            return xeno_fail(err, -ENOENT, "task.unknown", "no exec '%s' runs in session %s",
                             q->exec, q->session);
    } else {
        to.t = xeno_run_find(to.s->run, q->task);
        if (!to.t)
            return xeno_fail(err, -ENOENT, "task.unknown", "session %s has no task '%s'",
                             q->session, q->task);
    }
    *ret = to;
    return 0;
}

static int need_running(const struct target *to, struct xeno_err *err)
{
    if (to->t && (!to->t->started || to->t->ended || !to->s->run->this_boot))
        return xeno_fail(err, -ESRCH, "task.ended", "task '%s' does not run", to->t->name);
    return 0;
}

static int signal_target(struct taskd *d, const struct target *to, int signal, struct xeno_err *err)
{
    if (to->t)
        return to->s->drv->signal(&d->host, to->s->run, to->t, signal, err);
    if (to->pidfd >= 0 && syscall(SYS_pidfd_send_signal, to->pidfd, signal, NULL, 0) < 0)
        return xeno_fail_errno(err, -errno, "task.signal", "signal the program");
    return 0;
}

/* The terminal of an exec is not kept here, or the program would not notice when its user goes
 * away: it is found as the program's own standard input. */
static int winch_target(struct taskd *d, const struct target *to, const struct xeno_task_request *q,
                        struct xeno_err *err)
{
    struct winsize size = { .ws_col = (unsigned short)q->cols, .ws_row = (unsigned short)q->rows };
    xeno_autofree char *path = NULL;
    xeno_autoclose int fd = -1;

    if (to->t)
        return to->s->drv->winch(&d->host, to->s->run, to->t, (int)q->cols, (int)q->rows, err);
    if (to->pid == 0)
        return 0;
    path = xeno_asprintf("/proc/%lld/fd/0", (long long)to->pid);
    fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || !isatty(fd) || ioctl(fd, TIOCSWINSZ, &size) < 0)
        return xeno_fail_errno(err, -errno, "task.winch", "resize the terminal of exec '%s'",
                               q->exec);
    return 0;
}

static int open_log(const struct target *to, int *ret_fd, struct xeno_err *err)
{
    xeno_autofree char *path = xeno_run_path(to->s->run, "tasks/%s/log", to->t->name);

    *ret_fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (*ret_fd < 0)
        return xeno_fail_errno(err, -errno, "task.logs", "open the log of task '%s'", to->t->name);
    return 0;
}

static int one_target(struct taskd *d, const struct xeno_task_request *q, int *ret_fd,
                      struct xeno_err *err)
{
    struct target to = { .pidfd = -1 };
    int r;

    r = find_target(d, q, &to, err);
    if (r < 0)
        return r;
    if (q->op == XENO_TASK_LOGS)
        return open_log(&to, ret_fd, err);
    r = need_running(&to, err);
    if (r < 0)
        return r;
    if (q->op == XENO_TASK_SIGNAL)
        return signal_target(d, &to, (int)q->signal, err);
    if (q->op == XENO_TASK_WINCH)
        return winch_target(d, &to, q, err);
    return to.s->drv->attach(&d->host, to.s->run, to.t, ret_fd, err);
}

void op_query(struct taskd *d, struct peer *p, struct xeno_task_request *q)
{
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_json *ok = NULL;
    int fd = -1, r;

    switch (q->op) {
    case XENO_TASK_DESCRIBE:
        r = describe(d, &ok);
        break;
    case XENO_TASK_USAGE:
        r = usage(d, q->after, &ok);
        break;
    case XENO_TASK_LIST:
        r = list(d, q->after, &ok);
        break;
    default:
        r = one_target(d, q, &fd, &err);
    }
    if (r < 0)
        reply_error(p, q->id, &err);
    else
        reply_ok(p, q->id, ok, &fd, fd >= 0 ? 1 : 0);
    xeno_task_request_free(q);
}
