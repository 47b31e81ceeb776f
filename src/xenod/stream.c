/* src/xenod/stream.c - carry a program's input and output over an upgraded connection. */
#include "xenod/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <utlist.h>

#include "base/log.h"
#include "http/problem.h"
#include "http/stream.h"
#include "xenod/signals.h"

#define TO_PEER_BYTES    (256 * 1024) /* then the program is not read from */
#define TO_PROGRAM_BYTES (128 * 1024) /* then the peer is not */
#define READ_BYTES       (32 * 1024)
#define DRAIN_US         (1000 * 1000)      /* after the exit: others may hold the pipes open */
#define LOST_US          (10 * 1000 * 1000) /* after the last output: for the exit to be told */
#define FLUSH_US         (30 * 1000 * 1000) /* at the end: for a slow peer to take the rest */
#define LEAVE_US         (30 * 1000 * 1000) /* for a slow program to take what a peer left */

/* A descriptor in the loop; fd -1: none. */
struct end {
    int fd;
    sd_event_source *source;
};

struct xenod_stream {
    struct xenod_watch watch; /* first: the two pointers are one */
    struct xenod *d;
    enum xenod_stream_kind kind;
    char session[XENO_SESSION_CHARS + 1], name[XENO_TASK_NAME_MAX + 1];
    bool terminal;

    struct xeno_http_req *q; /* until the switch */
    struct xeno_http_upgraded *up;
    struct end peer, in, out[2];
    sd_event_source *timer;
    struct xeno_stream frames; /* from the peer */
    struct xeno_buf to_peer, to_program;
    bool input_ends; /* close `in` when to_program is empty */
    bool exited;     /* the program has ended */
    bool told;       /* the last frame is queued */
    bool flushing;   /* ... and the peer has a time to take it */
    bool deaf;       /* the peer takes nothing more; what it sent may still be on its way here */
    bool left;       /* that has come, too: it is for the program yet */
    int code;
    struct xenod_stream *prev, *next;
};

static void update(struct xenod_stream *x);

struct xenod_stream *xenod_stream_new(struct xenod *d, enum xenod_stream_kind kind,
                                      const char *session, const char *name, bool terminal)
{
    struct xenod_stream *x = xeno_new0(struct xenod_stream);

    x->d = d;
    x->kind = kind;
    x->terminal = terminal;
    x->peer.fd = x->in.fd = x->out[0].fd = x->out[1].fd = -1;
    snprintf(x->session, sizeof x->session, "%s", session);
    snprintf(x->name, sizeof x->name, "%s", name);
    snprintf(x->watch.session, sizeof x->watch.session, "%s", session);
    xenod_watch_add(d, &x->watch);
    DL_APPEND(d->streams, x);
    return x;
}

static void end_close(struct end *e)
{
    sd_event_source_disable_unref(e->source);
    e->source = NULL;
    if (e->fd >= 0)
        close(e->fd);
    e->fd = -1;
}

static void stream_free(struct xenod_stream *x)
{
    xeno_task_client_forget(x->d->task, x);
    xenod_watch_remove(x->d, &x->watch);
    DL_DELETE(x->d->streams, x);
    end_close(&x->in);
    end_close(&x->out[0]);
    end_close(&x->out[1]);
    sd_event_source_disable_unref(x->peer.source); /* the socket is the connection's */
    sd_event_source_disable_unref(x->timer);
    if (x->up)
        xeno_http_upgrade_close(x->up);
    xeno_stream_release(&x->frames);
    xeno_buf_release(&x->to_peer);
    xeno_buf_release(&x->to_program);
    free(x);
}

void xenod_streams_close(struct xenod *d)
{
    struct xenod_stream *x, *next;

    DL_FOREACH_SAFE (d->streams, x, next)
        stream_free(x);
}

/* --- what the task manager is asked on the way; nobody waits for the answers --- */

