/* src/cli/where.c - a query over adverts as a person writes it, to JSON. */
#include "cli/where.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "base/buf.h"

#define OUT_MAX (64 * 1024)

struct reader {
    const char *text, *at;
    int depth;
    struct xeno_err *err;
};

static int wrong(const struct reader *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static int wrong(const struct reader *r, const char *fmt, ...)
{
    xeno_autofree char *what = NULL;
    va_list ap;

    va_start(ap, fmt);
    what = xeno_vasprintf(fmt, ap);
    va_end(ap);
    return cli_usage(r->err, "'%.200s', character %zu: %s", r->text, (size_t)(r->at - r->text) + 1,
                     what);
}

/* --- words --- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

static void skip(struct reader *r)
{
    while (is_space(*r->at))
        r->at++;
}

/* A word ends at a space, a sign of comparison, a comma or a parenthesis. */
static size_t word_length(const struct reader *r)
{
    return strcspn(r->at, " \t\n<>=!,()\"");
}

/* Is `word` next? Then it is passed. */
static bool accept(struct reader *r, const char *word)
{
    size_t len = strlen(word);

    skip(r);
    if (word_length(r) != len || strncmp(r->at, word, len) != 0)
        return false;
    r->at += len;
    return true;
}

static bool accept_sign(struct reader *r, const char *sign)
{
    skip(r);
    if (strncmp(r->at, sign, strlen(sign)) != 0)
        return false;
    r->at += strlen(sign);
    return true;
}

static bool is_number(const char *text, size_t len)
{
    size_t i = len > 0 && *text == '-', whole = i;

    while (i < len && text[i] >= '0' && text[i] <= '9')
        i++;
    if (i == whole || (text[whole] == '0' && i > whole + 1) || i - whole > 15)
        return false;
    if (i == len)
        return true;
    if (text[i++] != '.' || i == len)
        return false;
    while (i < len && text[i] >= '0' && text[i] <= '9')
        i++;
    return i == len;
}

/* As a JSON string. */
static void put_text(struct xeno_buf *out, const char *text, size_t len)
{
    xeno_buf_puts(out, "\"");
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '"' || c == '\\')
            xeno_buf_printf(out, "\\%c", c);
        else if (c < 0x20)
            xeno_buf_printf(out, "\\u%04x", c);
        else
            xeno_buf_add(out, &text[i], 1);
    }
    xeno_buf_puts(out, "\"");
}

static int value(struct reader *r, struct xeno_buf *out)
{
    const char *end;
    size_t len;

    skip(r);
    if (*r->at == '"') {
        end = strchr(r->at + 1, '"');
        if (!end)
            return wrong(r, "the quotation mark is not closed");
        put_text(out, r->at + 1, (size_t)(end - r->at) - 1);
        r->at = end + 1;
        return 0;
    }
    len = word_length(r);
    if (len == 0)
        return wrong(r, "a value is missing");
    if (is_number(r->at, len))
        xeno_buf_add(out, r->at, len);
    else
        put_text(out, r->at, len);
    r->at += len;
    return 0;
}

static int number(struct reader *r, struct xeno_buf *out)
{
    size_t len;

    skip(r);
    len = word_length(r);
    if (!is_number(r->at, len))
        return wrong(r, "a number is missing");
    xeno_buf_add(out, r->at, len);
    r->at += len;
    return 0;
}

/* --- clauses --- */

/* {"token":T,MEMBER:NUMBER}; strictly less is not at least. */
static int bound(struct reader *r, const char *head, const char *member, bool strict,
                 struct xeno_buf *out)
{
    int res;

    xeno_buf_printf(out, "%s%s\"%s\":", strict ? "{\"not\":" : "", head, member);
    res = number(r, out);
    xeno_buf_puts(out, strict ? "}}" : "}");
    return res;
}

static int is_value(struct reader *r, const char *head, bool not, struct xeno_buf *out)
{
    int res;

    xeno_buf_printf(out, "%s%s\"is\":", not ? "{\"not\":" : "", head);
    res = value(r, out);
    xeno_buf_puts(out, not ? "}}" : "}");
    return res;
}

static int in_list(struct reader *r, const char *head, struct xeno_buf *out)
{
    int res;

    xeno_buf_printf(out, "%s\"in\":[", head);
    res = value(r, out);
    while (res == 0 && accept_sign(r, ",")) {
        xeno_buf_puts(out, ",");
        res = value(r, out);
    }
    xeno_buf_puts(out, "]}");
    return res;
}

static int range(struct reader *r, const char *head, struct xeno_buf *out)
{
    int res;

    xeno_buf_printf(out, "%s\"min\":", head);
    res = number(r, out);
    if (res == 0 && !accept(r, "to"))
        return wrong(r, "'to' and a number are missing");
    xeno_buf_puts(out, ",\"max\":");
    if (res == 0)
        res = number(r, out);
    xeno_buf_puts(out, "}");
    return res;
}

