/* src/crypto/x509-priv.h - certificates as GnuTLS has them, for the files of this folder only. */
#ifndef XENO_CRYPTO_X509_PRIV_H
#define XENO_CRYPTO_X509_PRIV_H

#include <gnutls/x509.h>

#include "crypto/x509.h"

#define XENO_ATTR_PREFIX "xeno:attr:"

static inline void xeno_cleanup_crt_(gnutls_x509_crt_t *crt)
{
    if (*crt)
        gnutls_x509_crt_deinit(*crt);
}
#define xeno_autocrt __attribute__((cleanup(xeno_cleanup_crt_)))

/* One certificate: PEM, or DER when der_len > 0. Errors: -EINVAL x509.format. */
int xeno_crt_import(const char *data, size_t der_len, gnutls_x509_crt_t *ret, struct xeno_err *err);

#endif