static void on_ignored(void *data, const struct xeno_json_at *ok, int *fds, size_t nfds,
                       const struct xeno_err *err)
{
    (void)data;
    (void)ok;
    (void)fds;
    (void)nfds;
    if (err)
        xeno_log_err(LOG_DEBUG, "stream.ask", err, "%s", "");
}

static struct xeno_task_request *request_for(const struct xenod_stream *x, enum xeno_task_op op)
{
    struct xeno_task_request *q = xeno_task_request_new(op, x->session);

    if (x->kind == XENOD_EXEC)
        snprintf(q->exec, sizeof q->exec, "%s", x->name);
    else
        snprintf(q->task, sizeof q->task, "%s", x->name);
    return q;
}

static void send_signal(struct xenod_stream *x, int signo)
{
    xeno_auto(xeno_task_request) q = request_for(x, XENO_TASK_SIGNAL);

    q->signal = signo;
    (void)xeno_task_client_ask(x->d->task, q, xeno_s(0), on_ignored, x->d, NULL);
}

static void send_size(struct xenod_stream *x, int64_t cols, int64_t rows)
{
    xeno_auto(xeno_task_request) q = request_for(x, XENO_TASK_WINCH);

    q->cols = cols;
    q->rows = rows;
    (void)xeno_task_client_ask(x->d->task, q, xeno_s(0), on_ignored, x->d, NULL);
}

/* The peer is gone, and the program has what it sent, or had its time. What the peer was running
 * beside a task has nobody to talk to any more. */
static void abandon(struct xenod_stream *x)
{
    if (x->kind == XENOD_EXEC && !x->exited)
        send_signal(x, SIGHUP);
    stream_free(x);
}

/* --- the last frame --- */

static void tell(struct xenod_stream *x, struct xeno_json *control)
{
    xeno_autofree char *text = NULL;
    size_t len;

    text = xeno_json_format(control, false, &len);
    xeno_json_unref(control);
    xeno_stream_put(&x->to_peer, XENO_CHANNEL_CONTROL, text, len);
    x->told = true;
}

static void tell_exit(struct xenod_stream *x)
{
    struct xeno_json *j = xeno_json_object();

    xeno_json_set_int(j, "exit", x->code);
    tell(x, j);
}

static void tell_error(struct xenod_stream *x, const struct xeno_err *err)
{
    struct xeno_json *j = xeno_json_object();

    xeno_json_set(j, "error", xeno_problem_make(err));
    tell(x, j);
}

static void end_output(struct xenod_stream *x)
{
    end_close(&x->out[0]);
    end_close(&x->out[1]);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *data)
{
    struct xenod_stream *x = data;
    struct xeno_err err = XENO_ERR_INIT;

    (void)s;
    (void)usec;
    if (x->deaf) { /* the program does not take the rest */
        abandon(x);
        return 0;
    }
    if (x->told) { /* the peer does not */
        stream_free(x);
        return 0;
    }
    end_output(x);
    if (!x->exited) {
        xeno_fail(&err, -ENOTCONN, "exec.lost",
                  "the program's output ended, but its exit code was not told");
        tell_error(x, &err);
    }
    update(x);
    return 0;
}

static void wait_at_most(struct xenod_stream *x, uint64_t usec)
{
    sd_event_source_disable_unref(x->timer);
    x->timer = NULL;
    (void)sd_event_add_time_relative(x->d->loop, &x->timer, CLOCK_MONOTONIC, usec, 1000, on_timer,
                                     x);
}

static void on_task_event(struct xenod_watch *w, const struct xeno_task_event *ev)
{
    struct xenod_stream *x = (struct xenod_stream *)w;
    bool ours = x->kind == XENOD_EXEC
                    ? ev->kind == XENO_TASK_EVENT_EXEC_EXIT && strcmp(ev->exec, x->name) == 0
                    : ev->kind == XENO_TASK_EVENT_EXIT && strcmp(ev->task, x->name) == 0;

    if (!ours || x->exited)
        return;
    x->exited = true;
    x->code = (int)ev->code;
    if (x->up) {
        wait_at_most(x, DRAIN_US);
        update(x);
    }
}

