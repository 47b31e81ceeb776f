/* src/xisd/api-query.c - one advert, queries, explanations, tokens. */
#include <errno.h>
#include <string.h>

#include "xisd/ask.h"
#include "xisd/party.h"

#define DOCUMENTS_BYTES (4 << 20) /* of one answer; the next document is the last */

/* --- one --- */

static void put_entry(struct xeno_buf *out, const struct xeno_xis_entry *e)
{
    xeno_buf_printf(out, "{\"id\":\"%s\"", e->id);
    xisd_put_int(out, ",\"version\":", e->version);
    xisd_put_int(out, ",\"expires_ms\":", e->expires.ns / XENO_NS_PER_MS);
    xisd_put_int(out, ",\"seq\":", e->kept);
    xisd_put_texts(out, "advert", e);
    xeno_buf_puts(out, "}");
}

void xisd_get_advert(struct xeno_http_req *q, void *user)
{
    struct xisd *d = user;
    const char *id = xeno_http_param(q, "id");
    struct xeno_err err = XENO_ERR_INIT;
    xeno_autobuf out = XENO_BUF_INIT;
    struct xeno_xis_entry e;
    bool here;

    d->counts.requests++;
    if (!xisd_may_ask(d, q, 1))
        return;
    xeno_xis_enter(d->reader);
    here = xeno_xis_get(d->reader, id, &e) && e.state == XENO_XIS_ALIVE;
    if (here)
        put_entry(&out, &e);
    xeno_xis_leave(d->reader);
    if (here) {
        xeno_http_reply_data(q, 200, "application/json", out.data, out.len);
        return;
    }
    xeno_fail(&err, -ENOENT, "xis.unknown", "no advert of '%.40s' is here now", id);
    xisd_refuse(d, q, &err);
}

/* --- queries --- */

struct asked {
    struct xeno_query_tree *where;
    struct xeno_xis_ask ask;
    bool documents;
};

static int read_query(const struct xeno_json_at *at, struct asked *ret, struct xeno_err *err)
{
    static const char *const keys[] = { "where", "order",     "desc", "place",
                                        "limit", "documents", NULL };
    int64_t place = 0, limit = XISD_LIMIT;
    struct xeno_json_at where;
    int r = xeno_json_only(at, keys, err);

    if (r == 0)
        r = xeno_json_str_opt(at, "order", 1, XENO_ADVERT_PATH, &ret->ask.order, err);
    if (r >= 0)
        r = xeno_json_bool_opt(at, "desc", &ret->ask.desc, err);
    if (r >= 0)
        r = xeno_json_int_opt(at, "place", 0, XENO_XIS_REACH, &place, err);
    if (r >= 0)
        r = xeno_json_int_opt(at, "limit", 0, XENO_XIS_LIMIT, &limit, err);
    if (r >= 0)
        r = xeno_json_bool_opt(at, "documents", &ret->documents, err);
    if (r >= 0)
        r = xeno_json_obj_opt(at, "where", &where, err);
    if (r == 0)
        r = xeno_query_read(&where, &ret->where, err);
    ret->ask.where = ret->where;
    ret->ask.place = (uint64_t)place;
    ret->ask.limit = (size_t)limit;
    return r < 0 ? r : 0;
}

static void put_result(struct xisd *d, const struct asked *asked, const struct xeno_hit *hit,
                       struct xeno_buf *out)
{
    bool value = asked->ask.order && (hit->value.number || hit->value.text);
    struct xeno_xis_entry e;

    xeno_buf_printf(out, "{\"id\":\"%s\"", hit->id);
    if (value) {
        xeno_buf_puts(out, ",\"value\":");
        xisd_put_value(out, &hit->value);
    }
    if (asked->documents && xeno_xis_entry(d->reader, hit, &e)) {
        xisd_put_int(out, ",\"version\":", e.version);
        xisd_put_int(out, ",\"expires_ms\":", e.expires.ns / XENO_NS_PER_MS);
        xisd_put_texts(out, "advert", &e);
    }
    xeno_buf_puts(out, "}");
}

static int run_query(struct xisd *d, const struct xeno_http_req *q, const struct asked *asked,
                     struct xeno_buf *out, struct xeno_err *err)
{
    struct xeno_hit hits[XENO_XIS_LIMIT];
    struct xeno_xis_answer a = { 0 };
    int r;

