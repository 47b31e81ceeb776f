/* src/crypto/pem.c - secret keys as PKCS #8 PEM files, by GnuTLS. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "crypto/key-priv.h"

#define PEM_MAX 4096

gnutls_x509_privkey_t xeno_key_gnutls(const struct xeno_key *key)
{
    const gnutls_datum_t x = { (unsigned char *)key->pub.b, XENO_PUB_BYTES };
    const gnutls_datum_t k = { (unsigned char *)key->secret, 32 };
    gnutls_x509_privkey_t priv;

    if (gnutls_x509_privkey_init(&priv) < 0)
        return NULL;
    if (gnutls_x509_privkey_import_ecc_raw(priv, GNUTLS_ECC_CURVE_ED25519, &x, NULL, &k) < 0) {
        gnutls_x509_privkey_deinit(priv);
        return NULL;
    }
    return priv;
}

bool xeno_pub_from_gnutls(gnutls_pubkey_t pub, struct xeno_pub *ret)
{
    gnutls_ecc_curve_t curve;
    gnutls_datum_t x = { NULL, 0 };
    bool ok = false;

    if (gnutls_pubkey_export_ecc_raw2(pub, &curve, &x, NULL, 0) < 0)
        return false;
    if (curve == GNUTLS_ECC_CURVE_ED25519 && x.size == XENO_PUB_BYTES) {
        memcpy(ret->b, x.data, XENO_PUB_BYTES);
        ok = true;
    }
    gnutls_free(x.data);
    return ok;
}

int xeno_key_pem(const struct xeno_key *key, char **ret, struct xeno_err *err)
{
    gnutls_x509_privkey_t priv = xeno_key_gnutls(key);
    gnutls_datum_t out = { NULL, 0 };
    int r = GNUTLS_E_INTERNAL_ERROR;

    if (priv) {
        r = gnutls_x509_privkey_export2_pkcs8(priv, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN,
                                              &out);
        gnutls_x509_privkey_deinit(priv);
    }
    if (r < 0)
        return xeno_fail(err, -EIO, "key.format", "write the key as PKCS #8: %s",
                         gnutls_strerror(r));
    *ret = xeno_strndup((const char *)out.data, out.size);
    xeno_wipe(out.data, out.size);
    gnutls_free(out.data);
    return 0;
}

static int seed_of(gnutls_x509_privkey_t priv, uint8_t seed[32])
{
    gnutls_datum_t x = { NULL, 0 }, k = { NULL, 0 };
    gnutls_ecc_curve_t curve;
    int r = -EINVAL;

    if (gnutls_x509_privkey_export_ecc_raw(priv, &curve, &x, NULL, &k) < 0)
        return -EINVAL;
    if (curve == GNUTLS_ECC_CURVE_ED25519 && k.size == 32) {
        memcpy(seed, k.data, 32);
        r = 0;
    }
    xeno_wipe(k.data, k.size);
    gnutls_free(k.data);
    gnutls_free(x.data);
    return r;
}

int xeno_key_from_pem(const char *pem, struct xeno_key **ret, struct xeno_err *err)
{
    const gnutls_datum_t in = { (unsigned char *)pem, strlen(pem) };
    gnutls_x509_privkey_t priv = NULL;
    uint8_t seed[32];
    int r;

    if (in.size > PEM_MAX)
        return xeno_fail(err, -EINVAL, "key.format", "a key file is at most %d bytes", PEM_MAX);
    r = gnutls_x509_privkey_init(&priv);
    if (r >= 0)
        r = gnutls_x509_privkey_import_pkcs8(priv, &in, GNUTLS_X509_FMT_PEM, NULL,
                                             GNUTLS_PKCS_PLAIN);
    if (r < 0) {
        gnutls_x509_privkey_deinit(priv);
        return xeno_fail(err, -EINVAL, "key.format", "not an unencrypted PKCS #8 key in PEM: %s",
                         gnutls_strerror(r));
    }
    r = seed_of(priv, seed);
    gnutls_x509_privkey_deinit(priv);
    if (r < 0)
        return xeno_fail(err, r, "key.format", "the key is not an Ed25519 key");
    *ret = xeno_key_from_seed(seed);
    xeno_wipe(seed, sizeof seed);
    return 0;
}

int xeno_key_load(int dirfd, const char *path, struct xeno_key **ret, struct xeno_err *err)
{
    xeno_autoclose int fd = -1;
    xeno_autofree char *pem = NULL;
    struct stat st;
    size_t len;
    int r;

    fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        return xeno_fail_errno(err, -errno, "key.read", "open key '%s'", path);
    if (!S_ISREG(st.st_mode))
        return xeno_fail(err, -EINVAL, "key.read", "key '%s' is not a regular file", path);
    if (st.st_mode & 077)
        return xeno_fail(err, -EPERM, "key.mode",
                         "key '%s' can be read by others (mode %04o): chmod 600 it, and make a "
                         "new key if somebody may have read it",
                         path, (unsigned)st.st_mode & 07777);
    r = xeno_read_all(fd, PEM_MAX, &pem, &len);
    if (r < 0)
        return xeno_fail_errno(err, r, "key.read", "read key '%s'", path);
    r = xeno_key_from_pem(pem, ret, err);
    xeno_wipe(pem, len);
    return r < 0 ? xeno_context(err, r, "key '%s'", path) : 0;
}

int xeno_key_save(const struct xeno_key *key, int dirfd, const char *path, struct xeno_err *err)
{
    xeno_autofree char *pem = NULL;
    struct xeno_err why = XENO_ERR_INIT;
    int r;

    r = xeno_key_pem(key, &pem, err);
    if (r < 0)
        return r;
    r = xeno_file_write(dirfd, path, 0600, pem, strlen(pem), &why);
    xeno_wipe(pem, strlen(pem));
    return r < 0 ? xeno_fail(err, r, "key.write", "%s", why.text) : 0;
}
