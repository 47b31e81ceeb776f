/* src/xis/tree.h - an ordered tree that knows how many entries stand before each, and that is read
 * while it is written.
 *
 * A B+-tree of entries (key, text, slot) in that order. Keys are 64 bits: a number folded so that
 * it sorts as an integer, or the first 8 bytes of a text; of a text the next 8 bytes stand beside
 * it, and its rest is compared by its interned form where all those are equal. Inner nodes have the
 * first entry of each child and the number of entries before it, so that the place of any value,
 * and the value at any place, are one descent.
 *
 * What readers see is never changed: the writer copies the nodes from the root to the leaf it
 * changes (once between two commits, however much it changes there) and then replaces the root.
 * Readers are inside the epoch.
 */
#ifndef XENO_XIS_TREE_H
#define XENO_XIS_TREE_H

#include "base/slab.h"
#include "xis/intern.h"

#define XENO_TREE_FAN   64 /* entries of a node, at most */
#define XENO_TREE_DEPTH 12 /* levels, at most: 20 entries a node on average would fill 2^50 */

struct xeno_node;

/* What trees of one store share. */
struct xeno_forest {
    struct xeno_epoch *epoch;
    const struct xeno_intern *intern;
    uint64_t stamp; /* of nodes made since the last commit: the writer may change those */
    struct xeno_slabs nodes[2][2]; /* leaves and inner ones, without and with texts */
};
void xeno_forest_init(struct xeno_forest *f, struct xeno_epoch *epoch,
                      const struct xeno_intern *intern);
/* With all trees; no reader is left, and nothing of it is retired. */
void xeno_forest_release(struct xeno_forest *f);
size_t xeno_forest_bytes(const struct xeno_forest *f);

struct xeno_tree {
    _Atomic(struct xeno_node *) root; /* readers' */
    struct xeno_node *work;           /* the writer's; the same after a commit */
    bool texts;                       /* entries have a text */
};

/* An entry, or a border between entries: slot 0 is before, UINT32_MAX after all of equal value. */
struct xeno_entry {
    uint64_t key, more; /* more: of texts, the 8 bytes after the key's */
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
/* Both keys of the entry from its text. */
void xeno_entry_of_text(struct xeno_entry *e, const char *text);

/* --- writer --- */

/* Not there yet, and its text (if any) outlives it in the tree. */
void xeno_tree_add(struct xeno_forest *f, struct xeno_tree *t, const struct xeno_entry *e);
/* False: it is not there. */
bool xeno_tree_remove(struct xeno_forest *f, struct xeno_tree *t, const struct xeno_entry *e);
/* Show it to readers. When all changed trees are shown: f->stamp++ and tick the epoch. */
void xeno_tree_commit(struct xeno_tree *t);

struct xeno_way;
/* Fetch what adding or removing the borders of these ways will touch. */
void xeno_tree_warm(const struct xeno_forest *f, struct xeno_way *ways, size_t n);

/* --- reading: a root is of one moment --- */

static inline const struct xeno_node *xeno_tree_root(const struct xeno_tree *t)
{
    return atomic_load(&t->root);
}

uint64_t xeno_tree_count(const struct xeno_node *root); /* NULL: 0 */
/* A place in a tree: an entry, or past the last one. */
struct xeno_cursor {
    const struct xeno_node *node[XENO_TREE_DEPTH];
    uint8_t at[XENO_TREE_DEPTH];
    int8_t depth; /* of the leaf; -1: past either end */
    bool texts;
};
/* At the entry before which `rank` entries stand. */
void xeno_cursor_set(struct xeno_cursor *c, const struct xeno_node *root, bool texts,
                     uint64_t rank);
/* So many entries on, or back. */
void xeno_cursor_move(struct xeno_cursor *c, int64_t by);
/* The entry under it; false past either end. */
bool xeno_cursor_get(const struct xeno_cursor *c, struct xeno_entry *ret);
static inline void xeno_cursor_next(struct xeno_cursor *c)
{
    xeno_cursor_move(c, 1);
}

/* A border's way down a tree. */
struct xeno_way {
    struct xeno_entry border;
    bool plain;            /* between two keys: all entries of the border's key stand after it */
    unsigned line;         /* of keys, in the node it is at */
    uint64_t rank;         /* how many entries stand before it */
    struct xeno_cursor at; /* the first one after it, once it is moved by 0 */
};
static inline void xeno_way_init(struct xeno_way *w, const struct xeno_node *root, bool texts)
{
    w->plain = !texts && w->border.slot == 0;
    w->rank = 0;
    w->at.texts = texts;
    w->at.depth = root ? 0 : -1;
    w->at.node[0] = root;
}
/* Fetch what reading `count` entries from here on (back: towards the first) will touch. */
void xeno_cursor_fetch(const struct xeno_cursor *c, bool back, size_t count);
/* Go down all of them side by side: while one waits for memory the others are searched. Their
 * trees may be different ones. */
void xeno_ways_go(const struct xeno_forest *f, struct xeno_way *ways, size_t n);

#endif
