/* src/http/route.c - which route a path belongs to.
 *
 * Matching works on the raw path, segment by segment, and decodes each parameter alone: "%2F" is a
 * slash inside a parameter and never a border between two.
 */
#include "http/server-priv.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

static int hex(char c)
{
    return isdigit((unsigned char)c)    ? c - '0'
           : isxdigit((unsigned char)c) ? (c | 32) - 'a' + 10
                                        : -1;
}

/* RFC 3986 2.1; NULL for a malformed escape, a zero byte or a control character. */
static char *decode(const char *text, size_t len)
{
    xeno_autofree char *out = NULL;
    size_t n = 0;

    if (len == 0 || len > HTTP_PARAM_BYTES)
        return NULL;
    out = xeno_alloc0(len + 1, 1);
    for (size_t i = 0; i < len; i++) {
        int c = (unsigned char)text[i];

        if (c == '%') {
            if (len - i < 3 || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0)
                return NULL;
            c = hex(text[i + 1]) << 4 | hex(text[i + 2]);
            i += 2;
        }
        if (c < ' ' || c == 0x7f)
            return NULL;
        out[n++] = (char)c;
    }
    return xeno_take(&out);
}

void http_params_release(struct xeno_http_req *q)
{
    for (size_t i = 0; i < q->param_count; i++)
        free(q->params[i].value);
    q->param_count = 0;
}

/* One segment of the path against one of the pattern. */
static bool match_segment(struct xeno_http_req *q, const char *pat, size_t pat_len,
                          const char *text, size_t len)
{
    struct param *p = &q->params[q->param_count];

    if (pat_len < 3 || pat[0] != '{')
        return pat_len == len && memcmp(pat, text, len) == 0;
    if (q->param_count == HTTP_PARAMS)
        return false;
    p->value = decode(text, len);
    if (!p->value)
        return false;
    p->name = pat + 1;
    p->name_len = strcspn(p->name, "*}");
    q->param_count++;
    return true;
}

static size_t segments(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += *text == '/';
    return n;
}

/* Length of the first `count` segments of text, which begins behind a slash. */
static size_t span(const char *text, size_t count)
{
    const char *p = text;

    for (; count > 0 && *p; count--) {
        p += *p == '/';
        p += strcspn(p, "/");
    }
    return (size_t)(p - text);
}

static bool match(struct xeno_http_req *q, const char *pattern)
{
    const char *pat = pattern, *text = q->path;

    http_params_release(q);
    while (*pat == '/' && *text == '/') {
        size_t pat_len = strcspn(++pat, "/"), len = strcspn(++text, "/");

        /* {x*} leaves as many segments as the pattern still wants. */
        if (pat_len > 3 && pat[0] == '{' && pat[pat_len - 2] == '*') {
            size_t left = segments(text), want = segments(pat);

            if (left < want)
                return false;
            len = span(text, left - want + 1);
        }
        if (!match_segment(q, pat, pat_len, text, len))
            return false;
        pat += pat_len;
        text += len;
    }
    return *pat == '\0' && *text == '\0';
}

int http_route_find(struct xeno_http_req *q, struct xeno_buf *allow, struct xeno_err *err)
{
    for (const struct xeno_http_route *r = q->server->opts.routes; r->method; r++) {
        if (!match(q, r->path))
            continue;
        if (strcmp(r->method, q->method) == 0) {
            q->route = r;
            return 0;
        }
        xeno_buf_printf(allow, "%s%s", allow->len ? ", " : "", r->method);
    }
    if (allow->len > 0)
        return xeno_fail(err, -ENOTTY, "http.method", "'%.20s' is not for this path, %s is",
                         q->method, allow->data);
    return xeno_fail(err, -ENOENT, "http.path", "there is nothing at '%.200s'", q->path);
}

const char *xeno_http_param(const struct xeno_http_req *q, const char *name)
{
    for (size_t i = 0; i < q->param_count; i++)
        if (strlen(name) == q->params[i].name_len &&
            memcmp(name, q->params[i].name, q->params[i].name_len) == 0)
            return q->params[i].value;
    return NULL;
}
