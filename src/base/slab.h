/* src/base/slab.h - memory for many things of one size, in large pages.
 *
 * What is looked up at random in tens of megabytes waits less for where a page is than for the
 * memory itself when its pages are large. So blocks are cut from slabs of 2 MiB, of which all but
 * the first ask for huge pages (a small store would fill none). A slab without a block in use goes
 * back to the system. One thread at a time; blocks are multiples of cache lines and begin at one.
 */
#ifndef XENO_BASE_SLAB_H
#define XENO_BASE_SLAB_H

#include <stddef.h>

struct xeno_slab;

struct xeno_slabs {
    size_t size;                   /* of a block; a multiple of 64 */
    struct xeno_slab *room, *full; /* those that have a block left, and the others */
    size_t count;                  /* of slabs */
    size_t bytes; /* of blocks that were in use at any time; the rest is untouched */
};

void xeno_slabs_init(struct xeno_slabs *s, size_t size); /* rounded up */
void xeno_slabs_release(struct xeno_slabs *s);           /* with all blocks in it */

void *xeno_slab_take(struct xeno_slabs *s); /* as it was left; aborts when there is no memory */
void xeno_slab_give(void *block);

#endif
