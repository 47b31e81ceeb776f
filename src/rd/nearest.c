/* src/rd/nearest.c - a search for the server nearest to an address.
 *
 * A hypothesis is "this candidate is the nearest, d away, and the address lies c of that further
 * out than it does". Under it, a server D from the candidate hears the address after about sqrt(D^2
 * + d^2) + c min(d, D), give or take a part of the smaller of the two, so each round trip gives
 * each hypothesis a likelihood; what is expected of d before any is how far apart servers are
 * themselves. Nothing is learnt from one network and used in another: the few constants say how
 * triangles look, and results hardly change when they are halved or doubled.
 *
 * The first server asked is the one whose answer sorts the hypotheses best; the others are those
 * most likely to be the nearest. To look further ahead than that was tried and is worse: it counts
 * on answers being as sharp as the model has them. */
#include "rd/nearest.h"

#include <math.h>
#include <string.h>

enum {
    GRID = 14,   /* values of d: .25 ms and on in steps of 1.74 */
    OFFSETS = 4, /* values of c */
    CELLS = GRID * OFFSETS,
    POOL = 256,   /* hypotheses looked at closely */
    SAMPLE = 64,  /* of them, those that the first choice is made among and by */
    TOLD = 8,     /* results from elsewhere, beside the budget */
    TOP = 24,     /* hypotheses that estimates are made of */
    CLOSE = 1024, /* estimates asked for at once that are made closely */
};

static const double offsets[OFFSETS] = { -.4, 0, .4, .8 };
static const double offset_prior[OFFSETS] = { .2, .4, .25, .15 };

struct hypothesis {
    uint32_t place; /* of the candidate, in `slots` */
    double p;
    double d, c; /* their means under it */
};

struct result {
    uint32_t slot;
    double rtt_ms;
    float *to;    /* its round trip to each candidate; NaN: unknown */
    float *slack; /* how far that may be off */
};

struct xeno_near {
    const struct xeno_near_map *map;
    size_t count, other_count;
    uint32_t *slots, *others;
    unsigned budget;
    uint64_t seed;

    uint32_t asked[XENO_NEAR_MAX];
    unsigned asked_count;
    struct result results[XENO_NEAR_MAX + TOLD];
    unsigned result_count;

    double grid[GRID], prior[GRID];
    struct hypothesis pool[POOL]; /* descending by p */
    size_t pool_count;
    struct score {
        float value;
        uint32_t place;
    } * scores; /* of all candidates, when they are more than the pool */
    float *columns;
};

