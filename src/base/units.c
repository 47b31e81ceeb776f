/* src/base/units.c - arithmetic and text forms of money, time and sizes. */
#include "base/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool xeno_credit_add(xeno_credit a, xeno_credit b, xeno_credit *ret)
{
    int64_t r;

    if (__builtin_add_overflow(a.micro, b.micro, &r))
        return false;
    ret->micro = r;
    return true;
}

bool xeno_credit_sub(xeno_credit a, xeno_credit b, xeno_credit *ret)
{
    int64_t r;

    if (__builtin_sub_overflow(a.micro, b.micro, &r))
        return false;
    ret->micro = r;
    return true;
}

bool xeno_muldiv(int64_t a, int64_t num, int64_t den, int64_t *ret)
{
    __int128 r = (__int128)a * num / den;

    if (r > INT64_MAX || r < INT64_MIN)
        return false;
    *ret = (int64_t)r;
    return true;
}

const char *xeno_credit_text(xeno_credit c, char buf[XENO_CREDIT_TEXT])
{
    uint64_t abs = c.micro < 0 ? 0 - (uint64_t)c.micro : (uint64_t)c.micro;
    size_t len;

    snprintf(buf, XENO_CREDIT_TEXT, "%s%" PRIu64 ".%06" PRIu64, c.micro < 0 ? "-" : "",
             abs / XENO_CREDIT, abs % XENO_CREDIT);
    for (len = strlen(buf); buf[len - 1] == '0' && buf[len - 3] != '.'; len--)
        buf[len - 1] = '\0';
    return buf;
}

/* Digits at *p as a number; false when there are none or they pass `max`. */
static bool take_digits(const char **p, int64_t max, int64_t *ret)
{
    const char *start = *p;
    int64_t n = 0;

    while (**p >= '0' && **p <= '9') {
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, **p - '0', &n) ||
            n > max)
            return false;
        (*p)++;
    }
    *ret = n;
    return *p != start;
}

int xeno_credit_parse(const char *text, xeno_credit *ret, struct xeno_err *err)
{
    const char *p = text;
    int64_t whole, part = 0, scale = XENO_CREDIT / 10;

    if (!take_digits(&p, XENO_CREDIT_MAX / XENO_CREDIT, &whole))
        goto bad;
    if (*p == '.') {
        p++;
        if (*p == '\0')
            goto bad;
        for (; *p >= '0' && *p <= '9' && scale > 0; p++, scale /= 10)
            part += (*p - '0') * scale;
    }
    if (*p != '\0' || whole * XENO_CREDIT + part > XENO_CREDIT_MAX)
        goto bad;
    ret->micro = whole * XENO_CREDIT + part;
    return 0;

bad:
    return xeno_fail(err, -EINVAL, "units.credit",
                     "'%.40s' is not an amount: write credits with at most 6 decimals, up to "
                     "1000000000, for example 2 or 0.25",
                     text);
}

int xeno_duration_parse(const char *text, xeno_time *ret, struct xeno_err *err)
{
    static const struct {
        const char *unit;
        int64_t ns;
    } units[] = {
        { "ms", XENO_NS_PER_MS },           { "s", XENO_NS_PER_S },
        { "m", 60 * XENO_NS_PER_S },        { "h", 3600 * XENO_NS_PER_S },
        { "d", 24 * 3600 * XENO_NS_PER_S },
    };
    const int64_t max = 3650 * 24 * 3600 * XENO_NS_PER_S;
    const char *p = text;
    int64_t n;

    if (take_digits(&p, INT64_MAX / 2, &n) && n > 0) {
        for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
            if (strcmp(p, units[i].unit) == 0 && n <= max / units[i].ns) {
                ret->ns = n * units[i].ns;
                return 0;
            }
        }
    }
    return xeno_fail(err, -EINVAL, "units.duration",
                     "'%.40s' is not a length of time: write a whole number above zero and ms, s, "
                     "m, h or d, up to 3650d, for example 15m",
                     text);
}

int xeno_size_parse(const char *text, int64_t *ret_bytes, struct xeno_err *err)
{
    static const char units[] = "KMGT";
    const char *p = text, *u;
    int64_t n;
    int shift = 0;

    if (take_digits(&p, INT64_MAX, &n) && n > 0) {
        if (*p != '\0' && (u = strchr(units, *p)) != NULL) {
            shift = 10 * (int)(u - units + 1);
            p++;
        }
        if (*p == '\0' && n <= (INT64_MAX >> shift)) {
            *ret_bytes = n << shift;
            return 0;
        }
    }
    return xeno_fail(err, -EINVAL, "units.size",
                     "'%.40s' is not a size: write a whole number above zero of bytes, or with K, "
                     "M, G or T (powers of 1024), for example 512M",
                     text);
}

const char *xeno_time_text(xeno_time wall, char buf[XENO_TIME_TEXT])
{
    time_t s = wall.ns / XENO_NS_PER_S;
    struct tm tm;

    if (!gmtime_r(&s, &tm) || strftime(buf, XENO_TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        strcpy(buf, "?");
    return buf;
}

int xeno_time_parse(const char *text, xeno_time *ret, struct xeno_err *err)
{
    struct tm tm = { 0 };
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    time_t s;

    if (!end || *end != '\0' || (s = timegm(&tm)) < 0 || s > INT64_MAX / XENO_NS_PER_S)
        return xeno_fail(err, -EINVAL, "units.time",
                         "'%.40s' is not a time: write it as 2026-01-31T12:00:00Z", text);
    ret->ns = (int64_t)s * XENO_NS_PER_S;
    return 0;
}

const char *xeno_size_text(int64_t bytes, char buf[32])
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
    double v = (double)bytes;
    size_t i = 0;

    for (; v >= 1024 && i + 1 < sizeof units / sizeof *units; i++)
        v /= 1024;
    snprintf(buf, 32, i == 0 ? "%.0f %s" : "%.1f %s", v, units[i]);
    return buf;
}

const char *xeno_duration_text(xeno_time len, char buf[32])
{
    int64_t s = len.ns / XENO_NS_PER_S;

    if (s < 1)
        snprintf(buf, 32, "%" PRId64 "ms", len.ns / XENO_NS_PER_MS);
    else if (s < 60)
        snprintf(buf, 32, "%" PRId64 "s", s);
    else if (s < 3600)
        snprintf(buf, 32, "%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
    else if (s < 86400)
        snprintf(buf, 32, "%" PRId64 "h%02" PRId64 "m", s / 3600, s / 60 % 60);
    else
        snprintf(buf, 32, "%" PRId64 "d%02" PRId64 "h", s / 86400, s / 3600 % 24);
    return buf;
}
