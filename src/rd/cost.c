/* src/rd/cost.c - what a grant costs at each server, and limits on that. */
#include "rd/find-priv.h"

#include <math.h>
#include <string.h>

#define HOUR_MS INT64_C(3600000)

/* What single precision is off by at most, of a sum of products of prices. */
#define ROUGH_PART  1e-6
#define ROUGH_MICRO 32. /* each part is rounded to micro-credits */

/* --- quotes --- */

static int64_t percent(int64_t n, int64_t part)
{
    return n / 100 * part + n % 100 * part / 100;
}

/* Memory and disk count as used in full, CPU and net as the request expects. */
static void quote_expected(const struct rd_find *f, struct xeno_quote *ret)
{
    struct xeno_quantity q[XENO_RES_COUNT];
    int64_t ms = f->req->duration_s * 1000;

    for (int i = 0; i < XENO_RES_COUNT; i++)
        q[i] = xeno_tariff_ceiling(&f->grant, XENO_SHARE_ALL, i, ms);
    q[XENO_RES_CPU].used = percent(q[XENO_RES_CPU].used, f->req->cpu_percent);
    if (f->req->net_bytes < q[XENO_RES_NET].used)
        q[XENO_RES_NET].used = f->req->net_bytes;
    xeno_quote_init(ret, q, false);
}

static void quote_hour(const struct rd_find *f, bool used, struct xeno_quote *ret)
{
    struct xeno_quantity q[XENO_RES_COUNT];

    for (int i = 0; i < XENO_RES_COUNT; i++) {
        q[i] = xeno_tariff_ceiling(&f->grant, XENO_SHARE_ALL, i, HOUR_MS);
        if (!used)
            q[i].used = 0;
    }
    xeno_quote_init(ret, q, used);
}

void rd_price(struct rd_find *f)
{
    f->priced = f->req->requirement;
    if (!f->priced)
        return;
    xeno_requirement_grant(f->req->requirement, &f->grant);
    quote_expected(f, &f->total);
    quote_hour(f, false, &f->hour);
    quote_hour(f, true, &f->most); /* as the host counts when it holds to MaxPricePerHour */
}

/* --- of one server --- */

static int64_t quoted(const struct rd_find *f, const struct xeno_quote *quote, uint32_t slot)
{
    const struct xeno_tariff *t = &f->rd->tariffs[slot];

    return f->priced && t->epoch > 0 ? xeno_quote_at(quote, t) : RD_NO_COST;
}

int64_t rd_hour(const struct rd_find *f, uint32_t slot)
{
    return quoted(f, &f->hour, slot);
}

int64_t rd_total(const struct rd_find *f, uint32_t slot)
{
    int64_t *total = &f->s->total[slot];

    if (*total == RD_NOT_YET)
        *total = quoted(f, &f->total, slot);
    return *total;
}

int64_t rd_most(const struct rd_find *f, uint32_t slot)
{
    return quoted(f, &f->most, slot);
}

/* --- of all --- */

/* About what the servers of this part ask; NAN: not known. */
static void about(const struct rd_find *f, const struct xeno_quote *quote, float *restrict ret)
{
    size_t n = f->end - f->begin;

    memcpy(ret, f->rd->prices[0] + f->begin, n * sizeof(*ret));
    for (size_t i = 0; i < n; i++)
        ret[i] *= 0; /* what is not known stays so */
    for (size_t k = 0; k < quote->count; k++) {
        const float *restrict price =
            f->rd->prices[2 * quote->part[k].res + quote->part[k].used] + f->begin;
        float ratio = (float)quote->part[k].ratio;

        for (size_t i = 0; i < n; i++)
            ret[i] += ratio * price[i];
    }
}

/* Most prices are far from the limit; the exact sum is made where one is not. */
void rd_match_price(struct rd_find *f, const struct rd_test *t)
{
    const struct xeno_quote *quote = t->c == XENO_RD_C_HOUR ? &f->most : &f->total;
    double asked = (double)t->asked, slack = ROUGH_PART * asked + ROUGH_MICRO;
    uint32_t n = f->end - f->begin;
    uint8_t *truth = f->s->truth[0];
    float sums[RD_PART];

    about(f, quote, sums);
    for (uint32_t i = 0; i < n; i++) {
        double sum = sums[i];
        bool more = sum > asked;

        if (fabs(sum - asked) <= slack)
            more = quoted(f, quote, f->begin + i) > t->asked;
        truth[i] = isnan(sum) ? XENO_UNKNOWN : !more;
    }
    rd_note(f, t->c, truth);
}
