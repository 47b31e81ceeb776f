/* src/xisd/api-lookup.c - lookups, one by one and in batches: the path that is to be fast.
 *
 * Nothing here takes memory but for the answer, and nothing waits.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "xisd/ask.h"
#include "xisd/party.h"

#define BATCH_LINES   1000
#define BATCH_RESULTS 20000 /* limits of all lines together */

static void to_lookup(const struct xisd_ask *a, struct xeno_lookup *l)
{
    *l = (struct xeno_lookup){ .token = a->token,
                               .min = a->has & XISD_ASK_MIN ? a->min : -INFINITY,
                               .max = a->has & XISD_ASK_MAX ? a->max : INFINITY,
                               .from = a->has & XISD_ASK_FROM ? a->from : NULL,
                               .to = a->has & XISD_ASK_TO ? a->to : NULL,
                               .desc = a->desc,
                               .place = (uint64_t)a->place,
                               .limit = (size_t)a->limit };
    if (a->has & (XISD_ASK_MIN | XISD_ASK_MAX))
        l->range = XENO_LOOKUP_NUMBERS;
    else if (a->has & (XISD_ASK_FROM | XISD_ASK_TO))
        l->range = XENO_LOOKUP_STRINGS;
    if (a->has & XISD_ASK_IS)
        xeno_lookup_is(l, a->is);
}

static size_t put_word(char *to, const char *word, size_t len)
{
    memcpy(to, word, len);
    return len;
}
#define WORD(to_, word_) put_word(to_, word_, sizeof(word_) - 1)

static void put_hit(struct xeno_buf *out, const struct xeno_hit *hit, bool first)
{
    char line[XENO_ID_CHARS + XISD_NUMBER_TEXT + 32];
    size_t n = WORD(line, ",{\"id\":\"");

    n += put_word(line + n, hit->id, XENO_ID_CHARS);
    n += WORD(line + n, "\",\"value\":");
    if (hit->value.number) {
        n += xisd_number_text(hit->value.n, line + n);
        n += WORD(line + n, "}");
        xeno_buf_add(out, line + first, n - first);
        return;
    }
    xeno_buf_add(out, line + first, n - first);
    xisd_put_string(out, hit->value.text, strlen(hit->value.text));
    xeno_buf_add(out, "}", 1);
}

static void answer(struct xisd *d, const struct xisd_ask *a, struct xeno_buf *out)
{
    struct xeno_hit hits[XISD_LIMIT_MAX];
    struct xeno_lookup l;
    uint64_t total = 0;
    char line[80], number[XISD_NUMBER_TEXT];
    size_t n, count;

    to_lookup(a, &l);
    xeno_xis_enter(d->reader);
    count = xeno_xis_lookup(d->reader, &l, &total, hits);
    n = WORD(line, "{\"total\":");
    n += put_word(line + n, number, xisd_number_text((double)total, number));
    n += WORD(line + n, ",\"place\":");
    n += put_word(line + n, number, xisd_number_text((double)a->place, number));
    n += WORD(line + n, ",\"results\":[");
    xeno_buf_add(out, line, n);
    for (size_t i = 0; i < count; i++)
        put_hit(out, &hits[i], i == 0);
    xeno_xis_leave(d->reader);
    xeno_buf_add(out, "]}", 2);
}

/* --- one --- */

void xisd_get_lookup(struct xeno_http_req *q, void *user)
{
    static const char *const names[] = { "token", "min",   "max",   "is",   "from",
                                         "to",    "order", "place", "limit" };
    struct xisd *d = user;
    struct xisd_ask a = { .has = 0 };
    struct xeno_err err = XENO_ERR_INIT;
    xeno_autobuf out = XENO_BUF_INIT;
    int r = 0;

    d->counts.requests++;
    for (size_t i = 0; i < XENO_LEN(names) && r == 0; i++) {
        const char *text = xeno_http_query(q, names[i]);

        if (text)
            r = xisd_ask_set(&a, names[i], text, &err);
    }
    if (r == 0)
        r = xisd_ask_end(&a, &err);
    if (r < 0) {
        xisd_refuse(d, q, &err);
        return;
    }
    if (!xisd_may_ask(d, q, 1))
        return;
    d->counts.lookups++;
    answer(d, &a, &out);
    xeno_http_reply_data(q, 200, "application/json", out.data, out.len);
}

/* --- many --- */

static void put_error(struct xeno_buf *out, const struct xeno_err *err)
{
    xeno_buf_puts(out, "{\"error\":{\"type\":");
    xisd_put_string(out, err->token, strlen(err->token));
    xeno_buf_puts(out, ",\"detail\":");
    xisd_put_string(out, err->text, strlen(err->text));
    xeno_buf_puts(out, "}}");
}

static void answer_line(struct xisd *d, const char *line, size_t len, int64_t *left,
                        struct xeno_buf *out)
{
    struct xeno_err err;
    struct xisd_ask a;
    int r;

    err.code = 0; /* the rest of it is written when it is needed */
    r = xisd_ask_line(line, len, &a, &err);
    if (r == 0 && a.limit > *left)
        r = xeno_fail(&err, -EINVAL, "lookup.limit", "the limits of a batch are %d together",
                      BATCH_RESULTS);
    if (r < 0) {
        put_error(out, &err);
    } else {
        *left -= a.limit;
        answer(d, &a, out);
    }
    xeno_buf_add(out, "\n", 1);
}

static size_t line_len(const char *at, const char *end)
{
    const char *nl = memchr(at, '\n', (size_t)(end - at));

    return (size_t)((nl ? nl : end) - at);
}

static bool is_empty(const char *line, size_t len)
{
    return len == 0 || (len == 1 && *line == '\r');
}

static int64_t count_lines(const char *at, const char *end)
{
    int64_t lines = 0;

    for (size_t len; at < end; at += len + 1) {
        len = line_len(at, end);
        lines += !is_empty(at, len);
    }
    return lines;
}

void xisd_post_lookups(struct xeno_http_req *q, void *user)
{
    struct xisd *d = user;
    int64_t lines, left = BATCH_RESULTS;
    struct xeno_err err = XENO_ERR_INIT;
    xeno_autobuf out = XENO_BUF_INIT;
    size_t len = 0;
    const char *at = xeno_http_body(q, &len), *end = at + len;

    d->counts.requests++;
    lines = count_lines(at, end);
    if (lines > BATCH_LINES) {
        xeno_fail(&err, -E2BIG, "lookup.lines", "a batch has %d lines at most, not %" PRId64,
                  BATCH_LINES, lines);
        xisd_refuse(d, q, &err);
        return;
    }
    if (!xisd_may_ask(d, q, lines))
        return;
    for (size_t n; at < end; at += n + 1) {
        n = line_len(at, end);
        if (!is_empty(at, n))
            answer_line(d, at, n, &left, &out);
    }
    d->counts.lookups += lines;
    d->counts.batches++;
    xeno_http_reply_data(q, 200, "application/x-ndjson", out.data ? out.data : "", out.len);
}
