/* src/rd/map.c - what servers publish about themselves and one another, by slot. */
#include "rd/nearest.h"

#include <math.h>
#include <string.h>

struct server {
    bool placed;
    struct xeno_coord at;
    double differs;               /* from what others say, the middle; 0: nobody does */
    bool doubted;                 /* what it says of itself does not fit: nothing of it is used */
    struct xeno_near_link *links; /* ascending by `to` */
    size_t link_count;
    uint64_t named[4];            /* bits of their `to`: most questions end here */
    struct xeno_near_link *heard; /* what others say of it, as they come */
    size_t heard_count;
};

/* A server is doubted when what it publishes is off, in the middle, from what others say of the
 * same round trips: by DOUBT_TIMES as much as is usual among those it speaks of, but never by less
 * than DOUBT_LEAST of them nor only by more than DOUBT. Where hardly anybody speaks of the same,
 * what its own coordinate would have them be must do, which never is exact: DOUBT. */
#define FEW         4
#define DOUBT       .3
#define DOUBT_LEAST .12
#define DOUBT_TIMES 2

struct xeno_near_map {
    struct server *servers;
    size_t count;
};

struct xeno_near_map *xeno_near_map_new(void)
{
    return xeno_new0(struct xeno_near_map);
}

void xeno_near_map_free(struct xeno_near_map *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->count; i++) {
        free(m->servers[i].links);
        free(m->servers[i].heard);
    }
    free(m->servers);
    free(m);
}

static struct server *room(struct xeno_near_map *m, uint32_t slot)
{
    if (slot >= m->count) {
        size_t count = ((size_t)slot + 1) * 5 / 4 + 16;

        m->servers = xeno_grow(m->servers, count);
        memset(m->servers + m->count, 0, (count - m->count) * sizeof *m->servers);
        m->count = count;
    }
    return &m->servers[slot];
}

static bool rtt_ok(double ms)
{
    return isfinite(ms) && ms > 0 && ms <= XENO_COORD_MAX_MS;
}

static int by_to(const void *a, const void *b)
{
    const struct xeno_near_link *x = a, *y = b;

    return x->to < y->to ? -1 : x->to > y->to;
}

static bool may_name(const struct server *s, uint32_t slot)
{
    return s->named[slot >> 6 & 3] >> (slot & 63) & 1;
}

/* What `a` says of its round trip to `b`; 0 when it says nothing. */
static double said(const struct xeno_near_map *m, uint32_t a, uint32_t b)
{
    struct xeno_near_link key = { .to = b }, *l;

    if (a >= m->count || !may_name(&m->servers[a], b))
        return 0;
    l = bsearch(&key, m->servers[a].links, m->servers[a].link_count, sizeof key, by_to);
    return l ? l->rtt_ms : 0;
}

/* The same, of one that is not doubted. */
static double trusted(const struct xeno_near_map *m, uint32_t a, uint32_t b)
{
    return a < m->count && !m->servers[a].doubted ? said(m, a, b) : 0;
}

bool xeno_near_map_doubted(const struct xeno_near_map *m, uint32_t slot)
{
    return slot < m->count && m->servers[slot].doubted;
}

const struct xeno_coord *xeno_near_map_at(const struct xeno_near_map *m, uint32_t slot)
{
    const struct server *s = slot < m->count ? &m->servers[slot] : NULL;

    return s && s->placed && !s->doubted ? &s->at : NULL;
}

/* Note a value, in order. */
static void note_value(double *off, size_t *n, double v)
{
    size_t k = (*n)++;

    for (; k > 0 && off[k - 1] > v; k--)
        off[k] = off[k - 1];
    off[k] = v;
}

/* How far two figures for one round trip are apart. */
static void note(double *off, size_t *n, double a, double b)
{
    note_value(off, n, fabs(a - b) / fmax(fmax(a, b), 5));
}

static double placed_apart(const struct xeno_near_map *m, const struct server *s, uint32_t other)
{
    const struct xeno_coord *c = xeno_near_map_at(m, other);

    return s->placed && c ? xeno_coord_rtt(&s->at, c, NULL, NULL) : NAN;
}

/* What two say of one round trip, over all who speak of it, doubted or not: whoever came first
 * could keep the others out otherwise. */
static size_t mutual(const struct xeno_near_map *m, const struct server *s, uint32_t slot,
                     double *off)
{
    size_t n = 0;

    for (size_t i = 0; i < s->link_count; i++) {
        double other = said(m, s->links[i].to, slot);

        if (other > 0)
            note(off, &n, s->links[i].rtt_ms, other);
    }
    return n;
}

/* What it says and what is said of it beside what its coordinate says. */
static size_t placed(const struct xeno_near_map *m, const struct server *s, double *off)
{
    size_t n = 0;

    for (size_t i = 0; i < s->link_count; i++) {
        double other = placed_apart(m, s, s->links[i].to);

        if (!isnan(other))
            note(off, &n, s->links[i].rtt_ms, other);
    }
    for (size_t i = 0; i < s->heard_count; i++) {
        double other = placed_apart(m, s, s->heard[i].to);

        if (!isnan(other))
            note(off, &n, s->heard[i].rtt_ms, other);
    }
    return n;
}

