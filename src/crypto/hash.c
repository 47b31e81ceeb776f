/* src/crypto/hash.c - base64url by libsodium, SHA-256 by GnuTLS (four times as fast). */
#include "crypto/key.h"

#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <sodium.h>

#include "base/enc.h"

#define URLSAFE sodium_base64_VARIANT_URLSAFE_NO_PADDING

char *xeno_b64url(const void *data, size_t len)
{
    size_t room = sodium_base64_encoded_len(len, URLSAFE);
    char *text = xeno_alloc0(room, 1);

    sodium_bin2base64(text, room, data, len, URLSAFE);
    return text;
}

void *xeno_unb64url(const char *text, size_t text_len, size_t max, size_t *ret_len)
{
    size_t room = text_len / 4 * 3 + 3, len;
    char *data;

    if (text_len / 4 * 3 > max)
        return NULL;
    data = xeno_try_alloc(room + 1);
    if (!data)
        return NULL;
    /* Without an end pointer the whole text must be of the alphabet; bits left over must be zero,
     * so that one document has one text. */
    if (sodium_base642bin((unsigned char *)data, room, text, text_len, NULL, &len, NULL, URLSAFE) !=
            0 ||
        len > max) {
        free(data);
        return NULL;
    }
    data[len] = '\0';
    *ret_len = len;
    return data;
}

struct xeno_sha256 {
    gnutls_hash_hd_t h;
};

struct xeno_sha256 *xeno_sha256_new(void)
{
    struct xeno_sha256 *h = xeno_new0(struct xeno_sha256);

    if (gnutls_hash_init(&h->h, GNUTLS_DIG_SHA256) < 0)
        abort(); /* out of memory, or a GnuTLS without SHA-256 */
    return h;
}

void xeno_sha256_add(struct xeno_sha256 *h, const void *data, size_t len)
{
    if (len > 0)
        gnutls_hash(h->h, data, len);
}

void xeno_sha256_end(struct xeno_sha256 *h, uint8_t out[32])
{
    gnutls_hash_output(h->h, out);
}

void xeno_sha256_free(struct xeno_sha256 *h)
{
    if (!h)
        return;
    gnutls_hash_deinit(h->h, NULL);
    free(h);
}

void xeno_sha256_of(const void *data, size_t len, uint8_t out[32])
{
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, data, len, out) < 0)
        abort();
}

void xeno_digest_text(const uint8_t sha[32], char out[XENO_DIGEST_TEXT])
{
    memcpy(out, "sha256:", 7);
    xeno_hex(sha, 32, out + 7);
}

bool xeno_digest_ok(const char *text)
{
    uint8_t sha[32];

    return strncmp(text, "sha256:", 7) == 0 && xeno_unhex(text + 7, sha, 32);
}
