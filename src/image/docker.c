/* src/image/docker.c - the archive format of `docker save`, once unpacked.
 *
 * manifest.json is a list of {"Config": file, "RepoTags": [names], "Layers": [files]}. The config
 * is what OCI's grew out of and is kept byte by byte; layers are plain tars, stored compressed.
 * Older archives repeat a layer by a link to it inside the archive.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/io.h"
#include "image/build-priv.h"
#include "image/store-priv.h"

#define LIST_MAX 256

/* Links are followed, but never out of the archive. */
static int open_inside(int dirfd, const char *path, int *ret_fd, struct xeno_err *err)
{
    struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
                            .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
    xeno_autoclose int fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
    struct stat sb;

    if (fd < 0)
        return xeno_fail_errno(err, -errno, "image.source", "'%.200s' in the archive", path);
    if (fstat(fd, &sb) < 0 || !S_ISREG(sb.st_mode))
        return xeno_fail(err, -EINVAL, "image.source", "'%.200s' in the archive is no file", path);
    *ret_fd = xeno_take_fd(&fd);
    return 0;
}

static int read_inside(int dirfd, const char *path, char **ret, size_t *ret_len,
                       struct xeno_err *err)
{
    xeno_autoclose int fd = -1;
    int r = open_inside(dirfd, path, &fd, err);

    if (r < 0)
        return r;
    r = xeno_read_all(fd, XENO_MANIFEST_MAX_BYTES, ret, ret_len);
    return r < 0 ? xeno_fail_errno(err, r, "image.source", "read '%.200s'", path) : 0;
}

/* As people write it: "docker.io/library/debian:12" is "debian:12". */
static const char *short_tag(const char *tag)
{
    static const char hub[] = "docker.io/", library[] = "library/";

    if (strncmp(tag, hub, sizeof(hub) - 1) != 0)
        return tag;
    tag += sizeof(hub) - 1;
    return strncmp(tag, library, sizeof(library) - 1) == 0 ? tag + sizeof(library) - 1 : tag;
}

/* Is `ref` one of the item's tags? *ret_tag: its first. */
static bool has_tag(const struct xeno_json_at *item, const char *ref, const char **ret_tag)
{
    struct xeno_json_at tags;
    const char *tag;
    size_t n = 0;
    bool found = false;

    *ret_tag = NULL;
    if (xeno_json_arr_opt(item, "RepoTags", LIST_MAX, &tags, &n, NULL) != 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (xeno_json_item_str(&tags, i, 1, 255, &tag, NULL) < 0)
            continue;
        if (!*ret_tag)
            *ret_tag = short_tag(tag);
        found |= ref && strcmp(short_tag(tag), short_tag(ref)) == 0;
    }
    return found;
}

static int choose(const struct xeno_json_at *list, size_t n, const char *ref,
                  struct xeno_json_at *ret, const char **ret_tag, struct xeno_err *err)
{
    if (!ref && n == 1) {
        *ret = xeno_json_item(list, 0);
        (void)has_tag(ret, NULL, ret_tag);
        return 0;
    }
    if (!ref)
        return xeno_fail(err, -EINVAL, "image.ref", "the archive holds %zu images: say which", n);
    for (size_t i = 0; i < n; i++) {
        *ret = xeno_json_item(list, i);
        if (has_tag(ret, ref, ret_tag))
            return 0;
    }
    return xeno_fail(err, -ENOENT, "image.ref", "the archive holds no image '%.160s'", ref);
}

static int add_layer(struct xeno_store *st, int dirfd, const char *path,
                     const struct xeno_import_opts *o, struct xeno_layer *layer,
                     struct xeno_made *made, struct xeno_err *err)
{
    struct xeno_layer from = { .size_bytes = 0 };
    enum xeno_compression to = o->compression_set ? o->compression : XENO_COMPRESS_ZSTD;
    xeno_autoclose int fd = -1;
    struct stat sb;
    int r = open_inside(dirfd, path, &fd, err);

