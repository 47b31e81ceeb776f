/* src/cli/where.h - a query over adverts as a person writes it, to JSON (RFC 0016, section 3).
 *
 *     CPUmsps >= 150 and MemoryMB >= 512 and not Location/Country in FR, "GB"
 *     (Isolation is vm or Price/HourCredits < 0.05) and CachedImage exists
 *
 * A clause is a token and what it must be: is VALUE (also = and ==), is not VALUE (!=), in VALUE,
 * VALUE, ...; < <= > >= NUMBER; from NUMBER to NUMBER; exists. `and` binds before `or`, `not`
 * before both. A value is a word or stands in quotation marks; a number is a number either way.
 * What is not known is neither true nor false, so `not` of it finds nothing either. Pure.
 */
#ifndef XENO_CLI_WHERE_H
#define XENO_CLI_WHERE_H

#include <stddef.h>

#include "base/err.h"
#include "json/json.h"

#define CLI_WHERE_BYTES 4096
#define CLI_WHERE_DEPTH 16

/* Errors: usage, saying what is wrong at which character. */
int cli_where(const char *text, struct xeno_json **ret, struct xeno_err *err);
/* The same of several, all of which must hold; n is at least 1. */
int cli_where_all(const char *const *texts, size_t n, struct xeno_json **ret, struct xeno_err *err);

#endif
