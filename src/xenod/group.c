/* src/xenod/group.c - the group of peers. */
#include "xenod/group.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OFFERS   128
#define GIVE_UP  4  /* one in so many goes in a round */
#define HISTORY  16 /* bits */
#define CHECK    (3600 * XENO_NS_PER_S)
#define REFUSED  64
#define HOUR_MS  1. /* less sure by so much with each hour in which nothing was measured */
#define BURST_NS (2 * XENO_NS_PER_S) /* between the first measurements of a new member */

struct offer {
    struct xeno_id id;
    char endpoint[XENOD_GROUP_ENDPOINT + 1];
    struct xeno_coord at;
    bool has_at, near;
    double far; /* to order by */
};

struct xenod_group {
    const struct xeno_env *env;
    struct xeno_id self;
    size_t size, count, offered;
    xeno_time interval;
    struct xeno_coord_node *node;
    struct xenod_member members[XENOD_GROUP_MAX];
    struct offer offers[OFFERS];
    struct {
        char id[XENO_ID_CHARS + 1];
        xeno_time until;
    } refused[REFUSED]; /* a ring */
    size_t next_refused;
};

static uint64_t random64(const struct xenod_group *g)
{
    uint64_t n;

    xeno_random(g->env, &n, sizeof n);
    return n;
}

struct xenod_group *xenod_group_new(const struct xeno_env *env, const struct xeno_id *self,
                                    size_t size, xeno_time interval)
{
    struct xenod_group *g = xeno_new0(struct xenod_group);

    g->env = env;
    g->self = *self;
    g->size = size > XENOD_GROUP_MAX ? XENOD_GROUP_MAX : size;
    g->interval = interval;
    g->node = xeno_coord_node_new(random64(g));
    return g;
}

void xenod_group_free(struct xenod_group *g)
{
    if (!g)
        return;
    xeno_coord_node_free(g->node);
    free(g);
}

/* --- time --- */

/* From three quarters to five quarters of it, so that XenoServers fall out of step. */
static xeno_time jittered(const struct xenod_group *g, int64_t ns)
{
    return xeno_ns(ns - ns / 4 + (int64_t)(random64(g) % (uint64_t)(ns / 2 + 1)));
}

/* --- members --- */

size_t xenod_group_count(const struct xenod_group *g)
{
    return g->count;
}

struct xenod_member *xenod_group_at(struct xenod_group *g, size_t i)
{
    return &g->members[i];
}

struct xenod_member *xenod_group_find(struct xenod_group *g, const char *id)
{
    for (size_t i = 0; i < g->count; i++)
        if (strcmp(g->members[i].id.s, id) == 0)
            return &g->members[i];
    return NULL;
}

void xenod_group_drop(struct xenod_group *g, const char *id)
{
    struct xenod_member *m = xenod_group_find(g, id);

    if (!m)
        return;
    xeno_coord_node_forget(g->node, &m->id);
    *m = g->members[--g->count];
}

void xenod_group_refuse(struct xenod_group *g, const char *id, xeno_time now)
{
    size_t i = g->next_refused++ % REFUSED;

    strncpy(g->refused[i].id, id, XENO_ID_CHARS);
    g->refused[i].until = xeno_time_add(now, xeno_ns(CHECK));
    xenod_group_drop(g, id);
}

static bool is_refused(const struct xenod_group *g, const char *id, xeno_time now)
{
    for (size_t i = 0; i < REFUSED; i++)
        if (strcmp(g->refused[i].id, id) == 0 && g->refused[i].until.ns > now.ns)
            return true;
    return false;
}

static void news(struct xenod_member *m, const char *endpoint, const struct xeno_coord *at)
{
    m->has_at = at != NULL;
    if (at)
        m->at = *at;
    if (strcmp(m->endpoint, endpoint) == 0)
        return;
    strncpy(m->endpoint, endpoint, XENOD_GROUP_ENDPOINT); /* another place: ask it again */
    m->checked = false;
    m->check_due = xeno_ns(0);
}

/* --- a round --- */

void xenod_group_begin(struct xenod_group *g)
{
    g->offered = 0;
}

