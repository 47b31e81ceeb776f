/* src/xml/leaves.c - elements and text, in one pass over the bytes. */
#include "xml/leaves.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define DEPTH_MAX 16

struct reader {
    const char *p, *start, *end;
    int line;
    const struct xeno_leaves_bounds *bounds;
    const char *root;
    xeno_leaves_fn *fn;
    void *ctx;
    struct xeno_err *err;
    size_t leaves;
    int depth;               /* elements open */
    size_t above[DEPTH_MAX]; /* length of the path of the parent of each open element */
    bool parent[DEPTH_MAX];  /* it has elements inside */
    char path[XENO_LEAVES_PATH_MAX + 1];
    size_t path_len;
    char value[XENO_LEAVES_VALUE_MAX + 1]; /* text of the innermost element so far */
    size_t value_len;
    bool gap; /* white space after it */
};

static int malformed(const struct reader *r, const char *what)
{
    return xeno_fail(r->err, -EINVAL, "leaves.form", "line %d: %s: %s", r->line,
                     r->path_len > 0 ? r->path : r->root, what);
}

static int passed(const struct reader *r, const char *what, size_t most)
{
    return xeno_fail(r->err, -EINVAL, "leaves.bounds", "line %d: %s: %s, at most %zu are allowed",
                     r->line, r->path_len > 0 ? r->path : r->root, what, most);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static void skip_space(struct reader *r)
{
    for (; r->p < r->end && is_space(*r->p); r->p++)
        r->line += *r->p == '\n';
}

static bool skip(struct reader *r, const char *lit, size_t len)
{
    if ((size_t)(r->end - r->p) < len || memcmp(r->p, lit, len) != 0)
        return false;
    r->p += len;
    return true;
}

static bool name_start(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

/* The length of the element name at p; 0: none is there. */
static size_t name_length(const struct reader *r)
{
    const char *p = r->p;

    if (p == r->end || !name_start(*p))
        return 0;
    while (p < r->end && (name_start(*p) || (*p >= '0' && *p <= '9') || *p == '-' || *p == '.'))
        p++;
    return (size_t)(p - r->p);
}

/* --- text --- */

static int add_bytes(struct reader *r, const char *bytes, size_t len)
{
    size_t gap = r->gap ? 1 : 0;

    if (r->value_len + gap + len > r->bounds->value)
        return passed(r, "the value is longer in bytes", r->bounds->value);
    if (gap)
        r->value[r->value_len++] = ' ';
    r->gap = false;
    memcpy(r->value + r->value_len, bytes, len);
    r->value_len += len;
    return 0;
}

static bool is_char(uint32_t c)
{
    return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c < 0xd800) ||
           (c >= 0xe000 && c < 0xfffe) || (c >= 0x10000 && c <= 0x10ffff);
}

/* The width of the UTF-8 character at p; 0: it is none, or none that XML allows. */
static size_t utf8_width(const struct reader *r)
{
    static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
    unsigned char first = (unsigned char)*r->p;
    size_t width = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    uint32_t c = width == 1 ? first : first & (0x7fU >> width);

    if (first >= 0xf8 || (first >= 0x80 && first < 0xc0) || (size_t)(r->end - r->p) < width)
        return 0;
    for (size_t i = 1; i < width; i++) {
        unsigned char next = (unsigned char)r->p[i];

        if ((next & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (next & 0x3f);
    }
    return c >= least[width] && is_char(c) ? width : 0;
}

static size_t utf8_put(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* A digit in `base`; -1: none. */
static int digit(char c, int base)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (base == 16 && c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (base == 16 && c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* After "&#": a numbered character; 0: none that is allowed. */
static uint32_t numbered(struct reader *r)
{
    int base = skip(r, "x", 1) ? 16 : 10, d;
    const char *first = r->p;
    uint32_t c = 0;

    for (; r->p < r->end && (d = digit(*r->p, base)) >= 0; r->p++) {
        c = c * (uint32_t)base + (uint32_t)d;
        if (c > 0x10ffff)
            return 0;
    }
    return r->p > first && skip(r, ";", 1) && is_char(c) ? c : 0;
}

static int read_reference(struct reader *r)
{
    static const struct {
        char c, len;
        const char *name;
    } named[] = { { '&', 5, "&amp;" },
                  { '<', 4, "&lt;" },
                  { '>', 4, "&gt;" },
                  { '"', 6, "&quot;" },
                  { '\'', 6, "&apos;" } };
    char out[4];
    uint32_t c;

    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        if (skip(r, named[i].name, (size_t)named[i].len))
            return add_bytes(r, &named[i].c, 1);
    }
    if (!skip(r, "&#", 2) || (c = numbered(r)) == 0)
        return malformed(r, "'&' begins no character that is allowed");
    if (c < 0x80 && is_space((char)c)) {
        r->gap = r->value_len > 0;
        return 0;
    }
    return add_bytes(r, out, utf8_put(c, out));
}

/* The longest run of plain ASCII without white space, '<', '&' and '>'. */
static size_t plain_run(const struct reader *r)
{
    const char *p = r->p;

    while (p < r->end && (unsigned char)*p > ' ' && (unsigned char)*p < 0x80 && *p != '<' &&
           *p != '&' && *p != '>')
        p++;
    return (size_t)(p - r->p);
}

static int read_character(struct reader *r)
{
    size_t width;
    int e;

    if (*r->p == '&')
        return read_reference(r);
    width = utf8_width(r);
    if (width == 0)
        return malformed(r, "a byte that is not UTF-8, or a character that XML does not allow");
    if (*r->p == '>' && r->p - r->start >= 2 && r->p[-1] == ']' && r->p[-2] == ']')
        return malformed(r, "]]> in a text");
    e = add_bytes(r, r->p, width);
    r->p += width;
    return e;
}

/* All up to the next '<'. */
static int read_text(struct reader *r)
{
    int e = 0;

    while (e == 0 && r->p < r->end && *r->p != '<') {
        size_t run = plain_run(r);

        if (run > 0) {
            e = add_bytes(r, r->p, run);
            r->p += run;
        } else if (is_space(*r->p)) {
            r->gap = r->value_len > 0;
            skip_space(r);
        } else {
            e = read_character(r);
        }
        if (e == 0 && r->value_len > 0 && r->parent[r->depth - 1])
            return malformed(r, "text beside elements");
    }
    return e;
}

/* --- elements --- */

static void forget_text(struct reader *r)
{
    r->value_len = 0;
    r->gap = false;
}

static int descend(struct reader *r, size_t len)
{
    size_t slash = r->path_len > 0 ? 1 : 0;

    if (r->value_len > 0)
        return malformed(r, "elements beside text");
    if (r->depth == r->bounds->depth)
        return passed(r, "it is nested deeper", (size_t)r->bounds->depth);
    if (r->path_len + slash + len > r->bounds->path)
        return passed(r, "the path of an element in it is longer in bytes", r->bounds->path);
    r->parent[r->depth - 1] = true;
    r->above[r->depth] = r->path_len;
    r->parent[r->depth++] = false;
    if (slash)
        r->path[r->path_len++] = '/';
    memcpy(r->path + r->path_len, r->p, len);
    r->path_len += len;
    r->path[r->path_len] = '\0';
    return 0;
}

/* The innermost element ends: a leaf is told. */
static int ascend(struct reader *r)
{
    bool leaf = !r->parent[r->depth - 1] && r->depth > 1;
    int e = 0;

    if (leaf && r->leaves++ == r->bounds->leaves)
        return passed(r, "there are more elements", r->bounds->leaves);
    r->value[r->value_len] = '\0';
    if (leaf)
        e = r->fn(r->ctx, r->path, r->path_len, r->value, r->value_len, r->line, r->err);
    else if (r->value_len > 0)
        return malformed(r, "text where elements belong");
    forget_text(r);
    r->path_len = r->above[--r->depth];
    r->path[r->path_len] = '\0';
    return e;
}

static int read_start(struct reader *r)
{
    size_t len = name_length(r);
    int e;

    if (len == 0)
        return malformed(r, "only elements with plain names and text are read here");
    e = descend(r, len);
    if (e < 0)
        return e;
    r->p += len;
    skip_space(r);
    forget_text(r);
    if (skip(r, ">", 1))
        return 0;
    if (skip(r, "/>", 2))
        return ascend(r);
    return malformed(r, "an element is not closed, or has an attribute or a namespace");
}

static int read_end(struct reader *r)
{
    size_t len = name_length(r), above = r->above[r->depth - 1];
    const char *name = r->depth == 1 ? r->root : r->path + above + (above > 0 ? 1 : 0);

    if (strlen(name) != len || memcmp(name, r->p, len) != 0)
        return malformed(r, "it is closed by another name");
    r->p += len;
    skip_space(r);
    if (!skip(r, ">", 1))
        return malformed(r, "an end tag is not closed");
    return ascend(r);
}

static int open_root(struct reader *r)
{
    static const char plain[] = "<?xml version=\"1.0\"?>";
    static const char full[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";
    size_t len = strlen(r->root);

    if (!skip(r, full, sizeof full - 1))
        skip(r, plain, sizeof plain - 1);
    skip_space(r);
    if (!skip(r, "<", 1) || name_length(r) != len || memcmp(r->p, r->root, len) != 0)
        return malformed(r, "this is not the root element");
    r->p += len;
    skip_space(r);
    if (!skip(r, ">", 1))
        return malformed(r, "the root element is empty, or has an attribute or a namespace");
    r->depth = 1;
    return 0;
}

int xeno_leaves_read(const char *text, size_t len, const char *root,
                     const struct xeno_leaves_bounds *bounds, xeno_leaves_fn *fn, void *ctx,
                     struct xeno_err *err)
{
    struct reader r = { .p = text, .start = text, .end = text + len, .line = 1 };
    int e;

    assert(bounds->path <= XENO_LEAVES_PATH_MAX && bounds->value <= XENO_LEAVES_VALUE_MAX);
    assert(bounds->depth >= 1 && bounds->depth <= DEPTH_MAX);
    r.bounds = bounds;
    r.root = root;
    r.fn = fn;
    r.ctx = ctx;
    r.err = err;
    e = open_root(&r);
    while (e == 0 && r.depth > 0) {
        e = read_text(&r);
        if (e < 0)
            break;
        if (!skip(&r, "<", 1))
            return malformed(&r, "the document ends within an element");
        e = skip(&r, "/", 1) ? read_end(&r) : read_start(&r);
    }
    if (e < 0)
        return e;
    skip_space(&r);
    return r.p == r.end ? 0 : malformed(&r, "more after the root element");
}
