/* src/xis/tree-read.c - places of values and values at places. */
#include <string.h>

#include "xis/tree-priv.h"

static uint64_t bytes_of_text(const char *text, size_t len)
{
    unsigned char b[8] = { 0 };
    uint64_t key = 0;

    memcpy(b, text, len < sizeof b ? len : sizeof b);
    for (size_t i = 0; i < sizeof b; i++)
        key = key << 8 | b[i];
    return key;
}

uint64_t xeno_key_of_text(const char *text)
{
    return bytes_of_text(text, strnlen(text, 8));
}

void xeno_entry_of_text(struct xeno_entry *e, const char *text)
{
    size_t len = strnlen(text, 16);

    e->key = bytes_of_text(text, len);
    e->more = len > 8 ? bytes_of_text(text + 8, len - 8) : 0;
}

/* --- in a node --- */

/* In which line of keys is the first one that is not below `key`? Or after it. */
static unsigned line_of(const struct xeno_node *n, uint64_t key)
{
    unsigned line = 0;

    for (unsigned i = 0; i < XENO_NODE_GUIDE; i++)
        line += n->guide[i] < key;
    return line;
}

static unsigned position_in(const struct xeno_node *n, unsigned line, uint64_t key)
{
    const uint64_t *k = n->key + line * XENO_NODE_LINE;
    unsigned below = line * XENO_NODE_LINE;

    for (unsigned i = 0; i < XENO_NODE_LINE; i++)
        below += k[i] < key;
    return below;
}

static unsigned position_of_key(const struct xeno_node *n, uint64_t key)
{
    return position_in(n, line_of(n, key), key);
}

/* Texts whose first 16 bytes are equal. A text that ends within them is all there. */
static int compare_texts(const struct xeno_forest *f, uint32_t str, const struct xeno_entry *e)
{
    if ((e->key & 0xff) == 0 || (e->more & 0xff) == 0 || (e->str != 0 && str == e->str))
        return 0;
    return strcmp(xeno_intern_text(f->intern, str),
                  e->text ? e->text : xeno_intern_text(f->intern, e->str));
}

/* Of entry `at`, whose key is equal: below zero when it stands before `e`. */
static int compare_rest(const struct xeno_forest *f, const struct xeno_node *n, unsigned at,
                        const struct xeno_entry *e)
{
    const struct xeno_texts *t = xeno_texts(n);
    int c;

    if (t->more[at] != e->more)
        return t->more[at] < e->more ? -1 : 1;
    c = compare_texts(f, t->str[at], e);
    if (c != 0)
        return c;
    return n->slot[at] < e->slot ? -1 : n->slot[at] > e->slot;
}

/* How many of sorted slots are below `slot`; without a branch that could be foretold wrongly. */
static unsigned slots_below(const uint32_t *s, unsigned n, uint32_t slot)
{
    const uint32_t *base = s;

    while (n > 1) {
        unsigned half = n / 2;

        base += half & -(unsigned)(base[half - 1] < slot);
        n -= half;
    }
    return (unsigned)(base - s) + (*base < slot);
}

