/* src/xis/column.h - elements by number that never move, with numbers given out and taken back.
 *
 * Readers may look at an element whose number they found in something published after it was
 * written. A number that was taken back is given out again: take it back through the epoch.
 */
#ifndef XENO_XIS_COLUMN_H
#define XENO_XIS_COLUMN_H

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

#define XENO_COLUMN_CHUNK  4096u
#define XENO_COLUMN_CHUNKS 4096u /* 16 M elements */

struct xeno_column {
    size_t size;    /* of an element */
    uint32_t count; /* numbers given out so far, also those taken back; from 1 on */
    uint32_t *spare;
    size_t spare_len, spare_room;
    char *chunks[XENO_COLUMN_CHUNKS];
};

static inline void *xeno_column_at(const struct xeno_column *c, uint32_t i)
{
    return c->chunks[i / XENO_COLUMN_CHUNK] + i % XENO_COLUMN_CHUNK * c->size;
}

struct xeno_column *xeno_column_new(size_t size);
void xeno_column_free(struct xeno_column *c);
/* A number, from 1 on; 0: there are no more. Its element is what it was left as; at first zero. */
uint32_t xeno_column_take(struct xeno_column *c);
void xeno_column_give(struct xeno_column *c, uint32_t i);
size_t xeno_column_bytes(const struct xeno_column *c);

#endif
