/* src/xis/index-read.c - lookups: two descents for the total, one of which leads to the place. */
#include "xis/index-priv.h"

#include <math.h>
#include <string.h>

void xeno_lookup_is(struct xeno_lookup *l, const char *text)
{
    double n;

    if (xeno_advert_is_number(text, &n)) {
        l->range = XENO_LOOKUP_NUMBERS;
        l->min = l->max = n;
    } else {
        l->range = XENO_LOOKUP_STRINGS;
        l->from = l->to = text;
    }
}

static void numbers_span(const struct xeno_index *ix, const struct xeno_lookup *l,
                         struct xeno_span *s)
{
    struct xeno_entry low = { .key = 0 }, high = { .key = UINT64_MAX };

    if (l->range == XENO_LOOKUP_NUMBERS) {
        if (isnan(l->min) || isnan(l->max) || l->min > l->max)
            return;
        low.key = xeno_key_of_number(l->min);
        high.key = xeno_key_of_number(l->max) + 1;
    }
    xeno_tree_ranks(&ix->forest, s->root, false, &low, &high, &s->low, &s->high, &s->at, l->desc);
    s->there = true;
}

static void texts_span(const struct xeno_index *ix, const struct xeno_lookup *l,
                       struct xeno_span *s)
{
    struct xeno_entry low = { .text = "" }, high = low;
    bool range = l->range == XENO_LOOKUP_STRINGS;

    if (range && l->from) {
        low.text = l->from;
        low.key = xeno_key_of_text(l->from);
    }
    if (range && l->to) {
        high.text = l->to;
        high.key = xeno_key_of_text(l->to);
        high.slot = UINT32_MAX;
    }
    xeno_tree_ranks(&ix->forest, s->root, true, &low, &high, &s->low, &s->high, &s->at, l->desc);
    s->there = !l->desc;
    if (!range || !l->to)
        s->high = xeno_tree_count(s->root);
    else
        s->there = true;
    if (s->low > s->high)
        s->high = s->low;
}

void xeno_index_spans(const struct xeno_index *ix, const struct xeno_token *t,
                      const struct xeno_lookup *l, struct xeno_span out[2])
{
    for (int i = 0; i < 2; i++) {
        out[i].root = NULL;
        out[i].texts = i == 1;
        out[i].low = out[i].high = 0;
        out[i].there = false;
    }
    if (l->range != XENO_LOOKUP_STRINGS) {
        out[0].root = xeno_tree_root(&t->numbers);
        numbers_span(ix, l, &out[0]);
    }
    if (l->range != XENO_LOOKUP_NUMBERS) {
        out[1].root = xeno_tree_root(&t->texts);
        texts_span(ix, l, &out[1]);
    }
}

/* Those of a span from `skip` on, at most `limit`. */
static size_t take(const struct xeno_index *ix, struct xeno_span *s, bool desc, uint64_t skip,
                   size_t limit, struct xeno_hit *hits)
{
    uint64_t left = s->high - s->low;
    struct xeno_entry e;
    size_t n = 0;

    if (skip >= left || limit == 0)
        return 0;
    left -= skip;
    if (skip > 0 || !s->there)
        xeno_cursor_set(&s->at, s->root, s->texts, desc ? s->high - 1 - skip : s->low + skip);
    for (; n < limit && n < left && xeno_cursor_get(&s->at, &e); n++) {
        hits[n] = (struct xeno_hit){ .slot = e.slot };
        hits[n].value.number = !s->texts;
        if (s->texts)
            hits[n].value.text = xeno_intern_text(&ix->intern, e.str);
        else
            hits[n].value.n = xeno_number_of_key(e.key);
        if (desc)
            xeno_cursor_prev(&s->at);
        else
            xeno_cursor_next(&s->at);
    }
    return n;
}

size_t xeno_index_lookup(const struct xeno_index *ix, const struct xeno_lookup *l,
                         uint64_t *ret_total, struct xeno_hit *hits)
{
    const struct xeno_token *t = xeno_index_token(ix, l->token);
    struct xeno_span spans[2], *first, *second;
    uint64_t in_first;
    size_t n;

    *ret_total = 0;
    if (!t)
        return 0;
    xeno_index_spans(ix, t, l, spans);
    first = &spans[l->desc];
    second = &spans[!l->desc];
    in_first = first->high - first->low;
    *ret_total = in_first + (second->high - second->low);
    n = take(ix, first, l->desc, l->place, l->limit, hits);
    if (n < l->limit)
        n += take(ix, second, l->desc, l->place > in_first ? l->place - in_first : 0, l->limit - n,
                  hits + n);
    return n;
}

struct xeno_query_value xeno_index_value(const struct xeno_index *ix, uint32_t token,
                                         uint64_t value)
{
    if (token & XENO_CELL_TEXT)
        return (struct xeno_query_value){ .text = xeno_intern_text(&ix->intern, (uint32_t)value) };
    return (struct xeno_query_value){ .number = true, .n = xeno_number_of_key(value) };
}

static double number_at(const struct xeno_node *root, uint64_t rank)
{
    struct xeno_cursor c;
    struct xeno_entry e = { .key = 0 };

    xeno_cursor_set(&c, root, false, rank);
    xeno_cursor_get(&c, &e);
    return xeno_number_of_key(e.key);
}

size_t xeno_index_tokens(const struct xeno_index *ix, const char *after, size_t limit,
                         struct xeno_token_info *ret)
{
    const struct xeno_names *names = atomic_load(&ix->names);
    size_t low = 0, high = names->n, n = 0;

    while (after && low < high) {
        size_t mid = (low + high) / 2;

        if (strcmp(names->token[mid]->path, after) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < names->n && n < limit; low++) {
        const struct xeno_token *t = names->token[low];
        const struct xeno_node *root = xeno_tree_root(&t->numbers);
        struct xeno_token_info i = { .path = t->path, .numbers = xeno_tree_count(root) };

        i.strings = xeno_tree_count(xeno_tree_root(&t->texts));
        if (i.numbers > 0) {
            i.min = number_at(root, 0);
            i.max = number_at(root, i.numbers - 1);
        }
        if (i.numbers + i.strings > 0) /* else it is on its way in or out */
            ret[n++] = i;
    }
    return n;
}
