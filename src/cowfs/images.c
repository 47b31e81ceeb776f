/* src/cowfs/images.c - find images, open their layers, fetch ahead and record. */
#include "cowfs/images-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/io.h"
#include "cowfs/ahead.h"
#include "image/agent.h"
#include "image/source-registry.h"

#define RECORD_AFTER_S 60 /* what a start reads it has read by then */
#define PACE_S         10 /* a registry that gives nothing for so long is away */

/* --- finding --- */

bool images_is_remote(const char *ref)
{
    return strncmp(ref, XENO_REGISTRY_SCHEME, strlen(XENO_REGISTRY_SCHEME)) == 0;
}

/* What a name stood for when it was last asked, for when nobody answers. */
#define MANIFESTS "manifests"

static char *manifest_path(const struct xeno_cowfs_images *im,
                           const struct xeno_registry_name *name)
{
    xeno_autofree char *text = xeno_registry_name_format(name);
    char digest[XENO_DIGEST_TEXT];
    uint8_t sha[32];

    xeno_sha256_of(text, strlen(text), sha);
    xeno_digest_text(sha, digest);
    return xeno_asprintf("%s/" MANIFESTS "/%s", im->opts.cache, digest + strlen("sha256:"));
}

int images_keep(const struct xeno_cowfs_images *im, const struct xeno_registry_name *name,
                const char *text, size_t len, struct xeno_err *err)
{
    xeno_autofree char *path = manifest_path(im, name);
    xeno_autofree char *folder = xeno_asprintf("%s/" MANIFESTS, im->opts.cache);
    int r = xeno_mkdirs(AT_FDCWD, folder, 0700, err);

    return r < 0 ? r : xeno_file_write(AT_FDCWD, path, 0600, text, len, err);
}

static int read_kept(const struct xeno_cowfs_images *im, const struct xeno_registry_name *name,
                     char **ret, size_t *ret_len, char ret_digest[XENO_DIGEST_TEXT])
{
    xeno_autofree char *path = manifest_path(im, name);
    uint8_t sha[32];
    int r = xeno_file_read(AT_FDCWD, path, XENO_MANIFEST_MAX_BYTES, ret, ret_len, NULL);

    if (r < 0)
        return r;
    xeno_sha256_of(*ret, *ret_len, sha);
    xeno_digest_text(sha, ret_digest);
    return !name->digest[0] || strcmp(ret_digest, name->digest) == 0 ? 0 : -EBADMSG;
}

/* A registry that is away is none that says no. */
int images_manifest(struct xeno_cowfs_images *im, const struct xeno_registry_name *name,
                    struct xeno_source *s, char **ret, size_t *ret_len,
                    char ret_digest[XENO_DIGEST_TEXT], struct xeno_err *err)
{
    struct xeno_err why = XENO_ERR_INIT;
    int r;

    if (name->digest[0] && read_kept(im, name, ret, ret_len, ret_digest) >= 0)
        return 0; /* which nobody could say otherwise */
    r = xeno_source_registry_manifest(s, name->digest[0] ? name->digest : name->tag, ret, ret_len,
                                      ret_digest, &why);
    if (r >= 0)
        return images_keep(im, name, *ret, *ret_len, err);
    if (r != -ENOENT && r != -EACCES && r != -EBADMSG &&
        read_kept(im, name, ret, ret_len, ret_digest) >= 0) {
        if (im->opts.old_manifest)
            im->opts.old_manifest(im->opts.arg, s->name, &why);
        return 0;
    }
    return xeno_fail(err, r, why.token, "%s", why.text);
}

int images_registry(const struct xeno_cowfs_images *im, const struct xeno_registry_name *name,
                    struct xeno_source **ret, struct xeno_err *err)
{
    struct xeno_source_registry_opts o = { .env = xeno_env_real(),
                                           .name = name,
                                           .ca_file = im->opts.registry_ca,
                                           .plain = im->opts.registry_plain,
                                           .auth_file = im->opts.registry_auth,
                                           .pace_s = PACE_S };

    return xeno_source_registry(&o, ret, err);
}

static int find_remote(struct xeno_cowfs_images *im, const char *ref, struct xeno_image **ret,
                       struct xeno_err *err)
{
    struct xeno_registry_name name = { .host = "" };
    char digest[XENO_DIGEST_TEXT];
    xeno_autofree char *text = NULL;
    struct xeno_source *s = NULL;
    size_t len;
    int r = xeno_registry_name_parse(ref, &name, err);

