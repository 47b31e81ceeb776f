/* src/xis/tree.c - adding and removing, on copies that readers do not see before the commit. */
#include <assert.h>
#include <string.h>

#include "xis/tree-priv.h"

#define FAN   XENO_TREE_FAN
#define SMALL (FAN / 4)     /* fewer entries than this: see whether a neighbour has room */
#define JOINT (FAN * 3 / 4) /* what two nodes that become one may have, so that it is not full */
#define STAMP ((UINT64_C(1) << 48) - 1) /* as many as a node's has: ages of commits */

void xeno_forest_init(struct xeno_forest *f, struct xeno_epoch *epoch,
                      const struct xeno_intern *intern)
{
    *f = (struct xeno_forest){ .epoch = epoch, .intern = intern, .stamp = 1 };
    for (size_t texts = 0; texts < 2; texts++) {
        size_t more = texts * sizeof(struct xeno_texts);

        xeno_slabs_init(&f->nodes[0][texts], sizeof(struct xeno_leafnode) + more);
        xeno_slabs_init(&f->nodes[1][texts], sizeof(struct xeno_inner) + more);
    }
}

void xeno_forest_release(struct xeno_forest *f)
{
    for (int i = 0; i < 4; i++)
        xeno_slabs_release(&f->nodes[i / 2][i % 2]);
}

size_t xeno_forest_bytes(const struct xeno_forest *f)
{
    size_t sum = 0;

    for (int i = 0; i < 4; i++)
        sum += f->nodes[i / 2][i % 2].bytes;
    return sum;
}

static struct xeno_node *node_new(struct xeno_forest *f, unsigned height, bool texts)
{
    struct xeno_node *n = xeno_slab_take(&f->nodes[height > 0][texts]);

    n->stamp = f->stamp & STAMP;
    n->n = 0;
    n->height = height & 0xff;
    memset(n->guide, 0xff, sizeof n->guide);
    memset(n->key, 0xff, sizeof n->key);
    if (height > 0)
        xeno_inner(n)->total = 0;
    return n;
}

static bool is_new(const struct xeno_forest *f, const struct xeno_node *n)
{
    return n->stamp == (f->stamp & STAMP);
}

static void drop_node(void *ctx, void *n)
{
    (void)ctx;
    xeno_slab_give(n);
}

/* It is in no tree any more: readers may still see it unless it is new. */
static void node_end(struct xeno_forest *f, struct xeno_node *n)
{
    if (is_new(f, n))
        xeno_slab_give(n);
    else
        xeno_epoch_retire(f->epoch, drop_node, NULL, n);
}

/* Move `count` entries (and children) from one node to another or within it. */
static void move(struct xeno_node *to, unsigned at, const struct xeno_node *from, unsigned first,
                 unsigned count, bool texts)
{
    memmove(to->key + at, from->key + first, count * sizeof to->key[0]);
    memmove(to->slot + at, from->slot + first, count * sizeof to->slot[0]);
    if (texts) {
        struct xeno_texts *t = xeno_texts(to), *o = xeno_texts(from);

        memmove(t->more + at, o->more + first, count * sizeof t->more[0]);
        memmove(t->str + at, o->str + first, count * sizeof t->str[0]);
    }
    if (to->height > 0)
        memmove(xeno_inner(to)->branch + at, xeno_inner(from)->branch + first,
                count * sizeof(struct xeno_branch));
}

/* The node has `n` entries now. */
static void resize(struct xeno_node *node, unsigned n)
{
    for (unsigned i = n; i < node->n; i++)
        node->key[i] = UINT64_MAX;
    node->n = n & 0xff;
    for (unsigned i = 0; i < XENO_NODE_GUIDE; i++)
        node->guide[i] = node->key[(i + 1) * XENO_NODE_LINE];
}

/* The node itself if it is new, else a copy in its place. */
static struct xeno_node *own(struct xeno_forest *f, struct xeno_node *n, bool texts)
{
    struct xeno_node *copy;

    if (is_new(f, n))
        return n;
    copy = xeno_slab_take(&f->nodes[n->height > 0][texts]);
    memcpy(copy, n,
           (n->height > 0 ? sizeof(struct xeno_inner) : sizeof(struct xeno_leafnode)) +
               (texts ? sizeof(struct xeno_texts) : 0));
    copy->stamp = f->stamp & STAMP;
    node_end(f, n);
    return copy;
}

