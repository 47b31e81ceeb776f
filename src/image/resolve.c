/* src/image/resolve.c - from a name to an image: index, manifest, config. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "image/store-priv.h"

#define NESTING_MAX 3 /* an index in an index ... */

const char *xeno_image_host_arch(void)
{
    static const struct {
        const char *machine, *arch;
    } names[] = {
        { "x86_64", "amd64" }, { "aarch64", "arm64" },   { "armv7l", "arm" },
        { "armv6l", "arm" },   { "i686", "386" },        { "riscv64", "riscv64" },
        { "s390x", "s390x" },  { "ppc64le", "ppc64le" }, { "loongarch64", "loong64" },
    };
    struct utsname u;

    if (uname(&u) < 0)
        return "unknown";
    for (size_t i = 0; i < XENO_LEN(names); i++)
        if (strcmp(u.machine, names[i].machine) == 0)
            return names[i].arch;
    return "unknown";
}

int xeno_image_ref_parse(const char *ref, struct xeno_image_ref *ret, struct xeno_err *err)
{
    static const char template_[] = "template://", overlay[] = "overlay://";
    struct xeno_image_ref p = { .kind = XENO_IMAGE_ANY, .text = ref };

    if (strncmp(ref, template_, sizeof(template_) - 1) == 0) {
        p.kind = XENO_IMAGE_TEMPLATE;
        p.text += sizeof(template_) - 1;
    } else if (strncmp(ref, overlay, sizeof(overlay) - 1) == 0) {
        p.kind = XENO_IMAGE_OVERLAY;
        p.text += sizeof(overlay) - 1;
    }
    p.by_digest = strncmp(p.text, "sha256:", 7) == 0;
    if (p.by_digest ? !xeno_digest_ok(p.text) : !xeno_image_name_ok(p.text))
        return xeno_fail(err, -EINVAL, "image.ref",
                         "'%.160s' is not the name of an image (template://NAME, overlay://NAME, "
                         "NAME or sha256:DIGEST)",
                         ref);
    *ret = p;
    return 0;
}

ssize_t xeno_index_find(const struct xeno_index *ix, const char *name)
{
    char latest[XENO_IMAGE_NAME_MAX + 16];

    for (size_t i = 0; i < ix->count; i++)
        if (strcmp(ix->items[i].name, name) == 0)
            return (ssize_t)i;
    if (strchr(name, ':'))
        return -1;
    snprintf(latest, sizeof(latest), "%s:latest", name);
    for (size_t i = 0; i < ix->count; i++)
        if (strcmp(ix->items[i].name, latest) == 0)
            return (ssize_t)i;
    return -1;
}

static bool is_index(const struct xeno_descriptor *d)
{
    return strcmp(d->media_type, XENO_MT_INDEX) == 0 ||
           strcmp(d->media_type, "application/vnd.docker.distribution.manifest.list.v2+json") == 0;
}

static int read_index_blob(struct xeno_store *st, const char *digest, struct xeno_index **ret,
                           struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    size_t len;
    int r = xeno_store_read(st, digest, XENO_MANIFEST_MAX_BYTES, &text, &len, err);

    if (r >= 0)
        r = xeno_index_parse(text, len, ret, err);
    return r < 0 ? xeno_context(err, r, "index %s", digest) : 0;
}

int xeno_store_load(struct xeno_store *st, const char *digest, struct xeno_image **ret,
                    struct xeno_err *err)
{
    xeno_autofree char *manifest = NULL, *config = NULL;
    xeno_auto(xeno_image) im = NULL;
    size_t len;
    int r;

    r = xeno_store_read(st, digest, XENO_MANIFEST_MAX_BYTES, &manifest, &len, err);
    if (r >= 0)
        r = xeno_manifest_parse(manifest, len, &im, err);
    if (r >= 0)
        r = xeno_store_read(st, im->config.digest, XENO_MANIFEST_MAX_BYTES, &config, &len, err);
    if (r >= 0)
        r = xeno_config_parse(im, config, len, err);
    if (r < 0)
        return xeno_context(err, r, "image %.19s", digest);
    snprintf(im->digest, sizeof(im->digest), "%s", digest);
    *ret = xeno_take(&im);
    return 0;
}

