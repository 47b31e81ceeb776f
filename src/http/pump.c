/* src/http/pump.c - bytes between TLS and a socket pair. */
#include "http/pump.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define CARRY_ROUNDS 1024

struct pump {
    sd_event *loop;
    gnutls_session_t session;
    int net, app; /* the TCP socket; our end of the pair */
    sd_event_source *net_io, *app_io, *linger;
    struct xeno_buf to_app, to_net;
    bool net_eof;  /* nothing more comes from there */
    bool net_gone; /* nothing more can be sent there; what it sent before may still come */
    bool app_eof;  /* nothing more comes from there */
    bool app_gone; /* and nobody reads there */
    bool bye;      /* the end of TLS was sent */
    void (*ended)(void *arg);
    void *arg;
};

void pump_free(struct pump *p)
{
    if (!p)
        return;
    sd_event_source_disable_unref(p->net_io);
    sd_event_source_disable_unref(p->app_io);
    sd_event_source_disable_unref(p->linger);
    sd_event_unref(p->loop);
    if (p->app >= 0)
        close(p->app);
    xeno_buf_release(&p->to_app);
    xeno_buf_release(&p->to_net);
    free(p);
}

/* --- the four steps: each returns whether it got further --- */

static bool from_net(struct pump *p)
{
    char buf[PUMP_BYTES];
    ssize_t n;

    if (p->net_eof || p->to_app.len > 0)
        return false;
    n = gnutls_record_recv(p->session, buf, sizeof(buf));
    if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
        return false;
    if (n > 0 && !p->app_gone)
        xeno_buf_add(&p->to_app, buf, (size_t)n);
    else if (n == 0 || (n < 0 && gnutls_error_is_fatal((int)n)))
        p->net_eof = true;
    return true; /* a warning or a new key: look again */
}

static bool into_app(struct pump *p)
{
    ssize_t n;

    if (p->to_app.len == 0)
        return false;
    n = send(p->app, p->to_app.data, p->to_app.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n < 0) {
        p->app_gone = true;
        p->to_app.len = 0;
        return true;
    }
    xeno_buf_shift(&p->to_app, (size_t)n);
    return true;
}

static bool from_app(struct pump *p)
{
    char buf[PUMP_BYTES];
    ssize_t n;

    if (p->app_eof || p->to_net.len > 0)
        return false;
    n = recv(p->app, buf, sizeof(buf), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n > 0 && !p->net_gone)
        xeno_buf_add(&p->to_net, buf, (size_t)n);
    else if (n <= 0)
        p->app_eof = true;
    return true;
}

static bool into_net(struct pump *p)
{
    ssize_t n;

    if (p->to_net.len == 0)
        return false;
    n = gnutls_record_send(p->session, p->to_net.data, p->to_net.len);
    if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
        return false;
    if (n < 0) {
        p->net_gone = true;
        p->to_net.len = 0;
        return true;
    }
    xeno_buf_shift(&p->to_net, (size_t)n);
    return true;
}

static void end(struct pump *p)
{
    void (*ended)(void *arg) = p->ended;
    void *arg = p->arg;

    pump_free(p);
    ended(arg);
}

static int on_linger(sd_event_source *src, uint64_t usec, void *user)
{
    (void)src;
    (void)usec;
    end(user);
    return 0;
}

/* Our side has said all it had to say. */
static void say_bye(struct pump *p)
{
    p->bye = true;
    gnutls_bye(p->session, GNUTLS_SHUT_WR); /* if it does not fit, the shutdown says it too */
    shutdown(p->net, SHUT_WR);
    sd_event_add_time_relative(p->loop, &p->linger, CLOCK_MONOTONIC, PUMP_LINGER_S * 1000000, 0,
                               on_linger, p);
}

/* Every step that can be made, within a bound that is only met when a peer's bytes are thrown away:
 * else the pair's buffers, which nobody empties or fills meanwhile, are the end of it. */
static void carry(struct pump *p)
{
    bool more = true;

    for (int i = 0; more && i < CARRY_ROUNDS; i++) {
        more = from_net(p);
        more = into_app(p) || more;
        more = from_app(p) || more;
        more = into_net(p) || more;
    }
}

/* Off, not only deaf: a hang-up would be told again and again. */
static void want(sd_event_source *src, uint32_t events)
{
    sd_event_source_set_io_events(src, events);
    sd_event_source_set_enabled(src, events ? SD_EVENT_ON : SD_EVENT_OFF);
}

static void run(struct pump *p)
{
    carry(p);
    if ((p->net_eof && p->to_app.len == 0) || (p->net_gone && p->app_eof)) {
        end(p);
        return;
    }
    if (p->app_eof && p->to_net.len == 0 && !p->bye)
        say_bye(p);
    want(p->net_io,
         (p->to_app.len == 0 && !p->net_eof ? EPOLLIN : 0u) | (p->to_net.len > 0 ? EPOLLOUT : 0u));
    if (!p->app_gone)
        want(p->app_io, (p->to_net.len == 0 && !p->app_eof ? EPOLLIN : 0u) |
                            (p->to_app.len > 0 ? EPOLLOUT : 0u));
}

static int on_net(sd_event_source *src, int fd, uint32_t events, void *user)
{
    (void)src;
    (void)fd;
    (void)events;
    run(user);
    return 0;
}

static int on_app(sd_event_source *src, int fd, uint32_t events, void *user)
{
    struct pump *p = user;

    (void)fd;
    if (events & (EPOLLHUP | EPOLLERR)) {
        /* Closed on the other side, though what it wrote last may still be here to read. A hang-up
         * cannot be masked, so it is looked at once: what does not fit into the network now is
         * fetched when there is room again. */
        p->app_gone = true;
        p->to_app.len = 0;
        sd_event_source_set_enabled(src, SD_EVENT_OFF);
    }
    run(p);
    return 0;
}

int pump_new(sd_event *loop, gnutls_session_t session, int net, const struct pump_first *first,
             void (*ended)(void *arg), void *arg, struct pump **ret, int *ret_fd,
             struct xeno_err *err)
{
    struct pump *p;
    int pair[2], r, on = 1, off = 0;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return xeno_fail_errno(err, -errno, "http.upgrade", "make a socket pair");
    p = xeno_new0(struct pump);
    p->loop = sd_event_ref(loop);
    p->session = session;
    p->net = net;
    p->app = pair[0];
    p->ended = ended;
    p->arg = arg;
    xeno_buf_add(&p->to_net, first->to_net, first->to_net_len);
    xeno_buf_add(&p->to_app, first->to_app, first->to_app_len);
    /* Keystrokes and their echo must not wait for more of them. */
    setsockopt(net, IPPROTO_TCP, TCP_CORK, &off, sizeof(off));
    setsockopt(net, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    /* TLS may hold decrypted bytes already, of which the socket says nothing: EPOLLOUT on the pair
     * starts the first round at once. */
    r = sd_event_add_io(loop, &p->net_io, net, EPOLLIN | EPOLLOUT, on_net, p);
    if (r >= 0)
        r = sd_event_add_io(loop, &p->app_io, p->app, EPOLLIN | EPOLLOUT, on_app, p);
    if (r < 0) {
        pump_free(p);
        close(pair[1]);
        return xeno_fail_errno(err, r, "http.upgrade", "join the event loop");
    }
    *ret = p;
    *ret_fd = pair[1];
    return 0;
}
