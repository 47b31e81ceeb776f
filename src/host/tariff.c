/* src/host/tariff.c - prices and the arithmetic on them. */
#include "host/tariff.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>

#include "base/units.h"

#define HOUR_MS INT64_C(3600000)

/* How many of the counted quantity make the unit that a price is for. */
static const struct {
    int64_t unit_reserved, unit_used;
} resources[XENO_RES_COUNT] = {
    [XENO_RES_CPU] = { 1000000, 1000000 },
    [XENO_RES_MEMORY] = { 1024 * HOUR_MS, 1024 * HOUR_MS },
    [XENO_RES_DISK] = { 1024 * HOUR_MS, 1024 * HOUR_MS },
    [XENO_RES_NET] = { 1000 * HOUR_MS, INT64_C(1) << 30 },
    [XENO_RES_ADDRESS] = { HOUR_MS, 1 },
};

int xeno_tariff_check(const struct xeno_tariff *t, struct xeno_err *err)
{
    if (t->epoch < 1)
        return xeno_fail(err, -EINVAL, "tariff.epoch", "tariff epoch %lld is below 1",
                         (long long)t->epoch);
    for (int i = 0; i < XENO_RES_COUNT; i++) {
        const struct xeno_price *p = &t->price[i];

        if (p->reserved < 0 || p->reserved > XENO_PRICE_MAX || p->used < 0 ||
            p->used > XENO_PRICE_MAX)
            return xeno_fail(err, -EINVAL, "tariff.price",
                             "price of %s must be 0 to %lld micro-credits", xeno_res_name(i),
                             (long long)XENO_PRICE_MAX);
    }
    return 0;
}

struct xeno_json *xeno_tariff_json(const struct xeno_tariff *t)
{
    struct xeno_json *o = xeno_json_object();

    xeno_json_set_int(o, "epoch", t->epoch);
    for (int i = 0; i < XENO_RES_COUNT; i++) {
        struct xeno_json *p = xeno_json_object();

        xeno_json_set_int(p, "reserved", t->price[i].reserved);
        xeno_json_set_int(p, "used", t->price[i].used);
        xeno_json_set(o, xeno_res_name(i), p);
    }
    return o;
}

int xeno_tariff_read(const struct xeno_json_at *at, struct xeno_tariff *ret, struct xeno_err *err)
{
    struct xeno_tariff t = { 0 };
    struct xeno_json_at p;
    int r;

    r = xeno_json_int(at, "epoch", 1, INT64_MAX, &t.epoch, err);
    for (int i = 0; i < XENO_RES_COUNT && r == 0; i++) {
        r = xeno_json_obj(at, xeno_res_name(i), &p, err);
        if (r == 0)
            r = xeno_json_int(&p, "reserved", 0, XENO_PRICE_MAX, &t.price[i].reserved, err);
        if (r == 0)
            r = xeno_json_int(&p, "used", 0, XENO_PRICE_MAX, &t.price[i].used, err);
    }
    if (r < 0)
        return r;
    *ret = t;
    return 0;
}