static int comparison(struct reader *r, const char *head, struct xeno_buf *out)
{
    if (accept_sign(r, ">="))
        return bound(r, head, "min", false, out);
    if (accept_sign(r, "<="))
        return bound(r, head, "max", false, out);
    if (accept_sign(r, ">"))
        return bound(r, head, "max", true, out);
    if (accept_sign(r, "<"))
        return bound(r, head, "min", true, out);
    if (accept_sign(r, "!="))
        return is_value(r, head, true, out);
    if (accept_sign(r, "==") || accept_sign(r, "="))
        return is_value(r, head, false, out);
    if (accept(r, "is"))
        return is_value(r, head, accept(r, "not"), out);
    if (accept(r, "in"))
        return in_list(r, head, out);
    if (accept(r, "from"))
        return range(r, head, out);
    if (!accept(r, "exists"))
        return wrong(r, "what it must be is missing: is, in, from, exists, or <, <=, =, !=, >=, >");
    xeno_buf_printf(out, "%s\"exists\":true}", head);
    return 0;
}

static int any_of(struct reader *r, struct xeno_buf *out);

static int clause(struct reader *r, struct xeno_buf *out)
{
    xeno_autobuf head = XENO_BUF_INIT;
    size_t len;
    int res;

    if (accept_sign(r, "(")) {
        res = any_of(r, out);
        return res < 0 || accept_sign(r, ")") ? res : wrong(r, "')' is missing");
    }
    skip(r);
    len = word_length(r);
    if (len == 0)
        return wrong(r, "a token is missing, such as MemoryMB");
    xeno_buf_puts(&head, "{\"token\":");
    put_text(&head, r->at, len);
    xeno_buf_puts(&head, ",");
    r->at += len;
    return comparison(r, head.data, out);
}

static int negation(struct reader *r, struct xeno_buf *out)
{
    int res;

    if (++r->depth > CLI_WHERE_DEPTH)
        return wrong(r, "deeper than %d", CLI_WHERE_DEPTH);
    if (accept(r, "not")) {
        xeno_buf_puts(out, "{\"not\":");
        res = negation(r, out);
        xeno_buf_puts(out, "}");
    } else {
        res = clause(r, out);
    }
    r->depth--;
    return res;
}

/* One, or several with `word` between them. */
static int several(struct reader *r, const char *word,
                   int (*one)(struct reader *r, struct xeno_buf *out), struct xeno_buf *out)
{
    xeno_autobuf list = XENO_BUF_INIT;
    int n = 1, res = one(r, &list);

    for (; res == 0 && accept(r, word); n++) {
        xeno_buf_puts(&list, ",");
        res = one(r, &list);
    }
    if (res < 0)
        return res;
    if (n == 1)
        xeno_buf_puts(out, list.data);
    else
        xeno_buf_printf(out, "{\"%s\":[%s]}", word, list.data);
    return 0;
}

static int all_of(struct reader *r, struct xeno_buf *out)
{
    return several(r, "and", negation, out);
}

static int any_of(struct reader *r, struct xeno_buf *out)
{
    return several(r, "or", all_of, out);
}

/* --- the whole --- */

static int whole(const char *text, struct xeno_buf *out, struct xeno_err *err)
{
    struct reader r = { .text = text, .at = text, .err = err };
    int res;

    if (strlen(text) > CLI_WHERE_BYTES)
        return cli_usage(err, "a query of more than %d characters", CLI_WHERE_BYTES);
    res = any_of(&r, out);
    if (res < 0)
        return res;
    skip(&r);
    return *r.at ? wrong(&r, "'and' or 'or' is missing") : 0;
}

int cli_where_all(const char *const *texts, size_t n, struct xeno_json **ret, struct xeno_err *err)
{
    xeno_autobuf out = XENO_BUF_INIT;
    int res = 0;

    xeno_buf_puts(&out, n > 1 ? "{\"and\":[" : "");
    for (size_t i = 0; res == 0 && i < n; i++) {
        xeno_buf_puts(&out, i > 0 ? "," : "");
        res = whole(texts[i], &out, err);
    }
    xeno_buf_puts(&out, n > 1 ? "]}" : "");
    if (res == 0 && xeno_json_parse(out.data, out.len, OUT_MAX, ret, NULL) < 0)
        res = cli_usage(err, "'%.200s' is no text that can be sent", texts[0]);
    return res;
}

int cli_where(const char *text, struct xeno_json **ret, struct xeno_err *err)
{
    return cli_where_all(&text, 1, ret, err);
}
