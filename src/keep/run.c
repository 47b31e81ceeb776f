/* src/keep/run.c - what time does: counting, charges, ends. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "keep/row.h"

#define MIB     (INT64_C(1) << 20)
#define UNIT    (INT64_C(1024) * 86400000) /* MiB * ms in a GiB and day */
#define AT_ONCE 64
#define NO_END  INT64_MAX

typedef unsigned __int128 wide;

static int64_t narrow(wide n)
{
    return n > XENO_QUANTITY_MAX ? XENO_QUANTITY_MAX : (int64_t)n;
}

/* --- counting --- */

int64_t keep_owed(const struct keep_row *r)
{
    return narrow((wide)r->total * (wide)r->price / UNIT);
}

void keep_advance(struct keep_row *r, int64_t to_ms)
{
    wide bytes;

    if (to_ms <= r->at_ms)
        return;
    bytes = (wide)r->paying * (wide)(to_ms - r->at_ms) + (wide)r->rest;
    r->total = narrow((wide)r->total + bytes / MIB);
    r->rest = (int64_t)(bytes % MIB);
    r->at_ms = to_ms;
}

/* The last millisecond up to which no more is owed than the order has. */
static int64_t spent_ms(const struct keep_row *r)
{
    wide most, have = (wide)r->total * MIB + (wide)r->rest, ms;

    if (r->price == 0 || r->paying == 0)
        return NO_END;
    most = (((wide)r->budget + 1) * UNIT - 1) / (wide)r->price; /* MiB * ms */
    if (((most + 1) * MIB - 1) <= have)
        return r->at_ms;
    ms = ((most + 1) * MIB - 1 - have) / (wide)r->paying;
    return ms > (wide)(NO_END - r->at_ms) ? NO_END : r->at_ms + (int64_t)ms;
}

void keep_plan(struct keep_row *r)
{
    int64_t spent = spent_ms(r);

    r->end_ms = r->expires_ms < r->window_ms ? r->expires_ms : r->window_ms;
    if (spent < r->end_ms)
        r->end_ms = spent;
    if (r->end_ms < r->at_ms)
        r->end_ms = r->at_ms;
}

int keep_paying(struct xeno_db *db, struct keep_row *r, struct xeno_err *err)
{
    return xeno_db_one_int(db, 0, &r->paying, err,
                           "SELECT coalesce(sum(o.size), 0) FROM certified o WHERE o.cert = $1"
                           " AND NOT EXISTS (SELECT 1 FROM certified p JOIN kept k ON k.n = p.cert"
                           " WHERE p.digest = o.digest AND k.owner = $2 AND k.state = 2"
                           " AND k.rank < $3)",
                           "iti", r->n, r->owner, r->rank);
}

/* --- charges --- */

static int cut(struct xeno_db *db, struct keep_row *r, bool final, struct xeno_err *err)
{
    int64_t amount = keep_owed(r) - r->charged, n = 0;
    struct xeno_charge c = { .epoch = r->epoch,
                             .seq = r->seq + 1,
                             .from = xeno_ms(r->charged_to_ms),
                             .to = xeno_ms(r->at_ms),
                             .tariff = r->tariff,
                             .amount = { amount },
                             .final = final };
    int e;

    if (amount == 0 && !final)
        return 0;
    if (r->total > r->told) {
        c.items[c.item_count++] = (struct xeno_charge_item){ .res = XENO_RES_DISK,
                                                             .reserved = r->total - r->told,
                                                             .used = r->total - r->told,
                                                             .price_reserved = { r->price },
                                                             .amount = { amount } };
    }
    snprintf(c.order, sizeof c.order, "%s", r->order);
    snprintf(c.session, sizeof c.session, "%s", r->id);
    snprintf(c.activity, sizeof c.activity, "storage of %s", r->digest);
    e = xeno_db_one_int(db, 0, &n, err, "SELECT max(n) FROM outbox", "");
    if (e == 0)
        e = xeno_outbox_put(db, n + 1, &c, err);
    if (e < 0)
        return e;
    r->seq++;
    r->told = r->total;
    r->charged += amount;
    r->charged_to_ms = r->at_ms;
    return 0;
}

