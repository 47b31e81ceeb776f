/* src/taskd/commit.c - the writable layer of a session as a tar, to whoever asked.
 *
 *     xenod <--packets-- job <--frames-- child without rights --reads--> SESSION/upper/data
 *
 * The picture must be of one moment: the session is frozen while it is read, and goes on after,
 * unless it was paused; one that is stopped has nobody to write. The reader decides how long that
 * takes, so anything else that is asked of the session ends it (op_slow), and so do an hour and two
 * minutes in which nothing is taken. It ends with the daemon, too: whoever finds the session next
 * (adopt.c, or commit_done() here when only the job was killed) sets it to what its folder says.
 *
 * Commits have no turn among the other jobs, which they would keep waiting, but a bound of their
 * own.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "image/upper.h"
#include "taskd/taskd.h"

#define COMMITS_MAX 8
#define COMMIT_S    3600
#define STALL_S     120

/* --- in the job --- */

struct reader {
    int fd; /* of the packets; -1: nobody has been answered yet */
    char packet[XENO_TASK_LAYER_PACKET];
};

static int send_packet(struct reader *to, enum xeno_task_layer_packet kind, const void *data,
                       size_t len)
{
    ssize_t n;

    to->packet[0] = (char)kind;
    memcpy(to->packet + 1, data, len);
    do {
        n = send(to->fd, to->packet, len + 1, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

static int on_bytes(void *arg, const void *data, size_t len, struct xeno_err *err)
{
    struct reader *to = arg;

    for (const char *at = data; len > 0;) {
        size_t n = len < sizeof to->packet - 1 ? len : sizeof to->packet - 1;
        int r = send_packet(to, XENO_TASK_LAYER_DATA, at, n);

        if (r < 0)
            return xeno_fail_errno(err, r == -EAGAIN ? -ETIMEDOUT : r, "task.commit",
                                   "hand over the layer");
        at += n;
        len -= n;
    }
    return 0;
}

static void send_last(struct reader *to, const struct xeno_unpacked *done,
                      const struct xeno_err *err)
{
    xeno_auto(xeno_json) j = xeno_json_object();
    xeno_autofree char *text = NULL;
    size_t len;

    if (err) {
        xeno_json_set_str(j, "token", err->token);
        xeno_json_set_str(j, "text", err->text);
        xeno_json_set_int(j, "errno", -err->code);
    } else {
        xeno_json_set_str(j, "digest", done->diff_id);
        xeno_json_set_int(j, "bytes", done->tar_bytes);
        xeno_json_set_int(j, "entries", done->entries);
    }
    text = xeno_json_format(j, false, &len);
    (void)send_packet(to, err ? XENO_TASK_LAYER_ERROR : XENO_TASK_LAYER_END, text, len);
}

/* A socket that keeps packets whole; the peer's end goes to it, with how much is to come. */
static int answer(struct xeno_task_channel *ch, int64_t bytes, struct reader *ret,
                  struct xeno_err *err)
{
    const struct timeval stall = { .tv_sec = STALL_S };
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return xeno_fail_errno(err, -errno, "task.commit", "make a socket");
    (void)setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &stall, sizeof stall);
    ret->fd = pair[0];
    ch->running(ch, bytes, &pair[1], 1); /* takes it */
    return 0;
}

static int read_layer(struct taskd *d, const struct xeno_task_driver *drv, struct xeno_run *run,
                      struct xeno_task_channel *ch, struct reader *to, struct xeno_unpacked *ret,
                      struct xeno_err *err)
{
    xeno_autoclose int mounted = -1, dir = -1; /* closed from the last to the first */
    struct xeno_upper_opts o = { .own = geteuid() != 0 };
    int r = drv->layer(&d->host, run, &dir, &mounted, err);

    o.dirfd = dir;
    if (r == 0)
        r = xeno_upper_check(&o, ret, err);
    if (r == 0)
        r = answer(ch, ret->disk_bytes, to, err);
    return r < 0 ? r : xeno_upper_pack(&o, on_bytes, to, ret, err);
}

/* Freeze the session, or set it to what its folder says. */
static int set_frozen(struct taskd *d, const struct xeno_task_driver *drv, struct xeno_run *run,
                      bool frozen, struct xeno_err *err)
{
    if (run->stage != XENO_RUN_READY || (frozen && run->paused))
        return 0;
    return drv->pause(&d->host, run, frozen || run->paused, err);
}

static int commit_job(struct taskd *d, void *arg, struct xeno_task_channel *ch,
                      struct xeno_err *err)
{
    struct work *w = arg;
    const struct xeno_task_driver *drv = w->session->drv;
    xeno_autofree struct reader *to = xeno_new0(struct reader);
    xeno_auto(xeno_run) run = NULL;
    xeno_autoclose int lock = -1;
    struct xeno_unpacked done = { .entries = 0 };
    struct xeno_err late = XENO_ERR_INIT;
    int r;

    to->fd = -1;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    r = work_load(d, w, &run, &lock, err);
    if (r == 0)
        r = set_frozen(d, drv, run, true, err);
    if (r == 0)
        r = read_layer(d, drv, run, ch, to, &done, err);
    if (run && set_frozen(d, drv, run, false, &late) < 0 && r == 0)
        r = xeno_fail(err, late.code, late.token, "%s", late.text);
    if (to->fd >= 0) { /* last of all: whoever has it whole has a session that goes on */
        send_last(to, &done, r < 0 ? err : NULL);
        close(to->fd);
    }
    return r;
}

static int thaw_job(struct taskd *d, void *arg, struct xeno_task_channel *ch, struct xeno_err *err)
{
    struct work *w = arg;
    xeno_auto(xeno_run) run = NULL;
    xeno_autoclose int lock = -1;
    int r = work_load(d, w, &run, &lock, err);

    (void)ch;
    return r < 0 ? r : set_frozen(d, w->session->drv, run, false, err);
}

/* --- in the daemon --- */

static void commit_running(struct taskd *d, void *arg, int64_t bytes, int *fds, size_t nfds)
{
    struct work *w = arg;
    struct xeno_json *ok = xeno_json_object();

    (void)d;
    xeno_json_set_int(ok, "bytes", bytes);
    reply_ok(w->peer, w->q->id, ok, fds, nfds);
    w->peer = NULL;
}

static void thaw_done(struct taskd *d, void *arg, int value, const struct xeno_err *why)
{
    struct work *w = arg;

    (void)value;
    if (why)
        xeno_log_err(LOG_ERR, "commit.thaw", why, "session=%s", w->session->id);
    work_end(d, w, NULL, &w->err);
}

/* Not one among many that wait: until then the session stands still. */
static const struct job_kind thaw_kind = {
    .fn = thaw_job, .done = thaw_done, .timeout_s = 120, .at_once = true
};

static void commit_done(struct taskd *d, void *arg, int value, const struct xeno_err *why)
{
    struct work *w = arg;

    (void)value;
    d->ncommits--;
    session_reload(d, w->session);
    if (why && w->session->run && w->session->drv) {
        w->err = *why;
        job_start(d, &thaw_kind, w);
        return;
    }
    if (!why)
        xeno_log(LOG_INFO, "session.committed", "session=%s", w->session->id);
    work_end(d, w, NULL, why);
}

static const struct job_kind commit_kind = { .fn = commit_job,
                                             .done = commit_done,
                                             .running = commit_running,
                                             .timeout_s = COMMIT_S,
                                             .at_once = true };

bool session_committing(const struct session *s)
{
    return s->first && s->first->q->op == XENO_TASK_COMMIT;
}

void begin_commit(struct taskd *d, struct work *w)
{
    const struct xeno_run *run = w->session->run;
    bool ready = run && run->stage == XENO_RUN_READY && run->this_boot;

    if (!run || !w->session->drv)
        work_fail(d, w, -ENOENT, "run.unknown", "does not exist");
    else if (!ready && run->stage != XENO_RUN_STOPPED)
        work_fail(d, w, -EBUSY, "task.stage", "has no writable layer at rest now");
    else if (!w->session->drv->layer)
        work_fail(d, w, -ENOTSUP, "task.commit", "is of a driver that keeps no files");
    else if (w->next)
        work_fail(d, w, -EBUSY, "task.busy", "was asked for something else, too");
    else if (d->ncommits >= COMMITS_MAX)
        work_fail(d, w, -EBUSY, "task.busy", "has to wait: as many as may be are being committed");
    else {
        d->ncommits++;
        job_start(d, &commit_kind, w);
    }
}