/* --- from the peer --- */

static int take_control(struct xenod_stream *x, const struct xeno_frame *f, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at at, size;
    const char *name = NULL;
    size_t count;
    int r, signo;

    r = xeno_json_parse(f->data, f->len, 4096, &j, err);
    if (r < 0)
        return r;
    at = xeno_json_top(j);
    r = xeno_json_str_opt(&at, "signal", 1, 16, &name, err);
    if (r == 0 && xenod_signal_parse(name, &signo, err) == 0)
        send_signal(x, signo);
    r = xeno_json_arr_opt(&at, "resize", 2, &size, &count, err);
    if (r == 0 && count == 2) {
        int64_t cols, rows;

        r = xeno_json_item_int(&size, 0, 1, 10000, &cols, err);
        if (r == 0)
            r = xeno_json_item_int(&size, 1, 1, 10000, &rows, err);
        if (r == 0)
            send_size(x, cols, rows);
    }
    return r < 0 ? r : 0;
}

static int take_frame(struct xenod_stream *x, const struct xeno_frame *f, struct xeno_err *err)
{
    if (f->channel == XENO_CHANNEL_CONTROL)
        return take_control(x, f, err);
    if (f->channel != XENO_CHANNEL_STDIN)
        return xeno_fail(err, -EPROTO, "stream.channel", "a client sends on channels 0 and 3 only");
    if (f->len == 0 && x->terminal)
        xeno_buf_add(&x->to_program, "\x04", 1); /* what a keyboard sends for it */
    else if (f->len == 0)
        x->input_ends = true;
    else if (!x->input_ends && x->in.fd >= 0)
        xeno_buf_add(&x->to_program, f->data, f->len);
    return 0;
}

/* Take frames while there is room for them. Returns false when the stream is gone. */
static bool take_frames(struct xenod_stream *x)
{
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_frame f;
    int r = 1;

    while (r > 0 && x->to_program.len < TO_PROGRAM_BYTES) {
        r = xeno_stream_next(&x->frames, &f, &err);
        if (r > 0 && take_frame(x, &f, &err) < 0)
            r = -1;
    }
    if (r >= 0)
        return true;
    xeno_log_err(LOG_NOTICE, "stream.nonsense", &err, "session=%s name=%s", x->session, x->name);
    abandon(x);
    return false;
}

/* Whoever sends and goes at once has sent all the same: nothing more is said, but what came is
 * still handed on. The output is thrown away, so that the program is not held up by it. */
static void deafen(struct xenod_stream *x)
{
    if (x->deaf)
        return;
    x->deaf = true;
    x->to_peer.len = 0;
    wait_at_most(x, LEAVE_US);
}

static bool read_peer(struct xenod_stream *x)
{
    char buf[READ_BYTES];
    ssize_t n = recv(x->peer.fd, buf, sizeof buf, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0) {
        deafen(x);
        x->left = true;
        return true;
    }
    xeno_stream_add(&x->frames, buf, (size_t)n);
    return take_frames(x);
}

static void write_peer(struct xenod_stream *x)
{
    ssize_t n;

    if (x->to_peer.len == 0)
        return;
    n = send(x->peer.fd, x->to_peer.data, x->to_peer.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        deafen(x);
    if (n > 0)
        xeno_buf_shift(&x->to_peer, (size_t)n);
}

static int on_peer(sd_event_source *s, int fd, uint32_t events, void *data)
{
    struct xenod_stream *x = data;

    (void)s;
    (void)fd;
    if (events & EPOLLOUT)
        write_peer(x);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !read_peer(x))
        return 0;
    update(x);
    return 0;
}

/* --- to and from the program --- */

