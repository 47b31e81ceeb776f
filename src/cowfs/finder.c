/* src/cowfs/finder.c - what mount files name: images by pieces, directories of the host.
 *
 * What was found is kept until the end, by its name (an image by the digest of its manifest), and
 * so are layers, which several images may share. Nothing slow is done with the lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uthash.h>

#include "cowfs/beneath.h"
#include "cowfs/images-priv.h"
#include "image/agent.h"
#include "image/source-registry.h"

struct opened {
    UT_hash_handle hh;
    struct xeno_cowfs_layer *layer;
    struct xeno_sources *sources; /* NULL: a directory */
    char name[];                  /* digest or path */
};
struct mounted {
    UT_hash_handle hh;
    size_t count;
    struct opened *layers[XENO_LAYERS_MAX]; /* topmost first */
    char name[];
};

/* --- what is kept --- */

static void opened_free(struct opened *o)
{
    o->layer->ops->free(o->layer);
    xeno_sources_free(o->sources);
    free(o);
}

/* Keeps `one` unless another thread was faster: then that thread's. */
static struct opened *keep_opened(struct xeno_cowfs_images *im, struct opened *one)
{
    struct opened *there;

    pthread_mutex_lock(&im->mounting);
    HASH_FIND_STR(im->opened, one->name, there);
    if (!there)
        HASH_ADD_STR(im->opened, name, one);
    pthread_mutex_unlock(&im->mounting);
    if (there)
        opened_free(one);
    return there ? there : one;
}

static struct opened *find_opened(struct xeno_cowfs_images *im, const char *name)
{
    struct opened *o;

    pthread_mutex_lock(&im->mounting);
    HASH_FIND_STR(im->opened, name, o);
    pthread_mutex_unlock(&im->mounting);
    return o;
}

static struct opened *new_opened(const char *name, struct xeno_cowfs_layer *l,
                                 struct xeno_sources *s)
{
    struct opened *o = xeno_alloc0(1, sizeof *o + strlen(name) + 1);

    o->layer = l;
    o->sources = s;
    strcpy(o->name, name);
    return o;
}

/* What a layer is, at each start. */
static uint64_t id_of(const char *name)
{
    uint8_t sha[32];
    uint64_t id;

    xeno_sha256_of(name, strlen(name), sha);
    memcpy(&id, sha, sizeof id);
    return id;
}

static void answer(const struct mounted *m, struct xeno_cowfs_found *ret)
{
    snprintf(ret->name, sizeof ret->name, "%s", m->name);
    for (size_t i = 0; i < m->count; i++) {
        ret->layers[i] = m->layers[i]->layer;
        ret->ids[i] = id_of(m->layers[i]->name);
    }
    ret->count = m->count;
}

static void keep_mounted(struct xeno_cowfs_images *im, const struct mounted *m)
{
    struct mounted *there;

    pthread_mutex_lock(&im->mounting);
    HASH_FIND_STR(im->mounted, m->name, there);
    if (!there) {
        struct mounted *copy = xeno_memdup(m, sizeof *m + strlen(m->name) + 1);

        HASH_ADD_STR(im->mounted, name, copy);
    }
    pthread_mutex_unlock(&im->mounting);
}

static bool find_mounted(struct xeno_cowfs_images *im, const char *name,
                         struct xeno_cowfs_found *ret)
{
    struct mounted *m;

    pthread_mutex_lock(&im->mounting);
    HASH_FIND_STR(im->mounted, name, m);
    pthread_mutex_unlock(&im->mounting);
    if (m)
        answer(m, ret); /* it does not change */
    return m != NULL;
}

void images_forget_mounted(struct xeno_cowfs_images *im)
{
    struct mounted *m, *next_m;
    struct opened *o, *next_o;

    HASH_ITER (hh, im->mounted, m, next_m) {
        HASH_DEL(im->mounted, m);
        free(m);
    }
    HASH_ITER (hh, im->opened, o, next_o) {
        HASH_DEL(im->opened, o);
        opened_free(o);
    }
}

int64_t images_mounted_bytes(struct xeno_cowfs_images *im)
{
    int64_t bytes = 0;

    pthread_mutex_lock(&im->mounting);
    for (struct opened *o = im->opened; o; o = o->hh.next)
        bytes += o->sources ? xeno_sources_bytes(o->sources) : 0;
    pthread_mutex_unlock(&im->mounting);
    return bytes;
}

/* --- images --- */

/* Where a layer's bytes are, beside the image store; NULL: nowhere else. */
static int open_source(struct xeno_cowfs_images *im, const struct xeno_registry_name *name,
                       struct xeno_source **ret, struct xeno_err *err)
{
    xeno_autofree char *text = NULL;

    if (!im->agent)
        return images_registry(im, name, ret, err);
    text = xeno_registry_name_format(name);
    return images_again(im, text, ret, err);
}

