/* src/base/buf.h - a byte buffer that grows up to a bound.
 *
 * Always followed by a zero byte, so that text can be printed. `struct xeno_buf b = XENO_BUF_INIT;`
 * is empty and owns nothing; xeno_buf_release() empties it again.
 */
#ifndef XENO_BASE_BUF_H
#define XENO_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct xeno_buf {
    char *data; /* NULL while empty */
    size_t len;
    size_t room;
    size_t max; /* 0: no bound but memory */
};

#define XENO_BUF_INIT                                                                              \
    {                                                                                              \
        .data = NULL                                                                               \
    }

void xeno_buf_release(struct xeno_buf *b);
#define xeno_autobuf __attribute__((cleanup(xeno_buf_release))) struct xeno_buf

/* Append; false, and nothing appended, when the bound would be passed. */
bool xeno_buf_add(struct xeno_buf *b, const void *data, size_t len);
/* Room for `len` more bytes behind what is there; what was written there counts when it is added to
 * b->len. NULL when the bound would be passed. */
char *xeno_buf_room(struct xeno_buf *b, size_t len);
bool xeno_buf_puts(struct xeno_buf *b, const char *text);
bool xeno_buf_printf(struct xeno_buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Drop `len` bytes from the front. */
void xeno_buf_shift(struct xeno_buf *b, size_t len);

/* Returns: the text, the caller's, never NULL; the buffer is empty after. */
char *xeno_buf_take(struct xeno_buf *b, size_t *ret_len);

#endif
