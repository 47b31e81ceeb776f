/* src/host/tariff.h - what a resource costs, per reserved and per used quantity.
 *
 * Prices are whole micro-credits for a unit a person can picture; quantities are counted much finer
 * and only ever summed up, so that no sum is rounded twice: what a session owes for a resource is
 * floor(all of it so far * price / unit), and a charge is the difference to what was owed before.
 *
 *     resource   quantity reserved   quantity used   price_reserved per      price_used per
 *     cpu        CPU us              CPU us          CPU second              CPU second
 *     memory     MiB * ms            MiB * ms        GiB-hour                GiB-hour
 *     disk       MiB * ms            MiB * ms        GiB-hour                GiB-hour
 *     net        kbit/s * ms         bytes           Mbit/s-hour             GiB
 *     address    address * ms        (nothing)       address-hour            -
 *
 * Pure arithmetic: no clock, no memory, no I/O.
 */
#ifndef XENO_HOST_TARIFF_H
#define XENO_HOST_TARIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "doc/charge.h" /* enum xeno_res */
#include "json/json.h"
#include "spec/grant.h"

#define XENO_PRICE_MAX INT64_C(1000000000000) /* a million credits */

struct xeno_price {
    int64_t reserved; /* micro-credits per unit above; 0 is free */
    int64_t used;
};

struct xeno_tariff {
    int64_t epoch; /* names this set of prices in charges; at least 1 */
    struct xeno_price price[XENO_RES_COUNT];
};

/* Errors: -EINVAL tariff.price, tariff.epoch. */
int xeno_tariff_check(const struct xeno_tariff *t, struct xeno_err *err);

/* {"epoch":..,"cpu":{"reserved":..,"used":..},...} and back. */
struct xeno_json *xeno_tariff_json(const struct xeno_tariff *t);
int xeno_tariff_read(const struct xeno_json_at *at, struct xeno_tariff *ret, struct xeno_err *err);

/* Cumulative quantities of one resource. */
struct xeno_quantity {
    int64_t reserved;
    int64_t used;
};

/* What such a quantity costs, rounded down; INT64_MAX when it does not fit. */
int64_t xeno_tariff_amount(const struct xeno_tariff *t, enum xeno_res res, struct xeno_quantity q);

/* The same quantities priced by many tariffs, at some ten nanoseconds each: what
 * xeno_tariff_amount() gives, summed over the resources; with `up` one micro-credit more for each
 * part that costs something, as xeno_tariff_cost() rounds. INT64_MAX when it does not fit.
 * Unrounded it is the sum of each part's ratio and its price. */
struct xeno_quote {
    struct {
        int64_t quantity, unit;
        double ratio;
        uint8_t res;
        bool used;
    } part[2 * XENO_RES_COUNT];
    size_t count;
    bool up;
};
void xeno_quote_init(struct xeno_quote *quote, const struct xeno_quantity q[XENO_RES_COUNT],
                     bool up);
int64_t xeno_quote_at(const struct xeno_quote *quote, const struct xeno_tariff *t);

/* Which part of a grant a session has in its present state: all of it, or the disk (and an address
 * of its own) only. */
enum xeno_share { XENO_SHARE_NONE, XENO_SHARE_KEPT, XENO_SHARE_ALL };

/* What `ms` milliseconds of that share cost at most: reserved in full, and used to the full as well
 * when `used`. Rounded up for each resource; INT64_MAX when it does not fit. */
int64_t xeno_tariff_cost(const struct xeno_tariff *t, const struct xeno_grant *g,
                         enum xeno_share share, bool used, int64_t ms);

/* The most that can be reserved and delivered in `ms` milliseconds: the ceilings of the meter. */
struct xeno_quantity xeno_tariff_ceiling(const struct xeno_grant *g, enum xeno_share share,
                                         enum xeno_res res, int64_t ms);

#endif
