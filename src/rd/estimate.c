/* src/rd/estimate.c - what a search for the nearest says of each server. */
#include "rd/nearest-priv.h"

#include <math.h>

/* The best of many predictions is the one that erred most in its favour: so much it must be ahead
 * of what was measured. */
#define LUCKY 1.5

/* A place by the best hypotheses: each says what the round trip is, and the middle counts. */
static struct xeno_latency mixture(const struct xeno_near *s, uint32_t slot)
{
    struct xeno_latency l = { NAN, NAN, NAN, XENO_LATENCY_UNKNOWN };
    double v[NEAR_TOP], w[NEAR_TOP], sum = 0, lost = 0, at = 0, width;
    size_t n = 0;

    for (size_t i = 0; i < s->pool_count && i < NEAR_TOP; i++) {
        const struct rd_hypothesis *h = &s->pool[i];
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
    const struct rd_heard *r = rd_near_heard(s, slot);

    if (r && r->trust >= .5)
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
    bool where = n > NEAR_CLOSE && xeno_near_where(s, &at);

    for (size_t i = 0; i < n; i++) {
        const struct xeno_coord *c = where ? xeno_near_map_at(s->map, slots[i]) : NULL;
        double ms, low, high;

        if (!where || !c || rd_near_heard(s, slots[i])) {
            ret[i] = xeno_near_estimate(s, slots[i]);
            continue;
        }
        ms = xeno_coord_rtt(&at, c, &low, &high);
        ret[i] = isnan(ms) ? (struct xeno_latency){ NAN, NAN, NAN, XENO_LATENCY_UNKNOWN }
                           : (struct xeno_latency){ (float)ms, (float)low, (float)high,
                                                    XENO_LATENCY_PREDICTED };
    }
}

/* What choosing it is expected to cost; NaN: nobody knows. */
static double expected(const struct xeno_near *s, uint32_t slot)
{
    const struct rd_heard *r = rd_near_heard(s, slot);
    double otherwise = mixture(s, slot).ms;

    if (!r)
        return otherwise * LUCKY;
    return isnan(otherwise) ? r->rtt_ms : r->trust * r->rtt_ms + (1 - r->trust) * otherwise;
}

bool xeno_near_best(const struct xeno_near *s, uint32_t *ret_slot, double *ret_chance)
{
    const struct rd_hypothesis *best = NULL;
    double least = HUGE_VAL;

    for (size_t i = 0; i < s->pool_count && s->result_count > 0; i++) {
        const struct rd_hypothesis *h = &s->pool[i];
        uint32_t slot = s->slots[h->place];
        double ms;

        if ((i >= NEAR_TOP && !rd_near_heard(s, slot)) || xeno_near_map_doubted(s->map, slot))
            continue;
        ms = expected(s, slot);
        if (ms < least) {
            least = ms;
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
            if (!own && (rd_near_heard(s, slot) || s->pool[h].p < .02))
                continue;
            for (int k = 0; k < 8; k++)
                id.s[k] = (char)('a' + (slot >> (4 * k) & 15));
            if (xeno_near_map_at(s->map, slot))
                xeno_coord_node_sample(node, &id, xeno_near_map_at(s->map, slot),
                                       own ? s->results[i].rtt_ms : s->pool[h].d);
        }
    *ret = *xeno_coord_node_at(node);
    for (size_t i = 0; i < s->pool_count && i < NEAR_TOP; i++) {
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
