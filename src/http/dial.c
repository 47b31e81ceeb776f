/* src/http/dial.c - the client's side of a switch of protocol.
 *
 * A connection of our own: libcurl 7.88 shows the TLS session only while a transfer runs, so with
 * its connect-only mode the server could not be checked. Dialling blocks, with a deadline; once
 * the server has answered 101, a pump in the loop carries bytes between TLS and a socket pair.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <utlist.h>

#include "http/client-priv.h"
#include "http/problem.h"
#include "http/pump.h"
#include "http/tls-priv.h"

#define DIAL_NS      (30 * XENO_NS_PER_S)
#define HEAD_BYTES   (16 * 1024) /* of the answer */
#define REASON_BYTES (64 * 1024) /* of a problem document after it */
/* An upgraded connection: its TLS session and the pump between it and the caller's socket. */
struct dialled {
    struct xeno_http_client *client;
    struct http_tls *tls;
    gnutls_session_t session;
    int net;
    struct pump *pump;
    struct dialled *prev, *next;
};

static void dialled_free(struct dialled *p)
{
    if (!p)
        return;
    pump_free(p->pump);
    if (p->session)
        gnutls_deinit(p->session);
    http_tls_unref(p->tls);
    if (p->net >= 0)
        close(p->net);
    free(p);
}

void http_dialled_release(struct xeno_http_client *c)
{
    struct dialled *p, *next;

    DL_FOREACH_SAFE (c->dialled, p, next) {
        DL_DELETE(c->dialled, p);
        dialled_free(p);
    }
}

static void on_ended(void *arg)
{
    struct dialled *p = arg;

    p->pump = NULL;
    DL_DELETE(p->client->dialled, p);
    dialled_free(p);
}

/* --- dialling --- */

struct dial {
    struct xeno_http_client *client;
    char *host, *port, *target; /* path and query */
    xeno_time deadline;         /* monotonic */
    struct dialled *conn;
    struct xeno_buf head;
};

static void dial_release(struct dial *d)
{
    dialled_free(d->conn);
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
    int r = 0, failed = 0;
    socklen_t len = sizeof(failed);

    if (fd < 0)
        return xeno_fail_errno(err, -errno, "http.connect", "'%s'", d->host);
    if (d->client->guard) {
        const struct xeno_http_peer peer = { .address = ai->ai_addr, .host = d->host };

        r = d->client->guard(d->client->guard_arg, &peer, err);
        if (r < 0)
            return r;
    }
    if (connect(fd, ai->ai_addr, ai->ai_addrlen) < 0 && errno != EINPROGRESS)
        return xeno_fail_errno(err, -errno, "http.connect", "'%s' port %s", d->host, d->port);
    r = wait_for(d, fd, POLLOUT, err);
    if (r < 0)
        return r;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &len);
    if (failed)
        return xeno_fail_errno(err, -failed, "http.connect", "'%s' port %s", d->host, d->port);
    d->conn->net = xeno_take_fd(&fd);
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
    short events = gnutls_record_get_direction(d->conn->session) ? POLLOUT : POLLIN;

    if (n != GNUTLS_E_AGAIN && n != GNUTLS_E_INTERRUPTED)
        return xeno_fail(err, -EPROTO, "http.tls", "'%s': %s", d->host, gnutls_strerror(n));
    return wait_for(d, d->conn->net, events, err);
}

static int start_tls(struct dial *d, struct xeno_err *err)
{
    struct dialled *p = d->conn;
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
        ssize_t n = gnutls_record_send(d->conn->session, b.data + sent, b.len - sent);

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
        ssize_t n = gnutls_record_recv(d->conn->session, buf, sizeof(buf));

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

static int start_pump(struct dial *d, const struct xeno_buf *early, int *ret_fd,
                      struct xeno_err *err)
{
    struct pump_first first = { .to_app = early->data, .to_app_len = early->len };
    struct dialled *p = d->conn;
    int r =
        pump_new(d->client->loop, p->session, p->net, &first, on_ended, p, &p->pump, ret_fd, err);

    if (r < 0)
        return r;
    DL_APPEND(d->client->dialled, d->conn);
    d->conn = NULL;
    return 0;
}

static int dial(struct dial *d, const char *server_id, const char *protocol, int *ret_fd,
                struct xeno_err *err)
{
    xeno_autobuf rest = XENO_BUF_INIT;
    int status = 0, r;

    d->conn = xeno_new0(struct dialled);
    d->conn->client = d->client;
    d->conn->net = -1;
    r = connect_any(d, err);
    if (r == 0)
        r = start_tls(d, err);
    if (r == 0)
        r = http_trust_check(&d->client->trust, d->conn->session, server_id, d->host, err);
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
