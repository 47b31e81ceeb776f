/* src/xis/kept.c - changes by the numbers of the database that keeps them. */
#include "xis/kept.h"

#include "xis/xis-priv.h"

static struct xeno_entry entry_of(uint32_t slot, int64_t kept)
{
    return (struct xeno_entry){ .key = (uint64_t)kept, .slot = slot };
}

void xeno_kept_add(struct xeno_xis *x, uint32_t slot, const struct xeno_record *r)
{
    struct xeno_entry e = entry_of(slot, atomic_load(&r->kept));

    if (e.key > 0)
        xeno_tree_add(&x->ix.forest, &x->kept, &e);
}

void xeno_kept_drop(struct xeno_xis *x, uint32_t slot, const struct xeno_record *r)
{
    struct xeno_entry e = entry_of(slot, atomic_load(&r->kept));

    if (e.key > 0)
        xeno_tree_remove(&x->ix.forest, &x->kept, &e);
}

void xeno_kept_number(struct xeno_xis *x, const char *id, int64_t version, int64_t kept)
{
    uint32_t slot = xeno_slot_find(x, id);
    struct xeno_record *r = slot == XENO_MAP_NONE ? NULL : xeno_record_at(x, slot);

    if (!r || r->version != version || atomic_load(&r->kept) == kept)
        return;
    xeno_kept_drop(x, slot, r);
    atomic_store(&r->kept, kept);
    xeno_kept_add(x, slot, r);
    xeno_xis_show(x);
}

void xeno_kept_through(struct xeno_xis *x, int64_t kept)
{
    atomic_store(&x->through, kept);
}

void xeno_kept_restart(struct xeno_xis *x)
{
    atomic_store(&x->through, 0);
    for (uint32_t slot = 1; slot < atomic_load(&x->slot_top); slot++) {
        struct xeno_record *r = xeno_record_at(x, slot);

        if (!r || atomic_load(&r->kept) == 0)
            continue;
        xeno_kept_drop(x, slot, r);
        atomic_store(&r->kept, 0);
    }
    xeno_xis_show(x);
}

int64_t xeno_kept_seq(const struct xeno_xis_reader *r)
{
    return atomic_load(&r->x->through);
}

size_t xeno_kept_changes(struct xeno_xis_reader *r, int64_t after, size_t limit,
                         struct xeno_xis_entry *entries, int64_t *ret_next, bool *ret_more)
{
    int64_t through = xeno_kept_seq(r); /* before the root: what it counts is in that */
    const struct xeno_node *root = xeno_tree_root(&r->x->kept);
    struct xeno_cursor c;
    struct xeno_entry e;
    bool more = false;
    size_t n = 0;

    *ret_next = after;
    xeno_feed_from(r->x, root, after, &c);
    for (; (more = xeno_cursor_get(&c, &e) && (int64_t)e.key <= through) && n < limit;
         xeno_cursor_next(&c)) {
        *ret_next = (int64_t)e.key;
        if (xeno_xis_get(r, xeno_slot_id(r->x, e.slot), &entries[n]) &&
            entries[n].kept == (int64_t)e.key)
            n++;
    }
    if (!more && through > *ret_next)
        *ret_next = through; /* numbers that nothing has any more */
    *ret_more = more;
    return n;
}
