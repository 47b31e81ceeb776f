/* src/xis/xis-read.c - what readers ask the store for, queries apart. */
#include "xis/xis-priv.h"

struct xeno_xis_reader *xeno_xis_reader_new(struct xeno_xis *x)
{
    struct xeno_mark *mark = xeno_epoch_join(x->epoch);
    struct xeno_xis_reader *r;

    if (!mark)
        return NULL;
    r = xeno_new0(struct xeno_xis_reader);
    r->x = x;
    r->mark = mark;
    return r;
}

void xeno_xis_reader_free(struct xeno_xis_reader *r)
{
    if (!r)
        return;
    xeno_epoch_part(r->mark);
    free(r);
}

void xeno_xis_enter(struct xeno_xis_reader *r)
{
    xeno_epoch_enter(r->x->epoch, r->mark);
}

void xeno_xis_leave(struct xeno_xis_reader *r)
{
    xeno_epoch_leave(r->mark);
}

static void name(const struct xeno_xis *x, struct xeno_hit *hits, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hits[i].id = xeno_slot_id(x, hits[i].slot);
}

size_t xeno_xis_lookup(struct xeno_xis_reader *r, const struct xeno_lookup *l, uint64_t *ret_total,
                       struct xeno_hit *hits)
{
    size_t n = xeno_index_lookup(&r->x->ix, l, ret_total, hits);

    name(r->x, hits, n);
    return n;
}

size_t xeno_xis_lookups(struct xeno_xis_reader *r, const struct xeno_lookup *l, size_t n,
                        struct xeno_found *found, struct xeno_hit *hits)
{
    size_t sum = xeno_index_lookups(&r->x->ix, &r->moment, l, n, found, hits);

    name(r->x, hits, sum);
    return sum;
}

static void describe(const struct xeno_xis *x, uint32_t slot, const struct xeno_record *rec,
                     struct xeno_xis_entry *ret)
{
    *ret = (struct xeno_xis_entry){ .id = xeno_slot_id(x, slot),
                                    .slot = slot,
                                    .state = rec->state,
                                    .version = rec->version,
                                    .seq = rec->seq,
                                    .expires = rec->expires,
                                    .jws = rec->jws,
                                    .delta = rec->delta,
                                    .kept = atomic_load(&rec->kept),
                                    .jws_len = rec->jws_len,
                                    .delta_len = rec->delta_len };
}

bool xeno_xis_get(struct xeno_xis_reader *r, const char *id, struct xeno_xis_entry *ret)
{
    uint32_t slot = xeno_slot_find(r->x, id);

    if (slot == XENO_MAP_NONE)
        return false;
    describe(r->x, slot, xeno_record_at(r->x, slot), ret);
    return true;
}

bool xeno_xis_entry(struct xeno_xis_reader *r, const struct xeno_hit *hit,
                    struct xeno_xis_entry *ret)
{
    const struct xeno_record *rec = xeno_record_at(r->x, hit->slot);

    if (rec->state != XENO_XIS_ALIVE)
        return false;
    describe(r->x, hit->slot, rec, ret);
    return true;
}

bool xeno_xis_value(struct xeno_xis_reader *r, const char *id, const char *token, size_t i,
                    struct xeno_query_value *ret)
{
    uint32_t slot = xeno_slot_find(r->x, id), number = xeno_token_number(r->x, token);
    const struct xeno_record *rec;
    uint32_t first, n;

    if (slot == XENO_MAP_NONE || number == 0)
        return false;
    rec = xeno_record_at(r->x, slot);
    first = xeno_record_cells(rec, number, &n);
    if (i >= n) {
        i -= n;
        number |= XENO_CELL_TEXT;
        first = xeno_record_cells(rec, number, &n);
    }
    if (i >= n)
        return false;
    *ret = xeno_index_value(&r->x->ix, number, rec->cells.value[first + i]);
    return true;
}

int64_t xeno_xis_seq(const struct xeno_xis_reader *r)
{
    return atomic_load(&r->x->seq);
}

void xeno_feed_from(const struct xeno_xis *x, const struct xeno_node *root, int64_t after,
                    struct xeno_cursor *ret)
{
    struct xeno_way w = { .border = { .key = after < 0 ? 0 : (uint64_t)after + 1 } };

    xeno_way_init(&w, root, false);
    xeno_ways_go(&x->ix.forest, &w, 1);
    xeno_cursor_move(&w.at, 0);
    *ret = w.at;
}

/* Entries are of one moment, records of now: one that changed meanwhile has a higher number, and
 * its place further on. */
size_t xeno_xis_changes(struct xeno_xis_reader *r, int64_t after, size_t limit,
                        struct xeno_xis_entry *entries, int64_t *ret_next, bool *ret_more)
{
    const struct xeno_node *root = xeno_tree_root(&r->x->feed);
    struct xeno_cursor c;
    struct xeno_entry e;
    size_t n = 0;

    *ret_next = after;
    xeno_feed_from(r->x, root, after, &c);
    for (; n < limit && xeno_cursor_get(&c, &e); xeno_cursor_next(&c)) {
        const struct xeno_record *rec = xeno_record_at(r->x, e.slot);

        *ret_next = (int64_t)e.key;
        if (rec->seq == (int64_t)e.key)
            describe(r->x, e.slot, rec, &entries[n++]);
    }
    *ret_more = xeno_cursor_get(&c, &e);
    return n;
}

size_t xeno_xis_tokens(struct xeno_xis_reader *r, const char *after, size_t limit,
                       struct xeno_token_info *ret)
{
    return xeno_index_tokens(&r->x->ix, after, limit, ret);
}
