/* src/xis/index.c - tokens, and what changes when an advert does: only what moved. */
#include <errno.h>
#include <string.h>

#include "xis/index-priv.h"

#define STEPS 32 /* values of an update that are fetched together */

static struct xeno_token **token_at(const struct xeno_index *ix, uint32_t i)
{
    return xeno_column_at(ix->tokens, i);
}

void xeno_index_init(struct xeno_index *ix, struct xeno_epoch *epoch, uint64_t seed,
                     size_t token_max)
{
    *ix = (struct xeno_index){ .epoch = epoch, .seed = seed, .token_max = token_max };
    xeno_intern_init(&ix->intern, epoch, seed);
    xeno_map_init(&ix->map, epoch);
    ix->tokens = xeno_column_new(sizeof(struct xeno_token *));
    xeno_forest_init(&ix->forest, epoch, &ix->intern);
    atomic_init(&ix->names, (struct xeno_names *)xeno_alloc0(1, sizeof(struct xeno_names)));
}

void xeno_index_release(struct xeno_index *ix)
{
    for (uint32_t i = 1; i < ix->tokens->count; i++)
        free(*token_at(ix, i));
    xeno_forest_release(&ix->forest);
    xeno_column_free(ix->tokens);
    xeno_map_release(&ix->map);
    xeno_intern_release(&ix->intern);
    free(atomic_load(&ix->names));
    free(ix->touched);
}

static bool same_path(const void *ctx, uint32_t i, const char *key, size_t len)
{
    const struct xeno_token *t = *token_at(ctx, i);

    return strncmp(t->path, key, len) == 0 && t->path[len] == '\0';
}

struct xeno_token *xeno_index_token(const struct xeno_index *ix, const char *path)
{
    size_t len = strlen(path);
    uint32_t i =
        xeno_map_find(&ix->map, xeno_map_hash(path, len, ix->seed), same_path, ix, path, len);

    return i == XENO_MAP_NONE ? NULL : *token_at(ix, i);
}

static void drop_plain(void *ctx, void *thing)
{
    (void)ctx;
    free(thing);
}

