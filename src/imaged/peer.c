/* src/imaged/peer.c - connections: requests in, replies and bytes out. */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <utlist.h>

#include "base/log.h"
#include "imaged/imaged.h"
#include "rpc/listen.h"
#include "rpc/message.h"

#define FRAMES_A_TURN 16
#define OF_ONE_MAX    128 /* connections of one process */

struct peer {
    struct peer *prev, *next;
    struct imaged *d;
    struct xeno_frames *frames;
    sd_event_source *io;
    pid_t pid;
    size_t open;   /* requests without an answer */
    size_t unsent; /* as it was added to the sum */
    bool broken;   /* to be closed from the loop, not from within a reply */
};
struct peers {
    int listener;
    sd_event_source *accept;
    struct peer *list;
    size_t count;
    atomic_size_t unsent; /* bytes that wait for slow readers */
};

size_t peers_unsent(const struct imaged *d)
{
    return d->peers ? atomic_load(&d->peers->unsent) : 0;
}

pid_t peer_pid(const struct peer *p)
{
    return p->pid;
}

/* --- sending --- */

/* Who has enough under way is not listened to. */
static void watch(struct peer *p)
{
    uint32_t events = p->open < XENO_AGENT_OPEN_MAX ? EPOLLIN : 0u;
    size_t unsent = xeno_frames_queued(p->frames);

    if (xeno_frames_pending(p->frames) || p->broken)
        events |= EPOLLOUT;
    sd_event_source_set_io_events(p->io, events);
    atomic_fetch_add(&p->d->peers->unsent, unsent - p->unsent);
    if (unsent < p->unsent)
        work_room(p->d);
    p->unsent = unsent;
}

static bool send_json(struct peer *p, struct xeno_json *msg, struct xeno_err *err)
{
    size_t len;
    xeno_autofree char *text = xeno_json_format(msg, false, &len);

    return xeno_frames_write(p->frames, text, len, NULL, 0, err) >= 0;
}

void peer_reply(struct peer *p, int64_t id, struct xeno_json *ok, char *data, size_t len)
{
    xeno_auto(xeno_json) msg = xeno_rpc_ok(id, ok);
    struct xeno_err err = XENO_ERR_INIT;

    p->open--;
    if (p->broken || !send_json(p, msg, &err)) {
        p->broken = true;
        free(data);
    } else if (data) {
        p->broken = xeno_frames_write_bytes(p->frames, data, len, &err) < 0;
    }
    if (err.code < 0 && err.code != -EPIPE)
        xeno_log_err(LOG_WARNING, "peer.send", &err, "pid=%d", (int)p->pid);
    watch(p);
}

void peer_refuse(struct peer *p, int64_t id, const struct xeno_err *why)
{
    xeno_auto(xeno_json) msg = xeno_rpc_error(id, why);
    struct xeno_err err = XENO_ERR_INIT;

    p->open--;
    p->broken |= !send_json(p, msg, &err);
    watch(p);
}

/* --- receiving --- */

static void close_peer(struct peer *p)
{
    struct imaged *d = p->d;

    DL_DELETE(d->peers->list, p);
    d->peers->count--;
    work_forget_peer(d, p);
    atomic_fetch_sub(&d->peers->unsent, p->unsent);
    work_room(d);
    sd_event_source_disable_unref(p->io);
    xeno_frames_free(p->frames);
    free(p);
}

/* Returns: 1 when there may be more, 0 when there is none, or a failure that ends the connection:
 * our peer is a program of ours, so what it would never send is an attack. */
static int read_one(struct peer *p, struct xeno_err *err)
{
    struct xeno_agent_request *q = NULL;
    xeno_autofree char *text = NULL;
    int fds[XENO_FRAME_FDS_MAX];
    size_t len, nfds = 0;
    int r = xeno_frames_read(p->frames, &text, &len, fds, &nfds, err);

    if (r <= 0)
        return r;
    if (nfds > 0) {
        while (nfds > 0)
            close(fds[--nfds]);
        return xeno_fail(err, -EPROTO, "agent.frame", "no request carries descriptors");
    }
    r = xeno_agent_request_parse(text, len, &q, err);
    if (r < 0)
        return r;
    p->open++;
    op_dispatch(p->d, p, q);
    return 1;
}

static int on_io(sd_event_source *s, int fd, uint32_t events, void *data)
{
    struct peer *p = data;
    struct xeno_err err = XENO_ERR_INIT;
    int r = p->broken ? -1 : 1;

    (void)s;
    (void)fd;
    if (r > 0 && (events & EPOLLOUT) && xeno_frames_flush(p->frames, &err) < 0)
        r = -1;
    for (int i = 0; r > 0 && i < FRAMES_A_TURN && !p->broken && p->open < XENO_AGENT_OPEN_MAX; i++)
        r = read_one(p, &err);
    if (r >= 0 && (events & (EPOLLHUP | EPOLLERR)) && p->open >= XENO_AGENT_OPEN_MAX)
        r = -1; /* nobody is there to read what is under way */
    if (r < 0) {
        if (err.code < 0 && err.code != -ECONNRESET && err.code != -EPIPE)
            xeno_log_err(LOG_WARNING, "peer.closed", &err, "pid=%d", (int)p->pid);
        close_peer(p);
        return 0;
    }
    watch(p);
    return 0;
}

/* --- accepting --- */

static bool is_ours(const struct ucred *who)
{
    return who->uid == geteuid() || who->uid == 0;
}

static size_t count_of(const struct peers *ps, pid_t pid)
{
    size_t n = 0;

    for (const struct peer *p = ps->list; p; p = p->next)
        n += p->pid == pid;
    return n;
}

static int on_accept(sd_event_source *s, int fd, uint32_t events, void *data)
{
    struct imaged *d = data;
    struct ucred who;
    xeno_autoclose int conn = xeno_rpc_accept(fd, &who);
    struct peer *p;

    (void)s;
    (void)events;
    if (conn < 0)
        return 0;
    if (!is_ours(&who) || d->peers->count >= IMAGED_PEERS_MAX ||
        count_of(d->peers, who.pid) >= OF_ONE_MAX) {
        xeno_log(LOG_WARNING, "peer.refused", "pid=%d uid=%u peers=%zu", (int)who.pid, who.uid,
                 d->peers->count);
        return 0;
    }
    p = xeno_new0(struct peer);
    p->d = d;
    p->pid = who.pid;
    p->frames = xeno_frames_new(xeno_take_fd(&conn), &XENO_AGENT_FRAMES);
    sd_event_add_io(d->loop, &p->io, xeno_frames_fd(p->frames), EPOLLIN, on_io, p);
    DL_APPEND(d->peers->list, p);
    d->peers->count++;
    return 0;
}

/* Anybody may reach the socket, and only ours are let in: root without its capabilities could not
 * open one that is ours alone. */
int peers_listen(struct imaged *d, struct xeno_err *err)
{
    int r;

    d->peers = xeno_new0(struct peers);
    d->peers->listener = -1;
    r = xeno_rpc_listen(d->opt.socket, 0666, "agent.socket", &d->peers->listener, err);
    if (r == 0)
        sd_event_add_io(d->loop, &d->peers->accept, d->peers->listener, EPOLLIN, on_accept, d);
    return r;
}

void peers_close(struct imaged *d)
{
    struct peers *ps = d->peers;

    if (!ps)
        return;
    while (ps->list)
        close_peer(ps->list);
    sd_event_source_disable_unref(ps->accept);
    if (ps->listener >= 0) {
        close(ps->listener);
        unlink(d->opt.socket);
    }
    d->peers = NULL;
    free(ps);
}
