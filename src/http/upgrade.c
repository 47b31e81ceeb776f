/* src/http/upgrade.c - the server's side of a switch of protocol.
 *
 * libmicrohttpd 0.9.75 can do it over TLS, but has given its connection's memory away by then and
 * pumps four bytes at a time. So the connection is put to sleep instead, where it leaves socket and
 * TLS session alone; the answer 101 is the first thing our own pump sends. When all is over the
 * connection is woken and dropped.
 */
#include "http/server-priv.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <utlist.h>

#include "http/pump.h"

/* Is `word` one of the comma-separated words of the header? */
static bool lists(const char *header, const char *word)
{
    size_t want = strlen(word);

    while (header && *header) {
        size_t len;

        header += strspn(header, ", \t");
        len = strcspn(header, ", \t");
        if (len == want && strncasecmp(header, word, len) == 0)
            return true;
        header += len;
    }
    return false;
}

/* Without connection and without owner nobody knows it any more. */
static void maybe_free(struct xeno_http_upgraded *u)
{
    if (u->req || (u->switched && u->fd >= 0))
        return;
    if (u->server)
        DL_DELETE(u->server->upgraded, u);
    pump_free(u->pump);
    free(u->protocol);
    free(u);
}

void http_upgrade_drop(struct xeno_http_req *q)
{
    struct xeno_http_upgraded *u = xeno_take(&q->upgrade);

    if (!u)
        return;
    u->req = NULL;
    pump_free(xeno_take(&u->pump)); /* closes its end: the owner reads end of file */
    if (!u->switched)
        u->ready(-1, NULL, 0, NULL, u->arg);
    maybe_free(u);
}

static void on_ended(void *arg)
{
    struct xeno_http_upgraded *u = arg;
    struct conn *c = u->req->conn;

    u->pump = NULL;
    u->req->dropped = true;
    http_close_socket(c);
    http_wake(c);
}

static void start(struct xeno_http_upgraded *u)
{
    struct conn *c = u->req->conn;
    const union MHD_ConnectionInfo *session =
        MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    const union MHD_ConnectionInfo *net =
        MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    xeno_autofree char *head = xeno_asprintf("HTTP/1.1 101 Switching Protocols\r\n"
                                             "Connection: Upgrade\r\nUpgrade: %s\r\n\r\n",
                                             u->protocol);
    struct pump_first first = { .to_net = head, .to_net_len = strlen(head) };

    c->hup = sd_event_source_disable_unref(c->hup); /* the pump watches the socket now */
    if (!session || !net ||
        pump_new(u->server->loop, (gnutls_session_t)session->tls_session, net->connect_fd, &first,
                 on_ended, u, &u->pump, &u->fd, NULL) < 0) {
        u->req->dropped = true;
        http_wake(c);
        return;
    }
    u->switched = true;
    http_phase(c, PHASE_STREAMING);
    u->ready(u->fd, NULL, 0, u, u->arg);
}

void http_upgrades_start(struct xeno_http_server *s)
{
    struct xeno_http_upgraded *u;
    bool again = true;

    /* `ready` may close this one or others: start over after each. */
    while (again) {
        again = false;
        DL_FOREACH (s->upgraded, u) {
            if (u->switched || !u->req || u->req->dropped)
                continue;
            start(u);
            again = true;
            break;
        }
    }
}

void xeno_http_upgrade(struct xeno_http_req *q, const char *protocol,
                       void (*ready)(int fd, const void *early, size_t early_len,
                                     struct xeno_http_upgraded *u, void *arg),
                       void *arg)
{
    struct xeno_http_upgraded *u;
    struct xeno_err err;

    if (!lists(xeno_http_header(q, "Upgrade"), protocol) ||
        !lists(xeno_http_header(q, "Connection"), "upgrade")) {
        xeno_fail(&err, -EPROTONOSUPPORT, "http.upgrade",
                  "%s speaks %s: ask for it with 'Connection: Upgrade' and 'Upgrade: %s'",
                  q->route->path, protocol, protocol);
        xeno_http_reply_err(q, &err);
        return;
    }
    u = xeno_new0(struct xeno_http_upgraded);
    u->server = q->server;
    u->req = q;
    u->protocol = xeno_strdup(protocol);
    u->fd = -1;
    u->ready = ready;
    u->arg = arg;
    DL_APPEND(u->server->upgraded, u);
    q->upgrade = u;
    q->gone = NULL;
    http_idem_end(q, 0, NULL);
    http_running_end(q);
    http_later(q->server); /* by when its connection sleeps */
}

void xeno_http_upgrade_close(struct xeno_http_upgraded *u)
{
    close(u->fd);
    u->fd = -1;
    maybe_free(u);
}

void http_upgrades_release(struct xeno_http_server *s)
{
    struct xeno_http_upgraded *u;

    while ((u = s->upgraded) != NULL) {
        struct xeno_http_req *q = u->req;

        DL_DELETE(s->upgraded, u);
        u->server = NULL; /* the owner may close it after us */
        if (!q)
            continue;
        q->dropped = true;
        http_close_socket(q->conn);
        http_wake(q->conn);
        http_upgrade_drop(q);
    }
}