    xeno_xis_enter(d->reader);
    r = xeno_xis_query(d->reader, &asked->ask, &a, hits, err);
    if (r >= 0) {
        xisd_put_int(out, "{\"total\":", (int64_t)a.total);
        xeno_buf_puts(out, a.exact ? ",\"exact\":true" : ",\"exact\":false");
        xisd_put_int(out, ",\"place\":", (int64_t)asked->ask.place);
        xeno_buf_puts(out, ",\"results\":[");
        for (size_t i = 0; i < a.count && out->len < DOCUMENTS_BYTES; i++) {
            xeno_buf_add(out, ",", i > 0);
            put_result(d, asked, &hits[i], out);
        }
        xeno_buf_puts(out, "]}");
    }
    xeno_xis_leave(d->reader);
    xisd_spent(d, q, a.looked);
    return r;
}

void xisd_post_query(struct xeno_http_req *q, void *user)
{
    struct xisd *d = user;
    xeno_auto(xeno_json) j = NULL;
    xeno_autobuf out = XENO_BUF_INIT;
    struct asked asked = { .where = NULL };
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_json_at top;
    int r;

    d->counts.requests++;
    if (xeno_http_body_json(q, &j) < 0 || !xisd_may_ask(d, q, XISD_QUERY_COST))
        return;
    top = xeno_json_top(j);
    r = read_query(&top, &asked, &err);
    if (r == 0)
        r = run_query(d, q, &asked, &out, &err);
    xeno_query_free(asked.where);
    d->counts.queries++;
    if (r < 0)
        xisd_refuse(d, q, &err);
    else
        xeno_http_reply_data(q, 200, "application/json", out.data, out.len);
}

/* --- why, and why not --- */

static const char *const truths[] = {
    [XENO_FALSE] = "false", [XENO_TRUE] = "true", [XENO_UNKNOWN] = "unknown"
};

static void put_node(struct xeno_buf *out, const struct xeno_query_tree *tree, size_t i)
{
    xeno_autobuf words = XENO_BUF_INIT;

    xeno_query_words(tree, i, &words);
    xeno_buf_puts(out, i > 0 ? ",{\"text\":" : "{\"text\":");
    xisd_put_string(out, words.data, words.len);
    xisd_put_int(out, ",\"depth\":", tree->nodes[i].depth);
}

static void explain_all(struct xisd *d, const struct xeno_http_req *q,
                        const struct xeno_query_tree *tree, struct xeno_buf *out)
{
    struct xeno_xis_clause clauses[XENO_QUERY_NODES];
    uint64_t considered;

    xeno_xis_enter(d->reader);
    considered = xeno_xis_explain(d->reader, tree, 0, clauses);
    xeno_xis_leave(d->reader);
    xisd_spent(d, q, considered);
    xisd_put_int(out, "{\"considered\":", (int64_t)considered);
    xisd_put_int(out, ",\"matches\":", (int64_t)clauses[0].n[XENO_TRUE]);
    xeno_buf_puts(out, ",\"clauses\":[");
    for (size_t i = 0; i < tree->count; i++) {
        put_node(out, tree, i);
        xisd_put_int(out, ",\"true\":", (int64_t)clauses[i].n[XENO_TRUE]);
        xisd_put_int(out, ",\"false\":", (int64_t)clauses[i].n[XENO_FALSE]);
        xisd_put_int(out, ",\"unknown\":", (int64_t)clauses[i].n[XENO_UNKNOWN]);
        xeno_buf_puts(out, "}");
    }
    xeno_buf_puts(out, "]}");
}

static int explain_one(struct xisd *d, const struct xeno_query_tree *tree, const char *id,
                       struct xeno_buf *out, struct xeno_err *err)
{
    struct xeno_xis_reason reasons[XENO_QUERY_NODES];
    bool here;

