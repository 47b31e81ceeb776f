/* src/http/tls-priv.h - our certificate and key as GnuTLS wants them, for server and client.
 *
 * Connections share one and keep it alive; a renewed certificate makes a new one.
 */
#ifndef XENO_HTTP_TLS_PRIV_H
#define XENO_HTTP_TLS_PRIV_H

#include <gnutls/gnutls.h>

#include "crypto/x509.h"

struct http_tls {
    unsigned refs;
    gnutls_certificate_credentials_t cred;
};

/* `cert_pem` is a chain, leaf first. Errors: http.tls (also when it is for another key), and those
 * of xeno_cert_parse(). */
int http_tls_new(const char *cert_pem, const struct xeno_key *key, struct http_tls **ret,
                 struct xeno_err *err);
void http_tls_unref(struct http_tls *t); /* NULL allowed */

#endif
