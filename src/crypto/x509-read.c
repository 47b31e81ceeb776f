/* src/crypto/x509-read.c - reading and checking certificates and requests. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "crypto/key-priv.h"
#include "crypto/x509-priv.h"

#define CA_MAX     8   /* certificates in one CA file */
#define SAN_MAX    256 /* names looked at */
#define SAN_LENGTH 300

void xeno_cert_free(struct xeno_cert *cert)
{
    if (!cert)
        return;
    for (size_t i = 0; i < cert->attr_count; i++)
        free(cert->attrs[i]);
    free(cert);
}

const char *xeno_cert_attr(const struct xeno_cert *cert, const char *key)
{
    size_t len = strlen(key);

    for (size_t i = 0; i < cert->attr_count; i++)
        if (strncmp(cert->attrs[i], key, len) == 0 && cert->attrs[i][len] == '=')
            return cert->attrs[i] + len + 1;
    return NULL;
}

int xeno_crt_import(const char *data, size_t der_len, gnutls_x509_crt_t *ret, struct xeno_err *err)
{
    gnutls_datum_t in = { (unsigned char *)data, 0 };
    xeno_autocrt gnutls_x509_crt_t crt = NULL;
    size_t len = der_len > 0 ? der_len : strlen(data);
    int r;

    if (len > XENO_CERT_PEM_MAX)
        return xeno_fail(err, -EINVAL, "x509.format", "a certificate has at most %d bytes",
                         XENO_CERT_PEM_MAX);
    in.size = (unsigned)len;
    r = gnutls_x509_crt_init(&crt);
    if (r >= 0)
        r = gnutls_x509_crt_import(crt, &in,
                                   der_len > 0 ? GNUTLS_X509_FMT_DER : GNUTLS_X509_FMT_PEM);
    if (r < 0)
        return xeno_fail(err, -EINVAL, "x509.format", "not a certificate: %s", gnutls_strerror(r));
    *ret = xeno_take(&crt);
    return 0;
}

static int name_error(struct xeno_err *err, const char *what)
{
    return xeno_fail(err, -EINVAL, "x509.name", "the certificate is not a credential: %s", what);
}

/* An id in a distinguished name's CN. */
static bool cn_id(gnutls_x509_crt_t crt, bool issuer, struct xeno_id *ret)
{
    char text[XENO_ID_CHARS + 8];
    size_t len = sizeof text;
    int r;

    r = issuer ? gnutls_x509_crt_get_issuer_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, text,
                                                      &len)
               : gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, text, &len);
    if (r < 0 || len != XENO_ID_CHARS || memchr(text, '\0', len))
        return false;
    text[len] = '\0';
    if (!xeno_id_ok(text))
        return false;
    memcpy(ret->s, text, sizeof ret->s);
    return true;
}

/* "xeno:KIND:ID" fills kind and must name the certificate's own id; at most one. */
static bool take_kind(struct xeno_cert *cert, const char *uri, int *found)
{
    for (int k = XENO_PARTY_CLIENT; k <= XENO_PARTY_CORP; k++) {
        const char *name = xeno_party_name((enum xeno_party)k);
        size_t len = strlen(name);

        if (strncmp(uri + 5, name, len) != 0 || uri[5 + len] != ':')
            continue;
        cert->kind = (enum xeno_party)k;
        (*found)++;
        return strcmp(uri + 5 + len + 1, cert->id.s) == 0;
    }
    return false; /* a kind from a later version means we cannot tell what its holder may do */
}

static bool take_uri(struct xeno_cert *cert, const char *uri, int *found)
{
    const char *attr;

    if (strncmp(uri, "xeno:", 5) != 0)
        return true; /* somebody else's name for it */
    if (strncmp(uri, XENO_ATTR_PREFIX, strlen(XENO_ATTR_PREFIX)) != 0)
        return take_kind(cert, uri, found);
    attr = uri + strlen(XENO_ATTR_PREFIX);
    if (!strchr(attr, '=') || cert->attr_count == XENO_CERT_ATTRS)
        return false;
    cert->attrs[cert->attr_count++] = xeno_strdup(attr);
    if (strcmp(attr, "pseudonym=1") == 0)
        cert->pseudonym = true;
    return true;
}

