/* src/cowfs/images.c - find images, open their layers, fetch ahead and record. */
#include "cowfs/images.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/io.h"
#include "cowfs/ahead.h"
#include "image/agent.h"
#include "image/source-registry.h"
#include "image/store.h"

#define RECORD_AFTER_S 60 /* what a start reads it has read by then */
#define PACE_S         10 /* a registry that gives nothing for so long is away */

struct xeno_cowfs_images {
    struct xeno_pieces *pieces;
    struct xeno_pieces_user *user;
    struct xeno_sources **sources; /* of images: one for all; of a stack: of each layer its own */
    size_t source_count;
    struct xeno_agent *agent; /* NULL: nobody's */
    struct xeno_store *store;
    struct xeno_image **found; /* topmost first */
    size_t found_count;
    struct xeno_cowfs_layer **layers; /* topmost first; the caller's once he took them */
    size_t layer_count;
    bool taken;
    char record[XENO_PIECES_NAME_MAX + 1];
    int64_t ahead_bytes;

    _Atomic(struct xeno_cowfs_ahead *) ahead; /* NULL: not begun, or at its end */
    pthread_t clock;                          /* records after a while */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool begun, over;
};

/* --- finding --- */

static bool is_remote(const char *ref)
{
    return strncmp(ref, XENO_REGISTRY_SCHEME, strlen(XENO_REGISTRY_SCHEME)) == 0;
}

/* What a name stood for when it was last asked, for when nobody answers. */
#define MANIFESTS "manifests"

static char *manifest_path(const struct xeno_cowfs_images_opts *opts,
                           const struct xeno_registry_name *name)
{
    xeno_autofree char *text = xeno_registry_name_format(name);
    char digest[XENO_DIGEST_TEXT];
    uint8_t sha[32];

    xeno_sha256_of(text, strlen(text), sha);
    xeno_digest_text(sha, digest);
    return xeno_asprintf("%s/" MANIFESTS "/%s", opts->cache, digest + strlen("sha256:"));
}

static int keep_manifest(const struct xeno_cowfs_images_opts *opts,
                         const struct xeno_registry_name *name, const char *text, size_t len,
                         struct xeno_err *err)
{
    xeno_autofree char *path = manifest_path(opts, name);
    xeno_autofree char *folder = xeno_asprintf("%s/" MANIFESTS, opts->cache);
    int r = xeno_mkdirs(AT_FDCWD, folder, 0700, err);

    return r < 0 ? r : xeno_file_write(AT_FDCWD, path, 0600, text, len, err);
}

static int read_kept(const struct xeno_cowfs_images_opts *opts,
                     const struct xeno_registry_name *name, char **ret, size_t *ret_len)
{
    xeno_autofree char *path = manifest_path(opts, name);
    char digest[XENO_DIGEST_TEXT];
    uint8_t sha[32];
    int r = xeno_file_read(AT_FDCWD, path, XENO_MANIFEST_MAX_BYTES, ret, ret_len, NULL);

    if (r < 0 || !name->digest[0])
        return r;
    xeno_sha256_of(*ret, *ret_len, sha);
    xeno_digest_text(sha, digest);
    return strcmp(digest, name->digest) == 0 ? 0 : -EBADMSG;
}

/* A registry that is away is none that says no. */
static int read_manifest(const struct xeno_cowfs_images_opts *opts,
                         const struct xeno_registry_name *name, struct xeno_source *s, char **ret,
                         size_t *ret_len, struct xeno_err *err)
{
    struct xeno_err why = XENO_ERR_INIT;
    char digest[XENO_DIGEST_TEXT];
    int r = xeno_source_registry_manifest(s, name->digest[0] ? name->digest : name->tag, ret,
                                          ret_len, digest, &why);

    if (r >= 0)
        return keep_manifest(opts, name, *ret, *ret_len, err);
    if (r != -ENOENT && r != -EACCES && r != -EBADMSG && read_kept(opts, name, ret, ret_len) >= 0) {
        if (opts->old_manifest)
            opts->old_manifest(opts->arg, s->name, &why);
        return 0;
    }
    return xeno_fail(err, r, why.token, "%s", why.text);
}

static int find_remote(struct xeno_cowfs_images *im, const struct xeno_cowfs_images_opts *opts,
                       const char *ref, struct xeno_image **ret, struct xeno_err *err)
{
    struct xeno_registry_name name = { .host = "" };
    struct xeno_source_registry_opts o = { .env = xeno_env_real(),
                                           .name = &name,
                                           .ca_file = opts->registry_ca,
                                           .plain = opts->registry_plain,
                                           .auth_file = opts->registry_auth,
                                           .pace_s = PACE_S };
    xeno_autofree char *text = NULL;
    struct xeno_source *s = NULL;
    size_t len;
    int r = xeno_registry_name_parse(ref, &name, err);

    if (r >= 0)
        r = xeno_source_registry(&o, &s, err);
    if (r < 0)
        return r;
    xeno_sources_add(im->sources[0], s);
    r = read_manifest(opts, &name, s, &text, &len, err);
    return r < 0 ? r : xeno_manifest_parse(text, len, ret, err);
}

