/* src/base/slab.c - memory for many things of one size, in large pages. */
#include "base/slab.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

/* AddressSanitizer is to see who looks at a block that was given back. */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, len)   ((void)(at), (void)(len))
#define ASAN_UNPOISON_MEMORY_REGION(at, len) ((void)(at), (void)(len))
#endif

#define SLAB_BYTES ((size_t)2 << 20) /* a huge page of x86-64 and of arm64 with 4 KiB pages */
#define LINE       ((size_t)64)

/* At the start of its memory; blocks follow. */
struct xeno_slab {
    struct xeno_slabs *of;
    struct xeno_slab *next, *prev; /* in its list */
    void *given;                   /* blocks that came back: each has the next one at its start */
    size_t used;                   /* blocks in use */
    size_t fresh; /* blocks that were in use at any time: they are the first ones */
};

static size_t blocks_of(const struct xeno_slabs *s)
{
    return (SLAB_BYTES - LINE) / s->size;
}

static void link_to(struct xeno_slab **list, struct xeno_slab *slab)
{
    slab->prev = NULL;
    slab->next = *list;
    if (*list)
        (*list)->prev = slab;
    *list = slab;
}

static void unlink_from(struct xeno_slab **list, struct xeno_slab *slab)
{
    if (slab->prev)
        slab->prev->next = slab->next;
    else
        *list = slab->next;
    if (slab->next)
        slab->next->prev = slab->prev;
}

/* Memory that begins at a multiple of its size: twice as much, without what is around it. */
static void *map_aligned(void)
{
    char *m =
        mmap(NULL, 2 * SLAB_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t before;

    if (m == MAP_FAILED)
        abort();
    before = -(uintptr_t)m % SLAB_BYTES;
    if (before > 0)
        munmap(m, before);
    munmap(m + before + SLAB_BYTES, SLAB_BYTES - before);
    return m + before;
}

static struct xeno_slab *slab_new(struct xeno_slabs *s)
{
    struct xeno_slab *slab = map_aligned();

    _Static_assert(sizeof *slab <= LINE, "a slab begins with one line");
    if (s->count > 0)
        (void)madvise(slab, SLAB_BYTES, MADV_HUGEPAGE); /* a kernel without them does well too */
    slab->of = s;
    s->count++;
    link_to(&s->room, slab);
    return slab;
}

static void slab_free(struct xeno_slab *slab)
{
    struct xeno_slabs *s = slab->of;

    s->count--;
    s->bytes -= slab->fresh * s->size;
    ASAN_UNPOISON_MEMORY_REGION(slab, SLAB_BYTES);
    munmap(slab, SLAB_BYTES);
}

void xeno_slabs_init(struct xeno_slabs *s, size_t size)
{
    *s = (struct xeno_slabs){ .size = (size + LINE - 1) & ~(LINE - 1) };
}

void xeno_slabs_release(struct xeno_slabs *s)
{
    struct xeno_slab *lists[] = { s->room, s->full };

    for (int i = 0; i < 2; i++)
        for (struct xeno_slab *slab = lists[i], *next; slab; slab = next) {
            next = slab->next;
            slab_free(slab);
        }
    s->room = s->full = NULL;
}

void *xeno_slab_take(struct xeno_slabs *s)
{
    struct xeno_slab *slab = s->room ? s->room : slab_new(s);
    void *block = slab->given;

    if (block) {
        ASAN_UNPOISON_MEMORY_REGION(block, s->size);
        slab->given = *(void **)block;
    } else {
        block = (char *)slab + LINE + slab->fresh++ * s->size;
        s->bytes += s->size;
    }
    if (++slab->used == blocks_of(s)) {
        unlink_from(&s->room, slab);
        link_to(&s->full, slab);
    }
    return block;
}

/* The last slab with room stays when it is empty, so that one block that comes and goes is not a
 * slab that does. */
void xeno_slab_give(void *block)
{
    struct xeno_slab *slab = (struct xeno_slab *)((uintptr_t)block & ~(SLAB_BYTES - 1));
    struct xeno_slabs *s = slab->of;

    *(void **)block = slab->given;
    slab->given = block;
    ASAN_POISON_MEMORY_REGION(block, s->size);
    if (slab->used-- == blocks_of(s)) {
        unlink_from(&s->full, slab);
        link_to(&s->room, slab);
    }
    if (slab->used == 0 && (slab->next || slab->prev)) {
        unlink_from(&s->room, slab);
        slab_free(slab);
    }
}
