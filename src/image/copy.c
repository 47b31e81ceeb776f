/* src/image/copy.c - an image from one layout to another. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image/build-priv.h"
#include "image/store-priv.h"

#define CHUNK (256 * 1024)

static int copy_blob(struct xeno_store *from, struct xeno_store *to, const char *digest,
                     const struct xeno_progress *progress, int64_t *ret_size, struct xeno_err *err)
{
    struct xeno_progress_at at = { .phase = "copy", .text = digest };
    xeno_autofree char *chunk = xeno_alloc0(1, CHUNK);
    xeno_auto(xeno_blob_writer) w = NULL;
    xeno_autoclose int fd = -1;
    char got[XENO_DIGEST_TEXT];
    ssize_t n;
    int r = xeno_store_open_blob(from, digest, &fd, &at.total_bytes, err);

    if (r >= 0)
        r = xeno_blob_new(to, &w, err);
    while (r >= 0 && (n = read(fd, chunk, CHUNK)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return xeno_fail_errno(err, -errno, "image.read", "read blob %s", digest);
        r = xeno_blob_add(w, chunk, (size_t)n, err);
        at.done_bytes += n;
        if (r >= 0)
            r = xeno_progress_tell(progress, &at, err);
        at.text = NULL;
    }
    return r < 0 ? r : xeno_blob_commit(w, digest, got, ret_size, err);
}

/* Returns: 1 when the layer became another blob. */
static int copy_layer(struct xeno_store *from, struct xeno_store *to, struct xeno_layer *layer,
                      const struct xeno_copy_opts *o, struct xeno_made *made, struct xeno_err *err)
{
    bool mounts = layer->mounts;
    int r;

    if (o->compression_set && o->compression != layer->compression) {
        xeno_autoclose int fd = -1;
        int64_t size;

        r = xeno_store_open_blob(from, layer->digest, &fd, &size, err);
        if (r >= 0)
            r = xeno_layer_convert(to, fd, layer, o->compression, o->limits, o->progress, layer,
                                   err);
        if (r >= 0)
            r = 1;
    } else {
        r = copy_blob(from, to, layer->digest, o->progress, NULL, err);
    }
    if (r < 0)
        return r;
    layer->mounts = mounts;
    if (o->check) {
        int c = xeno_layer_check(to, layer, o->limits, o->progress, made, err);

        return c < 0 ? c : r;
    }
    made->layers++;
    made->size_bytes += layer->size_bytes;
    return r;
}

int xeno_copy_image(struct xeno_store *from, struct xeno_store *to, const struct xeno_copy_opts *o,
                    struct xeno_made *made, struct xeno_err *err)
{
    xeno_auto(xeno_image) im = NULL;
    xeno_autofree char *manifest = NULL;
    bool changed = false;
    int64_t size = 0;
    size_t len;
    int r = xeno_store_hold(to, err);

    if (r < 0)
        return r;
    r = xeno_store_load(from, o->digest, &im, err);
    for (size_t i = 0; r >= 0 && i < im->layer_count; i++) {
        r = copy_layer(from, to, &im->layers[i], o, made, err);
        changed |= r > 0;
    }
    if (r >= 0)
        r = copy_blob(from, to, im->config.digest, NULL, NULL, err);
    if (r >= 0 && changed) {
        manifest = xeno_manifest_format(im, &len);
        size = (int64_t)len;
        r = xeno_store_put(to, manifest, len, im->digest, err);
    } else if (r >= 0) {
        r = copy_blob(from, to, im->digest, NULL, &size, err);
    }
    if (r >= 0)
        r = xeno_store_add(to, im->digest, size, o->name, err);
    if (r >= 0)
        snprintf(made->digest, sizeof(made->digest), "%s", im->digest);
    xeno_store_drop(to);
    return r;
}
