/* src/image/mount-tree.c - layers from the bottom up, what hides what, and then what is named. */
#include "image/mount-tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image/build-priv.h"

#define WHITEOUT ".wh."
#define OPAQUE   ".wh..wh..opq"

/* --- freeing --- */

static void release(struct xeno_mount_tree *t)
{
    for (size_t i = 0; i < t->layer_count; i++) {
        struct xeno_mount_layer *l = &t->layers[i];

        for (size_t k = 0; k < l->count; k++) {
            for (size_t m = 0; m < l->dirs[k].count; m++)
                release(&l->dirs[k].mounts[m]);
            free(l->dirs[k].mounts);
            free(l->dirs[k].path);
        }
        free(l->dirs);
    }
    free(t->layers);
    free(t->ref);
}

void xeno_mount_tree_free(struct xeno_mount_tree *t)
{
    if (!t)
        return;
    release(t);
    free(t);
}

/* --- one image --- */

struct reading {
    struct xeno_mount_tree *t;
    size_t layer;                   /* which is read; those after it are below */
    struct xeno_mount_file **files; /* of t->layers[layer].dirs[] */
};

/* Is `path` below `dir`, or all of it? */
static bool is_below(const char *path, const char *dir, size_t dir_len)
{
    if (dir_len == 1 && *dir == '.')
        return true;
    return strncmp(path, dir, dir_len) == 0 && (path[dir_len] == '/' || path[dir_len] == '\0');
}

/* Does a member of a layer hide the mount file of `dir` in a layer below? */
static bool hides(const struct xeno_mount_seen *s, const char *dir)
{
    const char *slash = strrchr(s->path, '/'), *base = slash ? slash + 1 : s->path;
    size_t in = slash ? (size_t)(slash - s->path) : 1;
    xeno_autofree char *file = xeno_asprintf(
        "%s%s" XENO_MOUNT_NAME, strcmp(dir, ".") == 0 ? "" : dir, strcmp(dir, ".") == 0 ? "" : "/");
    xeno_autofree char *gone = NULL;

    if (strcmp(base, OPAQUE) == 0)
        return is_below(dir, slash ? s->path : ".", in);
    if (strncmp(base, WHITEOUT, strlen(WHITEOUT)) == 0) {
        gone = xeno_asprintf("%.*s%s", (int)(base - s->path), s->path, base + strlen(WHITEOUT));
        return is_below(file, gone, strlen(gone));
    }
    if (s->type == XENO_TAR_DIR)
        return strcmp(s->path, file) == 0;
    return is_below(file, s->path, strlen(s->path));
}

static void hide_below(struct xeno_mount_tree *t, size_t layer, const struct xeno_mount_seen *s)
{
    for (size_t i = layer + 1; i < t->layer_count; i++)
        for (size_t k = 0; k < t->layers[i].count; k++)
            if (!t->layers[i].dirs[k].hidden)
                t->layers[i].dirs[k].hidden = hides(s, t->layers[i].dirs[k].path);
}

static int see(void *arg, const struct xeno_mount_seen *s, struct xeno_err *err)
{
    struct reading *rd = arg;
    struct xeno_mount_layer *l = &rd->t->layers[rd->layer];
    const char *slash = strrchr(s->path, '/'), *base = slash ? slash + 1 : s->path;
    struct xeno_mount_dir *d;

    hide_below(rd->t, rd->layer, s);
    if (strcmp(base, XENO_MOUNT_NAME) != 0 || s->type == XENO_TAR_DIR)
        return 0;
    if (l->count == XENO_MOUNT_DIRS_MAX)
        return xeno_fail(err, -EFBIG, "mount.limit", "more than %d mount files",
                         XENO_MOUNT_DIRS_MAX);
    l->dirs = xeno_grow(l->dirs, l->count + 1);
    rd->files = xeno_grow(rd->files, l->count + 1);
    d = &l->dirs[l->count];
    *d = (struct xeno_mount_dir){ .why = s->why };
    d->path = slash ? xeno_asprintf("%.*s", (int)(slash - s->path), s->path) : xeno_strdup(".");
    rd->files[l->count] = NULL;
    if (s->type == XENO_TAR_HARDLINK)
        xeno_fail(&d->why, -EOPNOTSUPP, "mount.link",
                  "it is a hard link, in a layer without a table of contents");
    else if (s->type != XENO_TAR_FILE && d->why.code == 0)
        xeno_fail(&d->why, -EINVAL, "mount.kind", "it is neither a file nor a directory");
    if (d->why.code == 0)
        xeno_mount_file_parse(s->text, s->len, &rd->files[l->count], &d->why);
    l->count++;
    return 0;
}

