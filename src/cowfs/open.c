/* src/cowfs/open.c - the stack that the options ask for, and what is logged of its layers. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

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

/* Whoever reads again and again what cannot be had shall not fill the log. */
static void say_read_failed(void *arg, const char *digest, const struct xeno_err *err)
{
    static atomic_int_fast64_t last_s;
    struct timespec now;
    int_fast64_t before = atomic_load(&last_s);

    (void)arg;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (before != now.tv_sec && atomic_compare_exchange_strong(&last_s, &before, now.tv_sec))
        xeno_log_err(LOG_WARNING, "cowfs.read", err, "layer=%s", digest);
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
                                           .old_manifest = say_old_manifest };

    return xeno_cowfs_images_open(&opts, ret, err);
}

int open_stack(const struct options *o, struct xeno_cowfs **ret,
               struct xeno_cowfs_images **ret_images, struct xeno_err *err)
{
    struct xeno_cowfs_layer *layers[XENO_COWFS_LAYERS_MAX];
    size_t count = 0;
    int r = 0;

    if (!o->lower && !o->images)
        return xeno_fail(err, -EINVAL, "conf.missing", "neither lower nor images are given");
    if (o->images)
        r = open_images(o, ret_images, err);
    if (r >= 0 && o->lower)
        r = open_dirs(o->lower, layers, &count, err);
    if (r >= 0 && *ret_images)
        r = xeno_cowfs_images_layers(*ret_images, layers + count, XENO_COWFS_LAYERS_MAX - count,
                                     err);
    if (r >= 0)
        return xeno_cowfs_open(o->upper, o->work, layers, count + (size_t)r, ret, err);
    while (count > 0) {
        count--;
        layers[count]->ops->free(layers[count]);
    }
    return r;
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
