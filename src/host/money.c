/* src/host/money.c - budgets: what a session may still cost, and when it has to stop.
 *
 * The budget of a session on its order is what the XenoCorp said is left, or less when the chain or
 * the requirement says so. What it would cost to keep the suspended session for the grace time is
 * set aside; the rest is the running part. While it runs it is charged from the running part only,
 * and it is suspended a little before that is used up, at the most it could use until then. What
 * accrues beyond the cap all the same (a stop that takes long) is forfeited: the host's loss.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "doc/charge.h"
#include "host/internal.h"

#define HOUR_MS INT64_C(3600000)

void session_advance(struct xeno_host *h, struct session *s)
{
    int64_t mono_ms = mono_ns(h) / XENO_NS_PER_MS;
    int64_t passed = s->mono_ms >= 0 ? mono_ms - s->mono_ms : XENO_PASSED_UNKNOWN;

    if (s->r.meter.at_ms == 0)
        return;
    xeno_meter_advance(&s->r.meter, &s->offer.grant,
                       xeno_state_info((enum xeno_state)s->r.state)->share, wall_ms(h), passed);
    s->mono_ms = mono_ms;
}

int64_t session_hour_max(const struct offer *o)
{
    return xeno_tariff_cost(&o->tariff, &o->grant, XENO_SHARE_ALL, true, HOUR_MS);
}

static int64_t plus(int64_t a, int64_t b)
{
    int64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static int64_t set_aside(const struct xeno_host *h, const struct offer *o)
{
    return xeno_tariff_cost(&o->tariff, &o->grant, XENO_SHARE_KEPT, true, h->cfg.grace_ms);
}

int64_t session_on_order(const struct session *s)
{
    return plus(s->r.order_charged, xeno_meter_open(&s->r.meter, &s->offer.tariff));
}

int64_t session_running_part(const struct xeno_host *h, const struct session *s)
{
    int64_t aside = set_aside(h, &s->offer);

    return s->r.budget > aside ? s->r.budget - aside : 0;
}

int money_enough(const struct xeno_host *h, const struct offer *o, int64_t budget,
                 struct xeno_err *err)
{
    int64_t aside = set_aside(h, o);
    int64_t first = xeno_tariff_cost(&o->tariff, &o->grant, XENO_SHARE_ALL, true,
                                     h->cfg.charge_interval_ms + lookahead_ms(h));
    int64_t need = plus(aside, first);

    if (budget >= need)
        return 0;
    return xeno_fail(
        err, -EDQUOT, "order.too-small",
        "the order leaves %s credits for this session; it needs at least %s: %s to keep "
        "it for the grace time and %s to run at all",
        xeno_credit_text(xeno_micro(budget > 0 ? budget : 0), (char[XENO_CREDIT_TEXT]){ 0 }),
        xeno_credit_text(xeno_micro(need), (char[XENO_CREDIT_TEXT]){ 0 }),
        xeno_credit_text(xeno_micro(aside), (char[XENO_CREDIT_TEXT]){ 0 }),
        xeno_credit_text(xeno_micro(first), (char[XENO_CREDIT_TEXT]){ 0 }));
}

/* --- charges --- */

/* What may be charged on the present order in the present state. */
static int64_t charge_cap(const struct xeno_host *h, const struct session *s)
{
    switch (s->r.state) {
    case XENO_RUNNING:
    case XENO_PAUSED:
    case XENO_SUSPENDING:
        return session_running_part(h, s);
    default:
        return s->r.budget;
    }
}

static int64_t above_zero(int64_t n)
{
    return n > 0 ? n : 0;
}

