/* src/base/err.c - fill and extend error records. */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void cut_mark(char *text, size_t size, int wanted)
{
    if (wanted >= 0 && (size_t)wanted >= size && size > 4)
        memcpy(text + size - 4, "...", 4);
}

static int fill(struct xeno_err *err, int code, const char *token, const char *fmt, va_list ap)
{
    int n;

    err->code = code;
    snprintf(err->token, sizeof err->token, "%s", token);
    n = vsnprintf(err->text, sizeof err->text, fmt, ap);
    cut_mark(err->text, sizeof err->text, n);
    return n;
}

int xeno_fail(struct xeno_err *err, int code, const char *token, const char *fmt, ...)
{
    int saved = errno;
    va_list ap;

    if (code >= 0)
        code = -EINVAL;
    if (err) {
        va_start(ap, fmt);
        fill(err, code, token, fmt, ap);
        va_end(ap);
    }
    errno = saved;
    return code;
}

int xeno_fail_errno(struct xeno_err *err, int code, const char *token, const char *fmt, ...)
{
    int saved = errno;
    va_list ap;

    if (code >= 0)
        code = -EINVAL;
    if (err) {
        size_t len;
        int n;

        va_start(ap, fmt);
        fill(err, code, token, fmt, ap);
        va_end(ap);
        len = strlen(err->text);
        n = snprintf(err->text + len, sizeof err->text - len, ": %s", strerror(-code));
        cut_mark(err->text, sizeof err->text, n < 0 ? n : (int)len + n);
    }
    errno = saved;
    return code;
}

int xeno_context(struct xeno_err *err, int code, const char *fmt, ...)
{
    int saved = errno;

    if (err) {
        char old[XENO_ERR_TEXT_MAX];
        size_t len;
        va_list ap;
        int n;

        memcpy(old, err->text, sizeof old);
        va_start(ap, fmt);
        n = vsnprintf(err->text, sizeof err->text, fmt, ap);
        va_end(ap);
        cut_mark(err->text, sizeof err->text, n);
        len = strlen(err->text);
        n = snprintf(err->text + len, sizeof err->text - len, ": %s", old);
        cut_mark(err->text, sizeof err->text, n < 0 ? n : (int)len + n);
    }
    errno = saved;
    return code;
}

_Bool xeno_err_is(const struct xeno_err *err, const char *token)
{
    return err && err->code < 0 && strcmp(err->token, token) == 0;
}
