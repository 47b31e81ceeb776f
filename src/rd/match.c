/* src/rd/match.c - which constraints each server fails, as bits. */
#include "rd/find-priv.h"

#include <math.h>
#include <string.h>

#include "spec/match.h"

#define MIB     INT64_C(1048576)
#define HOUR_MS INT64_C(3600000)

static void ask(struct rd_find *f, enum xeno_rd_constraint c)
{
    f->asked |= RD_BIT(c);
}

static void test_add(struct rd_find *f, enum xeno_rd_constraint c, const struct rd_cell *cells,
                     int64_t asked, int64_t least, int64_t most)
{
    f->tests[f->test_count++] = (struct rd_test){ c, cells, asked, least, most, cells };
    ask(f, c);
}

static int64_t up(int64_t n, int64_t unit)
{
    return n / unit + (n % unit != 0);
}

/* --- what the requirement asks for --- */

static void tests_of_requirement(struct rd_find *f)
{
    const struct xeno_requirement *r = f->req->requirement;
    struct rd_column *p = f->rd->pinned;

    test_add(f, XENO_RD_C_CPU, p[RD_T_CPU].cells, r->cpu_msps,
             r->cpu_burst_ms > 0 ? 10 * r->cpu_burst_ms : 1, XENO_CPU_MSPS_MAX);
    test_add(f, XENO_RD_C_MEMORY, p[RD_T_MEMORY].cells, up(r->memory_bytes, MIB),
             XENO_MEMORY_BYTES_MIN / MIB, XENO_MEMORY_BYTES_MAX / MIB);
    test_add(f, XENO_RD_C_DISK, p[RD_T_DISK].cells, up(r->disk_bytes, MIB),
             XENO_DISK_BYTES_MIN / MIB, XENO_DISK_BYTES_MAX / MIB);
    test_add(f, XENO_RD_C_NET, p[RD_T_NET].cells, up(r->net_kbps, 1000), 1,
             XENO_NET_KBPS_MAX / 1000);
    test_add(f, XENO_RD_C_PROCESSES, p[RD_T_PROCESSES].cells, r->pids, 1, XENO_PIDS_MAX);
    if (r->addresses > 0)
        test_add(f, XENO_RD_C_ADDRESSES, p[RD_T_ADDRESSES].cells, r->addresses, 0,
                 XENO_ADDRESSES_MAX);
    else if (r->port_count > 0) /* with an address of its own a session has all the ports */
        test_add(f, XENO_RD_C_PORTS, p[RD_T_PORTS].cells, (int64_t)r->port_count, 0,
                 XENO_PORTS_MAX);
    if (r->max_per_hour > 0)
        test_add(f, XENO_RD_C_HOUR, NULL, r->max_per_hour, 1, XENO_CREDIT_MAX);
    if (r->max_total > 0)
        test_add(f, XENO_RD_C_TOTAL, NULL, r->max_total, 1, XENO_CREDIT_MAX);
}

static void tests_of_request(struct rd_find *f)
{
    if (f->req->max_cost >= 0)
        test_add(f, XENO_RD_C_COST, NULL, f->req->max_cost, 0, XENO_CREDIT_MAX);
    if (f->req->max_complaints >= 0)
        test_add(f, XENO_RD_C_COMPLAINTS, NULL, f->req->max_complaints, 0, INT64_MAX / 2);
    for (size_t i = 0; i < f->req->near_count; i++) {
        if (f->req->near[i].rtt_max_us > 0)
            test_add(f, (enum xeno_rd_constraint)(XENO_RD_C_RTT + i), NULL,
                     f->req->near[i].rtt_max_us, 1, INT64_C(3600000000));
    }
}

/* --- numbers --- */

/* The largest number of a set; NAN when it has none. */
static double largest(const struct rd_find *f, const struct rd_cell *c, uint32_t slot)
{
    const struct rd_server *s = f->rd->servers[slot];
    double most = NAN;

    for (const struct xeno_leaf *l = rd_first(s, c); l; l = rd_next(s, l)) {
        if (l->number && !(most >= l->n))
            most = l->n;
    }
    return most;
}

