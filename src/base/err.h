/* src/base/err.h - one way to say what went wrong.
 *
 * A call that can fail for more than one cause returns an int: zero or more is success, a failure
 * is a negative errno. When a person or a remote caller will ask why, its last parameter is a
 * `struct xeno_err *`, which may be NULL. The struct lives on the caller's stack, owns nothing and
 * so never leaks.
 */
#ifndef XENO_BASE_ERR_H
#define XENO_BASE_ERR_H

#include <stdarg.h>

#define XENO_ERR_TOKEN_MAX 48
#define XENO_ERR_TEXT_MAX  640

struct xeno_err {
    int code;                       /* negative errno; 0 when nothing failed */
    char token[XENO_ERR_TOKEN_MAX]; /* stable word for programs: "ledger.funds" */
    char text[XENO_ERR_TEXT_MAX];   /* one sentence for people, cut with "..." if too long */
};

#define XENO_ERR_INIT                                                                              \
    {                                                                                              \
        .code = 0                                                                                  \
    }

/* Fill `err` (NULL allowed) and return `code`.
 *
 * When code is one of open(2)'s kind and the text does not end in a reason, append it yourself with
 * strerror(): nothing is added here. Returns: code, always negative (a zero or positive code is our
 * own mistake and becomes -EINVAL). Keeps errno.
 */
int xeno_fail(struct xeno_err *err, int code, const char *token, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The same, with ": " and the text of the errno in `code` at the end. */
int xeno_fail_errno(struct xeno_err *err, int code, const char *token, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Put "where: " in front of the text already in `err`; the token stays. Returns: code. */
int xeno_context(struct xeno_err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Is the error's token `token`? False for NULL and for no error. */
_Bool xeno_err_is(const struct xeno_err *err, const char *token);

#endif