/* --- ends --- */

/* The next younger certificate of the owner that has an object of it: it may pay for it now. */
static int next_heir(struct xeno_db *db, const struct keep_row *r, int64_t after,
                     struct keep_row *ret, struct xeno_err *err)
{
    int64_t n = 0;
    int e = xeno_db_one_int(db, 0, &n, err,
                            "SELECT min(k.n) FROM kept k WHERE k.owner = $1 AND k.state = 2"
                            " AND k.rank > $2 AND k.n > $3 AND EXISTS (SELECT 1 FROM certified o"
                            " JOIN certified p ON p.digest = o.digest WHERE o.cert = $4"
                            " AND p.cert = k.n)",
                            "tiii", r->owner, r->rank, after, r->n);

    if (e < 0 || n == 0)
        return e;
    return keep_find_int(db, KEEP_SELECT "WHERE n = $1", n, ret, err);
}

static int hand_over(struct xeno_db *db, const struct keep_row *r, int64_t at_ms,
                     struct xeno_err *err)
{
    struct keep_row heir;
    int64_t after = 0;
    int e;

    while ((e = next_heir(db, r, after, &heir, err)) > 0) {
        after = heir.n;
        keep_advance(&heir, at_ms);
        e = keep_paying(db, &heir, err);
        if (e < 0)
            break;
        keep_plan(&heir);
        e = keep_save(db, &heir, err);
        if (e < 0)
            break;
    }
    return e;
}

int keep_end(struct xeno_db *db, struct keep_row *r, int64_t at_ms, bool final, const char *why,
             struct xeno_err *err)
{
    int e = 0;

    if (final) {
        keep_advance(r, at_ms);
        e = cut(db, r, true, err);
    } else {
        r->release = 1;
    }
    r->at_ms = at_ms > r->at_ms ? at_ms : r->at_ms;
    r->state = KEEP_ENDED;
    r->end_ms = r->at_ms;
    r->paying = 0;
    snprintf(r->why, sizeof r->why, "%s", why);
    if (e == 0)
        e = keep_save(db, r, err);
    return e < 0 ? e : hand_over(db, r, at_ms, err);
}

int keep_run_ends(struct xeno_db *db, int64_t now_ms, struct xeno_err *err)
{
    struct keep_row r;
    int e = keep_clock(db, now_ms, err), count = 0;

    while (e >= 0 && count < AT_ONCE) {
        e = keep_find_int(
            db, KEEP_SELECT "WHERE state = 2 AND end_ms <= $1 ORDER BY end_ms, rank LIMIT 1",
            now_ms, &r, err);
        if (e <= 0)
            break;
        e = keep_end(db, &r, r.end_ms, true,
                     r.end_ms < r.expires_ms && r.end_ms < r.window_ms ? "spent" : "expired", err);
        count++;
    }
    return e < 0 ? e : count == AT_ONCE;
}

int xeno_keep_tick(struct xeno_db *db, int64_t interval_ms, int64_t now_ms, struct xeno_err *err)
{
    struct keep_row r;
    int count = 0, e = keep_run_ends(db, now_ms, err);

    if (e != 0)
        return e;
    while (count < AT_ONCE) {
        e = keep_find_int(db,
                          KEEP_SELECT "WHERE state = 2 AND due_ms <= $1 ORDER BY due_ms LIMIT 1",
                          now_ms, &r, err);
        if (e <= 0)
            break;
        keep_advance(&r, now_ms);
        e = cut(db, &r, false, err);
        r.due_ms = now_ms + interval_ms; /* also when less than a micro-credit is owed */
        if (e == 0)
            e = keep_save(db, &r, err);
        if (e < 0)
            break;
        count++;
    }
    return e < 0 ? e : count == AT_ONCE;
}
