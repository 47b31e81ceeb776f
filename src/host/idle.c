/* src/host/idle.c - holds that nobody makes a session of: free for who takes them, dear for the
 * rest.
 *
 * A hold takes capacity away from everybody and costs nothing, so that somebody without a credit
 * could renew one over the whole host for ever. What an owner keeps unused is therefore counted in
 * the time for which it would have taken the whole host; above IDLE_MOST_MS there are no more holds
 * for it until enough of that is forgotten. A session can still be made directly, since it is paid.
 * Soft state, in memory only, and bounded.
 */
#include <errno.h>

#include "host/internal.h"

#define IDLE_MOST_MS INT64_C(600000) /* of the whole host */
#define IDLE_FORGET  10              /* one millisecond in so many */
#define IDLERS_MAX   4096
#define WHOLE        1000

struct idler {
    struct xeno_id owner;
    int64_t cost_ms, at_ns;
    UT_hash_handle hh;
};

static int64_t part_of(int64_t asked, int64_t limit)
{
    int64_t part = 0;

    return limit > 0 && xeno_muldiv(asked, WHOLE, limit, &part) && part < WHOLE ? part : WHOLE;
}

/* How much of the host is gone while this is held: of the resource it takes most of, in 1/1000. */
static int64_t share_of(const struct xeno_host *h, const struct xeno_grant *g)
{
    struct xeno_free all = xeno_admission_limit(h->admission);
    const int64_t parts[] = {
        part_of(g->cpu_msps, all.cpu_msps),
        part_of(g->memory_bytes, all.memory_bytes),
        part_of(g->disk_bytes, all.disk_bytes),
        part_of(g->net_kbps, all.net_kbps),
        part_of(1, g->addresses > 0 ? all.own_addresses : all.nat_addresses),
        g->port_count > 0 ? part_of((int64_t)g->port_count, all.ports) : 0,
    };
    int64_t most = 0;

    for (size_t i = 0; i < XENO_LEN(parts); i++)
        if (parts[i] > most)
            most = parts[i];
    return most;
}

static void forget(const struct xeno_host *h, struct idler *i)
{
    i->cost_ms -= (mono_ns(h) - i->at_ns) / XENO_NS_PER_MS / IDLE_FORGET;
    i->at_ns = mono_ns(h);
}

static void drop(struct xeno_host *h, struct idler *i)
{
    HASH_DEL(h->idlers, i);
    free(i);
}

/* Room for one more: who owes nothing goes, and if need be who came first. */
static void make_room(struct xeno_host *h)
{
    struct idler *i, *next;

    if (HASH_COUNT(h->idlers) < IDLERS_MAX)
        return;
    HASH_ITER (hh, h->idlers, i, next) {
        forget(h, i);
        if (i->cost_ms <= 0)
            drop(h, i);
    }
    if (HASH_COUNT(h->idlers) >= IDLERS_MAX)
        drop(h, h->idlers);
}

int idle_check(struct xeno_host *h, const struct xeno_id *who, struct xeno_err *err)
{
    struct idler *i;
    int64_t wait_ms;

    HASH_FIND_STR(h->idlers, who->s, i);
    if (!i)
        return 0;
    forget(h, i);
    if (i->cost_ms <= 0)
        drop(h, i);
    else if (i->cost_ms >= IDLE_MOST_MS) {
        wait_ms = (i->cost_ms - IDLE_MOST_MS + 1) * IDLE_FORGET;
        return xeno_fail(err, -EAGAIN, "hold.idle",
                         "you held for nothing what is %lld s of this whole host, the limit is "
                         "%lld: make the session without a hold, or wait %lld s",
                         (long long)(i->cost_ms / 1000), (long long)(IDLE_MOST_MS / 1000),
                         (long long)(wait_ms / 1000 + 1));
    }
    return 0;
}

void idle_count(struct xeno_host *h, const struct hold *hold)
{
    int64_t ms = (mono_ns(h) - hold->taken_ns) / XENO_NS_PER_MS, cost_ms = 0;
    struct idler *i;

    (void)xeno_muldiv(ms, share_of(h, &hold->offer.grant), WHOLE, &cost_ms); /* fits: a part */
    if (cost_ms <= 0)
        return;
    HASH_FIND_STR(h->idlers, hold->owner.s, i);
    if (!i) {
        make_room(h);
        i = xeno_new0(struct idler);
        i->owner = hold->owner;
        i->at_ns = mono_ns(h);
        HASH_ADD_STR(h->idlers, owner.s, i);
    }
    forget(h, i);
    i->cost_ms = (i->cost_ms > 0 ? i->cost_ms : 0) + cost_ms;
}

void idle_free(struct xeno_host *h)
{
    struct idler *i, *next;

    HASH_ITER (hh, h->idlers, i, next)
        drop(h, i);
}