/* From a descriptor to the digest of a manifest for `arch`. */
static int choose(struct xeno_store *st, const struct xeno_descriptor *d, const char *arch,
                  int depth, char ret[XENO_DIGEST_TEXT], struct xeno_err *err)
{
    xeno_auto(xeno_index) ix = NULL;
    int r;

    if (!is_index(d)) {
        snprintf(ret, XENO_DIGEST_TEXT, "%s", d->digest);
        return 0;
    }
    if (depth >= NESTING_MAX)
        return xeno_fail(err, -EINVAL, "image.index", "indexes nested deeper than %d", NESTING_MAX);
    r = read_index_blob(st, d->digest, &ix, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < ix->count; i++) {
        const struct xeno_descriptor *e = &ix->items[i];

        if ((e->arch[0] == '\0' || strcmp(e->arch, arch) == 0) &&
            (e->os[0] == '\0' || strcmp(e->os, "linux") == 0))
            return choose(st, e, arch, depth + 1, ret, err);
    }
    return xeno_fail(err, -EINVAL, "image.arch", "%s has no image for linux/%s", d->digest, arch);
}

/* The descriptor of `digest` in `ix` or in an index it names; -ENOENT without filling err. */
static int find_digest(struct xeno_store *st, const struct xeno_index *ix, const char *digest,
                       int depth, struct xeno_descriptor *ret, struct xeno_err *err)
{
    for (size_t i = 0; i < ix->count; i++) {
        const struct xeno_descriptor *d = &ix->items[i];
        xeno_auto(xeno_index) inner = NULL;

        if (strcmp(d->digest, digest) == 0) {
            *ret = *d;
            ret->raw = NULL;
            return 0;
        }
        if (!is_index(d) || depth >= NESTING_MAX)
            continue;
        if (read_index_blob(st, d->digest, &inner, err) < 0)
            continue; /* spoilt, and not what is asked for */
        if (find_digest(st, inner, digest, depth + 1, ret, err) == 0)
            return 0;
    }
    return -ENOENT;
}

static int find_ref(struct xeno_store *st, const struct xeno_image_ref *ref, const char *arch,
                    char ret[XENO_DIGEST_TEXT], struct xeno_err *err)
{
    xeno_auto(xeno_index) ix = NULL;
    struct xeno_descriptor d;
    int r = xeno_store_index(st, &ix, err);

    if (r < 0)
        return r;
    if (ref->by_digest) {
        r = find_digest(st, ix, ref->text, 0, &d, NULL);
    } else {
        ssize_t i = xeno_index_find(ix, ref->text);

        r = i < 0 ? -ENOENT : 0;
        if (r == 0)
            d = ix->items[i];
    }
    if (r < 0)
        return xeno_fail(err, r, "image.unknown", "no image '%s' in '%s'", ref->text, st->path);
    return choose(st, &d, arch, 0, ret, err);
}

static int check_use(struct xeno_store *st, const struct xeno_image *im,
                     const struct xeno_image_ref *ref, const char *arch, struct xeno_err *err)
{
    if (ref->kind != XENO_IMAGE_ANY && im->kind != XENO_IMAGE_ANY && im->kind != ref->kind)
        return xeno_fail(err, -EINVAL, "image.kind", "'%s' is made as a %s, not as a %s", ref->text,
                         xeno_image_kind_name(im->kind), xeno_image_kind_name(ref->kind));
    /* An overlay is files over whatever system is below; the machine is the template's matter. */
    if (im->kind != XENO_IMAGE_OVERLAY && im->arch[0] != '\0' && strcmp(im->arch, arch) != 0)
        return xeno_fail(err, -EINVAL, "image.arch", "'%s' is made for %s, not for %s", ref->text,
                         im->arch, arch);
    for (size_t i = 0; i < im->layer_count; i++) {
        const struct xeno_layer *l = &im->layers[i];
        xeno_autoclose int fd = -1;
        int64_t size;
        int r = xeno_store_open_blob(st, l->digest, &fd, &size, err);

        if (r < 0)
            return r;
        if (size != l->size_bytes)
            return xeno_fail(err, -EBADMSG, "image.corrupt", "blob %s is %lld bytes, not %lld",
                             l->digest, (long long)size, (long long)l->size_bytes);
    }
    return 0;
}

int xeno_store_resolve(struct xeno_store *st, const char *text, const char *arch,
                       struct xeno_image **ret, struct xeno_err *err)
{
    xeno_auto(xeno_image) im = NULL;
    char digest[XENO_DIGEST_TEXT];
    struct xeno_image_ref ref;
    int r = xeno_image_ref_parse(text, &ref, err);

