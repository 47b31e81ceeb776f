/* src/xenod/measure.c - round trips by TCP and by ICMP. */
#include "xenod/measure.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

#define ECHO_BYTES 16 /* nothing of it is the asker's */

struct
try {
    struct xenod_measure *m;
    int fd; /* TCP; -1: not begun, or over */
    sd_event_source *source;
    int64_t sent_ns; /* monotonic */
    xeno_time wall;
    bool over;
};

struct xenod_measure {
    const struct xenod_measure_from *from;
    enum xenod_measure_kind kind;
    union xenod_address to;
    unsigned count;
    void (*done)(void *arg, const struct xenod_measured *m);
    void *arg;
    sd_event_source *timer;
    int echo; /* ICMP; -1: none, and nothing is sent */
    sd_event_source *echo_source;
    struct xenod_measured got;
    struct try tries[XENOD_MEASURE_MAX];
};

static int64_t now_ns(const struct xenod_measure *m)
{
    return xeno_mono(m->from->env).ns;
}

static void try_close(struct try *t)
{
    sd_event_source_disable_unref(t->source);
    t->source = NULL;
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
    t->over = true;
}

void xenod_measure_cancel(struct xenod_measure *m)
{
    if (!m)
        return;
    for (unsigned i = 0; i < m->count; i++)
        try_close(&m->tries[i]);
    sd_event_source_disable_unref(m->timer);
    sd_event_source_disable_unref(m->echo_source);
    if (m->echo >= 0)
        close(m->echo);
    free(m);
}

static void take(struct try *t, int64_t ns)
{
    struct xenod_measured *g = &t->m->got;

    if (t->over)
        return;
    if (ns >= 0 && ns <= XENOD_MEASURE_WAIT_MS * XENO_NS_PER_MS)
        g->rtt_us[g->got++] = ns < 1000 ? 1 : (uint32_t)(ns / 1000);
    try_close(t);
}

/* --- ending --- */

static void end_if_over(struct xenod_measure *m)
{
    struct xenod_measured got = m->got;
    void (*done)(void *, const struct xenod_measured *) = m->done;
    void *arg = m->arg;

    if (m->got.sent < m->count)
        return;
    for (unsigned i = 0; i < m->count; i++)
        if (!m->tries[i].over)
            return;
    xenod_measure_cancel(m);
    done(arg, &got);
}

/* --- TCP --- */

/* What the kernel knows of the handshake; -1: nothing. */
static int64_t kernel_ns(int fd)
{
    struct tcp_info info = { 0 };
    socklen_t len = sizeof info;

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 || info.tcpi_rtt == 0)
        return -1;
    return (int64_t)info.tcpi_rtt * 1000;
}

/* The connection stands, or does not: -1 when that says nothing about the way there. */
static int64_t connected_ns(const struct try *t, int failed)
{
    int64_t own = now_ns(t->m) - t->sent_ns, kernel;

    if (failed)
        return failed == ECONNREFUSED ? own : -1;
    kernel = kernel_ns(t->fd);
    return kernel >= 0 && kernel < own ? kernel : own;
}

static int on_connected(sd_event_source *s, int fd, uint32_t events, void *arg)
{
    struct try *t = arg;
    struct xenod_measure *m = t->m;
    int failed = 0;
    socklen_t len = sizeof failed;

    (void)s;
    (void)events;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &len);
    take(t, connected_ns(t, failed));
    end_if_over(m);
    return 0;
}

static int bound_socket(const struct xenod_measure_from *from, int family, int type, int protocol)
{
    const union xenod_address *source = &from->source[family == AF_INET6];
    xeno_autoclose int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);

    if (fd < 0)
        return -errno;
    if (source->any.sa_family == family && bind(fd, &source->any, xenod_address_len(source)) < 0)
        return -errno;
    return xeno_take_fd(&fd);
}

static void tcp_begin(struct try *t)
{
    struct xenod_measure *m = t->m;
    struct linger reset = { .l_onoff = 1 }; /* nothing is to stay at the other end */
    int r;

    t->fd = bound_socket(m->from, m->to.any.sa_family, SOCK_STREAM, 0);
    if (t->fd < 0) {
        try_close(t);
        return;
    }
    setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    t->sent_ns = now_ns(m);
    r = connect(t->fd, &m->to.any, xenod_address_len(&m->to)) < 0 ? errno : 0;
    if (r == EINPROGRESS &&
        sd_event_add_io(m->from->loop, &t->source, t->fd, EPOLLOUT, on_connected, t) >= 0)
        return;
    take(t, connected_ns(t, r));
}

/* --- ICMP --- */

