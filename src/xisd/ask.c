/* src/xisd/ask.c - read a lookup, write what JSON needs of numbers and strings. */
#include "xisd/ask.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { TOKEN, TEXT, VALUE, NUMBER, ORDER, INTEGER };

#define NAME(name_) name_, sizeof(name_) - 1
static const struct member {
    const char *name;
    size_t len;
    enum kind kind;
    unsigned bit;
    size_t offset;
} members[] = {
    { NAME("token"), TOKEN, XISD_ASK_TOKEN, offsetof(struct xisd_ask, token) },
    { NAME("min"), NUMBER, XISD_ASK_MIN, offsetof(struct xisd_ask, min) },
    { NAME("max"), NUMBER, XISD_ASK_MAX, offsetof(struct xisd_ask, max) },
    { NAME("limit"), INTEGER, XISD_ASK_LIMIT, offsetof(struct xisd_ask, limit) },
    { NAME("order"), ORDER, XISD_ASK_ORDER, offsetof(struct xisd_ask, desc) },
    { NAME("place"), INTEGER, XISD_ASK_PLACE, offsetof(struct xisd_ask, place) },
    { NAME("is"), VALUE, XISD_ASK_IS, offsetof(struct xisd_ask, is) },
    { NAME("from"), TEXT, XISD_ASK_FROM, offsetof(struct xisd_ask, from) },
    { NAME("to"), TEXT, XISD_ASK_TO, offsetof(struct xisd_ask, to) },
};

static const struct member *member_of(const char *name, size_t len)
{
    for (size_t i = 0; i < XENO_LEN(members); i++)
        if (members[i].len == len && memcmp(members[i].name, name, len) == 0)
            return &members[i];
    return NULL;
}

/* --- values --- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* JSON's numbers (RFC 8259, 6). What adverts can have is read here, the rest by strtod(). */
static int read_number(const char *text, size_t len, double *ret)
{
    static const double scale[] = { 1,   1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15 };
    size_t i = len > 0 && text[0] == '-', digits = 0, decimals = 0;
    char copy[XISD_NUMBER_CHARS + 1], *end;
    int64_t n = 0;
    double d;

    for (; i < len && is_digit(text[i]) && digits < 15; i++, digits++)
        n = n * 10 + (text[i] - '0');
    if (i < len && text[i] == '.' && digits > 0)
        for (i++; i < len && is_digit(text[i]) && digits < 15; i++, digits++, decimals++)
            n = n * 10 + (text[i] - '0');
    if (i == len && digits > 0 && text[len - 1] != '.') {
        d = (double)n / scale[decimals];
        *ret = text[0] == '-' ? -d : d;
        return 0;
    }
    if (len == 0 || len > XISD_NUMBER_CHARS)
        return -EINVAL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (!is_digit(copy[copy[0] == '-']) || !is_digit(copy[len - 1]) ||
        strspn(copy, "0123456789+-.eE") < len)
        return -EINVAL;
    d = strtod(copy, &end);
    if (*end != '\0' || !isfinite(d))
        return -EINVAL;
    *ret = d;
    return 0;
}

static int set_number(struct xisd_ask *a, const struct member *m, const char *text, size_t len,
                      struct xeno_err *err)
{
    double d = 0;

    if (read_number(text, len, &d) < 0)
        return xeno_fail(err, -EINVAL, "lookup.number",
                         "%s is a decimal number of at most %d characters", m->name,
                         XISD_NUMBER_CHARS);
    memcpy((char *)a + m->offset, &d, sizeof d);
    return 0;
}

static int set_integer(struct xisd_ask *a, const struct member *m, const char *text, size_t len,
                       struct xeno_err *err)
{
    int64_t max = m->bit == XISD_ASK_PLACE ? XISD_PLACE_MAX : XISD_LIMIT_MAX, n = 0;
    size_t i = 0;

    for (; i < len && is_digit(text[i]) && n <= max; i++)
        n = n * 10 + (text[i] - '0');
    if (i < len || len == 0 || n > max)
        return xeno_fail(err, -EINVAL, m->bit == XISD_ASK_PLACE ? "lookup.place" : "lookup.limit",
                         "%s is from 0 to %" PRId64, m->name, max);
    memcpy((char *)a + m->offset, &n, sizeof n);
    return 0;
}

static int set_text(struct xisd_ask *a, const struct member *m, const char *text, size_t len,
                    struct xeno_err *err)
{
    size_t max = m->kind == TOKEN ? XENO_ADVERT_PATH : XENO_ADVERT_VALUE;
    char *to = (char *)a + m->offset;