double rd_cell_value(const struct rd_find *f, const struct rd_cell *cells, uint32_t slot)
{
    const struct rd_cell *c = &cells[slot];

    if (c->kind == RD_NUMBER)
        return c->n;
    return c->kind == RD_SET ? largest(f, c, slot) : NAN;
}

static double cost_value(int64_t cost)
{
    return cost < 0 ? NAN : (double)cost;
}

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

double rd_value(const struct rd_find *f, const struct rd_test *t, uint32_t slot)
{
    const struct xeno_latency *l;

    if (t->at_least)
        return rd_cell_value(f, t->cells, slot);
    switch (t->c) {
    case XENO_RD_C_HOUR:
        return cost_value(quoted(f, &f->most, slot));
    case XENO_RD_C_TOTAL:
    case XENO_RD_C_COST:
        return cost_value(rd_total(f, slot));
    case XENO_RD_C_COMPLAINTS:
        return (double)f->rd->complaints[slot];
    default:
        l = &f->s->latency[t->c - XENO_RD_C_RTT][slot];
        return l->how == XENO_LATENCY_UNKNOWN ? NAN : (double)rd_us(l);
    }
}

static void match_number(struct rd_find *f, const struct rd_test *t)
{
    uint64_t bit = RD_BIT(t->c);
    double asked = (double)t->asked;

    for (uint32_t slot = 0; slot < f->rd->used; slot++) {
        double v = t->at_least && t->cells[slot].kind == RD_NUMBER ? t->cells[slot].n
                                                                   : rd_value(f, t, slot);

        f->s->unknown[slot] |= isnan(v) ? bit : 0;
        f->s->no[slot] |= !isnan(v) && !rd_holds(t, v, asked) ? bit : 0;
    }
}

/* --- what is no number --- */

static void match_lease(struct rd_find *f)
{
    ask(f, XENO_RD_C_LEASE);
    for (uint32_t slot = 0; slot < f->rd->used; slot++)
        f->s->no[slot] |= f->rd->expires_ns[slot] <= f->now.ns ? RD_BIT(XENO_RD_C_LEASE) : 0;
}

static bool has_text(const struct rd_find *f, const struct rd_cell *c, uint32_t slot,
                     const char *text)
{
    const struct rd_server *s = f->rd->servers[slot];

    for (const struct xeno_leaf *l = rd_first(s, c); l; l = rd_next(s, l)) {
        if (strcmp(l->value, text) == 0)
            return true;
    }
    return false;
}

static void match_corp(struct rd_find *f)
{
    uint64_t bit, here = RD_BIT(XENO_RD_C_CORP);

    if (!f->client->corp)
        return;
    ask(f, XENO_RD_C_CORP);
    bit = rd_corp_bit(f->rd, f->client->corp);
    for (uint32_t slot = 0; slot < f->rd->used; slot++) {
        bool there = f->rd->corps[slot] & bit;

        if (there && bit == RD_BIT(RD_CORP_OTHER) && f->rd->servers[slot]) {
            const struct xeno_leaf *l = xeno_advert_leaf(f->rd->servers[slot]->advert, "Corp");

            while (l && strcmp(l->value, f->client->corp) != 0)
                l = xeno_advert_leaf_next(f->rd->servers[slot]->advert, l);
            there = l;
        }
        f->s->no[slot] |= there ? 0 : here;
    }
}

/* Is `text` one of what is told under the token? */
static void match_text(struct rd_find *f, enum xeno_rd_constraint c, enum rd_token token,
                       const char *text)
{
    const struct rd_cell *cells = f->rd->pinned[token].cells;
    uint64_t key[RD_SHORT_MAX / 8], bit = RD_BIT(c);
    enum rd_kind kind = rd_key(text, key);

    ask(f, c);
    for (uint32_t slot = 0; slot < f->rd->used; slot++) {
        const struct rd_cell *cell = &cells[slot];
        bool same = cell->kind == kind && cell->key[0] == key[0] && cell->key[1] == key[1];

        if (cell->kind == RD_NONE) {
            f->s->unknown[slot] |= bit;
            continue;
        }
        if ((same && kind == RD_LONG) || cell->kind == RD_SET || cell->kind == RD_NUMBER)
            same = has_text(f, cell, slot, text);
        f->s->no[slot] |= same ? 0 : bit;
    }
}

