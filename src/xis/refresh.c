/* src/xis/refresh.c - one advert, several services.
 *
 *     look  --nothing moved--> later            a service, each by itself:
 *       |                                         level --said--> behind --take--> under way
 *       moved, or the lease wants it                ^                ^               |  |
 *       v                                           |                +--AWAY, BASE---+  |
 *     said: whole, or whole + delta                 +-------------TAKEN-----------------+
 *
 * Invariants: (1) what is said has a higher version than anything said before, in this life or an
 * earlier one; (2) a delta is sent only to a service that took the whole document it belongs to;
 * (3) to a service at most one message is under way.
 */
#include "xis/refresh.h"

#include <assert.h>
#include <string.h>

#define RESERVED_MS  60000          /* versions that are remembered ahead, so one write a minute */
#define SLOW_FACTOR  12             /* measurements are said so many intervals apart */
#define AHEAD_MS     (24 * 3600000) /* how far a service may push our version ahead of the clock */
#define RETRY_S      1
#define RETRY_MOST_S 300
#define REFUSED_S    30
#define WHOLE_LEFT_S 30 /* a whole document with less lease than this is not sent any more */

struct service {
    int64_t base, version; /* that it took; 0: none */
    int64_t sent_base, sent_version;
    bool busy, up, tried_withdrawal;
    unsigned fails, bases; /* in a row */
    xeno_time next_try;    /* monotonic */
    uint64_t whole, deltas, failed, refused;
};

struct xeno_refresh {
    struct xeno_refresh_opts opt;
    struct xeno_advert *whole;  /* the document said last; NULL: none */
    struct xeno_advert *merged; /* with its delta; NULL: there is none */
    char *withdrawal;
    int64_t last, reserved;
    int64_t withdrawn; /* version of the withdrawal */
    xeno_time lease;   /* now */
    xeno_time said_at, look_at, renew_at;
    bool force_whole;
    struct service services[XENO_REFRESH_SERVICES];
};

struct xeno_refresh *xeno_refresh_new(const struct xeno_refresh_opts *opts)
{
    struct xeno_refresh *r = xeno_new0(struct xeno_refresh);

    assert(opts->services <= XENO_REFRESH_SERVICES);
    r->opt = *opts;
    r->last = r->reserved = opts->last_version;
    r->lease = opts->rules.lease;
    return r;
}

void xeno_refresh_free(struct xeno_refresh *r)
{
    if (!r)
        return;
    xeno_advert_free(r->whole);
    xeno_advert_free(r->merged);
    free(r->withdrawal);
    free(r);
}

void xeno_refresh_rules(struct xeno_refresh *r, const struct xeno_refresh_rules *rules)
{
    r->opt.rules = *rules;
    r->lease = rules->lease;
    r->look_at = xeno_mono(r->opt.env);
}

const struct xeno_advert *xeno_refresh_advert(const struct xeno_refresh *r)
{
    return r->merged ? r->merged : r->whole;
}

/* From `least` to `most` thousandths of `len`, by chance. */
static xeno_time part_of(const struct xeno_refresh *r, xeno_time len, unsigned least, unsigned most)
{
    uint32_t x;

    xeno_random(r->opt.env, &x, sizeof x);
    return xeno_ns(len.ns / 1000 * (least + x % (most - least + 1)));
}

/* Invariant 1. */
static int64_t next_version(struct xeno_refresh *r)
{
    int64_t now = xeno_wall(r->opt.env).ns / XENO_NS_PER_MS;
    int64_t v = r->last + 1 > now ? r->last + 1 : now;

    r->last = v;
    if (v > r->reserved) {
        r->reserved = v + RESERVED_MS;
        r->opt.reserve(r->opt.ctx, r->reserved);
    }
    return v;
}

/* --- has it moved? --- */

enum moved {
    MOVED_NOT,
    MOVED_LITTLE, /* with the next renewal */
    MOVED_SLOWLY, /* what is measured */
    MOVED,
};

