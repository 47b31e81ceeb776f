/* src/xis/xis-carrier.c - what each credential that brings adverts may have here, and how often. */
#include <errno.h>
#include <string.h>

#include "xis/xis-priv.h"

#define SWEEP_AT_ONCE 16

struct xeno_account *xeno_account_at(const struct xeno_xis *x, uint32_t number)
{
    return xeno_column_at(x->accounts, number);
}

static bool same_carrier(const void *ctx, uint32_t number, const char *key, size_t len)
{
    const struct xeno_xis *x = ctx;
    const struct xeno_account *a = xeno_account_at(x, number);

    return strlen(a->id) == len && memcmp(a->id, key, len) == 0;
}

uint32_t xeno_account_of(struct xeno_xis *x, const char *id)
{
    size_t len = strnlen(id, XENO_ID_CHARS);
    uint64_t hash = xeno_map_hash(id, len, x->seed);
    uint32_t n = xeno_map_find(&x->carriers, hash, same_carrier, x, id, len);
    struct xeno_account *a;

    if (n != XENO_MAP_NONE)
        return n;
    n = xeno_column_take(x->accounts);
    a = xeno_account_at(x, n);
    *a = (struct xeno_account){ .hash = hash, .level = -1 };
    memcpy(a->id, id, len);
    xeno_map_add(&x->carriers, hash, n);
    x->carrier_count++;
    return n;
}

static size_t text_bytes(const struct xeno_record *r)
{
    return (size_t)r->jws_len + r->delta_len;
}

void xeno_account_add(struct xeno_xis *x, const struct xeno_record *r)
{
    struct xeno_account *a = xeno_account_at(x, r->carrier);

    if (r->carrier == 0)
        return;
    *(r->own ? &a->own_bytes : &a->other_bytes) += text_bytes(r);
    a->others += !r->own;
}

void xeno_account_drop(struct xeno_xis *x, const struct xeno_record *r)
{
    struct xeno_account *a = xeno_account_at(x, r->carrier);

    if (r->carrier == 0)
        return;
    *(r->own ? &a->own_bytes : &a->other_bytes) -= text_bytes(r);
    a->others -= !r->own;
}

void xeno_account_token_gone(void *ctx, uint32_t number)
{
    xeno_account_at(ctx, number)->tokens--;
}

int xeno_account_check(const struct xeno_xis *x, const struct xeno_xis_carrier *c, uint32_t number,
                       bool own, size_t bytes, const struct xeno_record *old, struct xeno_err *err)
{
    const struct xeno_account *a = xeno_account_at(x, number);
    bool its = old && old->carrier == number;
    size_t have = (own ? a->own_bytes : a->other_bytes) - (its ? text_bytes(old) : 0);
    size_t max = own ? c->bounds.own_bytes : c->bounds.other_bytes;

    if (!own && a->others - its >= c->bounds.adverts)
        return xeno_fail(
            err, -EDQUOT, "xis.quota",
            "%zu adverts of others were brought by this credential, at most %zu may be", a->others,
            c->bounds.adverts);
    if (bytes > max || have > max - bytes)
        return xeno_fail(err, -EDQUOT, "xis.quota",
                         "%zu bytes more than the %zu that this credential has here, at most %zu "
                         "may be",
                         bytes, have, max);
    return 0;
}

int xeno_xis_admit(struct xeno_xis *x, const struct xeno_xis_carrier *c, xeno_time *ret_wait,
                   struct xeno_err *err)
{
    struct xeno_account *a = xeno_account_at(x, xeno_account_of(x, c->id));
    xeno_time now = xeno_mono(x->env);
    double passed = (double)(now.ns - a->when.ns) / (double)XENO_NS_PER_S;

    a->burst = c->bounds.burst;
    a->per_s = c->bounds.updates_s;
    if (a->level < 0)
        a->level = a->burst;
    else if (passed > 0)
        a->level += passed * a->per_s;
    if (a->level > a->burst)
        a->level = a->burst;
    a->when = now;
    if (a->level >= 1) {
        a->level -= 1;
        return 0;
    }
    if (ret_wait)
        *ret_wait = a->per_s > 0
                        ? xeno_ns((int64_t)((1 - a->level) / a->per_s * (double)XENO_NS_PER_S) + 1)
                        : xeno_s(3600);
    return xeno_fail(err, -EAGAIN, "xis.rate",
                     "more than %g updates a second, and %g at once, by this credential", a->per_s,
                     a->burst);
}

/* Nothing here, and it has been quiet for so long that it may ask for all its burst again? */
static bool idle(const struct xeno_xis *x, const struct xeno_account *a)
{
    double passed = (double)(xeno_mono(x->env).ns - a->when.ns) / (double)XENO_NS_PER_S;

    return a->others == 0 && a->own_bytes == 0 && a->other_bytes == 0 && a->tokens == 0 &&
           a->level + passed * a->per_s >= a->burst;
}

static bool of_any_record(const struct xeno_xis *x, uint32_t number)
{
    const struct xeno_account *a = xeno_account_at(x, number);
    uint32_t slot = xeno_slot_find(x, a->id);

    return slot != XENO_MAP_NONE && xeno_record_at(x, slot)->carrier == number;
}

void xeno_account_sweep(struct xeno_xis *x)
{
    for (size_t i = 0; i < SWEEP_AT_ONCE && x->carrier_count > 0; i++) {
        struct xeno_account *a;

        if (++x->sweep >= x->accounts->count)
            x->sweep = 1;
        a = xeno_account_at(x, x->sweep);
        if (a->id[0] == '\0' || !idle(x, a) || of_any_record(x, x->sweep))
            continue;
        xeno_map_remove(&x->carriers, a->hash, x->sweep);
        a->id[0] = '\0';
        x->carrier_count--;
        xeno_column_give(x->accounts, x->sweep); /* no reader looks at accounts */
    }
}
