/* src/cowfs/plan.c - read mount files, and find what they name and what that names. No lock of the
 * stack is held: a store may be far away. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <utlist.h>

#include "cowfs/mount-priv.h"

/* --- the file --- */

static int open_contents(struct xeno_cowfs_layer *l, int dir, struct contents *ret)
{
    *ret = (struct contents){ .fd = -1, .layer = l };
    if (l->ops->data_open)
        return l->ops->data_open(l, dir, XENO_MOUNT_NAME, &ret->data);
    ret->fd = l->ops->open(l, dir, XENO_MOUNT_NAME, O_RDONLY);
    return ret->fd < 0 ? ret->fd : 0;
}

int mount_look(struct xeno_cowfs_layer *l, int dir, struct mount_at *ret, struct xeno_err *err)
{
    struct stat st;
    int r = l->no_mounts ? -ENOENT : l->ops->stat(l, dir, XENO_MOUNT_NAME, &st);

    if (r == -ENOENT)
        return 0;
    if (r == 0 && (is_whiteout(&st) || S_ISDIR(st.st_mode)))
        return -ENODATA;
    if (r == 0 && !S_ISREG(st.st_mode))
        return xeno_fail(err, -EINVAL, "mount.kind", "it is neither a file nor a directory");
    if (r == 0 && st.st_size > XENO_MOUNT_BYTES_MAX)
        return xeno_fail(err, -EFBIG, "mount.size", "it has %lld bytes; %d are the most",
                         (long long)st.st_size, XENO_MOUNT_BYTES_MAX);
    if (r == 0)
        r = open_contents(l, dir, &ret->in);
    if (r < 0)
        return xeno_fail_errno(err, r == -ENODATA ? -EIO : r, "mount.read", "open it");
    ret->size = (size_t)st.st_size;
    return 1;
}

static int read_file(struct mount_at *at, struct xeno_mount_file **ret, struct xeno_err *err)
{
    xeno_autofree char *text = xeno_alloc0(1, at->size + 1);
    size_t done = 0;
    ssize_t n = 1;

    while (done < at->size && n > 0) {
        n = contents_read(&at->in, text + done, at->size - done, (off_t)done);
        done += n > 0 ? (size_t)n : 0;
    }
    contents_close(&at->in);
    if (n < 0)
        return xeno_fail_errno(err, (int)n, "mount.read", "read it");
    return xeno_mount_file_parse(text, done, ret, err);
}

/* --- the plan --- */

int plan_add(struct plan *p, const struct item *item, struct xeno_err *err)
{
    if (p->cut)
        return 0;
    if (p->count == XENO_COWFS_LAYERS_MAX)
        return xeno_fail(err, -EFBIG, "mount.limit", "more than %d layers in one directory",
                         XENO_COWFS_LAYERS_MAX);
    p->items[p->count++] = *item;
    return 0;
}

static void fs_free(struct fs *f)
{
    free(f->name);
    free(f);
}

void plan_free(struct plan *p)
{
    struct fs *f, *next;

    if (!p)
        return;
    LL_FOREACH_SAFE (p->fresh, f, next)
        fs_free(f);
    free(p);
}

static int add_fs(struct mounts *m, struct plan *p, struct fs *in, const char *name,
                  struct fs **ret, struct xeno_err *err)
{
    struct fs *f;

    if (in->depth == XENO_MOUNT_DEPTH)
        return xeno_fail(err, -ELOOP, "mount.depth", "more than %d file systems within each other",
                         XENO_MOUNT_DEPTH);
    for (f = in; f; f = f->in)
        if (strcmp(f->name, name) == 0)
            return xeno_fail(err, -ELOOP, "mount.cycle", "%s would be within itself", name);
    if (m->count + p->fresh_count >= XENO_COWFS_MOUNTS_MAX)
        return xeno_fail(err, -EFBIG, "mount.limit", "more than %d file systems are mounted",
                         XENO_COWFS_MOUNTS_MAX);
    f = xeno_new0(struct fs);
    f->in = in;
    f->depth = in->depth + 1;
    f->name = xeno_strdup(name);
    LL_PREPEND(p->fresh, f);
    p->fresh_count++;
    *ret = f;
    return 0;
}