    if (m->kind == ORDER) {
        if ((len != 3 || memcmp(text, "asc", 3) != 0) && (len != 4 || memcmp(text, "desc", 4) != 0))
            return xeno_fail(err, -EINVAL, "lookup.order", "order is asc or desc");
        a->desc = len == 4;
        return 0;
    }
    if (len > max || (m->kind == TOKEN && len == 0) || memchr(text, '\0', len))
        return xeno_fail(err, -EINVAL, m->kind == TOKEN ? "lookup.token" : "lookup.text",
                         "%s is text of at most %zu bytes", m->name, max);
    memcpy(to, text, len);
    to[len] = '\0';
    return 0;
}

/* `quoted`: it was a string of JSON, so it is no number there. */
static int set(struct xisd_ask *a, const struct member *m, const char *text, size_t len,
               bool quoted, bool any, struct xeno_err *err)
{
    bool number = m->kind == NUMBER || m->kind == INTEGER;
    double ignored;

    if (a->has & m->bit)
        return xeno_fail(err, -EINVAL, "lookup.repeated", "%s is there twice", m->name);
    a->has |= m->bit;
    if (!any && m->kind == VALUE && !quoted && read_number(text, len, &ignored) < 0)
        return xeno_fail(err, -EINVAL, "lookup.number", "%s is a string or a number", m->name);
    if (!any && m->kind != VALUE && number == quoted)
        return xeno_fail(err, -EINVAL, "lookup.form", "%s is a %s", m->name,
                         number ? "number" : "string");
    if (m->kind == NUMBER)
        return set_number(a, m, text, len, err);
    return m->kind == INTEGER ? set_integer(a, m, text, len, err) : set_text(a, m, text, len, err);
}

int xisd_ask_set(struct xisd_ask *a, const char *name, const char *text, struct xeno_err *err)
{
    const struct member *m = member_of(name, strlen(name));

    if (!m)
        return xeno_fail(err, -EINVAL, "lookup.unknown", "there is no parameter '%.40s'", name);
    return set(a, m, text, strlen(text), false, true, err);
}

int xisd_ask_end(struct xisd_ask *a, struct xeno_err *err)
{
    unsigned numbers = a->has & (XISD_ASK_MIN | XISD_ASK_MAX);
    unsigned strings = a->has & (XISD_ASK_FROM | XISD_ASK_TO), is = a->has & XISD_ASK_IS;

    if (!(a->has & XISD_ASK_TOKEN))
        return xeno_fail(err, -EINVAL, "lookup.token", "which token? say token");
    if ((numbers && strings) || (is && (numbers || strings)))
        return xeno_fail(err, -EINVAL, "lookup.range",
                         "a range is min and max, or from and to, or is");
    if (!(a->has & XISD_ASK_ORDER))
        a->desc = false;
    if (!(a->has & XISD_ASK_PLACE))
        a->place = 0;
    if (!(a->has & XISD_ASK_LIMIT))
        a->limit = XISD_LIMIT;
    return 0;
}

/* --- a line --- */

struct cursor {
    const char *at, *end;
};

static char skip(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\r'))
        c->at++;
    return c->at < c->end ? *c->at : '\0';
}

static bool take(struct cursor *c, char want)
{
    if (skip(c) != want)
        return false;
    c->at++;
    return true;
}

static int hex4(const char *at)
{
    int n = 0;

    for (int i = 0; i < 4; i++) {
        char ch = at[i];
        int d = is_digit(ch)                               ? ch - '0'
                : (ch | 0x20) >= 'a' && (ch | 0x20) <= 'f' ? (ch | 0x20) - 'a' + 10
                                                           : -1;

        if (d < 0)
            return -1;
        n = n * 16 + d;
    }
    return n;
}