static void match_isolation(struct rd_find *f)
{
    uint64_t bit = RD_BIT(XENO_RD_C_ISOLATION);

    if (f->req->isolation == 0)
        return;
    ask(f, XENO_RD_C_ISOLATION);
    for (uint32_t slot = 0; slot < f->rd->used; slot++) {
        uint8_t has = f->rd->isolation[slot];

        f->s->unknown[slot] |= has == 0 ? bit : 0;
        f->s->no[slot] |= has != 0 && !(has & f->req->isolation) ? bit : 0;
    }
}

static bool kernel_holds(const struct rd_find *f, uint32_t slot, const char *asked)
{
    const struct xeno_leaf *l = xeno_advert_leaf(f->rd->servers[slot]->advert, "Machine/Kernel");

    return xeno_kernel_compare(l->value, asked) >= 0;
}

static void match_kernel(struct rd_find *f, const char *asked)
{
    uint64_t bit = RD_BIT(XENO_RD_C_KERNEL), want = rd_kernel_code(asked);

    ask(f, XENO_RD_C_KERNEL);
    for (uint32_t slot = 0; slot < f->rd->used; slot++) {
        uint64_t has = f->rd->kernels[slot];
        bool holds = has >= want;

        if (!f->rd->servers[slot])
            continue;
        if (has != 0 && (has == RD_KERNEL_ODD || want == RD_KERNEL_ODD))
            holds = kernel_holds(f, slot, asked);
        f->s->unknown[slot] |= has == 0 ? bit : 0;
        f->s->no[slot] |= has != 0 && !holds ? bit : 0;
    }
}

/* --- prices --- */

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

static void price_all(struct rd_find *f)
{
    f->priced = f->req->requirement;
    for (size_t i = 0; i < f->rd->used; i++)
        f->s->total[i] = RD_NOT_YET;
    if (!f->priced)
        return;
    xeno_requirement_grant(f->req->requirement, &f->grant);
    quote_expected(f, &f->total);
    quote_hour(f, false, &f->hour);
    quote_hour(f, true, &f->most); /* as the host counts when it holds to MaxPricePerHour */
}

/* Most prices are far from the limit; the exact sum is made where one is not. */
static void match_price(struct rd_find *f, const struct rd_test *t)
{
    const struct xeno_quote *quote = t->c == XENO_RD_C_HOUR ? &f->most : &f->total;
    uint64_t bit = RD_BIT(t->c);
    double asked = (double)t->asked;

    for (uint32_t slot = 0; slot < f->rd->used; slot++) {
        const struct xeno_tariff *tariff = &f->rd->tariffs[slot];
        double about = xeno_quote_about(quote, tariff), slack = 1e-12 * about + XENO_QUOTE_SLACK;
        bool more = about > asked;

        if (fabs(about - asked) <= slack)
            more = quoted(f, quote, slot) > t->asked;
        f->s->unknown[slot] |= tariff->epoch <= 0 ? bit : 0;
        f->s->no[slot] |= tariff->epoch > 0 && more ? bit : 0;
    }
}

/* --- round trips --- */

static size_t failures(const struct rd_find *f, uint32_t slot)
{
    return (size_t)__builtin_popcountll(f->s->no[slot] | f->s->unknown[slot]);
}

/* The servers that fail at most so many constraints. */
static size_t near_enough(const struct rd_find *f, size_t most, uint32_t *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < f->s->live_count; i++) {
        ret[n] = f->s->live[i];
        n += failures(f, f->s->live[i]) <= most;
    }
    return n;
}

