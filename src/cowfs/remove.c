/* src/cowfs/remove.c - names that go: files, directories, and what hides what is below them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "cowfs/change.h"

/* --- whoever has it open keeps it --- */

int doom(struct xeno_cowfs *c, struct xeno_cowfs_node *parent, const char *name,
         const struct probe *p, struct doomed *ret)
{
    struct xeno_cowfs_node *n = node_find(c, parent, name, p);
    struct at at;
    int r;

    if (!n)
        return 0;
    if (!node_is_at(n, parent, name)) {
        node_unref(c, n, 1); /* it is found by another of its names */
        return 0;
    }
    r = node_at(c, n, &at); /* of a directory: opened now, since it cannot be later */
    if (r == 0 && !S_ISDIR(n->type)) {
        ret->fd = c->layers[n->layer]->ops->hold(c->layers[n->layer], at.dir, at.name);
        r = ret->fd < 0 ? ret->fd : 0;
    }
    if (r < 0) {
        node_unref(c, n, 1);
        return r;
    }
    ret->n = n;
    return 0;
}

void doom_end(struct xeno_cowfs *c, struct doomed *d, bool gone)
{
    if (!d->n)
        return;
    if (gone)
        node_drop_name(c, d->n, xeno_take_fd(&d->fd));
    else if (d->fd >= 0)
        c->layers[d->n->layer]->ops->dir_close(c->layers[d->n->layer], d->fd);
    node_unref(c, d->n, 1);
    d->n = NULL;
}

/* --- empty to the eye --- */

int check_empty(struct xeno_cowfs *c, struct xeno_cowfs_node *parent, const char *name,
                const struct probe *p)
{
    struct xeno_cowfs_node *n = node_get(c, parent, name, p);
    xeno_auto(xeno_cowfs_list) l = NULL;
    int r;

    if (atomic_load(&n->mounts) == MOUNTS_PENDING) {
        pthread_rwlock_unlock(&c->tree);
        r = use_dir(c, n);
        pthread_rwlock_wrlock(&c->tree);
        node_unref(c, n, 1);
        return r < 0 ? r : 1;
    }
    r = list_merged(c, n, &l);
    node_unref(c, n, 1);
    if (r < 0)
        return r;
    return list_count(l) > 2 ? -ENOTEMPTY : 0;
}

/* Opaque first: what the whiteouts hide stays hidden at every moment. */
int clear_whiteouts(struct xeno_cowfs *c, int parent, const char *name)
{
    int fd = xeno_cowfs_beneath(parent, name, O_RDONLY | O_DIRECTORY, 0), r = 0;
    struct dirent *e;
    DIR *d;

    (void)c;
    if (fd < 0)
        return fd;
    r = set_mark(parent, name, XENO_COWFS_OWN_PREFIX "opaque", "y");
    d = r == 0 ? fdopendir(fd) : NULL;
    if (!d) {
        close(fd);
        return r < 0 ? r : -ENOMEM;
    }
    while ((e = readdir(d)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            unlinkat(fd, e->d_name, 0);
    closedir(d);
    return 0;
}

/* --- whiteouts --- */

/* A whiteout where nothing is. */
static int white_out(struct xeno_cowfs *c, struct xeno_cowfs_node *parent, const char *name)
{
    int r = take_over_dir(c, parent), dir;

    if (r < 0)
        return r;
    dir = upper_fd(c, parent);
    if (dir < 0)
        return dir;
    return mknodat(dir, name, S_IFCHR, 0) < 0 ? -errno : 0;
}

/* A whiteout instead of what the upper has, in one step; that is in work, as tmp, after. */
static int white_over(struct xeno_cowfs *c, int dir, const char *name, const char *tmp)
{
    int r;

    if (mknodat(c->work, tmp, S_IFCHR, 0) < 0)
        return -errno;
    if (renameat2(c->work, tmp, dir, name, RENAME_EXCHANGE) == 0)
        return 0;
    r = -errno;
    unlinkat(c->work, tmp, 0);
    return r;
}

static int unlink_upper(struct xeno_cowfs *c, int dir, const char *name, bool hide)
{
    char tmp[WORK_NAME];
    int r;

    if (!hide)
        return unlinkat(dir, name, 0) < 0 ? -errno : 0;
    r = white_over(c, dir, name, work_name(c, tmp));
    if (r == 0)
        unlinkat(c->work, tmp, 0);
    return r;
}

/* It may have whiteouts in it. */
static int rmdir_upper(struct xeno_cowfs *c, int dir, const char *name, bool hide)
{
    char tmp[WORK_NAME];
    int r = 0;

    if (!hide) {
        if (unlinkat(dir, name, AT_REMOVEDIR) == 0)
            return 0;
        if (errno != ENOTEMPTY && errno != EEXIST)
            return -errno;
        if (renameat2(dir, name, c->work, work_name(c, tmp), RENAME_NOREPLACE) < 0)
            return -errno;
    } else {
        r = white_over(c, dir, name, work_name(c, tmp));
    }
    if (r == 0)
        xeno_remove_tree(c->work, tmp, NULL); /* else litter, for the next start */
    return r;
}

/* --- the public part --- */

/* Returns: 1 when it is to be tried again. */
static int remove_locked(struct xeno_cowfs *c, struct xeno_cowfs_node *parent, const char *name,
                         bool directory)
{
    struct doomed d = DOOMED_INIT;
    struct probe p;
    int r = check_name(name), dir, hide = 0;

    if (r == 0)
        r = probe_name(c, parent, name, false, &p);
    if (r < 0)
        return r;
    if (S_ISDIR(p.st.st_mode) != directory)
        return directory ? -ENOTDIR : -EISDIR;
    r = directory ? check_empty(c, parent, name, &p) : 0;
    if (r != 0)
        return r;
    r = hide = below(c, parent, name);
    if (r >= 0)
        r = doom(c, parent, name, &p, &d);
    if (r < 0)
        return r;
    dir = upper_fd(c, parent);
    if (p.layers[0] != UPPER)
        r = white_out(c, parent, name);
    else if (dir < 0)
        r = dir;
    else
        r = directory ? rmdir_upper(c, dir, name, hide) : unlink_upper(c, dir, name, hide);
    doom_end(c, &d, r == 0);
    return r;
}

static int remove_name(struct xeno_cowfs *c, struct xeno_cowfs_node *parent, const char *name,
                       bool directory)
{
    int r = use_dir(c, parent);

    if (r < 0)
        return r;
    pthread_rwlock_wrlock(&c->tree);
    r = 1;
    for (int i = 0; i < TRIES && r > 0; i++)
        r = remove_locked(c, parent, name, directory);
    pthread_rwlock_unlock(&c->tree);
    return r > 0 ? -EBUSY : r;
}

int xeno_cowfs_unlink(struct xeno_cowfs *c, struct xeno_cowfs_node *parent, const char *name)
{
    return remove_name(c, parent, name, false);
}

int xeno_cowfs_rmdir(struct xeno_cowfs *c, struct xeno_cowfs_node *parent, const char *name)
{
    return remove_name(c, parent, name, true);
}
