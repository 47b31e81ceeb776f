/* src/http/made.c - answers that are made while they leave. */
#include "http/server-priv.h"

#define PIECE (16 * 1024)

/* libmicrohttpd asks as the socket takes more. */
static ssize_t more(void *cls, uint64_t pos, char *buf, size_t max)
{
    struct xeno_http_req *q = cls;
    size_t n = q->make.more(q->make.arg, buf, max);

    (void)pos;
    if (n == 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    http_went_on(q->conn, n);
    return (ssize_t)n;
}

void xeno_http_reply_made(struct xeno_http_req *q, int status, const char *type,
                          const struct xeno_http_make *make)
{
    struct MHD_Response *r =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE, more, q, NULL);

    if (!r)
        abort(); /* out of memory, like any other small allocation */
    MHD_add_response_header(r, "Content-Type", type);
    MHD_add_response_header(r, "Cache-Control", "no-store");
    q->make = *make;
    http_idem_end(q, 0, NULL);
    http_give(q, status, r);
}

void http_made_release(struct xeno_http_req *q)
{
    if (q->make.more)
        q->make.done(q->make.arg);
}
