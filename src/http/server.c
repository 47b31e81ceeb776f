/* src/http/server.c - the daemon's life, its connections, and libmicrohttpd in the sd-event loop.
 *
 * libmicrohttpd runs in its external epoll mode: its epoll descriptor is one source of our loop,
 * its timeout another. Nothing here starts a thread.
 */
#include "http/server-priv.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <utlist.h>

const struct xeno_http_limits xeno_http_limits_default = {
    .connections = 2000,
    .connections_per_address = 1000,
    .running_per_peer = 400,
    .header_bytes = 16 * 1024,
    .idle_s = 60,
    .request_s = 20,
    .unsent_bytes = 64 << 20,
};

/* libmicrohttpd (0.9.75, epoll) asks to be run again at once for as long as any TLS handshake waits
 * for its peer, which may be for ever. What is asked for at once is therefore rationed: a burst,
 * and then a run each PACE_US, which is a few percent of a processor. An event of a socket is never
 * kept waiting, and whatever goes on pays for the runs in which it does (http_pay()). */
#define PACE_US       1000
#define PACE_BURST_US (512 * PACE_US)
#define PAID_RUNS_MAX 4096

void http_pay(struct xeno_http_server *s, size_t bytes)
{
    size_t runs = HTTP_STEP_RUNS + bytes / HTTP_RECORD_BYTES;

    s->paid_runs = runs < PAID_RUNS_MAX - s->paid_runs ? s->paid_runs + runs : PAID_RUNS_MAX;
}

static uint64_t soonest(struct xeno_http_server *s, uint64_t now)
{
    if (s->paid_until + PACE_BURST_US < now)
        s->paid_until = now - PACE_BURST_US;
    return s->paid_until > now ? s->paid_until : now;
}

/* A timer that comes too early is a run for nothing, seldom; one that is set anew with each request
 * is a system call each time. */
