/* src/rd/explain.c - what servers fell to, and the least that could be asked for instead. */
#include "rd/find-priv.h"

#include <math.h>
#include <string.h>

#define PAIRS 64 /* of constraints that are looked at */

/* --- what they fell to --- */

static char *fell_text(const struct rd_find *f, const struct xeno_rd_fell *fell)
{
    xeno_autobuf text = XENO_BUF_INIT;

    xeno_buf_printf(&text, "%zu of %zu: ", fell->count, f->considered);
    rd_constraint_words(f, fell->constraint, fell->unknown, &text);
    return xeno_buf_take(&text, NULL);
}

static void count_fallen(const struct rd_find *f, struct xeno_rd_result *res)
{
    size_t count[XENO_RD_C_COUNT][2] = { { 0 } }, only[XENO_RD_C_COUNT][2] = { { 0 } };

    for (size_t i = 0; i < f->s->live_count; i++) {
        uint32_t slot = f->s->live[i];
        uint64_t mask = f->s->no[slot] | f->s->unknown[slot];
        int c, unknown;

        if (mask == 0)
            continue;
        c = __builtin_ctzll(mask);
        unknown = (f->s->unknown[slot] & RD_BIT(c)) != 0;
        count[c][unknown]++;
        only[c][unknown] += (mask & (mask - 1)) == 0;
    }
    for (int k = 0; k < 2 * XENO_RD_C_COUNT; k++) {
        struct xeno_rd_fell *fell = &res->fell[res->fell_count];

        if (count[k / 2][k % 2] == 0)
            continue;
        *fell = (struct xeno_rd_fell){ (enum xeno_rd_constraint)(k / 2), k % 2 == 1,
                                       count[k / 2][k % 2], only[k / 2][k % 2], NULL };
        fell->text = fell_text(f, fell);
        res->fell_count++;
    }
}

/* --- what could be asked for instead --- */

static const struct rd_test *test_of(const struct rd_find *f, enum xeno_rd_constraint c)
{
    for (size_t i = 0; i < f->test_count; i++) {
        if (f->tests[i].c == c)
            return &f->tests[i];
    }
    return NULL;
}

/* The number that one server would satisfy: how much less (or more) is that? */
static bool relax_number(const struct rd_find *f, const struct rd_test *t, uint32_t slot,
                         struct xeno_rd_relaxed *ret, double *ret_change)
{
    double v = rd_value(f, t, slot);

    if (isnan(v) && t->at_least) /* a requirement has no way to leave it out */
        return false;
    ret->drop = isnan(v);
    *ret_change = 1;
    if (ret->drop)
        return true;
    v = t->at_least ? floor(v) : ceil(v);
    if (!(v >= (double)t->least && v <= (double)t->most))
        return false;
    ret->from = t->asked;
    ret->to = (int64_t)v;
    *ret_change = fabs((double)(ret->to - t->asked)) / (double)(t->asked > 0 ? t->asked : 1);
    return true;
}

static bool relax_isolation(const struct rd_find *f, uint32_t slot, struct xeno_rd_relaxed *ret,
                            double *ret_change)
{
    uint8_t has = f->rd->isolation[slot];
    unsigned strongest = XENO_RD_VM;

    ret->drop = has == 0;
    *ret_change = 1;
    if (ret->drop)
        return true;
    for (; !(has & strongest); strongest >>= 1)
        *ret_change += 1;
    *ret_change *= 0.25;
    ret->from = f->req->isolation;
    ret->to = (int64_t)(f->req->isolation | strongest);
    return true;
}

/* What would have to be asked for so that the server no longer fails `c`? false: nothing helps. */
static bool relax_part(const struct rd_find *f, enum xeno_rd_constraint c, uint32_t slot,
                       struct xeno_rd_relaxed *ret, double *ret_change)
{
    const struct rd_test *t = test_of(f, c);

    *ret = (struct xeno_rd_relaxed){ .constraint = c };
    if (c == XENO_RD_C_ADDRESSES && f->req->requirement->port_count > 0 &&
        !(f->rd->numbers[RD_T_PORTS][slot] >= (double)f->req->requirement->port_count))
        return false; /* without an address of its own it would need these */
    if (t)
        return relax_number(f, t, slot, ret, ret_change);
    if (c == XENO_RD_C_ISOLATION)
        return relax_isolation(f, slot, ret, ret_change);
    ret->drop = true;
    *ret_change = 1;
    return c == XENO_RD_C_KERNEL || c >= XENO_RD_C_WHERE;
}

/* Would the server satisfy it then? It fails that constraint now, and can be relaxed at all. */
static bool part_helps(const struct rd_find *f, const struct xeno_rd_relaxed *p, uint32_t slot)
{
    const struct rd_test *t = test_of(f, p->constraint);
    struct xeno_rd_relaxed own;
    double change, v;

    if (!relax_part(f, p->constraint, slot, &own, &change))
        return false;
    if (p->drop)
        return true;
    if (!t)
        return f->rd->isolation[slot] & p->to;
    v = rd_value(f, t, slot);
    return !isnan(v) && rd_holds(t, v, (double)p->to);
}

