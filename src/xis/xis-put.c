/* src/xis/xis-put.c - how an advert comes in, takes another's place, and is forgotten. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "xis/kept.h"
#include "xis/xis-priv.h"

/* What is kept in a database came from any node: the leases of its older versions are not known. */
#define KEPT_S (XENO_ADVERT_LEASE_S + 2 * XENO_ADVERT_SKEW_S)

static const struct xeno_cells no_cells;

static bool same_id(const void *ctx, uint32_t slot, const char *key, size_t len)
{
    return memcmp(xeno_slot_id(ctx, slot), key, len) == 0;
}

uint32_t xeno_slot_find(const struct xeno_xis *x, const char *id)
{
    if (strnlen(id, XENO_ID_CHARS) < XENO_ID_CHARS)
        return XENO_MAP_NONE;
    return xeno_map_find(&x->map, xeno_map_hash(id, XENO_ID_CHARS, x->seed), same_id, x, id,
                         XENO_ID_CHARS);
}

int64_t xeno_xis_version(const struct xeno_xis *x, const char *id)
{
    uint32_t slot = xeno_slot_find(x, id);

    return slot == XENO_MAP_NONE ? 0 : xeno_record_at(x, slot)->version;
}

static size_t record_bytes(const struct xeno_record *r)
{
    return sizeof *r + r->cells.n * (sizeof r->cells.value[0] + sizeof r->cells.token[0]);
}

/* With a copy of the cells, whose references become its own. */
struct xeno_record *xeno_record_new(const struct xeno_cells *cells)
{
    struct xeno_record *r =
        xeno_alloc0(1, sizeof *r + cells->n * (sizeof cells->value[0] + sizeof cells->token[0]));

    r->cells.n = cells->n;
    r->cells.value = (uint64_t *)(r + 1);
    r->cells.token = (uint32_t *)(r->cells.value + cells->n);
    if (cells->n > 0) {
        memcpy(r->cells.value, cells->value, cells->n * sizeof cells->value[0]);
        memcpy(r->cells.token, cells->token, cells->n * sizeof cells->token[0]);
    }
    return r;
}

static void drop_record(void *ctx, void *thing)
{
    struct xeno_record *r = thing;

    (void)ctx;
    free(r->jws);
    free(r->delta);
    free(r);
}

/* Count a record in (1) or out (-1) of the store's sums. */
static void count(struct xeno_xis *x, const struct xeno_record *r, int by)
{
    size_t n = (size_t)by;

    *(r->state == XENO_XIS_ALIVE ? &x->alive : &x->dead) += n;
    x->text_bytes += n * ((size_t)r->jws_len + r->delta_len);
    x->record_bytes += n * record_bytes(r);
    if (by > 0)
        xeno_account_add(x, r);
    else
        xeno_account_drop(x, r);
}

static void feed_remove(struct xeno_xis *x, uint32_t slot, int64_t seq)
{
    struct xeno_entry e = { .key = (uint64_t)seq, .slot = slot };

    xeno_tree_remove(&x->ix.forest, &x->feed, &e);
}

/* The old record's cells are let go when no reader can see it: they name its texts. References are
 * of the writer, so they are dropped at once, and the texts themselves wait in the epoch. */
static void record_end(struct xeno_xis *x, struct xeno_record *old)
{
    count(x, old, -1);
    xeno_index_cells_release(&x->ix, &(struct xeno_cells){ .n = old->cells.n,
                                                           .value = old->cells.value,
                                                           .token = old->cells.token });
    xeno_epoch_retire(x->epoch, drop_record, NULL, old);
}

void xeno_record_replace(struct xeno_xis *x, uint32_t slot, struct xeno_record *r)
{
    struct xeno_slot *s = xeno_slot_at(x, slot);
    struct xeno_record *old = atomic_load(&s->record);
    struct xeno_entry e = { .slot = slot };

    r->seq = ++x->next_seq;
    e.key = (uint64_t)r->seq;
    count(x, r, 1);
    atomic_store(&s->record, r);
    xeno_index_change(&x->ix, slot, old ? &old->cells : &no_cells, &r->cells);
    if (old) {
        feed_remove(x, slot, old->seq);
        xeno_kept_drop(x, slot, old);
        record_end(x, old);
    }
    xeno_tree_add(&x->ix.forest, &x->feed, &e);
    xeno_kept_add(x, slot, r);
    xeno_due_set(x, slot);
}

