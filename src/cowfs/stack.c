/* src/cowfs/stack.c - open a stack, and close it. */
#include "cowfs/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <utlist.h>

#include "base/io.h"
#include "cowfs/core.h"

#define OWN_WORK "xeno" /* within work: the kernel's overlayfs has "work" there */

/* Of the descriptors a process may have, a quarter for directories, and no more than this. */
#define OPEN_DIRS_MAX 8192

/* --- the work directory --- */

static int open_work(struct xeno_cowfs *c, const char *work, struct xeno_err *err)
{
    struct stat up, wk;
    int r;

    c->lock = open(work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->lock < 0)
        return xeno_fail_errno(err, -errno, "cowfs.work", "open '%s'", work);
    if (flock(c->lock, LOCK_EX | LOCK_NB) < 0)
        return xeno_fail(err, -EBUSY, "cowfs.busy", "another server works in '%s'", work);
    r = c->layers[UPPER]->ops->stat(c->layers[UPPER], part_fd(c, c->root, 0), "", &up);
    if (r < 0 || fstat(c->lock, &wk) < 0)
        return xeno_fail_errno(err, r < 0 ? r : -errno, "cowfs.work", "look at '%s'", work);
    if (up.st_dev != wk.st_dev || up.st_ino == wk.st_ino)
        return xeno_fail(err, -EINVAL, "cowfs.work",
                         "upper and '%s' are not two directories of one file system", work);
    r = xeno_remove_tree(c->lock, OWN_WORK, err); /* what a crash has left */
    if (r < 0)
        return r;
    if (mkdirat(c->lock, OWN_WORK, 0700) < 0)
        return xeno_fail_errno(err, -errno, "cowfs.work", "make a directory in '%s'", work);
    c->work = xeno_cowfs_beneath(c->lock, OWN_WORK, O_PATH | O_DIRECTORY, 0);
    if (c->work < 0)
        return xeno_fail_errno(err, c->work, "cowfs.work", "open a directory in '%s'", work);
    return 0;
}

/* --- layers --- */

/* The same file systems have the same places in the table whenever the same stack is opened. */
static int number_layers(struct xeno_cowfs *c, struct xeno_err *err)
{
    int used = 0;

    for (int i = 0; i < c->count; i++) {
        struct stat st;
        int fd = part_fd(c, c->root, i), k = 0;
        int r = c->layers[i]->ops->stat(c->layers[i], fd, "", &st);

        if (r < 0)
            return xeno_fail_errno(err, r, "cowfs.layer", "look at layer %d", i);
        while (k < used && c->devs[k] != st.st_dev)
            k++;
        c->devs[k] = st.st_dev;
        used = k < used ? used : k + 1;
        c->dev_of[i] = k;
        if (i == UPPER)
            c->root->ino = ino_of(c, UPPER, &st);
    }
    return 0;
}

static int open_root(struct xeno_cowfs *c, struct xeno_err *err)
{
    struct xeno_cowfs_node *n = c->root = xeno_new0(struct xeno_cowfs_node);

    n->type = S_IFDIR;
    n->fd = -1;
    n->refs = 1;
    DL_APPEND(c->nodes, n);
    n->parts = xeno_new0_n(struct part, (size_t)c->count);
    for (int i = 0; i < c->count; i++) {
        int fd = c->layers[i]->ops->dir_open(c->layers[i], -1, "");

        if (fd < 0)
            return xeno_fail_errno(err, fd, "cowfs.layer", "open the root of layer %d", i);
        n->parts[i].layer = i;
        n->parts[i].root = true;
        atomic_init(&n->parts[i].fd, fd);
        n->parts_count++;
        atomic_fetch_add(&c->open_dirs, 1);
    }
    return 0;
}

static void init_locks(struct xeno_cowfs *c)
{
    pthread_rwlockattr_t attr;

    /* Else a stream of look-ups would keep a change waiting for ever. */
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&c->tree, &attr);
    pthread_rwlockattr_destroy(&attr);
    pthread_mutex_init(&c->table, NULL);
    for (size_t i = 0; i < COPY_LOCKS; i++)
        pthread_mutex_init(&c->copy[i], NULL);
}

static struct xeno_cowfs *new_stack(struct xeno_cowfs_layer **layers, size_t count)
{
    struct xeno_cowfs *c = xeno_new0(struct xeno_cowfs);
    struct rlimit rl = { .rlim_cur = 1024 };
    size_t room = (count > XENO_COWFS_LAYERS_MAX ? count : XENO_COWFS_LAYERS_MAX) + 1;

    init_locks(c);
    c->work = c->lock = -1;
    c->layers = xeno_new0_n(struct xeno_cowfs_layer *, room);
    c->salt = xeno_new0_n(uint64_t, room);
    c->fs = xeno_new0_n(struct fs *, room);
    c->devs = xeno_new0_n(dev_t, count + 1);
    c->dev_of = xeno_new0_n(int, count + 1);
    memcpy(c->layers + 1, layers, count * sizeof *layers);
    c->count = c->own = (int)count + 1;
    getrlimit(RLIMIT_NOFILE, &rl);
    c->open_dirs_max = rl.rlim_cur / 4 < OPEN_DIRS_MAX ? (int)(rl.rlim_cur / 4) : OPEN_DIRS_MAX;
    return c;
}

int xeno_cowfs_open(const char *upper, const char *work, struct xeno_cowfs_layer **layers,
                    size_t count, struct xeno_cowfs **ret, struct xeno_err *err)
{
    xeno_auto(xeno_cowfs) c = new_stack(layers, count);
    int r;

    if (count > XENO_COWFS_LAYERS_MAX)
        return xeno_fail(err, -E2BIG, "cowfs.layers", "%zu layers; %d are the most", count,
                         XENO_COWFS_LAYERS_MAX);
    r = xeno_cowfs_layer_dir(upper, &c->layers[UPPER], err);
    if (r < 0)
        return xeno_context(err, r, "upper");
    r = open_root(c, err);
    if (r == 0)
        r = number_layers(c, err);
    if (r == 0)
        r = open_work(c, work, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&c);
    return 0;
}

void xeno_cowfs_when_waiting(struct xeno_cowfs *c, void (*fn)(void))
{
    c->waits = fn;
}

void xeno_cowfs_free(struct xeno_cowfs *c)
{
    struct xeno_cowfs_node *n, *next;

    if (!c)
        return;
    HASH_CLEAR(by_name, c->names);
    HASH_CLEAR(by_ino, c->inos);
    DL_FOREACH_SAFE (c->nodes, n, next)
        node_free(c, n);
    for (int i = 0; i < c->own; i++)
        if (c->layers[i])
            c->layers[i]->ops->free(c->layers[i]);
    stack_mounts_free(c);
    xeno_cleanup_close_(&c->work);
    xeno_cleanup_close_(&c->lock);
    free(c->layers);
    free(c->salt);
    free(c->fs);
    free(c->devs);
    free(c->dev_of);
    free(c);
}
