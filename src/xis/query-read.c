/* src/xis/query-read.c - queries from JSON: bounded, and every refusal names its place. */
#include "xis/query.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "xis/advert.h"

/* A tree while it is read: nodes are appended in preorder. */
struct reading {
    struct xeno_query_tree *q;
    size_t bytes; /* of all texts so far */
};

static void node_release(struct xeno_query_node *n)
{
    for (size_t i = 0; i < n->value_count; i++)
        free((char *)n->values[i].text);
    free(n->values);
    free((char *)n->token);
    free((char *)n->from);
    free((char *)n->to);
}

void xeno_query_free(struct xeno_query_tree *q)
{
    if (!q)
        return;
    for (size_t i = 0; i < q->count; i++)
        node_release(&q->nodes[i]);
    free(q);
}

static const char *place(const struct xeno_json_at *at)
{
    return at->path[0] ? at->path : "the query";
}

/* A copy of a text that counts towards the bound. */
static int keep(struct reading *rd, const struct xeno_json_at *at, const char *text, size_t max,
                const char **ret, struct xeno_err *err)
{
    size_t len = strlen(text);

    if (len > max)
        return xeno_fail(err, -EINVAL, "query.form", "%s: a text of %zu bytes, at most %zu allowed",
                         place(at), len, max);
    rd->bytes += len;
    if (rd->bytes > XENO_QUERY_BYTES)
        return xeno_fail(err, -EFBIG, "query.bytes", "%s: the query has more than %d bytes of text",
                         place(at), XENO_QUERY_BYTES);
    *ret = xeno_strdup(text);
    return 0;
}

/* A value as adverts have it: the text of a number is that number. */
static int read_value(struct reading *rd, const struct xeno_json_at *at,
                      struct xeno_query_value *ret, struct xeno_err *err)
{
    struct xeno_query_value v = { .number = true };
    const char *text;
    int r;

    if (!xeno_json_at_num(at, &v.n)) {
        if (!xeno_json_at_str(at, &text))
            return xeno_fail(err, -EINVAL, "query.form", "%s: must be a text or a number",
                             place(at));
        v.number = xeno_advert_is_number(text, &v.n);
        if (!v.number) {
            r = keep(rd, at, text, XENO_ADVERT_VALUE, &v.text, err);
            if (r < 0)
                return r;
        }
    }
    if (v.number && v.n == 0)
        v.n = 0; /* not -0 */
    *ret = v;
    return 0;
}

static int read_is(struct reading *rd, const struct xeno_json_at *at, struct xeno_query_node *n,
                   struct xeno_err *err)
{
    xeno_auto(xeno_json) j = xeno_json_member(at->j, "is");
    struct xeno_json_at v = *at;

    v.j = j;
    n->op = XENO_QUERY_IN;
    n->values = xeno_new0(struct xeno_query_value);
    n->value_count = 1;
    return read_value(rd, &v, n->values, err);
}

static int read_in(struct reading *rd, const struct xeno_json_at *at, struct xeno_query_node *n,
                   struct xeno_err *err)
{
    struct xeno_json_at list;
    size_t count;
    int r = xeno_json_arr(at, "in", XENO_QUERY_VALUES, &list, &count, err);

    if (r < 0)
        return r;
    if (count == 0)
        return xeno_fail(err, -EINVAL, "query.form", "%s: \"in\" has no values", place(at));
    n->op = XENO_QUERY_IN;
    n->values = xeno_new0_n(struct xeno_query_value, count);
    for (; r == 0 && n->value_count < count; n->value_count++) {
        struct xeno_json_at item = xeno_json_item(&list, n->value_count);

        r = read_value(rd, &item, &n->values[n->value_count], err);
    }
    return r;
}

static int read_numbers(const struct xeno_json_at *at, struct xeno_query_node *n,
                        struct xeno_err *err)
{
    int r;

    n->op = XENO_QUERY_NUMBERS;
    r = xeno_json_num_opt(at, "min", &n->min, err);
    if (r >= 0)
        r = xeno_json_num_opt(at, "max", &n->max, err);
    if (r < 0)
        return r;
    if (isinf(n->min) && isinf(n->max))
        return xeno_fail(err, -EINVAL, "query.form", "%s: neither min nor max", place(at));
    if (n->min > n->max)
        return xeno_fail(err, -EINVAL, "query.form", "%s: min is above max", place(at));
    return 0;
}

static int read_strings(struct reading *rd, const struct xeno_json_at *at,
                        struct xeno_query_node *n, struct xeno_err *err)
{
    const char *from = NULL, *to = NULL;
    int r;

    n->op = XENO_QUERY_STRINGS;
    r = xeno_json_str_opt(at, "from", 0, XENO_ADVERT_VALUE, &from, err);
    if (r >= 0)
        r = xeno_json_str_opt(at, "to", 0, XENO_ADVERT_VALUE, &to, err);
    if (r >= 0 && from)
        r = keep(rd, at, from, XENO_ADVERT_VALUE, &n->from, err);
    if (r >= 0 && to)
        r = keep(rd, at, to, XENO_ADVERT_VALUE, &n->to, err);
    if (r < 0)
        return r;
    if (!from && !to)
        return xeno_fail(err, -EINVAL, "query.form", "%s: neither from nor to", place(at));
    if (from && to && strcmp(from, to) > 0)
        return xeno_fail(err, -EINVAL, "query.form", "%s: from is above to", place(at));
    return 0;
}

/* Which kind of clause or connective the object at `at` is: exactly one. */
enum kind { AND, OR, NOT, RANGE, SPAN, IS, IN, EXISTS, KINDS };

