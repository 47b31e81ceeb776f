/* src/taskd/peer.c - connections: frames in, replies and events out. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "rpc/listen.h"
#include "rpc/message.h"
#include "taskd/taskd.h"

#define FRAMES_A_TURN 32

struct peer {
    struct peer *next;
    struct taskd *daemon;
    struct xeno_frames *frames;
    sd_event_source *io;
    pid_t pid;
    bool broken; /* to be closed from the loop, not from within a reply */
};

/* --- sending --- */

static void watch(struct peer *p)
{
    sd_event_source_set_io_events(
        p->io, xeno_frames_pending(p->frames) || p->broken ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void send_json(struct peer *p, struct xeno_json *msg, const int *fds, size_t nfds)
{
    struct xeno_err err = XENO_ERR_INIT;
    size_t len;
    xeno_autofree char *text = xeno_json_format(msg, false, &len);

    if (xeno_frames_write(p->frames, text, len, fds, nfds, &err) < 0) {
        xeno_log_err(LOG_WARNING, "peer.send", &err, "pid=%d", (int)p->pid);
        p->broken = true;
    }
    watch(p);
}

void reply_ok(struct peer *p, int64_t id, struct xeno_json *ok, const int *fds, size_t nfds)
{
    xeno_auto(xeno_json) msg = xeno_rpc_ok(id, ok);

    if (p && !p->broken) {
        send_json(p, msg, fds, nfds);
        return;
    }
    for (size_t i = 0; i < nfds; i++)
        close(fds[i]);
}

void reply_error(struct peer *p, int64_t id, const struct xeno_err *err)
{
    xeno_auto(xeno_json) msg = xeno_rpc_error(id, err);

    if (p && !p->broken)
        send_json(p, msg, NULL, 0);
}

void send_event(struct taskd *d, const struct xeno_task_event *e)
{
    xeno_auto(xeno_json) msg = xeno_task_event_json(e);

    for (struct peer *p = d->peers; p; p = p->next)
        if (!p->broken)
            send_json(p, msg, NULL, 0);
}

/* --- receiving --- */

static void close_peer(struct peer *p)
{
    struct taskd *d = p->daemon;
    struct peer **at = &d->peers;

    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    d->npeers--;
    work_forget_peer(d, p);
    exec_forget_peer(d, p);
    sd_event_source_disable_unref(p->io);
    xeno_frames_free(p->frames);
    free(p);
}

static void dispatch(struct peer *p, struct xeno_task_request *q)
{
    switch (q->op) {
    case XENO_TASK_CREATE:
    case XENO_TASK_START:
    case XENO_TASK_PAUSE:
    case XENO_TASK_RESUME:
    case XENO_TASK_SNAPSHOT:
    case XENO_TASK_RESTORE:
    case XENO_TASK_RESIZE:
    case XENO_TASK_DESTROY:
    case XENO_TASK_COMMIT:
        op_slow(p->daemon, p, q);
        return;
    case XENO_TASK_EXEC:
        op_exec(p->daemon, p, q);
        return;
    default:
        op_query(p->daemon, p, q);
    }
}

/* Returns: 1 when there may be more, 0 when there is none, or a failure that ends the connection:
 * our peer is a program of ours, so what it would never send is an attack. */
static int read_one(struct peer *p, struct xeno_err *err)
{
    xeno_auto(xeno_task_request) q = NULL;
    xeno_autofree char *text = NULL;
    int fds[XENO_FRAME_FDS_MAX];
    size_t len, nfds = 0;
    int r;

    r = xeno_frames_read(p->frames, &text, &len, fds, &nfds, err);
    if (r <= 0)
        return r;
    if (nfds > 0) {
        while (nfds > 0)
            close(fds[--nfds]);
        return xeno_fail(err, -EPROTO, "task.frame", "no request carries descriptors");
    }
    r = xeno_task_request_parse(text, len, &q, err);
    if (r < 0)
        return r;
    dispatch(p, xeno_take(&q));
    return 1;
}

static int on_io(sd_event_source *s, int fd, uint32_t events, void *data)
{
    struct peer *p = data;
    struct xeno_err err = XENO_ERR_INIT;
    int r = 1;

    (void)s;
    (void)fd;
    if (p->broken)
        r = -1;
    if (r > 0 && (events & EPOLLOUT) && xeno_frames_flush(p->frames, &err) < 0)
        r = -1;
    for (int i = 0; r > 0 && i < FRAMES_A_TURN && !p->broken; i++)
        r = read_one(p, &err);
    if (r < 0) {
        if (err.code != -ECONNRESET)
            xeno_log_err(LOG_WARNING, "peer.closed", &err, "pid=%d", (int)p->pid);
        close_peer(p);
        return 0;
    }
    watch(p);
    return 0;
}

/* --- accepting --- */

static int on_accept(sd_event_source *s, int fd, uint32_t events, void *data)
{
    struct taskd *d = data;
    struct ucred who;
    xeno_autoclose int conn = xeno_rpc_accept(fd, &who);
    struct peer *p;

    (void)s;
    (void)events;
    if (conn < 0)
        return 0;
    if (who.uid != (uid_t)d->conf.peer_uid || d->npeers >= TASKD_PEERS_MAX) {
        xeno_log(LOG_WARNING, "peer.refused", "pid=%d uid=%u peers=%zu", (int)who.pid, who.uid,
                 d->npeers);
        return 0;
    }
    p = xeno_new0(struct peer);
    p->daemon = d;
    p->pid = who.pid;
    p->frames = xeno_frames_new(xeno_take_fd(&conn), &XENO_TASK_FRAMES);
    sd_event_add_io(d->loop, &p->io, xeno_frames_fd(p->frames), EPOLLIN, on_io, p);
    p->next = d->peers;
    d->peers = p;
    d->npeers++;
    if (d->host.cgroups)
        xeno_cgroups_favour(d->host.cgroups, who.pid);
    return 0;
}

int peers_listen(struct taskd *d, struct xeno_err *err)
{
    const char *path = d->conf.socket;
    int r = xeno_rpc_listen(path, 0600, "taskd.socket", &d->listener, err);

    if (r < 0)
        return r;
    if (geteuid() == 0 && chown(path, (uid_t)d->conf.peer_uid, (gid_t)-1) < 0)
        return xeno_fail_errno(err, -errno, "taskd.socket", "set the owner of '%s'", path);
    sd_event_add_io(d->loop, &d->accept, d->listener, EPOLLIN, on_accept, d);
    return 0;
}

void peers_close(struct taskd *d)
{
    while (d->peers)
        close_peer(d->peers);
    sd_event_source_disable_unref(d->accept);
    if (d->listener >= 0) {
        close(d->listener);
        unlink(d->conf.socket);
    }
}
