/* src/rd/match.c - which constraints each server fails, as bits. */
#include "rd/find-priv.h"

#include <math.h>
#include <string.h>

#include "spec/match.h"

#define MIB INT64_C(1048576)

static void ask(struct rd_find *f, enum xeno_rd_constraint c)
{
    f->asked |= RD_BIT(c);
}

static void test_add(struct rd_find *f, enum xeno_rd_constraint c, const double *numbers,
                     int64_t asked, int64_t least, int64_t most)
{
    f->tests[f->test_count++] = (struct rd_test){ c, numbers, asked, least, most, numbers };
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
    double *const *n = f->rd->numbers;

    test_add(f, XENO_RD_C_CPU, n[RD_T_CPU], r->cpu_msps,
             r->cpu_burst_ms > 0 ? 10 * r->cpu_burst_ms : 1, XENO_CPU_MSPS_MAX);
    test_add(f, XENO_RD_C_MEMORY, n[RD_T_MEMORY], up(r->memory_bytes, MIB),
             XENO_MEMORY_BYTES_MIN / MIB, XENO_MEMORY_BYTES_MAX / MIB);
    test_add(f, XENO_RD_C_DISK, n[RD_T_DISK], up(r->disk_bytes, MIB), XENO_DISK_BYTES_MIN / MIB,
             XENO_DISK_BYTES_MAX / MIB);
    test_add(f, XENO_RD_C_NET, n[RD_T_NET], up(r->net_kbps, 1000), 1, XENO_NET_KBPS_MAX / 1000);
    test_add(f, XENO_RD_C_PROCESSES, n[RD_T_PROCESSES], r->pids, 1, XENO_PIDS_MAX);
    if (r->addresses > 0)
        test_add(f, XENO_RD_C_ADDRESSES, n[RD_T_ADDRESSES], r->addresses, 0, XENO_ADDRESSES_MAX);
    else if (r->port_count > 0) /* with an address of its own a session has all the ports */
        test_add(f, XENO_RD_C_PORTS, n[RD_T_PORTS], (int64_t)r->port_count, 0, XENO_PORTS_MAX);
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

static double cost_value(int64_t cost)
{
    return cost < 0 ? NAN : (double)cost;
}

double rd_value(const struct rd_find *f, const struct rd_test *t, uint32_t slot)
{
    struct xeno_latency l;

    if (t->at_least)
        return t->numbers[slot];
    switch (t->c) {
    case XENO_RD_C_HOUR:
        return cost_value(rd_most(f, slot));
    case XENO_RD_C_TOTAL:
    case XENO_RD_C_COST:
        return cost_value(rd_total(f, slot));
    case XENO_RD_C_COMPLAINTS:
        return (double)f->rd->complaints[slot];
    default:
        l = rd_latency(f, t->c - XENO_RD_C_RTT, slot);
        return l.how == XENO_LATENCY_UNKNOWN ? NAN : (double)rd_us(&l);
    }
}

void rd_note(struct rd_find *f, enum xeno_rd_constraint c, const uint8_t *restrict truth)
{
    uint64_t *restrict no = f->s->no + f->begin, *restrict unknown = f->s->unknown + f->begin;
    uint64_t bit = RD_BIT(c);
    size_t n = f->end - f->begin;

    for (size_t i = 0; i < n; i++) {
        no[i] |= -(uint64_t)(truth[i] == XENO_FALSE) & bit;
        unknown[i] |= -(uint64_t)(truth[i] == XENO_UNKNOWN) & bit;
    }
}

/* NAN, not known, is neither at least nor less than anything. */
static void match_numbers(struct rd_find *f, const struct rd_test *t)
{
    uint64_t *restrict no = f->s->no + f->begin, *restrict unknown = f->s->unknown + f->begin;
    const double *restrict v = t->numbers + f->begin;
    double asked = (double)t->asked;
    uint64_t bit = RD_BIT(t->c);
    size_t n = f->end - f->begin;

    for (size_t i = 0; i < n; i++) {
        unknown[i] |= v[i] != v[i] ? bit : 0;
        no[i] |= v[i] < asked ? bit : 0;
    }
}

static void match_complaints(struct rd_find *f, const struct rd_test *t)
{
    uint64_t bit = RD_BIT(t->c);

    for (uint32_t slot = f->begin; slot < f->end; slot++)
        f->s->no[slot] |= f->rd->complaints[slot] > t->asked ? bit : 0;
}

/* --- what is no number --- */

static void match_lease(struct rd_find *f)
{
    const int64_t *restrict expires = f->rd->expires_ns + f->begin;
    uint64_t *restrict no = f->s->no + f->begin;
    int64_t now = f->now.ns;
    size_t n = f->end - f->begin;

    ask(f, XENO_RD_C_LEASE);
    for (size_t i = 0; i < n; i++)
        no[i] |= expires[i] <= now ? RD_BIT(XENO_RD_C_LEASE) : 0;
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
    for (uint32_t slot = f->begin; slot < f->end; slot++) {
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
    uint64_t key[RD_SHORT_MAX / 8];
    enum rd_kind kind = rd_key(text, key);
    uint8_t *truth = f->s->truth[0];
    uint32_t begin = f->begin, end = f->end;

    ask(f, c);
    for (uint32_t slot = begin; slot < end; slot++) {
        const struct rd_cell *cell = &cells[slot];
        bool same = cell->kind == kind && cell->key[0] == key[0] && cell->key[1] == key[1];

        if ((same && kind == RD_LONG) || cell->kind == RD_SET || cell->kind == RD_NUMBER)
            same = has_text(f, cell, slot, text);
        truth[slot - begin] = cell->kind == RD_NONE ? XENO_UNKNOWN : same;
    }
    rd_note(f, c, truth);
}

static void match_accepting(struct rd_find *f)
{
    ask(f, XENO_RD_C_ACCEPTING);
    rd_note(f, XENO_RD_C_ACCEPTING, f->rd->accepting + f->begin);
}

static void match_isolation(struct rd_find *f)
{
    uint8_t *truth = f->s->truth[0], asked = (uint8_t)f->req->isolation;
    const uint8_t *has = f->rd->isolation + f->begin;
    size_t n = f->end - f->begin;

    if (asked == 0)
        return;
    ask(f, XENO_RD_C_ISOLATION);
    for (size_t i = 0; i < n; i++)
        truth[i] = has[i] == 0 ? XENO_UNKNOWN : (has[i] & asked) != 0;
    rd_note(f, XENO_RD_C_ISOLATION, truth);
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
    for (uint32_t slot = f->begin; slot < f->end; slot++) {
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

static void match_tests(struct rd_find *f)
{
    for (size_t i = 0; i < f->test_count; i++) {
        const struct rd_test *t = &f->tests[i];

        if (t->at_least)
            match_numbers(f, t);
        else if (t->c >= XENO_RD_C_HOUR && t->c <= XENO_RD_C_COST)
            rd_match_price(f, t);
        else if (t->c == XENO_RD_C_COMPLAINTS)
            match_complaints(f, t);
    }
}

static void begin(struct rd_find *f)
{
    uint64_t *restrict no = f->s->no, *restrict unknown = f->s->unknown;
    struct rd_server *const *servers = f->rd->servers;
    uint32_t *restrict live = f->s->live, end = f->end;
    int64_t *restrict total = f->s->total;
    size_t count = f->s->live_count;

    for (uint32_t slot = f->begin; slot < end; slot++) {
        bool there = servers[slot];

        no[slot] = there ? 0 : RD_ABSENT;
        unknown[slot] = 0;
        total[slot] = RD_NOT_YET;
        live[count] = slot;
        count += there;
    }
    f->s->live_count = count;
}

/* All but round trips. */
static void match_part(struct rd_find *f)
{
    const struct xeno_requirement *r = f->req->requirement;

    begin(f);
    match_tests(f);
    match_lease(f);
    match_corp(f);
    match_accepting(f);
    match_isolation(f);
    if (r)
        match_text(f, XENO_RD_C_ENV_TYPE, RD_T_ENV_TYPE, r->env_type);
    if (r && *r->kernel)
        match_kernel(f, r->kernel);
    rd_accepts(f);
    rd_where(f);
}

/* By parts that stay in the processor's cache from one constraint to the next. */
void rd_match(struct rd_find *f)
{
    size_t used = f->rd->used;

    f->s->live_count = 0;
    rd_price(f);
    if (f->req->requirement)
        tests_of_requirement(f);
    tests_of_request(f);
    for (f->begin = 0; f->begin < used; f->begin = f->end) {
        f->end = (uint32_t)(used - f->begin > RD_PART ? f->begin + RD_PART : used);
        match_part(f);
    }
    f->considered = f->s->live_count;
    rd_trips(f);
}