static void ask_otherwise(struct xeno_requirement *r, const struct xeno_rd_relaxed *p)
{
    switch (p->constraint) {
    case XENO_RD_C_KERNEL:
        *r->kernel = '\0';
        break;
    case XENO_RD_C_CPU:
        r->cpu_msps = p->to;
        break;
    case XENO_RD_C_MEMORY:
        r->memory_bytes = p->to << 20;
        break;
    case XENO_RD_C_DISK:
        r->disk_bytes = p->to << 20;
        break;
    case XENO_RD_C_NET:
        r->net_kbps = p->to * 1000;
        break;
    case XENO_RD_C_PROCESSES:
        r->pids = p->to;
        break;
    case XENO_RD_C_ADDRESSES:
        r->addresses = (int)p->to;
        break;
    case XENO_RD_C_HOUR:
        r->max_per_hour = p->drop ? 0 : p->to;
        break;
    case XENO_RD_C_TOTAL:
        r->max_total = p->drop ? 0 : p->to;
        break;
    default: /* the request's, which no Accept sees */
        break;
    }
}

/* Its Accept may be about the requirement: is it true of what would be asked for then? */
static bool accepts_then(const struct rd_find *f, const struct xeno_rd_relax *relax, uint32_t slot)
{
    const struct rd_accept *accept = f->rd->accept[slot];
    struct xeno_rd_request req = *f->req;
    struct xeno_requirement other;
    struct rd_find then = *f;

    if (!accept || !accept->of_requirement || !req.requirement)
        return true;
    other = *req.requirement; /* what it points to is borrowed */
    for (size_t i = 0; i < relax->part_count; i++) {
        if (relax->part[i].constraint == XENO_RD_C_PORTS)
            return false; /* which ones are left is the client's to say */
        ask_otherwise(&other, &relax->part[i]);
    }
    req.requirement = &other;
    then.req = &req;
    return rd_accept_eval(&then, accept) == XENO_TRUE;
}

struct choice {
    uint64_t mask; /* what the servers fail that it is for */
    double change; /* the least there is */
    struct xeno_rd_relax relax;
};

/* Keep the server's relaxation if it is less of a change than the one of its choice. */
static void consider(const struct rd_find *f, uint64_t mask, uint32_t slot, struct choice *c)
{
    struct xeno_rd_relax r = { .part_count = 0 };
    double sum = 0, change;

    for (uint64_t rest = mask; rest; rest &= rest - 1) {
        if (!relax_part(f, (enum xeno_rd_constraint)__builtin_ctzll(rest), slot,
                        &r.part[r.part_count++], &change))
            return;
        sum += change;
    }
    if ((c->mask != 0 && sum >= c->change) || !accepts_then(f, &r, slot))
        return;
    c->mask = mask;
    c->change = sum;
    c->relax = r;
}

/* How many match then: those that do now and still accept, and those that fail nothing else. */
static size_t count_matches(const struct rd_find *f, const struct choice *c)
{
    size_t n = 0;

    for (size_t i = 0; i < f->s->live_count; i++) {
        uint32_t slot = f->s->live[i];
        uint64_t mask = f->s->no[slot] | f->s->unknown[slot];
        bool helps = (mask & ~c->mask) == 0;

        for (size_t k = 0; helps && k < c->relax.part_count; k++) {
            if (mask & RD_BIT(c->relax.part[k].constraint))
                helps = part_helps(f, &c->relax.part[k], slot);
        }
        n += helps && accepts_then(f, &c->relax, slot);
    }
    return n;
}

static int by_change(const void *a, const void *b)
{
    const struct choice *x = a, *y = b;

    if (x->change != y->change)
        return x->change < y->change ? -1 : 1;
    return x->mask < y->mask ? -1 : x->mask > y->mask;
}

static void tell(const struct rd_find *f, struct choice *all, size_t n, struct xeno_rd_result *res)
{
    qsort(all, n, sizeof(*all), by_change);
    for (size_t i = 0; i < n && res->relax_count < XENO_RD_RELAX; i++) {
        xeno_autobuf text = XENO_BUF_INIT;
        struct xeno_rd_relax *r = &res->relax[res->relax_count];

        *r = all[i].relax;
        r->matches = count_matches(f, &all[i]);
        if (r->matches <= f->matched) /* others no longer accept */
            continue;
        res->relax_count++;
        rd_relax_words(f, r, &text);
        r->text = xeno_buf_take(&text, NULL);
    }
}

/* Servers that fail just `size` constraints, by which ones. Returns: how many choices there are. */
static size_t gather(const struct rd_find *f, int size, struct choice *all, size_t max)
{
    size_t n = 0, k;

    for (size_t i = 0; i < f->s->live_count; i++) {
        uint32_t slot = f->s->live[i];
        uint64_t mask = f->s->no[slot] | f->s->unknown[slot];

        if (mask == 0 || __builtin_popcountll(mask) != size)
            continue;
        for (k = 0; k < n && all[k].mask != mask; k++)
            ;
        if (k == max)
            continue;
        consider(f, mask, slot, &all[k]);
        n += k == n && all[k].mask != 0;
    }
    return n;
}

void rd_explain(struct rd_find *f, struct xeno_rd_result *res)
{
    struct choice all[PAIRS];
    size_t n;

    res->considered = f->considered;
    res->matched = f->matched;
    count_fallen(f, res);
    if (f->matched >= (size_t)f->req->count)
        return;
    memset(all, 0, sizeof(all));
    n = gather(f, 1, all, XENO_LEN(all));
    if (n == 0 && f->matched == 0) {
        memset(all, 0, sizeof(all));
        n = gather(f, 2, all, XENO_LEN(all));
    }
    tell(f, all, n, res);
}
