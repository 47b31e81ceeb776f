/* src/base/mem.c - allocation that cannot fail, or says so. */
#include "base/mem.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void *must(void *p)
{
    if (!p) {
        static const char msg[] = "out of memory\n";
        ssize_t n = write(STDERR_FILENO, msg, sizeof msg - 1);

        (void)n;
        abort();
    }
    return p;
}

void xeno_cleanup_close_(int *fd)
{
    if (*fd >= 0) {
        int saved = errno;

        close(*fd);
        errno = saved;
    }
}

void *xeno_alloc0(size_t count, size_t size)
{
    return must(calloc(count ? count : 1, size ? size : 1));
}

void *xeno_realloc(void *p, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        must(NULL);
    return must(realloc(p, bytes ? bytes : 1));
}

char *xeno_strdup(const char *s)
{
    return s ? must(strdup(s)) : NULL;
}

char *xeno_strndup(const char *s, size_t len)
{
    return must(strndup(s, len));
}

void *xeno_memdup(const void *p, size_t len)
{
    char *copy = must(malloc(len + 1)); /* a zero byte follows, so that text can be printed */

    if (len)
        memcpy(copy, p, len);
    copy[len] = '\0';
    return copy;
}

char *xeno_vasprintf(const char *fmt, va_list ap)
{
    char *s;

    if (vasprintf(&s, fmt, ap) < 0)
        must(NULL);
    return s;
}

char *xeno_asprintf(const char *fmt, ...)
{
    va_list ap;
    char *s;

    va_start(ap, fmt);
    s = xeno_vasprintf(fmt, ap);
    va_end(ap);
    return s;
}

void *xeno_try_alloc(size_t size)
{
    return calloc(1, size ? size : 1);
}