static struct xeno_node *own_child(struct xeno_forest *f, struct xeno_node *n, unsigned c,
                                   bool texts)
{
    struct xeno_node *child = own(f, xeno_inner(n)->branch[c].child, texts);

    xeno_inner(n)->branch[c].child = child;
    return child;
}

/* Entry `at` of a node; resize() is to follow. */
static void set_entry(struct xeno_node *n, unsigned at, const struct xeno_entry *e, bool texts)
{
    n->key[at] = e->key;
    n->slot[at] = e->slot;
    if (texts) {
        xeno_texts(n)->more[at] = e->more;
        xeno_texts(n)->str[at] = e->str;
    }
}

/* The first entry beneath child `c`, as its parent has it; resize() is to follow. */
static void set_first(struct xeno_node *n, unsigned c, bool texts)
{
    const struct xeno_node *child = xeno_inner(n)->branch[c].child;

    n->key[c] = child->key[0];
    n->slot[c] = child->slot[0];
    if (texts) {
        xeno_texts(n)->more[c] = xeno_texts(child)->more[0];
        xeno_texts(n)->str[c] = xeno_texts(child)->str[0];
    }
}

/* Counts of the children from `c` on, after they moved. */
static void recount(struct xeno_node *n, unsigned c)
{
    struct xeno_branch *b = xeno_inner(n)->branch;
    uint64_t sum = c > 0 ? b[c - 1].before + xeno_node_total(b[c - 1].child) : 0;

    for (; c < n->n; c++) {
        b[c].before = sum;
        sum += xeno_node_total(b[c].child);
    }
    xeno_inner(n)->total = sum;
}

/* Give half of the full child `c`, the writer's own, to a new one after it; when what comes is at
 * its end, all stays, so that what is added in order fills its nodes. */
static void split(struct xeno_forest *f, struct xeno_node *n, unsigned c, bool at_end, bool texts)
{
    struct xeno_node *left = xeno_inner(n)->branch[c].child;
    struct xeno_node *right = node_new(f, left->height, texts);
    unsigned keep = at_end ? FAN - 1 : FAN / 2;

    move(right, 0, left, keep, FAN - keep, texts);
    resize(right, FAN - keep);
    resize(left, keep);
    if (left->height > 0) {
        recount(left, 0);
        recount(right, 0);
    }
    move(n, c + 2, n, c + 1, n->n - c - 1u, texts);
    xeno_inner(n)->branch[c + 1].child = right;
    set_first(n, c + 1, texts);
    resize(n, n->n + 1u);
    recount(n, c);
}

/* The child beneath which `e`, which is not there, would be. */
static unsigned child_of(const struct xeno_forest *f, const struct xeno_node *n, bool texts,
                         const struct xeno_entry *e)
{
    unsigned p = xeno_node_position(f, n, texts, e);

    return p > 0 ? p - 1 : 0;
}

/* A root over the full one, in two. */
static struct xeno_node *raise_root(struct xeno_forest *f, struct xeno_node *n, bool texts,
                                    const struct xeno_entry *e)
{
    struct xeno_node *top = node_new(f, n->height + 1u, texts);

    assert(top->height < XENO_TREE_DEPTH);
    xeno_inner(top)->branch[0].child = n;
    set_first(top, 0, texts);
    resize(top, 1);
    recount(top, 0);
    split(f, top, 0, xeno_node_position(f, n, texts, e) == FAN, texts);
    return top;
}

void xeno_tree_add(struct xeno_forest *f, struct xeno_tree *t, const struct xeno_entry *e)
{
    bool texts = t->texts;
    struct xeno_node *n = t->work ? own(f, t->work, texts) : node_new(f, 0, texts);
    unsigned p;

    if (n->n == FAN)
        n = raise_root(f, n, texts, e);
    t->work = n;
    while (n->height > 0) {
        unsigned c = child_of(f, n, texts, e);
        struct xeno_node *child = own_child(f, n, c, texts);

        if (child->n == FAN) {
            split(f, n, c, xeno_node_position(f, child, texts, e) == FAN, texts);
            c = child_of(f, n, texts, e);
            child = xeno_inner(n)->branch[c].child;
        }
        if (c == 0 && xeno_node_position(f, n, texts, e) == 0) {
            set_entry(n, 0, e, texts);
            resize(n, n->n);
        }
        for (unsigned i = c + 1; i < n->n; i++)
            xeno_inner(n)->branch[i].before++;
        xeno_inner(n)->total++;
        n = child;
    }
    p = xeno_node_position(f, n, texts, e);
    move(n, p + 1, n, p, n->n - p, texts);
    set_entry(n, p, e, texts);
    resize(n, n->n + 1u);
}

