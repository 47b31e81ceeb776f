/* src/xis/query-text.c - queries as JSON again, and as words for people. */
#include "xis/query.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const char *xeno_number_text(double n, char out[XENO_NUMBER_TEXT])
{
    if (n == 0)
        n = 0; /* not -0 */
    /* Adverts' numbers have 15 digits; a query's may need 17 to be the same again. */
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, XENO_NUMBER_TEXT, "%.*g", digits, n);
        if (strtod(out, NULL) == n)
            break;
    }
    if (fabs(n) < 1e15 && n == trunc(n))
        snprintf(out, XENO_NUMBER_TEXT, "%.0f", n);
    else if (fabs(n) < 1 && fabs(n) >= 1e-14)
        for (int digits = 1; digits <= 20; digits++) {
            snprintf(out, XENO_NUMBER_TEXT, "%.*f", digits, n);
            if (strtod(out, NULL) == n)
                break;
        }
    return out;
}

static struct xeno_json *value_json(const struct xeno_query_value *v)
{
    return v->number ? xeno_json_num(v->n) : xeno_json_string(v->text);
}

static void clause_json(const struct xeno_query_node *n, struct xeno_json *obj)
{
    struct xeno_json *list;

    xeno_json_set_str(obj, "token", n->token);
    switch (n->op) {
    case XENO_QUERY_NUMBERS:
        if (isfinite(n->min))
            xeno_json_set_num(obj, "min", n->min);
        if (isfinite(n->max))
            xeno_json_set_num(obj, "max", n->max);
        return;
    case XENO_QUERY_STRINGS:
        xeno_json_set_str(obj, "from", n->from);
        xeno_json_set_str(obj, "to", n->to);
        return;
    case XENO_QUERY_IN:
        if (n->value_count == 1) {
            xeno_json_set(obj, "is", value_json(n->values));
            return;
        }
        list = xeno_json_array();
        for (size_t i = 0; i < n->value_count; i++)
            xeno_json_append(list, value_json(&n->values[i]));
        xeno_json_set(obj, "in", list);
        return;
    default:
        xeno_json_set_bool(obj, "exists", n->exists);
    }
}

struct xeno_json *xeno_query_json(const struct xeno_query_tree *q, size_t node)
{
    const struct xeno_query_node *n = &q->nodes[node];
    struct xeno_json *obj = xeno_json_object(), *list;

    if (n->op > XENO_QUERY_NOT) {
        clause_json(n, obj);
        return obj;
    }
    if (n->op == XENO_QUERY_NOT) {
        xeno_json_set(obj, "not", xeno_query_json(q, node + 1));
        return obj;
    }
    list = xeno_json_array();
    for (size_t part = node + 1; part < n->end; part = q->nodes[part].end)
        xeno_json_append(list, xeno_query_json(q, part));
    xeno_json_set(obj, n->op == XENO_QUERY_AND ? "and" : "or", list);
    return obj;
}

static void value_words(const struct xeno_query_value *v, struct xeno_buf *out)
{
    char text[XENO_NUMBER_TEXT];

    xeno_buf_puts(out, v->number ? xeno_number_text(v->n, text) : v->text);
}

static void numbers_words(const struct xeno_query_node *n, struct xeno_buf *out)
{
    char min[XENO_NUMBER_TEXT], max[XENO_NUMBER_TEXT];

    xeno_number_text(n->min, min);
    xeno_number_text(n->max, max);
    if (isfinite(n->min) && isfinite(n->max))
        xeno_buf_printf(out, " from %s to %s", min, max);
    else if (isfinite(n->min))
        xeno_buf_printf(out, " at least %s", min);
    else
        xeno_buf_printf(out, " at most %s", max);
}

static void strings_words(const struct xeno_query_node *n, struct xeno_buf *out)
{
    if (n->from && n->to)
        xeno_buf_printf(out, " from \"%s\" to \"%s\"", n->from, n->to);
    else if (n->from)
        xeno_buf_printf(out, " not before \"%s\"", n->from);
    else
        xeno_buf_printf(out, " not after \"%s\"", n->to);
}

static void clause_words(const struct xeno_query_node *n, struct xeno_buf *out)
{
    xeno_buf_puts(out, n->token);
    switch (n->op) {
    case XENO_QUERY_NUMBERS:
        numbers_words(n, out);
        return;
    case XENO_QUERY_STRINGS:
        strings_words(n, out);
        return;
    case XENO_QUERY_IN:
        xeno_buf_puts(out, n->value_count == 1 ? " is " : " is one of ");
        for (size_t i = 0; i < n->value_count; i++) {
            xeno_buf_puts(out, i ? ", " : "");
            value_words(&n->values[i], out);
        }
        return;
    default:
        xeno_buf_puts(out, n->exists ? " is told" : " is not told");
    }
}

void xeno_query_words(const struct xeno_query_tree *q, size_t node, struct xeno_buf *out)
{
    const struct xeno_query_node *n = &q->nodes[node];
    bool paren = n->op <= XENO_QUERY_OR && n->depth > 0;

    if (n->op > XENO_QUERY_NOT) {
        clause_words(n, out);
        return;
    }
    if (n->op == XENO_QUERY_NOT) {
        bool clause = q->nodes[node + 1].op > XENO_QUERY_NOT;

        xeno_buf_puts(out, clause ? "not (" : "not ");
        xeno_query_words(q, node + 1, out);
        xeno_buf_puts(out, clause ? ")" : "");
        return;
    }
    xeno_buf_puts(out, paren ? "(" : "");
    for (size_t part = node + 1; part < n->end; part = q->nodes[part].end) {
        if (part > node + 1)
            xeno_buf_puts(out, n->op == XENO_QUERY_AND ? " and " : " or ");
        xeno_query_words(q, part, out);
    }
    xeno_buf_puts(out, paren ? ")" : "");
}
