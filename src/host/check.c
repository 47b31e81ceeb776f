/* src/host/check.c - the invariants, as code. */
#include <errno.h>

#include "host/internal.h"

static int broken(struct xeno_err *err, const struct session *s, const char *what)
{
    return xeno_fail(err, -EUCLEAN, "host.broken", "session %s (%s): %s", s->id,
                     xeno_state_name((enum xeno_state)s->r.state), what);
}

static int check_money(const struct xeno_host *h, const struct session *s, struct xeno_err *err)
{
    const struct rec *r = &s->r;
    int64_t accounted = 0, part = session_running_part(h, s);

    for (int res = 0; res < XENO_RES_COUNT; res++) {
        if (r->meter.accounted[res] < 0 || r->meter.total[res].reserved < 0 ||
            r->meter.total[res].used < 0)
            return broken(err, s, "a sum is below zero");
        accounted += r->meter.accounted[res];
    }
    if (accounted != r->charged + r->forfeited)
        return broken(err, s, "accounted is not charged and forfeited");
    if (r->charged != r->posted + r->refused + s->queued_amount)
        return broken(err, s, "charged is not posted, refused and in the outbox");
    if (r->epoch > 0 && r->order_charged > r->budget)
        return broken(err, s, "charged more than the order's budget");
    if ((r->state == XENO_RUNNING || r->state == XENO_PAUSED) && r->warned < 2 &&
        r->order_charged > part)
        return broken(err, s, "the money set aside was charged, without a warning");
    if (r->state == XENO_ENDED && xeno_meter_open(&r->meter, &s->offer.tariff) != 0)
        return broken(err, s, "ended with something not accounted for");
    return 0;
}

static int check_session(const struct xeno_host *h, const struct session *s, struct xeno_err *err)
{
    const struct xeno_state_info *info = xeno_state_info((enum xeno_state)s->r.state);

    if (info->share != XENO_SHARE_NONE && s->r.meter.at_ms == 0)
        return broken(err, s, "billed, and no meter runs");
    if (s->r.meter.at_ms == 0 && s->r.seq != 0)
        return broken(err, s, "charged before it ran");
    if (!s->next_chain != !s->r.next_order[0])
        return broken(err, s, "an order is pending without its chain");
    /* One that ended a while ago, with everything settled, does not change any more. */
    if (s->r.state == XENO_ENDED && s->queued == 0 && wall_ms(h) - s->r.since_ms > 60000)
        return 0;
    return check_money(h, s, err);
}

static int check_claims(const struct xeno_host *h, size_t live, struct xeno_err *err)
{
    if (!xeno_admission_sound(h->admission))
        return xeno_fail(err, -EUCLEAN, "host.broken", "admission does not add up");
    if (xeno_admission_claims(h->admission) != live + HASH_COUNT(h->holds))
        return xeno_fail(err, -EUCLEAN, "host.broken",
                         "%zu claims for %zu live sessions and %u holds",
                         xeno_admission_claims(h->admission), live, HASH_COUNT(h->holds));
    return 0;
}

static int check_outbox(const struct xeno_host *h, int64_t queued, int64_t amount,
                        struct xeno_err *err)
{
    int64_t rows = 0, sum = 0;
    int r;

    r = xeno_db_one_int(h->db, 0, &rows, err, "SELECT count(*) FROM outbox", "");
    if (r >= 0)
        r = xeno_db_one_int(h->db, 0, &sum, err, "SELECT sum(amount) FROM outbox", "");
    if (r < 0)
        return r;
    if (rows != queued || rows != h->outbox_count || sum != amount)
        return xeno_fail(err, -EUCLEAN, "host.broken",
                         "outbox: %lld rows of %lld, counted %lld and %lld of %lld",
                         (long long)rows, (long long)sum, (long long)queued,
                         (long long)h->outbox_count, (long long)amount);
    return 0;
}

int xeno_host_sound(struct xeno_host *h, struct xeno_err *err)
{
    int64_t queued = 0, amount = 0;
    struct session *s, *next;
    size_t live = 0;
    int r;

    HASH_ITER (hh, h->sessions, s, next) {
        r = check_session(h, s, err);
        if (r < 0)
            return r;
        live += s->r.state != XENO_ENDED;
        queued += s->queued;
        amount += s->queued_amount;
    }
    r = check_claims(h, live, err);
    return r < 0 ? r : check_outbox(h, queued, amount, err);
}