static int kind_of(const struct xeno_json_at *at, enum kind *ret, struct xeno_err *err)
{
    static const struct {
        const char *key;
        enum kind kind;
    } keys[] = { { "and", AND },   { "or", OR },        { "not", NOT }, { "min", RANGE },
                 { "max", RANGE }, { "from", SPAN },    { "to", SPAN }, { "is", IS },
                 { "in", IN },     { "exists", EXISTS } };
    static const char *const names[] = { "token", "and", "or", "not", "min",    "max",
                                         "from",  "to",  "is", "in",  "exists", NULL };
    enum kind found = KINDS;
    int r = xeno_json_only(at, names, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < XENO_LEN(keys); i++) {
        xeno_auto(xeno_json) j = xeno_json_member(at->j, keys[i].key);

        if (!j || keys[i].kind == found)
            continue;
        if (found != KINDS)
            return xeno_fail(err, -EINVAL, "query.form",
                             "%s: asks for two things at once; put them into an \"and\"",
                             place(at));
        found = keys[i].kind;
    }
    if (found == KINDS)
        return xeno_fail(err, -EINVAL, "query.form",
                         "%s: has none of and, or, not, min, max, is, in, from, to, exists",
                         place(at));
    *ret = found;
    return 0;
}

static int read_clause(struct reading *rd, const struct xeno_json_at *at, enum kind kind,
                       struct xeno_query_node *n, struct xeno_err *err)
{
    const char *token;
    int r = xeno_json_str(at, "token", 1, XENO_ADVERT_PATH, &token, err);

    if (r >= 0)
        r = keep(rd, at, token, XENO_ADVERT_PATH, &n->token, err);
    if (r < 0)
        return r;
    switch (kind) {
    case RANGE:
        return read_numbers(at, n, err);
    case SPAN:
        return read_strings(rd, at, n, err);
    case IS:
        return read_is(rd, at, n, err);
    case IN:
        return read_in(rd, at, n, err);
    default:
        n->op = XENO_QUERY_EXISTS;
        return xeno_json_bool(at, "exists", &n->exists, err);
    }
}

static int read_node(struct reading *rd, const struct xeno_json_at *at, unsigned depth,
                     struct xeno_err *err);

static int read_parts(struct reading *rd, const struct xeno_json_at *at, enum kind kind,
                      unsigned depth, struct xeno_err *err)
{
    struct xeno_json_at list;
    size_t count;
    int r;

    if (kind == NOT) {
        r = xeno_json_obj(at, "not", &list, err);
        return r < 0 ? r : read_node(rd, &list, depth + 1, err);
    }
    r = xeno_json_arr(at, kind == AND ? "and" : "or", XENO_QUERY_NODES, &list, &count, err);
    if (r == 0 && count == 0)
        r = xeno_fail(err, -EINVAL, "query.form", "%s: \"%s\" has no parts", place(at),
                      kind == AND ? "and" : "or");
    for (size_t i = 0; r == 0 && i < count; i++) {
        struct xeno_json_at item = xeno_json_item(&list, i);

        r = read_node(rd, &item, depth + 1, err);
    }
    return r;
}

static int read_node(struct reading *rd, const struct xeno_json_at *at, unsigned depth,
                     struct xeno_err *err)
{
    static const enum xeno_query_op ops[] = { XENO_QUERY_AND, XENO_QUERY_OR, XENO_QUERY_NOT };
    struct xeno_query_node *n;
    enum kind kind = KINDS;
    int r;

    if (rd->q->count == XENO_QUERY_NODES)
        return xeno_fail(err, -EINVAL, "query.nodes", "%s: the query has more than %d nodes",
                         place(at), XENO_QUERY_NODES);
    if (depth >= XENO_QUERY_DEPTH)
        return xeno_fail(err, -EINVAL, "query.depth", "%s: the query nests deeper than %d",
                         place(at), XENO_QUERY_DEPTH);
    r = kind_of(at, &kind, err);
    if (r < 0)
        return r;
    n = &rd->q->nodes[rd->q->count++];
    *n = (struct xeno_query_node){ .depth = depth, .min = -INFINITY, .max = INFINITY };
    if (kind > NOT) {
        r = read_clause(rd, at, kind, n, err);
    } else {
        xeno_auto(xeno_json) token = xeno_json_member(at->j, "token");

        n->op = ops[kind];
        r = token ? xeno_fail(err, -EINVAL, "query.form", "%s: a token beside and, or, not",
                              place(at))
                  : read_parts(rd, at, kind, depth, err);
    }
    n->end = rd->q->count;
    return r;
}

int xeno_query_read(const struct xeno_json_at *at, struct xeno_query_tree **ret,
                    struct xeno_err *err)
{
    xeno_auto(xeno_query_tree) q =
        xeno_alloc0(1, sizeof *q + XENO_QUERY_NODES * sizeof q->nodes[0]);
    struct reading rd = { .q = q };
    int r = read_node(&rd, at, 0, err);

    if (r < 0)
        return r;
    q = xeno_realloc(q, 1, sizeof *q + q->count * sizeof q->nodes[0]);
    *ret = xeno_take(&q);
    return 0;
}

int xeno_query_parse(const char *text, size_t len, struct xeno_query_tree **ret,
                     struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;
    /* Escapes make a text longer than what it says. */
    int r = xeno_json_parse(text, len, (size_t)2 * XENO_QUERY_BYTES, &j, err);

    if (r < 0)
        return r;
    top = xeno_json_top(j);
    return xeno_query_read(&top, ret, err);
}
