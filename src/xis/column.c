/* src/xis/column.c - elements by number that never move. */
#include "xis/column.h"

struct xeno_column *xeno_column_new(size_t size)
{
    struct xeno_column *c = xeno_new0(struct xeno_column);

    c->size = size;
    c->count = 1; /* 0 stands for none */
    c->chunks[0] = xeno_alloc0(XENO_COLUMN_CHUNK, size);
    return c;
}

void xeno_column_free(struct xeno_column *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < XENO_COLUMN_CHUNKS && c->chunks[i]; i++)
        free(c->chunks[i]);
    free(c->spare);
    free(c);
}

uint32_t xeno_column_take(struct xeno_column *c)
{
    uint32_t i;

    if (c->spare_len > 0)
        return c->spare[--c->spare_len];
    if (c->count == XENO_COLUMN_CHUNK * XENO_COLUMN_CHUNKS)
        return 0;
    i = c->count++;
    if (!c->chunks[i / XENO_COLUMN_CHUNK])
        c->chunks[i / XENO_COLUMN_CHUNK] = xeno_alloc0(XENO_COLUMN_CHUNK, c->size);
    return i;
}

void xeno_column_give(struct xeno_column *c, uint32_t i)
{
    if (c->spare_len == c->spare_room) {
        c->spare_room = c->spare_room ? c->spare_room * 2 : 64;
        c->spare = xeno_grow(c->spare, c->spare_room);
    }
    c->spare[c->spare_len++] = i;
}

size_t xeno_column_bytes(const struct xeno_column *c)
{
    size_t chunks = (c->count + XENO_COLUMN_CHUNK - 1) / XENO_COLUMN_CHUNK;

    return sizeof *c + chunks * XENO_COLUMN_CHUNK * c->size + c->spare_room * sizeof(uint32_t);
}