/* name: where it is, by digest; NULL: in the image store. */
static int open_layer(struct xeno_cowfs_images *im, const struct xeno_layer *layer,
                      const struct xeno_registry_name *name, struct opened **ret,
                      struct xeno_err *err)
{
    xeno_auto(xeno_sources) sources = NULL;
    struct xeno_cowfs_layer *l = NULL;
    struct xeno_source *s = NULL;
    int r = 0;

    *ret = find_opened(im, layer->digest);
    if (*ret)
        return 0;
    if (name)
        r = open_source(im, name, &s, err);
    if (r >= 0)
        r = images_sources(im, s, &sources, err);
    if (r >= 0)
        r = images_layer(im, layer, sources, &l, err);
    if (r < 0)
        return r;
    *ret = keep_opened(im, new_opened(layer->digest, l, xeno_take(&sources)));
    return 0;
}

static int mount_image(struct xeno_cowfs_images *im, const struct xeno_image *image,
                       const char *digest, const struct xeno_registry_name *name,
                       struct xeno_cowfs_found *ret, struct xeno_err *err)
{
    xeno_autofree struct mounted *m = xeno_alloc0(1, sizeof *m + strlen(digest) + 1);
    int r = 0;

    strcpy(m->name, digest);
    for (size_t i = image->layer_count; r >= 0 && i > 0; i--)
        r = open_layer(im, &image->layers[i - 1], name, &m->layers[m->count++], err);
    if (r < 0)
        return r;
    keep_mounted(im, m);
    answer(m, ret);
    return 0;
}

static int find_stored(struct xeno_cowfs_images *im, const struct xeno_mount_ref *ref,
                       const char *pin, struct xeno_cowfs_found *ret, struct xeno_err *err)
{
    const char *scheme_end = strstr(ref->text, "://") + strlen("://");
    xeno_autofree char *text =
        pin ? xeno_asprintf("%.*s%s", (int)(scheme_end - ref->text), ref->text, pin)
            : xeno_strdup(ref->text);
    xeno_auto(xeno_store) st = NULL; /* one for each thread */
    xeno_auto(xeno_image) image = NULL;
    int r;

    if (!im->opts.image_store)
        return xeno_fail(err, -EINVAL, "cowfs.image", "there is no image-store to find it in");
    r = xeno_store_open(im->opts.image_store, XENO_STORE_READ, &st, err);
    if (r >= 0)
        r = xeno_store_resolve(st, text, NULL, &image, err);
    if (r >= 0 && find_mounted(im, image->digest, ret))
        return 0;
    return r < 0 ? r : mount_image(im, image, image->digest, NULL, ret, err);
}

/* Is `word` in a list with commas? */
static bool is_listed(const char *list, const char *word)
{
    size_t len = strlen(word);

    for (; list; list = strchr(list, ',') ? strchr(list, ',') + 1 : NULL)
        if (strncmp(list, word, len) == 0 && (list[len] == ',' || list[len] == '\0'))
            return true;
    return false;
}

/* Whoever makes a layer must not choose whom this machine talks to. */
static bool may_ask(const struct xeno_cowfs_images *im, const char *host)
{
    xeno_autofree char *copy = xeno_strdup(im->opts.images ? im->opts.images : "");
    char *rest = copy, *ref;

    while ((ref = strsep(&rest, ","))) {
        struct xeno_registry_name name;

        if (images_is_remote(ref) && xeno_registry_name_parse(ref, &name, NULL) >= 0 &&
            strcmp(name.host, host) == 0)
            return true;
    }
    return is_listed(im->opts.mount_registries, host);
}

static int ask_registry(struct xeno_cowfs_images *im, struct xeno_registry_name *name,
                        struct xeno_cowfs_found *ret, struct xeno_err *err)
{
    char digest[XENO_DIGEST_TEXT];
    xeno_auto(xeno_image) image = NULL;
    xeno_autofree char *text = NULL;
    struct xeno_source *s = NULL;
    size_t len;
    int r = images_registry(im, name, &s, err);

    if (r < 0)
        return r;
    r = images_manifest(im, name, s, &text, &len, digest, err);
    images_source_free(s);
    if (r >= 0 && !name->digest[0]) {
        /* By the digest it is asked for from now on, also when the registry is away then. */
        snprintf(name->digest, sizeof name->digest, "%s", digest);
        r = images_keep(im, name, text, len, err);
    }
    if (r >= 0)
        r = xeno_manifest_parse(text, len, &image, err);
    if (r >= 0 && find_mounted(im, digest, ret))
        return 0;
    return r < 0 ? r : mount_image(im, image, digest, name, ret, err);
}

