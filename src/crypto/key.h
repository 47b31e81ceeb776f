/* src/crypto/key.h - Ed25519 keys, party ids, hashes, base64url (DESIGN 3).
 *
 * A party is an Ed25519 key. Its id is base32(SHA-256(public key) first 20 bytes), lower case, 32
 * letters: a name that certifies itself. Secret keys have a type of their own with no printer and
 * are wiped when freed. Context: any thread.
 */
#ifndef XENO_CRYPTO_KEY_H
#define XENO_CRYPTO_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/mem.h"

#define XENO_PUB_BYTES 32
#define XENO_SIG_BYTES 64
#define XENO_ID_CHARS  32

struct xeno_pub {
    uint8_t b[XENO_PUB_BYTES];
};

struct xeno_id {
    char s[XENO_ID_CHARS + 1];
};

struct xeno_key; /* secret */

void xeno_key_free(struct xeno_key *key);
XENO_DEFINE_AUTO(xeno_key, xeno_key_free);

/* Call once before anything else in crypto/; again: no effect. */
void xeno_crypto_init(void);

struct xeno_key *xeno_key_new(const struct xeno_env *env);
struct xeno_key *xeno_key_from_seed(const uint8_t seed[32]);
const struct xeno_pub *xeno_key_pub(const struct xeno_key *key); /* borrowed */

/* PKCS #8 PEM, as OpenSSL and GnuTLS read it. Loading refuses a file that others can read.
 * Errors: token key.read, key.write, key.format, key.mode. */
int xeno_key_load(int dirfd, const char *path, struct xeno_key **ret, struct xeno_err *err);
int xeno_key_save(const struct xeno_key *key, int dirfd, const char *path, struct xeno_err *err);
int xeno_key_pem(const struct xeno_key *key, char **ret, struct xeno_err *err); /* wipe after use */
int xeno_key_from_pem(const char *pem, struct xeno_key **ret, struct xeno_err *err);

void xeno_key_sign(const struct xeno_key *key, const void *data, size_t len,
                   uint8_t sig[XENO_SIG_BYTES]);
bool xeno_pub_verify(const struct xeno_pub *pub, const void *data, size_t len,
                     const uint8_t sig[XENO_SIG_BYTES]);

struct xeno_id xeno_id_of(const struct xeno_pub *pub);
bool xeno_id_ok(const char *text); /* 32 base32 letters */

/* The public key as the JWK "x" member: 43 letters of base64url. */
#define XENO_PUB_TEXT 44
void xeno_pub_text(const struct xeno_pub *pub, char out[XENO_PUB_TEXT]);
bool xeno_pub_parse(const char *text, struct xeno_pub *ret);

/* base64url without padding (RFC 7515 2). Decoding refuses padding, white space and other
 * alphabets; returns a malloc'ed buffer followed by a zero byte, NULL when `text` is not base64url
 * or would decode to more than `max` bytes. */
char *xeno_b64url(const void *data, size_t len);
void *xeno_unb64url(const char *text, size_t text_len, size_t max, size_t *ret_len);

/* SHA-256; "sha256:" and 64 hexadecimal digits as text (OCI digest). */
#define XENO_DIGEST_TEXT 72
struct xeno_sha256; /* a running hash */
struct xeno_sha256 *xeno_sha256_new(void);
void xeno_sha256_add(struct xeno_sha256 *h, const void *data, size_t len);
void xeno_sha256_end(struct xeno_sha256 *h, uint8_t out[32]); /* h starts over */
void xeno_sha256_free(struct xeno_sha256 *h);
XENO_DEFINE_AUTO(xeno_sha256, xeno_sha256_free);
void xeno_sha256_of(const void *data, size_t len, uint8_t out[32]);
void xeno_digest_text(const uint8_t sha[32], char out[XENO_DIGEST_TEXT]);
bool xeno_digest_ok(const char *text);
bool xeno_digest_parse(const char *text, uint8_t ret_sha[32]); /* false: it is none */

/* Equal, in time that does not depend on the bytes. */
bool xeno_equal_secret(const void *a, const void *b, size_t len);
void xeno_wipe(void *p, size_t len);

#endif
