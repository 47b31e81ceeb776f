/* src/http/upgrade.c - the server's side of a switch of protocol.
 *
 * libmicrohttpd keeps the TLS session and pumps its bytes through a socket pair; the owner gets a
 * duplicate of our end, so that closing the connection never closes a descriptor under it.
 */
#include "http/server-priv.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <utlist.h>

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

static void on_switched(void *cls, struct MHD_Connection *mhd, void *con_cls, const char *early,
                        size_t early_len, MHD_socket sock, struct MHD_UpgradeResponseHandle *urh)
{
    struct xeno_http_upgraded *u = cls;
    struct xeno_http_req *q = con_cls;

    (void)mhd;
    if (q)
        q->upgrade = NULL;
    u->urh = urh;
    u->fd = fcntl(sock, F_DUPFD_CLOEXEC, 3);
    if (u->fd < 0 || fcntl(u->fd, F_SETFL, O_NONBLOCK) < 0) {
        u->ready(-1, NULL, 0, NULL, u->arg);
        xeno_http_upgrade_close(u);
        return;
    }
    u->ready(u->fd, early, early_len, u, u->arg);
}

void xeno_http_upgrade(struct xeno_http_req *q, const char *protocol,
                       void (*ready)(int fd, const void *early, size_t early_len,
                                     struct xeno_http_upgraded *u, void *arg),
                       void *arg)
{
    struct xeno_http_upgraded *u;
    struct xeno_err err;
    struct MHD_Response *r;

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
    u->fd = -1;
    u->ready = ready;
    u->arg = arg;
    r = MHD_create_response_for_upgrade(on_switched, u);
    if (!r)
        abort();
    MHD_add_response_header(r, "Upgrade", protocol);
    DL_APPEND(u->server->upgraded, u);
    q->upgrade = u;
    http_idem_end(q, 0, NULL);
    http_give(q, 101, r);
}

void http_upgrade_failed(struct xeno_http_upgraded *u)
{
    u->ready(-1, NULL, 0, NULL, u->arg);
    DL_DELETE(u->server->upgraded, u);
    free(u);
}

static void really_close(struct xeno_http_upgraded *u)
{
    DL_DELETE(u->server->upgraded, u);
    if (u->urh)
        MHD_upgrade_action(u->urh, MHD_UPGRADE_ACTION_CLOSE);
    if (u->fd >= 0)
        close(u->fd);
    free(u);
}

/* From the loop and not from here: the owner may call this inside `ready`, where libmicrohttpd has
 * not finished its own side of the switch. */
void xeno_http_upgrade_close(struct xeno_http_upgraded *u)
{
    u->closing = true;
    http_later(u->server);
}

void http_upgrades_close(struct xeno_http_server *s, bool all)
{
    struct xeno_http_upgraded *u, *next;

    DL_FOREACH_SAFE (s->upgraded, u, next) {
        if (all ? u->urh != NULL : u->closing)
            really_close(u);
    }
}
