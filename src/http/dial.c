/* src/http/dial.c - the client's side of a switch of protocol.
 *
 * A connection of our own: libcurl 7.88 shows the TLS session only while a transfer runs, so with
 * its connect-only mode the server could not be checked. Dialling blocks, with a deadline; once
 * the server has answered 101, a pump in the loop carries bytes between TLS and a socket pair.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <utlist.h>

#include "http/client-priv.h"
#include "http/problem.h"
#include "http/server-priv.h"

#define DIAL_NS      (30 * XENO_NS_PER_S)
#define HEAD_BYTES   (16 * 1024) /* of the answer */
#define REASON_BYTES (64 * 1024) /* of a problem document after it */
#define PUMP_BYTES   (16 * 1024)

struct pump {
    struct xeno_http_client *client;
    struct http_tls *tls;
    gnutls_session_t session;
    int net, app; /* the TCP socket; our end of the pair */
    sd_event_source *net_io, *app_io;
    struct xeno_buf to_app, to_net;
    bool net_eof, app_eof, app_gone, bye;
    struct pump *prev, *next;
};

static void pump_free(struct pump *p)
{
    if (!p)
        return;
    sd_event_source_disable_unref(p->net_io);
    sd_event_source_disable_unref(p->app_io);
    if (p->session)
        gnutls_deinit(p->session);
    http_tls_unref(p->tls);
    if (p->net >= 0)
        close(p->net);
    if (p->app >= 0)
        close(p->app);
    xeno_buf_release(&p->to_app);
    xeno_buf_release(&p->to_net);
    free(p);
}

void http_pumps_release(struct xeno_http_client *c)
{
    struct pump *p, *next;

    DL_FOREACH_SAFE (c->pumps, p, next) {
        DL_DELETE(c->pumps, p);
        pump_free(p);
    }
}

/* --- the pump: each step returns whether it got further --- */

static bool from_net(struct pump *p)
{
    char buf[PUMP_BYTES];
    ssize_t n;

    if (p->net_eof || p->to_app.len > 0)
        return false;
    n = gnutls_record_recv(p->session, buf, sizeof(buf));
    if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
        return false;
    if (n > 0)
        xeno_buf_add(&p->to_app, buf, (size_t)n);
    else if (n == 0 || gnutls_error_is_fatal((int)n))
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
        return false;
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
    if (n > 0)
        xeno_buf_add(&p->to_net, buf, (size_t)n);
    else
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
        p->net_eof = true;
        p->to_net.len = 0;
        return false;
    }
    xeno_buf_shift(&p->to_net, (size_t)n);
    return true;
}

static bool ended(const struct pump *p)
{
    return (p->net_eof && p->to_app.len == 0) || (p->app_gone && p->to_net.len == 0);
}

static void pump_run(struct pump *p)
{
    bool more = true;

    /* Bounded: nobody empties or fills the pair while we are here, and its buffers are finite. */
    while (more)
        more = from_net(p) | into_app(p) | from_app(p) | into_net(p);
    if (p->app_eof && p->to_net.len == 0 && !p->bye) {
        gnutls_bye(p->session, GNUTLS_SHUT_WR); /* if it does not fit, the close says it too */
        p->bye = true;
    }
    if (ended(p)) {
        DL_DELETE(p->client->pumps, p);
        pump_free(p);
        return;
    }
    sd_event_source_set_io_events(p->net_io, (p->to_app.len == 0 && !p->net_eof ? EPOLLIN : 0u) |
                                                 (p->to_net.len > 0 ? EPOLLOUT : 0u));
    sd_event_source_set_io_events(p->app_io, (p->to_net.len == 0 && !p->app_eof ? EPOLLIN : 0u) |
                                                 (p->to_app.len > 0 ? EPOLLOUT : 0u));
}

static int on_net(sd_event_source *src, int fd, uint32_t events, void *user)
{
    (void)src;
    (void)fd;
    (void)events;
    pump_run(user);
    return 0;
}

static int on_app(sd_event_source *src, int fd, uint32_t events, void *user)
{
    struct pump *p = user;

    (void)src;
    (void)fd;
    if (events & (EPOLLHUP | EPOLLERR)) {
        /* Closed on the other side, though what it wrote last may still be here to read. */
        while (from_app(p) | into_net(p))
            ;
        p->app_gone = p->app_eof;
        p->to_app.len = p->app_gone ? 0 : p->to_app.len;
    }
    pump_run(p);
    return 0;
}

/* --- dialling --- */

struct dial {
    struct xeno_http_client *client;
    char *host, *port, *target; /* path and query */
    xeno_time deadline;         /* monotonic */
    struct pump *pump;
    struct xeno_buf head;
};

static void dial_release(struct dial *d)
{
    pump_free(d->pump);
    xeno_buf_release(&d->head);
    free(d->host);
    free(d->port);
    free(d->target);
}