static uint64_t scatter(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* The likelihood of a round trip r to a server that is `to` from the candidate of a hypothesis. It
 * never falls below a floor: one answer that fits nothing decides nothing. */
static double likelihood(double r, double to, double slack, double d, double c)
{
    double smaller = fmin(d, to), scale = .4 * smaller + 1 + .05 * to + slack;
    double z = (r - sqrt(to * to + d * d) - c * smaller) / scale, q = 1 + z * z / 3;

    return .37 / (scale * q * q) + 1e-5;
}

/* That of the round trip which the candidate measured itself. */
static double likelihood_own(double r, double d)
{
    double z = log(r / d) / .4;

    return exp(-z * z / 2) / r + 1e-5;
}

static const struct result *result_of(const struct xeno_near *s, uint32_t slot)
{
    for (unsigned i = 0; i < s->result_count; i++)
        if (s->results[i].slot == slot)
            return &s->results[i];
    return NULL;
}

static bool was_asked(const struct xeno_near *s, uint32_t slot)
{
    for (unsigned i = 0; i < s->asked_count; i++)
        if (s->asked[i] == slot)
            return true;
    return result_of(s, slot) != NULL;
}

/* What all results together say of one hypothesis at one d and c. */
static double evidence(const struct xeno_near *s, uint32_t place, double d, double c)
{
    double p = 1;

    for (unsigned i = 0; i < s->result_count; i++) {
        const struct result *r = &s->results[i];

        if (r->slot == s->slots[place])
            p *= likelihood_own(r->rtt_ms, d);
        else if (isnan(r->to[place]))
            p *= .1 / (r->rtt_ms + 100);
        else
            p *= likelihood(r->rtt_ms, r->to[place], r->slack[place], d, c);
        /* The nearest is no further than one that was asked. */
        if (d > 1.3 * r->rtt_ms)
            p *= .01;
    }
    return p;
}

static void weigh(const struct xeno_near *s, struct hypothesis *h)
{
    double d = 0, c = 0;

    h->p = 0;
    for (int g = 0; g < GRID; g++)
        for (int o = 0; o < OFFSETS; o++) {
            double p =
                s->prior[g] * offset_prior[o] * evidence(s, h->place, s->grid[g], offsets[o]);

            h->p += p;
            d += p * log(s->grid[g]);
            c += p * offsets[o];
        }
    h->d = exp(d / h->p);
    h->c = c / h->p;
    if (xeno_near_map_doubted(s->map, s->slots[h->place]))
        h->p *= 1e-60; /* asked last */
}

static int by_value(const void *a, const void *b)
{
    const struct score *x = a, *y = b;

    return x->value > y->value ? -1 : x->value < y->value ? 1 : x->place > y->place ? 1 : -1;
}

/* Put the POOL best scores first, by parting around a value again and again. */
static void part(struct score *v, size_t n)
{
    size_t low = 0, high = n;

    while (high - low > 1) {
        struct score pivot = v[low + (high - low) / 2];
        size_t i = low, k = low, e = high;

        while (k < e)
            if (by_value(&v[k], &pivot) < 0 && v[k].place != pivot.place) {
                struct score t = v[k];

                v[k++] = v[i];
                v[i++] = t;
            } else if (v[k].place == pivot.place) {
                k++;
            } else {
                struct score t = v[k];

                v[k] = v[--e];
                v[e] = t;
            }
        if (i >= POOL)
            high = i;
        else if (k >= POOL)
            return;
        else
            low = k;
    }
}

/* Who is looked at closely: everybody, or those whom the results leave in question. */
static void choose_pool(struct xeno_near *s)
{
    uint64_t seed = s->seed;

    s->pool_count = s->count < POOL ? s->count : POOL;
    if (s->count <= POOL) {
        for (size_t i = 0; i < s->count; i++)
            s->pool[i].place = (uint32_t)i;
        return;
    }
    for (size_t i = 0; i < s->count; i++) {
        double v = (double)(scatter(&seed) >> 11) * 0x1p-53; /* no results: any */

        if (s->result_count > 0)
            v = log(evidence(s, (uint32_t)i, 1, 0) + .5 * evidence(s, (uint32_t)i, 8, 0) +
                    .2 * evidence(s, (uint32_t)i, 40, 0) + 1e-300);
        s->scores[i] = (struct score){ (float)v, (uint32_t)i };
    }
    part(s->scores, s->count);
    for (size_t i = 0; i < POOL; i++)
        s->pool[i].place = s->scores[i].place;
}

static int by_p(const void *a, const void *b)
{
    const struct hypothesis *x = a, *y = b;

    return x->p > y->p ? -1 : x->p < y->p ? 1 : x->place > y->place ? 1 : -1;
}

static void reweigh(struct xeno_near *s)
{
    double sum = 0;

    choose_pool(s);
    for (size_t i = 0; i < s->pool_count; i++) {
        weigh(s, &s->pool[i]);
        sum += s->pool[i].p;
    }
    for (size_t i = 0; i < s->pool_count; i++)
        s->pool[i].p /= sum;
    qsort(s->pool, s->pool_count, sizeof *s->pool, by_p);
}

/* How far from its nearest an address is, before anything is known of it: as far as candidates are
 * from theirs, seven times in ten, and anything else otherwise. */
static void set_prior(struct xeno_near *s)
{
    size_t n = s->pool_count < SAMPLE ? s->pool_count : SAMPLE;

    for (int g = 0; g < GRID; g++) {
        s->grid[g] = .25 * pow(2, g * .8);
        s->prior[g] = .3 / GRID;
    }
    for (size_t i = 0; i < n; i++) {
        double nearest = HUGE_VAL;
        int g;

        for (size_t k = 0; k < s->pool_count; k++) {
            struct xeno_latency l =
                xeno_near_map_rtt(s->map, s->slots[s->pool[i].place], s->slots[s->pool[k].place]);

            if (k != i && l.how != XENO_LATENCY_UNKNOWN)
                nearest = fmin(nearest, l.ms);
        }
        g = (int)lround(log2(fmin(fmax(nearest, .25), 330) / .25) / .8);
        s->prior[g] += .35 / (double)n;
        s->prior[g > 0 ? g - 1 : g] += .175 / (double)n;
        s->prior[g < GRID - 1 ? g + 1 : g] += .175 / (double)n;
    }
}

struct xeno_near *xeno_near_new(const struct xeno_near_map *m, const uint32_t *candidates, size_t n,
                                const uint32_t *others, size_t other_count, unsigned budget,
                                uint64_t seed)
{
    struct xeno_near *s = xeno_new0(struct xeno_near);
    size_t results;

    s->map = m;
    s->count = n;
    s->slots = n > 0 ? xeno_memdup(candidates, n * sizeof *candidates) : NULL;
    s->other_count = other_count;
    s->others = other_count > 0 ? xeno_memdup(others, other_count * sizeof *others) : NULL;
    s->budget = budget < XENO_NEAR_MAX ? budget : XENO_NEAR_MAX;
    s->seed = seed;
    results = s->budget + TOLD;
    s->columns = xeno_new0_n(float, results *(2 * n + 1));
    for (size_t i = 0; i < results; i++) {
        s->results[i].to = s->columns + 2 * i * n;
        s->results[i].slack = s->results[i].to + n;
    }
    s->scores = n > POOL ? xeno_new0_n(struct score, n) : NULL;
    choose_pool(s);
    set_prior(s);
    reweigh(s);
    return s;
}

void xeno_near_free(struct xeno_near *s)
{
    if (!s)
        return;
    free(s->slots);
    free(s->others);
    free(s->columns);
    free(s->scores);
    free(s);
}

/* What asking `who` first is worth: the chance that, after the answer to be expected under each
 * hypothesis, this one is among the few that the rest of the budget can ask. */
static double worth(const struct xeno_near *s, const float *from, size_t n, unsigned left,
                    size_t own)
{
    double sum = 0;

    for (size_t t = 0; t < n; t++) {
        double r = hypot(from[t], s->pool[t].d), mine;
        unsigned better = 0;

        if (t == own || isnan(from[t])) {
            sum += t == own ? s->pool[t].p : 0;
            continue;
        }
        mine = s->pool[t].p * likelihood(r, from[t], 0, s->pool[t].d, 0);
        for (size_t k = 0; k < n && better < left; k++)
            if (k != own && k != t && !isnan(from[k])) {
                double p = s->pool[k].p * likelihood(r, from[k], 0, s->pool[k].d, 0);

                better += p > mine || (p == mine && k < t);
            }
        sum += better < left ? s->pool[t].p : 0;
    }
    return sum;
}

static bool first(const struct xeno_near *s, uint32_t *ret_slot)
{
    size_t n = s->pool_count < SAMPLE ? s->pool_count : SAMPLE, more;
    unsigned left = s->budget - s->asked_count > 1 ? s->budget - s->asked_count - 1 : 1;
    uint64_t seed = s->seed;
    double best = -1;

    more = s->other_count < SAMPLE ? s->other_count : SAMPLE;
    for (size_t i = 0; i < n + more; i++) {
        uint32_t slot =
            i < n ? s->slots[s->pool[i].place] : s->others[scatter(&seed) % s->other_count];
        float from[SAMPLE];
        double v;

        if (was_asked(s, slot) || xeno_near_map_doubted(s->map, slot))
            continue;
        for (size_t k = 0; k < n; k++)
            from[k] = xeno_near_map_rtt(s->map, slot, s->slots[s->pool[k].place]).ms;
        v = worth(s, from, n, left, i);
        if (v > best + 1e-9) {
            best = v;
            *ret_slot = slot;
        }
    }
    return best >= 0;
}

bool xeno_near_next(struct xeno_near *s, uint32_t *ret_slot)
{
    bool found = false;

    if (s->asked_count >= s->budget)
        return false;
    if (s->result_count == 0 && s->asked_count == 0)
        found = first(s, ret_slot);
    for (size_t i = 0; i < s->pool_count && !found; i++) {
        *ret_slot = s->slots[s->pool[i].place];
        found = !was_asked(s, *ret_slot);
    }
    if (found)
        s->asked[s->asked_count++] = *ret_slot;
    return found;
}

bool xeno_near_result(struct xeno_near *s, uint32_t slot, double rtt_ms)
{
    struct result *r;

    if (!isfinite(rtt_ms) || rtt_ms < 0 || rtt_ms > XENO_COORD_MAX_MS || result_of(s, slot) ||
        s->result_count == s->budget + TOLD)
        return false;
    r = &s->results[s->result_count];
    r->slot = slot;
    r->rtt_ms = fmax(rtt_ms, XENO_COORD_MIN_MS);
    for (size_t i = 0; i < s->count; i++) {
        struct xeno_latency l = xeno_near_map_rtt(s->map, slot, s->slots[i]);

        r->to[i] = slot == s->slots[i] ? 0 : l.ms;
        r->slack[i] = l.how == XENO_LATENCY_PREDICTED ? (l.high - l.low) / 6 : 0;
    }
    s->result_count++;
    reweigh(s);
    return true;
}

/* Does what a server says of itself fit with what the others heard? The round trip of one of them
 * to the address and to this server differ by no more than the way between the two, with a margin
 * for routes that go round. One that most of the others contradict is not believed. */
static bool believed(const struct xeno_near *s, const struct result *own)
{
    unsigned against = 0, voices = 0;

    for (unsigned i = 0; i < s->result_count; i++) {
        const struct result *r = &s->results[i];
        struct xeno_latency l;
        double apart;

        if (r == own)
            continue;
        l = xeno_near_map_rtt(s->map, r->slot, own->slot);
        if (l.how == XENO_LATENCY_UNKNOWN)
            continue;
        voices++;
        apart = fabs(r->rtt_ms - l.ms) - own->rtt_ms;
        against += apart > 10 + .3 * fmax(r->rtt_ms, l.ms);
    }
    return against < 2 || 2 * against <= voices;
}

/* A place by the best hypotheses: each says what the round trip is, and the middle counts. */
static struct xeno_latency mixture(const struct xeno_near *s, uint32_t slot)
{
    struct xeno_latency l = { NAN, NAN, NAN, XENO_LATENCY_UNKNOWN };
    double v[TOP], w[TOP], sum = 0, lost = 0, at = 0, width;
    size_t n = 0;

    for (size_t i = 0; i < s->pool_count && i < TOP; i++) {
        const struct hypothesis *h = &s->pool[i];
        uint32_t near = s->slots[h->place];
        double to = near == slot ? 0 : xeno_near_map_rtt(s->map, near, slot).ms, ms;
        size_t k = n;

        if (isnan(to)) {
            lost += h->p;
            continue;
        }
        ms = hypot(to, h->d) + h->c * fmin(to, h->d);
        for (; k > 0 && v[k - 1] > ms; k--) {
            v[k] = v[k - 1];
            w[k] = w[k - 1];
        }
        v[k] = ms;
        w[k] = h->p;
        sum += h->p;
        n++;
    }
    if (sum <= lost)
        return l;
    l.low = (float)v[0];
    l.ms = l.high = (float)v[n - 1];
    for (size_t i = n; i-- > 0;) { /* from above, so that the lower of two quantiles wins */
        at += w[i];
        if (at <= .1 * sum + w[i])
            l.high = (float)v[i];
        if (at <= .5 * sum + w[i])
            l.ms = (float)v[i];
        if (at <= .9 * sum + w[i])
            l.low = (float)v[i];
    }
    width = 1 + .1 * (double)l.ms;
    l.low = (float)fmax(l.low - width, XENO_COORD_MIN_MS);
    l.high += (float)width;
    l.how = XENO_LATENCY_PREDICTED;
    return l;
}

struct xeno_latency xeno_near_estimate(const struct xeno_near *s, uint32_t slot)
{
    const struct result *r = result_of(s, slot);

    if (r && believed(s, r))
        return (struct xeno_latency){ (float)r->rtt_ms, (float)(r->rtt_ms * .95),
                                      (float)(r->rtt_ms * 1.05 + .5), XENO_LATENCY_MEASURED };
    if (s->result_count == 0)
        return (struct xeno_latency){ NAN, NAN, NAN, XENO_LATENCY_UNKNOWN };
    return mixture(s, slot);
}

void xeno_near_estimates(const struct xeno_near *s, const uint32_t *slots, size_t n,
                         struct xeno_latency *ret)
{
    struct xeno_coord at;
    bool where = n > CLOSE && xeno_near_where(s, &at);

    for (size_t i = 0; i < n; i++) {
        const struct xeno_coord *c = where ? xeno_near_map_at(s->map, slots[i]) : NULL;
        double ms, low, high;

        if (!where || !c || result_of(s, slots[i])) {
            ret[i] = xeno_near_estimate(s, slots[i]);
            continue;
        }
        ms = xeno_coord_rtt(&at, c, &low, &high);
        ret[i] = isnan(ms) ? (struct xeno_latency){ NAN, NAN, NAN, XENO_LATENCY_UNKNOWN }
                           : (struct xeno_latency){ (float)ms, (float)low, (float)high,
                                                    XENO_LATENCY_PREDICTED };
    }
}

bool xeno_near_best(const struct xeno_near *s, uint32_t *ret_slot, double *ret_chance)
{
    const struct hypothesis *best = NULL;
    double least = HUGE_VAL;

    for (size_t i = 0; i < s->pool_count && s->result_count > 0; i++) {
        const struct hypothesis *h = &s->pool[i];
        const struct result *r = result_of(s, s->slots[h->place]);

        if (r && r->rtt_ms < least && believed(s, r) && !xeno_near_map_doubted(s->map, r->slot)) {
            least = r->rtt_ms;
            best = h;
        }
    }
    if (!best && s->result_count > 0 && s->pool_count > 0)
        best = &s->pool[0];
    if (!best)
        return false;
    *ret_slot = s->slots[best->place];
    if (ret_chance)
        *ret_chance = best->p;
    return true;
}

bool xeno_near_where(const struct xeno_near *s, struct xeno_coord *ret)
{
    xeno_auto(xeno_coord_node) node = NULL;
    double far = 0, sum = 0;

    if (s->result_count == 0)
        return false;
    node = xeno_coord_node_new(s->seed);
    if (s->pool_count > 0 && xeno_near_map_at(s->map, s->slots[s->pool[0].place]))
        xeno_coord_node_restore(node, xeno_near_map_at(s->map, s->slots[s->pool[0].place]));
    for (int round = 0; round < 8; round++)
        for (unsigned i = 0; i < s->result_count + 8; i++) {
            size_t h = i - s->result_count;
            bool own = i < s->result_count;
            uint32_t slot;
            struct xeno_id id = { "" };

            if (!own && h >= s->pool_count)
                break;
            slot = own ? s->results[i].slot : s->slots[s->pool[h].place];
            if (!own && (result_of(s, slot) || s->pool[h].p < .02))
                continue;
            for (int k = 0; k < 8; k++)
                id.s[k] = (char)('a' + (slot >> (4 * k) & 15));
            if (xeno_near_map_at(s->map, slot))
                xeno_coord_node_sample(node, &id, xeno_near_map_at(s->map, slot),
                                       own ? s->results[i].rtt_ms : s->pool[h].d);
        }
    *ret = *xeno_coord_node_at(node);
    for (size_t i = 0; i < s->pool_count && i < TOP; i++) {
        const struct xeno_coord *c = xeno_near_map_at(s->map, s->slots[s->pool[i].place]);
        double square = 0;

        for (int k = 0; c && k < XENO_COORD_DIM; k++)
            square += (c->x[k] - ret->x[k]) * (c->x[k] - ret->x[k]);
        far += c ? s->pool[i].p * sqrt(square) : 0;
        sum += c ? s->pool[i].p : 0;
    }
    far = sum > 0 ? fmin(far / sum / 2, XENO_COORD_MAX_MS) : XENO_COORD_MAX_MS;
    ret->error_ms = fmax(ret->error_ms, far);
    return true;
}
