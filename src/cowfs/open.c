/* src/cowfs/open.c - the stack that the options ask for, and what is logged of its layers. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/io.h"
#include "base/log.h"
#include "cowfs/layer.h"
#include "cowfs/program.h"

static int open_dirs(const char *lower, struct xeno_cowfs_layer **layers, size_t *count,
                     struct xeno_err *err)
{
    xeno_autofree char *copy = xeno_strdup(lower);
    char *rest = copy, *path;
    int r = 0;

    while (r == 0 && (path = strsep(&rest, ":"))) {
        if (*count == XENO_COWFS_LAYERS_MAX)
            return xeno_fail(err, -E2BIG, "cowfs.layers", "more than %d layers",
                             XENO_COWFS_LAYERS_MAX);
        r = xeno_cowfs_layer_dir(path, &layers[*count], err);
        if (r == 0)
            ++*count;
    }
    return r;
}

/* Whoever does again and again what cannot be done shall not fill the log: `most` times a second.
 */
struct said {
    atomic_int_fast64_t second;
    atomic_uint count;
};
static bool may_say(struct said *s, unsigned most)
{
    struct timespec now;
    int_fast64_t before = atomic_load(&s->second);

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (before != now.tv_sec && atomic_compare_exchange_strong(&s->second, &before, now.tv_sec))
        atomic_store(&s->count, 0);
    return atomic_fetch_add(&s->count, 1) < most;
}

static void say_read_failed(void *arg, const char *digest, const struct xeno_err *err)
{
    static struct said said;

    (void)arg;
    if (may_say(&said, 1))
        xeno_log_err(LOG_WARNING, "cowfs.read", err, "layer=%s", digest);
}

/* A path is one word, whatever names a layer has. */
static char *as_word(const char *place)
{
    char *word = xeno_strdup(place);

    for (char *p = word; *p; p++)
        if (*p <= ' ' || *p == '"' || *p == '=')
            *p = '?';
    return word;
}

static void say_mounted(void *arg, const char *place, const char *name)
{
    xeno_autofree char *word = as_word(place);

    (void)arg;
    xeno_log(LOG_INFO, "cowfs.mount", "place=%s what=%s", word, name);
}

static void say_mount_failed(void *arg, const char *place, const char *ref,
                             const struct xeno_err *err)
{
    static struct said said;
    xeno_autofree char *word = as_word(place);

    (void)arg;
    if (may_say(&said, 20))
        xeno_log_err(LOG_WARNING, "cowfs.mount.failed", err, "place=%s ref=%s", word,
                     ref ? ref : "-");
}

static void say_source(void *arg, const struct xeno_source_event *e)
{
    static const char *const names[] = { [XENO_SOURCE_LIES] = "cowfs.source.lies",
                                         [XENO_SOURCE_AWAY] = "cowfs.source.away",
                                         [XENO_SOURCE_BACK] = "cowfs.source.back" };

    (void)arg;
    if (e->state == XENO_SOURCE_BACK)
        xeno_log(LOG_NOTICE, names[e->state], "source=%s", e->source);
    else
        xeno_log_err(LOG_WARNING, names[e->state], e->err, "source=%s blob=%s offset=%lld",
                     e->source, e->digest, (long long)e->offset);
}

static void say_old_manifest(void *arg, const char *source, const struct xeno_err *err)
{
    (void)arg;
    xeno_log_err(LOG_WARNING, "cowfs.manifest.old", err, "source=%s", source);
}

static int open_images(const struct options *o, struct xeno_cowfs_images **ret,
                       struct xeno_err *err)
{
    struct xeno_cowfs_images_opts opts = { .images = o->images,
                                           .stack = o->parts,
                                           .imaged = o->imaged,
                                           .imaged_store = o->imaged_store,
                                           .image_store = o->image_store,
                                           .cache = o->cache,
                                           .cache_bytes = o->cache_bytes,
                                           .registry_ca = o->registry_ca,
                                           .registry_auth = o->registry_auth,
                                           .registry_plain = o->registry_plain,
                                           .shift = o->shift,
                                           .patience = o->patience,
                                           .ahead_bytes = o->ahead_bytes,
                                           .source_event = say_source,
                                           .read_failed = say_read_failed,
                                           .old_manifest = say_old_manifest,
                                           .mount_registries = o->mount_registries,
                                           .mount_dirs = o->mount_dirs };

    return xeno_cowfs_images_open(&opts, ret, err);
}

