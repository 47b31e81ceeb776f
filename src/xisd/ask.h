/* src/xisd/ask.h - a lookup as it is asked, and its answer as text (rfc/0016, section 3).
 *
 * On the path of batches: nothing is allocated but the answer's buffer, and no JSON value is made.
 * Pure. Context: any thread.
 */
#ifndef XENO_XISD_ASK_H
#define XENO_XISD_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "xis/advert.h"

#define XISD_LIMIT_MAX    1000 /* results of one lookup */
#define XISD_LIMIT        10   /* unless told */
#define XISD_PLACE_MAX    ((INT64_C(1) << 53) - 1)
#define XISD_NUMBER_CHARS 32 /* of a number as it is asked for */
#define XISD_NUMBER_TEXT  32

enum xisd_asked { /* members that are there */
                  XISD_ASK_TOKEN = 1 << 0,
                  XISD_ASK_MIN = 1 << 1,
                  XISD_ASK_MAX = 1 << 2,
                  XISD_ASK_IS = 1 << 3,
                  XISD_ASK_FROM = 1 << 4,
                  XISD_ASK_TO = 1 << 5,
                  XISD_ASK_ORDER = 1 << 6,
                  XISD_ASK_PLACE = 1 << 7,
                  XISD_ASK_LIMIT = 1 << 8,
};

struct xisd_ask {
    unsigned has;
    char token[XENO_ADVERT_PATH + 1];
    double min, max;
    char from[XENO_ADVERT_VALUE + 1], to[XENO_ADVERT_VALUE + 1], is[XENO_ADVERT_VALUE + 1];
    bool desc;
    int64_t place, limit;
};

/* An object of strings and numbers.
 * Errors: -EINVAL lookup.form (not such an object), lookup.unknown, lookup.repeated, and those of
 *         rfc/0016: lookup.token, .number, .text, .range, .order, .place, .limit. */
int xisd_ask_line(const char *text, size_t len, struct xisd_ask *ret, struct xeno_err *err);

/* The same member by member, all as text: for the parameters of a path. Begin with `has` 0, and end
 * with xisd_ask_end(). */
int xisd_ask_set(struct xisd_ask *a, const char *name, const char *text, struct xeno_err *err);
int xisd_ask_end(struct xisd_ask *a, struct xeno_err *err);

/* As an advert would have it: the shortest decimal that reads as `n`. Returns: its length. */
size_t xisd_number_text(double n, char buf[XISD_NUMBER_TEXT]);
/* `text` in quotes, escaped as JSON wants it. It is UTF-8. */
void xisd_put_string(struct xeno_buf *out, const char *text, size_t len);

#endif
