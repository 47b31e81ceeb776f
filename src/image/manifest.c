/* src/image/manifest.c - images in memory, and reading manifests and configs. */
#include "image/manifest.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image/manifest-priv.h"

#define WORD_MAX        32768
#define ANNOTATIONS_MAX 256

static const struct {
    const char *type;
    enum xeno_compression compression;
} layer_types[] = {
    { XENO_MT_LAYER, XENO_COMPRESS_NONE },
    { XENO_MT_LAYER_GZIP, XENO_COMPRESS_GZIP },
    { XENO_MT_LAYER_ZSTD, XENO_COMPRESS_ZSTD },
    { "application/vnd.docker.image.rootfs.diff.tar.gzip", XENO_COMPRESS_GZIP },
    { "application/vnd.docker.image.rootfs.diff.tar.zstd", XENO_COMPRESS_ZSTD },
    { "application/vnd.docker.image.rootfs.diff.tar", XENO_COMPRESS_NONE },
    { "application/vnd.oci.image.layer.nondistributable.v1.tar", XENO_COMPRESS_NONE },
    { "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", XENO_COMPRESS_GZIP },
    { "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", XENO_COMPRESS_ZSTD },
};

int xeno_layer_compression(const char *media_type, enum xeno_compression *ret, struct xeno_err *err)
{
    for (size_t i = 0; i < XENO_LEN(layer_types); i++) {
        if (strcmp(media_type, layer_types[i].type) == 0) {
            *ret = layer_types[i].compression;
            return 0;
        }
    }
    return xeno_fail(err, -EINVAL, "image.media", "'%s' is not a kind of layer known here",
                     media_type);
}

const char *xeno_layer_media_type(enum xeno_compression c)
{
    return c == XENO_COMPRESS_ZSTD   ? XENO_MT_LAYER_ZSTD
           : c == XENO_COMPRESS_GZIP ? XENO_MT_LAYER_GZIP
                                     : XENO_MT_LAYER;
}

const char *xeno_image_kind_name(enum xeno_image_kind kind)
{
    return kind == XENO_IMAGE_TEMPLATE  ? "template"
           : kind == XENO_IMAGE_OVERLAY ? "overlay"
                                        : "image";
}

/* ref.name of image-spec/annotations.md: alphanumeric pieces joined by one of -._:@/+ or by "--".
 */
bool xeno_image_name_ok(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len > XENO_IMAGE_NAME_MAX || strncmp(name, "sha256:", 7) == 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (isalnum((unsigned char)name[i]))
            continue;
        if (!strchr("-._:@/+", name[i]) || i == 0)
            return false;
        if (name[i] == '-' && name[i + 1] == '-')
            i++;
        if (!isalnum((unsigned char)name[i + 1]))
            return false;
    }
    return true;
}

char **xeno_words_dup(const char *const *words)
{
    size_t n = 0;
    char **copy;

    while (words && words[n])
        n++;
    copy = xeno_new0_n(char *, n + 1);
    for (size_t i = 0; words && words[i]; i++)
        copy[i] = xeno_strdup(words[i]);
    return copy;
}

void xeno_words_free(char **words)
{
    for (size_t i = 0; words && words[i]; i++)
        free(words[i]);
    free(words);
}

size_t xeno_words_count(char *const *words)
{
    size_t n = 0;

    while (words && words[n])
        n++;
    return n;
}

static char **words_add(char **words, const char *word)
{
    size_t n = xeno_words_count(words);

    words = xeno_grow(words, n + 2);
    words[n] = xeno_strdup(word);
    words[n + 1] = NULL;
    return words;
}

char **xeno_env_set(char **env, const char *word)
{
    size_t len = strcspn(word, "=") + 1;

    for (size_t i = 0; env && env[i]; i++) {
        if (strncmp(env[i], word, len) == 0) {
            free(env[i]);
            env[i] = xeno_strdup(word);
            return env;
        }
    }
    return words_add(env, word);
}

struct xeno_image *xeno_image_new(void)
{
    struct xeno_image *im = xeno_new0(struct xeno_image);

    im->env = xeno_words_dup(NULL);
    im->argv = xeno_words_dup(NULL);
    im->cwd = xeno_strdup("/");
    im->user = xeno_strdup("");
    return im;
}

void xeno_image_free(struct xeno_image *im)
{
    if (!im)
        return;
    free(im->layers);
    free(im->over);
    xeno_words_free(im->env);
    xeno_words_free(im->argv);
    free(im->cwd);
    free(im->user);
    free(im);
}