/* Of a stack's file: folders and layers as they lie over each other, topmost first. */
static int open_parts(const struct xeno_stack *stack, struct xeno_cowfs_layer *const *by_pieces,
                      struct xeno_cowfs_layer **layers, size_t *count, struct xeno_err *err)
{
    int r = 0;

    for (size_t i = stack->count; i > 0; i--) {
        const struct xeno_stack_part *part = &stack->parts[i - 1];

        if (!part->dir) {
            layers[(*count)++] = *by_pieces++; /* also after a failure: they are to be freed */
            continue;
        }
        if (r == 0)
            r = xeno_cowfs_layer_dir(part->dir, &layers[*count], err);
        *count += r == 0;
    }
    return r;
}

/* Takes the layers of images, once they are all there. */
static int gather(const struct options *o, struct xeno_cowfs_images *images,
                  struct xeno_cowfs_layer **layers, size_t *count, struct xeno_err *err)
{
    struct xeno_cowfs_layer *by_pieces[XENO_COWFS_LAYERS_MAX];
    int r = 0;

    if (o->parts) {
        r = images ? xeno_cowfs_images_layers(images, by_pieces, XENO_COWFS_LAYERS_MAX, err) : 0;
        return r < 0 ? r : open_parts(o->parts, by_pieces, layers, count, err);
    }
    if (o->lower)
        r = open_dirs(o->lower, layers, count, err);
    if (r == 0 && images)
        r = xeno_cowfs_images_layers(images, layers + *count, XENO_COWFS_LAYERS_MAX - *count, err);
    if (r > 0)
        *count += (size_t)r;
    return r < 0 ? r : 0;
}

static int check_parts(const struct options *o, struct xeno_err *err)
{
    if (o->parts && (o->lower || o->images))
        return xeno_fail(err, -EINVAL, "conf.missing", "stack says it all: no lower, no images");
    if (!o->parts && !o->lower && !o->images)
        return xeno_fail(err, -EINVAL, "conf.missing", "none of lower, images and stack is given");
    return 0;
}

static int open_mounts(struct xeno_cowfs *c, struct xeno_cowfs_images *images, struct xeno_err *err)
{
    const struct xeno_cowfs_finder finder = { .find = xeno_cowfs_images_find,
                                              .mounted = say_mounted,
                                              .failed = say_mount_failed,
                                              .arg = images };

    return xeno_cowfs_mounts(c, &finder, err);
}

int open_stack(const struct options *o, struct xeno_cowfs **ret,
               struct xeno_cowfs_images **ret_images, struct xeno_err *err)
{
    struct xeno_cowfs_layer *layers[XENO_COWFS_LAYERS_MAX];
    size_t count = 0;
    int r = check_parts(o, err);

    if (r == 0 && (by_pieces(o) || o->mount_files))
        r = open_images(o, ret_images, err);
    if (r == 0)
        r = gather(o, *ret_images, layers, &count, err);
    if (r == 0) {
        r = xeno_cowfs_open(o->upper, o->work, layers, count, ret, err);
        return r == 0 && o->mount_files ? open_mounts(*ret, *ret_images, err) : r;
    }
    while (count > 0) {
        count--;
        layers[count]->ops->free(layers[count]);
    }
    return r;
}

int read_parts(struct options *o, struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    size_t len;
    int r;

    if (!o->stack)
        return 0;
    r = xeno_file_read(AT_FDCWD, o->stack, XENO_STACK_MAX_BYTES, &text, &len, err);
    if (r == 0)
        r = xeno_stack_parse(text, len, &o->parts, err);
    return r < 0 ? xeno_context(err, r, "'%s'", o->stack) : 0;
}

bool by_pieces(const struct options *o)
{
    return o->images || (o->parts && xeno_stack_by_pieces(o->parts));
}

void log_counts(struct xeno_cowfs_images *images)
{
    int64_t from_sources;
    struct xeno_pieces_count c = xeno_cowfs_images_counts(images, &from_sources);

    xeno_log(LOG_INFO, "cowfs.pieces",
             "fetched=%llu fetched_bytes=%llu source_bytes=%lld cached=%llu spoilt=%llu "
             "unkept=%llu evicted=%llu cache_bytes=%lld",
             (unsigned long long)c.fetched, (unsigned long long)c.fetched_bytes,
             (long long)from_sources, (unsigned long long)c.opened, (unsigned long long)c.spoilt,
             (unsigned long long)c.unkept, (unsigned long long)c.evicted, (long long)c.used_bytes);
}
