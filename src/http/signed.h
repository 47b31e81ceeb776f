/* src/http/signed.h - blocking calls to an object store that speaks the protocol of S3, signed by
 * AWS signature version 4.
 *
 * For helper threads, never for a loop: a call waits for its answer. It is bounded all the same: a
 * try that moves less than 1 KiB a second for the patience is given up; one that failed in a way
 * that may pass (no connection, cut off, 408, 429, 500, 502, 503, 504) is made again with growing,
 * jittered waits, until the patience is over. Each must be harmless to repeat.
 *
 * TLS 1.2 or later, checked for the host by the CAs of this machine or of a file; plain HTTP to a
 * numeric address of the loopback only. Redirects are not followed, proxies not used.
 * The body's SHA-256 is part of what is signed, so that a store that checks it takes no other body.
 *
 * libcurl signs (CURLOPT_AWS_SIGV4). 7.88 takes path and query as they are: they come here escaped,
 * the query's parts sorted and each with a '='; and it takes every header that is given for one to
 * be signed, so none is given but the body's hash.
 *
 * Context: any thread, many at once. Connections are kept.
 */
#ifndef XENO_HTTP_SIGNED_H
#define XENO_HTTP_SIGNED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/mem.h"

struct xeno_signed;

struct xeno_signed_opts {
    const struct xeno_env *env;
    const char *base; /* "https://HOST[:PORT]", nothing behind */
    const char *region;
    const char *access, *secret; /* copied */
    const char *ca_file;         /* NULL: this machine's */
    xeno_time patience;
};
/* Errors: -EINVAL signed.url. */
int xeno_signed_new(const struct xeno_signed_opts *opts, struct xeno_signed **ret,
                    struct xeno_err *err);
void xeno_signed_free(struct xeno_signed *s); /* no call is under way */
XENO_DEFINE_AUTO(xeno_signed, xeno_signed_free);
/* Calls end soon with -ECANCELED signed.stopped, those under way and later ones. */
void xeno_signed_stop(struct xeno_signed *s);

#define XENO_SIGNED_ANSWER_MAX (4 << 20)

struct xeno_signed_ask {
    const char *method, *path;
    const char *query; /* NULL: none */
    const void *body;  /* of `len` bytes; NULL: that much of `fd` from `offset` on */
    int fd;
    int64_t offset, len;
    /* Of an answer 200: `begin` before the first byte of each try, then the bytes; < 0 ends the
     * call with that. Both or none: then it is in the answer's body. */
    int (*begin)(void *arg, struct xeno_err *err);
    int (*sink)(const void *data, size_t len, void *arg, struct xeno_err *err);
    void *arg;
    int64_t rate; /* bytes a second to receive at most; 0: no limit */
};

#define XENO_SIGNED_ETAG_MAX 200

struct xeno_signed_answer {
    int status;
    char etag[XENO_SIGNED_ETAG_MAX]; /* as it came, with its quotes; "" when none */
    char *body; /* the caller's, followed by a zero byte; "" where a sink had it */
    size_t len;
};

/* Returns: 0 with any answer that another try would not change, 404 too.
 * Errors: -EAGAIN signed.away: no answer, or only such as may pass, until the patience was over;
 *         -EPERM signed.tls: it is not who it should be; -EFBIG signed.size; -EIO signed.read: the
 *         body cannot be read here; -ECANCELED signed.stopped; those of the sink. */
int xeno_signed_call(struct xeno_signed *s, const struct xeno_signed_ask *ask,
                     struct xeno_signed_answer *ret, struct xeno_err *err);

#endif
