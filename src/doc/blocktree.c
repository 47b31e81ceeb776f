/* src/doc/blocktree.c - the Merkle tree over the blocks of an object, while it is read once.
 *
 * The proof of a block (RFC 9162 2.1.3) is the roots of ranges of leaves that lie beside its path.
 * Together with the block they cover the object from its first leaf to its last, so one running
 * root is enough: it starts over where a range begins.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "doc/storage.h"

struct range {
    int64_t from, to;
    size_t depth; /* of its root in the tree: the proof goes from the deepest up */
    struct xeno_hash root;
};

struct xeno_blocktree {
    int64_t size, had, leaf, block;
    struct range ranges[XENO_PROOF_MAX + 1]; /* by `from`; the block itself among them */
    size_t count, at;
    struct xeno_hash stack[XENO_PROOF_MAX]; /* roots of complete subtrees, the largest first */
    int heights[XENO_PROOF_MAX];
    size_t top;
    uint8_t buf[XENO_STORED_BLOCK];
    size_t filled, kept;
    uint8_t keep[XENO_STORED_BLOCK];
};

int64_t xeno_stored_blocks(int64_t size)
{
    return size / XENO_STORED_BLOCK + (size % XENO_STORED_BLOCK != 0);
}

static void add_range(struct xeno_blocktree *t, int64_t from, int64_t to, size_t depth)
{
    size_t i = t->count++;

    for (; i > 0 && t->ranges[i - 1].from > from; i--)
        t->ranges[i] = t->ranges[i - 1];
    t->ranges[i] = (struct range){ .from = from, .to = to, .depth = depth };
}

/* Walk down to the block; at each step the half it is not in is a range. */
static void plan(struct xeno_blocktree *t, int64_t leaves)
{
    int64_t from = 0, to = leaves;
    size_t depth = 1;

    if (t->block < 0) {
        add_range(t, 0, leaves, 1);
        return;
    }
    for (; to - from > 1; depth++) {
        int64_t half = 1;

        while (half * 2 < to - from)
            half *= 2;
        if (t->block < from + half) {
            add_range(t, from + half, to, depth);
            to = from + half;
        } else {
            add_range(t, from, from + half, depth);
            from += half;
        }
    }
    add_range(t, t->block, t->block + 1, depth);
}

int xeno_blocktree_new(int64_t size, int64_t block, struct xeno_blocktree **ret,
                       struct xeno_err *err)
{
    struct xeno_blocktree *t;

    if (size < 0 || size > XENO_STORED_MAX || block >= xeno_stored_blocks(size) || block < -1)
        return xeno_fail(err, -ERANGE, "log.range",
                         "an object of %" PRId64 " bytes has no block %" PRId64, size, block);
    t = xeno_new0(struct xeno_blocktree);
    t->size = size;
    t->block = block;
    plan(t, xeno_stored_blocks(size));
    *ret = t;
    return 0;
}

void xeno_blocktree_free(struct xeno_blocktree *t)
{
    free(t);
}

/* The root of what is on the stack: complete subtrees, each smaller than the one before. */
static void end_range(struct xeno_blocktree *t)
{
    struct xeno_hash root = t->stack[t->top - 1];

    for (size_t i = t->top - 1; i > 0; i--)
        root = xeno_hash_node(&t->stack[i - 1], &root);
    t->ranges[t->at++].root = root;
    t->top = 0;
}

static void add_leaf(struct xeno_blocktree *t)
{
    t->stack[t->top] = xeno_hash_leaf(t->buf, t->filled);
    t->heights[t->top++] = 0;
    while (t->top > 1 && t->heights[t->top - 1] == t->heights[t->top - 2]) {
        t->stack[t->top - 2] = xeno_hash_node(&t->stack[t->top - 2], &t->stack[t->top - 1]);
        t->heights[t->top - 2]++;
        t->top--;
    }
    if (t->leaf == t->block) {
        memcpy(t->keep, t->buf, t->filled);
        t->kept = t->filled;
    }
    t->filled = 0;
    t->leaf++;
    if (t->leaf == t->ranges[t->at].to)
        end_range(t);
}

void xeno_blocktree_add(struct xeno_blocktree *t, const void *data, size_t len)
{
    const uint8_t *from = data;

    if (__builtin_add_overflow(t->had, (int64_t)len, &t->had) || t->had > t->size) {
        t->had = INT64_MAX - XENO_STORED_MAX; /* too many: it stays so */
        return;
    }
    while (len > 0) {
        size_t n = XENO_STORED_BLOCK - t->filled < len ? XENO_STORED_BLOCK - t->filled : len;

        memcpy(t->buf + t->filled, from, n);
        t->filled += n;
        from += n;
        len -= n;
        if (t->filled == XENO_STORED_BLOCK)
            add_leaf(t);
    }
}

static void fill_proof(const struct xeno_blocktree *t, struct xeno_store_answer *ret)
{
    size_t most = 0;

    for (size_t i = 0; i < t->count; i++)
        if (t->ranges[i].depth > most)
            most = t->ranges[i].depth;
    ret->block = t->block;
    ret->len = t->kept;
    memcpy(ret->bytes, t->keep, t->kept);
    ret->proof.count = 0;
    for (size_t depth = most; depth > 0; depth--)
        for (size_t i = 0; i < t->count; i++)
            if (t->ranges[i].depth == depth && t->ranges[i].from != t->block)
                ret->proof.hashes[ret->proof.count++] = t->ranges[i].root;
}

/* From the roots of the ranges; the one of the block, deepest, is where it begins. */
static struct xeno_hash fold(const struct xeno_blocktree *t)
{
    struct xeno_hash root = xeno_hash_empty();
    int64_t from = 0;

    for (size_t i = 0; i < t->count; i++)
        if (t->block < 0 || t->ranges[i].from == t->block) {
            root = t->ranges[i].root;
            from = t->ranges[i].from;
        }
    for (size_t depth = t->count; t->block >= 0 && depth > 0; depth--)
        for (size_t i = 0; i < t->count; i++) {
            const struct range *r = &t->ranges[i];

            if (r->depth != depth || r->from == t->block)
                continue;
            root =
                r->from < from ? xeno_hash_node(&r->root, &root) : xeno_hash_node(&root, &r->root);
            from = r->from < from ? r->from : from;
        }
    return root;
}

int xeno_blocktree_end(struct xeno_blocktree *t, struct xeno_hash *ret_root,
                       struct xeno_store_answer *ret, struct xeno_err *err)
{
    if (t->had != t->size)
        return xeno_fail(err, -EINVAL, "storage.sum",
                         "the object has another size than %" PRId64 " bytes", t->size);
    if (t->filled > 0)
        add_leaf(t);
    *ret_root = t->size == 0 ? xeno_hash_empty() : fold(t);
    if (ret && t->block >= 0)
        fill_proof(t, ret);
    return 0;
}
