/* src/xis/tree-priv.h - a node of a tree, for the two files that know it. */
#ifndef XENO_XIS_TREE_PRIV_H
#define XENO_XIS_TREE_PRIV_H

#include "xis/tree.h"

struct xeno_node {
    uint64_t stamp; /* of the batch it was made in */
    uint64_t total; /* entries beneath */
    uint16_t n;
    bool leaf;
    /* Of the entries, or the first beneath each child; UINT64_MAX after the last, so that a search
     * takes the same steps in every node and the processor foretells them. */
    uint64_t key[XENO_TREE_FAN];
    uint32_t slot[XENO_TREE_FAN];
};

/* Each is followed by str[XENO_TREE_FAN] where the tree has texts. */
struct xeno_leafnode {
    struct xeno_node node;
    uint32_t str[];
};
struct xeno_inner {
    struct xeno_node node;
    struct xeno_node *child[XENO_TREE_FAN];
    uint64_t before[XENO_TREE_FAN]; /* entries in the children before this one */
    uint32_t str[];
};

static inline struct xeno_inner *xeno_inner(const struct xeno_node *n)
{
    return (struct xeno_inner *)n;
}

static inline uint32_t *xeno_strs(const struct xeno_node *n)
{
    return n->leaf ? ((struct xeno_leafnode *)n)->str : ((struct xeno_inner *)n)->str;
}

/* How many of a node's entries stand before `e`. */
unsigned xeno_node_position(const struct xeno_forest *f, const struct xeno_node *n, bool texts,
                            const struct xeno_entry *e);

/* Fetch what a search will touch; it comes while another node is searched. */
static inline void xeno_node_prefetch(const struct xeno_node *n)
{
    for (size_t i = 0; i < XENO_TREE_FAN; i += 8)
        __builtin_prefetch(&n->key[i]);
    __builtin_prefetch(n);
}

#endif
