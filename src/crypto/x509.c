/* src/crypto/x509.c - making certificates and requests, by GnuTLS. */
#include "crypto/x509.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "crypto/key-priv.h"
#include "crypto/x509-priv.h"

#define NAME_MAX_CHARS 253 /* of a DNS name, and of an attribute */

const char *xeno_party_name(enum xeno_party kind)
{
    static const char *const names[] = { "client", "server", "node", "corp" };

    return names[kind];
}

void xeno_cert_serial(const struct xeno_env *env, uint8_t out[20])
{
    xeno_random(env, out, 20);
    out[0] = (out[0] & 0x3f) | 0x40; /* positive, and 20 bytes in DER (RFC 5280 4.1.2.2) */
}

static int make_error(struct xeno_err *err, const char *what, int r)
{
    return xeno_fail(err, -EIO, "x509.make", "%s: %s", what, gnutls_strerror(r));
}

static int add_uri(gnutls_x509_crt_t crt, const char *uri)
{
    return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_URI, uri, (unsigned)strlen(uri),
                                                GNUTLS_FSAN_APPEND);
}

static bool host_ok(const char *host)
{
    size_t n = strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");

    return n > 0 && n <= NAME_MAX_CHARS && host[n] == '\0';
}

static int add_host(gnutls_x509_crt_t crt, const char *host, struct xeno_err *err)
{
    unsigned char ip[16];
    int r;

    if (inet_pton(AF_INET, host, ip) == 1)
        r = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, ip, 4,
                                                 GNUTLS_FSAN_APPEND);
    else if (inet_pton(AF_INET6, host, ip) == 1)
        r = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, ip, 16,
                                                 GNUTLS_FSAN_APPEND);
    else if (host_ok(host))
        r = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, host,
                                                 (unsigned)strlen(host), GNUTLS_FSAN_APPEND);
    else
        return xeno_fail(err, -EINVAL, "x509.make",
                         "'%.64s' is neither a DNS name (at most %d characters) nor an IP address",
                         host, NAME_MAX_CHARS);
    return r < 0 ? make_error(err, "add a host name", r) : 0;
}

static int add_attr(gnutls_x509_crt_t crt, const char *attr, struct xeno_err *err)
{
    xeno_autofree char *uri = NULL;
    const char *eq = strchr(attr, '=');
    int r;

    for (const char *p = attr; *p; p++)
        if (!isgraph((unsigned char)*p))
            eq = NULL;
    if (!eq || eq == attr || strlen(attr) > NAME_MAX_CHARS)
        return xeno_fail(err, -EINVAL, "x509.make",
                         "attribute '%.64s' is not KEY=VALUE in printable characters, at most %d",
                         attr, NAME_MAX_CHARS);
    uri = xeno_asprintf("%s%s", XENO_ATTR_PREFIX, attr);
    r = add_uri(crt, uri);
    return r < 0 ? make_error(err, "add an attribute", r) : 0;
}

/* CN and the SAN URI that says what and who. */
static int add_names(gnutls_x509_crt_t crt, enum xeno_party kind, const struct xeno_pub *pub,
                     struct xeno_err *err)
{
    struct xeno_id id = xeno_id_of(pub);
    char uri[64];
    int r;

    snprintf(uri, sizeof uri, "xeno:%s:%s", xeno_party_name(kind), id.s);
    r = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, id.s, XENO_ID_CHARS);
    if (r >= 0)
        r = add_uri(crt, uri);
    return r < 0 ? make_error(err, "set the names", r) : 0;
}

static int set_key(gnutls_x509_crt_t crt, const struct xeno_pub *pub)
{
    const gnutls_datum_t x = { (unsigned char *)pub->b, XENO_PUB_BYTES };
    gnutls_pubkey_t pk;
    uint8_t sha[32];
    int r;

    r = gnutls_pubkey_init(&pk);
    if (r < 0)
        return r;
    r = gnutls_pubkey_import_ecc_raw(pk, GNUTLS_ECC_CURVE_ED25519, &x, NULL);
    if (r >= 0)
        r = gnutls_x509_crt_set_pubkey(crt, pk);
    gnutls_pubkey_deinit(pk);
    xeno_sha256_of(pub->b, XENO_PUB_BYTES, sha);
    if (r >= 0)
        r = gnutls_x509_crt_set_subject_key_id(crt, sha, 20);
    return r;
}

/* What every certificate has: version, serial, time, key, authority. */
static int fill_common(gnutls_x509_crt_t crt, const uint8_t serial[20], xeno_time from,
                       xeno_time to, const struct xeno_pub *pub, const struct xeno_pub *ca)
{
    uint8_t sha[32];
    int r;

    r = gnutls_x509_crt_set_version(crt, 3);
    if (r >= 0)
        r = gnutls_x509_crt_set_serial(crt, serial, 20);
    if (r >= 0)
        r = gnutls_x509_crt_set_activation_time(crt, (time_t)(from.ns / XENO_NS_PER_S));
    if (r >= 0)
        r = gnutls_x509_crt_set_expiration_time(crt, (time_t)(to.ns / XENO_NS_PER_S));
    if (r >= 0)
        r = set_key(crt, pub);
    xeno_sha256_of(ca->b, XENO_PUB_BYTES, sha);
    if (r >= 0)
        r = gnutls_x509_crt_set_authority_key_id(crt, sha, 20);
    return r;
}