static bool is_measured(const char *path)
{
    static const char *const parts[] = { "Coordinate/", "Measured/", "Path/" };

    for (size_t i = 0; i < XENO_LEN(parts); i++) {
        if (strncmp(path, parts[i], strlen(parts[i])) == 0)
            return true;
    }
    return false;
}

static enum moved leaf_moved(const struct xeno_leaf *was, const struct xeno_leaf *is)
{
    double by, tenth;

    if (strcmp(was->value, is->value) == 0 || strcmp(is->path, "Version") == 0 ||
        strcmp(is->path, "Expires") == 0)
        return MOVED_NOT;
    if (strcmp(is->path, "UptimeS") == 0)
        return MOVED_LITTLE;
    if (is_measured(is->path))
        return MOVED_SLOWLY;
    if (!was->number || !is->number)
        return MOVED;
    by = is->n > was->n ? is->n - was->n : was->n - is->n;
    tenth = (was->n < 0 ? -was->n : was->n) / 10;
    return by >= tenth ? MOVED : MOVED_LITTLE;
}

/* Leaves up to the first that is measured; all when there is none. */
static size_t told(const struct xeno_advert *a)
{
    size_t n = 0;

    while (n < a->leaf_count && !is_measured(a->leaves[n].path))
        n++;
    return n;
}

static enum moved advert_moved(const struct xeno_advert *was, const struct xeno_advert *is)
{
    enum moved most = was->leaf_count == is->leaf_count ? MOVED_NOT : MOVED_SLOWLY;
    size_t n = told(is);

    if (n != told(was))
        return MOVED;
    if (most == MOVED_NOT)
        n = is->leaf_count;
    for (size_t i = 0; i < n; i++) {
        enum moved m = strcmp(was->leaves[i].path, is->leaves[i].path) != 0
                           ? (is_measured(is->leaves[i].path) ? MOVED_SLOWLY : MOVED)
                           : leaf_moved(&was->leaves[i], &is->leaves[i]);

        if (m > most)
            most = m;
    }
    return most;
}

/* --- saying --- */

static void say_whole(struct xeno_refresh *r, struct xeno_advert *a)
{
    xeno_advert_free(r->whole);
    xeno_advert_free(r->merged);
    r->whole = a;
    r->merged = NULL;
    r->force_whole = false;
}

/* A delta, when there can be one and it is worth it. */
static bool say_delta(struct xeno_refresh *r, const struct xeno_advert_maker *m)
{
    xeno_autofree char *delta = NULL;
    struct xeno_advert *merged = NULL;

    if (!r->whole || r->force_whole ||
        xeno_advert_sign_delta(m, r->whole, r->opt.key, &delta) == 0 ||
        strlen(delta) * 2 > r->whole->jws_len ||
        xeno_advert_remerge(r->whole, delta, strlen(delta), &merged, NULL) < 0)
        return false;
    xeno_advert_free(r->merged);
    r->merged = merged;
    return true;
}

static bool is_due(struct xeno_refresh *r, enum moved moved, xeno_time now)
{
    xeno_time interval = r->opt.rules.interval;

    if (!r->whole || r->force_whole || now.ns >= r->renew_at.ns)
        return true;
    if (moved == MOVED)
        return now.ns - r->said_at.ns >= interval.ns;
    return moved == MOVED_SLOWLY && now.ns - r->said_at.ns >= SLOW_FACTOR * interval.ns;
}

/* While nothing happens the lease grows; anything that happens brings it back. */
static void choose_lease(struct xeno_refresh *r, enum moved moved, bool renewal)
{
    const struct xeno_refresh_rules *rules = &r->opt.rules;

    if (moved == MOVED || !r->whole)
        r->lease = rules->lease;
    else if (renewal)
        r->lease = xeno_ns(2 * r->lease.ns);
    if (r->lease.ns > rules->lease_most.ns)
        r->lease = rules->lease_most;
}

