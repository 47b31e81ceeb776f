/* src/host/pool.h - things that are numbered and given out whole: addresses, ports.
 *
 * Next-fit: what one session gave back is the last to be given to another, so that a stranger's
 * late packets do not reach the next tenant at once. Private to admission.c and publish.c. Pure.
 */
#ifndef XENO_HOST_POOL_H
#define XENO_HOST_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct pool {
    uint8_t *taken; /* one byte each; owned */
    size_t count;
    size_t used;
    size_t next; /* where the search starts */
};

void pool_init(struct pool *p, size_t count);
void pool_release(struct pool *p);

/* The next free number, not taken yet; SIZE_MAX when there is none. */
size_t pool_find(const struct pool *p);
void pool_take(struct pool *p, size_t at); /* asserted: it is free */
void pool_give(struct pool *p, size_t at); /* asserted: it is taken */

/* There is not enough: -ERANGE where there never will be, else -EAGAIN, under `token`. */
int claim_refuse(struct xeno_err *err, const char *token, const char *name, const char *unit,
                 int64_t asked, int64_t left, int64_t limit);

#endif