    if (!arch)
        arch = xeno_image_host_arch();
    if (r >= 0)
        r = find_ref(st, &ref, arch, digest, err);
    if (r >= 0)
        r = xeno_store_load(st, digest, &im, err);
    if (r >= 0)
        r = check_use(st, im, &ref, arch, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&im);
    return 0;
}

static void replace_text(char **to, const char *from)
{
    free(*to);
    *to = xeno_strdup(from);
}

int xeno_image_over(struct xeno_image *im, const struct xeno_image *top, struct xeno_err *err)
{
    if (im->layer_count + top->layer_count > XENO_LAYERS_MAX)
        return xeno_fail(err, -E2BIG, "image.layers", "more than %d layers together",
                         XENO_LAYERS_MAX);
    for (size_t i = 0; i < top->layer_count; i++)
        xeno_image_add_layer(im, &top->layers[i]);
    for (size_t i = 0; top->env[i]; i++)
        im->env = xeno_env_set(im->env, top->env[i]);
    if (top->argv[0]) {
        xeno_words_free(im->argv);
        im->argv = xeno_words_dup((const char *const *)top->argv);
    }
    if (strcmp(top->cwd, "/") != 0)
        replace_text(&im->cwd, top->cwd);
    if (top->user[0] != '\0')
        replace_text(&im->user, top->user);
    if (im->arch[0] == '\0')
        snprintf(im->arch, sizeof(im->arch), "%s", top->arch);
    if (im->os[0] == '\0')
        snprintf(im->os, sizeof(im->os), "%s", top->os);
    return 0;
}

int xeno_store_stack(struct xeno_store *st, const char *template_ref, const char *const *overlays,
                     size_t overlay_count, struct xeno_image **ret, struct xeno_err *err)
{
    xeno_auto(xeno_image) im = xeno_image_new();
    int r = 0;

    if (!template_ref && overlay_count == 0)
        return xeno_fail(err, -EINVAL, "image.ref", "neither a template nor an overlay is named");
    for (size_t i = 0; r >= 0 && i <= overlay_count; i++) {
        const char *ref = i == 0 ? template_ref : overlays[i - 1];
        xeno_auto(xeno_image) one = NULL;

        if (!ref)
            continue;
        r = xeno_store_resolve(st, ref, NULL, &one, err);
        if (r >= 0)
            r = xeno_image_over(im, one, err);
    }
    if (r < 0)
        return r;
    *ret = xeno_take(&im);
    return 0;
}

/* Visit layers named `digest` of every manifest that `ix` reaches; stops at the i-th new diff_id.
 */
struct layer_find {
    const char *digest;
    size_t skip;
    struct xeno_layer *ret;
    struct xeno_layer last; /* several images mostly agree: passing over repeats saves work */
};

static bool layer_find_in(struct layer_find *f, const struct xeno_image *im)
{
    for (size_t i = 0; i < im->layer_count; i++) {
        const struct xeno_layer *l = &im->layers[i];

        if (strcmp(l->digest, f->digest) != 0 || strcmp(l->diff_id, f->last.diff_id) == 0)
            continue;
        f->last = *l;
        if (f->skip-- == 0) {
            *f->ret = *l;
            return true;
        }
    }
    return false;
}

static bool layer_find_index(struct xeno_store *st, const struct xeno_index *ix, int depth,
                             struct layer_find *f)
{
    for (size_t i = 0; i < ix->count; i++) {
        const struct xeno_descriptor *d = &ix->items[i];
        xeno_auto(xeno_index) inner = NULL;
        xeno_auto(xeno_image) im = NULL;

        if (is_index(d)) {
            if (depth < NESTING_MAX && read_index_blob(st, d->digest, &inner, NULL) == 0 &&
                layer_find_index(st, inner, depth + 1, f))
                return true;
        } else if (xeno_store_load(st, d->digest, &im, NULL) == 0 && layer_find_in(f, im)) {
            return true;
        }
    }
    return false;
}

int xeno_store_layer(struct xeno_store *st, const char *digest, size_t i, struct xeno_layer *ret,
                     struct xeno_err *err)
{
    xeno_auto(xeno_index) ix = NULL;
    struct layer_find f = { .digest = digest, .skip = i, .ret = ret };
    int r = xeno_store_index(st, &ix, err);

    if (r < 0)
        return r;
    if (!layer_find_index(st, ix, 0, &f))
        return xeno_fail(err, -ENOENT, "image.layer", "no image in '%s' has the layer %.80s",
                         st->path, digest);
    return 0;
}
