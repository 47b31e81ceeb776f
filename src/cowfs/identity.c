/* src/cowfs/identity.c - who an object is, whatever it is called and wherever it is kept. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cowfs/core.h"

/* Numbers of names have this bit; inode numbers have it only on the 128th file system of a stack.
 */
#define OF_A_NAME (UINT64_C(1) << 63)

/* --- numbers from several --- */

uint64_t hash_mix(uint64_t h, const void *data, size_t len)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3); /* FNV-1a */
    return h;
}

uint64_t hash_spread(uint64_t h)
{
    h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
    return h ^ (h >> 31);
}

uint64_t name_number(const struct xeno_cowfs_node *n)
{
    uint64_t h = HASH_SEED;

    h = hash_mix(h, &n->ino, sizeof n->ino);
    h = hash_mix(h, &n->parent->ino, sizeof n->parent->ino);
    h = hash_mix(h, node_name(n), strlen(node_name(n)));
    return hash_spread(h) | OF_A_NAME;
}

static uint32_t when_born(const struct at *at)
{
    struct statx sx;
    uint64_t ns;

    if (statx(at->dir, at->name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_BTIME, &sx) < 0 ||
        !(sx.stx_mask & STATX_BTIME))
        return 1;
    ns = (uint64_t)sx.stx_btime.tv_sec * 1000000000 + sx.stx_btime.tv_nsec;
    return (uint32_t)hash_spread(ns) | 1;
}

/* --- the public part --- */

/* `tree` read. */
static int identify(struct xeno_cowfs *c, struct xeno_cowfs_node *n,
                    struct xeno_cowfs_identity *ret)
{
    bool file = S_ISREG(n->type);
    struct stat st;
    struct at at;
    int r = node_at(c, n, &at);

    if (r == 0)
        r = c->layers[at.layer]->ops->stat(c->layers[at.layer], at.dir, at.name, &st);
    if (r < 0)
        return r;
    ret->number = n->ino;
    ret->born = 0;
    if (at.layer != UPPER && file && st.st_nlink > 1) {
        if (n->gone)
            return -ESTALE;
        ret->number = name_number(n);
    } else if (at.layer == UPPER && n->parent && n->ino == ino_of(c, UPPER, &st) &&
               (!file || number_kept(c, at.dir, at.name, NAME_ATTR, &ret->number) < 0)) {
        ret->born = when_born(&at);
    }
    return 0;
}

int xeno_cowfs_identity(struct xeno_cowfs *c, struct xeno_cowfs_node *n,
                        struct xeno_cowfs_identity *ret)
{
    int r;

    pthread_rwlock_rdlock(&c->tree);
    r = identify(c, n, ret);
    pthread_rwlock_unlock(&c->tree);
    return r;
}

int xeno_cowfs_parent(struct xeno_cowfs *c, struct xeno_cowfs_node *n, struct xeno_cowfs_node **ret)
{
    int r = 0;

    pthread_rwlock_rdlock(&c->tree);
    if (n->gone) {
        r = -ESTALE;
    } else {
        *ret = n->parent ? n->parent : n;
        pthread_mutex_lock(&c->table);
        (*ret)->refs += *ret != c->root;
        pthread_mutex_unlock(&c->table);
    }
    pthread_rwlock_unlock(&c->tree);
    return r;
}

int xeno_cowfs_tag(struct xeno_cowfs *c, struct xeno_cowfs_node *n, uint64_t *ret)
{
    struct at at;
    int r;

    pthread_rwlock_rdlock(&c->tree);
    r = node_at(c, n, &at);
    if (r == 0)
        r = at.layer == UPPER && S_ISREG(n->type) ? number_kept(c, at.dir, at.name, TAG_ATTR, ret)
                                                  : -ENODATA;
    pthread_rwlock_unlock(&c->tree);
    return r;
}
