/* src/host/idle.c - what is taken and not paid for: free for who takes it, dear for the rest.
 *
 * A hold takes capacity away from everybody and costs nothing, so that somebody without a credit
 * could renew one over the whole host for ever. So does a session while it is made and while it
 * ends: somebody could make and end them all the time on an order that is never charged. What an
 * owner takes so is therefore counted in the time for which it would have taken the whole host;
 * above IDLE_MOST_MS there is no more for it until enough of that is forgotten.
 *
 * Of a session counts what was free less the time it was paid for in full, when it has ended; the
 * hold it was made from is part of it. So who runs for as long as making and ending takes is never
 * counted. Unused holds alone do not keep anybody from making a session, since that may be paid.
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
    int64_t hold_ms, session_ms; /* of the whole host */
    int64_t at_ns;
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

static void less(int64_t *cost_ms, int64_t ms)
{
    *cost_ms = *cost_ms > ms ? *cost_ms - ms : 0;
}

static void forget(const struct xeno_host *h, struct idler *i)
{
    int64_t ms = (mono_ns(h) - i->at_ns) / XENO_NS_PER_MS / IDLE_FORGET;

    less(&i->hold_ms, ms);
    less(&i->session_ms, ms);
    i->at_ns += ms * IDLE_FORGET * XENO_NS_PER_MS; /* the rest counts the next time */
}

static bool is_forgotten(const struct idler *i)
{
    return i->hold_ms == 0 && i->session_ms == 0;
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
        if (is_forgotten(i))
            drop(h, i);
    }
    if (HASH_COUNT(h->idlers) >= IDLERS_MAX)
        drop(h, h->idlers);
}

/* What is known of somebody; NULL: nothing. */
static struct idler *find(struct xeno_host *h, const struct xeno_id *who)
{
    struct idler *i;

    HASH_FIND_STR(h->idlers, who->s, i);
    if (!i)
        return NULL;
    forget(h, i);
    if (!is_forgotten(i))
        return i;
    drop(h, i);
    return NULL;
}

static int64_t wait_s(int64_t cost_ms)
{
    return (cost_ms - IDLE_MOST_MS + 1) * IDLE_FORGET / 1000 + 1;
}

static int check_sessions(const struct idler *i, struct xeno_err *err)
{
    if (!i || i->session_ms < IDLE_MOST_MS)
        return 0;
    return xeno_fail(
        err, -EAGAIN, "session.idle",
        "your sessions that ran for less time than making and ending them takes had "
        "for nothing what is %lld s of this whole host, the limit is %lld: wait %lld s",
        (long long)(i->session_ms / 1000), (long long)(IDLE_MOST_MS / 1000),
        (long long)wait_s(i->session_ms));
}

int idle_check_session(struct xeno_host *h, const struct xeno_id *who, struct xeno_err *err)
{
    return check_sessions(find(h, who), err);
}

int idle_check_hold(struct xeno_host *h, const struct xeno_id *who, struct xeno_err *err)
{
    const struct idler *i = find(h, who);
    int r;

    r = check_sessions(i, err);
    if (r < 0 || !i || i->hold_ms < IDLE_MOST_MS)
        return r;
    return xeno_fail(err, -EAGAIN, "hold.idle",
                     "you held for nothing what is %lld s of this whole host, the limit is "
                     "%lld: make the session without a hold, or wait %lld s",
                     (long long)(i->hold_ms / 1000), (long long)(IDLE_MOST_MS / 1000),
                     (long long)wait_s(i->hold_ms));
}

static struct idler *find_or_new(struct xeno_host *h, const struct xeno_id *who)
{
    struct idler *i = find(h, who);

    if (i)
        return i;
    make_room(h);
    i = xeno_new0(struct idler);
    i->owner = *who;
    i->at_ns = mono_ns(h);
    HASH_ADD_STR(h->idlers, owner.s, i);
    return i;
}

static int64_t cost(const struct xeno_host *h, const struct xeno_grant *g, int64_t ms)
{
    int64_t cost_ms = 0;

    (void)xeno_muldiv(ms, share_of(h, g), WHOLE, &cost_ms); /* fits: a part */
    return cost_ms;
}

int64_t idle_held_ms(const struct xeno_host *h, const struct hold *hold)
{
    return (mono_ns(h) - hold->taken_ns) / XENO_NS_PER_MS;
}

void idle_hold_ended(struct xeno_host *h, const struct hold *hold)
{
    int64_t cost_ms = cost(h, &hold->offer.grant, idle_held_ms(h, hold));

    if (cost_ms > 0)
        find_or_new(h, &hold->owner)->hold_ms += cost_ms;
}

/* How long it was there, as far as its owner is answerable for it: what takes longer than it may is
 * the host's own trouble. */
static int64_t stayed_ms(const struct xeno_host *h, const struct session *s)
{
    int64_t until = mono_ns(h) < s->deadline_ns ? mono_ns(h) : s->deadline_ns;

    return (until - s->entered_ns) / XENO_NS_PER_MS;
}

void idle_left(struct xeno_host *h, struct session *s, enum xeno_state state)
{
    int64_t cost_ms;

    switch (xeno_state_info(state)->share) {
    case XENO_SHARE_ALL:
        s->paid_ms += stayed_ms(h, s);
        break;
    case XENO_SHARE_NONE:
        s->free_ms += stayed_ms(h, s);
        break;
    default: /* suspended, it has what it pays for; restoring, it is about to pay */
        break;
    }
    s->entered_ns = mono_ns(h);
    if (s->r.state != XENO_ENDED || s->free_ms <= s->paid_ms)
        return;
    cost_ms = cost(h, &s->offer.grant, s->free_ms - s->paid_ms);
    if (cost_ms > 0)
        find_or_new(h, &s->owner)->session_ms += cost_ms;
}

void idle_free(struct xeno_host *h)
{
    struct idler *i, *next;

    HASH_ITER (hh, h->idlers, i, next)
        drop(h, i);
}
