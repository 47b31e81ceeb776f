/* src/xis/xis.c - the store as a whole: made, asked how large it is, and freed. */
#include <errno.h>
#include <string.h>

#include "xis/xis-priv.h"

#define IDS_DEFAULT             2000000
#define TOKENS_DEFAULT          65536
#define WATCHES_DEFAULT         1024
#define CARRIER_WATCHES_DEFAULT 16

_Static_assert(XENO_XIS_READERS == XENO_EPOCH_READERS, "a reader has a mark");

struct xeno_xis *xeno_xis_new(const struct xeno_env *env, const struct xeno_xis_limits *limits)
{
    struct xeno_xis *x = xeno_new0(struct xeno_xis);

    x->env = env;
    if (limits)
        x->limits = *limits;
    if (x->limits.ids == 0)
        x->limits.ids = IDS_DEFAULT;
    if (x->limits.tokens == 0)
        x->limits.tokens = TOKENS_DEFAULT;
    if (x->limits.watches == 0)
        x->limits.watches = WATCHES_DEFAULT;
    if (x->limits.carrier_watches == 0)
        x->limits.carrier_watches = CARRIER_WATCHES_DEFAULT;
    xeno_random(env, &x->seed, sizeof x->seed);
    x->epoch = xeno_epoch_new();
    xeno_index_init(&x->ix, x->epoch, x->seed, x->limits.tokens);
    x->ix.gone = xeno_account_token_gone;
    x->ix.ctx = x;
    x->ids = xeno_column_new(sizeof(struct xeno_id));
    x->slots = xeno_column_new(sizeof(struct xeno_slot));
    x->accounts = xeno_column_new(sizeof(struct xeno_account));
    xeno_map_init(&x->map, x->epoch);
    xeno_map_init(&x->carriers, x->epoch);
    return x;
}

void xeno_xis_free(struct xeno_xis *x)
{
    if (!x)
        return;
    while (x->watches)
        xeno_watch_free(x->watches);
    xeno_epoch_free(x->epoch); /* first: what waits for readers is no part of what follows */
    x->epoch = NULL;
    for (uint32_t i = 1; i < x->slots->count; i++) {
        struct xeno_record *r = xeno_record_at(x, i);

        if (!r)
            continue;
        free(r->jws);
        free(r->delta);
        free(r);
    }
    xeno_index_release(&x->ix);
    xeno_map_release(&x->map);
    xeno_map_release(&x->carriers);
    xeno_column_free(x->ids);
    xeno_column_free(x->slots);
    xeno_column_free(x->accounts);
    free(x->heap);
    free(x);
}

void xeno_xis_stats(const struct xeno_xis *x, struct xeno_xis_stats *ret)
{
    *ret = (struct xeno_xis_stats){
        .alive = x->alive,
        .dead = x->dead,
        .tokens = x->ix.token_count,
        .watches = x->watch_count,
        .carriers = x->carrier_count,
        .values = x->ix.values,
        .text_bytes = x->text_bytes,
        .node_bytes = xeno_forest_bytes(&x->ix.forest),
    };
    ret->other_bytes = x->record_bytes + ret->node_bytes + x->ix.intern.bytes +
                       xeno_column_bytes(x->ix.intern.texts) + xeno_map_bytes(&x->ix.intern.map) +
                       xeno_column_bytes(x->ix.tokens) + xeno_column_bytes(x->ids) +
                       xeno_column_bytes(x->slots) + xeno_map_bytes(&x->map) +
                       xeno_column_bytes(x->accounts) + x->heap_room * sizeof x->heap[0];
}