static void write_program(struct xenod_stream *x)
{
    /* One packet of conmon's attach socket holds this much. */
    size_t len = x->to_program.len < 8192 ? x->to_program.len : 8192;
    ssize_t n = len ? write(x->in.fd, x->to_program.data, len) : 0;

    if (n > 0)
        xeno_buf_shift(&x->to_program, (size_t)n);
    if (n < 0 && errno != EAGAIN && errno != EINTR) { /* it does not read any more */
        end_close(&x->in);
        x->to_program.len = 0;
    }
}

static int on_in(sd_event_source *s, int fd, uint32_t events, void *data)
{
    struct xenod_stream *x = data;

    (void)s;
    (void)fd;
    (void)events;
    write_program(x);
    if (take_frames(x))
        update(x);
    return 0;
}

/* conmon puts the stream's number (2 or 3) before the data of each packet. */
static void put_packet(struct xenod_stream *x, const char *data, size_t len)
{
    if (len > 1)
        xeno_stream_put(&x->to_peer, data[0] == 3 ? XENO_CHANNEL_STDERR : XENO_CHANNEL_STDOUT,
                        data + 1, len - 1);
}

static void read_program(struct xenod_stream *x, struct end *e)
{
    char buf[READ_BYTES];
    ssize_t n = read(e->fd, buf, sizeof buf);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) /* also EIO, which is how a terminal says that all are gone */
        end_close(e);
    else if (x->deaf)
        return;
    else if (x->kind == XENOD_ATTACH)
        put_packet(x, buf, (size_t)n);
    else
        xeno_stream_put(&x->to_peer, e == &x->out[1] ? XENO_CHANNEL_STDERR : XENO_CHANNEL_STDOUT,
                        buf, (size_t)n);
}

static int on_out(sd_event_source *s, int fd, uint32_t events, void *data)
{
    struct xenod_stream *x = data;

    (void)s;
    (void)events;
    read_program(x, fd == x->out[0].fd ? &x->out[0] : &x->out[1]);
    update(x);
    return 0;
}

/* --- who may be read and written now --- */

static void want(struct end *e, uint32_t events)
{
    if (!e->source)
        return;
    if (events)
        (void)sd_event_source_set_io_events(e->source, events);
    /* Off, not only deaf: a hang-up would be told again and again. */
    (void)sd_event_source_set_enabled(e->source, events ? SD_EVENT_ON : SD_EVENT_OFF);
}

static void want_all(struct xenod_stream *x)
{
    bool room = x->to_program.len < TO_PROGRAM_BYTES;

    want(&x->peer, (x->to_peer.len > 0 ? EPOLLOUT : 0) | (room && !x->left ? EPOLLIN : 0));
    want(&x->in, x->to_program.len > 0 ? EPOLLOUT : 0);
    for (int i = 0; i < 2; i++)
        want(&x->out[i], x->to_peer.len < TO_PEER_BYTES ? EPOLLIN : 0);
}

static void close_input(struct xenod_stream *x)
{
    /* The attach socket goes both ways: only our half ends. */
    if (x->kind == XENOD_ATTACH)
        shutdown(x->in.fd, SHUT_WR);
    end_close(&x->in);
}

static void update(struct xenod_stream *x)
{
    bool output = x->out[0].fd >= 0 || x->out[1].fd >= 0;

    if (x->input_ends && x->to_program.len == 0 && x->in.fd >= 0)
        close_input(x);
    if (x->left && (x->exited || x->to_program.len == 0)) {
        abandon(x);
        return;
    }
    if (x->deaf) {
        want_all(x);
        return;
    }
    if (!output && !x->told) {
        if (x->exited)
            tell_exit(x);
        else if (!x->timer)
            wait_at_most(x, LOST_US);
    }
    if (x->told && !x->flushing) {
        x->flushing = true;
        wait_at_most(x, FLUSH_US);
    }
    if (x->told && x->to_peer.len == 0) {
        stream_free(x);
        return;
    }
    want_all(x);
}

static bool watch_end(struct xenod_stream *x, struct end *e, sd_event_io_handler_t handler)
{
    if (e->fd < 0)
        return true;
    return sd_event_add_io(x->d->loop, &e->source, e->fd, 0, handler, x) >= 0;
}