static int find_one(struct xeno_cowfs_images *im, const struct xeno_cowfs_images_opts *opts,
                    const char *ref, struct xeno_err *err)
{
    struct xeno_image *found = NULL;
    int r;

    if (is_remote(ref))
        r = find_remote(im, opts, ref, &found, err);
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

static int find_all(struct xeno_cowfs_images *im, const struct xeno_cowfs_images_opts *opts,
                    struct xeno_err *err)
{
    xeno_autofree char *copy = xeno_strdup(opts->images);
    char *rest = copy, *ref;
    int r = 0;

    while (r == 0 && (ref = strsep(&rest, ",")))
        r = find_one(im, opts, ref, err);
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

static int new_sources(struct xeno_cowfs_images *im, const struct xeno_cowfs_images_opts *opts,
                       struct xeno_sources **ret, struct xeno_err *err)
{
    struct xeno_sources_opts o = { .env = xeno_env_real(),
                                   .patience = opts->patience,
                                   .event = opts->source_event,
                                   .arg = opts->arg };
    struct xeno_source *s = NULL;
    int r = 0;

    im->sources = xeno_grow(im->sources, im->source_count + 1);
    *ret = im->sources[im->source_count++] = xeno_sources_new(&o);
    if (opts->image_store)
        r = xeno_source_store(opts->image_store, &s, err);
    if (s)
        xeno_sources_add(*ret, s);
    if (r >= 0 && im->agent)
        r = xeno_source_agent(im->agent, "xeno-imaged", &s, err);
    if (r >= 0 && im->agent)
        xeno_sources_add(*ret, s);
    return r < 0 ? r : 0;
}

static void more(void *arg, struct xeno_cowfs_layer *l, size_t first, size_t count)
{
    struct xeno_cowfs_images *im = arg;
    struct xeno_cowfs_ahead *a = atomic_load(&im->ahead);

    if (a)
        xeno_cowfs_ahead_more(a, l, first, count);
}

static int open_layer(struct xeno_cowfs_images *im, const struct xeno_cowfs_images_opts *opts,
                      const struct xeno_layer *layer, struct xeno_sources *sources,
                      struct xeno_err *err)
{
    struct xeno_cowfs_toc_opts o = { .pieces = im->pieces,
                                     .user = im->user,
                                     .sources = sources,
                                     .shift = (uint32_t)opts->shift,
                                     .own = !has_ids(opts->shift),
                                     .more = more,
                                     .more_arg = im,
                                     .failed = opts->read_failed,
                                     .arg = opts->arg };
    size_t bytes = 0;
    int r;

    im->layers = xeno_grow(im->layers, im->layer_count + 1);
    r = xeno_cowfs_layer_toc(layer, &o, &im->layers[im->layer_count], err);
    if (r < 0)
        return r;
    im->layer_count++;
    for (size_t i = 0; i < im->layer_count; i++)
        bytes += xeno_cowfs_toc_memory(im->layers[i]);
    if (bytes > XENO_COWFS_TABLES_MAX_BYTES)
        return xeno_fail(err, -EFBIG, "cowfs.tables",
                         "the tables of contents of the layers take more than %d bytes",
                         XENO_COWFS_TABLES_MAX_BYTES);
    return 0;
}

static int open_found(struct xeno_cowfs_images *im, const struct xeno_cowfs_images_opts *opts,
                      struct xeno_err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < im->found_count; i++)
        for (size_t k = im->found[i]->layer_count; r == 0 && k > 0; k--)
            r = open_layer(im, opts, &im->found[i]->layers[k - 1], im->sources[0], err);
    return r;
}

static int open_images(struct xeno_cowfs_images *im, const struct xeno_cowfs_images_opts *opts,
                       struct xeno_err *err)
{
    struct xeno_sources *all;
    int r = new_sources(im, opts, &all, err);

    if (r == 0)
        r = find_all(im, opts, err);
    return r < 0 ? r : open_found(im, opts, err);
}

static int open_stacked(struct xeno_cowfs_images *im, const struct xeno_cowfs_images_opts *opts,
                        struct xeno_err *err)
{
    int r = 0;

    for (size_t i = opts->stack->count; r == 0 && i > 0; i--) {
        const struct xeno_stack_part *part = &opts->stack->parts[i - 1];
        struct xeno_sources *sources = NULL;

        if (part->dir)
            continue;
        r = new_sources(im, opts, &sources, err);
        if (r == 0)
            r = open_layer(im, opts, &part->layer, sources, err);
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
    for (size_t i = 0; !opts->images && i < opts->stack->count; i++)
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
    int r;

    pthread_mutex_init(&im->mutex, NULL);
    pthread_cond_init(&im->changed, NULL);
    /* More than the cache can hold beside what is read would only push that out. */
    im->ahead_bytes =
        opts->ahead_bytes < opts->cache_bytes / 4 ? opts->ahead_bytes : opts->cache_bytes / 4;
    if (!opts->cache)
        return xeno_fail(err, -EINVAL, "cowfs.cache", "images are read by way of a --cache");
    r = open_cache(im, opts, err);
    if (r >= 0 && opts->image_store)
        r = xeno_store_open(opts->image_store, XENO_STORE_READ, &im->store, err);
    if (r >= 0 && opts->imaged)
        r = open_agent(im, opts, err);
    if (r >= 0)
        r = opts->images ? open_images(im, opts, err) : open_stacked(im, opts, err);
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
    struct xeno_pieces_count count;

    xeno_pieces_counts(im->pieces, &count);
    *ret_source_bytes = 0;
    for (size_t i = 0; i < im->source_count; i++)
        *ret_source_bytes += xeno_sources_bytes(im->sources[i]);
    return count;
}

void xeno_cowfs_images_free(struct xeno_cowfs_images *im)
{
    if (!im)
        return;
    xeno_cowfs_images_end(im);
    for (size_t i = 0; !im->taken && i < im->layer_count; i++)
        im->layers[i]->ops->free(im->layers[i]);
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
    free(im->layers);
    free(im->found);
    free(im);
}