    if (r >= 0)
        r = images_registry(im, &name, &s, err);
    if (r < 0)
        return r;
    xeno_sources_add(im->sources[0], s);
    r = images_manifest(im, &name, s, &text, &len, digest, err);
    return r < 0 ? r : xeno_manifest_parse(text, len, ret, err);
}

static int find_one(struct xeno_cowfs_images *im, const char *ref, struct xeno_err *err)
{
    struct xeno_image *found = NULL;
    int r;

    if (images_is_remote(ref))
        r = find_remote(im, ref, &found, err);
    else if (im->store)
        r = xeno_store_resolve(im->store, ref, NULL, &found, err);
    else
        r = xeno_fail(err, -EINVAL, "cowfs.image", "it needs --image-store");
    if (r < 0)
        return xeno_context(err, r, "image '%s'", ref);
    im->found = xeno_grow(im->found, im->found_count + 1);
    im->found[im->found_count++] = found;
    return 0;
}

static int find_all(struct xeno_cowfs_images *im, struct xeno_err *err)
{
    xeno_autofree char *copy = xeno_strdup(im->opts.images);
    char *rest = copy, *ref;
    int r = 0;

    while (r == 0 && (ref = strsep(&rest, ",")))
        r = find_one(im, ref, err);
    return r;
}

/* --- opening --- */

/* Can files be given to the ids from `first` on? Not by who is not root, nor where a user namespace
 * has none of them: then all belongs to us. */
static bool has_ids(int64_t first)
{
    long long inside, outside, count;
    bool has = false;
    FILE *f = geteuid() == 0 ? fopen("/proc/self/uid_map", "re") : NULL;

    while (f && !has && fscanf(f, "%lld %lld %lld", &inside, &outside, &count) == 3)
        has = inside <= first && first + XENO_SUBID_COUNT <= inside + count;
    if (f)
        fclose(f);
    return has;
}

void images_source_free(struct xeno_source *s)
{
    if (!s)
        return;
    free(s->name);
    s->ops->free(s);
}

int images_sources(const struct xeno_cowfs_images *im, struct xeno_source *last,
                   struct xeno_sources **ret, struct xeno_err *err)
{
    struct xeno_sources_opts o = { .env = xeno_env_real(),
                                   .patience = im->opts.patience,
                                   .event = im->opts.source_event,
                                   .arg = im->opts.arg };
    struct xeno_source *s = NULL;
    int r = 0;

    if (!last && im->agent)
        r = xeno_source_agent(im->agent, "xeno-imaged", &last, err);
    if (r >= 0 && im->opts.image_store)
        r = xeno_source_store(im->opts.image_store, &s, err);
    if (r < 0) {
        images_source_free(last);
        return r;
    }
    *ret = xeno_sources_new(&o);
    if (s)
        xeno_sources_add(*ret, s);
    if (last)
        xeno_sources_add(*ret, last);
    return 0;
}

static int new_sources(struct xeno_cowfs_images *im, struct xeno_sources **ret,
                       struct xeno_err *err)
{
    int r = images_sources(im, NULL, ret, err);

    if (r < 0)
        return r;
    im->sources = xeno_grow(im->sources, im->source_count + 1);
    im->sources[im->source_count++] = *ret;
    return 0;
}

static void more(void *arg, struct xeno_cowfs_layer *l, size_t first, size_t count)
{
    struct xeno_cowfs_images *im = arg;
    struct xeno_cowfs_ahead *a = atomic_load(&im->ahead);

    if (a)
        xeno_cowfs_ahead_more(a, l, first, count);
}

int images_layer(struct xeno_cowfs_images *im, const struct xeno_layer *layer,
                 struct xeno_sources *sources, struct xeno_cowfs_layer **ret, struct xeno_err *err)
{
    struct xeno_cowfs_toc_opts o = { .pieces = im->pieces,
                                     .user = im->user,
                                     .sources = sources,
                                     .shift = (uint32_t)im->opts.shift,
                                     .own = im->own,
                                     .more = more,
                                     .more_arg = im,
                                     .failed = im->opts.read_failed,
                                     .arg = im->opts.arg };
    struct xeno_cowfs_layer *l = NULL;
    size_t bytes;
    int r;

