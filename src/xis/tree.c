/* src/xis/tree.c - adding and removing, on copies that readers do not see before the commit. */
#include <assert.h>
#include <string.h>

#include "xis/tree-priv.h"

#define FAN   XENO_TREE_FAN
#define SMALL (FAN / 4)     /* fewer entries than this: see whether a neighbour has room */
#define JOINT (FAN * 3 / 4) /* what two nodes that become one may have, so that it is not full */

static size_t node_bytes(bool leaf, bool texts)
{
    return (leaf ? sizeof(struct xeno_leafnode) : sizeof(struct xeno_inner)) +
           (texts ? FAN * sizeof(uint32_t) : 0);
}

static struct xeno_node *node_new(struct xeno_forest *f, bool leaf, bool texts)
{
    size_t bytes = node_bytes(leaf, texts);
    struct xeno_node *n = malloc(bytes);

    if (!n)
        abort();
    n->stamp = f->stamp;
    n->total = 0;
    n->n = 0;
    n->leaf = leaf;
    memset(n->key, 0xff, sizeof n->key);
    f->bytes += bytes;
    return n;
}

static void drop_node(void *ctx, void *n)
{
    (void)ctx;
    free(n);
}

/* It is in no tree any more: readers may still see it unless it is new. */
static void node_end(struct xeno_forest *f, struct xeno_node *n, bool texts)
{
    f->bytes -= node_bytes(n->leaf, texts);
    if (n->stamp == f->stamp)
        free(n);
    else
        xeno_epoch_retire(f->epoch, drop_node, NULL, n);
}

/* Move `count` entries (and children) from one node to another or within it. */
static void move(struct xeno_node *to, unsigned at, const struct xeno_node *from, unsigned first,
                 unsigned count, bool texts)
{
    memmove(to->key + at, from->key + first, count * sizeof to->key[0]);
    memmove(to->slot + at, from->slot + first, count * sizeof to->slot[0]);
    if (texts)
        memmove(xeno_strs(to) + at, xeno_strs(from) + first, count * sizeof(uint32_t));
    if (to->leaf)
        return;
    memmove(xeno_inner(to)->child + at, xeno_inner(from)->child + first,
            count * sizeof(struct xeno_node *));
    memmove(xeno_inner(to)->before + at, xeno_inner(from)->before + first,
            count * sizeof(uint64_t));
}

/* The node has `n` entries now, fewer than before. */
static void shrink(struct xeno_node *node, unsigned n)
{
    memset(node->key + n, 0xff, (node->n - n) * sizeof node->key[0]);
    node->n = (uint16_t)n;
}

/* The node itself if it is new, else a copy in its place. */
static struct xeno_node *own(struct xeno_forest *f, struct xeno_node *n, bool texts)
{
    struct xeno_node *copy;

    if (n->stamp == f->stamp)
        return n;
    copy = node_new(f, n->leaf, texts);
    copy->total = n->total;
    copy->n = n->n;
    move(copy, 0, n, 0, n->n, texts);
    node_end(f, n, texts);
    return copy;
}

static struct xeno_node *own_child(struct xeno_forest *f, struct xeno_node *n, unsigned c,
                                   bool texts)
{
    struct xeno_node *child = own(f, xeno_inner(n)->child[c], texts);

    xeno_inner(n)->child[c] = child;
    return child;
}

static void set_entry(struct xeno_node *n, unsigned at, const struct xeno_entry *e, bool texts)
{
    n->key[at] = e->key;
    n->slot[at] = e->slot;
    if (texts)
        xeno_strs(n)[at] = e->str;
}

/* The first entry beneath child `c`, as its parent has it. */
static void set_first(struct xeno_node *n, unsigned c, bool texts)
{
    const struct xeno_node *child = xeno_inner(n)->child[c];

    n->key[c] = child->key[0];
    n->slot[c] = child->slot[0];
    if (texts)
        xeno_strs(n)[c] = xeno_strs(child)[0];
}

/* Counts of the children from `c` on, after they moved. */
static void recount(struct xeno_node *n, unsigned c)
{
    struct xeno_inner *in = xeno_inner(n);
    uint64_t sum = c > 0 ? in->before[c - 1] + in->child[c - 1]->total : 0;

    for (; c < n->n; c++) {
        in->before[c] = sum;
        sum += in->child[c]->total;
    }
    n->total = sum;
}

/* Give half of the full child `c`, the writer's own, to a new one after it; when what comes is at
 * its end, all stays, so that what is added in order fills its nodes. */
static void split(struct xeno_forest *f, struct xeno_node *n, unsigned c, bool at_end, bool texts)
{
    struct xeno_node *left = xeno_inner(n)->child[c], *right = node_new(f, left->leaf, texts);
    unsigned keep = at_end ? FAN - 1 : FAN / 2;

    move(right, 0, left, keep, FAN - keep, texts);
    right->n = (uint16_t)(FAN - keep);
    shrink(left, keep);
    if (left->leaf) {
        right->total = right->n;
        left->total = left->n;
    } else {
        recount(left, 0);
        recount(right, 0);
    }
    move(n, c + 2, n, c + 1, n->n - c - 1, texts);
    n->n++;
    xeno_inner(n)->child[c + 1] = right;
    set_first(n, c + 1, texts);
    recount(n, c);
}

/* The child beneath which `e` is, or would be. */
static unsigned child_of(const struct xeno_forest *f, const struct xeno_node *n, bool texts,
                         const struct xeno_entry *e)
{
    unsigned p = xeno_node_position(f, n, texts, e);
    struct xeno_entry past = *e;

    if (p < n->n && n->key[p] == e->key) {
        past.slot++;
        p = xeno_node_position(f, n, texts, &past);
    }
    return p > 0 ? p - 1 : 0;
}

