/* src/xis/tree.h - an ordered tree that knows how many entries stand before each, and that is read
 * while it is written.
 *
 * A B+-tree of entries (key, text, slot) in that order. Keys are 64 bits: a number folded so that
 * it sorts as an integer, or the first 8 bytes of a text, whose rest is compared by its interned
 * form where those bytes are equal. Inner nodes have the first entry of each child and the number
 * of entries before it, so that the place of any value, and the value at any place, are one
 * descent.
 *
 * What readers see is never changed: the writer copies the nodes from the root to the leaf it
 * changes (once between two commits, however much it changes there) and then replaces the root.
 * Readers are inside the epoch.
 */
#ifndef XENO_XIS_TREE_H
#define XENO_XIS_TREE_H

#include "xis/intern.h"

#define XENO_TREE_FAN   64 /* entries of a node, at most */
#define XENO_TREE_DEPTH 12 /* levels, at most: 20 entries a node on average would fill 2^50 */

struct xeno_node;

/* What trees of one store share. */
struct xeno_forest {
    struct xeno_epoch *epoch;
    const struct xeno_intern *intern;
    uint64_t stamp; /* of nodes made since the last commit: the writer may change those */
    size_t bytes;   /* of all nodes */
};

struct xeno_tree {
    _Atomic(struct xeno_node *) root; /* readers' */
    struct xeno_node *work;           /* the writer's; the same after a commit */
    bool texts;                       /* entries have a text */
};

/* An entry, or a border between entries: slot 0 is before, UINT32_MAX after all of equal value. */
struct xeno_entry {
    uint64_t key;
    uint32_t slot;
    uint32_t str;     /* the text's number; 0: there is none, or it is not interned */
    const char *text; /* of a border; of an entry NULL (its str is it) */
};

/* --- keys --- */

/* Order of numbers as order of integers; -0 is 0. */
static inline uint64_t xeno_key_of_number(double n)
{
    uint64_t u;

    n += 0.0; /* -0 becomes 0 */
    __builtin_memcpy(&u, &n, sizeof u);
    return u >> 63 ? ~u : u | UINT64_C(1) << 63;
}

static inline double xeno_number_of_key(uint64_t key)
{
    double n;

    key = key >> 63 ? key & ~(UINT64_C(1) << 63) : ~key;
    __builtin_memcpy(&n, &key, sizeof n);
    return n;
}

uint64_t xeno_key_of_text(const char *text); /* its first 8 bytes */

/* --- writer --- */

void xeno_tree_free(struct xeno_forest *f, struct xeno_tree *t); /* no reader is left */
/* Not there yet, and its text (if any) outlives it in the tree. */
void xeno_tree_add(struct xeno_forest *f, struct xeno_tree *t, const struct xeno_entry *e);
/* False: it is not there. */
bool xeno_tree_remove(struct xeno_forest *f, struct xeno_tree *t, const struct xeno_entry *e);
/* Show it to readers. When all changed trees are shown: f->stamp++ and tick the epoch. */
void xeno_tree_commit(struct xeno_tree *t);

/* --- reading: a root is of one moment --- */

static inline const struct xeno_node *xeno_tree_root(const struct xeno_tree *t)
{
    return atomic_load(&t->root);
}

uint64_t xeno_tree_count(const struct xeno_node *root); /* NULL: 0 */
/* A place in a tree. */
struct xeno_cursor {
    const struct xeno_node *node[XENO_TREE_DEPTH];
    unsigned at[XENO_TREE_DEPTH];
    int depth; /* of the leaf; -1: past the end */
    bool texts;
};
/* How many entries stand before each of two borders. Of one border also the place, since whoever
 * counts mostly reads there next: `at` (NULL: not wanted) is set to the first entry after the lower
 * border or, with `last`, to the last one before the upper. */
void xeno_tree_ranks(const struct xeno_forest *f, const struct xeno_node *root, bool texts,
                     const struct xeno_entry *low, const struct xeno_entry *high, uint64_t *ret_low,
                     uint64_t *ret_high, struct xeno_cursor *at, bool last);
/* At the entry before which `rank` entries stand. */
void xeno_cursor_set(struct xeno_cursor *c, const struct xeno_node *root, bool texts,
                     uint64_t rank);
/* The entry under it; false past either end. */
bool xeno_cursor_get(const struct xeno_cursor *c, struct xeno_entry *ret);
void xeno_cursor_next(struct xeno_cursor *c);
void xeno_cursor_prev(struct xeno_cursor *c);

#endif
