/* src/crypto/x509.h - credentials: X.509 with Ed25519 (DESIGN 3, RFC 5280, RFC 8410).
 *
 * Subject CN = id; SAN URI "xeno:KIND:ID" with KIND client, server, node or corp; attributes as
 * further SAN URIs "xeno:attr:KEY=VALUE". Servers' certificates also carry the DNS names and IP
 * addresses they are reached by. A CA certificate's CN is the XenoCorp's id.
 */
#ifndef XENO_CRYPTO_X509_H
#define XENO_CRYPTO_X509_H

#include "crypto/key.h"

enum xeno_party { XENO_PARTY_CLIENT, XENO_PARTY_SERVER, XENO_PARTY_NODE, XENO_PARTY_CORP };
const char *xeno_party_name(enum xeno_party kind); /* "client", ... */

#define XENO_CERT_ATTRS   16
#define XENO_CERT_HOSTS   16
#define XENO_CERT_PEM_MAX (16 * 1024)

struct xeno_cert {
    enum xeno_party kind;
    struct xeno_id id;
    struct xeno_pub pub;
    struct xeno_id issuer; /* the XenoCorp */
    char serial[41];       /* hexadecimal */
    xeno_time not_before, not_after;
    bool pseudonym; /* attribute "pseudonym=1": known to its XenoCorp and no more */
    size_t attr_count;
    char *attrs[XENO_CERT_ATTRS]; /* owned "KEY=VALUE" */
};
void xeno_cert_free(struct xeno_cert *cert);
XENO_DEFINE_AUTO(xeno_cert, xeno_cert_free);

/* The value of attribute `key` ("role"), borrowed; NULL when the certificate has none. */
const char *xeno_cert_attr(const struct xeno_cert *cert, const char *key);

/* What a CA writes into a certificate. Borrows everything. */
struct xeno_cert_spec {
    enum xeno_party kind;
    struct xeno_pub pub;
    xeno_time not_before, not_after;
    const char *const *hosts; /* DNS names and IP addresses, NULL-terminated; NULL: none */
    const char *const *attrs; /* "KEY=VALUE", NULL-terminated; NULL: none */
    uint8_t serial[20];       /* from xeno_cert_serial(); its first byte is 1 to 127 */
};

/* A fresh serial number: 20 random bytes, positive as DER wants it. In hexadecimal (xeno_hex()) it
 * is the `serial` of the parsed certificate. */
void xeno_cert_serial(const struct xeno_env *env, uint8_t out[20]);

/* A CA certificate for `key`, signed by itself. Errors: token x509.make. */
int xeno_ca_make(const struct xeno_key *key, xeno_time not_before, xeno_time not_after,
                 char **ret_pem, struct xeno_err *err);
/* A certificate by that CA. Host names and attributes are checked, at most XENO_CERT_HOSTS and
 * XENO_CERT_ATTRS of them. Errors: token x509.make. */
int xeno_cert_make(const struct xeno_key *ca, const char *ca_pem, const struct xeno_cert_spec *spec,
                   char **ret_pem, struct xeno_err *err);

/* A certificate request (PKCS #10) and its check: the signature proves that the asker holds the
 * key. Only the public key is taken from it. Errors: -EINVAL x509.csr. */
int xeno_csr_make(const struct xeno_key *key, char **ret_pem, struct xeno_err *err);
int xeno_csr_check(const char *pem, struct xeno_pub *ret, struct xeno_err *err);

/* Read a certificate (PEM, or DER when der_len > 0), without deciding whether to trust it. CN, SAN
 * and key must agree. Errors: -EINVAL x509.format, x509.name. */
int xeno_cert_parse(const char *data, size_t der_len, struct xeno_cert **ret, struct xeno_err *err);

/* Is `pem` (or DER) signed by one of the CAs in `ca_pem` (one or more PEM certificates), and within
 * its time at `now`? Errors: -EPERM x509.untrusted, x509.expired, x509.early. */
int xeno_cert_check(const char *data, size_t der_len, const char *ca_pem, xeno_time now,
                    struct xeno_err *err);

/* The public key of a CA certificate, to pin it: its id is the XenoCorp's id. */
int xeno_ca_pub(const char *ca_pem, struct xeno_pub *ret, struct xeno_err *err);

#endif
