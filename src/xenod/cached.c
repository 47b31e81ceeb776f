/* src/xenod/cached.c - which images and layers this machine has, for its advert. */
#include "xenod/cached.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"

/* An image of either store, of which nothing but the digest was read so far. */
struct found {
    struct xeno_store *store;
    char digest[XENO_DIGEST_TEXT];
    bool whole;
    int64_t when_ns; /* its manifest came here, or was asked for */
};

static bool blob_stat(const struct xeno_store *st, const char *digest, struct stat *ret)
{
    xeno_autofree char *path = xeno_asprintf("%s/blobs/sha256/%s", xeno_store_path(st), digest + 7);

    return stat(path, ret) == 0;
}

static int newest_first(const void *a, const void *b)
{
    const struct found *x = a, *y = b;

    return x->when_ns < y->when_ns   ? 1
           : x->when_ns > y->when_ns ? -1
                                     : strcmp(x->digest, y->digest);
}

/* What a store lists, appended to `all`. */
static size_t list_store(struct xeno_store *st, bool whole, struct found **all, size_t count)
{
    xeno_auto(xeno_store_list) list = NULL;
    struct stat s;

    if (!st || xeno_store_list(st, &list, NULL) < 0)
        return count;
    *all = xeno_grow(*all, count + list->count + 1);
    for (size_t i = 0; i < list->count; i++) {
        const struct xeno_store_entry *e = &list->items[i];
        const char *digest = e->image ? e->image->digest : e->digest; /* not of an index */
        struct found *f = &(*all)[count];

        if ((whole && !e->image) || !xeno_digest_ok(digest) || !blob_stat(st, digest, &s))
            continue;
        *f = (struct found){ .store = st, .whole = whole };
        f->when_ns = s.st_mtim.tv_sec * XENO_NS_PER_S + s.st_mtim.tv_nsec;
        snprintf(f->digest, sizeof f->digest, "%s", digest);
        count++;
    }
    return count;
}

/* Remember the first digits, once. */
static void keep(xenod_cached_digest *all, size_t *count, size_t most, const char *digest)
{
    xenod_cached_digest s;

    memcpy(s, digest + 7, XENOD_CACHED_DIGITS); /* after "sha256:" */
    s[XENOD_CACHED_DIGITS] = '\0';
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(all[i], s) == 0)
            return;
    }
    if (*count < most)
        memcpy(all[(*count)++], s, sizeof s);
}

static bool layer_here(const struct found *f, const struct xeno_layer *l)
{
    char table[XENO_DIGEST_TEXT];

    if (f->whole || xeno_store_has(f->store, l->digest))
        return true;
    if (l->toc.bytes == 0)
        return false;
    xeno_digest_text(l->toc.sha, table);
    return xeno_store_has(f->store, table);
}

static void take(struct xenod_cached *c, const struct found *f)
{
    xeno_auto(xeno_image) im = NULL;
    size_t here = 0;

    if (xeno_store_load(f->store, f->digest, &im, NULL) < 0)
        return;
    for (size_t i = 0; i < im->layer_count; i++) {
        if (!layer_here(f, &im->layers[i]))
            continue;
        keep(c->layers, &c->layer_count, XENOD_CACHED_LAYERS, im->layers[i].digest);
        here++;
    }
    if (here == im->layer_count)
        keep(c->images, &c->image_count, XENOD_CACHED_IMAGES, f->digest);
}

/* Is a store other than it was? Each has an index, and a folder of blobs. */
static bool changed(struct xenod_cached *c, struct xeno_store *const stores[2])
{
    static const char *const names[] = { "index.json", "blobs/sha256" };
    bool yes = false;

    for (size_t i = 0; i < XENO_LEN(c->seen); i++) {
        struct xeno_store *st = stores[i / 2];
        xeno_autofree char *path =
            st ? xeno_asprintf("%s/%s", xeno_store_path(st), names[i % 2]) : NULL;
        struct stat s = { .st_size = 0 };

        if (path && stat(path, &s) < 0)
            s.st_mtim = (struct timespec){ .tv_sec = 0 };
        yes |= s.st_mtim.tv_sec != c->seen[i].tv_sec || s.st_mtim.tv_nsec != c->seen[i].tv_nsec;
        c->seen[i] = s.st_mtim;
    }
    return yes;
}

bool xenod_cached_look(struct xenod_cached *c, struct xeno_store *own, struct xeno_store *fetched)
{
    struct xeno_store *const stores[] = { own, fetched };
    xeno_autofree struct found *all = NULL;
    size_t n;

    if (!changed(c, stores))
        return false;
    n = list_store(own, true, &all, 0);
    n = list_store(fetched, false, &all, n);
    if (n > 0)
        qsort(all, n, sizeof *all, newest_first);
    c->image_count = c->layer_count = 0;
    /* Beyond these there is no room for what is older. */
    for (size_t i = 0; i < n && i < 2 * XENOD_CACHED_IMAGES; i++)
        take(c, &all[i]);
    return true;
}
