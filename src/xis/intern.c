/* src/xis/intern.c - each text once, by number, as long as something refers to it. */
#include "xis/intern.h"

#include <string.h>

static struct xeno_interned **at(const struct xeno_intern *in, uint32_t i)
{
    return xeno_column_at(in->texts, i);
}

void xeno_intern_init(struct xeno_intern *in, struct xeno_epoch *epoch, uint64_t seed)
{
    *in = (struct xeno_intern){ .epoch = epoch, .seed = seed };
    in->texts = xeno_column_new(sizeof(struct xeno_interned *));
    xeno_map_init(&in->map, epoch);
}

void xeno_intern_release(struct xeno_intern *in)
{
    for (uint32_t i = 1; i < in->texts->count; i++)
        free(*at(in, i));
    xeno_column_free(in->texts);
    xeno_map_release(&in->map);
}

static bool same(const void *ctx, uint32_t i, const char *key, size_t len)
{
    const char *text = xeno_intern_text(ctx, i);

    return strncmp(text, key, len) == 0 && text[len] == '\0';
}

static size_t bytes_of(const struct xeno_interned *t)
{
    return sizeof *t + strlen(t->text) + 1;
}

uint32_t xeno_intern_ref(struct xeno_intern *in, const char *text)
{
    size_t len = strlen(text);
    uint64_t hash = xeno_map_hash(text, len, in->seed);
    uint32_t i = xeno_map_find(&in->map, hash, same, in, text, len);
    struct xeno_interned *t;

    if (i != XENO_MAP_NONE) {
        (*at(in, i))->refs++;
        return i;
    }
    i = xeno_column_take(in->texts);
    if (i == 0)
        return 0;
    t = xeno_alloc0(1, sizeof *t + len + 1);
    t->refs = 1;
    t->hash = hash;
    memcpy(t->text, text, len);
    *at(in, i) = t;
    in->bytes += bytes_of(t);
    xeno_map_add(&in->map, hash, i);
    return i;
}

static void drop_text(void *ctx, void *thing)
{
    struct xeno_intern *in = ctx;
    uint32_t i = (uint32_t)(uintptr_t)thing;

    free(*at(in, i));
    *at(in, i) = NULL;
    xeno_column_give(in->texts, i);
}

void xeno_intern_unref(struct xeno_intern *in, uint32_t i)
{
    struct xeno_interned *t = *at(in, i);

    if (--t->refs > 0)
        return;
    in->bytes -= bytes_of(t);
    xeno_map_remove(&in->map, t->hash, i);
    xeno_epoch_retire(in->epoch, drop_text, in, (void *)(uintptr_t)i);
}
