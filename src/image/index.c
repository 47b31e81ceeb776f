/* src/image/index.c - indexes, and writing manifests and configs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image/manifest-priv.h"

/* A second reference to a value that a reader lends. */
static struct xeno_json *json_share(const struct xeno_json *j)
{
    return xeno_json_ref((struct xeno_json *)(uintptr_t)j);
}

struct xeno_index *xeno_index_new(void)
{
    return xeno_new0(struct xeno_index);
}

void xeno_index_free(struct xeno_index *ix)
{
    if (!ix)
        return;
    for (size_t i = 0; i < ix->count; i++)
        xeno_json_unref(ix->items[i].raw);
    free(ix->items);
    xeno_json_unref(ix->raw);
    free(ix);
}

int xeno_index_parse(const char *text, size_t len, struct xeno_index **ret, struct xeno_err *err)
{
    xeno_auto(xeno_index) ix = xeno_index_new();
    struct xeno_json_at top, list;
    size_t n;
    int r;

    r = xeno_json_parse(text, len, XENO_MANIFEST_MAX_BYTES, &ix->raw, err);
    if (r < 0)
        return r;
    top = xeno_json_top(ix->raw);
    r = xeno_read_version(&top, err);
    if (r >= 0)
        r = xeno_json_arr(&top, "manifests", XENO_INDEX_MAX, &list, &n, err);
    if (r < 0)
        return r;
    ix->items = xeno_new0_n(struct xeno_descriptor, n + 1);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at at = xeno_json_item(&list, i);

        r = xeno_read_descriptor(&at, &ix->items[i], err);
        if (r < 0)
            return r;
        ix->items[i].raw = json_share(at.j);
        ix->count++;
    }
    *ret = xeno_take(&ix);
    return 0;
}

static struct xeno_json *descriptor_json(const struct xeno_descriptor *d)
{
    struct xeno_json *j = xeno_json_object();

    xeno_json_set_str(j, "mediaType", d->media_type);
    xeno_json_set_str(j, "digest", d->digest);
    xeno_json_set_int(j, "size", d->size_bytes);
    if (d->arch[0] != '\0' || d->os[0] != '\0') {
        struct xeno_json *p = xeno_json_object();

        xeno_json_set_str(p, "architecture", d->arch);
        xeno_json_set_str(p, "os", d->os);
        xeno_json_set(j, "platform", p);
    }
    if (d->name[0] != '\0') {
        struct xeno_json *notes = xeno_json_object();

        xeno_json_set_str(notes, XENO_NOTE_NAME, d->name);
        xeno_json_set(j, "annotations", notes);
    }
    return j;
}

char *xeno_index_format(const struct xeno_index *ix, size_t *ret_len)
{
    xeno_auto(xeno_json) doc = ix->raw ? xeno_json_ref(ix->raw) : xeno_json_object();
    struct xeno_json *list = xeno_json_array();

    if (!ix->raw) {
        xeno_json_set_int(doc, "schemaVersion", 2);
        xeno_json_set_str(doc, "mediaType", XENO_MT_INDEX);
    }
    for (size_t i = 0; i < ix->count; i++) {
        const struct xeno_descriptor *d = &ix->items[i];

        xeno_json_append(list, d->raw ? xeno_json_ref(d->raw) : descriptor_json(d));
    }
    xeno_json_set(doc, "manifests", list);
    return xeno_json_format(doc, false, ret_len);
}

void xeno_index_add(struct xeno_index *ix, const struct xeno_descriptor *d)
{
    struct xeno_descriptor copy = *d; /* which may be one of ours, about to move */

    if (copy.raw)
        xeno_json_ref(copy.raw);
    ix->items = xeno_grow(ix->items, ix->count + 1);
    ix->items[ix->count++] = copy;
}

void xeno_index_del(struct xeno_index *ix, size_t i)
{
    xeno_json_unref(ix->items[i].raw);
    memmove(&ix->items[i], &ix->items[i + 1], (ix->count - i - 1) * sizeof(*ix->items));
    ix->count--;
}