static void set_timer(struct xeno_http_server *s, uint64_t now, uint64_t when)
{
    if (s->armed > now && s->armed <= when)
        return;
    s->armed = when;
    sd_event_source_set_time(s->timer, when);
    sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

static void rearm(struct xeno_http_server *s)
{
    MHD_UNSIGNED_LONG_LONG ms;
    uint64_t now, when;

    if (MHD_get_timeout(s->mhd, &ms) != MHD_YES)
        return;
    sd_event_now(s->loop, CLOCK_MONOTONIC, &now);
    when = ms > 0 ? now + ms * 1000 : soonest(s, now);
    if (when > now)
        set_timer(s, now, when);
    else
        sd_event_source_set_enabled(s->again, SD_EVENT_ONESHOT);
}

static void run(struct xeno_http_server *s)
{
    MHD_run(s->mhd);
    rearm(s);
}

static int on_ready(sd_event_source *src, int fd, uint32_t events, void *user)
{
    (void)src;
    (void)fd;
    (void)events;
    run(user);
    return 0;
}

/* What it asked for itself is paid for; that a connection was woken is not its doing. */
static int on_again(sd_event_source *src, void *user)
{
    struct xeno_http_server *s = user;

    (void)src;
    if (s->woken)
        s->woken = false;
    else if (s->paid_runs > 0)
        s->paid_runs--;
    else
        s->paid_until += PACE_US;
    run(s);
    return 0;
}

static int on_timer(sd_event_source *src, uint64_t usec, void *user)
{
    struct xeno_http_server *s = user;

    (void)usec;
    s->armed = 0;
    return on_again(src, s);
}

/* How long a connection may stay in its phase; 0: as long as it likes. */
static unsigned phase_limit_s(const struct conn *c)
{
    const struct xeno_http_limits *l = &c->server->limits;

    switch (c->phase) {
    case PHASE_IDLE: /* silence is libmicrohttpd's to end; this ends a trickle */
        return l->idle_s + l->request_s;
    case PHASE_ARRIVING:
        return l->request_s;
    case PHASE_ANSWERING: /* all of a small answer, or the rest a large one may take */
        return 4 * l->request_s;
    default:
        return 0;
    }
}

/* A stream asks nothing any more, so its credential is looked at here. One that only ran out is let
 * be: its owner has renewed it, and a new connection would be no better. */
static bool is_revoked(const struct conn *c)
{
    const struct xeno_http_server_opts *o = &c->server->opts;

    return c->phase == PHASE_STREAMING && c->cert && http_is_revoked(o, c->cert->serial);
}

static int on_scan(sd_event_source *src, uint64_t usec, void *user)
{
    struct xeno_http_server *s = user;
    xeno_time now = xeno_mono(s->opts.env);
    struct conn *c;

    (void)usec;
    DL_FOREACH (s->conns, c) {
        unsigned limit = phase_limit_s(c);

        if ((limit && now.ns - c->since.ns >= (int64_t)limit * XENO_NS_PER_S) || is_revoked(c))
            http_close_socket(c);
    }
    http_streams_tend(s, now);
    if (s->conns) {
        sd_event_now(s->loop, CLOCK_MONOTONIC, &usec);
        sd_event_source_set_time(src, usec + 1000000);
        sd_event_source_set_enabled(src, SD_EVENT_ONESHOT);
    }
    return 0;
}

static int on_later(sd_event_source *src, void *user)
{
    (void)src;
    http_streams_fail(user);
    http_upgrades_start(user);
    return 0;
}

void http_later(struct xeno_http_server *s)
{
    if (!s->stopping)
        sd_event_source_set_enabled(s->later, SD_EVENT_ONESHOT);
}

void http_phase(struct conn *c, enum phase phase)
{
    c->phase = phase;
    c->since = xeno_mono(c->server->opts.env);
}

/* The clock of the phase goes on only as far as the pace would have it, so that whoever was quick
 * may rest, and a trickle is ended. */
void http_went_on(struct conn *c, size_t bytes)
{
    int64_t now = xeno_mono(c->server->opts.env).ns, paid;

    http_pay(c->server, bytes);
    if (!xeno_muldiv((int64_t)bytes, XENO_NS_PER_S, XENO_HTTP_PACE, &paid) ||
        paid > now - c->since.ns)
        paid = now - c->since.ns;
    c->since.ns += paid;
}

void http_close_socket(struct conn *c)
{
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CONNECTION_FD);

    if (i)
        shutdown(i->connect_fd, SHUT_RDWR);
}

static int on_hup(sd_event_source *src, int fd, uint32_t events, void *user)
{
    struct conn *c = user;

    (void)fd;
    (void)events;
    sd_event_source_set_enabled(src, SD_EVENT_OFF);
    if (c->asleep)
        http_peer_left(c);
    return 0;
}

void http_sleep(struct conn *c)
{
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CONNECTION_FD);

    assert(!c->asleep);
    c->asleep = true;
    MHD_suspend_connection(c->mhd);
    if (c->hup)
        sd_event_source_set_enabled(c->hup, SD_EVENT_ON);
    else if (i)
        sd_event_add_io(c->server->loop, &c->hup, i->connect_fd, EPOLLRDHUP, on_hup, c);
}

void http_wake(struct conn *c)
{
    if (!c->asleep)
        return;
    c->asleep = false;
    if (c->hup)
        sd_event_source_set_enabled(c->hup, SD_EVENT_OFF);
    MHD_resume_connection(c->mhd);
    c->server->woken = true;
    sd_event_source_set_enabled(c->server->again, SD_EVENT_ONESHOT);
}

static void take_address(struct conn *c)
{
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr_in6 *six = i ? (const struct sockaddr_in6 *)i->client_addr : NULL;
    socklen_t len = sizeof(struct sockaddr_in6);

    if (!i || (i->client_addr->sa_family != AF_INET && i->client_addr->sa_family != AF_INET6))
        return;
    if (i->client_addr->sa_family == AF_INET)
        len = sizeof(struct sockaddr_in);
    if (getnameinfo(i->client_addr, len, c->address, sizeof(c->address), NULL, 0, NI_NUMERICHOST))
        c->address[0] = '\0';
    if (i->client_addr->sa_family == AF_INET)
        c->loopback = strncmp(c->address, "127.", 4) == 0;
    else
        c->loopback = IN6_IS_ADDR_LOOPBACK(&six->sin6_addr) ||
                      (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr) && six->sin6_addr.s6_addr[12] == 127);
}

