/* src/taskd/main.c - the task manager: holds rights, faces no network, does what its protocol says.
 */
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "image/unpack.h"
#include "taskd/check.h"
#include "taskd/options.h"
#include "taskd/remove.h"
#include "taskd/taskd.h"

bool driver_usable(const struct taskd *d, const struct xeno_task_driver *drv)
{
    for (size_t i = 0; xeno_task_drivers[i]; i++)
        if (xeno_task_drivers[i] == drv)
            return d->usable[i];
    return false;
}

/* --- what is there --- */

/* Folders that containers' own root must pass through belong to its group, and nobody else enters.
 */
static int make_folders(struct taskd *d, struct xeno_err *err)
{
    static const char *const below[] = { "", "/sessions", "/pool" };

    for (size_t i = 0; i < XENO_LEN(below); i++) {
        xeno_autofree char *path = xeno_asprintf("%s%s", d->conf.dir, below[i]);
        int r = xeno_mkdirs(AT_FDCWD, path, 0710, err);

        if (r < 0)
            return r;
        if (geteuid() == 0 && (chown(path, 0, XENO_SUBID_BASE) < 0 || chmod(path, 0710) < 0))
            return xeno_fail_errno(err, -errno, "taskd.dir", "set the owner of '%s'", path);
    }
    return 0;
}

int lock_folder(struct taskd *d, struct xeno_err *err)
{
    xeno_autofree char *path = xeno_asprintf("%s/lock", d->conf.dir);

    d->lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (d->lock < 0)
        return xeno_fail_errno(err, -errno, "taskd.dir", "open '%s'", path);
    if (xeno_lock(d->lock, XENO_LOCK_RESTART_MS) < 0)
        return xeno_fail(err, -EBUSY, "taskd.dir", "another xeno-taskd works in '%s'", d->conf.dir);
    return 0;
}

/* The folder of a program of ours: beside us when installed, in a neighbouring folder in a build
 * tree. The caller's; NULL: in none of `places`, which begin with our own folder. */
static char *find_beside(const char *const *places, size_t count, const char *program)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    const char *dir;

    self[n > 0 ? n : 0] = '\0';
    dir = dirname(self);
    for (size_t i = 0; i < count; i++) {
        char *path = xeno_asprintf("%s/%s", dir, places[i]);
        xeno_autofree char *helper = xeno_asprintf("%s/%s", path, program);

        if (access(helper, X_OK) == 0)
            return path;
        free(path);
    }
    return NULL;
}

static char *find_helpers(void)
{
    static const char *const places[] = { ".", "../task", "../libexec/xeno" };
    char *path = find_beside(places, XENO_LEN(places), "xeno-crun");

    return path ? path : xeno_strdup(XENO_LIBEXEC);
}

static char *find_cowfs(void)
{
    static const char *const places[] = { ".", "../cowfs" };
    xeno_autofree char *path = find_beside(places, XENO_LEN(places), "xeno-cowfs");

    return path ? xeno_asprintf("%s/xeno-cowfs", path) : NULL;
}

static void probe_drivers(struct taskd *d)
{
    struct xeno_err err;

    for (size_t i = 0; xeno_task_drivers[i]; i++) {
        err = (struct xeno_err)XENO_ERR_INIT;
        d->usable[i] = xeno_task_drivers[i]->probe(&d->host, &err) == 0;
        strcpy(d->why_not[i], err.text);
        if (!d->usable[i])
            xeno_log_err(LOG_NOTICE, "driver.unusable", &err, "driver=%s",
                         xeno_task_drivers[i]->name);
    }
}

static int open_kernel(struct taskd *d, struct xeno_err *err)
{
    int r;

    if (geteuid() != 0)
        return 0; /* the null driver needs nothing */
    if (d->checking) {
        xeno_auto(xeno_cgroups) before = NULL;

        d->grouped = xeno_cgroups_find(d->conf.instance, &before, NULL) == 0;
    }
    r = xeno_cgroups_open(d->conf.instance, &d->host.cgroups, err);
    if (r < 0 || d->checking) /* after a look no bridge stays */
        return r;
    return network_open(d, err);
}

static int open_all(struct taskd *d, struct xeno_err *err)
{
    int r;

    r = make_folders(d, err);
    if (r == 0)
        r = lock_folder(d, err);
    if (r < 0)
        return r;
    d->host.instance = d->conf.instance;
    d->host.dir = d->conf.dir;
    d->host.images = d->conf.images;
    d->host.cache = d->conf.cache;
    d->host.libexec = find_helpers();
    d->host.cowfs = find_cowfs();
    d->host.pieces = d->conf.pieces;
    d->host.pieces_bytes = d->conf.pieces_bytes;
    d->host.imaged = d->conf.imaged;
    d->host.imaged_store = d->conf.imaged_store;
    d->host.resolv_conf = NULL;
    r = open_kernel(d, err);
    if (r == 0)
        probe_drivers(d);
    return r;
}

/* What no part of us ever needs; containers get theirs in user namespaces of their own, where the
 * bounding set is whole again. */
