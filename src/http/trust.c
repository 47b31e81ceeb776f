/* src/http/trust.c - the client's check of a server's certificate.
 *
 * It is made on the finished TLS session and before a byte of the request is sent, by the same code
 * for libcurl's connections and our own, so that the party id, a pinned CA and the caller's clock
 * take part; libcurl's own check, which knows none of them, is off.
 */
#include <errno.h>
#include <gnutls/x509.h>
#include <string.h>

#include "http/client-priv.h"

static int peer_error(struct xeno_err *err, const char *fmt, const char *what)
{
    return xeno_fail(err, -EPERM, "http.peer", fmt, what);
}

/* The CA certificate in the chain whose key has the pinned id, as PEM; the caller's. */
static char *pinned_ca(const struct http_trust *t, const gnutls_datum_t *chain, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        gnutls_datum_t pem = { NULL, 0 };
        char *copy = NULL;
        struct xeno_pub pub;

        if (gnutls_pem_base64_encode2("CERTIFICATE", &chain[i], &pem) < 0)
            continue;
        copy = xeno_strndup((const char *)pem.data, pem.size);
        gnutls_free(pem.data);
        if (xeno_ca_pub(copy, &pub, NULL) == 0 && strcmp(xeno_id_of(&pub).s, t->pin_ca) == 0)
            return copy;
        free(copy);
    }
    return NULL;
}

static int check_ca(const struct http_trust *t, const gnutls_datum_t *chain, unsigned count,
                    struct xeno_err *err)
{
    xeno_autofree char *pinned = NULL;
    const char *ca = t->ca_pem;

    if (!ca && t->pin_ca) {
        ca = pinned = pinned_ca(t, chain, count);
        if (!ca)
            return xeno_fail(err, -EPERM, "http.pin",
                             "the server is not of the XenoCorp %s, which the token names",
                             t->pin_ca);
    }
    if (!ca)
        return xeno_fail(err, -EPERM, "x509.untrusted",
                         "no XenoCorp is trusted yet: register with one first");
    return xeno_cert_check((const char *)chain[0].data, chain[0].size, ca, xeno_wall(t->env), err);
}

/* From the cache, or checked and put there; borrowed. */
static int known_cert(struct http_trust *t, const gnutls_datum_t *chain, unsigned count,
                      const struct xeno_cert **ret, struct xeno_err *err)
{
    xeno_auto(xeno_cert) cert = NULL;
    int r;

    for (unsigned i = 0; i < TRUST_CACHE; i++) {
        if (t->known[i].len != chain[0].size ||
            memcmp(t->known[i].der, chain[0].data, chain[0].size) != 0 ||
            xeno_wall(t->env).ns >= t->known[i].cert->not_after.ns)
            continue;
        *ret = t->known[i].cert;
        return 0;
    }
    r = check_ca(t, chain, count, err);
    if (r == 0)
        r = xeno_cert_parse((const char *)chain[0].data, chain[0].size, &cert, err);
    if (r < 0)
        return r;
    free(t->known[t->next].der);
    xeno_cert_free(t->known[t->next].cert);
    t->known[t->next].der = xeno_memdup(chain[0].data, chain[0].size);
    t->known[t->next].len = chain[0].size;
    *ret = t->known[t->next].cert = xeno_take(&cert);
    t->next = (t->next + 1) % TRUST_CACHE;
    return 0;
}

static bool has_host(const gnutls_datum_t *der, const char *host)
{
    gnutls_x509_crt_t crt;
    bool ok;

    if (gnutls_x509_crt_init(&crt) < 0)
        return false;
    ok = gnutls_x509_crt_import(crt, der, GNUTLS_X509_FMT_DER) >= 0 &&
         gnutls_x509_crt_check_hostname(crt, host) == 1;
    gnutls_x509_crt_deinit(crt);
    return ok;
}

int http_trust_check(struct http_trust *t, gnutls_session_t session, const char *server_id,
                     const char *host, struct xeno_err *err)
{
    const gnutls_datum_t *chain;
    const struct xeno_cert *cert = NULL;
    unsigned count = 0;
    int r;

    chain = session ? gnutls_certificate_get_peers(session, &count) : NULL;
    if (!chain || count == 0)
        return peer_error(err, "%s", "the server showed no certificate");
    r = known_cert(t, chain, count, &cert, err);
    if (r < 0)
        return xeno_context(err, r, "server '%s'", host);
    if (cert->kind == XENO_PARTY_CLIENT)
        return peer_error(err, "'%s' answers with a client's credential", host);
    /* The XenoCorp serves with a key that is not its CA's: the CA vouches for it by the kind. */
    if (server_id && cert->kind == XENO_PARTY_CORP && strcmp(cert->issuer.s, server_id) == 0)
        server_id = NULL;
    if (server_id)
        return strcmp(cert->id.s, server_id) == 0
                   ? 0
                   : xeno_fail(err, -EPERM, "http.peer", "'%s' is the party %s, not %s", host,
                               cert->id.s, server_id);
    return has_host(&chain[0], host)
               ? 0
               : peer_error(err, "the certificate of '%s' is not for that address", host);
}

void http_trust_release(struct http_trust *t)
{
    for (unsigned i = 0; i < TRUST_CACHE; i++) {
        free(t->known[i].der);
        xeno_cert_free(t->known[i].cert);
    }
    free(t->ca_pem);
    free(t->pin_ca);
}