static void drop_slot(void *ctx, void *thing)
{
    struct xeno_xis *x = ctx;
    uint32_t slot = (uint32_t)(uintptr_t)thing;

    atomic_store(&xeno_slot_at(x, slot)->record, NULL);
    xeno_column_give(x->slots, slot);
    xeno_column_give(x->ids, slot);
}

void xeno_record_forget(struct xeno_xis *x, uint32_t slot)
{
    struct xeno_slot *s = xeno_slot_at(x, slot);
    struct xeno_record *old = atomic_load(&s->record);

    xeno_watch_forget(x, slot);
    xeno_due_remove(x, slot);
    feed_remove(x, slot, old->seq);
    xeno_kept_drop(x, slot, old);
    xeno_map_remove(&x->map, s->hash, slot);
    record_end(x, old);
    /* After the record, which its drop is not to find freed. */
    xeno_epoch_retire(x->epoch, drop_slot, x, (void *)(uintptr_t)slot);
}

void xeno_xis_show(struct xeno_xis *x)
{
    if (x->bulk)
        return;
    xeno_tree_commit(&x->feed);
    xeno_tree_commit(&x->kept);
    xeno_index_commit(&x->ix);
    atomic_store(&x->seq, x->next_seq);
    xeno_epoch_tick(x->epoch);
}

void xeno_xis_bulk_begin(struct xeno_xis *x)
{
    x->bulk = true;
}

void xeno_xis_bulk_end(struct xeno_xis *x)
{
    x->bulk = false;
    xeno_xis_show(x);
}

/* A slot for an id that has none; both columns give the same numbers, since both are always asked
 * together. */
static int slot_new(struct xeno_xis *x, const struct xeno_id *id, uint32_t *ret,
                    struct xeno_err *err)
{
    uint32_t slot = 0;

    if (x->alive + x->dead < x->limits.ids)
        slot = xeno_column_take(x->slots);
    if (slot == 0)
        return xeno_fail(err, -ENOSPC, "xis.full", "%zu ids are known here, as many as may be",
                         x->alive + x->dead);
    xeno_column_take(x->ids);
    *(struct xeno_id *)xeno_column_at(x->ids, slot) = *id;
    if (slot >= atomic_load(&x->slot_top))
        atomic_store(&x->slot_top, slot + 1);
    xeno_slot_at(x, slot)->hash = xeno_map_hash(id->s, XENO_ID_CHARS, x->seed);
    *ret = slot;
    return 0;
}

int xeno_fail_old(const struct xeno_advert *a, int64_t known, struct xeno_err *err)
{
    return xeno_fail(err, -EEXIST, "xis.old",
                     "version %" PRId64 " is not higher than %" PRId64 ", which is known",
                     a->version, known);
}

/* What is to be known before anything is changed. */
static int check(struct xeno_xis *x, const struct xeno_advert *a, const struct xeno_record *old,
                 const struct xeno_xis_carrier *c, uint32_t number, bool *ret_over,
                 struct xeno_err *err)
{
    xeno_time now = xeno_wall(x->env);
    int r;

    if (old && a->version <= old->version)
        return xeno_fail_old(a, old->version, err);
    *ret_over = a->expires.ns <= now.ns;
    if (!c)
        return 0;
    r = xeno_advert_timely(a, now, err);
    if (r < 0)
        return r;
    return xeno_account_check(x, c, number, strcmp(c->id, a->id.s) == 0, a->jws_len + a->delta_len,
                              old, err);
}

