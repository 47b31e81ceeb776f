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
    size_t have =
        (own ? a->own_bytes : a->other_bytes + a->claimed.bytes) - (its ? text_bytes(old) : 0);
    size_t max = own ? c->bounds.own_bytes : c->bounds.other_bytes;
    size_t others = a->others + a->claimed.adverts;

    if (!own && others - its >= c->bounds.adverts)
        return xeno_fail(
            err, -EDQUOT, "xis.quota",
            "%zu adverts of others were brought by this credential, at most %zu may be", others,
            c->bounds.adverts);
    if (bytes > max || have > max - bytes)
        return xeno_fail(err, -EDQUOT, "xis.quota",
                         "%zu bytes more than the %zu that this credential has here, at most %zu "
                         "may be",
                         bytes, have, max);
    return 0;
}

/* --- what is on its way --- */

static bool is_among(const char *const *paths, size_t n, const char *path)
{
    while (n > 0)
        if (strcmp(paths[--n], path) == 0)
            return true;
    return false;
}

/* Paths of the advert that nobody here has. */
static size_t new_tokens(const struct xeno_xis *x, const struct xeno_advert *a)
{
    const char *paths[XENO_ADVERT_LEAVES];
    size_t n = 0;

    for (size_t i = 0; i < a->leaf_count && !a->withdrawn; i++) {
        const char *path = a->leaves[i].path;

        if (xeno_token_number(x, path) == 0 && !is_among(paths, n, path))
            paths[n++] = path;
    }
    return n;
}

static int check_room(const struct xeno_xis *x, const struct xeno_xis_carrier *c,
                      const struct xeno_account *acc, const struct xeno_xis_claim *want,
                      struct xeno_err *err)
{
    size_t ids = x->alive + x->dead + x->claimed_ids;
    size_t has = acc->tokens + acc->claimed.tokens;

    if (want->tokens > 0 && want->tokens + has > c->bounds.tokens)
        return xeno_fail(err, -EDQUOT, "xis.quota",
                         "%zu tokens that nobody had, beside %zu that this credential brought, at "
                         "most %zu may be",
                         want->tokens, has, c->bounds.tokens);
    if (want->ids > 0 && ids >= x->limits.ids)
        return xeno_fail(err, -ENOSPC, "xis.full", "%zu ids are known here, as many as may be",
                         ids);
    if (want->tokens > 0 && x->ix.token_count + x->claimed_tokens + want->tokens > x->limits.tokens)
        return xeno_fail(err, -ENOSPC, "xis.full", "%zu tokens are known here, as many as may be",
                         x->ix.token_count);
    return 0;
}

int xeno_xis_claim(struct xeno_xis *x, const struct xeno_advert *a,
                   const struct xeno_xis_carrier *c, struct xeno_xis_claim *ret,
                   struct xeno_err *err)
{
    uint32_t number = xeno_account_of(x, c->id), slot = xeno_slot_find(x, a->id.s);
    const struct xeno_record *old = slot == XENO_MAP_NONE ? NULL : xeno_record_at(x, slot);
    struct xeno_account *acc = xeno_account_at(x, number);
    bool own = strcmp(c->id, a->id.s) == 0, its = old && old->carrier == number;
    size_t bytes = a->jws_len + a->delta_len, before = its ? text_bytes(old) : 0;
    struct xeno_xis_claim want = { .carrier = number,
                                   .adverts = !own && !its,
                                   .bytes = own || bytes < before ? 0 : bytes - before,
                                   .tokens = new_tokens(x, a),
                                   .ids = !old };
    int r;

    if (old && a->version <= old->version)
        return xeno_fail_old(a, old->version, err);
    r = xeno_account_check(x, c, number, own, bytes, old, err);
    if (r == 0)
        r = check_room(x, c, acc, &want, err);
    if (r < 0)
        return r;
    acc->claimed.carrier++; /* how many */
    acc->claimed.adverts += want.adverts;
    acc->claimed.bytes += want.bytes;
    acc->claimed.tokens += want.tokens;
    x->claimed_ids += want.ids;
    x->claimed_tokens += want.tokens;
    *ret = want;
    return 0;
}

void xeno_xis_claim_end(struct xeno_xis *x, struct xeno_xis_claim *claim)
{
    struct xeno_account *acc = xeno_account_at(x, claim->carrier);

    if (claim->carrier == 0)
        return;
    acc->claimed.carrier--;
    acc->claimed.adverts -= claim->adverts;
    acc->claimed.bytes -= claim->bytes;
    acc->claimed.tokens -= claim->tokens;
    x->claimed_ids -= claim->ids;
    x->claimed_tokens -= claim->tokens;
    *claim = (struct xeno_xis_claim){ 0 };
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

    return a->others == 0 && a->claimed.carrier == 0 && a->own_bytes == 0 && a->other_bytes == 0 &&
           a->tokens == 0 && a->level + passed * a->per_s >= a->burst;
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