    if (!im->pieces)
        return xeno_fail(err, -EINVAL, "cowfs.cache", "images are read by way of a --cache");
    r = xeno_cowfs_layer_toc(layer, &o, &l, err);
    if (r < 0)
        return r;
    bytes = xeno_cowfs_toc_memory(l);
    if (atomic_fetch_add(&im->table_bytes, bytes) + bytes > XENO_COWFS_TABLES_MAX_BYTES) {
        atomic_fetch_sub(&im->table_bytes, bytes);
        l->ops->free(l);
        return xeno_fail(err, -EFBIG, "cowfs.tables",
                         "the tables of contents of the layers take more than %d bytes",
                         XENO_COWFS_TABLES_MAX_BYTES);
    }
    *ret = l;
    return 0;
}

static int open_layer(struct xeno_cowfs_images *im, const struct xeno_layer *layer,
                      struct xeno_sources *sources, struct xeno_err *err)
{
    struct xeno_cowfs_layer *l = NULL;
    int r = images_layer(im, layer, sources, &l, err);

    if (r < 0)
        return r;
    im->layers = xeno_grow(im->layers, im->layer_count + 1);
    im->layers[im->layer_count++] = l;
    return 0;
}

static int open_found(struct xeno_cowfs_images *im, struct xeno_err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < im->found_count; i++)
        for (size_t k = im->found[i]->layer_count; r == 0 && k > 0; k--)
            r = open_layer(im, &im->found[i]->layers[k - 1], im->sources[0], err);
    return r;
}

static int open_images(struct xeno_cowfs_images *im, struct xeno_err *err)
{
    struct xeno_sources *all;
    int r = new_sources(im, &all, err);

    if (r == 0)
        r = find_all(im, err);
    return r < 0 ? r : open_found(im, err);
}

static int open_stacked(struct xeno_cowfs_images *im, const struct xeno_stack *stack,
                        struct xeno_err *err)
{
    int r = 0;

    for (size_t i = stack->count; r == 0 && i > 0; i--) {
        const struct xeno_stack_part *part = &stack->parts[i - 1];
        struct xeno_sources *sources = NULL;

        if (part->dir)
            continue;
        r = new_sources(im, &sources, err);
        if (r == 0)
            r = open_layer(im, &part->layer, sources, err);
    }
    return r;
}

/* Records belong to the names, so that a new version of a template begins with the old one's. */
static void name_record(struct xeno_cowfs_images *im, const struct xeno_cowfs_images_opts *opts)
{
    xeno_autobuf text = XENO_BUF_INIT;
    char digest[XENO_DIGEST_TEXT];
    uint8_t sha[32];

    if (opts->images)
        xeno_buf_puts(&text, opts->images);
    for (size_t i = 0; !opts->images && opts->stack && i < opts->stack->count; i++)
        if (!opts->stack->parts[i].dir)
            xeno_buf_printf(&text, "%s,", opts->stack->parts[i].layer.digest);
    xeno_sha256_of(text.data, text.len, sha);
    xeno_digest_text(sha, digest);
    snprintf(im->record, sizeof im->record, "%s", digest + strlen("sha256:"));
}

static int open_cache(struct xeno_cowfs_images *im, const struct xeno_cowfs_images_opts *opts,
                      struct xeno_err *err)
{
    char user[XENO_PIECES_NAME_MAX + 1];
    int r = xeno_pieces_open(opts->cache, opts->cache_bytes, &im->pieces, err);

    if (r < 0)
        return r;
    name_record(im, opts);
    snprintf(user, sizeof user, "%.16s.%ld", im->record, (long)getpid());
    return xeno_pieces_user_open(im->pieces, user, &im->user, err);
}

static int open_agent(struct xeno_cowfs_images *im, const struct xeno_cowfs_images_opts *opts,
                      struct xeno_err *err)
{
    struct xeno_agent_opts o = { .env = xeno_env_real(),
                                 .socket = opts->imaged,
                                 .patience = opts->patience };

    return xeno_agent_new(&o, &im->agent, err);
}

int xeno_cowfs_images_open(const struct xeno_cowfs_images_opts *opts,
                           struct xeno_cowfs_images **ret, struct xeno_err *err)
{
    xeno_auto(xeno_cowfs_images) im = xeno_new0(struct xeno_cowfs_images);
    int r = 0;

