/* src/http/file.c - answers that are files, whole or in part. */
#include "http/server-priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define BLOCK (64 * 1024)

/* A number of the header; digits only, as the specification has it. */
static bool number(const char **p, int64_t *ret)
{
    int64_t n = 0;
    const char *start = *p;

    for (; **p >= '0' && **p <= '9'; ++*p)
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, **p - '0', &n))
            return false;
    *ret = n;
    return *p > start;
}

/* "bytes=5-9", "bytes=5-", "bytes=-5"; false for all else. */
static bool parse_range(const char *text, int64_t size, int64_t *first, int64_t *last)
{
    const char *p = text + strlen("bytes=");

    if (strncasecmp(text, "bytes=", strlen("bytes=")) != 0)
        return false;
    *last = size - 1;
    if (*p == '-') {
        p++;
        if (!number(&p, first) || *p != '\0')
            return false;
        *first = *first > size ? 0 : size - *first;
        return true;
    }
    if (!number(&p, first) || *p++ != '-')
        return false;
    if (*p == '\0')
        return true;
    if (!number(&p, last) || *p != '\0' || *last < *first)
        return false;
    if (*last >= size)
        *last = size - 1;
    return true;
}

int xeno_http_range(const struct xeno_http_req *q, int64_t size, int64_t *ret_offset,
                    int64_t *ret_len, struct xeno_err *err)
{
    const char *text = xeno_http_header(q, "Range");
    int64_t first, last;

    *ret_offset = 0;
    *ret_len = size;
    if (!text || !parse_range(text, size, &first, &last))
        return 0;
    if (first >= size)
        return xeno_fail(err, -ENXIO, "http.range",
                         "'%.60s' begins behind the end: there are %lld bytes", text,
                         (long long)size);
    *ret_offset = first;
    *ret_len = last - first + 1;
    return 1;
}

struct file {
    struct conn *conn;
    int fd;
    int64_t offset, len;
    struct xeno_http_watch watch; /* done NULL: there is none */
};

/* libmicrohttpd asks as the socket takes more. */
static ssize_t read_file(void *cls, uint64_t pos, char *buf, size_t max)
{
    struct file *f = cls;
    ssize_t n;

    do
        n = pread(f->fd, buf, max, f->offset + (int64_t)pos);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (f->watch.done && !f->watch.seen(f->watch.arg, buf, (size_t)n, (int64_t)pos + n == f->len))
        return MHD_CONTENT_READER_END_WITH_ERROR;
    http_went_on(f->conn, (size_t)n);
    return n;
}

static void free_file(void *cls)
{
    struct file *f = cls;

    if (f->watch.done)
        f->watch.done(f->watch.arg);
    close(f->fd);
    free(f);
}

void xeno_http_reply_file(struct xeno_http_req *q, int status, const char *type, int fd,
                          int64_t offset, int64_t len)
{
    xeno_http_reply_watched(q, status, type, fd, offset, len, NULL);
}

void xeno_http_reply_watched(struct xeno_http_req *q, int status, const char *type, int fd,
                             int64_t offset, int64_t len, const struct xeno_http_watch *watch)
{
    struct file *f = xeno_new0(struct file);
    struct MHD_Response *r;

    *f = (struct file){ .conn = q->conn, .fd = fd, .offset = offset, .len = len };
    if (watch)
        f->watch = *watch;
    r = MHD_create_response_from_callback((uint64_t)len, BLOCK, read_file, f, free_file);
    if (!r)
        abort(); /* out of memory, like any other small allocation */
    MHD_add_response_header(r, "Content-Type", type);
    http_idem_end(q, status, NULL);
    http_give(q, status, r);
}
