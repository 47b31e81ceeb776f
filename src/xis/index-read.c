/* src/xis/index-read.c - lookups: two ways down for the total, one of which leads to the place.
 */
#include "xis/index-priv.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "xis/tree-priv.h"

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

/* --- ranges --- */

/* Both borders of what a lookup covers in a token's numbers. False: nothing. */
static bool numbers_range(const struct xeno_lookup *l, const struct xeno_node *root,
                          struct xeno_way way[2])
{
    way[0].border = (struct xeno_entry){ .key = 0 };
    way[1].border = (struct xeno_entry){ .key = UINT64_MAX };
    if (l->range == XENO_LOOKUP_STRINGS || !root)
        return false;
    if (l->range == XENO_LOOKUP_NUMBERS) {
        if (isnan(l->min) || isnan(l->max) || l->min > l->max)
            return false;
        way[0].border.key = xeno_key_of_number(l->min);
        way[1].border.key = xeno_key_of_number(l->max) + 1;
    }
    xeno_way_init(&way[0], root, false);
    xeno_way_init(&way[1], root, false);
    return true;
}

/* A text that is all in its key needs no look at the others of that key. */
static void texts_border(struct xeno_way *w, const struct xeno_node *root, const char *text,
                         bool after)
{
    w->border = (struct xeno_entry){ .slot = after ? UINT32_MAX : 0, .text = text };
    xeno_entry_of_text(&w->border, text);
    xeno_way_init(w, root, true);
    if (w->border.key & 0xff)
        return;
    w->plain = true;
    w->border.key += after;
}

/* The same of its texts. */
static bool texts_range(const struct xeno_lookup *l, const struct xeno_node *root,
                        struct xeno_way way[2])
{
    bool range = l->range == XENO_LOOKUP_STRINGS;

    if (l->range == XENO_LOOKUP_NUMBERS || !root)
        return false;
    texts_border(&way[0], root, range && l->from ? l->from : "", false);
    if (range && l->to) {
        texts_border(&way[1], root, l->to, true);
        return true;
    }
    way[1].border = (struct xeno_entry){ .key = UINT64_MAX }; /* no text has such bytes */
    xeno_way_init(&way[1], root, true);
    way[1].plain = true;
    return true;
}

void xeno_index_spans(const struct xeno_index *ix, const struct xeno_token *t,
                      const struct xeno_lookup *l, struct xeno_span out[2])
{
    struct xeno_way way[2];

    for (int i = 0; i < 2; i++) {
        const struct xeno_node *root = xeno_tree_root(i == 0 ? &t->numbers : &t->texts);
        bool any = i == 0 ? numbers_range(l, root, way) : texts_range(l, root, way);

        out[i] = (struct xeno_span){ .root = root, .texts = i == 1 };
        if (!any)
            continue;
        xeno_ways_go(&ix->forest, way, 2);
        out[i].low = way[0].rank;
        out[i].high = way[1].rank > way[0].rank ? way[1].rank : way[0].rank;
    }
}

/* --- lookups, some side by side --- */

#define GROUP 16 /* as many lines as a core fetches at the same time */

/* What a lookup covers in one tree, and what of that it wants. */
struct part {
    struct xeno_way *way; /* both borders'; NULL: nothing */
    uint64_t total;
    size_t count;
    struct xeno_cursor *at; /* the first one wanted, where count > 0; the way's */
};

struct look {
    const struct xeno_lookup *l;
    struct part part[2]; /* in the order in which they are told */
};

struct group {
    const struct xeno_index *ix;
    size_t n, ways;
    struct look look[GROUP];
    struct xeno_way way[GROUP * 4];
};

static void plan(struct group *g, const struct xeno_lookup *l, const struct xeno_roots *roots)
{
    struct look *k = &g->look[g->n++];

    k->l = l;
    for (int texts = 0; texts < 2; texts++) {
        struct part *p = &k->part[texts != l->desc];
        struct xeno_way *way = &g->way[g->ways];
        bool any =
            texts ? texts_range(l, roots->texts, way) : numbers_range(l, roots->numbers, way);

        p->way = any ? way : NULL;
        g->ways += any ? 2 : 0;
    }
}

/* How many there are of one part, and where those begin that are wanted. */
static void aim(struct part *p, bool desc, uint64_t skip, size_t limit)
{
    uint64_t left;

    p->total = 0;
    p->count = 0;
    if (!p->way)
        return;
    p->total = p->way[1].rank > p->way[0].rank ? p->way[1].rank - p->way[0].rank : 0;
    if (skip >= p->total || limit == 0)
        return;
    left = p->total - skip;
    p->count = left < limit ? (size_t)left : limit;
    p->at = &p->way[desc].at;
    xeno_cursor_move(p->at, desc ? -1 - (int64_t)skip : (int64_t)skip);
    xeno_cursor_fetch(p->at, desc, p->count);
}

/* Entries of a leaf as hits, `by` 1 or -1. */
static void tell(const struct xeno_index *ix, const struct xeno_cursor *c, int by, size_t count,
                 struct xeno_hit *hits)
{
    const struct xeno_node *n = c->node[c->depth];
    size_t at = c->at[c->depth];