void xeno_tree_add(struct xeno_forest *f, struct xeno_tree *t, const struct xeno_entry *e)
{
    bool texts = t->texts;
    struct xeno_node *n = t->work ? own(f, t->work, texts) : node_new(f, true, texts);
    unsigned p;

    if (n->n == FAN) {
        struct xeno_node *top = node_new(f, false, texts);

        xeno_inner(top)->child[0] = n;
        top->n = 1;
        set_first(top, 0, texts);
        recount(top, 0);
        n = top;
        split(f, n, 0, xeno_node_position(f, xeno_inner(n)->child[0], texts, e) == FAN, texts);
    }
    t->work = n;
    while (!n->leaf) {
        unsigned c = child_of(f, n, texts, e);
        struct xeno_node *child = own_child(f, n, c, texts);

        if (child->n == FAN) {
            split(f, n, c, xeno_node_position(f, child, texts, e) == FAN, texts);
            c = child_of(f, n, texts, e);
            child = xeno_inner(n)->child[c];
        }
        if (c == 0 && xeno_node_position(f, n, texts, e) == 0)
            set_entry(n, 0, e, texts);
        for (unsigned i = c + 1; i < n->n; i++)
            xeno_inner(n)->before[i]++;
        n->total++;
        n = child;
    }
    p = xeno_node_position(f, n, texts, e);
    move(n, p + 1, n, p, n->n - p, texts);
    set_entry(n, p, e, texts);
    n->n++;
    n->total++;
}

/* Two neighbours, of which the left one is the writer's own, become one. */
static void join(struct xeno_forest *f, struct xeno_node *n, unsigned left, bool texts)
{
    struct xeno_inner *in = xeno_inner(n);
    struct xeno_node *a = own_child(f, n, left, texts), *b = in->child[left + 1];

    move(a, a->n, b, 0, b->n, texts);
    a->n = (uint16_t)(a->n + b->n);
    if (a->leaf)
        a->total = a->n;
    else
        recount(a, 0);
    node_end(f, b, texts);
    move(n, left + 1, n, left + 2, n->n - left - 2, texts);
    shrink(n, n->n - 1u);
    recount(n, left);
}

/* Child `c` lost an entry: it may be empty, small, or begin with another one. */
static void settle(struct xeno_forest *f, struct xeno_node *n, unsigned c, bool texts)
{
    struct xeno_inner *in = xeno_inner(n);
    struct xeno_node *child = in->child[c];

    if (child->n == 0) {
        node_end(f, child, texts);
        move(n, c, n, c + 1, n->n - c - 1, texts);
        shrink(n, n->n - 1u);
        return;
    }
    set_first(n, c, texts);
    if (child->n >= SMALL)
        return;
    if (c + 1u < n->n && child->n + in->child[c + 1]->n <= JOINT)
        join(f, n, c, texts);
    else if (c > 0 && child->n + in->child[c - 1]->n <= JOINT)
        join(f, n, c - 1, texts);
}

static bool is_there(const struct xeno_forest *f, const struct xeno_tree *t,
                     const struct xeno_entry *e)
{
    struct xeno_entry past = *e;
    uint64_t low, high;

    past.slot++;
    xeno_tree_ranks(f, t->work, t->texts, e, &past, &low, &high, NULL, false);
    return high == low + 1;
}

bool xeno_tree_remove(struct xeno_forest *f, struct xeno_tree *t, const struct xeno_entry *e)
{
    struct xeno_node *path[XENO_TREE_DEPTH];
    unsigned at[XENO_TREE_DEPTH], p;
    bool texts = t->texts;
    int depth = 0;

    if (!t->work || !is_there(f, t, e))
        return false;
    path[0] = t->work = own(f, t->work, texts);
    while (!path[depth]->leaf) {
        struct xeno_node *n = path[depth];
        unsigned c = child_of(f, n, texts, e);

        assert(depth + 1 < XENO_TREE_DEPTH);
        at[depth++] = c;
        path[depth] = own_child(f, n, c, texts);
        for (unsigned i = c + 1; i < n->n; i++)
            xeno_inner(n)->before[i]--;
        n->total--;
    }
    p = xeno_node_position(f, path[depth], texts, e);
    move(path[depth], p, path[depth], p + 1, path[depth]->n - p - 1, texts);
    shrink(path[depth], path[depth]->n - 1u);
    path[depth]->total--;
    while (--depth >= 0)
        settle(f, path[depth], at[depth], texts);
    while (t->work && (t->work->n == 0 || (!t->work->leaf && t->work->n == 1))) {
        struct xeno_node *top = t->work;

        t->work = top->n == 0 ? NULL : xeno_inner(top)->child[0];
        node_end(f, top, texts);
    }
    return true;
}

void xeno_tree_commit(struct xeno_tree *t)
{
    atomic_store(&t->root, t->work);
}

static void node_free(struct xeno_forest *f, struct xeno_node *n, bool texts)
{
    for (unsigned i = 0; !n->leaf && i < n->n; i++)
        node_free(f, xeno_inner(n)->child[i], texts);
    f->bytes -= node_bytes(n->leaf, texts);
    free(n);
}

void xeno_tree_free(struct xeno_forest *f, struct xeno_tree *t)
{
    if (t->work)
        node_free(f, t->work, t->texts);
    t->work = NULL;
}
