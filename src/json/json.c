/* src/json/json.c - parsing, building and formatting, on jansson.
 *
 * `struct xeno_json` is never defined: a pointer to one is a json_t pointer.
 */
#include "json/json.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "base/buf.h"

static json_t *in(const struct xeno_json *j)
{
    return (json_t *)(uintptr_t)j;
}

/* jansson makes a new value or fails for want of memory, which ends the program like every other
 * small allocation. */
static struct xeno_json *out(json_t *j)
{
    if (!j)
        abort();
    return (struct xeno_json *)j;
}

void xeno_json_unref(struct xeno_json *j)
{
    json_decref(in(j));
}

struct xeno_json *xeno_json_ref(struct xeno_json *j)
{
    return (struct xeno_json *)json_incref(in(j));
}

/* Does the text nest deeper than the bound? A scan before parsing, since jansson recurses and has
 * a bound of its own (2048) that costs far more than it takes to count brackets. */
static bool too_deep(const char *text, size_t len)
{
    bool quoted = false;
    int depth = 0;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (quoted)
            continue;
        else if ((c == '{' || c == '[') && ++depth > XENO_JSON_DEPTH)
            return true;
        else if (c == '}' || c == ']')
            depth--;
    }
    return false;
}

int xeno_json_parse(const char *text, size_t len, size_t max, struct xeno_json **ret,
                    struct xeno_err *err)
{
    json_error_t e;
    json_t *j;

    if (len > max)
        return xeno_fail(err, -EFBIG, "json.size", "JSON text of %zu bytes, at most %zu allowed",
                         len, max);
    if (too_deep(text, len))
        return xeno_fail(err, -EINVAL, "json.depth", "JSON text nests deeper than %d levels",
                         XENO_JSON_DEPTH);
    j = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
    if (!j)
        return xeno_fail(err, -EINVAL, "json.syntax", "JSON text, line %d, column %d: %s", e.line,
                         e.column, e.text);
    *ret = (struct xeno_json *)j;
    return 0;
}

static int dump_piece(const char *data, size_t len, void *arg)
{
    return xeno_buf_add(arg, data, len) ? 0 : -1;
}

char *xeno_json_format(const struct xeno_json *j, bool pretty, size_t *ret_len)
{
    struct xeno_buf b = XENO_BUF_INIT;
    size_t flags = JSON_ENCODE_ANY | (pretty ? JSON_INDENT(2) : JSON_COMPACT);

    /* It can only fail for want of memory or a loop, and values are never put into themselves. */
    if (json_dump_callback(in(j), dump_piece, &b, flags) < 0)
        abort();
    return xeno_buf_take(&b, ret_len);
}

struct xeno_json *xeno_json_object(void)
{
    return out(json_object());
}

struct xeno_json *xeno_json_array(void)
{
    return out(json_array());
}

/* Length of the well-formed UTF-8 character at `s`, 0 when there is none (RFC 3629 4). */
static size_t utf8_len(const unsigned char *s)
{
    size_t len = s[0] < 0x80    ? 1
                 : s[0] < 0xC2  ? 0
                 : s[0] < 0xE0  ? 2
                 : s[0] < 0xF0  ? 3
                 : s[0] <= 0xF4 ? 4
                                : 0;

    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xC0) != 0x80) /* also stops at the zero byte */
            return 0;
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] >= 0xA0) ||
        (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] >= 0x90))
        return 0; /* longer than needed, a surrogate, or past the last character */
    return len;
}

bool xeno_json_utf8_ok(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; p && *p;) {
        size_t len = utf8_len(p);

        if (len == 0)
            return false;
        p += len;
    }
    return true;
}

struct xeno_json *xeno_json_string(const char *text)
{
    json_t *j = json_string(text);
    xeno_autofree char *copy = NULL;
    char *p;

    if (j)
        return out(j);
    p = copy = xeno_strdup(text);
    while (*p) {
        size_t len = utf8_len((const unsigned char *)p);

        if (len == 0)
            *p = '?';
        p += len ? len : 1;
    }
    return out(json_string(copy));
}

void xeno_json_set(struct xeno_json *obj, const char *key, struct xeno_json *value)
{
    int r = json_object_set_new(in(obj), key, in(value));

    assert(r == 0); /* not an object, or a key that is not UTF-8: our own mistake */
    (void)r;
}

void xeno_json_set_str(struct xeno_json *obj, const char *key, const char *text)
{
    if (text)
        xeno_json_set(obj, key, xeno_json_string(text));
}

void xeno_json_set_int(struct xeno_json *obj, const char *key, int64_t n)
{
    xeno_json_set(obj, key, out(json_integer(n)));
}

struct xeno_json *xeno_json_num(double n)
{
    if (n >= -9007199254740992.0 && n <= 9007199254740992.0 && n == (double)(int64_t)n)
        return out(json_integer((int64_t)n));
    return out(json_real(n));
}

void xeno_json_set_num(struct xeno_json *obj, const char *key, double n)
{
    xeno_json_set(obj, key, xeno_json_num(n));
}

void xeno_json_set_bool(struct xeno_json *obj, const char *key, bool b)
{
    xeno_json_set(obj, key, out(json_boolean(b)));
}

struct xeno_json *xeno_json_member(const struct xeno_json *obj, const char *key)
{
    return xeno_json_ref((struct xeno_json *)json_object_get(in(obj), key));
}

void xeno_json_append(struct xeno_json *arr, struct xeno_json *value)
{
    int r = json_array_append_new(in(arr), in(value));

    assert(r == 0);
    (void)r;
}

void xeno_json_append_int(struct xeno_json *arr, int64_t n)
{
    xeno_json_append(arr, out(json_integer(n)));
}

void xeno_json_append_str(struct xeno_json *arr, const char *text)
{
    xeno_json_append(arr, xeno_json_string(text));
}