/* Itemise what is open, as far as there is room for it; what is not charged is forfeited. */
static void fill_items(struct session *s, struct xeno_charge *c, int64_t room)
{
    struct xeno_meter *m = &s->r.meter;

    for (int res = 0; res < XENO_RES_COUNT; res++) {
        int64_t owed = xeno_meter_owed(m, &s->offer.tariff, res);
        int64_t open = above_zero(owed - m->accounted[res]);
        int64_t amount = open < room ? open : room;
        struct xeno_charge_item item = {
            .res = res,
            .reserved = above_zero(m->total[res].reserved - m->told[res].reserved),
            .used = above_zero(m->total[res].used - m->told[res].used),
            .price_reserved = { s->offer.tariff.price[res].reserved },
            .price_used = { s->offer.tariff.price[res].used },
            .amount = { amount },
        };

        room -= amount;
        s->r.forfeited += open - amount;
        m->accounted[res] += open;
        m->told[res].reserved += item.reserved;
        m->told[res].used += item.used;
        c->amount.micro += amount;
        if (item.reserved > 0 || item.used > 0 || amount > 0)
            c->items[c->item_count++] = item;
    }
}

static void write_off(struct session *s)
{
    struct xeno_meter *m = &s->r.meter;

    for (int res = 0; res < XENO_RES_COUNT; res++) {
        int64_t open = above_zero(xeno_meter_owed(m, &s->offer.tariff, res) - m->accounted[res]);

        s->r.forfeited += open;
        m->accounted[res] += open;
        m->told[res] = m->total[res];
    }
}

int charge_cut(struct xeno_host *h, struct session *s, bool final, struct xeno_err *err)
{
    int64_t open = xeno_meter_open(&s->r.meter, &s->offer.tariff);
    int64_t room = above_zero(charge_cap(h, s) - s->r.order_charged);
    struct xeno_charge c = { .epoch = s->r.epoch, .final = final };

    if (s->r.dead || (room == 0 && !final)) {
        write_off(s);
        return 0;
    }
    if (open == 0 && !final)
        return 0;
    memcpy(c.order, s->r.order, sizeof(c.order));
    memcpy(c.session, s->id, sizeof(c.session));
    c.tariff = s->offer.tariff.epoch;
    c.seq = ++s->r.seq;
    c.from = xeno_ms(s->r.charged_to_ms);
    if (s->r.meter.at_ms > s->r.charged_to_ms)
        s->r.charged_to_ms = s->r.meter.at_ms;
    else
        s->r.charged_to_ms++; /* an interval is never empty */
    c.to = xeno_ms(s->r.charged_to_ms);
    snprintf(c.activity, sizeof(c.activity), "%s %s: %s", s->offer.env_type, s->offer.name,
             xeno_state_name((enum xeno_state)s->r.state));
    fill_items(s, &c, room);
    s->r.order_charged += c.amount.micro;
    s->r.charged += c.amount.micro;
    return outbox_put(h, &c, err);
}

/* --- charging all that is due, in one transaction --- */

struct saved {
    struct session *s;
    struct rec old;
};

static bool is_due(const struct xeno_host *h, const struct session *s)
{
    return xeno_state_info((enum xeno_state)s->r.state)->share != XENO_SHARE_NONE &&
           s->r.meter.at_ms - s->r.charged_to_ms >= h->cfg.charge_interval_ms &&
           xeno_meter_open(&s->r.meter, &s->offer.tariff) > 0;
}

/* Make the journal say what memory says of those `count`; or put memory back. */
static int charges_commit(struct xeno_host *h, struct saved *saved, size_t count,
                          struct xeno_err *err)
{
    int r;

    r = xeno_db_begin(h->db, err);
    if (r == 0) {
        for (size_t i = 0; i < count && r == 0; i++) {
            r = charge_cut(h, saved[i].s, false, err);
            if (r == 0)
                r = journal_session_put(h, saved[i].s, err);
        }
        r = journal_end(h, r, err);
    }
    for (size_t i = 0; i < count; i++) {
        struct session *s = saved[i].s;

        if (r < 0) {
            s->r = saved[i].old;
            continue;
        }
        outbox_added(h, s, &saved[i].old);
    }
    return r;
}