/* How far two usually differ here: the middle of what those it speaks of differ by themselves. */
static double usual(const struct xeno_near_map *m, const struct server *s)
{
    double off[XENO_NEAR_LINKS];
    size_t n = 0;

    for (size_t i = 0; i < s->link_count; i++) {
        uint32_t to = s->links[i].to;

        if (to < m->count && m->servers[to].differs > 0)
            note_value(off, &n, m->servers[to].differs);
    }
    return n >= FEW ? off[n / 2] : DOUBT;
}

void xeno_near_map_judge(struct xeno_near_map *m, uint32_t slot)
{
    struct server *s = slot < m->count ? &m->servers[slot] : NULL;
    double off[2 * XENO_NEAR_LINKS];
    size_t n;

    if (!s)
        return;
    n = mutual(m, s, slot, off);
    if (n >= FEW) {
        s->differs = off[n / 2] + 1e-9;
        s->doubted = s->differs > fmin(fmax(DOUBT_TIMES * usual(m, s), DOUBT_LEAST), DOUBT);
        return;
    }
    s->differs = 0;
    n = placed(m, s, off);
    s->doubted = n >= FEW && off[n / 2] > DOUBT;
}

static void unhear(struct xeno_near_map *m, uint32_t slot, uint32_t from)
{
    struct server *s = slot < m->count ? &m->servers[slot] : NULL;

    for (size_t i = 0; s && i < s->heard_count; i++)
        if (s->heard[i].to == from) {
            s->heard[i] = s->heard[--s->heard_count];
            return;
        }
}

static void hear(struct xeno_near_map *m, uint32_t slot, uint32_t from, float rtt_ms)
{
    struct server *s = slot < m->count ? &m->servers[slot] : NULL;

    if (!s || s->heard_count == XENO_NEAR_LINKS)
        return;
    s->heard = s->heard ? s->heard : xeno_new0_n(struct xeno_near_link, XENO_NEAR_LINKS);
    s->heard[s->heard_count++] = (struct xeno_near_link){ from, rtt_ms };
}

static void drop_links(struct xeno_near_map *m, uint32_t slot)
{
    struct server *s = &m->servers[slot];

    for (size_t i = 0; i < s->link_count; i++)
        unhear(m, s->links[i].to, slot);
    free(s->links);
    s->links = NULL;
    s->link_count = 0;
    memset(s->named, 0, sizeof s->named);
}

void xeno_near_map_set(struct xeno_near_map *m, uint32_t slot, const struct xeno_coord *at,
                       const struct xeno_near_link *links, size_t link_count)
{
    struct xeno_near_link kept[XENO_NEAR_LINKS];
    struct server *s = room(m, slot);
    size_t n = 0;

    for (size_t i = 0; i < link_count && n < XENO_NEAR_LINKS; i++)
        if (links[i].to != slot && rtt_ok(links[i].rtt_ms))
            kept[n++] = links[i];
    drop_links(m, slot);
    s->placed = at && xeno_coord_ok(at);
    if (s->placed)
        s->at = *at;
    if (n > 0) {
        qsort(kept, n, sizeof *kept, by_to);
        s->links = xeno_memdup(kept, n * sizeof *kept);
        s->link_count = n;
    }
    for (size_t i = 0; i < n; i++)
        hear(m, kept[i].to, slot, kept[i].rtt_ms);
    for (size_t i = 0; i < n; i++)
        s->named[kept[i].to >> 6 & 3] |= UINT64_C(1) << (kept[i].to & 63);
    xeno_near_map_judge(m, slot);
    /* One of those it spoke of has more to be judged by now; all get their turn as others come. */
    if (n > 0)
        xeno_near_map_judge(m, kept[slot % n].to);
}

void xeno_near_map_clear(struct xeno_near_map *m, uint32_t slot)
{
    struct server *s;

    if (slot >= m->count)
        return;
    drop_links(m, slot);
    s = &m->servers[slot];
    s->placed = s->doubted = false;
}

struct xeno_latency xeno_near_map_rtt(const struct xeno_near_map *m, uint32_t a, uint32_t b)
{
    struct xeno_latency l = { NAN, NAN, NAN, XENO_LATENCY_UNKNOWN };
    const struct xeno_coord *from, *to;
    double ms, low, high;

    /* Nobody can make another measure less than there is, but may well publish it himself: where
     * both speak the longer one is the surer. */
    ms = fmax(trusted(m, a, b), trusted(m, b, a));
    if (ms > 0)
        return (struct xeno_latency){ (float)ms, (float)(ms * .95), (float)(ms * 1.05 + .5),
                                      XENO_LATENCY_MEASURED };
    from = xeno_near_map_at(m, a);
    to = xeno_near_map_at(m, b);
    if (!from || !to)
        return l;
    ms = xeno_coord_rtt(from, to, &low, &high);
    if (isnan(ms))
        return l;
    return (struct xeno_latency){ (float)ms, (float)low, (float)high, XENO_LATENCY_PREDICTED };
}