/* The same where keys alone may not tell. */
static unsigned position_among(const struct xeno_forest *f, const struct xeno_node *n, bool texts,
                               const struct xeno_entry *e, unsigned low)
{
    unsigned high = n->n;

    if (low == high || n->key[low] != e->key)
        return low;
    if (e->key < UINT64_MAX)
        high = position_of_key(n, e->key + 1);
    if (!texts)
        return low + slots_below(n->slot + low, high - low, e->slot);
    while (low < high) {
        unsigned mid = (low + high) / 2;

        if (compare_rest(f, n, mid, e) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

unsigned xeno_node_position(const struct xeno_forest *f, const struct xeno_node *n, bool texts,
                            const struct xeno_entry *e)
{
    unsigned p = position_of_key(n, e->key);

    return !texts && e->slot == 0 ? p : position_among(f, n, texts, e, p);
}

uint64_t xeno_tree_count(const struct xeno_node *root)
{
    return root ? xeno_node_total(root) : 0;
}

/* --- cursors --- */

/* The branch beneath which the entry of that rank is. */
static unsigned branch_of_rank(const struct xeno_node *n, uint64_t rank)
{
    const struct xeno_branch *b = xeno_inner(n)->branch;
    unsigned low = 0;

    for (unsigned left = n->n; left > 1;) {
        unsigned half = left / 2;

        low += half & -(unsigned)(b[low + half].before <= rank);
        left -= half;
    }
    return low;
}

/* Down from the node at `depth`, in which `rank` is, to the leaf, which is not touched yet. */
static void sink(struct xeno_cursor *c, int depth, uint64_t rank)
{
    const struct xeno_node *n = c->node[depth];

    for (unsigned height = n->height; height > 0; height--) {
        unsigned at = branch_of_rank(n, rank);
        const struct xeno_branch *b = &xeno_inner(n)->branch[at];

        rank -= b->before;
        c->at[depth++] = (uint8_t)at;
        c->node[depth] = n = b->child;
    }
    c->at[depth] = (uint8_t)rank;
    c->depth = (int8_t)depth;
}

void xeno_cursor_set(struct xeno_cursor *c, const struct xeno_node *root, bool texts, uint64_t rank)
{
    c->texts = texts;
    c->depth = -1;
    if (rank >= xeno_tree_count(root))
        return;
    c->node[0] = root;
    sink(c, 0, rank);
}

/* Up until the node has it, and down again. */
static void move_far(struct xeno_cursor *c, int64_t to)
{
    int up = c->depth;

    while (to < 0 || (uint64_t)to >= xeno_node_total(c->node[up])) {
        if (up == 0) {
            c->depth = -1;
            return;
        }
        up--;
        to += (int64_t)xeno_inner(c->node[up])->branch[c->at[up]].before;
    }
    sink(c, up, (uint64_t)to);
}

void xeno_cursor_move(struct xeno_cursor *c, int64_t by)
{
    int64_t to;

    if (c->depth < 0)
        return;
    to = c->at[c->depth] + by;
    if (to >= 0 && to < (int64_t)c->node[c->depth]->n)
        c->at[c->depth] = (uint8_t)to;
    else
        move_far(c, to);
}

/* A leaf's entries, told by its parent. */
static unsigned leaf_count(const struct xeno_inner *parent, unsigned c)
{
    uint64_t end = c + 1u < parent->node.n ? parent->branch[c + 1].before : parent->total;

    return (unsigned)(end - parent->branch[c].before);
}

/* Entries `from` to `to`, which are close to each other. */
static void fetch(const struct xeno_node *n, bool texts, unsigned from, unsigned to)
{
    __builtin_prefetch(n);
    __builtin_prefetch(&n->slot[from]);
    __builtin_prefetch(&n->slot[to]);
    if (texts) {
        __builtin_prefetch(&xeno_texts(n)->str[from]);
        return;
    }
    __builtin_prefetch(&n->key[from]);
    __builtin_prefetch(&n->key[to]);
}

void xeno_cursor_fetch(const struct xeno_cursor *c, bool back, size_t count)
{
    int leaf = c->depth;
    unsigned at = c->at[leaf], last = at, up, n;
    const struct xeno_inner *parent;

    if (leaf == 0)
        return;
    parent = xeno_inner(c->node[leaf - 1]);
    up = c->at[leaf - 1];
    n = leaf_count(parent, up);
    last = back ? (count > at ? 0 : at + 1 - (unsigned)count)
                : (count > n - at ? n - 1 : at + (unsigned)count - 1);
    fetch(c->node[leaf], c->texts, at, last);
    if (back && count > at + 1u && up > 0)
        fetch(parent->branch[up - 1].child, c->texts, leaf_count(parent, up - 1) - 1, 0);
    else if (!back && count > n - at && up + 1u < parent->node.n)
        fetch(parent->branch[up + 1].child, c->texts, 0, 0);
}

bool xeno_cursor_get(const struct xeno_cursor *c, struct xeno_entry *ret)
{
    const struct xeno_node *n;
    unsigned at;

    if (c->depth < 0)
        return false;
    n = c->node[c->depth];
    at = c->at[c->depth];
    *ret = (struct xeno_entry){ .key = n->key[at], .slot = n->slot[at] };
    if (c->texts) {
        ret->more = xeno_texts(n)->more[at];
        ret->str = xeno_texts(n)->str[at];
    }
    return true;
}

/* --- ways --- */

/* The node's guide tells which of its lines is needed. */
static void way_guide(struct xeno_way *w)
{
    const struct xeno_node *n = w->at.node[w->at.depth];

    w->line = line_of(n, w->border.key);
    __builtin_prefetch(n->key + w->line * XENO_NODE_LINE);
    if (!w->plain && w->at.texts)
        __builtin_prefetch(xeno_texts(n)->more + w->line * XENO_NODE_LINE);
}

/* To the child whose first entry is the last one before the border, or to the place in the leaf. */
static void way_step(const struct xeno_forest *f, struct xeno_way *w)
{
    struct xeno_cursor *c = &w->at;
    const struct xeno_node *n = c->node[c->depth];
    const struct xeno_branch *b;
    unsigned p = position_in(n, w->line, w->border.key);

    if (!w->plain)
        p = position_among(f, n, c->texts, &w->border, p);
    if (n->height == 0) {
        c->at[c->depth] = (uint8_t)p;
        w->rank += p;
        return;
    }
    p -= p > 0;
    b = &xeno_inner(n)->branch[p];
    c->at[c->depth++] = (uint8_t)p;
    c->node[c->depth] = b->child;
    w->rank += b->before;
    __builtin_prefetch(b->child);
}

void xeno_ways_go(const struct xeno_forest *f, struct xeno_way *ways, size_t n)
{
    int depth = -1, most = 0;

    for (; depth < most;) {
        depth++;
        for (size_t i = 0; i < n; i++)
            if (ways[i].at.depth == depth)
                way_guide(&ways[i]);
        for (size_t i = 0; i < n; i++)
            if (ways[i].at.depth == depth) {
                way_step(f, &ways[i]);
                most = ways[i].at.depth > most ? ways[i].at.depth : most;
            }
    }
}
