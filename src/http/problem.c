/* src/http/problem.c - problem documents (RFC 9457). */
#include "http/problem.h"

#include <errno.h>
#include <string.h>

#define DETAIL_MAX (4 * XENO_ERR_TEXT_MAX)

/* The first row of a status or an errno is the one its reverse gives. */
static const struct {
    int status, code;
    const char *title;
} rows[] = {
    { 400, EINVAL, "The request is not right" },
    { 400, EPROTO, "The request is not right" },
    { 400, EBADMSG, "The request is not right" },
    { 400, EILSEQ, "The request is not right" },
    { 400, ERANGE, "The request is not right" },
    { 401, EACCES, "A credential is needed" },
    { 401, EKEYREJECTED, "A credential is needed" },
    { 401, EKEYEXPIRED, "A credential is needed" },
    { 401, EKEYREVOKED, "A credential is needed" },
    { 402, EDQUOT, "The money does not suffice" },
    { 403, EPERM, "Not allowed" },
    { 404, ENOENT, "Not found" },
    { 404, ESRCH, "Not found" },
    { 405, ENOTTY, "The method is not for this" },
    { 408, ETIME, "The request took too long" },
    { 409, EBUSY, "In conflict with the present state" },
    { 409, EEXIST, "In conflict with the present state" },
    { 409, EALREADY, "In conflict with the present state" },
    { 409, ECANCELED, "In conflict with the present state" },
    { 410, ESTALE, "It was there and is no more" },
    { 413, EFBIG, "Too large" },
    { 413, E2BIG, "Too large" },
    { 413, EMSGSIZE, "Too large" },
    { 415, EMEDIUMTYPE, "The body is of another type" },
    { 416, ENXIO, "The range is not there" },
    { 422, ENOTUNIQ, "The repeat differs from the first" },
    { 426, EPROTONOSUPPORT, "Another protocol is needed" },
    { 429, EUSERS, "Too many at once" },
    { 431, ENOBUFS, "The header is too large" },
    { 500, EIO, "A fault of ours" },
    { 501, EOPNOTSUPP, "Not offered here" },
    { 501, ENOSYS, "Not offered here" },
    { 502, ECONNREFUSED, "Another party does not answer rightly" },
    { 502, ECONNRESET, "Another party does not answer rightly" },
    { 502, EHOSTUNREACH, "Another party does not answer rightly" },
    { 502, EPIPE, "Another party does not answer rightly" },
    { 503, EAGAIN, "Not now" },
    { 503, ENOTCONN, "Not now" },
    { 503, ESHUTDOWN, "Not now" },
    { 504, ETIMEDOUT, "It took too long" },
    { 507, ENOSPC, "No room" },
};

int xeno_problem_status(int code)
{
    for (size_t i = 0; i < XENO_LEN(rows); i++)
        if (rows[i].code == (code < 0 ? -code : code))
            return rows[i].status;
    return 500;
}

int xeno_problem_errno(int status)
{
    for (size_t i = 0; i < XENO_LEN(rows); i++)
        if (rows[i].status == status)
            return -rows[i].code;
    return status >= 400 && status < 500 ? -EINVAL : -EIO;
}

static const char *title_of(int status)
{
    for (size_t i = 0; i < XENO_LEN(rows); i++)
        if (rows[i].status == status)
            return rows[i].title;
    return status >= 500 ? "A fault of ours" : "The request is not right";
}

struct xeno_json *xeno_problem_make(const struct xeno_err *err)
{
    struct xeno_json *j = xeno_json_object();
    int status = xeno_problem_status(err->code);

    xeno_json_set_str(j, "type", err->token[0] ? err->token : "about:blank");
    xeno_json_set_str(j, "title", title_of(status));
    xeno_json_set_int(j, "status", status);
    xeno_json_set_str(j, "detail", err->text);
    return j;
}

/* Words a peer chose, fit for a terminal and a log line. */
static void copy_clean(char *out, size_t room, const char *text)
{
    size_t n = 0;

    for (; *text && n + 1 < room; text++)
        out[n++] = (unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text;
    out[n] = '\0';
}

int xeno_problem_read(int status, const char *body, size_t len, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;
    const char *type = "http.status", *detail = NULL;
    char token[XENO_ERR_TOKEN_MAX], text[XENO_ERR_TEXT_MAX];
    int code = xeno_problem_errno(status);

    if (len > 0 && xeno_json_parse(body, len, 256 * 1024, &j, NULL) == 0) {
        top = xeno_json_top(j);
        xeno_json_str_opt(&top, "type", 1, XENO_ERR_TOKEN_MAX - 1, &type, NULL);
        xeno_json_str_opt(&top, "detail", 0, DETAIL_MAX, &detail, NULL);
    }
    copy_clean(token, sizeof(token), type);
    copy_clean(text, sizeof(text), detail ? detail : "");
    if (text[0])
        return xeno_fail(err, code, token, "%s", text);
    return xeno_fail(err, code, token, "the answer was status %d (%s)", status, title_of(status));
}
