/* src/xis/xis-cover.c - ranges of the index in which all that a query can be true of must be.
 *
 * What is unknown is not true, so a clause about a token can only be true of adverts that have it,
 * also where it stands under a `not`; `exists` apart. Of an `and` the smallest part's ranges are
 * enough, of an `or` all are needed.
 */
#include <math.h>

#include "xis/xis-priv.h"

static uint64_t cover(struct xeno_cover *c, const struct xeno_query_tree *q, size_t node,
                      bool negated);

/* False: there is no room for more. */
static bool add(struct xeno_cover *c, const struct xeno_span *s, uint64_t *size)
{
    if (s->high <= s->low)
        return true;
    if (c->n == XENO_COVER_SPANS)
        return false;
    c->span[c->n++] = *s;
    *size += s->high - s->low;
    return true;
}

static bool add_range(struct xeno_cover *c, const struct xeno_token *t, const struct xeno_lookup *l,
                      uint64_t *size)
{
    struct xeno_span s[2];

    if (!t)
        return true;
    xeno_index_spans(&c->x->ix, t, l, s);
    return add(c, &s[0], size) && add(c, &s[1], size);
}

/* Every advert has an Id. */
static uint64_t everything(struct xeno_cover *c, size_t first)
{
    struct xeno_lookup l = { .range = XENO_LOOKUP_ALL };
    uint64_t size = 0;

    c->n = first;
    if (!add_range(c, xeno_index_token(&c->x->ix, "Id"), &l, &size))
        return UINT64_MAX; /* 256 other ranges fill the room: they are of an `or`, which starts anew
                            */
    return size;
}

static bool add_in(struct xeno_cover *c, const struct xeno_token *t,
                   const struct xeno_query_node *n, uint64_t *size)
{
    for (size_t i = 0; i < n->value_count; i++) {
        const struct xeno_query_value *v = &n->values[i];
        struct xeno_lookup l = { .range = v->number ? XENO_LOOKUP_NUMBERS : XENO_LOOKUP_STRINGS,
                                 .min = v->n,
                                 .max = v->n,
                                 .from = v->text,
                                 .to = v->text };

        if (!add_range(c, t, &l, size))
            return false;
    }
    return true;
}

static uint64_t clause(struct xeno_cover *c, const struct xeno_query_node *n, bool negated)
{
    const struct xeno_token *t = xeno_index_token(&c->x->ix, n->token);
    struct xeno_lookup l = { .range = XENO_LOOKUP_ALL, .min = n->min, .max = n->max };
    size_t first = c->n;
    uint64_t size = 0;
    bool fits;

    if (n->op == XENO_QUERY_EXISTS && n->exists == negated)
        return everything(c, first);
    if (n->op == XENO_QUERY_IN && !negated) {
        fits = add_in(c, t, n, &size);
    } else {
        if (n->op == XENO_QUERY_NUMBERS) {
            l.range = XENO_LOOKUP_NUMBERS;
            l.min = negated ? -INFINITY : n->min;
            l.max = negated ? INFINITY : n->max;
        } else if (n->op == XENO_QUERY_STRINGS) {
            l.range = XENO_LOOKUP_STRINGS;
            l.from = negated ? NULL : n->from;
            l.to = negated ? NULL : n->to;
        }
        fits = add_range(c, t, &l, &size);
    }
    return fits ? size : everything(c, first);
}

/* The smallest part's ranges, at the place of the first's. */
static uint64_t smallest(struct xeno_cover *c, const struct xeno_query_tree *q, size_t node,
                         bool negated)
{
    size_t first = c->n, best_n = 0;
    uint64_t best = UINT64_MAX;

    for (size_t part = node + 1; part < q->nodes[node].end; part = q->nodes[part].end) {
        size_t start = c->n = first + best_n;
        uint64_t size = cover(c, q, part, negated);

        if (size >= best)
            continue;
        best = size;
        best_n = c->n - start;
        for (size_t i = 0; i < best_n; i++)
            c->span[first + i] = c->span[start + i];
    }
    c->n = first + best_n;
    return best;
}

static uint64_t all_of(struct xeno_cover *c, const struct xeno_query_tree *q, size_t node,
                       bool negated)
{
    size_t first = c->n;
    uint64_t sum = 0;

    for (size_t part = node + 1; part < q->nodes[node].end; part = q->nodes[part].end) {
        uint64_t size = cover(c, q, part, negated);

        if (size == UINT64_MAX)
            return everything(c, first);
        sum += size;
    }
    return sum;
}

static uint64_t cover(struct xeno_cover *c, const struct xeno_query_tree *q, size_t node,
                      bool negated)
{
    const struct xeno_query_node *n = &q->nodes[node];

    if (n->op > XENO_QUERY_NOT)
        return clause(c, n, negated);
    if (n->op == XENO_QUERY_NOT)
        return cover(c, q, node + 1, !negated);
    if ((n->op == XENO_QUERY_AND) != negated)
        return smallest(c, q, node, negated);
    return all_of(c, q, node, negated);
}

void xeno_cover_of(struct xeno_cover *c, const struct xeno_xis *x, const struct xeno_query_tree *q)
{
    c->x = x;
    c->n = 0;
    c->size = q ? cover(c, q, 0, false) : UINT64_MAX;
    if (c->size == UINT64_MAX)
        c->size = everything(c, 0);
}
