/* src/xisd/text.c - numbers and strings as JSON has them. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "xisd/ask.h"

#define DIGITS 20 /* of 2^64 */

/* Two at a time: divisions are what it costs. */
static size_t put_digits(uint64_t n, char *buf)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    char tmp[DIGITS];
    size_t at = sizeof tmp;

    for (; n >= 10; n /= 100)
        memcpy(tmp + (at -= 2), pairs + n % 100 * 2, 2);
    if (n > 0 || at == sizeof tmp)
        tmp[--at] = (char)('0' + n);
    memcpy(buf, tmp + at, sizeof tmp - at);
    return sizeof tmp - at;
}

/* A number of at most 15 digits is an integer after at most 15 shifts of its point; printf() would
 * find the same, ten times slower. */
static size_t put_fraction(double n, char *buf)
{
    double a = fabs(n), scale = 10;

    for (int decimals = 1; decimals <= 15; decimals++, scale *= 10) {
        double shifted = a * scale;
        uint64_t whole, rest;
        size_t at = 0;

        if (shifted >= 1e15)
            break;
        whole = (uint64_t)(shifted + 0.5);
        if ((double)whole / scale != a)
            continue;
        if (n < 0)
            buf[at++] = '-';
        at += put_digits(whole / (uint64_t)scale, buf + at);
        buf[at++] = '.';
        rest = whole % (uint64_t)scale;
        for (int i = decimals; i-- > 0; rest /= 10)
            buf[at + (size_t)i] = (char)('0' + rest % 10);
        return at + (size_t)decimals;
    }
    return (size_t)snprintf(buf, XISD_NUMBER_TEXT, "%.15g", n);
}

size_t xisd_number_text(double n, char buf[XISD_NUMBER_TEXT])
{
    bool minus = n < 0;
    int64_t whole;

    if (!(fabs(n) < 1e15))
        return (size_t)snprintf(buf, XISD_NUMBER_TEXT, "%.15g", isfinite(n) ? n : 0);
    whole = (int64_t)n;
    if ((double)whole != n)
        return put_fraction(n, buf);
    buf[0] = '-';
    return minus + put_digits((uint64_t)(minus ? -whole : whole), buf + minus);
}

void xisd_put_string(struct xeno_buf *out, const char *text, size_t len)
{
    size_t from = 0;

    xeno_buf_add(out, "\"", 1);
    for (size_t i = 0; i < len; i++) {
        unsigned char ch = (unsigned char)text[i];

        if (ch >= ' ' && ch != '"' && ch != '\\')
            continue;
        xeno_buf_add(out, text + from, i - from);
        xeno_buf_printf(out, "\\u%04x", ch);
        from = i + 1;
    }
    xeno_buf_add(out, text + from, len - from);
    xeno_buf_add(out, "\"", 1);
}
