/* src/cowfs/mount.c - act on the mount file of a directory when the directory is first used.
 *
 * A node of a directory that may have one is "pending" from when it is made until that was done;
 * nothing in it is looked at before, so it has no nodes below. What it became is kept by its number
 * (a `place`): when the node is forgotten and made again it is as it was.
 */
#include "cowfs/mount.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "base/buf.h"
#include "cowfs/mount-priv.h"

#define ROOT_OF(layer) (~(layer)) /* in a place */

int xeno_cowfs_mounts(struct xeno_cowfs *c, const struct xeno_cowfs_finder *finder,
                      struct xeno_err *err)
{
    struct mounts *m = xeno_new0(struct mounts);

    c->mounts = m;
    m->finder = *finder;
    m->base.name = xeno_strdup("");
    for (size_t i = 0; i < COPY_LOCKS; i++)
        pthread_mutex_init(&m->acting[i], NULL);
    for (int i = 0; i < c->own; i++) {
        struct xeno_cowfs_layer *l = c->layers[i];

        c->fs[i] = &m->base;
        if (i != UPPER && !l->no_mounts &&
            l->ops->holds(l, part_fd(c, c->root, i), "", XENO_MOUNT_NAME))
            atomic_store(&c->root->mounts, MOUNTS_PENDING);
    }
    return pins_open(c->lock, &m->pins, err);
}

void stack_mounts_free(struct xeno_cowfs *c)
{
    struct mounts *m = c->mounts;
    struct place *p, *next;
    struct fs *f, *after;

    if (!m)
        return;
    HASH_ITER (hh, m->places, p, next) {
        HASH_DEL(m->places, p);
        free(p->layers);
        free(p);
    }
    LL_FOREACH_SAFE (m->all, f, after) {
        free(f->name);
        free(f);
    }
    for (size_t i = 0; i < COPY_LOCKS; i++)
        pthread_mutex_destroy(&m->acting[i]);
    pins_free(m->pins);
    free(m->base.name);
    free(m);
}

/* --- what a directory becomes --- */

/* The parts of `dir` from the place. What was open stays so. */
static void set_parts(struct xeno_cowfs *c, struct xeno_cowfs_node *dir, const struct place *pl)
{
    struct part *old = dir->parts, *new = xeno_new0_n(struct part, (size_t)pl->count + 1);
    int n = 0, old_count = dir->parts_count;

    if (dir->layer == UPPER) {
        new[n].layer = UPPER;
        new[n].root = old[0].root;
        atomic_init(&new[n++].fd, atomic_exchange(&old[0].fd, -1));
    }
    for (int i = 0; i < pl->count; i++, n++) {
        new[n].root = pl->layers[i] < 0;
        new[n].layer = new[n].root ? ROOT_OF(pl->layers[i]) : pl->layers[i];
        atomic_init(&new[n].fd, -1);
        for (int k = 0; k < old_count; k++)
            if (old[k].layer == new[n].layer && old[k].root == new[n].root)
                atomic_store(&new[n].fd, atomic_exchange(&old[k].fd, -1));
    }
    for (int k = 0; k < old_count; k++) {
        int fd = atomic_load(&old[k].fd);

        if (fd < 0)
            continue;
        c->layers[old[k].layer]->ops->dir_close(c->layers[old[k].layer], fd);
        atomic_fetch_sub(&c->open_dirs, 1);
    }
    free(old);
    dir->parts = new;
    dir->parts_count = n;
    atomic_store(&dir->mounts, NO_MOUNTS);
}

void use_known(struct xeno_cowfs *c, struct xeno_cowfs_node *dir)
{
    struct place *pl;

    HASH_FIND(hh, c->mounts->places, &dir->ino, sizeof dir->ino, pl);
    if (pl)
        set_parts(c, dir, pl);
}

/* The numbers of objects are made with this: of the directory, of the layer, and how often that is
 * in it already. */
static uint64_t salt_of(const struct xeno_cowfs_node *dir, const struct plan *p, size_t i)
{
    uint64_t h = HASH_SEED, again = 0;

    for (size_t k = 0; k < i; k++)
        again += p->items[k].layer < 0 && p->items[k].id == p->items[i].id;
    h = hash_mix(h, &dir->ino, sizeof dir->ino);
    h = hash_mix(h, &p->items[i].id, sizeof p->items[i].id);
    return hash_spread(hash_mix(h, &again, sizeof again));
}

/* `tree` written. */
static int mount_all(struct xeno_cowfs *c, struct xeno_cowfs_node *dir, struct plan *p,
                     struct xeno_err *err)
{
    struct place *pl = xeno_new0(struct place);
    size_t new = 0;

    for (size_t i = 0; i < p->count; i++)
        new += p->items[i].layer < 0;
    if ((size_t)c->count + new > XENO_COWFS_LAYERS_MAX + 1 ||
        c->mounts->count + p->fresh_count > XENO_COWFS_MOUNTS_MAX) {
        free(pl);
        return xeno_fail(err, -EFBIG, "mount.limit",
                         "%zu layers more would be too many: %d are the most", new,
                         XENO_COWFS_LAYERS_MAX);
    }
    pl->ino = dir->ino;
    pl->layers = xeno_new0_n(int, p->count + 1);
    for (size_t i = 0; i < p->count; i++) {
        struct item *item = &p->items[i];
        int layer = item->layer < 0 ? c->count++ : item->layer;

        if (item->layer < 0) {
            c->layers[layer] = item->l;
            c->salt[layer] = salt_of(dir, p, i);
            c->fs[layer] = item->fs;
        }
        pl->layers[pl->count++] = item->root ? ROOT_OF(layer) : layer;
    }
    HASH_ADD(hh, c->mounts->places, ino, sizeof pl->ino, pl);
    set_parts(c, dir, pl);
    LL_CONCAT(c->mounts->all, p->fresh);
    c->mounts->count += p->fresh_count;
    p->fresh = NULL;
    return 0;
}