/* --- beginning --- */

bool xenod_stream_asked(struct xeno_http_req *q)
{
    const char *upgrade = xeno_http_header(q, "Upgrade");
    struct xeno_err err;

    if (upgrade && strcasecmp(upgrade, XENO_STREAM_PROTOCOL) == 0)
        return true;
    xeno_fail(&err, -EPROTONOSUPPORT, "http.upgrade", "ask for it with Upgrade: %s",
              XENO_STREAM_PROTOCOL);
    xenod_refuse(q, &err);
    return false;
}

static void on_ready(int fd, const void *early, size_t early_len, struct xeno_http_upgraded *u,
                     void *arg)
{
    struct xenod_stream *x = arg;

    x->q = NULL;
    if (!u) {
        abandon(x);
        return;
    }
    x->up = u;
    x->peer.fd = fd;
    if (early_len > 0)
        xeno_stream_add(&x->frames, early, early_len);
    if (!watch_end(x, &x->peer, on_peer) || !watch_end(x, &x->in, on_in) ||
        !watch_end(x, &x->out[0], on_out) || !watch_end(x, &x->out[1], on_out)) {
        abandon(x);
        return;
    }
    if (x->exited)
        wait_at_most(x, DRAIN_US);
    if (take_frames(x))
        update(x);
}

static bool set_up(struct end *e, int *fd)
{
    e->fd = xeno_take_fd(fd);
    return fcntl(e->fd, F_SETFL, fcntl(e->fd, F_GETFL) | O_NONBLOCK) == 0;
}

/* exec without a terminal: stdin, stdout, stderr; else one descriptor for both ways, of which
 * epoll wants a second one. */
static int take_descriptors(struct xenod_stream *x, int *fds, size_t nfds, struct xeno_err *err)
{
    bool pipes = x->kind == XENOD_EXEC && !x->terminal;
    bool ok;

    if (nfds != (pipes ? 3 : 1))
        return xeno_fail(err, -EPROTO, "task.descriptors",
                         "the task manager sent %zu descriptors, not %d", nfds, pipes ? 3 : 1);
    if (pipes) {
        ok = set_up(&x->in, &fds[0]) && set_up(&x->out[0], &fds[1]) && set_up(&x->out[1], &fds[2]);
    } else {
        int copy = fcntl(fds[0], F_DUPFD_CLOEXEC, 3);

        ok = copy >= 0 && set_up(&x->out[0], &fds[0]);
        if (copy >= 0)
            ok = set_up(&x->in, &copy) && ok;
    }
    return ok ? 0 : xeno_fail_errno(err, -errno, "task.descriptors", "prepare descriptors");
}

static void on_descriptors(void *data, const struct xeno_json_at *ok, int *fds, size_t nfds,
                           const struct xeno_err *err)
{
    struct xenod_stream *x = data;
    struct xeno_http_req *q = x->q;
    struct xeno_err why = XENO_ERR_INIT;

    (void)ok;
    if (err)
        why = *err;
    if (!err && take_descriptors(x, fds, nfds, &why) == 0) {
        x->q = NULL;
        xeno_http_upgrade(q, XENO_STREAM_PROTOCOL, on_ready, x);
        return;
    }
    xenod_refuse(q, &why);
    stream_free(x);
}

static void on_asker_gone(void *arg)
{
    abandon(arg);
}

void xenod_stream_start(struct xenod_stream *x, struct xeno_http_req *q,
                        struct xeno_task_request *ask)
{
    struct xeno_err err = XENO_ERR_INIT;

    x->q = q;
    x->watch.task_event = on_task_event;
    if (xeno_task_client_ask(x->d->task, ask, xeno_s(30), on_descriptors, x, &err) < 0) {
        xenod_refuse(q, &err);
        stream_free(x);
        return;
    }
    xeno_http_on_gone(q, on_asker_gone, x);
}
