/* src/xstored/s3-copy.c - copies of objects that are in a bucket. */
#include "xstored/s3-priv.h"

#include <stdio.h>
#include <unistd.h>

struct copy *s3_copy_of(struct s3 *s, const char *digest)
{
    struct copy *c;

    HASH_FIND_STR(s->copies, digest, c);
    return c;
}

void s3_drop_copy(struct s3 *s, struct copy *c)
{
    HASH_DEL(s->copies, c);
    s->cached -= c->size;
    free(c);
}

struct copy *s3_add_copy(struct s3 *s, const char *digest, int64_t size)
{
    struct copy *c = s3_copy_of(s, digest);

    if (c)
        s3_drop_copy(s, c);
    c = xeno_new0(struct copy);
    snprintf(c->digest, sizeof c->digest, "%s", digest);
    c->size = size;
    s->cached += size;
    HASH_ADD_STR(s->copies, digest, c);
    return c;
}

void s3_used(struct s3 *s, const char *digest)
{
    struct copy *c = s3_copy_of(s, digest);

    if (!c || c->coming)
        return;
    HASH_DEL(s->copies, c);
    HASH_ADD_STR(s->copies, digest, c);
}

/* What was not used for longest goes. Who reads one goes on. */
void s3_evict(struct s3 *s)
{
    struct copy *c, *next;

    HASH_ITER (hh, s->copies, c, next) {
        if (s->cached <= s->cache_max)
            return;
        if (c->coming || s->cache->back->remove(s->cache, c->digest, NULL) < 0)
            continue;
        s3_add_key(&s->evicted, c->digest);
        s3_drop_copy(s, c);
    }
}

/* Its object is damaged, and it is no better. */
void s3_drop_bad_copy(struct s3 *s, const char *digest)
{
    struct copy *c = s3_copy_of(s, digest);

    if (s->cache->back->remove(s->cache, digest, NULL) == 0)
        s3_add_key(&s->evicted, digest);
    if (c && !c->coming)
        s3_drop_copy(s, c);
}

static void drop_file(struct s3 *s, const char *digest)
{
    (void)s->cache->back->remove(s->cache, digest, NULL);
    s->cache->back->purge(s->cache, digest);
}

/* Copies of an earlier run; one without a place is of no use. */
int s3_load_copies(struct s3 *s, struct xeno_err *err)
{
    char digest[XENO_DIGEST_TEXT], name[NAME_CHARS + 1];
    int64_t cursor = 0, size = 0;
    int r;

    while ((r = s->cache->back->each(s->cache, &cursor, &digest, 1, err)) > 0) {
        xeno_autoclose int fd = -1;

        if (s->cache->back->find(s->cache, digest, &fd, &size, NULL) < 0)
            continue;
        if (s3_place(s, digest, name, NULL) == 0)
            (void)s3_add_copy(s, digest, size);
        else
            drop_file(s, digest);
    }
    if (r == 0)
        s3_evict(s);
    return r;
}