/* The image manager judges whom it may ask, and puts the manifest where it can be checked. */
static int ask_agent(struct xeno_cowfs_images *im, struct xeno_registry_name *name,
                     struct xeno_cowfs_found *ret, struct xeno_err *err)
{
    xeno_autofree char *text = xeno_registry_name_format(name);
    xeno_auto(xeno_agent_image) found = NULL;
    xeno_auto(xeno_store) st = NULL;
    xeno_auto(xeno_image) image = NULL;
    int r;

    if (!im->opts.imaged_store)
        return xeno_fail(err, -EINVAL, "cowfs.image", "it needs --imaged-store");
    r = xeno_agent_resolve(im->agent, text, XENO_IMAGE_ANY, &found, err);
    if (r >= 0 && name->digest[0] && strcmp(name->digest, found->manifest) != 0)
        r = xeno_fail(
            err, -EBADMSG, "image.corrupt",
            "the image manager gives %s: is the digest that of a list of images for several "
            "machines? Name the one for this",
            found->manifest);
    if (r >= 0)
        r = xeno_store_open(im->opts.imaged_store, XENO_STORE_READ, &st, err);
    if (r >= 0)
        r = xeno_store_load(st, found->manifest, &image, err);
    if (r >= 0 && find_mounted(im, image->digest, ret))
        return 0;
    if (r < 0)
        return r;
    snprintf(name->digest, sizeof name->digest, "%s", image->digest);
    return mount_image(im, image, image->digest, name, ret, err);
}

static int find_remote(struct xeno_cowfs_images *im, const struct xeno_mount_ref *ref,
                       const char *pin, struct xeno_cowfs_found *ret, struct xeno_err *err)
{
    struct xeno_registry_name name = { .host = "" };
    int r = xeno_registry_name_parse(ref->text, &name, err);

    if (r < 0)
        return r;
    if (pin)
        snprintf(name.digest, sizeof name.digest, "%s", pin);
    if (im->agent)
        return ask_agent(im, &name, ret, err);
    if (!may_ask(im, name.host))
        return xeno_fail(err, -EACCES, "mount.denied",
                         "registry %s is neither one of the images' nor in mount-registries",
                         name.host);
    return ask_registry(im, &name, ret, err);
}

/* --- directories --- */

static bool may_show(const char *dirs, const char *path)
{
    for (; dirs; dirs = strchr(dirs, ':') ? strchr(dirs, ':') + 1 : NULL) {
        size_t len = strcspn(dirs, ":");

        while (len > 1 && dirs[len - 1] == '/')
            len--;
        if (len > 1 && strncmp(dirs, path, len) == 0 && (path[len] == '/' || path[len] == '\0'))
            return true;
    }
    return false;
}

/* No part of the path is a link, which somebody else might have put there. */
static int open_dir(const char *path, struct xeno_cowfs_layer **ret, struct xeno_err *err)
{
    struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                            .resolve = RESOLVE_NO_SYMLINKS };
    xeno_autoclose int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
    char proc[XENO_COWFS_PROC_PATH];

    if (fd < 0)
        return xeno_fail_errno(err, -errno, "cowfs.layer", "open the directory '%s'", path);
    return xeno_cowfs_layer_dir(xeno_cowfs_proc_path(fd, "", proc), ret, err);
}

static int find_dir(struct xeno_cowfs_images *im, const struct xeno_mount_ref *ref,
                    struct xeno_cowfs_found *ret, struct xeno_err *err)
{
    const char *path = ref->text + strlen("file://");
    xeno_autofree struct mounted *m = xeno_alloc0(1, sizeof *m + strlen(ref->text) + 1);
    struct xeno_cowfs_layer *l = NULL;
    int r = 0;

    if (!may_show(im->opts.mount_dirs, path))
        return xeno_fail(err, -EACCES, "mount.denied", "'%s' is not in mount-dirs", path);
    strcpy(m->name, ref->text);
    m->count = 1;
    m->layers[0] = find_opened(im, ref->text);
    if (!m->layers[0]) {
        r = open_dir(path, &l, err);
        if (r < 0)
            return r;
        m->layers[0] = keep_opened(im, new_opened(ref->text, l, NULL));
    }
    answer(m, ret);
    return 0;
}

/* --- the public part --- */

int xeno_cowfs_images_find(void *images, const struct xeno_mount_ref *ref, const char *pin,
                           struct xeno_cowfs_found *ret, struct xeno_err *err)
{
    struct xeno_cowfs_images *im = images;
    const char *digest = pin ? pin : ref->fixed ? strstr(ref->text, "sha256:") : NULL;

    if (ref->scheme == XENO_MOUNT_DIR)
        return find_dir(im, ref, ret, err);
    if (digest && find_mounted(im, digest, ret))
        return 0;
    return ref->scheme == XENO_MOUNT_OCI ? find_remote(im, ref, pin, ret, err)
                                         : find_stored(im, ref, pin, ret, err);
}
