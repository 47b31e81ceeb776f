/* src/rd/trips.c - round trips from one XenoServer to all others, and bounds on round trips.
 *
 * The map has one record a server, and walking over all of them waits for memory. What a prediction
 * needs therefore stands in columns of single precision, too, which the compiler reads several at a
 * time. That tells most servers apart; whatever is told of one, or is close to a bound, is worked
 * out by the map (rd_latency()).
 */
#include "rd/find-priv.h"

#include <math.h>
#include <string.h>

/* Single precision is off by less than this within the limits of coordinates. */
#define ROUGH_MS .02

/* --- the columns --- */

void rd_trips_grow(struct rd_trips *t, size_t from, size_t to)
{
    for (int k = 0; k < XENO_COORD_DIM; k++)
        t->x[k] = xeno_grow(t->x[k], to);
    t->height = xeno_grow(t->height, to);
    t->naming = xeno_grow(t->naming, to);
    t->named = xeno_grow(t->named, to);
    for (size_t i = from; i < to; i++) {
        for (int k = 0; k < XENO_COORD_DIM; k++)
            t->x[k][i] = 0;
        t->height[i] = INFINITY;
    }
    memset(t->naming + from, 0, (to - from) * sizeof(*t->naming));
    memset(t->named + from, 0, (to - from) * sizeof(*t->named));
}

void rd_trips_release(struct rd_trips *t, size_t room)
{
    for (size_t i = 0; i < room; i++) {
        free(t->naming[i].at);
        free(t->named[i].at);
    }
    for (int k = 0; k < XENO_COORD_DIM; k++)
        free(t->x[k]);
    free(t->height);
    free(t->naming);
    free(t->named);
}

/* As the map sees it now: who is doubted has none. */
static void place(struct xeno_rd *rd, uint32_t slot)
{
    const struct xeno_coord *c = xeno_near_map_at(rd->map, slot);
    struct rd_trips *t = &rd->trips;

    t->height[slot] = INFINITY;
    if (!c || !xeno_coord_useful(c))
        return;
    for (int k = 0; k < XENO_COORD_DIM; k++)
        t->x[k][slot] = (float)c->x[k];
    t->height[slot] = (float)c->height_ms;
}

static bool has(const struct rd_slots *s, uint32_t slot, size_t *ret)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->at[i] == slot) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static void drop(struct rd_slots *s, uint32_t slot)
{
    size_t at;

    if (has(s, slot, &at))
        s->at[at] = s->at[--s->count];
}

static bool is_named(const struct xeno_near_link *links, size_t n, uint32_t slot)
{
    for (size_t i = 0; i < n; i++) {
        if (links[i].to == slot)
            return true;
    }
    return false;
}

/* A group changes seldom, and then in part. */
static void name(struct rd_trips *t, uint32_t slot, const struct xeno_near_link *links, size_t n)
{
    struct rd_slots *named = &t->named[slot];
    size_t at;

    for (size_t i = named->count; i-- > 0;) {
        if (is_named(links, n, named->at[i]))
            continue;
        drop(&t->naming[named->at[i]], slot);
        named->at[i] = named->at[--named->count];
    }
    for (size_t i = 0; i < n; i++) {
        if (has(named, links[i].to, &at))
            continue;
        rd_slots_push(named, links[i].to);
        rd_slots_push(&t->naming[links[i].to], slot);
    }
}

/* What a server says is a reason to doubt those it speaks of, or to doubt them no longer. */
void rd_trips_set(struct xeno_rd *rd, uint32_t slot, const struct xeno_near_link *links, size_t n)
{
    name(&rd->trips, slot, links, n);
    place(rd, slot);
    for (size_t i = 0; i < n; i++)
        place(rd, links[i].to);
}

void rd_trips_clear(struct xeno_rd *rd, uint32_t slot)
{
    name(&rd->trips, slot, NULL, 0);
    place(rd, slot);
}

/* --- from one to all --- */

/* By coordinates, INFINITY: not known. */
static void predict(const struct rd_trips *t, uint32_t from, size_t n, float *restrict ret)
{
    const float *restrict x0 = t->x[0], *restrict x1 = t->x[1], *restrict x2 = t->x[2],
                          *restrict x3 = t->x[3], *restrict x4 = t->x[4],
                          *restrict height = t->height;
    const float f0 = x0[from], f1 = x1[from], f2 = x2[from], f3 = x3[from], f4 = x4[from];
    const float own = height[from], least = (float)XENO_COORD_MIN_MS;

    _Static_assert(XENO_COORD_DIM == 5, "one line for each");
    for (size_t i = 0; i < n; i++) {
        float sum = (x0[i] - f0) * (x0[i] - f0) + (x1[i] - f1) * (x1[i] - f1) +
                    (x2[i] - f2) * (x2[i] - f2) + (x3[i] - f3) * (x3[i] - f3) +
                    (x4[i] - f4) * (x4[i] - f4);
        float ms = sqrtf(sum) + height[i] + own;

        ret[i] = ms > least ? ms : least;
    }
}

static void exactly(const struct rd_find *f, size_t target, const uint32_t *slots, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct xeno_latency l = rd_latency(f, target, slots[i]);

        f->s->rough[target][slots[i]] = l.how == XENO_LATENCY_UNKNOWN ? INFINITY : l.ms;
    }
}

