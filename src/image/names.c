/* src/image/names.c - what the store lists: give, take and show names, and check what is there. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image/store-priv.h"

#define READ_CHUNK (256 * 1024)

void xeno_store_list_free(struct xeno_store_list *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->count; i++)
        xeno_image_free(list->items[i].image);
    free(list->items);
    free(list);
}

static int by_name(const void *a, const void *b)
{
    const struct xeno_store_entry *x = a, *y = b;

    if ((x->name[0] == '\0') != (y->name[0] == '\0'))
        return x->name[0] == '\0' ? 1 : -1;
    if (x->name[0] == '\0')
        return strcmp(x->digest, y->digest);
    return strcmp(x->name, y->name);
}

int xeno_store_list(struct xeno_store *st, struct xeno_store_list **ret, struct xeno_err *err)
{
    xeno_auto(xeno_store_list) list = xeno_new0(struct xeno_store_list);
    xeno_auto(xeno_index) ix = NULL;
    int r = xeno_store_index(st, &ix, err);

    if (r < 0)
        return r;
    list->items = xeno_new0_n(struct xeno_store_entry, ix->count + 1);
    for (size_t i = 0; i < ix->count; i++) {
        struct xeno_store_entry *e = &list->items[list->count++];
        struct xeno_err why = XENO_ERR_INIT;

        snprintf(e->name, sizeof(e->name), "%s", ix->items[i].name);
        snprintf(e->digest, sizeof(e->digest), "%s", ix->items[i].digest);
        if (xeno_store_resolve(st, e->digest, NULL, &e->image, &why) < 0)
            snprintf(e->problem, sizeof(e->problem), "%.255s", why.text);
    }
    qsort(list->items, list->count, sizeof(*list->items), by_name);
    *ret = xeno_take(&list);
    return 0;
}

struct name_change {
    struct xeno_descriptor d;
    const char *name;
};

/* The name leaves whichever image had it; that one stays, nameless, unless it is there twice. */
static int name_give(struct xeno_index *ix, void *arg, struct xeno_err *err)
{
    const struct name_change *c = arg;
    bool there = false;

    (void)err;
    for (size_t i = ix->count; i-- > 0;) {
        bool same = strcmp(ix->items[i].digest, c->d.digest) == 0;

        if (same && strcmp(ix->items[i].name, c->name) == 0) {
            there = true;
        } else if (same && ix->items[i].name[0] == '\0') {
            xeno_index_del(ix, i); /* its nameless entry is needed no more */
        } else if (c->name[0] != '\0' && strcmp(ix->items[i].name, c->name) == 0) {
            xeno_index_rename(ix, i, "");
            for (size_t k = 0; k < ix->count; k++) {
                if (k != i && strcmp(ix->items[k].digest, ix->items[i].digest) == 0) {
                    xeno_index_del(ix, i);
                    break;
                }
            }
        } else if (same && c->name[0] == '\0') {
            there = true; /* it has a name already */
        }
    }
    if (!there)
        xeno_index_add(ix, &c->d);
    return 0;
}

int xeno_store_add(struct xeno_store *st, const char *digest, int64_t size, const char *name,
                   struct xeno_err *err)
{
    struct name_change c = { .name = name ? name : "" };

    if (c.name[0] != '\0' && !xeno_image_name_ok(c.name))
        return xeno_fail(err, -EINVAL, "image.name",
                         "'%.160s' cannot be the name of an image: letters and digits joined by "
                         "one of - . _ : @ / +, at most %d",
                         c.name, XENO_IMAGE_NAME_MAX);
    snprintf(c.d.digest, sizeof(c.d.digest), "%s", digest);
    snprintf(c.d.media_type, sizeof(c.d.media_type), "%s", XENO_MT_MANIFEST);
    snprintf(c.d.name, sizeof(c.d.name), "%s", c.name);
    c.d.size_bytes = size;
    return xeno_store_index_change(st, name_give, &c, err);
}

int xeno_store_tag(struct xeno_store *st, const char *ref, const char *name, struct xeno_err *err)
{
    xeno_auto(xeno_image) im = NULL;
    xeno_autoclose int fd = -1;
    int64_t size;
    int r = xeno_store_hold(st, err);

    if (r < 0)
        return r;
    r = xeno_store_resolve(st, ref, NULL, &im, err);
    if (r >= 0)
        r = xeno_store_open_blob(st, im->digest, &fd, &size, err);
    if (r >= 0)
        r = xeno_store_add(st, im->digest, size, name, err);
    xeno_store_drop(st);
    return r;
}