/* --- and what it names --- */

struct making {
    const struct xeno_mount_tree_opts *opts;
    size_t images;
};
/* The images that one is in. */
struct chain {
    const struct chain *in;
    const char *digest;
    int depth;
};

static void make_image(struct making *m, struct xeno_mount_tree *t, const struct xeno_image *image,
                       void *place, const struct chain *in);

static int find(struct making *m, struct xeno_mount_tree *t, const struct xeno_mount_ref *ref,
                const struct chain *in)
{
    xeno_auto(xeno_image) image = NULL;
    void *place = NULL;
    int r;

    if (++m->images > XENO_MOUNT_TREE_MAX)
        return xeno_fail(&t->why, -EFBIG, "mount.limit", "more than %d images are named",
                         XENO_MOUNT_TREE_MAX);
    if (in->depth > XENO_MOUNT_DEPTH)
        return xeno_fail(&t->why, -ELOOP, "mount.depth", "more than %d images within each other",
                         XENO_MOUNT_DEPTH);
    r = m->opts->find(m->opts->arg, ref, &image, &place, &t->why);
    if (r < 0)
        return r;
    for (const struct chain *c = in; r >= 0 && c; c = c->in)
        if (strcmp(c->digest, image->digest) == 0)
            r = xeno_fail(&t->why, -ELOOP, "mount.cycle", "it would be within itself");
    if (r >= 0)
        make_image(m, t, image, place, in);
    if (m->opts->leave)
        m->opts->leave(m->opts->arg, place);
    return r;
}

static void follow(struct making *m, struct xeno_mount_dir *d, const struct xeno_mount_file *f,
                   const struct chain *in)
{
    d->mounts = xeno_new0_n(struct xeno_mount_tree, f->count + 1);
    d->count = f->count;
    for (size_t i = 0; i < f->count; i++) {
        struct xeno_mount_tree *t = &d->mounts[i];

        t->ref = xeno_strdup(f->refs[i].text);
        t->fixed = f->refs[i].fixed;
        if (!d->hidden && f->refs[i].scheme != XENO_MOUNT_DIR)
            find(m, t, &f->refs[i], in);
    }
}

/* All layers first: only then is known what is hidden. */
static void make_image(struct making *m, struct xeno_mount_tree *t, const struct xeno_image *image,
                       void *place, const struct chain *in)
{
    xeno_autofree struct xeno_mount_file ***files =
        xeno_new0_n(struct xeno_mount_file **, image->layer_count + 1);
    /* What a stack is opened with is no image to it: only what is mounted is not within itself. */
    struct chain here = { .in = in,
                          .digest = in ? t->digest : "",
                          .depth = in ? in->depth + 1 : 1 };

    snprintf(t->digest, sizeof t->digest, "%s", image->digest);
    t->kind = image->kind;
    t->layers = xeno_new0_n(struct xeno_mount_layer, image->layer_count + 1);
    t->layer_count = image->layer_count;
    for (size_t i = t->layer_count; i-- > 0;) {
        struct reading rd = { .t = t, .layer = i };

        t->layers[i].layer = image->layers[image->layer_count - 1 - i];
        xeno_mount_scan(m->opts, place, &t->layers[i].layer, see, &rd, &t->layers[i].why);
        files[i] = rd.files;
    }
    for (size_t i = 0; i < t->layer_count; i++) {
        for (size_t k = 0; k < t->layers[i].count; k++) {
            if (files[i][k])
                follow(m, &t->layers[i].dirs[k], files[i][k], &here);
            xeno_mount_file_free(files[i][k]);
        }
        free(files[i]);
    }
}

struct xeno_mount_tree *xeno_mount_tree_make(const struct xeno_mount_tree_opts *opts,
                                             const char *ref, const struct xeno_image *image,
                                             void *place)
{
    struct xeno_mount_tree_opts o = *opts;
    struct making m = { .opts = &o };
    struct xeno_mount_tree *t = xeno_new0(struct xeno_mount_tree);

    if (!o.limits)
        o.limits = &xeno_unpack_defaults;
    t->ref = xeno_strdup(ref);
    make_image(&m, t, image, place, NULL);
    return t;
}
