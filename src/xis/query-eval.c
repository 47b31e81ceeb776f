/* src/xis/query-eval.c - what a query is of something: true, false or unknown. */
#include "xis/query.h"

#include <string.h>

static enum xeno_truth truth(bool b)
{
    return b ? XENO_TRUE : XENO_FALSE;
}

static enum xeno_truth one_of(const struct xeno_query_node *c, const struct xeno_query_value *v)
{
    enum xeno_truth t = XENO_UNKNOWN;

    for (size_t i = 0; i < c->value_count; i++) {
        const struct xeno_query_value *w = &c->values[i];

        if (w->number != v->number)
            continue;
        if (w->number ? w->n == v->n : strcmp(w->text, v->text) == 0)
            return XENO_TRUE;
        t = XENO_FALSE;
    }
    return t;
}

enum xeno_truth xeno_query_clause(const struct xeno_query_node *c, const struct xeno_query_value *v)
{
    switch (c->op) {
    case XENO_QUERY_NUMBERS:
        return v->number ? truth(v->n >= c->min && v->n <= c->max) : XENO_UNKNOWN;
    case XENO_QUERY_STRINGS:
        return v->number ? XENO_UNKNOWN
                         : truth((!c->from || strcmp(v->text, c->from) >= 0) &&
                                 (!c->to || strcmp(v->text, c->to) <= 0));
    case XENO_QUERY_IN:
        return one_of(c, v);
    default:
        return truth(c->exists);
    }
}

/* Of a set: true when it is of any value, else false when any could be compared. */
static enum xeno_truth eval_clause(const struct xeno_query_node *c, xeno_query_source *source,
                                   void *ctx)
{
    enum xeno_truth all = XENO_UNKNOWN, t;
    struct xeno_query_value v;

    if (c->op == XENO_QUERY_EXISTS)
        return truth(source(ctx, c, 0, &v) == c->exists);
    for (size_t i = 0; source(ctx, c, i, &v); i++) {
        t = xeno_query_clause(c, &v);
        if (t == XENO_TRUE)
            return t;
        if (t == XENO_FALSE)
            all = t;
    }
    return all;
}

enum xeno_truth xeno_query_eval_node(const struct xeno_query_tree *q, size_t node,
                                     xeno_query_source *source, void *ctx)
{
    const struct xeno_query_node *n = &q->nodes[node];
    enum xeno_truth ends = n->op == XENO_QUERY_AND ? XENO_FALSE : XENO_TRUE;
    enum xeno_truth all = n->op == XENO_QUERY_AND ? XENO_TRUE : XENO_FALSE;

    if (n->op > XENO_QUERY_NOT)
        return eval_clause(n, source, ctx);
    if (n->op == XENO_QUERY_NOT) {
        all = xeno_query_eval_node(q, node + 1, source, ctx);
        return all == XENO_UNKNOWN ? all : truth(all == XENO_FALSE);
    }
    for (size_t part = node + 1; part < n->end; part = q->nodes[part].end) {
        enum xeno_truth t = xeno_query_eval_node(q, part, source, ctx);

        if (t == ends)
            return t;
        if (t == XENO_UNKNOWN)
            all = t;
    }
    return all;
}

enum xeno_truth xeno_query_eval(const struct xeno_query_tree *q, xeno_query_source *source,
                                void *ctx)
{
    return xeno_query_eval_node(q, 0, source, ctx);
}
