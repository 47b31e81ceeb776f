/* src/rpc/link.c - requests that wait for their answers, over a connection that comes back. */
#include "rpc/link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <uthash.h>

#include "rpc/message.h"

#define RETRY_MIN_US  UINT64_C(100000)
#define RETRY_MAX_US  UINT64_C(2000000)
#define ANSWER_US     UINT64_C(60000000)
#define FRAMES_A_TURN 64

/* A request that waits for its answer. */
struct open_request {
    int64_t id;
    struct xeno_rpc_link *link;
    struct xeno_rpc_ask ask;
    sd_event_source *timer;
    UT_hash_handle hh;
};

struct xeno_rpc_link {
    sd_event *loop;
    struct sockaddr_un address;
    struct xeno_rpc_opts opts;
    struct xeno_frames *frames; /* NULL: no connection */
    sd_event_source *io, *retry;
    uint64_t retry_us;
    int64_t next_id;
    struct open_request *open; /* by id */
    size_t nopen;
    int busy;    /* within calls back to the owner */
    bool ending; /* freed by one of them: goes when busy is zero */
};

static int try_connect(struct xeno_rpc_link *l);

/* --- open requests --- */

static void drop_request(struct open_request *o)
{
    struct xeno_rpc_link *l = o->link;

    HASH_DEL(l->open, o);
    l->nopen--;
    sd_event_source_disable_unref(o->timer);
    if (o->ask.drop)
        o->ask.drop(o->ask.data);
    free(o);
}

/* Tell the asker and forget; the link may be gone after. */
static void finish(struct open_request *o, const struct xeno_json_at *ok, int *fds, size_t nfds,
                   const struct xeno_err *err)
{
    xeno_rpc_done *done = o->ask.done;
    void *data = o->ask.data;

    o->ask.drop = NULL;
    drop_request(o);
    done(data, ok, fds, nfds, err);
}

static int on_timeout(sd_event_source *s, uint64_t usec, void *data)
{
    struct open_request *o = data;
    struct xeno_err err = XENO_ERR_INIT;

    (void)s;
    (void)usec;
    xeno_frames_fail(&o->link->opts.kind, -ETIMEDOUT, "timeout", &err, "%s did not answer in time",
                     o->link->opts.peer);
    finish(o, NULL, NULL, 0, &err);
    return 0;
}

/* --- the connection --- */

static int on_retry(sd_event_source *s, uint64_t usec, void *data)
{
    struct xeno_rpc_link *l = data;

    (void)s;
    (void)usec;
    l->retry = sd_event_source_disable_unref(l->retry);
    return try_connect(l);
}

static void plan_retry(struct xeno_rpc_link *l)
{
    sd_event_add_time_relative(l->loop, &l->retry, CLOCK_MONOTONIC, l->retry_us, 1000, on_retry, l);
    l->retry_us = l->retry_us * 2 > RETRY_MAX_US ? RETRY_MAX_US : l->retry_us * 2;
}

static void drop_all(struct xeno_rpc_link *l)
{
    while (l->open)
        drop_request(l->open);
    l->io = sd_event_source_disable_unref(l->io);
    l->retry = sd_event_source_disable_unref(l->retry);
    xeno_frames_free(xeno_take(&l->frames));
}

/* A callback may free the link: it then lasts until the last leave(). */
static void enter(struct xeno_rpc_link *l)
{
    l->busy++;
}

static void leave(struct xeno_rpc_link *l)
{
    if (--l->busy > 0 || !l->ending)
        return;
    sd_event_unref(l->loop);
    free(l);
}

/* Every open request fails, then the owner hears of it. */
static void lost(struct xeno_rpc_link *l, const struct xeno_err *why)
{
    struct xeno_err err = XENO_ERR_INIT;

    l->io = sd_event_source_disable_unref(l->io);
    xeno_frames_free(xeno_take(&l->frames));
    l->retry_us = RETRY_MIN_US;
    plan_retry(l);
    xeno_frames_fail(&l->opts.kind, -ENOTCONN, "away", &err, "the connection to %s was lost: %s",
                     l->opts.peer, why->text);
    while (l->open)
        finish(l->open, NULL, NULL, 0, &err);
    if (!l->ending && l->opts.state)
        l->opts.state(l->opts.data, false);
}

static int dispatch_reply(struct xeno_rpc_link *l, const struct xeno_json_at *top, int64_t id,
                          int *fds, size_t nfds, struct xeno_err *err)
{
    struct xeno_err why = XENO_ERR_INIT;
    struct open_request *o;
    struct xeno_json_at ok;
    int r;

    HASH_FIND(hh, l->open, &id, sizeof id, o);
    if (!o)
        return 0; /* it came after its time */
    r = xeno_rpc_reply_read(top, &ok, &why, err);
    if (r >= 0)
        finish(o, r == 0 ? &ok : NULL, fds, r == 0 ? nfds : 0, r == 0 ? NULL : &why);
    return r < 0 ? r : 0;
}

/* One message. The link may be gone after. */
static int dispatch(struct xeno_rpc_link *l, const char *text, size_t len, int *fds, size_t nfds,
                    struct xeno_err *err)
{
    xeno_auto(xeno_json) root = NULL;
    struct xeno_json_at top;
    int64_t id;
    int r;

    r = xeno_json_parse(text, len, l->opts.kind.frame_max, &root, err);
    if (r < 0)
        return r;
    top = xeno_json_top(root);
    r = xeno_json_int_opt(&top, "id", 0, INT64_MAX, &id, err);
    if (r < 0)
        return r;
    if (r == 0)
        return dispatch_reply(l, &top, id, fds, nfds, err);
    return l->opts.event ? l->opts.event(l->opts.data, &top, err) : 0;
}