static int64_t add_capped(int64_t a, int64_t b)
{
    int64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static int64_t mul_capped(int64_t a, int64_t b)
{
    int64_t product;

    return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

static int64_t part(int64_t quantity, int64_t price, int64_t unit)
{
    int64_t amount;

    return xeno_muldiv(quantity, price, unit, &amount) ? amount : INT64_MAX;
}

int64_t xeno_tariff_amount(const struct xeno_tariff *t, enum xeno_res res, struct xeno_quantity q)
{
    return add_capped(part(q.reserved, t->price[res].reserved, resources[res].unit_reserved),
                      part(q.used, t->price[res].used, resources[res].unit_used));
}

static void quote_part(struct xeno_quote *quote, int res, bool used, int64_t quantity, int64_t unit)
{
    if (quantity <= 0)
        return;
    quote->part[quote->count].res = (uint8_t)res;
    quote->part[quote->count].used = used;
    quote->part[quote->count].quantity = quantity;
    quote->part[quote->count].unit = unit;
    quote->part[quote->count++].ratio = (double)quantity / (double)unit;
}

void xeno_quote_init(struct xeno_quote *quote, const struct xeno_quantity q[XENO_RES_COUNT],
                     bool up)
{
    quote->count = 0;
    quote->up = up;
    for (int i = 0; i < XENO_RES_COUNT; i++) {
        quote_part(quote, i, false, q[i].reserved, resources[i].unit_reserved);
        quote_part(quote, i, true, q[i].used, resources[i].unit_used);
    }
}

/* floor(quantity * price / unit). Below 2^50 the product of doubles is off by less than one half,
 * so that its floor is the right one or next to it; which one the remainder says, which is small
 * and therefore right although the products in it may wrap. */
static int64_t quoted(int64_t quantity, double ratio, int64_t unit, int64_t price)
{
    double about = ratio * (double)price;
    int64_t whole, rest;

    if (!(about < 0x1p50))
        return part(quantity, price, unit);
    whole = (int64_t)about;
    rest = (int64_t)((uint64_t)quantity * (uint64_t)price - (uint64_t)whole * (uint64_t)unit);
    return rest < 0 ? whole - 1 : rest >= unit ? whole + 1 : whole;
}

int64_t xeno_quote_at(const struct xeno_quote *quote, const struct xeno_tariff *t)
{
    int64_t sum = 0;

    for (size_t i = 0; i < quote->count; i++) {
        const struct xeno_price *p = &t->price[quote->part[i].res];
        int64_t price = quote->part[i].used ? p->used : p->reserved;

        if (price == 0)
            continue;
        sum = add_capped(
            sum, quoted(quote->part[i].quantity, quote->part[i].ratio, quote->part[i].unit, price));
        if (quote->up)
            sum = add_capped(sum, 1);
    }
    return sum;
}

static int64_t mib(int64_t bytes)
{
    return bytes / (1 << 20) + (bytes % (1 << 20) != 0);
}

struct xeno_quantity xeno_tariff_ceiling(const struct xeno_grant *g, enum xeno_share share,
                                         enum xeno_res res, int64_t ms)
{
    struct xeno_quantity q = { 0, 0 };
    bool all = share == XENO_SHARE_ALL;

    if (share == XENO_SHARE_NONE)
        return q;
    switch (res) {
    case XENO_RES_CPU: /* ms of CPU per s, for ms: exactly as many us */
        q.reserved = all ? mul_capped(g->cpu_msps, ms) : 0;
        q.used = q.reserved;
        break;
    case XENO_RES_MEMORY:
        q.reserved = all ? mul_capped(mib(g->memory_bytes), ms) : 0;
        q.used = q.reserved;
        break;
    case XENO_RES_DISK:
        q.reserved = mul_capped(mib(g->disk_bytes), ms);
        q.used = q.reserved;
        break;
    case XENO_RES_NET: /* kbit/s for ms are bits: an eighth in bytes, both ways */
        q.reserved = all ? mul_capped(g->net_kbps, ms) : 0;
        q.used = q.reserved / 4;
        break;
    case XENO_RES_ADDRESS:
        q.reserved = mul_capped(g->addresses, ms);
        break;
    case XENO_RES_COUNT:
        break;
    }
    return q;
}

/* floor(a + b) summed over resources is at most the sum of each floor plus one. */
int64_t xeno_tariff_cost(const struct xeno_tariff *t, const struct xeno_grant *g,
                         enum xeno_share share, bool used, int64_t ms)
{
    int64_t sum = 0;

    for (int i = 0; i < XENO_RES_COUNT; i++) {
        struct xeno_quantity q = xeno_tariff_ceiling(g, share, i, ms);

        if (!used)
            q.used = 0;
        if (t->price[i].reserved > 0 && q.reserved > 0)
            sum = add_capped(sum, 1);
        if (t->price[i].used > 0 && q.used > 0)
            sum = add_capped(sum, 1);
        sum = add_capped(sum, xeno_tariff_amount(t, i, q));
    }
    return sum;
}