void xenod_group_offer(struct xenod_group *g, const struct xeno_id *id, const char *endpoint,
                       const struct xeno_coord *at, bool near)
{
    struct xenod_member *m = xenod_group_find(g, id->s);
    struct offer *o;

    if (strlen(endpoint) > XENOD_GROUP_ENDPOINT || strcmp(id->s, g->self.s) == 0)
        return;
    if (at && !xeno_coord_ok(at))
        at = NULL;
    if (m) {
        news(m, endpoint, at);
        return;
    }
    for (size_t i = 0; i < g->offered; i++)
        if (strcmp(g->offers[i].id.s, id->s) == 0)
            return;
    if (g->offered == OFFERS)
        return;
    o = &g->offers[g->offered++];
    *o = (struct offer){ .id = *id, .has_at = at != NULL, .near = near && at };
    strcpy(o->endpoint, endpoint); /* its length was checked */
    if (at)
        o->at = *at;
}

/* How far it seems to be; those of whom nothing is known in an order by chance, behind the rest. */
static double distance(const struct xenod_group *g, const struct xeno_coord *at)
{
    double ms = at ? xeno_coord_rtt(xeno_coord_node_at(g->node), at, NULL, NULL) : NAN;

    return isnan(ms) ? 2 * XENO_COORD_MAX_MS + (double)(random64(g) >> 44) : ms;
}

static int by_far(const void *a, const void *b)
{
    const struct offer *x = a, *y = b;

    return x->far < y->far ? -1 : x->far > y->far;
}

static void take_in(struct xenod_group *g, const struct offer *o, bool near, xeno_time now)
{
    struct xenod_member *m = &g->members[g->count++];

    *m = (struct xenod_member){ .id = o->id, .at = o->at, .has_at = o->has_at, .near = near };
    strcpy(m->endpoint, o->endpoint); /* as long */
    m->check_due = now;
    m->due = now;
}

/* The worse, the sooner given up: by loss; of the near ones then by distance, of the others by
 * chance. */
static double badness(struct xenod_group *g, const struct xenod_member *m)
{
    double rtt = xenod_group_rtt(g, m), loss = xenod_group_loss_percent(m);

    if (m->near)
        return loss * 1000 + (isnan(rtt) ? XENO_COORD_MAX_MS : rtt);
    return loss * 1000 + (double)(random64(g) % 1000);
}

static void give_up(struct xenod_group *g, bool near, size_t n)
{
    while (n-- > 0) {
        const struct xenod_member *worst = NULL;
        double most = -1;

        for (size_t i = 0; i < g->count; i++) {
            const struct xenod_member *m = &g->members[i];
            double bad = m->near == near && !m->busy ? badness(g, m) : -1;

            if (bad > most) {
                most = bad;
                worst = m;
            }
        }
        if (!worst)
            return;
        xenod_group_drop(g, worst->id.s);
    }
}

static size_t kind_count(const struct xenod_group *g, bool near)
{
    size_t n = 0;

    for (size_t i = 0; i < g->count; i++)
        n += g->members[i].near == near;
    return n;
}

static void shuffle(struct xenod_group *g)
{
    for (size_t i = g->offered; i > 1; i--) {
        size_t j = random64(g) % i;
        struct offer o = g->offers[i - 1];

        g->offers[i - 1] = g->offers[j];
        g->offers[j] = o;
    }
}

/* Of each kind its half, and when there are too few of one, more of the other. */
size_t xenod_group_end(struct xenod_group *g, xeno_time now)
{
    size_t half = g->size / 2, added = 0, used = 0;

    for (size_t i = g->offered; i-- > 0;)
        if (is_refused(g, g->offers[i].id.s, now))
            g->offers[i] = g->offers[--g->offered];
    /* Room is made only for as many as can take it. */
    if (g->count + g->offered > g->size) {
        size_t out = g->count + g->offered - g->size, most = g->size / GIVE_UP;

        out = out < most ? out : most;
        if (g->count == g->size) {
            give_up(g, true, out / 2);
            give_up(g, false, out - out / 2);
        }
    }
    for (size_t i = 0; i < g->offered; i++)
        g->offers[i].far = g->offers[i].near ? distance(g, &g->offers[i].at) : INFINITY;
    shuffle(g);
    qsort(g->offers, g->offered, sizeof *g->offers, by_far);
    for (; used < g->offered && g->offers[used].near && g->count < g->size &&
           kind_count(g, true) < half;
         used++, added++)
        take_in(g, &g->offers[used], true, now);
    /* The far end of the list is by chance; from there the rest. */
    for (size_t i = g->offered; i > used && g->count < g->size; i--, added++)
        take_in(g, &g->offers[i - 1], false, now);
    g->offered = 0;
    return added;
}

/* --- measuring --- */

