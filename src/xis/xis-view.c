/* src/xis/xis-view.c - a query asked of one record after the other. */
#include "xis/xis-priv.h"

uint32_t xeno_token_number(const struct xeno_xis *x, const char *path)
{
    const struct xeno_token *t = xeno_index_token(&x->ix, path);

    return t ? t->id : 0;
}

void xeno_view_init(struct xeno_view *v, const struct xeno_xis *x, const struct xeno_query_tree *q)
{
    v->x = x;
    v->q = q;
    v->units = 0;
    for (size_t i = 0; i < q->count; i++)
        v->token[i] = q->nodes[i].token ? xeno_token_number(x, q->nodes[i].token) : 0;
}

uint32_t xeno_record_cells(const struct xeno_record *r, uint32_t token, uint32_t *ret_n)
{
    const struct xeno_cells *c = &r->cells;
    uint32_t low = 0, high = c->n, n = 0;

    while (low < high) {
        uint32_t mid = (low + high) / 2;

        if (c->token[mid] < token)
            low = mid + 1;
        else
            high = mid;
    }
    while (low + n < c->n && c->token[low + n] == token)
        n++;
    *ret_n = n;
    return low;
}

/* The cell itself where a set is small: the usual case is one value. */
bool xeno_view_value(void *view, const struct xeno_query_node *node, size_t i,
                     struct xeno_query_value *ret)
{
    struct xeno_view *v = view;
    const struct xeno_record *r = v->record;
    uint32_t token = v->token[node - v->q->nodes], first, n;

    v->units += 1 + node->value_count / 8;
    if (token == 0)
        return false;
    first = xeno_record_cells(r, token, &n);
    if (i >= n) {
        i -= n;
        token |= XENO_CELL_TEXT;
        first = xeno_record_cells(r, token, &n);
        if (i >= n)
            return false;
    }
    *ret = xeno_index_value(&v->x->ix, token, r->cells.value[first + i]);
    return true;
}
