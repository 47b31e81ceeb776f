/* src/base/buf.c - a byte buffer that grows up to a bound. */
#include "base/buf.h"

#include <stdio.h>
#include <string.h>

void xeno_buf_release(struct xeno_buf *b)
{
    free(b->data);
    b->data = NULL;
    b->len = b->room = 0;
}

static bool make_room(struct xeno_buf *b, size_t more)
{
    size_t want;

    if (__builtin_add_overflow(b->len, more, &want) || (b->max && want > b->max))
        return false;
    if (want + 1 > b->room) {
        size_t room = b->room ? b->room : 64;

        while (room < want + 1)
            room += room / 2;
        b->data = xeno_grow(b->data, room);
        b->room = room;
    }
    return true;
}

bool xeno_buf_add(struct xeno_buf *b, const void *data, size_t len)
{
    if (!make_room(b, len))
        return false;
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
    return true;
}

char *xeno_buf_room(struct xeno_buf *b, size_t len)
{
    return make_room(b, len) ? b->data + b->len : NULL;
}

bool xeno_buf_puts(struct xeno_buf *b, const char *text)
{
    return xeno_buf_add(b, text, strlen(text));
}

bool xeno_buf_printf(struct xeno_buf *b, const char *fmt, ...)
{
    xeno_autofree char *s = NULL;
    va_list ap;

    va_start(ap, fmt);
    s = xeno_vasprintf(fmt, ap);
    va_end(ap);
    return xeno_buf_puts(b, s);
}

void xeno_buf_shift(struct xeno_buf *b, size_t len)
{
    if (len > b->len)
        len = b->len;
    if (len == 0)
        return;
    memmove(b->data, b->data + len, b->len - len + 1);
    b->len -= len;
}

char *xeno_buf_take(struct xeno_buf *b, size_t *ret_len)
{
    char *s;

    if (!b->data)
        xeno_buf_add(b, "", 0);
    s = b->data;
    if (ret_len)
        *ret_len = b->len;
    b->data = NULL;
    b->len = b->room = 0;
    return s;
}