/* The list of names with `t` added, or without it. */
static void names_change(struct xeno_index *ix, struct xeno_token *t, bool add)
{
    struct xeno_names *old = atomic_load(&ix->names), *names;
    size_t low = 0, high = old->n, rest;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (strcmp(old->token[mid]->path, t->path) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    names = xeno_alloc0(1, sizeof *names + (old->n + add) * sizeof names->token[0]);
    names->n = add ? old->n + 1 : old->n - 1;
    memcpy(names->token, old->token, low * sizeof names->token[0]);
    rest = old->n - low - (add ? 0 : 1);
    memcpy(names->token + low + add, old->token + low + !add, rest * sizeof names->token[0]);
    if (add)
        names->token[low] = t;
    atomic_store(&ix->names, names);
    xeno_epoch_retire(ix->epoch, drop_plain, NULL, old);
}

static struct xeno_token *token_new(struct xeno_index *ix, const char *path, uint32_t maker)
{
    size_t len = strlen(path);
    struct xeno_token *t = xeno_alloc0(1, sizeof *t + len + 1);

    memcpy(t->path, path, len);
    t->texts.texts = true;
    t->maker = maker;
    t->hash = xeno_map_hash(path, len, ix->seed);
    t->id = xeno_column_take(ix->tokens);
    *token_at(ix, t->id) = t;
    xeno_map_add(&ix->map, t->hash, t->id);
    names_change(ix, t, true);
    ix->token_count++;
    return t;
}

static void drop_token(void *ctx, void *thing)
{
    struct xeno_index *ix = ctx;
    struct xeno_token *t = thing;

    *token_at(ix, t->id) = NULL;
    xeno_column_give(ix->tokens, t->id);
    free(t);
}

static void touch(struct xeno_index *ix, struct xeno_token *t)
{
    if (t->touched)
        return;
    if (ix->touched_len == ix->touched_room) {
        ix->touched_room = ix->touched_room ? ix->touched_room * 2 : 64;
        ix->touched = xeno_grow(ix->touched, ix->touched_room);
    }
    ix->touched[ix->touched_len++] = t;
    t->touched = true;
}

/* Its last cell is gone. Its trees are empty, or become so at the commit, before which nothing that
 * was retired is dropped. */
static void token_unref(struct xeno_index *ix, uint32_t i)
{
    struct xeno_token *t = *token_at(ix, i);

    if (--t->refs > 0)
        return;
    xeno_map_remove(&ix->map, t->hash, t->id);
    names_change(ix, t, false);
    ix->token_count--;
    if (t->maker != 0)
        ix->gone(ix->ctx, t->maker);
    xeno_epoch_retire(ix->epoch, drop_token, ix, t);
}

static void cell_unref(struct xeno_index *ix, uint32_t token, uint64_t value)
{
    if (token & XENO_CELL_TEXT)
        xeno_intern_unref(&ix->intern, (uint32_t)value);
    token_unref(ix, token & ~XENO_CELL_TEXT);
}

void xeno_index_cells_release(struct xeno_index *ix, struct xeno_cells *c)
{
    for (uint32_t i = 0; i < c->n; i++)
        cell_unref(ix, c->token[i], c->value[i]);
    c->n = 0;
}

/* Where a cell belongs is mostly at the end: documents name their tokens in one order. */
static void cell_insert(struct xeno_index *ix, struct xeno_cells *c, uint32_t token, uint64_t value)
{
    uint32_t i = c->n;

    while (i > 0 &&
           (c->token[i - 1] > token || (c->token[i - 1] == token && c->value[i - 1] > value)))
        i--;
    if (i > 0 && c->token[i - 1] == token && c->value[i - 1] == value) {
        cell_unref(ix, token, value);
        return;
    }
    memmove(c->token + i + 1, c->token + i, (c->n - i) * sizeof c->token[0]);
    memmove(c->value + i + 1, c->value + i, (c->n - i) * sizeof c->value[0]);
    c->token[i] = token;
    c->value[i] = value;
    c->n++;
}

/* Documents name tokens in one order, so the one after `last` is mostly what it was before. */
static struct xeno_token *token_after(const struct xeno_index *ix, struct xeno_token *last,
                                      const char *path)
{
    struct xeno_token *t = last && last->then != 0 ? *token_at(ix, last->then) : NULL;

    if (t && t->refs > 0 && strcmp(t->path, path) == 0)
        return t;
    t = xeno_index_token(ix, path);
    if (t && last)
        last->then = t->id;
    return t;
}

/* *ret: the last one, or NULL; becomes the one of `path`. */
static int token_for(struct xeno_index *ix, const char *path, uint32_t maker, size_t *may_make,
                     struct xeno_token **ret, struct xeno_err *err)
{
    struct xeno_token *t = token_after(ix, *ret, path);

    if (!t) {
        if (ix->token_count >= ix->token_max)
            return xeno_fail(err, -ENOSPC, "xis.full",
                             "token '%s' is new, and there are %zu already, as many as may be",
                             path, ix->token_count);
        if (*may_make == 0)
            return xeno_fail(err, -EDQUOT, "xis.quota",
                             "token '%s' is new, and its carrier has as many of its own as it may",
                             path);
        --*may_make;
        t = token_new(ix, path, maker);
    }
    t->refs++;
    *ret = t;
    return 0;
}

int xeno_index_cells(struct xeno_index *ix, const struct xeno_leaf *leaves, size_t n,
                     uint32_t maker, size_t may_make, struct xeno_cells *ret, struct xeno_err *err)
{
    size_t left = may_make;
    struct xeno_token *t = NULL;

    for (size_t i = 0; i < n; i++) {
        uint64_t value = leaves[i].number ? xeno_key_of_number(leaves[i].n) : 0;
        int r = token_for(ix, leaves[i].path, maker, &left, &t, err);

        if (r == 0 && !leaves[i].number) {
            value = xeno_intern_ref(&ix->intern, leaves[i].value);
            if (value == 0) {
                token_unref(ix, t->id);
                r = xeno_fail(err, -ENOSPC, "xis.full", "there are as many texts as may be");
            }
        }
        if (r < 0) {
            xeno_index_cells_release(ix, ret);
            return r;
        }
        cell_insert(ix, ret, t->id | (leaves[i].number ? 0 : XENO_CELL_TEXT), value);
    }
    return (int)(may_make - left);
}

static struct xeno_tree *tree_of(struct xeno_index *ix, uint32_t token)
{
    struct xeno_token *t = *token_at(ix, token & ~XENO_CELL_TEXT);

    touch(ix, t);
    return token & XENO_CELL_TEXT ? &t->texts : &t->numbers;
}

static struct xeno_entry entry_of(const struct xeno_index *ix, uint32_t slot, uint32_t token,
                                  uint64_t value)
{
    struct xeno_entry e = { .key = value, .slot = slot };

    if (token & XENO_CELL_TEXT) {
        xeno_entry_of_text(&e, xeno_intern_text(&ix->intern, (uint32_t)value));
        e.str = (uint32_t)value;
    }
    return e;
}

/* Order of two cells, with an end of either list after everything. */
static int compare(const struct xeno_cells *a, uint32_t i, const struct xeno_cells *b, uint32_t j)
{
    if (i == a->n || j == b->n)
        return i == a->n ? 1 : -1;
    if (a->token[i] != b->token[j])
        return a->token[i] < b->token[j] ? -1 : 1;
    return a->value[i] < b->value[j] ? -1 : a->value[i] > b->value[j];
}

/* One value that goes or comes. */
struct step {
    struct xeno_tree *tree;
    struct xeno_entry e;
    bool add;
};

/* All of an update wait for memory together. */
static void take_steps(struct xeno_index *ix, const struct step *s, size_t n)
{
    struct xeno_way way[STEPS];

    for (size_t i = 0; i < n; i++) {
        way[i].border = s[i].e;
        xeno_way_init(&way[i], s[i].tree->work, s[i].tree->texts);
    }
    xeno_tree_warm(&ix->forest, way, n);
    for (size_t i = 0; i < n; i++)
        if (s[i].add)
            xeno_tree_add(&ix->forest, s[i].tree, &s[i].e);
        else
            xeno_tree_remove(&ix->forest, s[i].tree, &s[i].e);
}

void xeno_index_change(struct xeno_index *ix, uint32_t slot, const struct xeno_cells *from,
                       const struct xeno_cells *to)
{
    struct step step[STEPS];
    uint32_t i = 0, j = 0;
    size_t n = 0;

    while (i < from->n || j < to->n) {
        int c = compare(from, i, to, j);

        if (c != 0) {
            const struct xeno_cells *of = c < 0 ? from : to;
            uint32_t k = c < 0 ? i : j;

            step[n++] = (struct step){ .tree = tree_of(ix, of->token[k]),
                                       .e = entry_of(ix, slot, of->token[k], of->value[k]),
                                       .add = c > 0 };
            ix->values += c > 0 ? 1 : UINT64_MAX;
        }
        i += c <= 0;
        j += c >= 0;
        if (n == STEPS) {
            take_steps(ix, step, n);
            n = 0;
        }
    }
    take_steps(ix, step, n);
}

void xeno_index_commit(struct xeno_index *ix)
{
    for (size_t i = 0; i < ix->touched_len; i++) {
        struct xeno_token *t = ix->touched[i];

        xeno_tree_commit(&t->numbers);
        xeno_tree_commit(&t->texts);
        t->touched = false;
    }
    ix->touched_len = 0;
    ix->forest.stamp++;
}
