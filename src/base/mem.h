/* src/base/mem.h - memory and descriptors that look after themselves.
 *
 * A local that owns something is declared with a cleanup word and starts out empty; ownership
 * leaves a function by xeno_take(). Small allocations abort when memory is gone, since a supervised
 * daemon restarts safely; a size that came from outside is bounded by a named constant first and
 * then allocated with xeno_try_alloc(), which can fail.
 */
#ifndef XENO_BASE_MEM_H
#define XENO_BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define XENO_LEN(a) (sizeof(a) / sizeof(*(a)))

/* Move a pointer out of its variable, which becomes NULL. */
#define xeno_take(pp)                                                                              \
    ({                                                                                             \
        __typeof__(*(pp)) taken_ = *(pp);                                                          \
        *(pp) = NULL;                                                                              \
        taken_;                                                                                    \
    })

/* Move a descriptor out of its variable, which becomes -1. */
static inline int xeno_take_fd(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

static inline void xeno_cleanup_free_(void *p)
{
    free(*(void **)p);
}

void xeno_cleanup_close_(int *fd); /* keeps errno */

#define xeno_autofree  __attribute__((cleanup(xeno_cleanup_free_)))
#define xeno_autoclose __attribute__((cleanup(xeno_cleanup_close_)))

/* XENO_DEFINE_AUTO(xeno_book, xeno_book_free) in a header makes `xeno_auto(xeno_book) b = NULL;` a
 * `struct xeno_book *` that is freed when it goes out of scope. */
#define XENO_DEFINE_AUTO(type, fn)                                                                 \
    static inline void xeno_cleanup_##type##_(struct type **p)                                     \
    {                                                                                              \
        fn(*p);                                                                                    \
    }                                                                                              \
    struct type /* swallows the semicolon */

#define xeno_auto(type) __attribute__((cleanup(xeno_cleanup_##type##_))) struct type *

/* These abort when there is no memory. Returned memory is the caller's, to be freed with free(). */
void *xeno_alloc0(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *xeno_realloc(void *p, size_t count, size_t size) __attribute__((returns_nonnull));
char *xeno_strdup(const char *s); /* NULL gives NULL */
char *xeno_strndup(const char *s, size_t len) __attribute__((returns_nonnull));
void *xeno_memdup(const void *p, size_t len) __attribute__((returns_nonnull));
char *xeno_asprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));
char *xeno_vasprintf(const char *fmt, va_list ap) __attribute__((returns_nonnull));

#define xeno_new0(type)      ((type *)xeno_alloc0(1, sizeof(type)))
#define xeno_new0_n(type, n) ((type *)xeno_alloc0((n), sizeof(type)))
#define xeno_grow(p, n)      ((__typeof__(p))xeno_realloc((p), (n), sizeof *(p)))

/* Zeroed memory for a size that came from outside; NULL when there is none. */
void *xeno_try_alloc(size_t size);

#endif
