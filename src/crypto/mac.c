/* src/crypto/mac.c - keyed hashes, by libsodium. */
#include "crypto/mac.h"

#include <sodium.h>
#include <string.h>

void xeno_mac(const uint8_t key[XENO_MAC_KEY_BYTES], const void *data, size_t len,
              uint8_t out[XENO_MAC_BYTES])
{
    crypto_generichash(out, XENO_MAC_BYTES, data, len, key, XENO_MAC_KEY_BYTES);
}

uint64_t xeno_short_hash(const uint8_t key[XENO_SHORT_KEY_BYTES], const void *data, size_t len)
{
    uint8_t out[crypto_shorthash_BYTES];
    uint64_t n;

    crypto_shorthash(out, data, len, key);
    memcpy(&n, out, sizeof n);
    return n;
}