/* What either of two published goes before what coordinates say. */
static void from_server(const struct rd_find *f, size_t target, const uint32_t *slots, size_t n)
{
    const struct rd_trips *t = &f->rd->trips;
    uint32_t from = f->from[target];

    if (n < f->rd->used / 32) {
        exactly(f, target, slots, n);
        return;
    }
    predict(t, from, f->rd->used, f->s->rough[target]);
    exactly(f, target, t->named[from].at, t->named[from].count);
    exactly(f, target, t->naming[from].at, t->naming[from].count);
    exactly(f, target, &from, 1);
}

static void from_network(const struct rd_find *f, size_t target, const uint32_t *slots, size_t n)
{
    struct xeno_latency *all = f->s->latency[target], *packed = f->s->packed;

    for (size_t i = 0; i < n; i++)
        packed[i] = (struct xeno_latency){ NAN, NAN, NAN, XENO_LATENCY_UNKNOWN };
    if (*rd_target(f, target)->address && f->net && f->net->estimate)
        f->net->estimate(f->net->ctx, target, slots, n, packed);
    for (size_t i = 0; i < n; i++)
        all[slots[i]] = packed[i];
    exactly(f, target, slots, n);
}

struct xeno_latency rd_latency(const struct rd_find *f, size_t target, uint32_t slot)
{
    if (f->from[target] == slot) /* from a server to itself */
        return (struct xeno_latency){ 0, 0, 0, XENO_LATENCY_MEASURED };
    if (f->from[target] != RD_NO_SLOT)
        return xeno_near_map_rtt(f->rd->map, f->from[target], slot);
    return f->s->latency[target][slot];
}

/* Who stands at each target, as far as that is a XenoServer. */
static void resolve(struct rd_find *f)
{
    for (size_t i = 0; i < rd_targets(f); i++) {
        const struct xeno_rd_place *p = rd_target(f, i);
        uint32_t slot;
        bool known = *p->address ? f->net && f->net->server && f->net->server(f->net->ctx, i, &slot)
                                 : xeno_rd_slot(f->rd, &p->id, &slot);

        f->from[i] = known ? slot : RD_NO_SLOT;
    }
}

static void trips_to(const struct rd_find *f, size_t target, const uint32_t *slots, size_t n)
{
    if (f->from[target] != RD_NO_SLOT)
        from_server(f, target, slots, n);
    else
        from_network(f, target, slots, n);
}

/* --- bounds --- */

static inline bool at_most(uint64_t bits, size_t most)
{
    for (; most > 0 && bits; most--)
        bits &= bits - 1;
    return bits == 0;
}

/* The servers that fail at most so many constraints. */
static size_t near_enough(const struct rd_find *f, size_t most, uint32_t *ret)
{
    const uint64_t *no = f->s->no, *unknown = f->s->unknown;
    const uint32_t *live = f->s->live;
    size_t n = 0, count = f->s->live_count;

    for (size_t i = 0; i < count; i++) {
        uint32_t slot = live[i];

        ret[n] = slot;
        n += at_most(no[slot] | unknown[slot], most);
    }
    return n;
}

static void match_rtt(struct rd_find *f, const struct rd_test *t, const uint32_t *slots, size_t n)
{
    uint64_t bit = RD_BIT(t->c);
    const float *rough = f->s->rough[t->c - XENO_RD_C_RTT];
    double asked = (double)t->asked / 1000;

    for (size_t i = 0; i < n; i++) {
        double ms = rough[slots[i]];
        bool longer = ms > asked;

        if (fabs(ms - asked) <= ROUGH_MS)
            longer = rd_value(f, t, slots[i]) > (double)t->asked;
        f->s->unknown[slots[i]] |= ms == INFINITY ? bit : 0;
        f->s->no[slots[i]] |= ms < INFINITY && longer ? bit : 0;
    }
}

static void bounds(struct rd_find *f, size_t most)
{
    uint32_t *slots = f->s->order;

    for (size_t i = 0; i < f->test_count; i++) {
        size_t n;

        if (f->tests[i].c < XENO_RD_C_RTT)
            continue;
        n = near_enough(f, most, slots);
        trips_to(f, f->tests[i].c - XENO_RD_C_RTT, slots, n);
        match_rtt(f, &f->tests[i], slots, n);
    }
}

/* Bounds on round trips are the last constraints, and so are worked out for servers that fail one
 * other at most: who fails two fell to the first of them. Only where nothing matches, and a pair of
 * constraints may have to be relaxed, those that fail two are of interest. Without a bound a round
 * trip takes part in the ranking alone. */
void rd_trips(struct rd_find *f)
{
    uint32_t *slots = f->s->order;
    size_t n;

    resolve(f);
    bounds(f, 1);
    if (near_enough(f, 0, slots) == 0)
        bounds(f, 2);
    f->matched = n = near_enough(f, 0, slots);
    for (size_t i = 0; i < rd_targets(f); i++) {
        if (i >= f->req->near_count || f->req->near[i].rtt_max_us == 0)
            trips_to(f, i, slots, n);
    }
}
