/* src/crypto/key-priv.h - the inside of a secret key, for the files of this folder only. */
#ifndef XENO_CRYPTO_KEY_PRIV_H
#define XENO_CRYPTO_KEY_PRIV_H

#include <gnutls/abstract.h>
#include <gnutls/x509.h>

#include "crypto/key.h"

struct xeno_key {
    struct xeno_pub pub;
    uint8_t secret[64]; /* seed, then public key: libsodium's form */
};

/* The key as GnuTLS takes it; the caller deinits it. NULL when GnuTLS refuses. */
gnutls_x509_privkey_t xeno_key_gnutls(const struct xeno_key *key);

/* The Ed25519 public key in `pub`; false for any other kind of key. */
bool xeno_pub_from_gnutls(gnutls_pubkey_t pub, struct xeno_pub *ret);

#endif
