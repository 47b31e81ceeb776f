/* src/crypto/base64.c - base64 by libsodium. */
#include "crypto/base64.h"

#include <sodium.h>

#include "base/mem.h"

#define VARIANT sodium_base64_VARIANT_ORIGINAL

char *xeno_base64(const void *data, size_t len)
{
    size_t room = sodium_base64_ENCODED_LEN(len, VARIANT);
    char *text = xeno_alloc0(1, room);

    return sodium_bin2base64(text, room, data, len, VARIANT);
}

void *xeno_unbase64(const char *text, size_t text_len, size_t max, size_t *ret_len)
{
    size_t room = text_len / 4 * 3;
    xeno_autofree unsigned char *data = NULL;

    if (text_len % 4 != 0 || room > max + 2)
        return NULL;
    data = xeno_try_alloc(room + 1);
    if (!data || sodium_base642bin(data, room, text, text_len, NULL, ret_len, NULL, VARIANT) != 0 ||
        *ret_len > max)
        return NULL;
    return xeno_take(&data);
}