/* A character of \uXXXX, two of them for one above the first plane, as UTF-8. */
static size_t unescape_u(struct cursor *c, char out[4])
{
    int u = c->end - c->at >= 4 ? hex4(c->at) : -1, low;

    if (u <= 0 || (u >= 0xdc00 && u < 0xe000))
        return 0;
    c->at += 4;
    if (u >= 0xd800 && u < 0xdc00) {
        low = c->end - c->at >= 6 && c->at[0] == '\\' && c->at[1] == 'u' ? hex4(c->at + 2) : -1;
        if (low < 0xdc00 || low >= 0xe000)
            return 0;
        c->at += 6;
        u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
        out[0] = (char)(0xf0 | u >> 18);
        out[1] = (char)(0x80 | (u >> 12 & 0x3f));
        out[2] = (char)(0x80 | (u >> 6 & 0x3f));
        out[3] = (char)(0x80 | (u & 0x3f));
        return 4;
    }
    if (u < 0x80) {
        out[0] = (char)u;
        return 1;
    }
    if (u < 0x800) {
        out[0] = (char)(0xc0 | u >> 6);
        out[1] = (char)(0x80 | (u & 0x3f));
        return 2;
    }
    out[0] = (char)(0xe0 | u >> 12);
    out[1] = (char)(0x80 | (u >> 6 & 0x3f));
    out[2] = (char)(0x80 | (u & 0x3f));
    return 3;
}

static size_t unescape(struct cursor *c, char out[4])
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *p;

    if (c->at == c->end)
        return 0;
    if (*c->at == 'u') {
        c->at++;
        return unescape_u(c, out);
    }
    p = strchr(from, *c->at);
    if (!p || *p == '\0')
        return 0;
    c->at++;
    out[0] = to[p - from];
    return 1;
}

#define ROOM (XENO_ADVERT_VALUE + 8) /* what is longer is refused by its member */

/* A string, behind its first quote. The usual one is where it stands; one with escapes, or one that
 * is too long, is in `room`. */
static bool take_string(struct cursor *c, char *room, const char **ret, size_t *ret_len)
{
    const char *start = c->at;
    size_t len = 0;

    while (c->at < c->end && *c->at != '"' && *c->at != '\\' && (unsigned char)*c->at >= ' ')
        c->at++;
    if (c->at < c->end && *c->at == '"') {
        *ret = start;
        *ret_len = (size_t)(c->at++ - start);
        return true;
    }
    c->at = start;
    while (c->at < c->end && *c->at != '"') {
        char ch = *c->at++, more[4];
        size_t n = 1;

        if ((unsigned char)ch < ' ')
            return false;
        more[0] = ch;
        if (ch == '\\' && (n = unescape(c, more)) == 0)
            return false;
        if (len + n <= ROOM)
            memcpy(room + len, more, n);
        len = len + n <= ROOM ? len + n : ROOM;
    }
    *ret = room;
    *ret_len = len;
    return take(c, '"');
}

static bool take_number(struct cursor *c, const char **ret, size_t *ret_len)
{
    const char *start = c->at;

    while (c->at < c->end && (is_digit(*c->at) || memchr("+-.eE", *c->at, 5)))
        c->at++;
    *ret = start;
    *ret_len = (size_t)(c->at - start);
    return c->at > start;
}

static int bad_form(const struct cursor *c, const char *text, struct xeno_err *err)
{
    return xeno_fail(err, -EINVAL, "lookup.form",
                     "a line is an object of strings and numbers: not at character %zu",
                     (size_t)(c->at - text) + 1);
}

static int take_member(struct cursor *c, const char *text, struct xisd_ask *a, struct xeno_err *err)
{
    char key_room[ROOM], room[ROOM];
    const char *key, *value;
    const struct member *m;
    size_t key_len, len;
    bool quoted;

    if (!take(c, '"') || !take_string(c, key_room, &key, &key_len) || !take(c, ':'))
        return bad_form(c, text, err);
    quoted = take(c, '"');
    if (quoted ? !take_string(c, room, &value, &len) : !take_number(c, &value, &len))
        return bad_form(c, text, err);
    m = member_of(key, key_len);
    if (!m)
        return xeno_fail(err, -EINVAL, "lookup.unknown", "there is no member of %zu letters '%.*s'",
                         key_len, (int)(key_len < 40 ? key_len : 40), key);
    return set(a, m, value, len, quoted, false, err);
}

int xisd_ask_line(const char *text, size_t len, struct xisd_ask *ret, struct xeno_err *err)
{
    struct cursor c = { text, text + len };
    int r;

    ret->has = 0;
    if (!take(&c, '{'))
        return bad_form(&c, text, err);
    if (skip(&c) != '}')
        do {
            r = take_member(&c, text, ret, err);
            if (r < 0)
                return r;
        } while (take(&c, ','));
    if (!take(&c, '}') || skip(&c) != '\0' || c.at < c.end)
        return bad_form(&c, text, err);
    return xisd_ask_end(ret, err);
}
