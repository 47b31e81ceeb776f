/* src/xis/xis-explain.c - why a query finds what it finds: each of its nodes by itself. */
#include "xis/xis-priv.h"

/* Clauses that may be asked in all, for each advert that may be looked at. */
#define CLAUSES 8

/* What each node is of the view's record: the parts first, which stand after their node. */
static void truths(struct xeno_view *v, enum xeno_truth *t)
{
    const struct xeno_query_tree *q = v->q;

    for (size_t i = q->count; i-- > 0;) {
        const struct xeno_query_node *n = &q->nodes[i];
        enum xeno_truth ends = n->op == XENO_QUERY_AND ? XENO_FALSE : XENO_TRUE;

        if (n->op > XENO_QUERY_NOT) {
            t[i] = xeno_query_eval_node(q, i, xeno_view_value, v);
            continue;
        }
        if (n->op == XENO_QUERY_NOT) {
            t[i] = t[i + 1] == XENO_UNKNOWN ? XENO_UNKNOWN
                   : t[i + 1] == XENO_TRUE  ? XENO_FALSE
                                            : XENO_TRUE;
            continue;
        }
        t[i] = ends == XENO_FALSE ? XENO_TRUE : XENO_FALSE;
        for (size_t part = i + 1; part < n->end; part = q->nodes[part].end)
            if (t[part] == ends || (t[part] == XENO_UNKNOWN && t[i] != ends))
                t[i] = t[part];
    }
}

uint64_t xeno_xis_explain(struct xeno_xis_reader *r, const struct xeno_query_tree *q, size_t work,
                          struct xeno_xis_clause *clauses)
{
    struct xeno_lookup all = { .range = XENO_LOOKUP_STRINGS };
    const struct xeno_token *id = xeno_index_token(&r->x->ix, "Id");
    enum xeno_truth t[XENO_QUERY_NODES];
    struct xeno_view v;
    struct xeno_span s[2];
    struct xeno_cursor c;
    struct xeno_entry e;
    uint64_t n = 0;

    for (size_t i = 0; i < q->count; i++)
        clauses[i] = (struct xeno_xis_clause){ .n = { 0 } };
    if (!id)
        return 0;
    work = work ? work : XENO_XIS_WORK;
    xeno_view_init(&v, r->x, q);
    xeno_index_spans(&r->x->ix, id, &all, s);
    for (xeno_cursor_set(&c, s[1].root, true, 0);
         n < work && v.units < work * CLAUSES && xeno_cursor_get(&c, &e); xeno_cursor_next(&c)) {
        v.record = xeno_record_at(r->x, e.slot);
        if (v.record->state != XENO_XIS_ALIVE)
            continue;
        truths(&v, t);
        for (size_t i = 0; i < q->count; i++)
            clauses[i].n[t[i]]++;
        n++;
    }
    return n;
}

bool xeno_xis_explain_one(struct xeno_xis_reader *r, const struct xeno_query_tree *q,
                          const char *id, struct xeno_xis_reason *reasons)
{
    uint32_t slot = xeno_slot_find(r->x, id);
    enum xeno_truth t[XENO_QUERY_NODES];
    struct xeno_view v;

    if (slot == XENO_MAP_NONE)
        return false;
    xeno_view_init(&v, r->x, q);
    v.record = xeno_record_at(r->x, slot);
    if (v.record->state != XENO_XIS_ALIVE)
        return false;
    truths(&v, t);
    for (size_t i = 0; i < q->count; i++) {
        reasons[i] = (struct xeno_xis_reason){ .truth = t[i] };
        if (q->nodes[i].token)
            xeno_view_value(&v, &q->nodes[i], 0, &reasons[i].value);
    }
    return true;
}
