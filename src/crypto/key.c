/* src/crypto/key.c - keys, ids and signatures, by libsodium. */
#include "crypto/key.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/enc.h"
#include "crypto/key-priv.h"

#define ID_BYTES 20 /* of the hash of the public key */

void xeno_crypto_init(void)
{
    if (sodium_init() < 0)
        abort(); /* no randomness: nothing that follows could be trusted */
}

struct xeno_key *xeno_key_from_seed(const uint8_t seed[32])
{
    struct xeno_key *key = xeno_new0(struct xeno_key);

    crypto_sign_seed_keypair(key->pub.b, key->secret, seed);
    return key;
}

struct xeno_key *xeno_key_new(const struct xeno_env *env)
{
    uint8_t seed[crypto_sign_SEEDBYTES];
    struct xeno_key *key;

    xeno_random(env, seed, sizeof seed);
    key = xeno_key_from_seed(seed);
    xeno_wipe(seed, sizeof seed);
    return key;
}

void xeno_key_free(struct xeno_key *key)
{
    if (!key)
        return;
    xeno_wipe(key, sizeof *key);
    free(key);
}

const struct xeno_pub *xeno_key_pub(const struct xeno_key *key)
{
    return &key->pub;
}

void xeno_key_sign(const struct xeno_key *key, const void *data, size_t len,
                   uint8_t sig[XENO_SIG_BYTES])
{
    crypto_sign_detached(sig, NULL, data, len, key->secret);
}

bool xeno_pub_verify(const struct xeno_pub *pub, const void *data, size_t len,
                     const uint8_t sig[XENO_SIG_BYTES])
{
    return crypto_sign_verify_detached(sig, data, len, pub->b) == 0;
}

struct xeno_id xeno_id_of(const struct xeno_pub *pub)
{
    uint8_t sha[32];
    struct xeno_id id = { .s = "" };

    xeno_sha256_of(pub->b, sizeof pub->b, sha);
    xeno_base32(sha, ID_BYTES, id.s);
    return id;
}

bool xeno_id_ok(const char *text)
{
    return xeno_base32_ok(text, XENO_ID_CHARS);
}

void xeno_pub_text(const struct xeno_pub *pub, char out[XENO_PUB_TEXT])
{
    sodium_bin2base64(out, XENO_PUB_TEXT, pub->b, sizeof pub->b,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

bool xeno_pub_parse(const char *text, struct xeno_pub *ret)
{
    struct xeno_pub pub;
    size_t len;

    if (strnlen(text, XENO_PUB_TEXT) != XENO_PUB_TEXT - 1)
        return false;
    if (sodium_base642bin(pub.b, sizeof pub.b, text, XENO_PUB_TEXT - 1, NULL, &len, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        len != sizeof pub.b)
        return false;
    *ret = pub;
    return true;
}

bool xeno_equal_secret(const void *a, const void *b, size_t len)
{
    return sodium_memcmp(a, b, len) == 0;
}

void xeno_wipe(void *p, size_t len)
{
    sodium_memzero(p, len);
}
