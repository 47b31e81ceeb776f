/* src/rpc/frame.c - frames with descriptors over a unix stream socket. */
#include "rpc/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One frame that waits to be sent, or bytes behind one. */
struct frame {
    struct frame *next;
    char *data;
    size_t len, sent; /* with the length in front */
    int fds[XENO_FRAME_FDS_MAX];
    size_t nfds; /* 0 once they are sent */
};

struct xeno_frames {
    int fd;
    struct xeno_frames_kind kind;
    /* reading: 4 bytes of length, then the body */
    unsigned char head[4];
    size_t have; /* of head while body is NULL, else of body */
    char *body;
    size_t body_len;
    int in_fds[XENO_FRAME_FDS_MAX];
    size_t n_in_fds;
    /* writing */
    struct frame *first, **last;
    size_t queued;
};

struct xeno_frames *xeno_frames_new(int fd, const struct xeno_frames_kind *kind)
{
    struct xeno_frames *f = xeno_new0(struct xeno_frames);

    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    f->fd = fd;
    f->kind = *kind;
    f->last = &f->first;
    return f;
}

int xeno_frames_fail(const struct xeno_frames_kind *kind, int code, const char *what,
                     struct xeno_err *err, const char *fmt, ...)
{
    char token[XENO_ERR_TOKEN_MAX], text[XENO_ERR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    snprintf(token, sizeof token, "%s.%s", kind->name, what);
    return xeno_fail(err, code, token, "%s", text);
}

static void close_all(int *fds, size_t *n)
{
    while (*n > 0)
        close(fds[--*n]);
}

static void drop_first(struct xeno_frames *f)
{
    struct frame *o = f->first;

    close_all(o->fds, &o->nfds);
    f->queued -= o->len;
    f->first = o->next;
    if (!f->first)
        f->last = &f->first;
    free(o->data);
    free(o);
}

void xeno_frames_free(struct xeno_frames *f)
{
    if (!f)
        return;
    while (f->first)
        drop_first(f);
    close_all(f->in_fds, &f->n_in_fds);
    free(f->body);
    close(f->fd);
    free(f);
}

int xeno_frames_fd(const struct xeno_frames *f)
{
    return f->fd;
}

bool xeno_frames_pending(const struct xeno_frames *f)
{
    return f->first != NULL;
}

size_t xeno_frames_queued(const struct xeno_frames *f)
{
    return f->queued;
}

/* --- reading --- */

/* Keep what came along; more than a frame may carry is a failure. */
static bool collect(struct xeno_frames *f, struct msghdr *msg)
{
    bool good = !(msg->msg_flags & MSG_CTRUNC);

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        size_t n;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
            if (f->n_in_fds < XENO_FRAME_FDS_MAX) {
                f->in_fds[f->n_in_fds++] = fd;
            } else {
                close(fd);
                good = false;
            }
        }
    }
    return good;
}

/* One recvmsg() of at most `len` bytes. Returns: bytes, 0 for "nothing yet", or a failure. */
static int receive(struct xeno_frames *f, void *to, size_t len, struct xeno_err *err)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int) * (XENO_FRAME_FDS_MAX + 1))];
    } control;
    struct iovec iov = { to, len };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    ssize_t n;

    do
        n = recvmsg(f->fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (n <= 0)
        return xeno_frames_fail(&f->kind, -ECONNRESET, "closed", err, "the other side is gone");
    if (!collect(f, &msg))
        return xeno_frames_fail(&f->kind, -EPROTO, "frame", err,
                                "a frame brings over %d descriptors", XENO_FRAME_FDS_MAX);
    return (int)n;
}

static int read_head(struct xeno_frames *f, struct xeno_err *err)
{
    uint32_t len;
    int r;

    r = receive(f, f->head + f->have, sizeof f->head - f->have, err);
    if (r <= 0)
        return r;
    f->have += (size_t)r;
    if (f->have < sizeof f->head)
        return 0;
    len = (uint32_t)f->head[0] << 24 | (uint32_t)f->head[1] << 16 | (uint32_t)f->head[2] << 8 |
          f->head[3];
    if (len == 0 || len > f->kind.frame_max)
        return xeno_frames_fail(&f->kind, -EPROTO, "frame", err,
                                "a frame of %u bytes, the limit is %zu", len, f->kind.frame_max);
    f->body = xeno_alloc0(1, len + 1);
    f->body_len = len;
    f->have = 0;
    return 1;
}