/* Two neighbours, of which the left one is the writer's own, become one. */
static void join(struct xeno_forest *f, struct xeno_node *n, unsigned left, bool texts)
{
    struct xeno_node *a = own_child(f, n, left, texts), *b = xeno_inner(n)->branch[left + 1].child;

    move(a, a->n, b, 0, b->n, texts);
    resize(a, a->n + b->n);
    if (a->height > 0)
        recount(a, 0);
    node_end(f, b);
    move(n, left + 1, n, left + 2, n->n - left - 2u, texts);
    resize(n, n->n - 1u);
    recount(n, left);
}

/* Child `c` lost an entry: it may be empty, small, or begin with another one. */
static void settle(struct xeno_forest *f, struct xeno_node *n, unsigned c, bool texts)
{
    const struct xeno_branch *b = xeno_inner(n)->branch;
    struct xeno_node *child = b[c].child;

    if (child->n == 0) {
        node_end(f, child);
        move(n, c, n, c + 1, n->n - c - 1u, texts);
        resize(n, n->n - 1u);
        return;
    }
    set_first(n, c, texts);
    resize(n, n->n);
    if (child->n >= SMALL)
        return;
    if (c + 1u < n->n && child->n + b[c + 1].child->n <= JOINT)
        join(f, n, c, texts);
    else if (c > 0 && child->n + b[c - 1].child->n <= JOINT)
        join(f, n, c - 1, texts);
}

/* Where it is; false: nowhere. */
static bool find(const struct xeno_forest *f, const struct xeno_tree *t, const struct xeno_entry *e,
                 struct xeno_cursor *ret)
{
    struct xeno_way w = { .border = *e };
    struct xeno_entry there;

    xeno_way_init(&w, t->work, t->texts);
    xeno_ways_go(f, &w, 1);
    xeno_cursor_move(&w.at, 0);
    *ret = w.at;
    return xeno_cursor_get(ret, &there) && there.key == e->key && there.slot == e->slot &&
           there.str == e->str;
}

bool xeno_tree_remove(struct xeno_forest *f, struct xeno_tree *t, const struct xeno_entry *e)
{
    struct xeno_node *path[XENO_TREE_DEPTH];
    bool texts = t->texts;
    struct xeno_cursor at;
    int depth = 0;
    unsigned p;

    if (!find(f, t, e, &at))
        return false;
    path[0] = t->work = own(f, t->work, texts);
    while (path[depth]->height > 0) {
        struct xeno_node *n = path[depth];
        unsigned c = at.at[depth++];

        path[depth] = own_child(f, n, c, texts);
        for (unsigned i = c + 1; i < n->n; i++)
            xeno_inner(n)->branch[i].before--;
        xeno_inner(n)->total--;
    }
    p = at.at[depth];
    move(path[depth], p, path[depth], p + 1, path[depth]->n - p - 1u, texts);
    resize(path[depth], path[depth]->n - 1u);
    while (--depth >= 0)
        settle(f, path[depth], at.at[depth], texts);
    while (t->work && (t->work->n == 0 || (t->work->height > 0 && t->work->n == 1))) {
        struct xeno_node *top = t->work;

        t->work = top->n == 0 ? NULL : xeno_inner(top)->branch[0].child;
        node_end(f, top);
    }
    return true;
}

void xeno_tree_warm(const struct xeno_forest *f, struct xeno_way *ways, size_t n)
{
    xeno_ways_go(f, ways, n);
    for (size_t i = 0; i < n; i++) {
        const struct xeno_cursor *c = &ways[i].at;
        size_t bytes = sizeof(struct xeno_leafnode) + (c->texts ? sizeof(struct xeno_texts) : 0);

        for (size_t at = 0; c->depth >= 0 && at < bytes; at += 64)
            __builtin_prefetch((const char *)c->node[c->depth] + at);
    }
}

void xeno_tree_commit(struct xeno_tree *t)
{
    atomic_store(&t->root, t->work);
}