static int split_url(struct dial *d, const char *url, struct xeno_err *err)
{
    CURLU *u = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL, *path = NULL, *query = NULL;
    bool ok;

    ok = curl_url_set(u, CURLUPART_URL, url, CURLU_PATH_AS_IS) == CURLUE_OK &&
         curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
         strcmp(scheme, "https") == 0 && curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
         curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
         curl_url_get(u, CURLUPART_PATH, &path, 0) == CURLUE_OK;
    if (ok) {
        size_t len = strlen(host);

        curl_url_get(u, CURLUPART_QUERY, &query, 0);
        d->host = host[0] == '[' ? xeno_strndup(host + 1, len - 2) : xeno_strdup(host);
        d->port = xeno_strdup(port);
        d->target = xeno_asprintf("%s%s%s", path, query ? "?" : "", query ? query : "");
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(path);
    curl_free(query);
    curl_url_cleanup(u);
    return ok ? 0
              : xeno_fail(err, -EINVAL, "http.url", "'%s' is not a URL that starts with https://",
                          url);
}

static int wait_for(const struct dial *d, int fd, short events, struct xeno_err *err)
{
    struct pollfd p = { .fd = fd, .events = events };
    int64_t left = (d->deadline.ns - xeno_mono(d->client->trust.env).ns) / XENO_NS_PER_MS;
    int r = left > 0 ? poll(&p, 1, (int)left) : 0;

    if (r > 0 || (r < 0 && errno == EINTR))
        return 0;
    return xeno_fail(err, -ETIMEDOUT, "http.deadline", "'%s': no answer in time", d->host);
}

static int connect_one(struct dial *d, const struct addrinfo *ai, struct xeno_err *err)
{
    xeno_autoclose int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int r, failed = 0;
    socklen_t len = sizeof(failed);

    if (fd < 0)
        return xeno_fail_errno(err, -errno, "http.connect", "'%s'", d->host);
    if (connect(fd, ai->ai_addr, ai->ai_addrlen) < 0 && errno != EINPROGRESS)
        return xeno_fail_errno(err, -errno, "http.connect", "'%s' port %s", d->host, d->port);
    r = wait_for(d, fd, POLLOUT, err);
    if (r < 0)
        return r;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &len);
    if (failed)
        return xeno_fail_errno(err, -failed, "http.connect", "'%s' port %s", d->host, d->port);
    d->pump->net = xeno_take_fd(&fd);
    return 0;
}

static int connect_any(struct dial *d, struct xeno_err *err)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
    int r = getaddrinfo(d->host, d->port, &hints, &list);

    if (r != 0)
        return xeno_fail(err, -ECONNREFUSED, "http.connect", "'%s': %s", d->host, gai_strerror(r));
    r = -ECONNREFUSED;
    for (const struct addrinfo *ai = list; ai && r < 0; ai = ai->ai_next)
        r = connect_one(d, ai, err);
    freeaddrinfo(list);
    return r;
}

static int again(const struct dial *d, int n, struct xeno_err *err)
{
    short events = gnutls_record_get_direction(d->pump->session) ? POLLOUT : POLLIN;

    if (n != GNUTLS_E_AGAIN && n != GNUTLS_E_INTERRUPTED)
        return xeno_fail(err, -EPROTO, "http.tls", "'%s': %s", d->host, gnutls_strerror(n));
    return wait_for(d, d->pump->net, events, err);
}

