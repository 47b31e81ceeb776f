/* src/taskd/spare.c - writable layers made ahead, in quiet moments.
 *
 * Most of the time that building a session takes goes into its disk: attaching a loop device and
 * mounting wait for RCU grace periods of the kernel. So after a session of some size has been
 * built, one more layer of that size is made for the next one. At most SPARES_MAX are kept, of the
 * sizes asked for last; each is a sparse file of half a megabyte, a loop device and a mount without
 * a place. What is sold does not change: a session's disk is counted by what was admitted.
 *
 * The mount and the loop device go with the last descriptor, so nothing of a spare outlives a
 * killed daemon but its file, and those are removed at start and at the end.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "task/rootfs.h"
#include "taskd/taskd.h"

#define SPARES_MAX 4
#define QUIET_US   (20 * 1000) /* after the last work; a start is its own session's */
#define MAKE_S     60

struct spare {
    struct spare *next; /* the one asked for last comes first */
    int64_t bytes;
    struct xeno_rootfs_spare layer;
};

static void spare_free(struct spare *s)
{
    if (!s)
        return;
    if (s->layer.mount >= 0)
        close(s->layer.mount);
    unlink(s->layer.image); /* of one that was taken there is none by that name */
    free(s->layer.image);
    free(s);
}

/* Out of the list, the caller's; NULL: there is none. */
static struct spare *take(struct taskd *d, int64_t bytes)
{
    for (struct spare **at = &d->spares; *at; at = &(*at)->next) {
        struct spare *s = *at;

        if (s->bytes != bytes)
            continue;
        *at = s->next;
        s->next = NULL;
        return s;
    }
    return NULL;
}

static void trim(struct taskd *d, size_t most)
{
    struct spare **at = &d->spares;

    while (*at && most-- > 0)
        at = &(*at)->next;
    while (*at) {
        struct spare *s = *at;

        *at = s->next;
        spare_free(s);
    }
}

/* --- making one --- */

static int make_job(struct taskd *d, void *arg, struct xeno_task_channel *ch, struct xeno_err *err)
{
    struct spare *s = arg;
    xeno_autofree char *pool = xeno_asprintf("%s/pool", d->conf.dir);
    int fd = xeno_rootfs_spare_make(pool, s->layer.image, s->bytes, err);

    if (fd < 0)
        return fd;
    ch->running(ch, 0, &fd, 1);
    return 0;
}

static void made(struct taskd *d, void *arg, int64_t pid, int *fds, size_t nfds)
{
    struct spare *s = arg;

    (void)d;
    (void)pid;
    for (size_t i = 0; i < nfds; i++) {
        if (s->layer.mount < 0)
            s->layer.mount = fds[i];
        else
            close(fds[i]);
    }
}

static void make_done(struct taskd *d, void *arg, int value, const struct xeno_err *err)
{
    struct spare *s = arg;

    (void)value;
    d->spare_making = false;
    if (err || s->layer.mount < 0) {
        if (err)
            xeno_log_err(LOG_NOTICE, "spare.failed", err, "bytes=%lld", (long long)s->bytes);
        spare_free(s);
        return;
    }
    s->next = d->spares;
    d->spares = s;
    trim(d, SPARES_MAX);
}

static const struct job_kind make_kind = {
    .fn = make_job, .done = make_done, .running = made, .timeout_s = MAKE_S
};

static int on_quiet(sd_event_source *source, uint64_t usec, void *data)
{
    static unsigned number;
    struct taskd *d = data;
    struct spare *s;

    if (d->lines[JOB_WORK].count > 0 || d->spare_making) {
        sd_event_source_set_time(source, usec + QUIET_US);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    }
    s = take(d, d->spare_bytes);
    if (s) { /* there is one: it is of the size asked for last now */
        s->next = d->spares;
        d->spares = s;
        return 0;
    }
    trim(d, SPARES_MAX - 1);
    s = xeno_new0(struct spare);
    s->bytes = d->spare_bytes;
    s->layer.mount = -1;
    /* A name that no job of an earlier daemon, which may still be at work, can take from it. */
    s->layer.image = xeno_asprintf("%s/pool/.spare-%d-%u", d->conf.dir, (int)getpid(), ++number);
    d->spare_making = true;
    job_start(d, &make_kind, s);
    return 0;
}

void spare_want(struct taskd *d, int64_t bytes)
{
    uint64_t now;

    d->spare_bytes = bytes;
    sd_event_now(d->loop, CLOCK_MONOTONIC, &now);
    if (!d->spare_timer) {
        (void)sd_event_add_time(d->loop, &d->spare_timer, CLOCK_MONOTONIC, now + QUIET_US, 1000,
                                on_quiet, d);
        return;
    }
    sd_event_source_set_time(d->spare_timer, now + QUIET_US);
    sd_event_source_set_enabled(d->spare_timer, SD_EVENT_ONESHOT);
}

/* --- giving one away --- */

struct spare *spare_take(struct taskd *d, int64_t bytes)
{
    return take(d, bytes);
}

const struct xeno_rootfs_spare *spare_layer(const struct spare *s)
{
    return s ? &s->layer : NULL;
}

void spare_given(struct spare *s)
{
    spare_free(s);
}

/* --- the ends --- */

void spares_sweep(struct taskd *d)
{
    xeno_autofree char *path = xeno_asprintf("%s/pool", d->conf.dir);
    DIR *dir = opendir(path);
    struct dirent *e;

    while (dir && (e = readdir(dir)))
        if (strncmp(e->d_name, ".spare-", 7) == 0)
            unlinkat(dirfd(dir), e->d_name, 0);
    if (dir)
        closedir(dir);
}

void spares_close(struct taskd *d)
{
    sd_event_source_disable_unref(d->spare_timer);
    d->spare_timer = NULL;
    trim(d, 0);
}