    for (size_t i = 0; i < count; i++, at += (size_t)by) {
        hits[i].slot = n->slot[at];
        hits[i].id = NULL;
        hits[i].value.number = !c->texts;
        hits[i].value.n = 0;
        hits[i].value.text = NULL;
        if (c->texts)
            hits[i].value.text = xeno_intern_text(&ix->intern, xeno_texts(n)->str[at]);
        else
            hits[i].value.n = xeno_number_of_key(n->key[at]);
    }
}

static void tell_part(const struct xeno_index *ix, struct part *p, bool desc, struct xeno_hit *hits)
{
    size_t left = p->count;

    while (left > 0) {
        const struct xeno_node *n = p->at->node[p->at->depth];
        size_t at = p->at->at[p->at->depth], here = desc ? at + 1 : n->n - at;

        here = here < left ? here : left;
        tell(ix, p->at, desc ? -1 : 1, here, hits);
        hits += here;
        left -= here;
        if (left > 0)
            xeno_cursor_move(p->at, desc ? -(int64_t)here : (int64_t)here);
    }
}

/* Returns: how many hits. */
static size_t group_go(struct group *g, struct xeno_found *found, struct xeno_hit *hits)
{
    size_t sum = 0;

    xeno_ways_go(&g->ix->forest, g->way, g->ways);
    for (size_t i = 0; i < g->n; i++) {
        struct part *a = &g->look[i].part[0], *b = &g->look[i].part[1];
        const struct xeno_lookup *l = g->look[i].l;

        aim(a, l->desc, l->place, l->limit);
        aim(b, l->desc, l->place > a->total ? l->place - a->total : 0, l->limit - a->count);
        found[i] = (struct xeno_found){ .total = a->total + b->total,
                                        .count = a->count + b->count,
                                        .hits = hits + sum };
        sum += found[i].count;
    }
    for (size_t i = 0; i < g->n; i++) {
        struct look *k = &g->look[i];

        tell_part(g->ix, &k->part[0], k->l->desc, found[i].hits);
        tell_part(g->ix, &k->part[1], k->l->desc, found[i].hits + k->part[0].count);
    }
    g->n = g->ways = 0;
    return sum;
}

static void roots_of(const struct xeno_index *ix, const char *path, struct xeno_roots *ret)
{
    const struct xeno_token *t = xeno_index_token(ix, path);

    *ret = (struct xeno_roots){ .path = path };
    if (!t)
        return;
    ret->numbers = xeno_tree_root(&t->numbers);
    ret->texts = xeno_tree_root(&t->texts);
}

size_t xeno_index_lookup(const struct xeno_index *ix, const struct xeno_lookup *l,
                         uint64_t *ret_total, struct xeno_hit *hits)
{
    struct xeno_roots roots;
    struct xeno_found found;
    struct group g; /* large: only what is used is set */

    g.ix = ix;
    g.n = g.ways = 0;
    roots_of(ix, l->token, &roots);
    plan(&g, l, &roots);
    group_go(&g, &found, hits);
    *ret_total = found.total;
    return found.count;
}

/* The roots that an earlier lookup of the batch saw, or those of now. */
static const struct xeno_roots *moment_roots(struct xeno_moment *m, const struct xeno_index *ix,
                                             const char *path, size_t mask)
{
    uint64_t hash = xeno_map_hash(path, strlen(path), ix->seed);
    size_t i = (hash >> 32) & mask;

    for (; m->at[i] != 0; i = (i + 1) & mask) {
        const struct xeno_roots *r = &m->roots[m->at[i] - 1];

        if (m->hash[m->at[i] - 1] == hash && strcmp(r->path, path) == 0)
            return r;
    }
    roots_of(ix, path, &m->roots[m->n]);
    m->hash[m->n++] = hash;
    m->at[i] = (uint16_t)m->n;
    return &m->roots[m->n - 1];
}

size_t xeno_index_lookups(const struct xeno_index *ix, struct xeno_moment *m,
                          const struct xeno_lookup *l, size_t n, struct xeno_found *found,
                          struct xeno_hit *hits)
{
    struct group g;
    size_t mask = 1, sum = 0, done = 0;

    assert(n <= XENO_XIS_BATCH);
    while (mask < 2 * n)
        mask *= 2;
    memset(m->at, 0, mask * sizeof m->at[0]);
    mask--;
    m->n = 0;
    g.ix = ix;
    g.n = g.ways = 0;
    for (size_t i = 0; i < n; i++) {
        plan(&g, &l[i], moment_roots(m, ix, l[i].token, mask));
        if (g.n < GROUP && i + 1 < n)
            continue;
        done = i + 1 - g.n;
        sum += group_go(&g, found + done, hits + sum);
    }
    return sum;
}

struct xeno_query_value xeno_index_value(const struct xeno_index *ix, uint32_t token,
                                         uint64_t value)
{
    if (token & XENO_CELL_TEXT)
        return (struct xeno_query_value){ .text = xeno_intern_text(&ix->intern, (uint32_t)value) };
    return (struct xeno_query_value){ .number = true, .n = xeno_number_of_key(value) };
}
