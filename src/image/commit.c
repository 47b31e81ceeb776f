/* src/image/commit.c - find what a session ran over, and put its layer on top. */
#include "image/commit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "image/build-priv.h"

/* How many of `count` layers the image has, all of its own and from the bottom on; 0: another. */
static size_t matching(const struct xeno_image *im, const char *const *layers, size_t count)
{
    if (im->layer_count > count)
        return 0;
    for (size_t i = 0; i < im->layer_count; i++)
        if (strcmp(im->layers[i].digest, layers[i]) != 0)
            return 0;
    return im->layer_count;
}

/* The image with most of these layers at its bottom; NULL: there is none. Borrowed of the list. */
static const struct xeno_image *find(const struct xeno_store_list *list, bool overlay,
                                     const char *const *layers, size_t count)
{
    const struct xeno_image *best = NULL;
    size_t most = 0;

    for (size_t i = 0; i < list->count; i++) {
        const struct xeno_image *im = list->items[i].image;
        size_t n;

        if (!im || (im->kind == XENO_IMAGE_OVERLAY) != overlay)
            continue;
        n = matching(im, layers, count);
        if (n > most) {
            most = n;
            best = im;
        }
    }
    return best;
}

/* The overlays that the layers above the template are of. */
static int find_overlays(const struct xeno_store_list *list, const char *const *layers,
                         size_t count, const char **ret, size_t *ret_n, struct xeno_err *err)
{
    while (count > 0) {
        const struct xeno_image *im = find(list, true, layers, count);

        if (!im)
            return xeno_fail(err, -ENOENT, "commit.overlay",
                             "the session runs over layer %s, which is of no overlay in this image "
                             "store: bring that overlay here first (xeno overlay pull)",
                             layers[0]);
        ret[(*ret_n)++] = im->digest;
        layers += im->layer_count;
        count -= im->layer_count;
    }
    return 0;
}

static char *join(const char *const *words, size_t count)
{
    struct xeno_buf b = XENO_BUF_INIT;

    for (size_t i = 0; i < count; i++)
        xeno_buf_printf(&b, "%s%s", i > 0 ? " " : "", words[i]);
    return xeno_buf_take(&b, NULL);
}

int xeno_commit_below(struct xeno_store *st, const char *const *over, size_t count,
                      struct xeno_image **ret, struct xeno_err *err)
{
    xeno_auto(xeno_store_list) list = NULL;
    xeno_auto(xeno_image) im = NULL;
    xeno_autofree const char **overlays = xeno_new0_n(const char *, count + 1);
    const struct xeno_image *base;
    size_t n = 0;
    int r = xeno_store_list(st, &list, err);

    if (r < 0)
        return r;
    base = find(list, false, over, count);
    if (base)
        r = find_overlays(list, over + base->layer_count, count - base->layer_count, overlays, &n,
                          err);
    if (r >= 0 && n > 0)
        r = xeno_store_stack(st, NULL, overlays, n, &im, err);
    if (r < 0)
        return r;
    if (!im)
        im = xeno_image_new();
    im->kind = XENO_IMAGE_OVERLAY;
    snprintf(im->base, sizeof(im->base), "%s", base ? base->digest : "");
    snprintf(im->arch, sizeof(im->arch), "%s", base ? base->arch : xeno_image_host_arch());
    snprintf(im->os, sizeof(im->os), "linux");
    xeno_time_text(xeno_s(0), im->created); /* the same files give the same digest */
    free(im->over);
    im->over = count > 0 ? join(over, count) : NULL;
    *ret = xeno_take(&im);
    return 0;
}

static int add_layer(struct xeno_store *st, struct xeno_image *im, const struct xeno_commit_opts *o,
                     struct xeno_made *made, struct xeno_err *err)
{
    struct xeno_layer tar = { .compression = XENO_COMPRESS_NONE, .size_bytes = o->size_bytes };
    struct xeno_layer layer;
    int r;

    if (im->layer_count >= XENO_LAYERS_MAX)
        return xeno_fail(err, -E2BIG, "image.layers", "there are %zu layers below already",
                         im->layer_count);
    snprintf(tar.digest, sizeof(tar.digest), "%s", o->digest);
    r = xeno_layer_repack(st, o->fd, &tar, NULL, o->progress, &layer, err);
    if (r >= 0)
        r = xeno_layer_check(st, &layer, NULL, o->progress, made, err);
    if (r < 0)
        return r;
    xeno_image_add_layer(im, &layer);
    r = xeno_store_commit(st, im, o->name, err);
    snprintf(made->digest, sizeof(made->digest), "%s", im->digest);
    made->layers = im->layer_count;
    made->size_bytes = im->size_bytes;
    return r;
}

int xeno_commit_layer(struct xeno_store *st, struct xeno_image *im,
                      const struct xeno_commit_opts *o, struct xeno_made *ret, struct xeno_err *err)
{
    struct xeno_made made = { .layers = 0 };
    int r = xeno_name_check(o->name, err);

    if (r >= 0)
        r = xeno_store_hold(st, err);
    if (r < 0)
        return r;
    r = add_layer(st, im, o, &made, err);
    xeno_store_drop(st);
    if (r < 0)
        return xeno_context(err, r, "overlay '%s'", o->name);
    *ret = made;
    return 0;
}