    if (r >= 0)
        r = xeno_compression_of(fd, &from.compression, err);
    if (r < 0)
        return r;
    if (fstat(fd, &sb) < 0)
        return xeno_fail_errno(err, -errno, "image.source", "'%.200s'", path);
    from.size_bytes = sb.st_size;
    r = xeno_layer_convert(st, fd, &from, to, o->limits, o->progress, layer, err);
    if (r >= 0)
        r = xeno_layer_check(st, layer, o->limits, o->progress, made, err);
    return r < 0 ? xeno_context(err, r, "'%.100s'", path) : 0;
}

/* The layers of the item, and what the config says of them. */
static int add_image(struct xeno_store *st, int dirfd, const struct xeno_json_at *item,
                     const struct xeno_import_opts *o, struct xeno_image *im,
                     struct xeno_made *made, struct xeno_err *err)
{
    xeno_autofree char *config = NULL;
    struct xeno_json_at layers;
    const char *path;
    size_t n, len;
    int r = xeno_json_arr(item, "Layers", XENO_LAYERS_MAX, &layers, &n, err);

    for (size_t i = 0; r >= 0 && i < n; i++) {
        struct xeno_layer layer;

        r = xeno_json_item_str(&layers, i, 1, 1024, &path, err);
        if (r >= 0)
            r = add_layer(st, dirfd, path, o, &layer, made, err);
        if (r >= 0)
            xeno_image_add_layer(im, &layer);
    }
    if (r >= 0)
        r = xeno_json_str(item, "Config", 1, 1024, &path, err);
    if (r >= 0)
        r = read_inside(dirfd, path, &config, &len, err);
    if (r >= 0)
        r = xeno_store_put(st, config, len, im->config.digest, err);
    if (r < 0)
        return r;
    im->config.size_bytes = (int64_t)len;
    snprintf(im->config.media_type, sizeof(im->config.media_type), "%s", XENO_MT_CONFIG);
    return 0;
}

/* What the config claims must be what the layers are. */
static int check_config(struct xeno_store *st, struct xeno_image *im, struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    xeno_autofree struct xeno_layer *found = xeno_new0_n(struct xeno_layer, im->layer_count + 1);
    size_t len;
    int r = xeno_store_read(st, im->config.digest, XENO_MANIFEST_MAX_BYTES, &text, &len, err);

    for (size_t i = 0; i < im->layer_count; i++)
        found[i] = im->layers[i];
    if (r >= 0)
        r = xeno_config_parse(im, text, len, err);
    for (size_t i = 0; r >= 0 && i < im->layer_count; i++) {
        if (strcmp(found[i].diff_id, im->layers[i].diff_id) != 0)
            r = xeno_fail(err, -EBADMSG, "image.corrupt",
                          "layer %zu is the tar %s; the config says %s", i, found[i].diff_id,
                          im->layers[i].diff_id);
    }
    return r;
}

int xeno_docker_import(struct xeno_store *st, const char *dir, const struct xeno_import_opts *o,
                       struct xeno_made *made, struct xeno_err *err)
{
    xeno_autoclose int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    xeno_auto(xeno_json) doc = NULL;
    xeno_auto(xeno_image) im = xeno_image_new();
    xeno_autofree char *list = NULL, *manifest = NULL;
    struct xeno_json_at top, item;
    const char *tag = NULL;
    size_t len, n = 0;
    int r = 0;

    if (dirfd < 0)
        return xeno_fail_errno(err, -errno, "image.source", "open '%s'", dir);
    r = read_inside(dirfd, "manifest.json", &list, &len, err);
    if (r >= 0)
        r = xeno_json_parse(list, len, XENO_MANIFEST_MAX_BYTES, &doc, err);
    if (r < 0)
        return xeno_context(err, r, "manifest.json");
    top = xeno_json_top(doc);
    while (n < LIST_MAX && xeno_json_item(&top, n).j)
        n++;
    r = choose(&top, n, o->ref, &item, &tag, err);
    if (r >= 0)
        r = xeno_name_check(o->name ? o->name : tag, err);
    if (r >= 0)
        r = add_image(st, dirfd, &item, o, im, made, err);
    if (r >= 0)
        r = check_config(st, im, err);
    if (r < 0)
        return r;
    im->kind = o->kind;
    manifest = xeno_manifest_format(im, &len);
    r = xeno_store_put(st, manifest, len, made->digest, err);
    return r < 0 ? r : xeno_store_add(st, made->digest, (int64_t)len, o->name ? o->name : tag, err);
}