struct xenod_member *xenod_group_to_check(struct xenod_group *g, xeno_time now)
{
    for (size_t i = 0; i < g->count; i++) {
        struct xenod_member *m = &g->members[i];

        if (m->busy || m->check_due.ns > now.ns)
            continue;
        m->check_due = xeno_time_add(now, jittered(g, CHECK));
        return m;
    }
    return NULL;
}

struct xenod_member *xenod_group_to_measure(struct xenod_group *g, xeno_time now)
{
    struct xenod_member *first = NULL;

    for (size_t i = 0; i < g->count; i++) {
        struct xenod_member *m = &g->members[i];

        if (!m->busy && m->checked && m->due.ns <= now.ns && (!first || m->due.ns < first->due.ns))
            first = m;
    }
    if (first) /* times is what is behind it: this one comes on top */
        first->due = xeno_time_add(
            now, jittered(g, first->times + 1 < XENOD_GROUP_BURST && g->interval.ns > BURST_NS
                                 ? BURST_NS
                                 : g->interval.ns));
    return first;
}

xeno_time xenod_group_next(const struct xenod_group *g)
{
    xeno_time next = xeno_ns(INT64_MAX);

    for (size_t i = 0; i < g->count; i++) {
        const struct xenod_member *m = &g->members[i];

        if (!m->busy && m->check_due.ns < next.ns)
            next = m->check_due;
        if (!m->busy && m->checked && m->due.ns < next.ns)
            next = m->due;
    }
    return next;
}

void xenod_group_result(struct xenod_group *g, struct xenod_member *m, double rtt_ms, xeno_time now)
{
    bool heard = !isnan(rtt_ms);

    m->history = (uint16_t)(m->history << 1 | heard);
    m->times += m->times < HISTORY;
    m->silent = heard ? 0 : m->silent + 1;
    if (heard)
        xeno_coord_node_sample(g->node, &m->id, m->has_at ? &m->at : NULL,
                               fmax(rtt_ms, XENO_COORD_MIN_MS));
    if (m->silent >= XENOD_GROUP_SILENT)
        xenod_group_drop(g, m->id.s);
    else if (m->silent == XENOD_GROUP_SILENT / 2)
        m->check_due = now; /* perhaps it is somewhere else by now */
}

/* --- what is known --- */

double xenod_group_rtt(const struct xenod_group *g, const struct xenod_member *m)
{
    return xeno_coord_node_rtt(g->node, &m->id);
}

int xenod_group_loss_percent(const struct xenod_member *m)
{
    unsigned heard = (unsigned)__builtin_popcount(m->history & ((1u << m->times) - 1));

    return m->times ? (int)(100 * (m->times - heard) / m->times) : 0;
}

const struct xeno_coord *xenod_group_where(const struct xenod_group *g)
{
    return xeno_coord_node_at(g->node);
}

/* --- over a restart --- */

bool xenod_group_keep(const struct xenod_group *g, xeno_time now, char buf[XENOD_GROUP_KEPT_TEXT])
{
    const struct xeno_coord *at = xeno_coord_node_at(g->node);
    int len = 0;

    if (!xeno_coord_useful(at))
        return false;
    len = snprintf(buf, XENOD_GROUP_KEPT_TEXT, "%" PRId64 " %" PRIu32 " %.3f %.3f",
                   now.ns / XENO_NS_PER_S, at->samples, at->error_ms, at->height_ms);
    for (int k = 0; k < XENO_COORD_DIM; k++)
        len += snprintf(buf + len, XENOD_GROUP_KEPT_TEXT - (size_t)len, " %.3f", at->x[k]);
    return true;
}

bool xenod_group_restore(struct xenod_group *g, const char *text, xeno_time now)
{
    struct xeno_coord at = { .samples = 0 };
    int64_t then, now_s = now.ns / XENO_NS_PER_S;
    int used = 0;

    if (sscanf(text, "%" SCNd64 " %" SCNu32 " %lf %lf%n", &then, &at.samples, &at.error_ms,
               &at.height_ms, &used) != 4)
        return false;
    for (int k = 0, more = 0; k < XENO_COORD_DIM; k++, used += more)
        if (sscanf(text + used, " %lf%n", &at.x[k], &more) != 1)
            return false;
    if (text[used] || then > now_s || then < now_s - XENOD_GROUP_KEPT_H * 3600)
        return false;
    at.error_ms += HOUR_MS * (double)(now_s - then) / 3600;
    if (!xeno_coord_ok(&at) || !xeno_coord_useful(&at))
        return false;
    xeno_coord_node_restore(g->node, &at);
    return true;
}