static int say(struct xeno_refresh *r, struct xeno_err *err)
{
    xeno_time expires = xeno_time_add(xeno_wall(r->opt.env), r->lease);
    xeno_auto(xeno_advert_maker) m = r->opt.describe(r->opt.ctx, next_version(r), expires);
    xeno_autofree char *jws = NULL;
    struct xeno_advert *a = NULL;
    int x = xeno_advert_sign(m, r->opt.key, &jws, err);

    if (x == 0 && !say_delta(r, m))
        x = xeno_advert_reopen(jws, strlen(jws), &a, err);
    if (x < 0)
        return x;
    if (a)
        say_whole(r, a);
    r->said_at = xeno_mono(r->opt.env);
    r->renew_at = xeno_time_add(r->said_at, part_of(r, r->lease, 333, 500));
    return 1;
}

int xeno_refresh_look(struct xeno_refresh *r, struct xeno_err *err)
{
    xeno_auto(xeno_advert_maker) m = NULL;
    xeno_auto(xeno_advert) is = NULL;
    const struct xeno_advert *was = xeno_refresh_advert(r);
    xeno_time now = xeno_mono(r->opt.env);
    enum moved moved;

    if (r->withdrawal || now.ns < r->look_at.ns)
        return 0;
    r->look_at = xeno_time_add(now, r->opt.rules.interval);
    m = r->opt.describe(r->opt.ctx, 1, r->opt.rules.lease);
    is = xeno_advert_draft(m);
    moved = was ? advert_moved(was, is) : MOVED;
    if (!is_due(r, moved, now))
        return 0;
    choose_lease(r, moved, now.ns >= r->renew_at.ns);
    return say(r, err);
}

/* --- to each service --- */

static int64_t current(const struct xeno_refresh *r)
{
    const struct xeno_advert *a = xeno_refresh_advert(r);

    return r->withdrawal ? r->withdrawn : a ? a->version : 0;
}

static bool take_withdrawal(struct xeno_refresh *r, struct service *s,
                            struct xeno_refresh_message *ret)
{
    if (s->version == 0)
        return false; /* it never heard of us */
    *ret = (struct xeno_refresh_message){ XENO_ADVERT_WITHDRAWAL, r->withdrawal,
                                          strlen(r->withdrawal) };
    s->sent_version = r->withdrawn;
    s->sent_base = 0;
    return true;
}

static bool take_delta(struct xeno_refresh *r, struct service *s, struct xeno_refresh_message *ret)
{
    *ret =
        (struct xeno_refresh_message){ XENO_ADVERT_DELTA, r->merged->delta, r->merged->delta_len };
    s->sent_version = r->merged->version;
    s->sent_base = s->base;
    s->deltas++;
    return true;
}

static bool take_whole(struct xeno_refresh *r, struct service *s, struct xeno_refresh_message *ret)
{
    xeno_time soon = xeno_time_add(xeno_wall(r->opt.env), xeno_s(WHOLE_LEFT_S));

    /* Deltas have kept it alive elsewhere, by itself it is over: another one is said. */
    if (r->merged && r->whole->expires.ns < soon.ns) {
        r->force_whole = true;
        r->look_at = xeno_mono(r->opt.env);
        return false;
    }
    *ret = (struct xeno_refresh_message){ XENO_ADVERT_WHOLE, r->whole->jws, r->whole->jws_len };
    s->sent_version = s->sent_base = r->whole->version;
    s->whole++;
    return true;
}

bool xeno_refresh_take(struct xeno_refresh *r, size_t service, struct xeno_refresh_message *ret)
{
    struct service *s = &r->services[service];
    int64_t now = current(r);
    bool some;

    if (s->busy || now == 0 || s->version == now || r->force_whole ||
        xeno_mono(r->opt.env).ns < s->next_try.ns)
        return false;
    if (r->withdrawal)
        some = take_withdrawal(r, s, ret);
    else if (r->merged && s->base == r->whole->version)
        some = take_delta(r, s, ret);
    else
        some = take_whole(r, s, ret);
    s->busy = some;
    return some;
}

static void pause_for(struct xeno_refresh *r, struct service *s, int64_t first_s, unsigned times)
{
    int64_t wait = first_s << (times < 10 ? times : 10);

    if (wait > RETRY_MOST_S)
        wait = RETRY_MOST_S;
    s->next_try = xeno_time_add(xeno_mono(r->opt.env), part_of(r, xeno_s(wait), 750, 1250));
}

