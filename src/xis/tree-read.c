/* src/xis/tree-read.c - places of values and values at places. */
#include <string.h>

#include "xis/tree-priv.h"

uint64_t xeno_key_of_text(const char *text)
{
    unsigned char b[8] = { 0 };
    uint64_t key = 0;

    memcpy(b, text, strnlen(text, sizeof b));
    for (size_t i = 0; i < sizeof b; i++)
        key = key << 8 | b[i];
    return key;
}

/* How many of sorted keys are below `key`; without a branch that could be foretold wrongly. */
static unsigned keys_below(const uint64_t *k, unsigned n, uint64_t key)
{
    const uint64_t *base = k;

    if (n == 0)
        return 0;
    while (n > 1) {
        unsigned half = n / 2;

        base += half & -(unsigned)(base[half - 1] < key);
        n -= half;
    }
    return (unsigned)(base - k) + (*base < key);
}

/* Texts whose keys are equal. The key of a text of less than 8 bytes ends with a zero byte and is
 * all of it. */
static int compare_texts(const struct xeno_forest *f, uint64_t key, uint32_t str,
                         const struct xeno_entry *e)
{
    if ((key & 0xff) == 0 || (e->str != 0 && str == e->str))
        return 0;
    return strcmp(xeno_intern_text(f->intern, str),
                  e->text ? e->text : xeno_intern_text(f->intern, e->str));
}

/* The same in a whole node: always the same steps. */
static unsigned position_of_key(const struct xeno_node *n, uint64_t key)
{
    const uint64_t *base = n->key;
    unsigned below;

    for (unsigned half = XENO_TREE_FAN / 2; half > 0; half /= 2)
        base += half & -(unsigned)(base[half - 1] < key);
    below = (unsigned)(base - n->key) + (*base < key);
    return below < n->n ? below : n->n;
}

unsigned xeno_node_position(const struct xeno_forest *f, const struct xeno_node *n, bool texts,
                            const struct xeno_entry *e)
{
    unsigned low = position_of_key(n, e->key), high;
    const uint32_t *str = texts ? xeno_strs(n) : NULL;

    if ((!texts && e->slot == 0) || low == n->n || n->key[low] != e->key)
        return low;
    high = low + keys_below(n->key + low, n->n - low, e->key + 1);
    if (e->key == UINT64_MAX)
        high = n->n;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        int c = texts ? compare_texts(f, e->key, str[mid], e) : 0;

        if (c < 0 || (c == 0 && n->slot[mid] < e->slot))
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

uint64_t xeno_tree_count(const struct xeno_node *root)
{
    return root ? root->total : 0;
}

/* The child in which `e`'s place is: the last one whose first entry stands before it. */
static unsigned step(const struct xeno_forest *f, const struct xeno_node *n, bool texts,
                     const struct xeno_entry *e)
{
    unsigned p = xeno_node_position(f, n, texts, e);

    return p > 0 ? p - 1 : 0;
}

void xeno_cursor_set(struct xeno_cursor *c, const struct xeno_node *root, bool texts, uint64_t rank)
{
    c->texts = texts;
    c->depth = -1;
    if (!root || rank >= root->total)
        return;
    for (const struct xeno_node *n = root;;) {
        unsigned at = (unsigned)rank;

        if (!n->leaf) {
            at = keys_below(xeno_inner(n)->before, n->n, rank + 1) - 1;
            rank -= xeno_inner(n)->before[at];
        }
        c->node[++c->depth] = n;
        c->at[c->depth] = at;
        if (n->leaf)
            return;
        n = xeno_inner(n)->child[at];
    }
}

bool xeno_cursor_get(const struct xeno_cursor *c, struct xeno_entry *ret)
{
    const struct xeno_node *n;
    unsigned at;

    if (c->depth < 0)
        return false;
    n = c->node[c->depth];
    at = c->at[c->depth];
    *ret = (struct xeno_entry){ .key = n->key[at],
                                .slot = n->slot[at],
                                .str = c->texts ? xeno_strs(n)[at] : 0 };
    return true;
}

/* From a leaf's end to the neighbour leaf, up and down again. */
static void turn(struct xeno_cursor *c, int by)
{
    int leaf = c->depth, up = leaf - 1;

    while (up >= 0 && (by > 0 ? c->at[up] + 1 == c->node[up]->n : c->at[up] == 0))
        up--;
    c->depth = -1;
    if (up < 0)
        return;
    c->at[up] += (unsigned)by;
    for (; up < leaf; up++) {
        c->node[up + 1] = xeno_inner(c->node[up])->child[c->at[up]];
        c->at[up + 1] = by > 0 ? 0 : c->node[up + 1]->n - 1u;
    }
    c->depth = leaf;
}

void xeno_cursor_next(struct xeno_cursor *c)
{
    if (c->depth < 0)
        return;
    if (++c->at[c->depth] == c->node[c->depth]->n)
        turn(c, 1);
}

void xeno_cursor_prev(struct xeno_cursor *c)
{
    if (c->depth < 0)
        return;
    if (c->at[c->depth]-- == 0)
        turn(c, -1);
}

/* Both go down together, so that one's memory comes while the other is searched. */
void xeno_tree_ranks(const struct xeno_forest *f, const struct xeno_node *root, bool texts,
                     const struct xeno_entry *low, const struct xeno_entry *high, uint64_t *ret_low,
                     uint64_t *ret_high, struct xeno_cursor *at, bool last)
{
    const struct xeno_node *a = root, *b = root;
    struct xeno_cursor unwanted;
    unsigned pa, pb;

    at = at ? at : &unwanted;
    at->texts = texts;
    at->depth = -1;
    *ret_low = *ret_high = 0;
    if (!root)
        return;
    while (!a->leaf) {
        unsigned ca = step(f, a, texts, low), cb;
        const struct xeno_inner *ia = xeno_inner(a), *ib = xeno_inner(b);

        xeno_node_prefetch(ia->child[ca]);
        cb = step(f, b, texts, high);
        xeno_node_prefetch(ib->child[cb]);
        at->node[++at->depth] = last ? b : a;
        at->at[at->depth] = last ? cb : ca;
        *ret_low += ia->before[ca];
        *ret_high += ib->before[cb];
        a = ia->child[ca];
        b = ib->child[cb];
    }
    pa = xeno_node_position(f, a, texts, low);
    pb = xeno_node_position(f, b, texts, high);
    *ret_low += pa;
    *ret_high += pb;
    at->node[++at->depth] = last ? b : a;
    at->at[at->depth] = last ? pb : pa;
    if (last)
        xeno_cursor_prev(at);
    else if (pa == a->n)
        turn(at, 1);
}