static void conn_start(struct xeno_http_server *s, struct MHD_Connection *mhd, void **context)
{
    struct conn *c = xeno_new0(struct conn);
    uint64_t now;

    c->server = s;
    c->mhd = mhd;
    take_address(c);
    http_tls_attach(c);
    http_phase(c, PHASE_IDLE);
    if (!s->conns) {
        sd_event_now(s->loop, CLOCK_MONOTONIC, &now);
        sd_event_source_set_time(s->scan, now + 1000000);
        sd_event_source_set_enabled(s->scan, SD_EVENT_ONESHOT);
    }
    DL_APPEND(s->conns, c);
    *context = c;
}

static void conn_end(struct conn *c)
{
    if (!c)
        return;
    DL_DELETE(c->server->conns, c);
    sd_event_source_disable_unref(c->hup);
    http_tls_unref(c->tls);
    xeno_cert_free(c->cert);
    free(c);
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        conn_start(cls, mhd, context);
    else
        conn_end(xeno_take((struct conn **)context));
}

/* libmicrohttpd's own complaints concern single peers; a program hears of those by its metrics. */
static void quiet(void *cls, const char *fmt, va_list ap)
{
    (void)cls;
    (void)fmt;
    (void)ap;
}

/* Take "127.0.0.1:8443" or "[::1]:0" apart; numeric only, so that no name service is asked. */
static int split_listen(const char *text, struct addrinfo **ret)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC,
                              .ai_socktype = SOCK_STREAM,
                              .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE };
    xeno_autofree char *host = xeno_strdup(text);
    char *port = strrchr(host, ':'), *name = host;
    size_t len;

    if (!port || port[1] == '\0')
        return -EINVAL;
    *port++ = '\0';
    len = strlen(host);
    if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = '\0';
        name++;
    }
    return getaddrinfo(name, port, &hints, ret) == 0 ? 0 : -EINVAL;
}

int xeno_http_listen(const char *text, int *ret, struct xeno_err *err)
{
    struct addrinfo *ai = NULL;
    xeno_autoclose int fd = -1;
    int r, on = 1;

    r = split_listen(text, &ai);
    if (r < 0)
        return xeno_fail(err, r, "http.listen",
                         "cannot listen on '%s': it must be ADDRESS:PORT or [ADDRESS]:PORT", text);
    fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    r = fd < 0 || bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0 ? -errno
                                                                                         : 0;
    freeaddrinfo(ai);
    if (r < 0)
        return xeno_fail_errno(err, r, "http.listen", "listen on '%s'", text);
    *ret = xeno_take_fd(&fd);
    return 0;
}

static unsigned port_of(int fd)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof(a);

    if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        return 0;
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                         : ((struct sockaddr_in *)&a)->sin_port);
}

/* The pool holds a connection's header, the decoded arguments that point into it, and the buffer
 * an answer is written from. */
static size_t pool_bytes(const struct xeno_http_limits *l)
{
    return 2 * (size_t)l->header_bytes + 16 * 1024;
}

static int start_mhd(struct xeno_http_server *s, int fd, struct xeno_err *err)
{
    char *key = NULL;
    int r = xeno_key_pem(s->opts.key, &key, err);

    if (r < 0)
        return r;
    s->mhd = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_TLS | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0,
        NULL, NULL, http_access, s, MHD_OPTION_EXTERNAL_LOGGER, quiet, NULL,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_HTTPS_MEM_KEY, key, MHD_OPTION_HTTPS_MEM_CERT,
        s->opts.cert_pem, MHD_OPTION_HTTPS_PRIORITIES,
        "NORMAL:-VERS-ALL:+VERS-TLS1.3:%SERVER_PRECEDENCE", MHD_OPTION_CONNECTION_LIMIT,
        s->limits.connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        s->limits.connections_per_address, MHD_OPTION_CONNECTION_TIMEOUT, s->limits.idle_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, pool_bytes(&s->limits), MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
        MHD_OPTION_NOTIFY_COMPLETED, http_completed, s, MHD_OPTION_URI_LOG_CALLBACK, http_uri, s,
        MHD_OPTION_END);
    xeno_wipe(key, strlen(key));
    free(key);
    return s->mhd ? 0 : xeno_fail(err, -EIO, "http.tls", "the HTTPS server could not be started");
}

