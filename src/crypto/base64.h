/* src/crypto/base64.h - base64 with padding (RFC 4648 4), as other people's formats want it; our
 * own documents use base64url (crypto/key.h). */
#ifndef XENO_CRYPTO_BASE64_H
#define XENO_CRYPTO_BASE64_H

#include <stddef.h>

/* The text, the caller's. */
char *xeno_base64(const void *data, size_t len);

/* Strict: no white space, padding where it belongs. A malloc'ed buffer followed by a zero byte;
 * NULL when `text` is not base64 or would decode to more than `max` bytes. */
void *xeno_unbase64(const char *text, size_t text_len, size_t max, size_t *ret_len);

#endif