static int read_names(gnutls_x509_crt_t crt, struct xeno_cert *cert, struct xeno_err *err)
{
    int found = 0;

    for (unsigned i = 0; i < SAN_MAX; i++) {
        char text[SAN_LENGTH];
        size_t len = sizeof text - 1;
        int type = gnutls_x509_crt_get_subject_alt_name(crt, i, text, &len, NULL);

        if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
            return found == 1 ? 0 : name_error(err, "it does not say once who its holder is");
        if (type < 0)
            return name_error(err, "a name in it is too long or malformed");
        if (type != GNUTLS_SAN_URI)
            continue;
        text[len] = '\0';
        if (strlen(text) != len || !take_uri(cert, text, &found))
            return name_error(err, "a xeno: name in it is not one of ours");
    }
    return name_error(err, "it has too many names");
}

static int read_key(gnutls_x509_crt_t crt, struct xeno_pub *ret)
{
    gnutls_pubkey_t pk;
    int r;

    if (gnutls_pubkey_init(&pk) < 0)
        return -EINVAL;
    r = gnutls_pubkey_import_x509(pk, crt, 0);
    if (r >= 0)
        r = xeno_pub_from_gnutls(pk, ret) ? 0 : -EINVAL;
    gnutls_pubkey_deinit(pk);
    return r < 0 ? -EINVAL : 0;
}

static int read_serial(gnutls_x509_crt_t crt, char out[41])
{
    uint8_t serial[20];
    size_t len = sizeof serial;

    if (gnutls_x509_crt_get_serial(crt, serial, &len) < 0)
        return -EINVAL;
    xeno_hex(serial, len, out);
    return 0;
}

int xeno_cert_parse(const char *data, size_t der_len, struct xeno_cert **ret, struct xeno_err *err)
{
    xeno_autocrt gnutls_x509_crt_t crt = NULL;
    xeno_auto(xeno_cert) cert = NULL;
    struct xeno_id id;
    int r;

    r = xeno_crt_import(data, der_len, &crt, err);
    if (r < 0)
        return r;
    cert = xeno_new0(struct xeno_cert);
    if (read_key(crt, &cert->pub) < 0)
        return name_error(err, "its key is not an Ed25519 key");
    id = xeno_id_of(&cert->pub);
    if (!cn_id(crt, false, &cert->id) || strcmp(cert->id.s, id.s) != 0)
        return name_error(err, "its common name is not the id of its key");
    if (!cn_id(crt, true, &cert->issuer))
        return name_error(err, "its issuer's common name is not an id");
    if (read_serial(crt, cert->serial) < 0)
        return name_error(err, "its serial number is longer than 20 bytes");
    cert->not_before = xeno_s((int64_t)gnutls_x509_crt_get_activation_time(crt));
    cert->not_after = xeno_s((int64_t)gnutls_x509_crt_get_expiration_time(crt));
    r = read_names(crt, cert, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&cert);
    return 0;
}

static int check_time(gnutls_x509_crt_t crt, xeno_time now, const char *who, struct xeno_err *err)
{
    xeno_time from = xeno_s((int64_t)gnutls_x509_crt_get_activation_time(crt));
    xeno_time to = xeno_s((int64_t)gnutls_x509_crt_get_expiration_time(crt));
    char text[XENO_TIME_TEXT];

    if (now.ns < from.ns)
        return xeno_fail(err, -EPERM, "x509.early",
                         "the %s is valid from %s on only: is a clock wrong?", who,
                         xeno_time_text(from, text));
    if (now.ns >= to.ns)
        return xeno_fail(err, -EPERM, "x509.expired", "the %s expired at %s", who,
                         xeno_time_text(to, text));
    return 0;
}