/* The record of an advert, with its texts; `old`: what it replaces. */
static struct xeno_record *record_of(struct xeno_xis *x, struct xeno_advert *a,
                                     const struct xeno_cells *cells, bool over,
                                     const struct xeno_record *old)
{
    struct xeno_record *r = xeno_record_new(cells);
    xeno_time now = xeno_wall(x->env);

    r->state = a->withdrawn ? XENO_XIS_WITHDRAWN : over ? XENO_XIS_EXPIRED : XENO_XIS_ALIVE;
    r->version = a->version;
    r->expires = r->until = a->expires;
    if (old && old->until.ns > r->until.ns)
        r->until = old->until;
    if (r->state != XENO_XIS_ALIVE) {
        xeno_time remember = xeno_time_add(now, xeno_s(XENO_XIS_REMEMBER_S));

        if (r->until.ns < remember.ns)
            r->until = remember;
    }
    if (r->state == XENO_XIS_EXPIRED)
        return r;
    r->jws_len = (uint32_t)a->jws_len;
    r->delta_len = (uint32_t)a->delta_len;
    r->jws = xeno_take(&a->jws);
    r->delta = xeno_take(&a->delta);
    return r;
}

/* The cells of what is to be found; none of what is not. */
static int cells_of(struct xeno_xis *x, const struct xeno_advert *a,
                    const struct xeno_xis_carrier *c, uint32_t number, struct xeno_cells *ret,
                    struct xeno_err *err)
{
    size_t may_make = SIZE_MAX;

    if (c) {
        const struct xeno_account *acc = xeno_account_at(x, number);

        may_make = c->bounds.tokens > acc->tokens ? c->bounds.tokens - acc->tokens : 0;
    }
    return xeno_index_cells(&x->ix, a->leaves, a->leaf_count, number, may_make, ret, err);
}

/* kept: below zero, nobody keeps it. */
static int put(struct xeno_xis *x, struct xeno_advert *taken, const struct xeno_xis_carrier *c,
               int64_t kept, int64_t *ret_seq, struct xeno_err *err)
{
    xeno_auto(xeno_advert) a = taken;
    uint64_t values[XENO_ADVERT_LEAVES];
    uint32_t tokens[XENO_ADVERT_LEAVES], number = c ? xeno_account_of(x, c->id) : 0;
    struct xeno_cells cells = { .value = values, .token = tokens };
    uint32_t slot = xeno_slot_find(x, a->id.s);
    const struct xeno_record *old = slot == XENO_MAP_NONE ? NULL : xeno_record_at(x, slot);
    struct xeno_record *rec;
    bool over = false;
    int r;

    r = check(x, a, old, c, number, &over, err);
    if (r == 0 && !a->withdrawn && !over)
        r = cells_of(x, a, c, number, &cells, err);
    if (r < 0)
        return r;
    if (number != 0)
        xeno_account_at(x, number)->tokens += (size_t)r;
    if (!old) {
        r = slot_new(x, &a->id, &slot, err);
        if (r < 0) {
            xeno_index_cells_release(&x->ix, &cells);
            return r;
        }
    }
    rec = record_of(x, a, &cells, over, old);
    rec->carrier = number;
    rec->own = c && strcmp(c->id, a->id.s) == 0;
    rec->kept = kept < 0 ? 0 : kept;
    if (kept >= 0 && rec->until.ns < rec->expires.ns + xeno_s(KEPT_S).ns)
        rec->until = xeno_time_add(rec->expires, xeno_s(KEPT_S));
    xeno_record_replace(x, slot, rec);
    if (!old)
        xeno_map_add(&x->map, xeno_slot_at(x, slot)->hash, slot);
    if (ret_seq)
        *ret_seq = rec->seq;
    xeno_xis_show(x);
    return 0;
}

int xeno_xis_put(struct xeno_xis *x, struct xeno_advert *taken, const struct xeno_xis_carrier *c,
                 int64_t *ret_seq, struct xeno_err *err)
{
    return put(x, taken, c, -1, ret_seq, err);
}

int xeno_kept_put(struct xeno_xis *x, struct xeno_advert *taken, const struct xeno_xis_carrier *c,
                  int64_t kept, struct xeno_err *err)
{
    return put(x, taken, c, kept, NULL, err);
}