void xeno_image_add_layer(struct xeno_image *im, const struct xeno_layer *layer)
{
    im->layers = xeno_grow(im->layers, im->layer_count + 1);
    im->layers[im->layer_count++] = *layer;
    im->size_bytes += layer->size_bytes; /* at most XENO_LAYERS_MAX times XENO_BLOB_MAX */
}

int xeno_read_digest(const struct xeno_json_at *at, const char *key, char ret[XENO_DIGEST_TEXT],
                     struct xeno_err *err)
{
    const char *text;
    int r = xeno_json_str(at, key, 1, 255, &text, err);

    if (r < 0)
        return r;
    if (!xeno_digest_ok(text))
        return xeno_fail(err, -EINVAL, "image.digest", "%s.%s: '%.80s' is not a sha256 digest",
                         at->path, key, text);
    snprintf(ret, XENO_DIGEST_TEXT, "%s", text);
    return 0;
}

static int read_platform(const struct xeno_json_at *at, struct xeno_descriptor *d,
                         struct xeno_err *err)
{
    const char *arch = "", *os = "";
    struct xeno_json_at p;
    int r = xeno_json_obj_opt(at, "platform", &p, err);

    if (r != 0)
        return r < 0 ? r : 0;
    r = xeno_json_str_opt(&p, "architecture", 0, sizeof(d->arch) - 1, &arch, err);
    if (r >= 0)
        r = xeno_json_str_opt(&p, "os", 0, sizeof(d->os) - 1, &os, err);
    if (r < 0)
        return r;
    snprintf(d->arch, sizeof(d->arch), "%s", arch);
    snprintf(d->os, sizeof(d->os), "%s", os);
    return 0;
}

static int read_name(const struct xeno_json_at *at, struct xeno_descriptor *d, struct xeno_err *err)
{
    const char *name = "";
    struct xeno_json_at notes;
    int r = xeno_json_obj_opt(at, "annotations", &notes, err);

    if (r != 0)
        return r < 0 ? r : 0;
    if (xeno_json_key(&notes, ANNOTATIONS_MAX))
        return xeno_fail(err, -E2BIG, "image.annotations", "%s: more than %d annotations",
                         notes.path, ANNOTATIONS_MAX);
    r = xeno_json_str_opt(&notes, XENO_NOTE_NAME, 0, WORD_MAX, &name, err);
    if (r < 0)
        return r;
    /* A name we would not give (docker's "docker.io/x@sha256:..." is longer) is no error: such an
     * image is reached by its digest. */
    if (xeno_image_name_ok(name))
        snprintf(d->name, sizeof(d->name), "%s", name);
    return 0;
}

int xeno_read_descriptor(const struct xeno_json_at *at, struct xeno_descriptor *ret,
                         struct xeno_err *err)
{
    struct xeno_descriptor d = { .size_bytes = 0 };
    const char *type;
    int r;

    r = xeno_json_str(at, "mediaType", 1, sizeof(d.media_type) - 1, &type, err);
    if (r >= 0)
        r = xeno_read_digest(at, "digest", d.digest, err);
    if (r >= 0)
        r = xeno_json_int(at, "size", 0, XENO_BLOB_MAX, &d.size_bytes, err);
    if (r >= 0)
        r = read_platform(at, &d, err);
    if (r >= 0)
        r = read_name(at, &d, err);
    if (r < 0)
        return r;
    snprintf(d.media_type, sizeof(d.media_type), "%s", type);
    *ret = d;
    return 0;
}

int xeno_read_version(const struct xeno_json_at *top, struct xeno_err *err)
{
    int64_t version;
    int r = xeno_json_int(top, "schemaVersion", 0, 1000, &version, err);

    if (r < 0)
        return r;
    if (version != 2)
        return xeno_fail(err, -EINVAL, "image.manifest", "schemaVersion is %d, not 2",
                         (int)version);
    return 0;
}

/* Where the layer's table of contents is. One that makes no sense is as good as none: the layer can
 * be pulled whole. */
static int read_toc(const struct xeno_json_at *notes, struct xeno_layer *layer,
                    struct xeno_err *err)
{
    const char *sha = "", *place = "";
    struct xeno_toc_place toc;
    long long offset, bytes, raw;
    int end = 0;
    int r = xeno_json_str_opt(notes, XENO_NOTE_TOC_OLD, 0, WORD_MAX, &sha, err);

