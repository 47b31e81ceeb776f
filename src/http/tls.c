/* src/http/tls.c - the server's certificate, and what a client's certificate is worth.
 *
 * libmicrohttpd hands us each TLS session before its handshake: it gets credentials of ours, so
 * that a renewed certificate needs no restart, and is told to ask for a client certificate. TLS
 * proves that the peer holds the certificate's key; whether the certificate is one of our CA is
 * asked here, once a connection; its time and revocation at every request.
 */
#include "http/server-priv.h"

#include <errno.h>
#include <string.h>

/* GnuTLS 3.7 does not see that an Ed25519 certificate and a key do not belong together. */
static int check_pair(const char *cert_pem, const struct xeno_key *key, struct xeno_err *err)
{
    xeno_auto(xeno_cert) cert = NULL;
    int r = xeno_cert_parse(cert_pem, 0, &cert, err);

    if (r == 0 && memcmp(&cert->pub, xeno_key_pub(key), sizeof(cert->pub)) != 0)
        r = xeno_fail(err, -EINVAL, "http.tls", "the certificate is for another key");
    return r;
}

int http_tls_new(const char *cert_pem, const struct xeno_key *key, struct http_tls **ret,
                 struct xeno_err *err)
{
    struct http_tls *t = xeno_new0(struct http_tls);
    gnutls_datum_t cert = { (unsigned char *)(uintptr_t)cert_pem, (unsigned)strlen(cert_pem) };
    gnutls_datum_t k = { NULL, 0 };
    char *pem = NULL;
    int r;

    t->refs = 1;
    r = check_pair(cert_pem, key, err);
    if (r == 0)
        r = xeno_key_pem(key, &pem, err);
    if (r < 0) {
        free(t);
        return r;
    }
    k.data = (unsigned char *)pem;
    k.size = (unsigned)strlen(pem);
    r = gnutls_certificate_allocate_credentials(&t->cred);
    if (r >= 0)
        r = gnutls_certificate_set_x509_key_mem(t->cred, &cert, &k, GNUTLS_X509_FMT_PEM);
    xeno_wipe(pem, k.size);
    free(pem);
    if (r < 0) {
        http_tls_unref(t);
        return xeno_fail(err, -EINVAL, "http.tls", "certificate and key of the server: %s",
                         gnutls_strerror(r));
    }
    *ret = t;
    return 0;
}

void http_tls_unref(struct http_tls *t)
{
    if (!t || --t->refs > 0)
        return;
    if (t->cred)
        gnutls_certificate_free_credentials(t->cred);
    free(t);
}

static gnutls_session_t session_of(const struct conn *c)
{
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);

    return i ? (gnutls_session_t)i->tls_session : NULL;
}

void http_tls_attach(struct conn *c)
{
    gnutls_session_t session = session_of(c);

    if (!session)
        return;
    c->tls = c->server->tls;
    c->tls->refs++;
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, c->tls->cred);
    gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
    /* Do not name our CA in the request: a client with another XenoCorp's certificate shall send
     * it and be told what is wrong, rather than seem anonymous. */
    gnutls_certificate_send_x509_rdn_sequence(session, 1);
}

static void check_once(struct conn *c)
{
    xeno_auto(xeno_cert) cert = NULL;
    const gnutls_datum_t *chain;
    gnutls_session_t session = session_of(c);
    unsigned count = 0;
    xeno_time now = xeno_wall(c->server->opts.env);

    c->peer_checked = true;
    chain = session ? gnutls_certificate_get_peers(session, &count) : NULL;
    if (!chain || count == 0)
        return;
    if (xeno_cert_check((const char *)chain[0].data, chain[0].size, c->server->ca_pem, now,
                        &c->cert_err) < 0 ||
        xeno_cert_parse((const char *)chain[0].data, chain[0].size, &cert, &c->cert_err) < 0)
        return;
    c->cert = xeno_take(&cert);
}

bool http_is_revoked(const struct xeno_http_server_opts *o, const char *serial)
{
    return o->revoked && o->revoked(serial, o->revoked_user ? o->revoked_user : o->user);
}

int http_peer_check(struct conn *c, struct xeno_err *err)
{
    struct xeno_http_server *s = c->server;
    xeno_time now = xeno_wall(s->opts.env);

    if (!c->peer_checked)
        check_once(c);
    if (c->cert_err.code < 0) {
        *err = c->cert_err;
        return err->code;
    }
    if (!c->cert)
        return 0;
    if (now.ns >= c->cert->not_after.ns)
        return xeno_fail(err, -EPERM, "x509.expired",
                         "the credential ran out while the connection was open; renew it");
    if (http_is_revoked(&s->opts, c->cert->serial))
        return xeno_fail(err, -EPERM, "x509.revoked", "the credential %s was revoked",
                         c->cert->serial);
    return 0;
}
