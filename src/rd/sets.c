/* src/rd/sets.c - servers whose paths to an address are separate. */
#include "rd/find-priv.h"

#include <math.h>
#include <string.h>

bool rd_path_told(const struct rd_find *f, uint32_t slot)
{
    if (f->net && f->net->path && f->net->path(f->net->ctx, slot, NULL))
        return true;
    return f->rd->path_bloom[slot] & f->to_bloom;
}

/* The path of a server to `disjoint_to`: measured, or as its advert tells. */
static bool path_of(const struct rd_find *f, uint32_t slot, struct xeno_path *ret)
{
    const struct xeno_advert *a = f->rd->servers[slot]->advert;
    const struct xeno_leaf *to = xeno_advert_leaf(a, "Path/To");
    const struct xeno_leaf *hops = xeno_advert_leaf(a, "Path/Hops");

    if (f->net && f->net->path && f->net->path(f->net->ctx, slot, ret))
        return true;
    for (; to && hops; to = xeno_advert_leaf_next(a, to), hops = xeno_advert_leaf_next(a, hops)) {
        if (strcmp(to->value, f->to_host) == 0)
            return xeno_path_read(hops->value, ret, NULL) == 0;
    }
    return false;
}

void rd_apart(struct rd_find *f, const uint32_t *slots, size_t n, double *ret_by_slot)
{
    struct xeno_path *beside = f->s->paths, mine;
    size_t count = 0;
    uint32_t slot;

    for (size_t i = 0; i < f->req->beside_count; i++) {
        if (xeno_rd_slot(f->rd, &f->req->beside[i], &slot))
            count += path_of(f, slot, &beside[count]);
    }
    for (size_t i = 0; i < n; i++) {
        double most = 0;

        if (!path_of(f, slots[i], &mine)) {
            ret_by_slot[slots[i]] = INFINITY;
            continue;
        }
        for (size_t k = 0; k < count; k++)
            most = fmax(most, xeno_path_risk(&mine, &beside[k], &f->to));
        ret_by_slot[slots[i]] = most;
    }
}

static void take(uint32_t *pool, const struct xeno_path **paths, size_t *n, size_t at)
{
    memmove(&pool[at], &pool[at + 1], (*n - at - 1) * sizeof(*pool));
    memmove(&paths[at], &paths[at + 1], (*n - at - 1) * sizeof(const struct xeno_path *));
    --*n;
}

/* The first set is the one that has least in common, the next one of what is left. A server whose
 * path nobody knows is in no set: it can not be said to be apart. */
size_t rd_sets(struct rd_find *f, uint32_t *pool, size_t n, uint32_t *ret, int *ret_sets)
{
    const struct xeno_path *paths[RD_SET_POOL];
    size_t members[XENO_PATHS_SET], k = (size_t)f->req->sets, got = 0, told = 0;

    for (size_t i = 0; i < n; i++) {
        if (path_of(f, pool[i], &f->s->paths[told])) {
            paths[told] = &f->s->paths[told];
            pool[told++] = pool[i];
        }
    }
    for (int set = 1; told >= k && got + k <= (size_t)f->req->count; set++) {
        if (xeno_paths_disjoint(paths, told, k, &f->to, members, NULL, NULL) < 0)
            break;
        for (size_t i = 0; i < k; i++) {
            ret[got] = pool[members[i]];
            ret_sets[got++] = set;
        }
        for (size_t i = k; i-- > 0;) /* from the last: places stay right */
            take(pool, paths, &told, members[i]);
    }
    return got;
}