static int join_loop(struct xeno_http_server *s, sd_event *loop, struct xeno_err *err)
{
    const union MHD_DaemonInfo *i = MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_EPOLL_FD);
    int r = -EIO;

    s->loop = sd_event_ref(loop);
    if (i)
        r = sd_event_add_io(loop, &s->io, i->epoll_fd, EPOLLIN, on_ready, s);
    if (r >= 0)
        r = sd_event_add_time_relative(loop, &s->timer, CLOCK_MONOTONIC, 0, 1, on_timer, s);
    if (r >= 0)
        r = sd_event_add_time_relative(loop, &s->scan, CLOCK_MONOTONIC, 1000000, 250000, on_scan,
                                       s);
    if (r >= 0)
        r = sd_event_add_defer(loop, &s->again, on_again, s);
    if (r >= 0)
        r = sd_event_add_defer(loop, &s->later, on_later, s);
    if (r < 0)
        return xeno_fail_errno(err, r, "http.listen", "join the event loop");
    sd_event_source_set_enabled(s->later, SD_EVENT_OFF);
    return 0;
}

int xeno_http_server_new(struct sd_event *loop, const struct xeno_http_server_opts *opts,
                         struct xeno_http_server **ret, struct xeno_err *err)
{
    xeno_auto(xeno_http_server) s = xeno_new0(struct xeno_http_server);
    xeno_autoclose int fd = -1;
    int r;

    xeno_crypto_init();
    signal(SIGPIPE, SIG_IGN);
    s->opts = *opts;
    s->limits = opts->limits ? *opts->limits : xeno_http_limits_default;
    s->ca_pem = xeno_strdup(opts->ca_pem);
    r = http_tls_new(opts->cert_pem, opts->key, &s->tls, err);
    if (r < 0)
        return r;
    fd = opts->listen_fd;
    if (fd < 0)
        r = xeno_http_listen(opts->listen, &fd, err);
    if (r < 0)
        return r;
    s->port = port_of(fd);
    r = start_mhd(s, fd, err);
    if (r < 0)
        return r;
    xeno_take_fd(&fd); /* the daemon's now */
    r = join_loop(s, loop, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&s);
    return 0;
}

/* libmicrohttpd refuses to stop over a suspended connection: wake them all, and let it run once so
 * that it sees what was closed. */
static void drop_all(struct xeno_http_server *s)
{
    struct conn *c, *next;

    http_upgrades_release(s);
    DL_FOREACH_SAFE (s->conns, c, next) {
        http_close_socket(c);
        http_peer_left(c);
        http_wake(c);
    }
    http_streams_fail(s);
    MHD_run(s->mhd);
}

void xeno_http_server_free(struct xeno_http_server *s)
{
    if (!s)
        return;
    s->stopping = true;
    if (s->mhd) {
        drop_all(s);
        MHD_stop_daemon(s->mhd);
    }
    sd_event_source_disable_unref(s->io);
    sd_event_source_disable_unref(s->timer);
    sd_event_source_disable_unref(s->again);
    sd_event_source_disable_unref(s->scan);
    sd_event_source_disable_unref(s->later);
    sd_event_unref(s->loop);
    http_idem_release(s);
    http_tls_unref(s->tls);
    free(s->ca_pem);
    free(s);
}

unsigned xeno_http_server_port(const struct xeno_http_server *s)
{
    return s->port;
}

int xeno_http_server_cert(struct xeno_http_server *s, const char *cert_pem,
                          const struct xeno_key *key, struct xeno_err *err)
{
    struct http_tls *t = NULL;
    int r = http_tls_new(cert_pem, key, &t, err);

    if (r < 0)
        return r;
    http_tls_unref(s->tls);
    s->tls = t;
    return 0;
}