/* --- acting --- */

/* What there is to be read of a directory. */
struct work {
    struct item *items; /* its parts, without the upper */
    size_t count;
    struct mount_at *files;
    size_t file_count;
    char *place;
};

static void work_release(struct work *w)
{
    for (size_t i = 0; i < w->file_count; i++)
        contents_close(&w->files[i].in);
    free(w->files);
    free(w->items);
    free(w->place);
}

/* "/a/b", by names from the end. */
static char *path_of(const struct xeno_cowfs_node *n)
{
    char path[PATH_MAX];
    size_t at = sizeof path - 1;

    path[at] = '\0';
    for (; n->parent; n = n->parent) {
        size_t len = strlen(node_name(n));

        if (at < len + 1)
            break;
        at -= len;
        memcpy(path + at, node_name(n), len);
        path[--at] = '/';
    }
    return xeno_strdup(path[at] ? path + at : "/");
}

static bool is_decided(const struct fs *const *decided, size_t count, const struct fs *f)
{
    for (size_t i = 0; i < count; i++)
        if (decided[i] == f)
            return true;
    return false;
}

/* Of each file system the topmost. `tree` read. */
static int look_at_parts(struct xeno_cowfs *c, struct xeno_cowfs_node *dir, struct work *w,
                         struct xeno_err *err)
{
    size_t room = (size_t)dir->parts_count + 1, decided_count = 0;
    xeno_autofree const struct fs **decided = xeno_new0_n(const struct fs *, room);

    w->place = path_of(dir);
    w->items = xeno_new0_n(struct item, room);
    w->files = xeno_new0_n(struct mount_at, room);
    for (int i = 0; i < dir->parts_count; i++) {
        int layer = dir->parts[i].layer, fd = part_fd(c, dir, i), r = 0;
        struct mount_at *at = &w->files[w->file_count];

        if (layer == UPPER)
            continue;
        if (fd < 0)
            return xeno_fail_errno(err, fd, "mount.read", "open the directory");
        w->items[w->count] = (struct item){
            .layer = layer, .root = dir->parts[i].root, .l = c->layers[layer], .fs = c->fs[layer]
        };
        at->in.fd = -1;
        if (!is_decided(decided, decided_count, c->fs[layer]))
            r = mount_look(c->layers[layer], fd, at, err);
        if (r < 0 && r != -ENODATA)
            return r;
        if (r != 0)
            decided[decided_count++] = c->fs[layer];
        at->fs = c->fs[layer];
        at->item = w->count++;
        w->file_count += r > 0;
    }
    return 0;
}

static int make_plan(struct mounts *m, struct work *w, struct plan *p, char **ret_ref,
                     struct xeno_err *err)
{
    size_t file = 0;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < w->count; i++) {
        r = plan_add(p, &w->items[i], err);
        if (r >= 0 && file < w->file_count && w->files[file].item == i)
            r = mount_plan(m, p, &w->files[file++], ret_ref, err);
    }
    return r;
}

static void tell_mounted(const struct mounts *m, const struct work *w, const struct plan *p)
{
    const struct fs *f;

    if (m->finder.mounted)
        LL_FOREACH (p->fresh, f)
            m->finder.mounted(m->finder.arg, w->place, f->name);
}

static int act(struct xeno_cowfs *c, struct xeno_cowfs_node *dir, struct work *w, char **ret_ref,
               struct xeno_err *err)
{
    xeno_auto(plan) p = xeno_new0(struct plan);
    bool gone;
    int r = 0;

    pthread_rwlock_rdlock(&c->tree);
    gone = dir->gone;
    if (!gone)
        r = look_at_parts(c, dir, w, err);
    pthread_rwlock_unlock(&c->tree);
    if (gone)
        return 0; /* nothing is in it any more */
    if (r == 0)
        r = make_plan(c->mounts, w, p, ret_ref, err);
    if (r < 0)
        return r;
    tell_mounted(c->mounts, w, p);
    pthread_rwlock_wrlock(&c->tree);
    if (!dir->gone) {
        use_known(c, dir);
        if (atomic_load(&dir->mounts) == MOUNTS_PENDING)
            r = mount_all(c, dir, p, err);
    }
    pthread_rwlock_unlock(&c->tree);
    return r;
}

static long now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + 1; /* never 0 */
}

int use_dir(struct xeno_cowfs *c, struct xeno_cowfs_node *dir)
{
    xeno_autofree char *ref = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    struct work w = { .count = 0 };
    pthread_mutex_t *lock;
    long tried;
    int r = 0;

    if (atomic_load(&dir->mounts) != MOUNTS_PENDING)
        return 0;
    if (c->waits)
        c->waits();
    lock = &c->mounts->acting[((uintptr_t)dir >> 6) % COPY_LOCKS];
    pthread_mutex_lock(lock);
    tried = atomic_load(&dir->mounts_tried);
    if (tried != 0 && now_s() - tried < XENO_COWFS_RETRY_S) {
        r = -EIO;
    } else if (atomic_load(&dir->mounts) == MOUNTS_PENDING) {
        r = act(c, dir, &w, &ref, &err);
        if (r < 0) {
            atomic_store(&dir->mounts_tried, now_s());
            if (c->mounts->finder.failed)
                c->mounts->finder.failed(c->mounts->finder.arg, w.place ? w.place : "?", ref, &err);
        }
    }
    pthread_mutex_unlock(lock);
    work_release(&w);
    return r < 0 ? -EIO : 0;
}
