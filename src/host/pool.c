/* src/host/pool.c - things that are numbered and given out whole. */
#include "host/pool.h"

#include <assert.h>
#include <errno.h>

#include "base/mem.h"

void pool_init(struct pool *p, size_t count)
{
    p->taken = count > 0 ? xeno_alloc0(count, 1) : NULL;
    p->count = count;
}

size_t pool_find(const struct pool *p)
{
    for (size_t i = 0; i < p->count; i++) {
        size_t at = (p->next + i) % p->count;

        if (!p->taken[at])
            return at;
    }
    return SIZE_MAX;
}

void pool_release(struct pool *p)
{
    free(p->taken);
    p->taken = NULL;
}

void pool_take(struct pool *p, size_t at)
{
    assert(at < p->count && !p->taken[at]);
    p->taken[at] = 1;
    p->used++;
    p->next = (at + 1) % p->count;
}

void pool_give(struct pool *p, size_t at)
{
    assert(at < p->count && p->taken[at]);
    p->taken[at] = 0;
    p->used--;
}

int claim_refuse(struct xeno_err *err, const char *token, const char *name, const char *unit,
                 int64_t asked, int64_t left, int64_t limit)
{
    return xeno_fail(err, asked > limit ? -ERANGE : -EAGAIN, token,
                     "%s: asked %lld %s, %lld left of the %lld this host sells%s", name,
                     (long long)asked, unit, (long long)left, (long long)limit,
                     asked > limit ? "; ask another host" : "; ask for less or try again later");
}
