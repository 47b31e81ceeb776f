/* src/rd/nearest.c - a search for the server nearest to an address: whom to ask.
 *
 * The first server asked is the one whose answer sorts the hypotheses best; the others are those
 * most likely to be the nearest. To look further ahead than that was tried and is worse: it counts
 * on answers being as sharp as the model has them. */
#include "rd/nearest-priv.h"

#include <math.h>

static bool was_asked(const struct xeno_near *s, uint32_t slot)
{
    for (unsigned i = 0; i < s->asked_count; i++)
        if (s->asked[i] == slot)
            return true;
    return rd_near_heard(s, slot) != NULL;
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
    results = s->budget + NEAR_TOLD;
    s->columns = xeno_new0_n(float, results *(2 * n + 1));
    for (size_t i = 0; i < results; i++) {
        s->results[i].to = s->columns + 2 * i * n;
        s->results[i].slack = s->results[i].to + n;
    }
    s->scores = n > NEAR_POOL ? xeno_new0_n(struct rd_near_score, n) : NULL;
    rd_near_pool(s);
    rd_near_prior(s);
    rd_near_weigh(s);
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
        mine = s->pool[t].p * rd_near_likelihood(r, from[t], 0, s->pool[t].d, 0);
        for (size_t k = 0; k < n && better < left; k++)
            if (k != own && k != t && !isnan(from[k])) {
                double p = s->pool[k].p * rd_near_likelihood(r, from[k], 0, s->pool[k].d, 0);

                better += p > mine || (p == mine && k < t);
            }
        sum += better < left ? s->pool[t].p : 0;
    }
    return sum;
}

static bool first(const struct xeno_near *s, uint32_t *ret_slot)
{
    size_t n = s->pool_count < NEAR_SAMPLE ? s->pool_count : NEAR_SAMPLE, more;
    unsigned left = s->budget - s->asked_count > 1 ? s->budget - s->asked_count - 1 : 1;
    uint64_t seed = s->seed;
    double best = -1;

    more = s->other_count < NEAR_SAMPLE ? s->other_count : NEAR_SAMPLE;
    for (size_t i = 0; i < n + more; i++) {
        uint32_t slot =
            i < n ? s->slots[s->pool[i].place] : s->others[rd_near_scatter(&seed) % s->other_count];
        float from[NEAR_SAMPLE];
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
    struct rd_heard *r;

    if (!isfinite(rtt_ms) || rtt_ms < 0 || rtt_ms > XENO_COORD_MAX_MS || rd_near_heard(s, slot) ||
        s->result_count == s->budget + NEAR_TOLD)
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
    rd_near_weigh(s);
    return true;
}