/* What a name that moves led to before, it leads to now; the first time that is noted. */
static int find(struct mounts *m, const struct xeno_mount_ref *ref, struct xeno_cowfs_found *ret,
                struct xeno_err *err)
{
    bool moves = !ref->fixed && ref->scheme != XENO_MOUNT_DIR;
    int r;

    do {
        xeno_autofree char *pin = moves ? pins_get(m->pins, ref->text) : NULL;

        memset(ret, 0, sizeof *ret);
        r = m->finder.find(m->finder.arg, ref, pin, ret, err);
        if (r >= 0 && pin && strcmp(pin, ret->name) != 0)
            return xeno_fail(err, -ESTALE, "mount.moved", "it is no longer %s", pin);
        if (r >= 0 && moves && !pin)
            r = pins_put(m->pins, ref->text, ret->name, err);
    } while (r > 0); /* another thread found something newer or older, and was first */
    return r;
}

static int add_roots(struct mounts *m, struct plan *p, struct fs *f,
                     const struct xeno_cowfs_found *found, char **ret_ref, struct xeno_err *err);

static int mount_ref(struct mounts *m, struct plan *p, struct fs *in,
                     const struct xeno_mount_ref *ref, char **ret_ref, struct xeno_err *err)
{
    xeno_autofree struct xeno_cowfs_found *found = xeno_new0(struct xeno_cowfs_found);
    struct fs *f = NULL;
    int r = find(m, ref, found, err);

    if (r >= 0)
        r = add_fs(m, p, in, found->name, &f, err);
    if (r < 0) {
        *ret_ref = xeno_strdup(ref->text);
        return r;
    }
    r = add_roots(m, p, f, found, ret_ref, err);
    if (r < 0 && !*ret_ref)
        *ret_ref = xeno_strdup(ref->text); /* its own root's mount file is no good */
    return r;
}

int mount_plan(struct mounts *m, struct plan *p, struct mount_at *at, char **ret_ref,
               struct xeno_err *err)
{
    xeno_auto(xeno_mount_file) f = NULL;
    int r = read_file(at, &f, err);

    for (size_t i = 0; r >= 0 && i < f->count; i++)
        r = mount_ref(m, p, at->fs, &f->refs[i], ret_ref, err);
    return r < 0 ? r : 0;
}

/* The layers of a file system, and below the one that has a mount file in its root what that names.
 */
static int add_roots(struct mounts *m, struct plan *p, struct fs *f,
                     const struct xeno_cowfs_found *found, char **ret_ref, struct xeno_err *err)
{
    bool decided = false;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < found->count; i++) {
        struct xeno_cowfs_layer *l = found->layers[i];
        struct item item = { .layer = -1, .root = true, .l = l, .id = found->ids[i], .fs = f };
        struct mount_at at = { .in = { .fd = -1 }, .fs = f };
        int dir = l->ops->dir_open(l, -1, ""), look = 0;
        char mark;
        bool opaque;

        if (dir < 0)
            return xeno_fail_errno(err, dir, "mount.read", "open its root");
        look = decided ? 0 : mount_look(l, dir, &at, err);
        opaque = l->ops->getxattr(l, dir, "", XENO_COWFS_OWN_PREFIX "opaque", &mark, 1) == 1 &&
                 mark == 'y';
        l->ops->dir_close(l, dir);
        if (look < 0 && look != -ENODATA)
            return look;
        decided = decided || look != 0;
        r = plan_add(p, &item, err);
        if (look > 0 && r >= 0)
            r = mount_plan(m, p, &at, ret_ref, err);
        else if (look > 0)
            contents_close(&at.in);
        p->cut = p->cut || opaque;
    }
    return r;
}