    if (r >= 0)
        r = xeno_json_str_opt(notes, XENO_NOTE_TOC_PLACE_OLD, 0, WORD_MAX, &place, err);
    if (r >= 0)
        r = xeno_json_str_opt(notes, XENO_NOTE_TOC, 0, WORD_MAX, &sha, err);
    if (r >= 0)
        r = xeno_json_str_opt(notes, XENO_NOTE_TOC_PLACE, 0, WORD_MAX, &place, err);
    if (r < 0)
        return r;
    if (!xeno_digest_parse(sha, toc.sha) || strlen(place) > 64 ||
        sscanf(place, "%19lld:%19lld:%19lld:1%n", &offset, &bytes, &raw, &end) != 3 || end == 0 ||
        place[end] != '\0' || offset <= 0 || bytes <= 0 || raw <= 0 || offset > layer->size_bytes ||
        bytes > layer->size_bytes - offset)
        return 0;
    toc.offset = offset;
    toc.bytes = bytes;
    toc.raw_bytes = raw;
    layer->toc = toc;
    return 0;
}

static int read_layer_notes(const struct xeno_json_at *at, struct xeno_layer *layer,
                            struct xeno_err *err)
{
    const char *mounts = "";
    struct xeno_json_at notes;
    int r = xeno_json_obj_opt(at, "annotations", &notes, err);

    if (r != 0)
        return r < 0 ? r : 0;
    r = xeno_json_str_opt(&notes, XENO_NOTE_MOUNTS, 0, WORD_MAX, &mounts, err);
    if (r >= 0)
        layer->mounts = strcmp(mounts, "yes") == 0;
    return r >= 0 && layer->compression == XENO_COMPRESS_ZSTD ? read_toc(&notes, layer, err) : r;
}

static int read_layers(struct xeno_image *im, const struct xeno_json_at *top, struct xeno_err *err)
{
    struct xeno_json_at layers;
    size_t n;
    int r = xeno_json_arr(top, "layers", XENO_LAYERS_MAX, &layers, &n, err);

    for (size_t i = 0; r >= 0 && i < n; i++) {
        struct xeno_json_at at = xeno_json_item(&layers, i);
        struct xeno_layer layer = { .size_bytes = 0 };
        struct xeno_descriptor d;

        r = xeno_read_descriptor(&at, &d, err);
        if (r < 0)
            return r;
        r = xeno_layer_compression(d.media_type, &layer.compression, err);
        if (r < 0)
            return xeno_context(err, r, "%s", at.path);
        memcpy(layer.digest, d.digest, sizeof(layer.digest));
        layer.size_bytes = d.size_bytes;
        r = read_layer_notes(&at, &layer, err);
        if (r < 0)
            return r;
        xeno_image_add_layer(im, &layer);
    }
    return r;
}

static int read_notes(struct xeno_image *im, const struct xeno_json_at *top, struct xeno_err *err)
{
    const char *kind = "", *base = "", *over = "";
    struct xeno_json_at notes;
    int r = xeno_json_obj_opt(top, "annotations", &notes, err);

    if (r != 0)
        return r < 0 ? r : 0;
    r = xeno_json_str_opt(&notes, XENO_NOTE_KIND, 0, WORD_MAX, &kind, err);
    if (r >= 0)
        r = xeno_json_str_opt(&notes, XENO_NOTE_BASE, 0, WORD_MAX, &base, err);
    if (r >= 0)
        r = xeno_json_str_opt(&notes, XENO_NOTE_OVER, 0, WORD_MAX, &over, err);
    if (r < 0)
        return r;
    im->over = over[0] != '\0' ? xeno_strdup(over) : NULL;
    if (strcmp(kind, "template") == 0)
        im->kind = XENO_IMAGE_TEMPLATE;
    else if (strcmp(kind, "overlay") == 0)
        im->kind = XENO_IMAGE_OVERLAY;
    if (xeno_digest_ok(base))
        snprintf(im->base, sizeof(im->base), "%s", base);
    return 0;
}

int xeno_manifest_parse(const char *text, size_t len, struct xeno_image **ret, struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = NULL;
    xeno_auto(xeno_image) im = xeno_image_new();
    struct xeno_json_at top, config;
    int r;

    r = xeno_json_parse(text, len, XENO_MANIFEST_MAX_BYTES, &doc, err);
    if (r < 0)
        return r;
    top = xeno_json_top(doc);
    r = xeno_read_version(&top, err);
    if (r >= 0)
        r = xeno_json_obj(&top, "config", &config, err);
    if (r >= 0)
        r = xeno_read_descriptor(&config, &im->config, err);
    if (r >= 0)
        r = read_layers(im, &top, err);
    if (r >= 0)
        r = read_notes(im, &top, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&im);
    return 0;
}

