/* src/xis/xis-query.c - queries: what the cover has is looked at once, the first of all are kept.
 */
#include <errno.h>
#include <string.h>

#include "xis/xis-priv.h"

/* Units of work that adverts with many values may cost beyond their number. */
#define UNITS 8
#define AHEAD 16 /* records that are fetched together */
#define CELLS 64 /* of a record, so many */

/* A match, by what it is ordered by. */
struct match {
    bool has;          /* the token it is ordered by */
    uint32_t token;    /* and XENO_CELL_TEXT */
    uint64_t key, raw; /* the value as the tree, and as the record has it */
    uint32_t slot;
};

/* The first `room` of all matches so far, as a heap whose top is the last of them. */
struct best {
    const struct xeno_xis *x;
    bool desc;
    struct match *m;
    size_t n, room, allocated;
};

static int compare_values(const struct xeno_xis *x, const struct match *a, const struct match *b)
{
    bool text = a->token & XENO_CELL_TEXT;

    if (text != !!(b->token & XENO_CELL_TEXT))
        return text ? 1 : -1;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    if (!text || a->raw == b->raw)
        return 0;
    return strcmp(xeno_intern_text(&x->ix.intern, (uint32_t)a->raw),
                  xeno_intern_text(&x->ix.intern, (uint32_t)b->raw));
}

/* Below zero: a comes before b. */
static int compare(const struct best *b, const struct match *m, const struct match *o)
{
    int c = 0;

    if (m->has != o->has)
        return m->has ? -1 : 1;
    if (m->has)
        c = compare_values(b->x, m, o);
    if (c != 0)
        return b->desc ? -c : c;
    return memcmp(xeno_slot_id(b->x, m->slot), xeno_slot_id(b->x, o->slot), XENO_ID_CHARS);
}

static void sift_down(struct best *b, size_t i)
{
    for (;;) {
        size_t last = i;
        struct match m;

        for (size_t c = 2 * i + 1; c <= 2 * i + 2 && c < b->n; c++)
            if (compare(b, &b->m[c], &b->m[last]) > 0)
                last = c;
        if (last == i)
            return;
        m = b->m[i];
        b->m[i] = b->m[last];
        b->m[last] = m;
        i = last;
    }
}

static void keep(struct best *b, const struct match *m)
{
    size_t i = b->n;

    if (b->n == b->room) {
        if (b->room == 0 || compare(b, m, &b->m[0]) > 0)
            return;
        b->m[0] = *m;
        sift_down(b, 0);
        return;
    }
    if (b->n == b->allocated) {
        b->allocated = b->allocated ? b->allocated * 2 : 64;
        b->m = xeno_grow(b->m, b->allocated);
    }
    b->m[b->n++] = *m;
    while (i > 0 && compare(b, &b->m[i], &b->m[(i - 1) / 2]) > 0) {
        struct match up = b->m[(i - 1) / 2];

        b->m[(i - 1) / 2] = b->m[i];
        b->m[i] = up;
        i = (i - 1) / 2;
    }
}

/* In order, the last to the end first: what is left is the heap. */
static void sort(struct best *b)
{
    size_t n = b->n;

    while (b->n > 1) {
        struct match m = b->m[0];

        b->m[0] = b->m[--b->n];
        b->m[b->n] = m;
        sift_down(b, 0);
    }
    b->n = n;
}

/* The value it is ordered by: of a set the one that comes first in that direction. */
static void set_value(const struct best *b, const struct xeno_record *r, uint32_t token,
                      struct match *m)
{
    for (int pass = 0; pass < 2 && !m->has; pass++) {
        bool text = (pass == 1) != b->desc;
        uint32_t t = token | (text ? XENO_CELL_TEXT : 0), n;
        uint32_t first = xeno_record_cells(r, t, &n);

        for (uint32_t i = 0; i < n; i++) {
            struct match o = { .has = true, .token = t, .raw = r->cells.value[first + i] };
            int c;

            o.slot = m->slot;
            o.key = text ? xeno_key_of_text(xeno_intern_text(&b->x->ix.intern, (uint32_t)o.raw))
                         : o.raw;
            c = m->has ? compare_values(b->x, &o, m) : 0;
            if (!m->has || (b->desc ? c > 0 : c < 0))
                *m = o;
        }
    }
}

/* One query while it runs. */
struct run {
    struct xeno_view view;
    struct best best;
    const struct xeno_xis_ask *ask;
    uint32_t order; /* the token's number; 0: none, or no advert has it */
    size_t work;
    uint64_t *seen; /* a bit a slot */
    struct xeno_xis_answer *ret;
};

/* A slot and the record it has. */
struct seen {
    uint32_t slot;
    const struct xeno_record *record;
};