static int start_tls(struct dial *d, struct xeno_err *err)
{
    struct pump *p = d->pump;
    static const char prio[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3";
    struct in6_addr numeric;
    int r = 0, n;

    p->tls = d->client->tls;
    p->tls->refs++;
    if (gnutls_init(&p->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0 ||
        gnutls_priority_set_direct(p->session, prio, NULL) < 0 ||
        gnutls_credentials_set(p->session, GNUTLS_CRD_CERTIFICATE, p->tls->cred) < 0)
        return xeno_fail(err, -EIO, "http.tls", "TLS cannot be started");
    if (inet_pton(AF_INET, d->host, &numeric) != 1 && inet_pton(AF_INET6, d->host, &numeric) != 1)
        gnutls_server_name_set(p->session, GNUTLS_NAME_DNS, d->host, strlen(d->host));
    gnutls_transport_set_int(p->session, p->net);
    while (r == 0 && (n = gnutls_handshake(p->session)) < 0)
        r = gnutls_error_is_fatal(n) || n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED
                ? again(d, n, err)
                : 0;
    return r;
}

static int send_request(struct dial *d, const char *protocol, struct xeno_err *err)
{
    xeno_autobuf b = XENO_BUF_INIT;
    size_t sent = 0;
    int r;

    xeno_buf_printf(&b,
                    "GET %s HTTP/1.1\r\nHost: %s:%s\r\nUser-Agent: xeno\r\nConnection: Upgrade\r\n"
                    "Upgrade: %s\r\n\r\n",
                    d->target, d->host, d->port, protocol);
    while (sent < b.len) {
        ssize_t n = gnutls_record_send(d->pump->session, b.data + sent, b.len - sent);

        if (n >= 0) {
            sent += (size_t)n;
            continue;
        }
        r = again(d, (int)n, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* More of the answer into d->head: 1, or 0 at its end. */
static int read_more(struct dial *d, struct xeno_err *err)
{
    char buf[4096];
    int r;

    for (;;) {
        ssize_t n = gnutls_record_recv(d->pump->session, buf, sizeof(buf));

        if (n > 0)
            return xeno_buf_add(&d->head, buf, (size_t)n);
        if (n == 0 || n == GNUTLS_E_PREMATURE_TERMINATION)
            return 0;
        r = again(d, (int)n, err);
        if (r < 0)
            return r;
    }
}

/* The answer's header into d->head (ended by a zero byte); what came after it moves to `rest`. */
static int read_head(struct dial *d, struct xeno_buf *rest, struct xeno_err *err)
{
    char *end = NULL;
    int r;

    while (!end) {
        if (d->head.len > HEAD_BYTES)
            return xeno_fail(err, -EPROTO, "http.answer", "'%s': the answer's header is too long",
                             d->host);
        r = read_more(d, err);
        if (r < 0)
            return r;
        if (r == 0)
            return xeno_fail(err, -ECONNRESET, "http.transport", "'%s' closed the connection",
                             d->host);
        if (memchr(d->head.data, '\0', d->head.len))
            return xeno_fail(err, -EPROTO, "http.answer", "'%s' does not speak HTTP", d->host);
        end = strstr(d->head.data, "\r\n\r\n");
    }
    end += 4;
    xeno_buf_add(rest, end, d->head.len - (size_t)(end - d->head.data));
    *end = '\0';
    d->head.len = (size_t)(end - d->head.data);
    return 0;
}

/* The problem document of an answer that is not 101, as far as it comes. */
static int read_problem(struct dial *d, int status, struct xeno_buf *rest, struct xeno_err *err)
{
    const char *field = strcasestr(d->head.data, "\r\nContent-Length:");
    size_t want = field ? strtoul(field + 17, NULL, 10) : 0;

    want = want < REASON_BYTES ? want : REASON_BYTES;
    d->head.len = 0;
    while (rest->len < want && read_more(d, NULL) > 0) {
        xeno_buf_add(rest, d->head.data, d->head.len);
        d->head.len = 0;
    }
    return xeno_problem_read(status, rest->data ? rest->data : "", rest->len, err);
}

static int start_pump(struct dial *d, struct xeno_buf *early, int *ret_fd, struct xeno_err *err)
{
    struct pump *p = d->pump;
    sd_event *loop = d->client->loop;
    int pair[2], r;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return xeno_fail_errno(err, -errno, "http.upgrade", "make a socket pair");
    p->app = pair[0];
    r = sd_event_add_io(loop, &p->net_io, p->net, EPOLLIN, on_net, p);
    if (r >= 0)
        r = sd_event_add_io(loop, &p->app_io, p->app, EPOLLIN, on_app, p);
    if (r < 0) {
        close(pair[1]);
        return xeno_fail_errno(err, r, "http.upgrade", "join the event loop");
    }
    xeno_buf_add(&p->to_app, early->data, early->len);
    /* TLS may hold decrypted bytes already, of which the socket says nothing. */
    sd_event_source_set_io_events(p->app_io, EPOLLIN | EPOLLOUT);
    DL_APPEND(d->client->pumps, d->pump);
    d->pump = NULL;
    *ret_fd = pair[1];
    return 0;
}

static int dial(struct dial *d, const char *server_id, const char *protocol, int *ret_fd,
                struct xeno_err *err)
{
    xeno_autobuf rest = XENO_BUF_INIT;
    int status = 0, r;

    d->pump = xeno_new0(struct pump);
    d->pump->client = d->client;
    d->pump->net = d->pump->app = -1;
    r = connect_any(d, err);
    if (r == 0)
        r = start_tls(d, err);
    if (r == 0)
        r = http_trust_check(&d->client->trust, d->pump->session, server_id, d->host, err);
    if (r == 0)
        r = send_request(d, protocol, err);
    if (r == 0)
        r = read_head(d, &rest, err);
    if (r < 0)
        return r;
    if (sscanf(d->head.data, "HTTP/1.1 %3d", &status) != 1)
        return xeno_fail(err, -EPROTO, "http.answer", "'%s' does not speak HTTP/1.1", d->host);
    if (status != 101)
        return read_problem(d, status, &rest, err);
    return start_pump(d, &rest, ret_fd, err);
}

int xeno_http_upgrade_wait(struct xeno_http_client *c, const char *url, const char *server_id,
                           const char *protocol, int *ret_fd, struct xeno_err *err)
{
    struct dial d = { .client = c };
    int r;

    if (!c->tls)
        return xeno_fail(err, -EACCES, "http.credential", "a credential is needed: register first");
    d.deadline = xeno_time_add(xeno_mono(c->trust.env), xeno_ns(DIAL_NS));
    r = split_url(&d, url, err);
    if (r == 0)
        r = dial(&d, server_id, protocol, ret_fd, err);
    dial_release(&d);
    return r;
}
