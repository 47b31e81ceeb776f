/* src/base/units.h - money and time, as types that never mix, and their text forms.
 *
 * Money is a whole number of micro-credits; nothing here is floating point. Text forms are for
 * people ("1.25"); wire and disk formats carry the integer.
 */
#ifndef XENO_BASE_UNITS_H
#define XENO_BASE_UNITS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define XENO_CREDIT INT64_C(1000000) /* micro-credits in a credit */
#define XENO_CREDIT_MAX                                                                            \
    INT64_C(1000000000000000) /* largest sum any document may name: 10^9 credits */

#define XENO_NS_PER_S  INT64_C(1000000000)
#define XENO_NS_PER_MS INT64_C(1000000)

typedef struct {
    int64_t micro;
} xeno_credit;

/* Nanoseconds: since 1970 (wall clock), since boot (monotonic), or a length. The name of the
 * variable says which. */
typedef struct {
    int64_t ns;
} xeno_time;

#define xeno_micro(n) ((xeno_credit){ (n) })
#define xeno_ns(n)    ((xeno_time){ (n) })
#define xeno_s(n)     ((xeno_time){ (n)*XENO_NS_PER_S })
#define xeno_ms(n)    ((xeno_time){ (n)*XENO_NS_PER_MS })

/* Sum in *ret; false, and *ret untouched, when it does not fit. */
bool xeno_credit_add(xeno_credit a, xeno_credit b, xeno_credit *ret);
bool xeno_credit_sub(xeno_credit a, xeno_credit b, xeno_credit *ret);

/* a * num / den, rounded towards zero, exact in between; false when the result does not fit.
 * den is above zero. */
bool xeno_muldiv(int64_t a, int64_t num, int64_t den, int64_t *ret);

static inline xeno_time xeno_time_add(xeno_time a, xeno_time b)
{
    int64_t r;

    if (__builtin_add_overflow(a.ns, b.ns, &r))
        r = b.ns > 0 ? INT64_MAX : INT64_MIN; /* "never" stays never */
    return (xeno_time){ r };
}

/* "12.345678", trailing zeros cut to two decimals at least ("12.00"); buf holds 24 bytes. */
#define XENO_CREDIT_TEXT 24
const char *xeno_credit_text(xeno_credit c, char buf[XENO_CREDIT_TEXT]);

/* A sum a person typed: "2", "0.5", "1.000001"; not negative, at most XENO_CREDIT_MAX.
 * Errors: -EINVAL units.credit; *ret untouched. */
int xeno_credit_parse(const char *text, xeno_credit *ret, struct xeno_err *err);

/* A length of time a person typed: "90s", "15m", "2h", "7d", "250ms"; above zero, at most 10 years.
 * Errors: -EINVAL units.duration. */
int xeno_duration_parse(const char *text, xeno_time *ret, struct xeno_err *err);

/* A size a person typed: "512", "64K", "512M", "2G" (powers of 1024); above zero.
 * Errors: -EINVAL units.size. */
int xeno_size_parse(const char *text, int64_t *ret_bytes, struct xeno_err *err);

/* "2026-11-21T10:33:00Z" (RFC 3339, UTC, whole seconds); buf holds 32 bytes. */
#define XENO_TIME_TEXT 32
const char *xeno_time_text(xeno_time wall, char buf[XENO_TIME_TEXT]);

/* "1.5 GiB", "3m12s": for people. buf holds 32 bytes. */
const char *xeno_size_text(int64_t bytes, char buf[32]);
const char *xeno_duration_text(xeno_time len, char buf[32]);

/* Parse RFC 3339 in UTC with whole seconds. Errors: -EINVAL units.time. */
int xeno_time_parse(const char *text, xeno_time *ret, struct xeno_err *err);

#endif
