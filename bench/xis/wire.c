/* bench/xis/wire.c - a lean client's end of a connection. */
#include "xis/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"

#define PIECE (256 * 1024)

struct wire_tls {
    gnutls_certificate_credentials_t cred;
};

struct wire {
    int fd;
    gnutls_session_t tls; /* NULL: none */
    char *in;             /* as it came, PIECE at most */
    size_t at, len;
    bool drained; /* nothing more is in the socket, as far as was seen */
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static void check(const char *what, int r)
{
    if (r < 0)
        die(what, gnutls_strerror(r));
}

struct wire_tls *wire_tls_new(const char *ca, const char *key, const char *cert)
{
    struct wire_tls *t = xeno_new0(struct wire_tls);

    check(ca, gnutls_certificate_allocate_credentials(&t->cred));
    check(ca, gnutls_certificate_set_x509_trust_file(t->cred, ca, GNUTLS_X509_FMT_PEM));
    if (key)
        check(key, gnutls_certificate_set_x509_key_file(t->cred, cert, key, GNUTLS_X509_FMT_PEM));
    return t;
}

static int dial(const char *to)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    struct sockaddr_in in = { .sin_family = AF_INET };
    xeno_autofree char *host = xeno_strdup(to);
    char *port = strrchr(host, ':');
    int fd, on = 1, r;

    if (*to == '/') {
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        snprintf(un.sun_path, sizeof un.sun_path, "%s", to);
        r = connect(fd, (struct sockaddr *)&un, sizeof un);
    } else {
        if (port)
            *port++ = '\0';
        if (!port || inet_pton(AF_INET, host, &in.sin_addr) != 1)
            die(to, "not HOST:PORT, by numbers");
        in.sin_port = htons((uint16_t)atoi(port));
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        r = connect(fd, (struct sockaddr *)&in, sizeof in);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (r < 0)
        die(to, strerror(errno));
    return fd;
}

/* More of what came; -1 with errno. */
static ssize_t fill(struct wire *w, int flags)
{
    ssize_t n = recv(w->fd, w->in, PIECE, flags);

    w->drained = n < PIECE && (flags & MSG_DONTWAIT);
    w->at = 0;
    w->len = n > 0 ? (size_t)n : 0;
    return n;
}

static size_t take(struct wire *w, void *to, size_t max)
{
    size_t n = w->len - w->at < max ? w->len - w->at : max;

    memcpy(to, w->in + w->at, n);
    w->at += n;
    return n;
}

static ssize_t fetch(struct wire *w, void *to, size_t max, int flags)
{
    ssize_t n;

    if (w->at < w->len)
        return (ssize_t)take(w, to, max);
    if (w->drained) {
        errno = EAGAIN;
        return -1;
    }
    n = fill(w, flags);
    return n <= 0 ? n : (ssize_t)take(w, to, max);
}

/* GnuTLS asks for a record's head and for its body. */
static ssize_t pull(gnutls_transport_ptr_t ptr, void *to, size_t max)
{
    struct wire *w = ptr;
    ssize_t n = fetch(w, to, max, MSG_DONTWAIT);

    if (n < 0)
        gnutls_transport_set_errno(w->tls, errno);
    return n;
}

static ssize_t push(gnutls_transport_ptr_t ptr, const void *data, size_t len)
{
    struct wire *w = ptr;
    ssize_t n = send(w->fd, data, len, MSG_NOSIGNAL);

    if (n < 0)
        gnutls_transport_set_errno(w->tls, errno);
    return n;
}

static void await(struct wire *w)
{
    struct pollfd p = { .fd = w->fd, .events = POLLIN };

    if (w->at == w->len)
        (void)poll(&p, 1, -1);
    w->drained = false;
}

static void shake_hands(struct wire *w, const char *to, const struct wire_tls *tls)
{
    unsigned status = 0;
    int r;

    check(to, gnutls_init(&w->tls, GNUTLS_CLIENT));
    check(to, gnutls_priority_set_direct(w->tls, "NORMAL:-VERS-ALL:+VERS-TLS1.3", NULL));
    check(to, gnutls_credentials_set(w->tls, GNUTLS_CRD_CERTIFICATE, tls->cred));
    gnutls_transport_set_ptr(w->tls, w);
    gnutls_transport_set_pull_function(w->tls, pull);
    gnutls_transport_set_push_function(w->tls, push);
    while ((r = gnutls_handshake(w->tls)) < 0 && !gnutls_error_is_fatal(r))
        await(w);
    check(to, r);
    check(to, gnutls_certificate_verify_peers2(w->tls, &status));
    if (status != 0)
        die(to, "its certificate is not of that CA");
}

struct wire *wire_dial(const char *to, const struct wire_tls *tls)
{
    struct wire *w = xeno_new0(struct wire);

    w->in = xeno_alloc0(PIECE, 1);
    w->fd = dial(to);
    if (tls)
        shake_hands(w, to, tls);
    return w;
}

void wire_close(struct wire *w)
{
    if (w->tls)
        gnutls_deinit(w->tls);
    close(w->fd);
    free(w->in);
    free(w);
}

int wire_fd(const struct wire *w)
{
    return w->fd;
}

void wire_put(struct wire *w, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = w->tls ? gnutls_record_send(w->tls, p, len) : send(w->fd, p, len, MSG_NOSIGNAL);

        if (n < 0 && (w->tls ? gnutls_error_is_fatal((int)n) : errno != EINTR))
            die("send", w->tls ? gnutls_strerror((int)n) : strerror(errno));
        if (n < 0)
            continue;
        p += n;
        len -= (size_t)n;
    }
}

void wire_ready(struct wire *w)
{
    w->drained = false;
}

/* A record that is about TLS itself, a ticket, is "not now" too, though more may be here already.
 */
static bool again(const struct wire *w, ssize_t n)
{
    return w->tls && (n == GNUTLS_E_INTERRUPTED || (n == GNUTLS_E_AGAIN && w->at < w->len));
}

size_t wire_get(struct wire *w, void *to, size_t max)
{
    ssize_t n;

    do
        n = w->tls ? gnutls_record_recv(w->tls, to, max) : fetch(w, to, max, MSG_DONTWAIT);
    while (again(w, n));
    if (n > 0)
        return (size_t)n;
    if (w->tls ? n < 0 && !gnutls_error_is_fatal((int)n) : n < 0 && errno == EAGAIN)
        return 0;
    die("receive", n == 0   ? "the server has closed the connection"
                   : w->tls ? gnutls_strerror((int)n)
                            : strerror(errno));
    return 0;
}

size_t wire_await(struct wire *w, void *to, size_t max)
{
    size_t n;

    while ((n = wire_get(w, to, max)) == 0)
        await(w);
    return n;
}