/* The time is not GnuTLS's business: it would ask the machine's clock, we ask the caller's. */
static int check_with(gnutls_x509_crt_t crt, gnutls_x509_crt_t *cas, unsigned count, xeno_time now,
                      struct xeno_err *err)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned status = 0;
        int r;

        if (gnutls_x509_crt_check_issuer(crt, cas[i]) != 1)
            continue;
        r = gnutls_x509_crt_list_verify(&crt, 1, &cas[i], 1, NULL, 0,
                                        GNUTLS_VERIFY_DISABLE_TIME_CHECKS, &status);
        if (r < 0 || status != 0)
            continue;
        r = check_time(cas[i], now, "certificate of the XenoCorp", err);
        return r < 0 ? r : check_time(crt, now, "credential", err);
    }
    return xeno_fail(err, -EPERM, "x509.untrusted",
                     "the credential was not issued by a XenoCorp that is trusted here");
}

int xeno_cert_check(const char *data, size_t der_len, const char *ca_pem, xeno_time now,
                    struct xeno_err *err)
{
    const gnutls_datum_t in = { (unsigned char *)ca_pem, (unsigned)strlen(ca_pem) };
    xeno_autocrt gnutls_x509_crt_t crt = NULL;
    gnutls_x509_crt_t cas[CA_MAX];
    unsigned count = CA_MAX;
    int r;

    r = xeno_crt_import(data, der_len, &crt, err);
    if (r < 0)
        return r;
    r = gnutls_x509_crt_list_import(cas, &count, &in, GNUTLS_X509_FMT_PEM,
                                    GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
    if (r < 0)
        return xeno_fail(err, -EPERM, "x509.untrusted",
                         "the list of trusted certificates cannot be read (at most %d): %s", CA_MAX,
                         gnutls_strerror(r));
    r = check_with(crt, cas, (unsigned)r, now, err);
    for (unsigned i = 0; i < count; i++)
        gnutls_x509_crt_deinit(cas[i]);
    return r;
}

int xeno_ca_pub(const char *ca_pem, struct xeno_pub *ret, struct xeno_err *err)
{
    xeno_autocrt gnutls_x509_crt_t crt = NULL;
    unsigned critical = 0, is_ca = 0;
    int r;

    r = xeno_crt_import(ca_pem, 0, &crt, err);
    if (r < 0)
        return r;
    if (gnutls_x509_crt_get_basic_constraints(crt, &critical, &is_ca, NULL) < 0 || !is_ca)
        return name_error(err, "it is not the certificate of a CA");
    if (read_key(crt, ret) < 0)
        return name_error(err, "its key is not an Ed25519 key");
    return 0;
}

int xeno_csr_check(const char *pem, struct xeno_pub *ret, struct xeno_err *err)
{
    const gnutls_datum_t in = { (unsigned char *)pem, (unsigned)strlen(pem) };
    gnutls_x509_crq_t crq = NULL;
    gnutls_pubkey_t pk = NULL;
    bool ok = false;
    int r;

    if (in.size > XENO_CERT_PEM_MAX)
        return xeno_fail(err, -EINVAL, "x509.csr", "a certificate request has at most %d bytes",
                         XENO_CERT_PEM_MAX);
    r = gnutls_x509_crq_init(&crq);
    if (r >= 0)
        r = gnutls_x509_crq_import(crq, &in, GNUTLS_X509_FMT_PEM);
    if (r >= 0)
        r = gnutls_x509_crq_verify(crq, 0);
    if (r >= 0)
        r = gnutls_pubkey_init(&pk);
    if (r >= 0)
        r = gnutls_pubkey_import_x509_crq(pk, crq, 0);
    if (r >= 0)
        ok = xeno_pub_from_gnutls(pk, ret);
    gnutls_pubkey_deinit(pk);
    gnutls_x509_crq_deinit(crq);
    if (r < 0)
        return xeno_fail(err, -EINVAL, "x509.csr",
                         "not a certificate request, or not signed by the "
                         "key it names: %s",
                         gnutls_strerror(r));
    return ok ? 0 : xeno_fail(err, -EINVAL, "x509.csr", "the request's key is not an Ed25519 key");
}
