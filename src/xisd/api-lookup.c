/* src/xisd/api-lookup.c - lookups, one by one and in batches: the path that is to be fast.
 *
 * Nothing here takes memory but for the answer, and nothing waits. The answer of a batch is made
 * while it leaves, so it has no length but that of a group of its lines.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
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

/* --- what was found --- */

#define HIT_TEXT (XENO_ID_CHARS + XISD_NUMBER_TEXT + 32) /* of one whose value is a number */
#define AHEAD    16 /* hits whose ids are on their way while one is written */

static void put_hit(struct xeno_buf *out, const struct xeno_hit *hit, bool first)
{
    char *to = xeno_buf_room(out, HIT_TEXT);
    size_t n = 0;

    if (!first)
        to[n++] = ',';
    n += WORD(to + n, "{\"id\":\"");
    n += put_word(to + n, hit->id, XENO_ID_CHARS);
    n += WORD(to + n, "\",\"value\":");
    if (hit->value.number) {
        n += xisd_number_text(hit->value.n, to + n);
        to[n++] = '}';
        out->len += n;
        return;
    }
    out->len += n;
    xisd_put_string(out, hit->value.text, strlen(hit->value.text));
    xeno_buf_add(out, "}", 1);
}

static void put_head(struct xeno_buf *out, double total, double place)
{
    char *to = xeno_buf_room(out, 2 * XISD_NUMBER_TEXT + 64);
    size_t n = WORD(to, "{\"total\":");

    n += xisd_number_text(total, to + n);
    n += WORD(to + n, ",\"place\":");
    n += xisd_number_text(place, to + n);
    n += WORD(to + n, ",\"results\":[");
    out->len += n;
}

/* An id may lie on two lines of the cache. */
static void fetch_hit(const struct xeno_hit *hit)
{
    __builtin_prefetch(hit->id);
    __builtin_prefetch(hit->id + XENO_ID_CHARS);
    if (!hit->value.number)
        __builtin_prefetch(hit->value.text);
}

/* `end`: behind the hits of all that were found together. Their ids and texts are in memory that
 * nobody has touched for long. */
static void put_found(struct xeno_buf *out, const struct xisd_ask *a, const struct xeno_found *f,
                      const struct xeno_hit *end)
{
    put_head(out, (double)f->total, (double)a->place);
    for (size_t i = 0; i < f->count; i++) {
        if (end - (f->hits + i) > AHEAD)
            fetch_hit(&f->hits[i + AHEAD]);
        put_hit(out, &f->hits[i], i == 0);
    }
    xeno_buf_add(out, "]}", 2);
}

/* --- one --- */

static void answer(struct xisd *d, const struct xisd_ask *a, struct xeno_buf *out)
{
    struct xeno_hit hits[XISD_LIMIT_MAX];
    struct xeno_found f = { .hits = hits };
    struct xeno_lookup l;

    to_lookup(a, &l);
    xeno_xis_enter(d->reader);
    f.count = xeno_xis_lookup(d->reader, &l, &f.total, hits);
    put_found(out, a, &f, hits + f.count);
    xeno_xis_leave(d->reader);
}

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

/* Lines that are looked up at once. What they need is kept for all batches together: only one is
 * at work at a time. */
#define GROUP_LINES 64
struct xisd_group {
    struct xisd_ask asks[GROUP_LINES];
    struct xeno_lookup lookups[GROUP_LINES];
    struct xeno_found found[GROUP_LINES];
    struct xeno_hit hits[XISD_LIMIT_MAX];
};

/* A batch whose answer is on its way: the lines that are to come, and what was made of others but
 * did not fit yet. Between two calls of make() no reader is in the index. */
struct batch {
    struct xisd *d;
    const char *at, *end; /* of the body */
    int64_t left;         /* results that the rest may have */
    struct xeno_buf out;
    size_t sent; /* of `out` */
};