static int sign_and_export(gnutls_x509_crt_t crt, gnutls_x509_crt_t issuer,
                           const struct xeno_key *ca, char **ret_pem, struct xeno_err *err)
{
    gnutls_x509_privkey_t priv = xeno_key_gnutls(ca);
    gnutls_datum_t out = { NULL, 0 };
    int r = GNUTLS_E_INTERNAL_ERROR;

    if (priv)
        r = gnutls_x509_crt_sign2(crt, issuer, priv, GNUTLS_DIG_SHA512, 0);
    gnutls_x509_privkey_deinit(priv);
    if (r >= 0)
        r = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &out);
    if (r < 0)
        return make_error(err, "sign the certificate", r);
    *ret_pem = xeno_strndup((const char *)out.data, out.size);
    gnutls_free(out.data);
    return 0;
}

int xeno_ca_make(const struct xeno_key *key, xeno_time not_before, xeno_time not_after,
                 char **ret_pem, struct xeno_err *err)
{
    xeno_autocrt gnutls_x509_crt_t crt = NULL;
    const struct xeno_pub *pub = xeno_key_pub(key);
    uint8_t serial[32];
    int r;

    /* A CA has no environment to draw a serial from, and needs none: its key is its name. */
    xeno_sha256_of(pub->b, XENO_PUB_BYTES, serial);
    serial[0] = (serial[0] & 0x3f) | 0x40;
    r = gnutls_x509_crt_init(&crt);
    if (r >= 0)
        r = fill_common(crt, serial, not_before, not_after, pub, pub);
    if (r >= 0)
        r = gnutls_x509_crt_set_basic_constraints(crt, 1, 0); /* signs leaves only */
    if (r >= 0)
        r = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN |
                                                   GNUTLS_KEY_DIGITAL_SIGNATURE);
    if (r < 0)
        return make_error(err, "make a CA certificate", r);
    r = add_names(crt, XENO_PARTY_CORP, pub, err);
    return r < 0 ? r : sign_and_export(crt, crt, key, ret_pem, err);
}

static int add_usage(gnutls_x509_crt_t crt, enum xeno_party kind)
{
    int r;

    r = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
    if (r >= 0)
        r = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
    if (r >= 0)
        r = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_CLIENT, 0);
    if (r >= 0 && kind != XENO_PARTY_CLIENT)
        r = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
    return r;
}

static int add_lists(gnutls_x509_crt_t crt, const struct xeno_cert_spec *spec, struct xeno_err *err)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && spec->hosts && spec->hosts[i]; i++)
        r = i < XENO_CERT_HOSTS
                ? add_host(crt, spec->hosts[i], err)
                : xeno_fail(err, -EINVAL, "x509.make", "more than %d host names", XENO_CERT_HOSTS);
    for (size_t i = 0; r >= 0 && spec->attrs && spec->attrs[i]; i++)
        r = i < XENO_CERT_ATTRS
                ? add_attr(crt, spec->attrs[i], err)
                : xeno_fail(err, -EINVAL, "x509.make", "more than %d attributes", XENO_CERT_ATTRS);
    return r;
}

int xeno_cert_make(const struct xeno_key *ca, const char *ca_pem, const struct xeno_cert_spec *spec,
                   char **ret_pem, struct xeno_err *err)
{
    xeno_autocrt gnutls_x509_crt_t crt = NULL;
    xeno_autocrt gnutls_x509_crt_t issuer = NULL;
    int r;

    if (spec->serial[0] == 0 || spec->serial[0] > 0x7f)
        return xeno_fail(err, -EINVAL, "x509.make",
                         "a serial number begins with a byte of 1 to 127 (xeno_cert_serial())");
    r = xeno_crt_import(ca_pem, 0, &issuer, err);
    if (r < 0)
        return xeno_context(err, r, "CA certificate");
    r = gnutls_x509_crt_init(&crt);
    if (r >= 0)
        r = fill_common(crt, spec->serial, spec->not_before, spec->not_after, &spec->pub,
                        xeno_key_pub(ca));
    if (r >= 0)
        r = add_usage(crt, spec->kind);
    if (r < 0)
        return make_error(err, "make a certificate", r);
    r = add_names(crt, spec->kind, &spec->pub, err);
    if (r >= 0)
        r = add_lists(crt, spec, err);
    return r < 0 ? r : sign_and_export(crt, issuer, ca, ret_pem, err);
}

static int csr_fill(gnutls_x509_crq_t crq, const struct xeno_key *key)
{
    struct xeno_id id = xeno_id_of(xeno_key_pub(key));
    gnutls_x509_privkey_t priv = xeno_key_gnutls(key);
    int r = GNUTLS_E_INTERNAL_ERROR;

    if (!priv)
        return r;
    r = gnutls_x509_crq_set_version(crq, 1);
    if (r >= 0)
        r = gnutls_x509_crq_set_dn_by_oid(crq, GNUTLS_OID_X520_COMMON_NAME, 0, id.s, XENO_ID_CHARS);
    if (r >= 0)
        r = gnutls_x509_crq_set_key(crq, priv);
    if (r >= 0)
        r = gnutls_x509_crq_sign2(crq, priv, GNUTLS_DIG_SHA512, 0);
    gnutls_x509_privkey_deinit(priv);
    return r;
}

int xeno_csr_make(const struct xeno_key *key, char **ret_pem, struct xeno_err *err)
{
    gnutls_x509_crq_t crq = NULL;
    gnutls_datum_t out = { NULL, 0 };
    int r;

    r = gnutls_x509_crq_init(&crq);
    if (r >= 0)
        r = csr_fill(crq, key);
    if (r >= 0)
        r = gnutls_x509_crq_export2(crq, GNUTLS_X509_FMT_PEM, &out);
    gnutls_x509_crq_deinit(crq);
    if (r < 0)
        return xeno_fail(err, -EIO, "x509.csr", "make a certificate request: %s",
                         gnutls_strerror(r));
    *ret_pem = xeno_strndup((const char *)out.data, out.size);
    gnutls_free(out.data);
    return 0;
}
