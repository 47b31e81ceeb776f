/* src/base/enc.c - bytes as text. */
#include "base/enc.h"

#include <assert.h>
#include <string.h>

void xeno_hex(const void *data, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = data;

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * len] = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

bool xeno_unhex(const char *text, void *out, size_t len)
{
    uint8_t *p = out;

    if (strlen(text) != 2 * len)
        return false;
    for (size_t i = 0; i < len; i++) {
        int hi = hex_digit(text[2 * i]), lo = hex_digit(text[2 * i + 1]);

        if (hi < 0 || lo < 0)
            return false;
        p[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}

static const char base32_letters[] = "abcdefghijklmnopqrstuvwxyz234567";

void xeno_base32(const void *data, size_t len, char *out)
{
    const uint8_t *p = data;

    assert(len % 5 == 0);
    for (; len > 0; len -= 5, p += 5) {
        uint64_t v = 0;

        for (int i = 0; i < 5; i++)
            v = v << 8 | p[i];
        for (int i = 7; i >= 0; i--)
            *out++ = base32_letters[v >> (5 * i) & 31];
    }
    *out = '\0';
}

bool xeno_base32_ok(const char *text, size_t chars)
{
    return strlen(text) == chars && strspn(text, base32_letters) == chars;
}