static int name_take(struct xeno_index *ix, void *arg, struct xeno_err *err)
{
    const struct xeno_image_ref *ref = arg;
    bool found = false;

    if (!ref->by_digest) {
        ssize_t i = xeno_index_find(ix, ref->text);

        if (i >= 0)
            xeno_index_del(ix, (size_t)i);
        found = i >= 0;
    }
    for (size_t i = ix->count; ref->by_digest && i-- > 0;) {
        if (strcmp(ix->items[i].digest, ref->text) == 0) {
            xeno_index_del(ix, i);
            found = true;
        }
    }
    if (!found)
        return xeno_fail(err, -ENOENT, "image.unknown", "no image '%s'", ref->text);
    return 0;
}

int xeno_store_remove(struct xeno_store *st, const char *text, struct xeno_err *err)
{
    struct xeno_image_ref ref;
    int r = xeno_image_ref_parse(text, &ref, err);

    if (r >= 0)
        r = xeno_store_index_change(st, name_take, &ref, err);
    return r;
}

int xeno_store_commit(struct xeno_store *st, struct xeno_image *im, const char *name,
                      struct xeno_err *err)
{
    xeno_autofree char *config = NULL, *manifest = NULL;
    size_t config_len, len;
    int r = xeno_store_hold(st, err);

    if (r < 0)
        return r;
    config = xeno_config_format(im, &config_len);
    r = xeno_store_put(st, config, config_len, im->config.digest, err);
    if (r >= 0) {
        im->config.size_bytes = (int64_t)config_len;
        snprintf(im->config.media_type, sizeof(im->config.media_type), "%s", XENO_MT_CONFIG);
        manifest = xeno_manifest_format(im, &len);
        r = xeno_store_put(st, manifest, len, im->digest, err);
    }
    if (r >= 0)
        r = xeno_store_add(st, im->digest, (int64_t)len, name, err);
    xeno_store_drop(st);
    return r;
}

int xeno_store_verify_blob(struct xeno_store *st, const struct xeno_layer *l, int64_t before,
                           int64_t total, const struct xeno_progress *progress,
                           struct xeno_err *err)
{
    struct xeno_progress_at at = { .phase = "verify", .text = l->digest, .total_bytes = total };
    xeno_auto(xeno_sha256) hash = xeno_sha256_new();
    xeno_autofree char *chunk = xeno_alloc0(1, READ_CHUNK);
    xeno_autoclose int fd = -1;
    char have[XENO_DIGEST_TEXT];
    uint8_t sha[32];
    int64_t size, done = 0;
    ssize_t n = 0;
    int r = xeno_store_open_blob(st, l->digest, &fd, &size, err);

    if (r < 0)
        return r;
    while ((n = read(fd, chunk, READ_CHUNK)) > 0) {
        xeno_sha256_add(hash, chunk, (size_t)n);
        done += n;
        at.done_bytes = before + done;
        if (progress && progress->fn && !progress->fn(progress->arg, &at))
            return xeno_fail(err, -ECANCELED, "image.cancelled", "stopped");
        at.text = NULL;
    }
    if (n < 0)
        return xeno_fail_errno(err, -errno, "image.blob", "read blob %s", l->digest);
    xeno_sha256_end(hash, sha);
    xeno_digest_text(sha, have);
    if (strcmp(have, l->digest) != 0 || size != l->size_bytes)
        return xeno_fail(err, -EBADMSG, "image.corrupt",
                         "blob %s has the content of %s, %lld bytes of %lld", l->digest, have,
                         (long long)size, (long long)l->size_bytes);
    return 0;
}

int xeno_store_verify(struct xeno_store *st, const char *ref, const struct xeno_progress *progress,
                      struct xeno_err *err)
{
    xeno_auto(xeno_image) im = NULL;
    int64_t done = 0;
    int r = xeno_store_resolve(st, ref, NULL, &im, err);

    for (size_t i = 0; r >= 0 && i < im->layer_count; i++) {
        r = xeno_store_verify_blob(st, &im->layers[i], done, im->size_bytes, progress, err);
        done += im->layers[i].size_bytes;
    }
    return r;
}