/* Append the strings of array `key`; `env`: only words of the form K=V, the last of each K. */
static int read_words(const struct xeno_json_at *at, const char *key, bool env, char ***words,
                      struct xeno_err *err)
{
    struct xeno_json_at list;
    const char *word;
    size_t n = 0;
    int r = xeno_json_arr_opt(at, key, XENO_CONFIG_WORDS_MAX, &list, &n, err);

    if (r != 0)
        return r < 0 ? r : 0;
    for (size_t i = 0; i < n; i++) {
        r = xeno_json_item_str(&list, i, 0, WORD_MAX, &word, err);
        if (r < 0)
            return r;
        if (!env)
            *words = words_add(*words, word);
        else if (strchr(word, '=') && word[0] != '=')
            *words = xeno_env_set(*words, word);
    }
    return 0;
}

static int read_run(struct xeno_image *im, const struct xeno_json_at *top, struct xeno_err *err)
{
    const char *cwd = "", *user = "";
    struct xeno_json_at run;
    int r = xeno_json_obj_opt(top, "config", &run, err);

    if (r != 0)
        return r < 0 ? r : 0;
    r = read_words(&run, "Env", true, &im->env, err);
    if (r >= 0)
        r = read_words(&run, "Entrypoint", false, &im->argv, err);
    if (r >= 0)
        r = read_words(&run, "Cmd", false, &im->argv, err);
    if (r >= 0)
        r = xeno_json_str_opt(&run, "WorkingDir", 0, 4095, &cwd, err);
    if (r >= 0)
        r = xeno_json_str_opt(&run, "User", 0, 255, &user, err);
    if (r < 0)
        return r;
    if (cwd[0] != '\0') {
        free(im->cwd);
        im->cwd = xeno_strdup(cwd);
    }
    free(im->user);
    im->user = xeno_strdup(user);
    return 0;
}

static int read_diff_ids(struct xeno_image *im, const struct xeno_json_at *top,
                         struct xeno_err *err)
{
    struct xeno_json_at rootfs, ids;
    const char *text;
    size_t n;
    int r = xeno_json_obj(top, "rootfs", &rootfs, err);

    if (r >= 0)
        r = xeno_json_arr(&rootfs, "diff_ids", XENO_LAYERS_MAX, &ids, &n, err);
    if (r < 0)
        return r;
    if (n != im->layer_count)
        return xeno_fail(err, -EINVAL, "image.layers",
                         "the config lists %zu layers, the manifest %zu", n, im->layer_count);
    for (size_t i = 0; i < n; i++) {
        r = xeno_json_item_str(&ids, i, 1, 255, &text, err);
        if (r < 0)
            return r;
        if (!xeno_digest_ok(text))
            return xeno_fail(err, -EINVAL, "image.digest",
                             "rootfs.diff_ids[%zu]: '%.80s' is not a sha256 digest", i, text);
        snprintf(im->layers[i].diff_id, sizeof(im->layers[i].diff_id), "%s", text);
    }
    return 0;
}

int xeno_config_parse(struct xeno_image *im, const char *text, size_t len, struct xeno_err *err)
{
    const char *arch = "", *os = "", *created = "";
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top;
    int r = xeno_json_parse(text, len, XENO_MANIFEST_MAX_BYTES, &doc, err);

    if (r < 0)
        return r;
    top = xeno_json_top(doc);
    r = xeno_json_str_opt(&top, "architecture", 0, sizeof(im->arch) - 1, &arch, err);
    if (r >= 0)
        r = xeno_json_str_opt(&top, "os", 0, sizeof(im->os) - 1, &os, err);
    if (r >= 0)
        r = xeno_json_str_opt(&top, "created", 0, sizeof(im->created) - 1, &created, err);
    if (r >= 0)
        r = read_run(im, &top, err);
    if (r >= 0)
        r = read_diff_ids(im, &top, err);
    if (r < 0)
        return r;
    snprintf(im->arch, sizeof(im->arch), "%s", arch);
    snprintf(im->os, sizeof(im->os), "%s", os);
    snprintf(im->created, sizeof(im->created), "%s", created);
    return 0;
}