static int drop_rights(struct xeno_err *err)
{
    static const int unwanted[] = {
        CAP_AUDIT_CONTROL, CAP_AUDIT_READ,       CAP_BLOCK_SUSPEND,  CAP_CHECKPOINT_RESTORE,
        CAP_IPC_LOCK,      CAP_IPC_OWNER,        CAP_LEASE,          CAP_LINUX_IMMUTABLE,
        CAP_MAC_ADMIN,     CAP_MAC_OVERRIDE,     CAP_PERFMON,        CAP_SYSLOG,
        CAP_SYS_BOOT,      CAP_SYS_MODULE,       CAP_SYS_NICE,       CAP_SYS_PACCT,
        CAP_SYS_RAWIO,     CAP_SYS_TIME,         CAP_SYS_TTY_CONFIG, CAP_WAKE_ALARM,
        CAP_NET_BROADCAST, CAP_NET_BIND_SERVICE,
    };

    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (geteuid() != 0)
        return 0;
    if (capng_get_caps_process() < 0)
        return xeno_fail(err, -EIO, "taskd.rights", "cannot read our capabilities");
    for (size_t i = 0; i < XENO_LEN(unwanted); i++)
        capng_update(CAPNG_DROP,
                     CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE | CAPNG_BOUNDING_SET,
                     (unsigned)unwanted[i]);
    if (capng_apply(CAPNG_SELECT_BOTH) != 0)
        return xeno_fail(err, -EPERM, "taskd.rights", "cannot give up capabilities");
    return 0;
}

/* --- the program --- */

/* Refused and left over are told apart, for whoever calls us from a script. */
static int remove_code(int r)
{
    return r == 0 ? EXIT_SUCCESS : r == -EBUSY ? REMOVE_REFUSED : EXIT_FAILURE;
}

static int make_loop(struct taskd *d)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (sd_event_new(&d->loop) < 0)
        return -ENOMEM;
    sd_event_add_signal(d->loop, NULL, SIGTERM, NULL, NULL); /* ends the loop */
    sd_event_add_signal(d->loop, NULL, SIGINT, NULL, NULL);
    sd_event_set_watchdog(d->loop, 1);
    return 0;
}

static int serve(struct taskd *d, struct xeno_err *err)
{
    int r;

    r = make_loop(d);
    if (r < 0)
        return xeno_fail_errno(err, r, "taskd.loop", "make the event loop");
    r = drop_rights(err);
    if (r == 0)
        rouse_open(d);
    if (r == 0)
        r = adopt(d, err);
    if (r == 0)
        r = peers_listen(d, err);
    if (r < 0)
        return r;
    sd_notify(0, "READY=1");
    xeno_log(LOG_NOTICE, "taskd.ready", "instance=%s socket=%s sessions=%u", d->conf.instance,
             d->conf.socket, HASH_COUNT(d->sessions));
    r = sd_event_loop(d->loop);
    xeno_log(LOG_NOTICE, "taskd.end", "instance=%s", d->conf.instance);
    peers_close(d);
    return r < 0 ? xeno_fail_errno(err, r, "taskd.loop", "run the event loop") : 0;
}

static void release(struct taskd *d)
{
    struct session *s, *next;

    HASH_ITER (hh, d->sessions, s, next) {
        HASH_DEL(d->sessions, s);
        sd_event_source_disable_unref(s->oom);
        sd_event_source_disable_unref(s->oom_check);
        sd_event_source_disable_unref(s->server);
        xeno_run_free(s->run);
        free(s);
    }
    sd_event_source_disable_unref(d->exits_source);
    sd_event_source_disable_unref(d->tick);
    spares_close(d);
    sd_event_unref(d->loop);
    network_close(d);
    rouse_close(d);
    xeno_cgroups_free(d->host.cgroups);
    free((char *)d->host.libexec);
    free((char *)d->host.cowfs);
    if (d->lock >= 0)
        close(d->lock);
}

int main(int argc, char **argv)
{
    static struct taskd d = {
        .lock = -1,
        .listener = -1,
        .netns_host = -1,
        .netns_own = -1,
        .exits = -1,
    };
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_conf_ask ask = { .todo = XENO_CONF_RUN };
    int code = EXIT_FAILURE, r;
    bool tried = false; /* to open: the configuration is right */

    xeno_log_init("xeno-taskd", LOG_INFO);
    r = xeno_conf_args(&taskd_program, &d.conf, argc, argv, &ask, &err);
    if (r == 0 && ask.todo != XENO_CONF_DONE)
        r = options_complete(&d.conf, &err);
    if (r == 0 && ask.todo != XENO_CONF_DONE) {
        if (d.conf.verbose)
            xeno_log_init("xeno-taskd", LOG_DEBUG);
        umask(0077);
        tried = true;
        d.checking = ask.todo == XENO_CONF_CHECK;
        r = ask.todo == XENO_CONF_VERB ? remove_instance(&d, &err) : open_all(&d, &err);
    }
    if (ask.todo == XENO_CONF_VERB)
        code = remove_code(r);
    else if (ask.todo == XENO_CONF_CHECK && tried) {
        code = taskd_check(&d, &err);
        if (d.host.cgroups && !d.grouped)
            xeno_cgroups_remove(d.host.cgroups, NULL);
        err = (struct xeno_err)XENO_ERR_INIT; /* is told */
    } else if (r == 0)
        code = ask.todo == XENO_CONF_DONE || serve(&d, &err) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    if (err.code < 0)
        xeno_log_err(LOG_ERR, "taskd.failed", &err, "instance=%s",
                     d.conf.instance ? d.conf.instance : "");
    release(&d);
    xeno_conf_release(taskd_program.items, taskd_program.count, &d.conf);
    return code;
}
