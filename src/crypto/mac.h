/* src/crypto/mac.h - keyed hashes: what only the holder of the key can make or foretell.
 *
 * Context: any thread.
 */
#ifndef XENO_CRYPTO_MAC_H
#define XENO_CRYPTO_MAC_H

#include <stddef.h>
#include <stdint.h>

#define XENO_MAC_KEY_BYTES   32
#define XENO_MAC_BYTES       16
#define XENO_SHORT_KEY_BYTES 16

/* BLAKE2b with a key (RFC 7693), 16 bytes long: nobody without the key makes one that is right.
 * Compare with xeno_equal_secret() (crypto/key.h). */
void xeno_mac(const uint8_t key[XENO_MAC_KEY_BYTES], const void *data, size_t len,
              uint8_t out[XENO_MAC_BYTES]);

/* SipHash-2-4: for tables, so that nobody without the key finds names that collide. */
uint64_t xeno_short_hash(const uint8_t key[XENO_SHORT_KEY_BYTES], const void *data, size_t len);

#endif