void xeno_index_rename(struct xeno_index *ix, size_t i, const char *name)
{
    struct xeno_descriptor *d = &ix->items[i];
    struct xeno_json *notes;
    struct xeno_json_at at, old;
    const char *key, *value;

    snprintf(d->name, sizeof(d->name), "%s", name);
    if (!d->raw)
        return;
    notes = xeno_json_object(); /* the others are kept */
    at = xeno_json_top(d->raw);
    if (xeno_json_obj_opt(&at, "annotations", &old, NULL) == 0) {
        for (size_t k = 0; (key = xeno_json_key(&old, k)) != NULL; k++) {
            if (strcmp(key, XENO_NOTE_NAME) != 0 &&
                xeno_json_str(&old, key, 0, XENO_MANIFEST_MAX_BYTES, &value, NULL) == 0)
                xeno_json_set_str(notes, key, value);
        }
    }
    if (name[0] != '\0')
        xeno_json_set_str(notes, XENO_NOTE_NAME, name);
    xeno_json_set(d->raw, "annotations", notes);
}

static void note_toc(struct xeno_json *notes, const struct xeno_toc_place *toc)
{
    char sha[XENO_DIGEST_TEXT];
    xeno_autofree char *place = xeno_asprintf("%lld:%lld:%lld:1", (long long)toc->offset,
                                              (long long)toc->bytes, (long long)toc->raw_bytes);

    xeno_digest_text(toc->sha, sha);
    xeno_json_set_str(notes, XENO_NOTE_TOC, sha);
    xeno_json_set_str(notes, XENO_NOTE_TOC_PLACE, place);
}

static struct xeno_json *layer_json(const struct xeno_layer *l)
{
    struct xeno_json *j = xeno_json_object(), *notes;

    xeno_json_set_str(j, "mediaType", xeno_layer_media_type(l->compression));
    xeno_json_set_str(j, "digest", l->digest);
    xeno_json_set_int(j, "size", l->size_bytes);
    if (l->toc.bytes == 0 && !l->mounts)
        return j;
    notes = xeno_json_object();
    if (l->toc.bytes > 0)
        note_toc(notes, &l->toc);
    if (l->mounts)
        xeno_json_set_str(notes, XENO_NOTE_MOUNTS, "yes");
    xeno_json_set(j, "annotations", notes);
    return j;
}

char *xeno_manifest_format(const struct xeno_image *im, size_t *ret_len)
{
    xeno_auto(xeno_json) doc = xeno_json_object();
    struct xeno_json *layers = xeno_json_array(), *notes = xeno_json_object();

    xeno_json_set_int(doc, "schemaVersion", 2);
    xeno_json_set_str(doc, "mediaType", XENO_MT_MANIFEST);
    xeno_json_set(doc, "config", descriptor_json(&im->config));
    for (size_t i = 0; i < im->layer_count; i++)
        xeno_json_append(layers, layer_json(&im->layers[i]));
    xeno_json_set(doc, "layers", layers);
    if (im->kind != XENO_IMAGE_ANY)
        xeno_json_set_str(notes, XENO_NOTE_KIND, xeno_image_kind_name(im->kind));
    if (im->base[0] != '\0')
        xeno_json_set_str(notes, XENO_NOTE_BASE, im->base);
    if (im->over)
        xeno_json_set_str(notes, XENO_NOTE_OVER, im->over);
    xeno_json_set(doc, "annotations", notes);
    return xeno_json_format(doc, false, ret_len);
}

static void set_words(struct xeno_json *obj, const char *key, char *const *words)
{
    struct xeno_json *list;

    if (xeno_words_count(words) == 0)
        return;
    list = xeno_json_array();
    for (size_t i = 0; words[i]; i++)
        xeno_json_append_str(list, words[i]);
    xeno_json_set(obj, key, list);
}

char *xeno_config_format(const struct xeno_image *im, size_t *ret_len)
{
    xeno_auto(xeno_json) doc = xeno_json_object();
    struct xeno_json *run = xeno_json_object(), *rootfs = xeno_json_object();
    struct xeno_json *ids = xeno_json_array();

    if (im->created[0] != '\0')
        xeno_json_set_str(doc, "created", im->created);
    xeno_json_set_str(doc, "architecture", im->arch);
    xeno_json_set_str(doc, "os", im->os);
    set_words(run, "Env", im->env);
    set_words(run, "Cmd", im->argv);
    if (strcmp(im->cwd, "/") != 0)
        xeno_json_set_str(run, "WorkingDir", im->cwd);
    if (im->user[0] != '\0')
        xeno_json_set_str(run, "User", im->user);
    xeno_json_set(doc, "config", run);
    xeno_json_set_str(rootfs, "type", "layers");
    for (size_t i = 0; i < im->layer_count; i++)
        xeno_json_append_str(ids, im->layers[i].diff_id);
    xeno_json_set(rootfs, "diff_ids", ids);
    xeno_json_set(doc, "rootfs", rootfs);
    return xeno_json_format(doc, false, ret_len);
}
