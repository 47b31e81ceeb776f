/* src/host/meter.c - counting. */
#include "host/meter.h"

#include <stddef.h>

#define MIB (INT64_C(1) << 20)

static int64_t min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Totals stay where documents can carry them; at the highest price nobody can pay for more. */
static void count(int64_t *total, int64_t more)
{
    int64_t sum;

    if (__builtin_add_overflow(*total, more, &sum) || sum > XENO_QUANTITY_MAX)
        sum = XENO_QUANTITY_MAX;
    *total = sum;
}

/* Move what waits into the total, as far as there is room. */
static void settle(int64_t *total, int64_t *waits, int64_t *room)
{
    int64_t n = min(*waits, *room);

    count(total, n);
    *waits -= n;
    *room -= n;
}

void xeno_meter_advance(struct xeno_meter *m, const struct xeno_grant *g, enum xeno_share share,
                        int64_t wall_ms, int64_t passed_ms)
{
    int64_t ms = xeno_bill_pass(&m->at_ms, wall_ms, passed_ms);

    if (ms == 0 || share == XENO_SHARE_NONE)
        return;
    for (int i = 0; i < XENO_RES_COUNT; i++)
        count(&m->total[i].reserved, xeno_tariff_ceiling(g, share, i, ms).reserved);
    count(&m->cpu_room, xeno_tariff_ceiling(g, share, XENO_RES_CPU, ms).used);
    count(&m->cpu_due, xeno_tariff_ceiling(g, share, XENO_RES_CPU, ms).reserved);
    count(&m->net_room, xeno_tariff_ceiling(g, share, XENO_RES_NET, ms).used);
    settle(&m->total[XENO_RES_CPU].used, &m->cpu_waits, &m->cpu_room);
    settle(&m->total[XENO_RES_NET].used, &m->net_waits, &m->net_room);
    if (share == XENO_SHARE_ALL)
        m->memory_ms += ms;
    m->disk_ms += ms;
}

/* How much a counter grew; one that went down did not. */
static int64_t grown(int64_t *seen, int64_t now)
{
    int64_t more;

    if (now <= *seen) /* which starts at 0 */
        return 0;
    more = now - *seen;
    *seen = now;
    return more;
}

static void count_space(int64_t *total, int64_t *last, int64_t *ms, int64_t *rest, int64_t now,
                        int64_t most)
{
    __int128 byte_ms;

    if (now < 0)
        now = 0;
    if (now > most)
        now = most;
    byte_ms = (__int128)min(*last, now) * *ms + *rest;
    count(total, byte_ms / MIB > XENO_QUANTITY_MAX ? XENO_QUANTITY_MAX : (int64_t)(byte_ms / MIB));
    *rest = (int64_t)(byte_ms % MIB);
    *last = now;
    *ms = 0;
}

/* Of the CPU that was reserved since the last sample, what was waited for and not delivered. */
static void count_shortfall(struct xeno_meter *m, const struct xeno_sample *s, int64_t used_us)
{
    int64_t waited = grown(&m->waited_seen, s->waited_us);
    int64_t throttled = grown(&m->throttled_seen, s->throttled_us);
    int64_t missing = min(waited - throttled, m->cpu_due - used_us);

    m->cpu_due = 0;
    missing = min(missing, m->cpu_room);
    missing = min(missing, m->total[XENO_RES_CPU].reserved);
    if (missing <= 0)
        return;
    m->total[XENO_RES_CPU].reserved -= missing;
    m->cpu_room -= missing;
    m->shortfall_us += missing;
}

void xeno_meter_sample(struct xeno_meter *m, const struct xeno_grant *g,
                       const struct xeno_sample *s)
{
    int64_t used = grown(&m->cpu_seen, s->cpu_us);

    count(&m->cpu_waits, used);
    count(&m->net_waits, grown(&m->net_seen, s->net_bytes));
    settle(&m->total[XENO_RES_CPU].used, &m->cpu_waits, &m->cpu_room);
    settle(&m->total[XENO_RES_NET].used, &m->net_waits, &m->net_room);
    count_shortfall(m, s, used);
    count_space(&m->total[XENO_RES_MEMORY].used, &m->memory_bytes, &m->memory_ms, &m->memory_rest,
                s->memory_bytes, g->memory_bytes);
    count_space(&m->total[XENO_RES_DISK].used, &m->disk_bytes, &m->disk_ms, &m->disk_rest,
                s->disk_bytes, g->disk_bytes);
}

int64_t xeno_meter_owed(const struct xeno_meter *m, const struct xeno_tariff *t, enum xeno_res res)
{
    return xeno_tariff_amount(t, res, m->total[res]);
}

int64_t xeno_meter_owed_all(const struct xeno_meter *m, const struct xeno_tariff *t)
{
    int64_t sum = 0;

    for (int i = 0; i < XENO_RES_COUNT; i++)
        if (__builtin_add_overflow(sum, xeno_meter_owed(m, t, i), &sum))
            return INT64_MAX;
    return sum;
}

int64_t xeno_meter_open(const struct xeno_meter *m, const struct xeno_tariff *t)
{
    int64_t sum = 0;

    for (int i = 0; i < XENO_RES_COUNT; i++) {
        int64_t open = xeno_meter_owed(m, t, i) - m->accounted[i];

        if (open > 0 && __builtin_add_overflow(sum, open, &sum))
            return INT64_MAX;
    }
    return sum;
}