static void put_error(struct xeno_buf *out, const struct xeno_err *err)
{
    xeno_buf_puts(out, "{\"error\":{\"type\":");
    xisd_put_string(out, err->token, strlen(err->token));
    xeno_buf_puts(out, ",\"detail\":");
    xisd_put_string(out, err->text, strlen(err->text));
    xeno_buf_puts(out, "}}\n");
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

static int read_line(const char *line, size_t len, int64_t left, struct xisd_ask *a,
                     struct xeno_err *err)
{
    int r = xisd_ask_line(line, len, a, err);

    if (r == 0 && a->limit > left)
        r = xeno_fail(err, -EINVAL, "lookup.limit", "the limits of a batch are %d together",
                      BATCH_RESULTS);
    return r;
}

static void look_up(struct xisd *d, size_t n, struct xeno_buf *out)
{
    struct xisd_group *g = d->group;
    size_t hits;

    xeno_xis_enter(d->reader);
    hits = xeno_xis_lookups(d->reader, g->lookups, n, g->found, g->hits);
    for (size_t i = 0; i < n; i++) {
        put_found(out, &g->asks[i], &g->found[i], g->hits + hits);
        xeno_buf_add(out, "\n", 1);
    }
    xeno_xis_leave(d->reader);
}

/* Lines until the group is full, the next one's hits may not fit, or one is wrong. */
static void answer_group(struct batch *b)
{
    struct xisd_group *g = b->d->group;
    size_t n = 0, room = XENO_LEN(g->hits);
    struct xeno_err err;
    int r = 0;

    err.code = 0; /* the rest of it is written when it is needed */
    while (n < GROUP_LINES && r == 0 && b->at < b->end) {
        size_t len = line_len(b->at, b->end);

        if (!is_empty(b->at, len)) {
            r = read_line(b->at, len, b->left, &g->asks[n], &err);
            if (r == 0 && (size_t)g->asks[n].limit > room)
                break;
            if (r == 0) {
                to_lookup(&g->asks[n], &g->lookups[n]);
                room -= g->lookups[n].limit;
                b->left -= g->asks[n++].limit;
            }
        }
        b->at += len + 1;
    }
    if (n > 0)
        look_up(b->d, n, &b->out);
    if (r < 0)
        put_error(&b->out, &err);
}

static size_t make(void *arg, char *to, size_t max)
{
    struct batch *b = arg;
    size_t n;

    if (b->out.len - b->sent < max) {
        xeno_buf_shift(&b->out, b->sent);
        b->sent = 0;
    }
    while (b->at < b->end && b->out.len < max)
        answer_group(b);
    n = b->out.len - b->sent;
    n = n < max ? n : max;
    if (n > 0)
        memcpy(to, b->out.data + b->sent, n);
    b->sent += n;
    return n;
}

static void batch_free(void *arg)
{
    struct batch *b = arg;

    xeno_buf_release(&b->out);
    free(b);
}

void xisd_post_lookups(struct xeno_http_req *q, void *user)
{
    struct xisd *d = user;
    struct xeno_err err = XENO_ERR_INIT;
    size_t len = 0;
    const char *at = xeno_http_body(q, &len);
    int64_t lines = count_lines(at, at + len);
    struct batch *b;

    d->counts.requests++;
    if (lines > BATCH_LINES) {
        xeno_fail(&err, -E2BIG, "lookup.lines", "a batch has %d lines at most, not %" PRId64,
                  BATCH_LINES, lines);
        xisd_refuse(d, q, &err);
        return;
    }
    if (!xisd_may_ask(d, q, lines))
        return;
    d->counts.lookups += lines;
    d->counts.batches++;
    if (!d->group)
        d->group = xeno_new0(struct xisd_group);
    b = xeno_new0(struct batch);
    *b = (struct batch){ .d = d, .at = at, .end = at + len, .left = BATCH_RESULTS };
    xeno_http_reply_made(q, 200, "application/x-ndjson",
                         &(struct xeno_http_make){ .more = make, .done = batch_free, .arg = b });
}