static void look(struct run *q, const struct seen *s)
{
    const struct xeno_record *r = s->record;
    struct match m = { .slot = s->slot };

    q->ret->looked++;
    q->view.record = r;
    if (r->state != XENO_XIS_ALIVE ||
        (q->ask->where && xeno_query_eval(q->ask->where, xeno_view_value, &q->view) != XENO_TRUE))
        return;
    q->ret->total++;
    if (q->order != 0)
        set_value(&q->best, r, q->order, &m);
    keep(&q->best, &m);
}

/* Slots, records and cells lie anywhere: those of several are fetched before the first is looked
 * at. False: the work is over. */
static bool look_at_all(struct run *q, struct seen *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        __builtin_prefetch(xeno_slot_at(q->view.x, s[i].slot));
    for (size_t i = 0; i < n; i++) {
        s[i].record = xeno_record_at(q->view.x, s[i].slot);
        __builtin_prefetch(s[i].record);
        __builtin_prefetch(&s[i].record->cells);
    }
    for (size_t i = 0; i < n; i++) {
        const struct xeno_cells *c = &s[i].record->cells;

        for (uint32_t at = 0; at < c->n && at < CELLS; at += 8)
            __builtin_prefetch(&c->value[at]);
        for (uint32_t at = 0; at < c->n && at < CELLS; at += 16)
            __builtin_prefetch(&c->token[at]);
    }
    for (size_t i = 0; i < n; i++) {
        if (q->ret->looked >= q->work || q->view.units / UNITS >= q->work)
            return false;
        look(q, &s[i]);
    }
    return true;
}

/* Look at what a span has, each slot once in all. False: the work is over. */
static bool walk(struct run *q, const struct xeno_span *s)
{
    struct seen some[AHEAD];
    struct xeno_cursor c;
    struct xeno_entry e;
    uint64_t left = s->high - s->low;
    size_t n = 0;

    xeno_cursor_set(&c, s->root, s->texts, s->low);
    for (; left > 0 && xeno_cursor_get(&c, &e); left--, xeno_cursor_next(&c)) {
        uint64_t bit = UINT64_C(1) << e.slot % 64;

        if (q->seen[e.slot / 64] & bit)
            continue;
        q->seen[e.slot / 64] |= bit;
        some[n++].slot = e.slot;
        if (n < AHEAD)
            continue;
        if (!look_at_all(q, some, n))
            return false;
        n = 0;
    }
    return look_at_all(q, some, n);
}

static void answer(struct run *q, struct xeno_hit *hits)
{
    const struct xeno_xis *x = q->view.x;

    sort(&q->best);
    for (size_t i = q->ask->place; i < q->best.n; i++) {
        const struct match *m = &q->best.m[i];
        struct xeno_hit *h = &hits[q->ret->count++];

        *h = (struct xeno_hit){ .slot = m->slot, .id = xeno_slot_id(x, m->slot) };
        if (m->has)
            h->value = xeno_index_value(&x->ix, m->token, m->raw);
        else if (!q->ask->order)
            h->value.text = h->id;
    }
}

int xeno_xis_query(struct xeno_xis_reader *r, const struct xeno_xis_ask *ask,
                   struct xeno_xis_answer *ret, struct xeno_hit *hits, struct xeno_err *err)
{
    xeno_autofree struct xeno_cover *cover = NULL;
    struct run q = { .ask = ask, .ret = ret, .work = ask->work ? ask->work : XENO_XIS_WORK };

    if (ask->limit > XENO_XIS_LIMIT)
        return xeno_fail(err, -EINVAL, "query.limit", "limit %zu is over %d", ask->limit,
                         XENO_XIS_LIMIT);
    if (ask->place > XENO_XIS_REACH - ask->limit)
        return xeno_fail(err, -EINVAL, "query.reach",
                         "place and limit come to more than %d: use a narrower query",
                         XENO_XIS_REACH);
    *ret = (struct xeno_xis_answer){ .exact = true };
    cover = malloc(sizeof *cover);
    if (!cover)
        abort();
    xeno_cover_of(cover, r->x, ask->where);
    q.view.x = q.best.x = r->x;
    if (ask->where)
        xeno_view_init(&q.view, r->x, ask->where);
    q.order = ask->order ? xeno_token_number(r->x, ask->order) : 0;
    q.best.desc = ask->desc;
    q.best.room = ask->limit > 0 ? ask->place + ask->limit : 0;
    /* After the cover: no slot in it is new to this. */
    q.seen = xeno_new0_n(uint64_t, atomic_load(&r->x->slot_top) / 64 + 1);
    for (size_t i = 0; i < cover->n && ret->exact; i++)
        ret->exact = walk(&q, &cover->span[i]);
    answer(&q, hits);
    free(q.best.m);
    free(q.seen);
    return 0;
}