/* Returns: 1 when there may be more, 0 when there is none, or a failure that ends the connection.
 */
static int read_one(struct xeno_rpc_link *l, struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    int fds[XENO_FRAME_FDS_MAX] = { -1, -1, -1, -1 };
    size_t len, nfds = 0;
    int r;

    r = xeno_frames_read(l->frames, &text, &len, fds, &nfds, err);
    if (r <= 0)
        return r;
    r = dispatch(l, text, len, fds, nfds, err);
    for (size_t i = 0; i < nfds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return r < 0 ? r : 1;
}

static void watch(struct xeno_rpc_link *l)
{
    sd_event_source_set_io_events(l->io,
                                  xeno_frames_pending(l->frames) ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static int on_io(sd_event_source *s, int fd, uint32_t events, void *data)
{
    struct xeno_rpc_link *l = data;
    struct xeno_err err = XENO_ERR_INIT;
    int r = 1;

    (void)s;
    (void)fd;
    enter(l);
    if (events & EPOLLOUT)
        r = xeno_frames_flush(l->frames, &err) < 0 ? -1 : 1;
    for (int i = 0; r > 0 && i < FRAMES_A_TURN && !l->ending; i++)
        r = read_one(l, &err);
    if (r < 0 && !l->ending)
        lost(l, &err);
    else if (!l->ending)
        watch(l);
    leave(l);
    return 0;
}

static int try_connect(struct xeno_rpc_link *l)
{
    xeno_autoclose int fd = -1;

    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* Blocks for as long as the other side's queue is full: it is short and we are its only peer.
     */
    if (fd < 0 || connect(fd, (struct sockaddr *)&l->address, sizeof l->address) < 0) {
        plan_retry(l);
        return 0;
    }
    l->frames = xeno_frames_new(xeno_take_fd(&fd), &l->opts.kind);
    l->retry_us = RETRY_MIN_US;
    sd_event_add_io(l->loop, &l->io, xeno_frames_fd(l->frames), EPOLLIN, on_io, l);
    enter(l);
    if (l->opts.state)
        l->opts.state(l->opts.data, true);
    leave(l);
    return 0;
}

/* --- the interface --- */

int xeno_rpc_link_new(sd_event *loop, const struct xeno_rpc_opts *opts, struct xeno_rpc_link **ret,
                      struct xeno_err *err)
{
    struct xeno_rpc_link *l = xeno_new0(struct xeno_rpc_link);
    size_t len = strlen(opts->socket);

    l->opts = *opts;
    if (len >= sizeof l->address.sun_path) {
        xeno_frames_fail(&l->opts.kind, -ENAMETOOLONG, "socket", err,
                         "the socket's path has %zu bytes, the limit is %zu", len,
                         sizeof l->address.sun_path - 1);
        free(l);
        return -ENAMETOOLONG;
    }
    l->loop = sd_event_ref(loop);
    l->address.sun_family = AF_UNIX;
    strcpy(l->address.sun_path, opts->socket);
    l->opts.socket = l->address.sun_path;
    /* The first try comes from the loop, so that no callback is told from within this call. */
    l->retry_us = 1;
    plan_retry(l);
    l->retry_us = RETRY_MIN_US;
    *ret = l;
    return 0;
}

void xeno_rpc_link_free(struct xeno_rpc_link *l)
{
    if (!l)
        return;
    drop_all(l);
    l->ending = true;
    enter(l);
    leave(l);
}

bool xeno_rpc_link_up(const struct xeno_rpc_link *l)
{
    return l->frames != NULL;
}

int64_t xeno_rpc_next_id(struct xeno_rpc_link *l)
{
    return ++l->next_id;
}

int xeno_rpc_link_ask(struct xeno_rpc_link *l, int64_t id, const char *text, size_t len,
                      const struct xeno_rpc_ask *ask, struct xeno_err *err)
{
    struct open_request *o;
    int r;

    if (!l->frames)
        return xeno_frames_fail(&l->opts.kind, -ENOTCONN, "away", err, "%s is not there",
                                l->opts.peer);
    if (l->nopen >= l->opts.open_max)
        return xeno_frames_fail(&l->opts.kind, -ENOBUFS, "slow", err,
                                "%zu requests wait for their answer", l->opts.open_max);
    r = xeno_frames_write(l->frames, text, len, NULL, 0, err);
    if (r == -EPIPE || r == -ECONNRESET)
        return xeno_frames_fail(&l->opts.kind, -ENOTCONN, "away", err, "%s has just gone",
                                l->opts.peer);
    if (r < 0)
        return r; /* a broken connection is found by the loop, which then tells the others */
    o = xeno_new0(struct open_request);
    o->id = id;
    o->link = l;
    o->ask = *ask;
    HASH_ADD(hh, l->open, id, sizeof o->id, o);
    l->nopen++;
    sd_event_add_time_relative(l->loop, &o->timer, CLOCK_MONOTONIC,
                               ask->timeout.ns > 0 ? (uint64_t)ask->timeout.ns / 1000 : ANSWER_US,
                               0, on_timeout, o);
    watch(l);
    return 0;
}

void xeno_rpc_forget(struct xeno_rpc_link *l, const void *owner)
{
    struct open_request *o, *next;

    HASH_ITER (hh, l->open, o, next) {
        if (o->ask.owner == owner)
            drop_request(o);
    }
}