int xeno_frames_read(struct xeno_frames *f, char **ret_text, size_t *ret_len,
                     int fds[XENO_FRAME_FDS_MAX], size_t *ret_nfds, struct xeno_err *err)
{
    int r;

    if (!f->body) {
        r = read_head(f, err);
        if (r <= 0)
            return r;
    }
    while (f->have < f->body_len) {
        r = receive(f, f->body + f->have, f->body_len - f->have, err);
        if (r <= 0)
            return r;
        f->have += (size_t)r;
    }
    *ret_text = xeno_take(&f->body);
    *ret_len = f->body_len;
    f->have = 0;
    memcpy(fds, f->in_fds, f->n_in_fds * sizeof *fds);
    *ret_nfds = f->n_in_fds;
    f->n_in_fds = 0;
    return 1;
}

int xeno_frames_read_bytes(struct xeno_frames *f, void *buf, size_t len, struct xeno_err *err)
{
    int n = receive(f, buf, len, err);

    if (n > 0 && f->n_in_fds > 0)
        return xeno_frames_fail(&f->kind, -EPROTO, "frame", err, "bytes that bring descriptors");
    return n;
}

/* --- writing --- */

/* Send the rest of the first frame. Returns: bytes, 0 when the socket is full, or a failure. */
static int send_some(struct xeno_frames *f, struct xeno_err *err)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int) * XENO_FRAME_FDS_MAX)];
    } control = { .room = { 0 } };
    struct frame *o = f->first;
    struct iovec iov = { o->data + o->sent, o->len - o->sent };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    ssize_t n;

    if (o->nfds > 0) {
        struct cmsghdr *c = &control.align;

        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * o->nfds);
        memcpy(CMSG_DATA(c), o->fds, sizeof(int) * o->nfds);
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * o->nfds);
    }
    do
        n = sendmsg(f->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (n < 0)
        return xeno_frames_fail(&f->kind, -EPIPE, "closed", err, "the other side is gone");
    close_all(o->fds, &o->nfds);
    return (int)n;
}

int xeno_frames_flush(struct xeno_frames *f, struct xeno_err *err)
{
    while (f->first) {
        int r = send_some(f, err);

        if (r <= 0)
            return r;
        f->first->sent += (size_t)r;
        if (f->first->sent == f->first->len)
            drop_first(f);
    }
    return 0;
}

static void queue(struct xeno_frames *f, struct frame *o)
{
    *f->last = o;
    f->last = &o->next;
    f->queued += o->len;
}

int xeno_frames_write(struct xeno_frames *f, const char *text, size_t len, const int *fds,
                      size_t nfds, struct xeno_err *err)
{
    struct frame *o;
    int r = 0;

    if (len == 0 || len > f->kind.frame_max || nfds > XENO_FRAME_FDS_MAX)
        r = xeno_frames_fail(&f->kind, -EMSGSIZE, "size", err,
                             "a frame of %zu bytes with %zu descriptors", len, nfds);
    else if (f->queued + len > f->kind.queue_max)
        r = xeno_frames_fail(&f->kind, -ENOBUFS, "slow", err,
                             "the other side has %zu bytes to read", f->queued);
    if (r < 0) {
        for (size_t i = 0; i < nfds; i++)
            close(fds[i]);
        return r;
    }
    o = xeno_new0(struct frame);
    o->len = len + 4;
    o->data = xeno_alloc0(1, o->len);
    o->data[0] = (char)(len >> 24);
    o->data[1] = (char)(len >> 16);
    o->data[2] = (char)(len >> 8);
    o->data[3] = (char)len;
    memcpy(o->data + 4, text, len);
    for (o->nfds = 0; o->nfds < nfds; o->nfds++)
        o->fds[o->nfds] = fds[o->nfds];
    queue(f, o);
    return xeno_frames_flush(f, err);
}

int xeno_frames_write_bytes(struct xeno_frames *f, char *data, size_t len, struct xeno_err *err)
{
    struct frame *o = xeno_new0(struct frame);

    o->len = len;
    o->data = data;
    queue(f, o);
    return xeno_frames_flush(f, err);
}
