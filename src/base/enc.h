/* src/base/enc.h - bytes as text: hexadecimal and base32. (base64url is in crypto/.) */
#ifndef XENO_BASE_ENC_H
#define XENO_BASE_ENC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Lower case; out holds 2 * len + 1 bytes. */
void xeno_hex(const void *data, size_t len, char *out);

/* Exactly `len` bytes from 2 * len lower-case digits; false otherwise. */
bool xeno_unhex(const char *text, void *out, size_t len);

/* RFC 4648 base32, lower case, no padding; len is a multiple of 5; out holds len / 5 * 8 + 1. */
void xeno_base32(const void *data, size_t len, char *out);

/* Is `text` `chars` letters of that alphabet and nothing more? */
bool xeno_base32_ok(const char *text, size_t chars);

#endif
