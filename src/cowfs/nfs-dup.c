/* src/cowfs/nfs-dup.c - requests that are sent again. */
#include "cowfs/nfs-dup.h"

#include <pthread.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

struct dup {
    struct xeno_nfs_dup_key key;
    bool busy;
    char *data;
    size_t len;
    UT_hash_handle hh;
    struct dup *prev, *next; /* oldest first */
};

struct xeno_nfs_dups {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    struct dup *table, *order;
    size_t count, max;
};

struct xeno_nfs_dups *xeno_nfs_dups_new(size_t max)
{
    struct xeno_nfs_dups *d = xeno_new0(struct xeno_nfs_dups);

    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->ended, NULL);
    d->max = max;
    return d;
}

static void drop(struct xeno_nfs_dups *d, struct dup *e)
{
    HASH_DEL(d->table, e);
    DL_DELETE(d->order, e);
    d->count--;
    free(e->data);
    free(e);
}

void xeno_nfs_dups_free(struct xeno_nfs_dups *d)
{
    if (!d)
        return;
    while (d->order)
        drop(d, d->order);
    pthread_mutex_destroy(&d->lock);
    pthread_cond_destroy(&d->ended);
    free(d);
}

static struct dup *find(struct xeno_nfs_dups *d, const struct xeno_nfs_dup_key *key)
{
    struct dup *e;

    HASH_FIND(hh, d->table, key, sizeof *key, e);
    return e;
}

static void make_room(struct xeno_nfs_dups *d)
{
    struct dup *e, *next;

    DL_FOREACH_SAFE (d->order, e, next) {
        if (d->count < d->max)
            return;
        if (!e->busy)
            drop(d, e);
    }
}

bool xeno_nfs_dup_begin(struct xeno_nfs_dups *d, const struct xeno_nfs_dup_key *key,
                        struct xeno_buf *reply)
{
    struct dup *e;

    pthread_mutex_lock(&d->lock);
    while ((e = find(d, key)) && e->busy)
        pthread_cond_wait(&d->ended, &d->lock);
    if (e) {
        xeno_buf_add(reply, e->data, e->len);
    } else {
        make_room(d);
        e = xeno_new0(struct dup);
        e->key = *key;
        e->busy = true;
        HASH_ADD(hh, d->table, key, sizeof e->key, e);
        DL_APPEND(d->order, e);
        d->count++;
        e = NULL;
    }
    pthread_mutex_unlock(&d->lock);
    return !e;
}

void xeno_nfs_dup_end(struct xeno_nfs_dups *d, const struct xeno_nfs_dup_key *key, const void *data,
                      size_t len)
{
    struct dup *e;

    pthread_mutex_lock(&d->lock);
    e = find(d, key);
    if (e && data && len <= XENO_NFS_DUP_BYTES) {
        e->data = xeno_memdup(data, len);
        e->len = len;
        e->busy = false;
    } else if (e) {
        drop(d, e);
    }
    pthread_cond_broadcast(&d->ended);
    pthread_mutex_unlock(&d->lock);
}