static void latency_of(struct rd_find *f, size_t target, const uint32_t *slots, size_t n)
{
    size_t near = f->req->near_count;
    const struct xeno_rd_place *p =
        target < near ? &f->req->near[target] : &f->req->equal[target - near];
    struct xeno_latency *all = f->s->latency[target], *packed = f->s->packed;
    uint32_t from;

    for (size_t i = 0; i < n; i++)
        packed[i] = (struct xeno_latency){ NAN, NAN, NAN, XENO_LATENCY_UNKNOWN };
    if (*p->address && f->net && f->net->estimate)
        f->net->estimate(f->net->ctx, target, slots, n, packed);
    else if (!*p->address && xeno_rd_slot(f->rd, &p->id, &from))
        xeno_near_map_rtts(f->rd->map, from, slots, n, packed);
    for (size_t i = 0; i < n; i++)
        all[slots[i]] = packed[i];
}

static void match_rtt(struct rd_find *f, const struct rd_test *t, const uint32_t *slots, size_t n)
{
    uint64_t bit = RD_BIT(t->c);

    for (size_t i = 0; i < n; i++) {
        double us = rd_value(f, t, slots[i]);

        f->s->unknown[slots[i]] |= isnan(us) ? bit : 0;
        f->s->no[slots[i]] |= us > (double)t->asked ? bit : 0;
    }
}

static void bounds(struct rd_find *f, size_t most)
{
    uint32_t *slots = f->s->order;

    for (size_t i = 0; i < f->test_count; i++) {
        size_t n;

        if (f->tests[i].c < XENO_RD_C_RTT)
            continue;
        n = near_enough(f, most, slots);
        latency_of(f, f->tests[i].c - XENO_RD_C_RTT, slots, n);
        match_rtt(f, &f->tests[i], slots, n);
    }
}

/* Bounds on round trips are the last constraints, and so are worked out for servers that fail one
 * other at most: who fails two fell to the first of them. Only where nothing matches, and a pair of
 * constraints may have to be relaxed, those that fail two are of interest. Without a bound a round
 * trip takes part in the ranking alone. */
static void latency_all(struct rd_find *f)
{
    uint32_t *slots = f->s->order;
    size_t n;

    bounds(f, 1);
    if (near_enough(f, 0, slots) == 0)
        bounds(f, 2);
    f->matched = n = near_enough(f, 0, slots);
    for (size_t i = 0; i < f->req->near_count + f->req->equal_count; i++) {
        if (i >= f->req->near_count || f->req->near[i].rtt_max_us == 0)
            latency_of(f, i, slots, n);
    }
}

static void match_tests(struct rd_find *f)
{
    for (size_t i = 0; i < f->test_count; i++) {
        enum xeno_rd_constraint c = f->tests[i].c;

        if (c >= XENO_RD_C_HOUR && c <= XENO_RD_C_COST)
            match_price(f, &f->tests[i]);
        else if (c < XENO_RD_C_RTT)
            match_number(f, &f->tests[i]);
    }
}

void rd_match(struct rd_find *f)
{
    const struct xeno_requirement *r = f->req->requirement;

    f->s->live_count = 0;
    for (uint32_t slot = 0; slot < f->rd->used; slot++) {
        bool there = f->rd->servers[slot];

        f->s->no[slot] = there ? 0 : RD_ABSENT;
        f->s->unknown[slot] = 0;
        if (there)
            f->s->live[f->s->live_count++] = slot;
    }
    f->considered = f->s->live_count;
    price_all(f);
    if (r)
        tests_of_requirement(f);
    tests_of_request(f);
    match_tests(f);
    match_lease(f);
    match_corp(f);
    match_text(f, XENO_RD_C_ACCEPTING, RD_T_ACCEPTING, "yes");
    match_isolation(f);
    if (r)
        match_text(f, XENO_RD_C_ENV_TYPE, RD_T_ENV_TYPE, r->env_type);
    if (r && *r->kernel)
        match_kernel(f, r->kernel);
    rd_accepts(f);
    rd_where(f);
    latency_all(f);
}
