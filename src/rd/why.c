/* src/rd/why.c - why a server is where it is among the answers, in words for people. */
#include "rd/find-priv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void say(struct xeno_rd_answer *a, struct xeno_buf *text)
{
    if (text->len > 0 && a->why_count < XENO_RD_WHY)
        a->why[a->why_count++] = xeno_buf_take(text, NULL);
}

static void why_cost(const struct rd_find *f, double best, uint32_t slot, struct xeno_buf *out)
{
    char cost[XENO_CREDIT_TEXT], more[XENO_CREDIT_TEXT], length[32];
    int64_t total = rd_total(f, slot);

    if (total < 0)
        return;
    xeno_buf_printf(out, "%s credits for %s", xeno_credit_text(xeno_micro(total), cost),
                    xeno_duration_text(xeno_s(f->req->duration_s), length));
    if ((double)total > best)
        xeno_buf_printf(out, ", %s over the least",
                        xeno_credit_text(xeno_micro(total - (int64_t)best), more));
    else
        xeno_buf_printf(out, ", the least of %zu", f->matched);
}

/* "12.3 ms to 192.0.2.1, measured"; with several, the one that is farthest. */
static void why_rtt(const struct rd_find *f, uint32_t slot, struct xeno_buf *out)
{
    struct xeno_latency far = { .ms = -1 };
    size_t which = 0, n = f->req->near_count;

    for (size_t i = 0; i < n; i++) {
        struct xeno_latency l = rd_latency(f, i, slot);

        if (l.how == XENO_LATENCY_UNKNOWN) {
            xeno_buf_printf(out, "the round trip to %s is not known",
                            rd_place_text(&f->req->near[i]));
            return;
        }
        if (l.ms > far.ms) {
            far = l;
            which = i;
        }
    }
    if (n == 0)
        return;
    xeno_buf_printf(out, "%s%.1f ms to %s", n > 1 ? "at most " : "", (double)far.ms,
                    rd_place_text(&f->req->near[which]));
    if (far.how == XENO_LATENCY_MEASURED)
        xeno_buf_puts(out, ", measured");
    else
        xeno_buf_printf(out, ", predicted (%.1f to %.1f)", (double)far.low, (double)far.high);
}

static void why_equal(const struct rd_find *f, uint32_t slot, struct xeno_buf *out)
{
    double low = INFINITY, high = 0;

    for (size_t i = 0; i < f->req->equal_count; i++) {
        struct xeno_latency l = rd_latency(f, f->req->near_count + i, slot);

        if (l.how == XENO_LATENCY_UNKNOWN) {
            xeno_buf_printf(out, "the round trip to %s is not known",
                            rd_place_text(&f->req->equal[i]));
            return;
        }
        low = fmin(low, (double)l.ms);
        high = fmax(high, (double)l.ms);
    }
    if (f->req->equal_count > 0)
        xeno_buf_printf(out, "round trips of %.1f to %.1f ms to the %zu places", low, high,
                        f->req->equal_count);
}

static void why_apart(const struct rd_find *f, double risk, const struct xeno_rd_answer *a,
                      struct xeno_buf *out)
{
    if (a->set > 0)
        xeno_buf_printf(out, "in a set of %d with separate paths to %s, as far as is seen",
                        (int)f->req->sets, f->to_host);
    else if (!(risk < INFINITY))
        xeno_buf_printf(out, "its path to %s is not known", f->to_host);
    else if (f->req->beside_count > 0)
        xeno_buf_printf(out, "its path to %s %s the others'", f->to_host,
                        risk >= 0.9   ? "shares hops with"
                        : risk >= 0.5 ? "comes near"
                                      : "seems separate from");
    else
        xeno_buf_printf(out, "its path to %s is known", f->to_host);
}

static void why_term(const struct rd_find *f, size_t t, uint32_t slot, struct xeno_rd_answer *a)
{
    xeno_autobuf out = XENO_BUF_INIT;

    switch (f->terms[t].what) {
    case XENO_RD_COST:
        why_cost(f, f->scales[t].best, slot, &out);
        break;
    case XENO_RD_RTT_MAX:
    case XENO_RD_RTT_MEAN:
        why_rtt(f, slot, &out);
        break;
    case XENO_RD_EQUAL:
        why_equal(f, slot, &out);
        break;
    case XENO_RD_DISJOINT:
        why_apart(f, f->s->terms[t][slot], a, &out);
        break;
    case XENO_RD_WARM:
        if (a->of > 0)
            xeno_buf_printf(&out, "%zu of %zu layers of the image are there", a->have, a->of);
        break;
    case XENO_RD_LOAD:
        if (a->load_percent >= 0)
            xeno_buf_printf(&out, "load %lld %%", (long long)a->load_percent);
        break;
    case XENO_RD_WHAT_COUNT:
        break;
    }
    say(a, &out);
}

void rd_why(const struct rd_find *f, uint32_t slot, struct xeno_rd_answer *a)
{
    xeno_autobuf out = XENO_BUF_INIT;

    if (a->complaints > 0) { /* first, so that it is said in any case */
        xeno_buf_printf(&out, "%lld complaint%s against it", (long long)a->complaints,
                        a->complaints == 1 ? "" : "s");
        say(a, &out);
    }
    for (size_t t = 0; t < f->term_count; t++)
        why_term(f, t, slot, a);
}