static void echo_begin(struct try *t)
{
    struct xenod_measure *m = t->m;
    uint16_t seq = htons((uint16_t)(t - m->tries));
    uint8_t packet[8 + ECHO_BYTES] = { 0 };

    packet[0] = m->to.any.sa_family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
    memcpy(packet + 6, &seq, sizeof seq);
    t->sent_ns = now_ns(m);
    t->wall = xeno_wall(m->from->env);
    if (m->echo < 0 || send(m->echo, packet, sizeof packet, 0) < 0)
        try_close(t);
}

/* When it arrived, by the kernel: later we may be busy. The wall clock may have stepped. */
static int64_t echo_ns(const struct try *t, struct msghdr *msg)
{
    int64_t own = now_ns(t->m) - t->sent_ns;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        struct timespec ts;
        int64_t ns;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
            continue;
        memcpy(&ts, CMSG_DATA(c), sizeof ts);
        ns = (int64_t)ts.tv_sec * XENO_NS_PER_S + ts.tv_nsec - t->wall.ns;
        if (ns > 0 && ns < own)
            return ns;
    }
    return own;
}

static void echo_read(struct xenod_measure *m)
{
    uint8_t packet[256], control[256];
    uint8_t want = m->to.any.sa_family == AF_INET ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;

    for (unsigned i = 0; i < 2 * XENOD_MEASURE_MAX; i++) {
        struct iovec v = { packet, sizeof packet };
        struct msghdr msg = {
            .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
        };
        ssize_t n = recvmsg(m->echo, &msg, 0);
        uint16_t seq;

        if (n < 8 || packet[0] != want)
            return;
        memcpy(&seq, packet + 6, sizeof seq);
        seq = ntohs(seq);
        if (seq < m->got.sent)
            take(&m->tries[seq], echo_ns(&m->tries[seq], &msg));
    }
}

static int on_echo(sd_event_source *s, int fd, uint32_t events, void *arg)
{
    struct xenod_measure *m = arg;

    (void)s;
    (void)fd;
    (void)events;
    echo_read(m);
    end_if_over(m);
    return 0;
}

static int echo_open(struct xenod_measure *m, struct xeno_err *err)
{
    int family = m->to.any.sa_family, on = 1;
    int fd = bound_socket(m->from, family, SOCK_DGRAM,
                          family == AF_INET ? IPPROTO_ICMP : (int)IPPROTO_ICMPV6);
    int r;

    if (fd < 0)
        return xeno_fail_errno(err, fd == -EPERM ? -EACCES : fd, "measure.icmp",
                               "a socket for ICMP echo");
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    if (connect(fd, &m->to.any, xenod_address_len(&m->to)) < 0) { /* no way there, or a broadcast */
        close(fd);
        return 0;
    }
    m->echo = fd;
    r = sd_event_add_io(m->from->loop, &m->echo_source, fd, EPOLLIN, on_echo, m);
    return r < 0 ? xeno_fail_errno(err, r, "measure.socket", "use a socket for ICMP echo") : 0;
}

/* --- time --- */

static void begin_next(struct xenod_measure *m)
{
    struct try *t = &m->tries[m->got.sent++];

    t->m = m;
    if (m->kind == XENOD_MEASURE_TCP)
        tcp_begin(t);
    else
        echo_begin(t);
}

static int on_time(sd_event_source *s, uint64_t usec, void *arg)
{
    struct xenod_measure *m = arg;

    if (m->got.sent < m->count) {
        begin_next(m);
        usec += 1000 * (m->got.sent < m->count ? XENOD_MEASURE_GAP_MS : XENOD_MEASURE_WAIT_MS);
        sd_event_source_set_time(s, usec);
        sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
    } else {
        if (m->echo >= 0)
            echo_read(m); /* what came while the loop was busy */
        for (unsigned i = 0; i < m->count; i++)
            try_close(&m->tries[i]);
    }
    end_if_over(m);
    return 0;
}

int xenod_measure_start(const struct xenod_measure_from *from, enum xenod_measure_kind kind,
                        const union xenod_address *to, unsigned count,
                        void (*done)(void *arg, const struct xenod_measured *m), void *arg,
                        struct xenod_measure **ret, struct xeno_err *err)
{
    struct xenod_measure *m = xeno_new0(struct xenod_measure);
    int r = 0;

    m->from = from;
    m->kind = kind;
    m->to = *to;
    m->count = count < 1 ? 1 : count > XENOD_MEASURE_MAX ? XENOD_MEASURE_MAX : count;
    m->done = done;
    m->arg = arg;
    m->echo = -1;
    for (unsigned i = 0; i < m->count; i++)
        m->tries[i].fd = -1;
    if (kind == XENOD_MEASURE_ICMP)
        r = echo_open(m, err);
    if (r == 0 &&
        sd_event_add_time_relative(from->loop, &m->timer, CLOCK_MONOTONIC, 0, 1000, on_time, m) < 0)
        r = xeno_fail(err, -EIO, "measure.socket", "take a timer");
    if (r < 0) {
        xenod_measure_cancel(m);
        return r;
    }
    *ret = m;
    return 0;
}