static void wait_for(struct xeno_refresh *r, struct service *s, int64_t first_s)
{
    pause_for(r, s, first_s, s->fails++);
    s->up = false;
}

static void taken(struct service *s)
{
    if (s->sent_version != s->sent_base)
        s->bases = 0; /* it does keep documents */
    s->version = s->sent_version;
    s->base = s->sent_base;
    s->fails = 0;
    s->up = true;
    s->next_try = xeno_ns(0);
}

/* It has a version that is not lower than what was sent. What is said next is above it, unless it
 * is so far ahead that it would use our versions up. Whoever answers so all the time is heard less
 * and less often. */
static void catch_up(struct xeno_refresh *r, struct service *s, int64_t version)
{
    xeno_time now = xeno_mono(r->opt.env);
    xeno_time soonest = xeno_time_add(r->said_at, r->opt.rules.interval);

    s->refused++;
    wait_for(r, s, RETRY_S);
    if (version > xeno_wall(r->opt.env).ns / XENO_NS_PER_MS + AHEAD_MS)
        return;
    if (version > r->last)
        r->last = version;
    r->force_whole = true;
    r->look_at = now.ns > soonest.ns ? now : soonest;
}

void xeno_refresh_done(struct xeno_refresh *r, size_t service, enum xeno_refresh_outcome outcome,
                       int64_t version)
{
    struct service *s = &r->services[service];

    s->busy = false;
    s->tried_withdrawal = r->withdrawal && s->sent_version == r->withdrawn;
    switch (outcome) {
    case XENO_REFRESH_TAKEN:
        taken(s);
        break;
    case XENO_REFRESH_OLD:
        s->base = 0;
        if (version == s->sent_version)
            taken(s); /* an answer had been lost */
        else
            catch_up(r, s, version);
        break;
    case XENO_REFRESH_BASE:
        s->base = 0;
        pause_for(r, s, RETRY_S, s->bases++);
        break;
    case XENO_REFRESH_AWAY:
        s->failed++;
        wait_for(r, s, RETRY_S);
        break;
    case XENO_REFRESH_REFUSED:
        s->base = 0;
        s->refused++;
        wait_for(r, s, REFUSED_S);
        break;
    }
}

xeno_time xeno_refresh_next(const struct xeno_refresh *r)
{
    xeno_time next = r->withdrawal ? xeno_ns(INT64_MAX) : r->look_at;
    int64_t now = current(r);

    for (size_t i = 0; now != 0 && !r->force_whole && i < r->opt.services; i++) {
        const struct service *s = &r->services[i];

        if (!s->busy && s->version != now && !(r->withdrawal && s->version == 0) &&
            s->next_try.ns < next.ns)
            next = s->next_try;
    }
    return next;
}

/* --- the end --- */

void xeno_refresh_withdraw(struct xeno_refresh *r)
{
    const struct xeno_advert *a = xeno_refresh_advert(r);

    if (r->withdrawal || !a)
        return;
    r->withdrawn = next_version(r);
    r->withdrawal = xeno_advert_sign_withdrawal(
        r->opt.key, r->withdrawn,
        a->expires.ns > r->whole->expires.ns ? a->expires : r->whole->expires);
    for (size_t i = 0; i < r->opt.services; i++)
        r->services[i].next_try = xeno_ns(0);
}

bool xeno_refresh_withdrawn(const struct xeno_refresh *r)
{
    for (size_t i = 0; i < r->opt.services; i++) {
        const struct service *s = &r->services[i];

        if (r->withdrawal && s->version != 0 && s->version != r->withdrawn && !s->tried_withdrawal)
            return false;
    }
    return true;
}

struct xeno_refresh_service xeno_refresh_service(const struct xeno_refresh *r, size_t service)
{
    const struct service *s = &r->services[service];

    return (struct xeno_refresh_service){ .version = s->version,
                                          .up = s->up,
                                          .behind = s->version != current(r),
                                          .whole = s->whole,
                                          .deltas = s->deltas,
                                          .failed = s->failed,
                                          .refused = s->refused };
}