    xeno_xis_enter(d->reader);
    here = xeno_xis_explain_one(d->reader, tree, id, reasons);
    if (here) {
        xeno_buf_puts(out, "{\"id\":");
        xisd_put_string(out, id, strlen(id));
        xeno_buf_printf(out, ",\"result\":\"%s\",\"clauses\":[", truths[reasons[0].truth]);
        for (size_t i = 0; i < tree->count; i++) {
            put_node(out, tree, i);
            xeno_buf_printf(out, ",\"result\":\"%s\"", truths[reasons[i].truth]);
            if (reasons[i].value.number || reasons[i].value.text) {
                xeno_buf_puts(out, ",\"value\":");
                xisd_put_value(out, &reasons[i].value);
            }
            xeno_buf_puts(out, "}");
        }
        xeno_buf_puts(out, "]}");
    }
    xeno_xis_leave(d->reader);
    return here ? 0
                : xeno_fail(err, -ENOENT, "xis.unknown", "no advert of '%.40s' is here now", id);
}

static int explain(struct xisd *d, const struct xeno_http_req *q, const struct xeno_json_at *top,
                   struct xeno_buf *out, struct xeno_err *err)
{
    static const char *const keys[] = { "where", "id", NULL };
    xeno_auto(xeno_query_tree) tree = NULL;
    struct xeno_json_at where;
    const char *id = NULL;
    int r = xeno_json_only(top, keys, err);

    if (r == 0)
        r = xeno_json_str_opt(top, "id", 1, XENO_ID_CHARS, &id, err);
    if (r >= 0)
        r = xeno_json_obj(top, "where", &where, err);
    if (r == 0)
        r = xeno_query_read(&where, &tree, err);
    if (r < 0)
        return r;
    if (id)
        return explain_one(d, tree, id, out, err);
    explain_all(d, q, tree, out);
    return 0;
}

void xisd_post_explain(struct xeno_http_req *q, void *user)
{
    struct xisd *d = user;
    xeno_auto(xeno_json) j = NULL;
    xeno_autobuf out = XENO_BUF_INIT;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_json_at top;

    d->counts.requests++;
    if (xeno_http_body_json(q, &j) < 0 || !xisd_may_ask(d, q, XISD_QUERY_COST))
        return;
    top = xeno_json_top(j);
    d->counts.queries++;
    if (explain(d, q, &top, &out, &err) < 0)
        xisd_refuse(d, q, &err);
    else
        xeno_http_reply_data(q, 200, "application/json", out.data, out.len);
}

/* --- tokens --- */

static void put_token(struct xeno_buf *out, const struct xeno_token_info *t)
{
    const struct xeno_query_value min = { .number = true, .n = t->min },
                                  max = { .number = true, .n = t->max };

    xeno_buf_puts(out, "{\"token\":");
    xisd_put_string(out, t->path, strlen(t->path));
    xisd_put_int(out, ",\"values\":", (int64_t)(t->numbers + t->strings));
    xisd_put_int(out, ",\"numbers\":", (int64_t)t->numbers);
    if (t->numbers > 0) {
        xeno_buf_puts(out, ",\"min\":");
        xisd_put_value(out, &min);
        xeno_buf_puts(out, ",\"max\":");
        xisd_put_value(out, &max);
    }
    xeno_buf_puts(out, "}");
}

void xisd_get_tokens(struct xeno_http_req *q, void *user)
{
    struct xisd *d = user;
    struct xeno_token_info tokens[XISD_LIMIT_MAX];
    xeno_autobuf out = XENO_BUF_INIT;
    struct xeno_err err = XENO_ERR_INIT;
    int64_t limit = 100;
    size_t n;

    d->counts.requests++;
    if (xisd_query_int(q, "limit", 1, XISD_LIMIT_MAX, &limit, &err) < 0) {
        xisd_refuse(d, q, &err);
        return;
    }
    if (!xisd_may_ask(d, q, XISD_QUERY_COST))
        return;
    xeno_buf_puts(&out, "{\"tokens\":[");
    xeno_xis_enter(d->reader);
    n = xeno_xis_tokens(d->reader, xeno_http_query(q, "after"), (size_t)limit, tokens);
    for (size_t i = 0; i < n; i++) {
        xeno_buf_add(&out, ",", i > 0);
        put_token(&out, &tokens[i]);
    }
    xeno_buf_puts(&out, "]");
    if (n == (size_t)limit) {
        xeno_buf_puts(&out, ",\"next\":");
        xisd_put_string(&out, tokens[n - 1].path, strlen(tokens[n - 1].path));
    }
    xeno_xis_leave(d->reader);
    xeno_buf_puts(&out, "}");
    xeno_http_reply_data(q, 200, "application/json", out.data, out.len);
}
