/* src/imaged/open.c - put the parts together, and take them apart. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "imaged/imaged.h"

char *imaged_path(const struct imaged *d, const char *fmt, ...)
{
    xeno_autofree char *rest = NULL;
    va_list ap;

    va_start(ap, fmt);
    rest = xeno_vasprintf(fmt, ap);
    va_end(ap);
    return xeno_asprintf("%s/%s", d->opt.dir, rest);
}

static int lock_dir(struct imaged *d, struct xeno_err *err)
{
    xeno_autofree char *path = imaged_path(d, "lock");
    int r = xeno_mkdirs(AT_FDCWD, d->opt.dir, 0755, err);

    if (r < 0)
        return r;
    d->lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (d->lock < 0)
        return xeno_fail_errno(err, -errno, "agent.dir", "open '%s'", path);
    if (xeno_lock(d->lock, XENO_LOCK_RESTART_MS) < 0)
        return xeno_fail(err, -EBUSY, "agent.dir", "another xeno-imaged works in '%s'", d->opt.dir);
    return 0;
}

int imaged_open(struct imaged *d, struct xeno_err *err)
{
    int r = lock_dir(d, err);

    if (r == 0)
        r = memory_open(d, err);
    if (r < 0)
        return r;
    who_look(d);
    r = sd_event_default(&d->loop);
    if (r < 0)
        return xeno_fail_errno(err, r, "agent.loop", "make an event loop");
    return peers_listen(d, err);
}

/* --- serving --- */

static void each_second(void *user)
{
    who_look(user);
    collect_tick(user);
}

static void reload(void *user)
{
    struct imaged *d = user;
    struct imaged_options fresh = { .dir = NULL };
    struct xeno_conf_ask ask;
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_conf_args(&imaged_program, &fresh, d->argc, d->argv, &ask, &err) < 0) {
        xeno_log_err(LOG_ERR, "config.reload", &err, "kept=old");
    } else {
        pthread_mutex_lock(&d->mutex);
        xeno_conf_take(imaged_program.items, imaged_program.count, &d->opt, &fresh);
        pthread_mutex_unlock(&d->mutex);
        d->generation++;
        xeno_log_init("xeno-imaged", d->opt.debug ? LOG_DEBUG : LOG_INFO);
        xeno_log(LOG_NOTICE, "config.reloaded", "registries=\"%s\"",
                 d->opt.registries ? d->opt.registries : "");
    }
    xeno_conf_release(imaged_program.items, imaged_program.count, &fresh);
}

int imaged_start(struct imaged *d, struct xeno_err *err)
{
    struct xeno_daemon_loop_opts opts = {
        .event = d->loop, .reload = reload, .second = each_second, .user = d
    };
    int r = work_open(d, err);

    if (r == 0)
        r = xeno_daemon_loop_new(&opts, &d->basics, err);
    if (r < 0)
        return r;
    xeno_log(LOG_NOTICE, "start", "version=%s socket=%s images=%u layers=%u", xeno_version(),
             d->opt.socket, HASH_COUNT(d->images), HASH_COUNT(d->layers));
    return 0;
}

/* What is at work is finished: that is bounded by the registries' pace. */
void imaged_release(struct imaged *d)
{
    work_close(d);
    peers_close(d);
    xeno_daemon_loop_free(d->basics);
    repos_close(d);
    memory_close(d);
    who_close(d);
    sd_event_unref(d->loop);
    if (d->lock >= 0)
        close(d->lock);
    xeno_conf_release(imaged_program.items, imaged_program.count, &d->opt);
}