    pthread_mutex_init(&im->mutex, NULL);
    pthread_cond_init(&im->changed, NULL);
    pthread_mutex_init(&im->mounting, NULL);
    im->opts = *opts;
    im->own = !has_ids(opts->shift);
    /* More than the cache can hold beside what is read would only push that out. */
    im->ahead_bytes =
        opts->ahead_bytes < opts->cache_bytes / 4 ? opts->ahead_bytes : opts->cache_bytes / 4;
    if (!opts->cache && (opts->images || opts->stack))
        return xeno_fail(err, -EINVAL, "cowfs.cache", "images are read by way of a --cache");
    if (opts->cache)
        r = open_cache(im, opts, err);
    if (r >= 0 && opts->image_store)
        r = xeno_store_open(opts->image_store, XENO_STORE_READ, &im->store, err);
    if (r >= 0 && opts->imaged)
        r = open_agent(im, opts, err);
    if (r >= 0 && opts->images)
        r = open_images(im, err);
    else if (r >= 0 && opts->stack)
        r = open_stacked(im, opts->stack, err);
    if (r < 0)
        return r;
    malloc_trim(0); /* the tables as they came were many times larger */
    *ret = xeno_take(&im);
    return 0;
}

int xeno_cowfs_images_layers(struct xeno_cowfs_images *im, struct xeno_cowfs_layer **layers,
                             size_t room, struct xeno_err *err)
{
    if (im->layer_count > room)
        return xeno_fail(err, -E2BIG, "cowfs.layers", "%zu more layers are too many",
                         im->layer_count);
    memcpy(layers, im->layers, im->layer_count * sizeof *layers);
    im->taken = true;
    return (int)im->layer_count;
}

/* --- recording and fetching ahead --- */

static void *keep_time(void *arg)
{
    struct xeno_cowfs_images *im = arg;
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += RECORD_AFTER_S;
    pthread_mutex_lock(&im->mutex);
    while (!im->over && pthread_cond_timedwait(&im->changed, &im->mutex, &until) != ETIMEDOUT)
        continue;
    pthread_mutex_unlock(&im->mutex);
    xeno_pieces_record(im->user, im->record, NULL);
    return NULL;
}

void xeno_cowfs_images_begin(struct xeno_cowfs_images *im)
{
    sigset_t all, before;
    uint8_t *shas = NULL;
    size_t count = 0;

    if (!im->pieces)
        return;
    if (im->ahead_bytes > 0)
        xeno_pieces_recorded(im->pieces, im->record, &shas, &count, NULL);
    atomic_store(&im->ahead,
                 xeno_cowfs_ahead_begin(im->layers, im->layer_count, shas, count, im->ahead_bytes));
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    im->begun = pthread_create(&im->clock, NULL, keep_time, im) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void xeno_cowfs_images_end(struct xeno_cowfs_images *im)
{
    xeno_cowfs_ahead_free(atomic_exchange(&im->ahead, NULL));
    if (!im->begun)
        return;
    pthread_mutex_lock(&im->mutex);
    im->over = true;
    pthread_cond_broadcast(&im->changed);
    pthread_mutex_unlock(&im->mutex);
    pthread_join(im->clock, NULL);
    im->begun = false;
}

struct xeno_pieces_count xeno_cowfs_images_counts(struct xeno_cowfs_images *im,
                                                  int64_t *ret_source_bytes)
{
    struct xeno_pieces_count count = { .used_bytes = 0 };

    if (im->pieces)
        xeno_pieces_counts(im->pieces, &count);
    *ret_source_bytes = 0;
    for (size_t i = 0; i < im->source_count; i++)
        *ret_source_bytes += xeno_sources_bytes(im->sources[i]);
    *ret_source_bytes += images_mounted_bytes(im);
    return count;
}

void xeno_cowfs_images_free(struct xeno_cowfs_images *im)
{
    if (!im)
        return;
    xeno_cowfs_images_end(im);
    for (size_t i = 0; !im->taken && i < im->layer_count; i++)
        im->layers[i]->ops->free(im->layers[i]);
    images_forget_mounted(im);
    for (size_t i = 0; i < im->found_count; i++)
        xeno_image_free(im->found[i]);
    xeno_pieces_user_free(im->user);
    xeno_pieces_free(im->pieces);
    for (size_t i = 0; i < im->source_count; i++)
        xeno_sources_free(im->sources[i]);
    free(im->sources);
    xeno_agent_free(im->agent);
    xeno_store_free(im->store);
    pthread_cond_destroy(&im->changed);
    pthread_mutex_destroy(&im->mutex);
    pthread_mutex_destroy(&im->mounting);
    free(im->layers);
    free(im->found);
    free(im);
}