int charges_due(struct xeno_host *h, struct xeno_err *err)
{
    xeno_autofree struct saved *saved = NULL;
    size_t count = 0, room = 0;
    struct session *s, *next;
    int r;

    HASH_ITER (hh, h->sessions, s, next) {
        session_advance(h, s);
        if (!is_due(h, s))
            continue;
        if (count == room) {
            room = room > 0 ? 2 * room : 16;
            saved = xeno_grow(saved, room);
        }
        saved[count++] = (struct saved){ .s = s, .old = s->r };
    }
    if (count == 0)
        return 0;
    r = charges_commit(h, saved, count, err);
    if (r == 0)
        outbox_kick(h);
    return r;
}

/* --- warnings, and the end of the money --- */

static int64_t percent_of(int64_t n, int percent)
{
    int64_t part = 0;

    (void)xeno_muldiv(n, percent, 100, &part); /* fits: percent is 100 at most */
    return part;
}

static int warn(struct xeno_host *h, struct session *s, int64_t left, int64_t part,
                struct xeno_err *err)
{
    struct rec old = s->r;
    int r;

    while (s->r.warned < 2 && left <= percent_of(part, h->cfg.warn_percent[s->r.warned]))
        s->r.warned++;
    if (s->r.warned == old.warned)
        return 0;
    r = session_save(h, s, &old, err);
    if (r < 0)
        return r;
    for (int64_t i = old.warned; i < s->r.warned; i++) {
        struct xeno_json *o = xeno_json_object();

        xeno_json_set_str(o, "reason", "order.low");
        xeno_json_set_int(o, "percent", h->cfg.warn_percent[i]);
        xeno_json_set_int(o, "left", above_zero(left));
        xeno_json_set_str(o, "order", s->r.order);
        event_tell(h, s, "session.warning", o);
    }
    return 0;
}

static int grace_begin(struct xeno_host *h, struct session *s, struct xeno_err *err)
{
    struct rec old = s->r;
    struct xeno_json *o;
    int r;

    s->r.grace_ends_ms = wall_ms(h) + h->cfg.grace_ms;
    r = session_save(h, s, &old, err);
    if (r < 0)
        return r;
    o = xeno_json_object();
    xeno_json_set_str(o, "reason", "order.spent");
    xeno_json_set_int(o, "grace_ends_ms", s->r.grace_ends_ms);
    event_tell(h, s, "session.warning", o);
    return 0;
}

static int running_tick(struct xeno_host *h, struct session *s, struct xeno_err *err)
{
    int64_t part = session_running_part(h, s);
    int64_t left = part - session_on_order(s);
    int64_t soon =
        xeno_tariff_cost(&s->offer.tariff, &s->offer.grant, XENO_SHARE_ALL, true, lookahead_ms(h));
    int r;

    if (s->r.dead)
        return session_move(h, s, XENO_ON_SUSPEND, "order.dead", err);
    r = warn(h, s, left - soon, part, err);
    if (r < 0 || left > soon)
        return r;
    return session_move(h, s, XENO_ON_SUSPEND, "order.spent", err);
}

int64_t session_run_need(const struct xeno_host *h, const struct session *s)
{
    return xeno_tariff_cost(&s->offer.tariff, &s->offer.grant, XENO_SHARE_ALL, true,
                            h->cfg.charge_interval_ms + lookahead_ms(h));
}

/* The grace time begins when the order cannot bring the session back any more. */
static int suspended_tick(struct xeno_host *h, struct session *s, struct xeno_err *err)
{
    int64_t left = session_running_part(h, s) - session_on_order(s);

    if (s->r.grace_ends_ms > 0) {
        if (wall_ms(h) < s->r.grace_ends_ms)
            return 0;
        return session_move(h, s, XENO_ON_TIMEOUT, "order.grace: the grace time is over", err);
    }
    return s->r.dead || left < session_run_need(h, s) ? grace_begin(h, s, err) : 0;
}

int money_tick(struct xeno_host *h, struct session *s, struct xeno_err *err)
{
    session_advance(h, s);
    switch (s->r.state) {
    case XENO_RUNNING:
    case XENO_PAUSED:
        return running_tick(h, s, err);
    case XENO_SUSPENDED:
        return suspended_tick(h, s, err);
    default:
        return 0;
    }
}
