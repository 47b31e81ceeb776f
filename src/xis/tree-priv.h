/* src/xis/tree-priv.h - a node of a tree, for the files that know it.
 *
 * A search reads three cache lines: the first, whose guide tells in which line of keys the place
 * is, that line, and the one of the child or of the slot. A leaf of numbers has 13 lines.
 */
#ifndef XENO_XIS_TREE_PRIV_H
#define XENO_XIS_TREE_PRIV_H

#include "xis/tree.h"

#define XENO_NODE_LINE  8 /* keys in a cache line */
#define XENO_NODE_GUIDE (XENO_TREE_FAN / XENO_NODE_LINE - 1)

struct xeno_node {
    uint64_t stamp : 48; /* of the batch it was made in */
    uint64_t n : 8;
    uint64_t height : 8;             /* 0: a leaf */
    uint64_t guide[XENO_NODE_GUIDE]; /* the first key of each line but the first */
    /* Of the entries, or the first beneath each child; UINT64_MAX after the last, so that a search
     * takes the same steps in every node and the processor foretells them. */
    uint64_t key[XENO_TREE_FAN];
    uint32_t slot[XENO_TREE_FAN];
};

/* What a node has besides where the tree has texts. */
struct xeno_texts {
    uint64_t more[XENO_TREE_FAN];
    uint32_t str[XENO_TREE_FAN];
};

struct xeno_branch {
    struct xeno_node *child;
    uint64_t before; /* entries in the children before this one */
};

struct xeno_leafnode {
    struct xeno_node node;
    struct xeno_texts texts[]; /* one or none */
};
struct xeno_inner {
    struct xeno_node node;
    struct xeno_branch branch[XENO_TREE_FAN];
    uint64_t total; /* entries beneath */
    struct xeno_texts texts[];
};

static inline struct xeno_inner *xeno_inner(const struct xeno_node *n)
{
    return (struct xeno_inner *)n;
}

static inline struct xeno_texts *xeno_texts(const struct xeno_node *n)
{
    return n->height == 0 ? ((struct xeno_leafnode *)n)->texts : ((struct xeno_inner *)n)->texts;
}

static inline uint64_t xeno_node_total(const struct xeno_node *n)
{
    return n->height == 0 ? n->n : xeno_inner(n)->total;
}

/* How many of a node's entries stand before `e`. */
unsigned xeno_node_position(const struct xeno_forest *f, const struct xeno_node *n, bool texts,
                            const struct xeno_entry *e);

#endif
