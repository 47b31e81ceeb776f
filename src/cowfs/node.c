/* src/cowfs/node.c - nodes: what a name is, where it is, and who still needs it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "cowfs/core.h"

/* Numbers of one file system fit in 55 bits; the 9 above say which it is: a layer that is read by
 * pieces is one by itself, and there may be XENO_COWFS_LAYERS_MAX of them. */
#define INO_BITS 55

int check_name(const char *name)
{
    size_t len = strlen(name);

    if (len > NAME_MAX)
        return -ENAMETOOLONG;
    if (len == 0 || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return -EINVAL;
    return 0;
}

/* --- numbers and marks --- */

/* 62 bits of a hash; stacks of less than 128 file systems have no such number else. */
static uint64_t ino_mounted(uint64_t salt, uint64_t ino)
{
    return (hash_spread(salt ^ hash_spread(ino)) >> 2) | (UINT64_C(1) << 62);
}

uint64_t ino_of(const struct xeno_cowfs *c, int layer, const struct stat *st)
{
    uint64_t fs;

    if (layer >= c->own)
        return ino_mounted(c->salt[layer], st->st_ino);
    fs = (uint64_t)c->dev_of[layer];

    return (st->st_ino & ((UINT64_C(1) << INO_BITS) - 1)) ^ (st->st_ino >> INO_BITS) ^
           (fs << INO_BITS);
}

int number_kept(struct xeno_cowfs *c, int dir, const char *name, const char *attr, uint64_t *ret)
{
    char text[INO_DIGITS + 1], *end;
    ssize_t n =
        c->layers[UPPER]->ops->getxattr(c->layers[UPPER], dir, name, attr, text, INO_DIGITS);
    uint64_t number;

    if (n != INO_DIGITS)
        return -ENODATA;
    text[n] = '\0';
    number = strtoull(text, &end, 16);
    if (*end != '\0')
        return -ENODATA;
    *ret = number;
    return 0;
}

uint64_t ino_kept(struct xeno_cowfs *c, int dir, const char *name)
{
    uint64_t ino = 0;

    number_kept(c, dir, name, INO_ATTR, &ino);
    return ino;
}

bool is_opaque(struct xeno_cowfs *c, int layer, int dir, const char *name)
{
    char value;
    struct xeno_cowfs_layer *l = c->layers[layer];

    return l->ops->getxattr(l, dir, name, XENO_COWFS_OWN_PREFIX "opaque", &value, 1) == 1 &&
           value == 'y';
}

/* --- descriptors of directories --- */

static struct part *part_of(struct xeno_cowfs_node *n, int layer)
{
    for (int i = 0; i < n->parts_count; i++)
        if (n->parts[i].layer == layer)
            return &n->parts[i];
    return NULL;
}

/* Opens one part whose parent's is open. Two may do it at once: one wins. */
static int open_part(struct xeno_cowfs *c, struct xeno_cowfs_node *n, struct part *p, int parent)
{
    struct xeno_cowfs_layer *l = c->layers[p->layer];
    int none = -1, fd = l->ops->dir_open(l, parent, p->root ? "" : node_name(n));

    if (fd < 0)
        return fd;
    if (!atomic_compare_exchange_strong(&p->fd, &none, fd)) {
        l->ops->dir_close(l, fd);
        return none;
    }
    atomic_fetch_add(&c->open_dirs, 1);
    return fd;
}

int part_fd(struct xeno_cowfs *c, struct xeno_cowfs_node *n, int i)
{
    struct part *want = &n->parts[i];
    int fd;

    atomic_store_explicit(&n->used, true, memory_order_relaxed);
    /* From the nearest open one above down, without recursion: a tree may be very deep. */
    while ((fd = atomic_load(&want->fd)) < 0) {
        struct xeno_cowfs_node *a = n;
        struct part *p = want, *above;

        if (n->gone)
            return -ENOENT;
        while (!p->root) {
            above = part_of(a->parent, want->layer);
            if (!above)
                return -ESTALE; /* cannot be: a part of a directory is in one of its parent */
            fd = atomic_load(&above->fd);
            if (fd >= 0)
                break;
            a = a->parent;
            p = above;
        }
        fd = open_part(c, a, p, fd);
        if (fd < 0)
            return fd;
    }
    return fd;
}

int upper_fd(struct xeno_cowfs *c, struct xeno_cowfs_node *n)
{
    return n->layer == UPPER ? part_fd(c, n, 0) : -ENOENT;
}

static void close_parts(struct xeno_cowfs *c, struct xeno_cowfs_node *n)
{
    for (int i = 0; i < n->parts_count; i++) {
        struct xeno_cowfs_layer *l = c->layers[n->parts[i].layer];
        int fd = atomic_exchange(&n->parts[i].fd, -1);

        if (fd < 0)
            continue;
        l->ops->dir_close(l, fd);
        atomic_fetch_sub(&c->open_dirs, 1);
    }
}

void trim(struct xeno_cowfs *c)
{
    if (atomic_load(&c->open_dirs) <= c->open_dirs_max)
        return;
    pthread_rwlock_wrlock(&c->tree);
    pthread_mutex_lock(&c->table);
    for (int round = 0; round < 2 && atomic_load(&c->open_dirs) > c->open_dirs_max / 2; round++) {
        struct xeno_cowfs_node *n;

        DL_FOREACH (c->nodes, n) {
            if (!n->gone && n->parent && !atomic_exchange(&n->used, false))
                close_parts(c, n);
        }
    }
    pthread_mutex_unlock(&c->table);
    pthread_rwlock_unlock(&c->tree);
}

/* --- what a name is --- */

/* Has the directory `name` of this layer something that may be a mount file? */
static bool may_mount(const struct xeno_cowfs *c, int layer, int dir, const char *name)
{
    struct xeno_cowfs_layer *l = c->layers[layer];

    return c->mounts && layer != UPPER && !l->no_mounts &&
           l->ops->holds(l, dir, name, XENO_MOUNT_NAME);
}

int probe_name(struct xeno_cowfs *c, struct xeno_cowfs_node *parent, const char *name,
               bool skip_upper, struct probe *ret)
{
    int top = -1, last = -1; /* descriptors of the topmost's folder and of the lowest part's */

    ret->count = 0;
    ret->mounts = false;
    if (parent->gone)
        return -ENOENT;
    for (int i = 0; i < parent->parts_count; i++) {
        int layer = parent->parts[i].layer, fd, r;
        struct stat st;

        if (layer == UPPER && skip_upper)
            continue;
        fd = part_fd(c, parent, i);
        r = fd < 0 ? fd : c->layers[layer]->ops->stat(c->layers[layer], fd, name, &st);
        if (r == -ENOENT)
            continue;
        if (r < 0)
            return r;
        if (is_whiteout(&st) || (ret->count > 0 && !S_ISDIR(st.st_mode)))
            break;
        /* Asked only now that there is something below to hide. */
        if (ret->count > 0 && is_opaque(c, ret->layers[ret->count - 1], last, name))
            break;
        if (ret->count == 0) {
            ret->st = st;
            top = fd;
        }
        ret->layers[ret->count++] = (short)layer;
        last = fd;
        if (!S_ISDIR(st.st_mode))
            break;
        ret->mounts = ret->mounts || may_mount(c, layer, fd, name);
    }
    if (ret->count == 0)
        return -ENOENT;
    ret->ino = 0;
    if (ret->layers[0] == UPPER && (S_ISREG(ret->st.st_mode) || S_ISDIR(ret->st.st_mode)))
        ret->ino = ino_kept(c, top, name);
    if (ret->ino == 0)
        ret->ino = ino_of(c, ret->layers[0], &ret->st);
    return 0;
}

/* --- the tables; `table` held --- */

static size_t make_key(char *key, const struct xeno_cowfs_node *parent, const char *name)
{
    size_t len = strlen(name);

    memcpy(key, &parent, sizeof parent);
    memcpy(key + sizeof parent, name, len + 1);
    return sizeof parent + len;
}

static struct xeno_cowfs_node *find(struct xeno_cowfs *c, const struct xeno_cowfs_node *parent,
                                    const char *name, const struct probe *p)
{
    char key[sizeof parent + NAME_MAX + 1];
    size_t len = make_key(key, parent, name);
    struct xeno_cowfs_node *n = NULL;

    if (p && p->layers[0] == UPPER && !S_ISDIR(p->st.st_mode)) {
        uint64_t ino = p->st.st_ino;

        HASH_FIND(by_ino, c->inos, &ino, sizeof ino, n);
        return n;
    }
    HASH_FIND(by_name, c->names, key, len, n);
    return n;
}

static void add_name(struct xeno_cowfs *c, struct xeno_cowfs_node *n,
                     struct xeno_cowfs_node *parent, const char *name)
{
    size_t len;

    n->parent = parent;
    parent->refs++;
    n->key = xeno_alloc0(1, sizeof parent + strlen(name) + 1);
    len = make_key(n->key, parent, name);
    HASH_ADD_KEYPTR(by_name, c->names, n->key, len, n);
}

static struct xeno_cowfs_node *make_node(struct xeno_cowfs *c, struct xeno_cowfs_node *parent,
                                         const char *name, const struct probe *p)
{
    struct xeno_cowfs_node *n = xeno_new0(struct xeno_cowfs_node);

    n->type = p->st.st_mode & S_IFMT;
    n->ino = p->ino;
    n->layer = p->layers[0];
    n->fd = -1;
    add_name(c, n, parent, name);
    if (S_ISDIR(n->type)) {
        n->parts = xeno_new0_n(struct part, (size_t)p->count);
        n->parts_count = p->count;
        for (int i = 0; i < p->count; i++) {
            n->parts[i].layer = p->layers[i];
            atomic_init(&n->parts[i].fd, -1);
        }
        if (p->mounts) {
            atomic_init(&n->mounts, MOUNTS_PENDING);
            use_known(c, n);
        }
    } else if (n->layer == UPPER) {
        n->upper_ino = p->st.st_ino;
        HASH_ADD(by_ino, c->inos, upper_ino, sizeof n->upper_ino, n);
    }
    DL_APPEND(c->nodes, n);
    return n;
}

struct xeno_cowfs_node *node_find(struct xeno_cowfs *c, struct xeno_cowfs_node *parent,
                                  const char *name, const struct probe *p)
{
    struct xeno_cowfs_node *n;

    pthread_mutex_lock(&c->table);
    n = find(c, parent, name, p);
    if (n)
        n->refs++;
    pthread_mutex_unlock(&c->table);
    return n;
}

struct xeno_cowfs_node *node_get(struct xeno_cowfs *c, struct xeno_cowfs_node *parent,
                                 const char *name, const struct probe *p)
{
    struct xeno_cowfs_node *n;

    pthread_mutex_lock(&c->table);
    n = find(c, parent, name, p);
    if (!n)
        n = make_node(c, parent, name, p);
    n->refs++;
    pthread_mutex_unlock(&c->table);
    return n;
}

void node_free(struct xeno_cowfs *c, struct xeno_cowfs_node *n)
{
    DL_DELETE(c->nodes, n);
    close_parts(c, n);
    if (n->fd >= 0)
        c->layers[n->layer]->ops->dir_close(c->layers[n->layer], n->fd);
    free(n->parts);
    free(n->key);
    free(n);
}

void node_unref(struct xeno_cowfs *c, struct xeno_cowfs_node *n, uint64_t refs)
{
    pthread_mutex_lock(&c->table);
    while (n && n != c->root) {
        struct xeno_cowfs_node *parent = n->parent;

        n->refs -= refs;
        if (n->refs > 0)
            break;
        if (!n->gone)
            HASH_DELETE(by_name, c->names, n);
        if (n->upper_ino)
            HASH_DELETE(by_ino, c->inos, n);
        node_free(c, n);
        n = parent;
        refs = 1;
    }
    pthread_mutex_unlock(&c->table);
}

/* --- names come and go; `tree` written --- */

bool node_is_at(const struct xeno_cowfs_node *n, const struct xeno_cowfs_node *parent,
                const char *name)
{
    return !n->gone && n->parent == parent && strcmp(node_name(n), name) == 0;
}

void node_move(struct xeno_cowfs *c, struct xeno_cowfs_node *n, struct xeno_cowfs_node *parent,
               const char *name)
{
    struct xeno_cowfs_node *old = n->parent;

    pthread_mutex_lock(&c->table);
    if (!n->gone)
        HASH_DELETE(by_name, c->names, n);
    free(n->key);
    add_name(c, n, parent, name);
    pthread_mutex_unlock(&c->table);
    node_unref(c, old, 1);
}

void node_drop_name(struct xeno_cowfs *c, struct xeno_cowfs_node *n, int fd)
{
    pthread_mutex_lock(&c->table);
    HASH_DELETE(by_name, c->names, n);
    n->gone = true;
    n->fd = fd;
    pthread_mutex_unlock(&c->table);
}

void node_is_upper(struct xeno_cowfs *c, struct xeno_cowfs_node *n, uint64_t upper_ino)
{
    pthread_mutex_lock(&c->table);
    n->layer = UPPER;
    n->upper_ino = upper_ino;
    HASH_ADD(by_ino, c->inos, upper_ino, sizeof n->upper_ino, n);
    pthread_mutex_unlock(&c->table);
}

/* --- where a node is --- */

int node_at(struct xeno_cowfs *c, struct xeno_cowfs_node *n, struct at *ret)
{
    struct xeno_cowfs_node *dir = n;
    int i = 0;

    ret->layer = n->layer;
    ret->name = "";
    if (n->fd >= 0) {
        ret->dir = n->fd;
        return 0;
    }
    if (!S_ISDIR(n->type)) {
        dir = n->parent;
        ret->name = node_name(n);
        while (i < dir->parts_count && dir->parts[i].layer != n->layer)
            i++;
        if (i == dir->parts_count)
            return -ESTALE; /* cannot be */
    }
    ret->dir = part_fd(c, dir, i);
    return ret->dir < 0 ? ret->dir : 0;
}

void stat_as_node(const struct xeno_cowfs_node *n, struct stat *st)
{
    st->st_ino = n->ino;
    if (n->gone && (S_ISDIR(n->type) || n->layer != UPPER))
        st->st_nlink = 0;
    else if (n->parts_count > 1 || atomic_load(&n->mounts) == MOUNTS_PENDING)
        st->st_nlink = 1; /* "not known", as overlayfs says it */
}

int node_stat(struct xeno_cowfs *c, struct xeno_cowfs_node *n, struct stat *ret)
{
    struct at at;
    int r = node_at(c, n, &at);

    if (r == 0)
        r = c->layers[at.layer]->ops->stat(c->layers[at.layer], at.dir, at.name, ret);
    if (r == 0)
        stat_as_node(n, ret);
    return r;
}

/* --- the public part --- */

struct xeno_cowfs_node *xeno_cowfs_root(struct xeno_cowfs *c)
{
    return c->root;
}

int xeno_cowfs_lookup(struct xeno_cowfs *c, struct xeno_cowfs_node *parent, const char *name,
                      struct xeno_cowfs_node **ret, struct stat *ret_st)
{
    struct xeno_cowfs_node *n;
    struct probe p;
    int r = check_name(name);

    if (r == 0)
        r = use_dir(c, parent);
    if (r < 0)
        return r;
    trim(c);
    pthread_rwlock_rdlock(&c->tree);
    n = node_find(c, parent, name, NULL);
    if (n) {
        r = node_stat(c, n, ret_st);
    } else {
        r = probe_name(c, parent, name, false, &p);
        if (r == 0) {
            n = node_get(c, parent, name, &p);
            *ret_st = p.st;
            stat_as_node(n, ret_st);
        }
    }
    pthread_rwlock_unlock(&c->tree);
    if (r < 0 && n)
        node_unref(c, n, 1);
    else if (r == 0)
        *ret = n;
    return r;
}

void xeno_cowfs_forget(struct xeno_cowfs *c, struct xeno_cowfs_node *n, uint64_t references)
{
    if (references > 0)
        node_unref(c, n, references);
}

int xeno_cowfs_stat(struct xeno_cowfs *c, struct xeno_cowfs_node *n, struct stat *ret)
{
    int r;

    pthread_rwlock_rdlock(&c->tree);
    r = node_stat(c, n, ret);
    pthread_rwlock_unlock(&c->tree);
    return r;
}

ssize_t xeno_cowfs_readlink(struct xeno_cowfs *c, struct xeno_cowfs_node *n, char *buf, size_t size)
{
    struct at at;
    ssize_t r;

    if (size == 0)
        return -EINVAL;
    pthread_rwlock_rdlock(&c->tree);
    r = node_at(c, n, &at);
    if (r == 0)
        r = c->layers[at.layer]->ops->readlink(c->layers[at.layer], at.dir, at.name, buf, size - 1);
    pthread_rwlock_unlock(&c->tree);
    if (r >= 0)
        buf[r] = '\0';
    return r;
}
