/* src/imaged/memory.c - which images and layers are known, and where layers can be had.
 *
 * Images are what the store's index lists; the rest is in small files of their own (rfc/0011,
 * section 6), each written before whoever made it necessary is answered.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "imaged/imaged.h"

#define FILE_MAX (IMAGED_SOURCES_MAX * 1024)

static char *layer_path(const struct imaged *d, const char *digest)
{
    return imaged_path(d, "layers/%s", digest + strlen("sha256:"));
}

/* --- layers --- */

static void layer_free(struct imaged *d, struct layer *l)
{
    HASH_DEL(d->layers, l);
    while (l->source_count > 0)
        free(l->sources[--l->source_count]);
    free(l);
}

/* A line each, the last one named first; what is no name is passed over. */
static void read_sources(struct imaged *d, struct layer *l)
{
    xeno_autofree char *path = layer_path(d, l->digest);
    xeno_autofree char *text = NULL;
    char *rest, *line;
    size_t len;

    if (xeno_file_read(AT_FDCWD, path, FILE_MAX, &text, &len, NULL) < 0)
        return;
    rest = text;
    while (l->source_count < IMAGED_SOURCES_MAX && (line = strsep(&rest, "\n"))) {
        struct xeno_registry_name name;

        if (*line && xeno_registry_name_parse(line, &name, NULL) == 0)
            l->sources[l->source_count++] = xeno_strdup(line);
    }
}

/* The lines of its file; the caller's. */
static char *format_sources(const struct layer *l)
{
    char *text = xeno_strdup("");

    for (size_t i = 0; i < l->source_count; i++) {
        char *more = xeno_asprintf("%s%s\n", text, l->sources[i]);

        free(text);
        text = more;
    }
    return text;
}

/* To the front. Returns: is anything other than before? */
static bool add_source(struct layer *l, const char *name)
{
    char *mine = NULL;
    size_t i = 0;

    if (l->source_count > 0 && strcmp(l->sources[0], name) == 0)
        return false;
    while (i < l->source_count && strcmp(l->sources[i], name) != 0)
        i++;
    if (i < l->source_count)
        mine = l->sources[i];
    else if (i == IMAGED_SOURCES_MAX)
        free(l->sources[--i]);
    else
        l->source_count++;
    memmove(&l->sources[1], &l->sources[0], i * sizeof l->sources[0]);
    l->sources[0] = mine ? mine : xeno_strdup(name);
    return true;
}

static struct layer *layer_get(struct imaged *d, const struct xeno_layer *what)
{
    struct layer *l;

    HASH_FIND_STR(d->layers, what->digest, l);
    if (l) {
        if (l->what.toc.bytes == 0)
            l->what.toc = what->toc; /* another manifest told of no table */
        return l;
    }
    l = xeno_new0(struct layer);
    snprintf(l->digest, sizeof l->digest, "%s", what->digest);
    l->what = *what;
    l->progress =
        (struct xeno_agent_progress){ .size_bytes = what->size_bytes, .state = XENO_AGENT_KNOWN };
    snprintf(l->progress.layer, sizeof l->progress.layer, "%s", what->digest);
    read_sources(d, l);
    HASH_ADD_STR(d->layers, digest, l);
    return l;
}

void layer_view_release(struct layer_view *v)
{
    while (v->source_count > 0)
        free(v->sources[--v->source_count]);
}

int memory_layer(struct imaged *d, const char *digest, struct layer_view *ret, struct xeno_err *err)
{
    const struct layer *l;

    pthread_mutex_lock(&d->mutex);
    HASH_FIND_STR(d->layers, digest, l);
    if (l) {
        *ret = (struct layer_view){ .what = l->what, .source_count = l->source_count };
        for (size_t i = 0; i < l->source_count; i++)
            ret->sources[i] = xeno_strdup(l->sources[i]);
    }
    pthread_mutex_unlock(&d->mutex);
    return l ? 0
             : xeno_fail(err, -ENOENT, "agent.layer", "no image that was resolved has the layer %s",
                         digest);
}

/* --- progress --- */

void memory_progress(struct imaged *d, const char *digest, struct xeno_agent_progress *ret)
{
    const struct layer *l;

    *ret = (struct xeno_agent_progress){ .state = XENO_AGENT_UNKNOWN };
    snprintf(ret->layer, sizeof ret->layer, "%s", digest);
    pthread_mutex_lock(&d->mutex);
    HASH_FIND_STR(d->layers, digest, l);
    if (l)
        *ret = l->progress;
    pthread_mutex_unlock(&d->mutex);
}

void memory_state(struct imaged *d, const char *digest, enum xeno_agent_state state, int64_t total,
                  const struct xeno_err *why)
{
    struct layer *l;

    pthread_mutex_lock(&d->mutex);
    HASH_FIND_STR(d->layers, digest, l);
    if (l) {
        l->progress.state = state;
        l->progress.error = why ? *why : (struct xeno_err)XENO_ERR_INIT;
        if (total >= 0)
            l->progress.total_bytes = total;
    }
    pthread_mutex_unlock(&d->mutex);
}

void memory_fetched(struct imaged *d, const char *digest, int64_t bytes)
{
    struct layer *l;

    atomic_fetch_add(&d->count.network_bytes, bytes);
    pthread_mutex_lock(&d->mutex);
    HASH_FIND_STR(d->layers, digest, l);
    if (l) {
        l->progress.fetched_bytes += bytes;
        if (l->progress.state != XENO_AGENT_FAILED && l->progress.error.code != -EBADMSG)
            l->progress.error = (struct xeno_err)XENO_ERR_INIT;
    }
    pthread_mutex_unlock(&d->mutex);
}

void memory_missed(struct imaged *d, const char *digest, const char *from,
                   const struct xeno_err *why)
{
    struct layer *l;

    pthread_mutex_lock(&d->mutex);
    HASH_FIND_STR(d->layers, digest, l);
    if (l && why->code == -EBADMSG)
        xeno_fail(&l->progress.error, why->code, "source.lies", "%s gives wrong bytes", from);
    else if (l && l->progress.error.code != -EBADMSG)
        xeno_fail(&l->progress.error, why->code, why->token, "%s", why->text);
    pthread_mutex_unlock(&d->mutex);
}

/* --- images --- */

static struct image *image_find(struct imaged *d, const char *digest)
{
    struct image *im;

    HASH_FIND_STR(d->images, digest, im);
    return im;
}

static struct image *image_add(struct imaged *d, const struct xeno_image *from)
{
    struct image *im = xeno_new0(struct image);

    snprintf(im->digest, sizeof im->digest, "%s", from->digest);
    im->kind = from->kind;
    im->layer_count = from->layer_count;
    im->layers = xeno_new0_n(struct layer *, from->layer_count + 1);
    for (size_t i = 0; i < from->layer_count; i++) {
        im->layers[i] = layer_get(d, &from->layers[i]);
        im->layers[i]->images++;
    }
    HASH_ADD_STR(d->images, digest, im);
    return im;
}

static void image_free(struct imaged *d, struct image *im)
{
    HASH_DEL(d->images, im);
    for (size_t i = 0; i < im->layer_count; i++)
        if (--im->layers[i]->images == 0)
            layer_free(d, im->layers[i]);
    free(im->layers);
    free(im);
}

static char *manifest_path(const struct imaged *d, const char *digest)
{
    return imaged_path(d, "store/blobs/sha256/%s", digest + strlen("sha256:"));
}

/* When it was last resolved is when its manifest was last touched. */
static int64_t used_at(const struct imaged *d, const char *digest)
{
    xeno_autofree char *path = manifest_path(d, digest);
    struct stat st;

    return stat(path, &st) == 0 ? st.st_mtim.tv_sec : 0;
}

static void touch(const struct imaged *d, struct image *im)
{
    xeno_autofree char *path = manifest_path(d, im->digest);

    im->used_s = xeno_wall(d->env).ns / XENO_NS_PER_S;
    (void)utimensat(AT_FDCWD, path, NULL, 0); /* then it looks older than it is */
}

/* A file that is to be written: with what is to stand in it. */
struct change {
    char *path, *text;
};

static int write_changes(struct imaged *d, struct change *list, size_t count, struct xeno_err *err)
{
    int r = 0;

    pthread_mutex_lock(&d->files_mutex);
    for (size_t i = 0; i < count; i++) {
        if (r >= 0)
            r = xeno_file_write(AT_FDCWD, list[i].path, 0600, list[i].text, strlen(list[i].text),
                                err);
        free(list[i].path);
        free(list[i].text);
    }
    pthread_mutex_unlock(&d->files_mutex);
    return r;
}

int memory_resolved(struct imaged *d, const struct xeno_image *im, const struct repo *from,
                    struct xeno_err *err)
{
    struct change changes[XENO_LAYERS_MAX];
    struct image *mine;
    size_t count = 0;

    pthread_mutex_lock(&d->mutex);
    mine = image_find(d, im->digest);
    if (!mine)
        mine = image_add(d, im);
    touch(d, mine);
    for (size_t i = 0; from && i < mine->layer_count && i < XENO_LAYERS_MAX; i++)
        if (add_source(mine->layers[i], repo_name(from)))
            changes[count++] = (struct change){ layer_path(d, mine->layers[i]->digest),
                                                format_sources(mine->layers[i]) };
    pthread_mutex_unlock(&d->mutex);
    return write_changes(d, changes, count, err);
}

int memory_image(struct imaged *d, const char *digest, const char *name,
                 struct xeno_agent_image **ret, struct xeno_err *err)
{
    struct xeno_agent_image *out = NULL;
    struct image *im;

    pthread_mutex_lock(&d->mutex);
    im = image_find(d, digest);
    if (im) {
        touch(d, im);
        out = xeno_new0(struct xeno_agent_image);
        out->kind = im->kind;
        out->layer_count = im->layer_count;
        out->layers = xeno_new0_n(struct xeno_agent_layer, im->layer_count + 1);
        for (size_t i = 0; i < im->layer_count; i++) {
            const struct layer *l = im->layers[i];

            memcpy(out->layers[i].digest, l->digest, sizeof l->digest);
            out->layers[i].size_bytes = l->what.size_bytes;
            out->layers[i].table = l->what.toc.bytes > 0;
        }
    }
    pthread_mutex_unlock(&d->mutex);
    if (!out)
        return xeno_fail(err, -ENOENT, "image.unknown", "the image %s is not known", digest);
    snprintf(out->manifest, sizeof out->manifest, "%s", digest);
    out->name = xeno_strdup(name);
    *ret = out;
    return 0;
}

/* --- names --- */

static char *name_path(const struct imaged *d, const char *name)
{
    char digest[XENO_DIGEST_TEXT];
    uint8_t sha[32];

    xeno_sha256_of(name, strlen(name), sha);
    xeno_digest_text(sha, digest);
    return imaged_path(d, "names/%s", digest + strlen("sha256:"));
}

/* The two lines of a file. */
static int name_read(const char *path, char **ret_name, char ret_digest[XENO_DIGEST_TEXT],
                     struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    char *end, *digest;
    size_t len;
    int r = xeno_file_read(AT_FDCWD, path, FILE_MAX, &text, &len, err);

    if (r < 0)
        return r;
    end = strchr(text, '\n');
    digest = end ? end + 1 : text;
    digest[strcspn(digest, "\n")] = '\0';
    if (!end || !xeno_digest_ok(digest))
        return xeno_fail(err, -EBADMSG, "agent.memory", "'%s' is not one of ours", path);
    *end = '\0';
    strcpy(ret_digest, digest);
    *ret_name = xeno_strdup(text);
    return 0;
}

int memory_name(struct imaged *d, const char *name, char ret_digest[XENO_DIGEST_TEXT],
                struct xeno_err *err)
{
    xeno_autofree char *path = name_path(d, name);
    xeno_autofree char *there = NULL;
    int r = name_read(path, &there, ret_digest, err);

    if (r == 0 && strcmp(there, name) != 0)
        return xeno_fail(err, -ENOENT, "agent.memory", "'%s' was not resolved before", name);
    return r;
}

int memory_name_set(struct imaged *d, const char *name, const char *digest, struct xeno_err *err)
{
    xeno_autofree char *path = name_path(d, name);
    xeno_autofree char *text = xeno_asprintf("%s\n%s\n", name, digest);
    char was[XENO_DIGEST_TEXT];

    if (memory_name(d, name, was, NULL) == 0 && strcmp(was, digest) == 0)
        return 0;
    return write_changes(d, &(struct change){ xeno_take(&path), xeno_take(&text) }, 1, err);
}

/* --- what is needed --- */

void memory_keep(struct imaged *d, char (*digests)[XENO_DIGEST_TEXT], size_t count, bool more)
{
    struct image *im;

    pthread_mutex_lock(&d->mutex);
    for (size_t i = 0; i < count; i++)
        if ((im = image_find(d, digests[i])))
            im->keep_next = true;
    for (im = d->images; !more && im; im = im->hh.next) {
        im->kept = im->keep_next;
        im->keep_next = false;
    }
    d->keep_heard |= !more;
    pthread_mutex_unlock(&d->mutex);
}

/* Between resolving and the session that needs it; and when there are too many. */
#define RECENT_S 600
#define HASTY_S  60

size_t memory_images(struct imaged *d)
{
    size_t n;

    pthread_mutex_lock(&d->mutex);
    n = HASH_COUNT(d->images);
    pthread_mutex_unlock(&d->mutex);
    return n;
}

bool memory_oldest(struct imaged *d, char ret[XENO_DIGEST_TEXT])
{
    bool hasty = memory_images(d) > IMAGED_IMAGES_MAX;
    int64_t before = xeno_wall(d->env).ns / XENO_NS_PER_S - (hasty ? HASTY_S : RECENT_S);
    const struct image *oldest = NULL;

    pthread_mutex_lock(&d->mutex);
    for (const struct image *im = d->keep_heard ? d->images : NULL; im; im = im->hh.next)
        if (!im->kept && !im->keep_next && im->used_s < before &&
            (!oldest || im->used_s < oldest->used_s))
            oldest = im;
    if (oldest)
        memcpy(ret, oldest->digest, sizeof oldest->digest);
    pthread_mutex_unlock(&d->mutex);
    return oldest != NULL;
}

void memory_forget(struct imaged *d, const char *digest)
{
    struct image *im;

    pthread_mutex_lock(&d->mutex);
    im = image_find(d, digest);
    if (im)
        image_free(d, im);
    pthread_mutex_unlock(&d->mutex);
}

/* --- files that nothing needs --- */

struct known_name {
    char *path;
    int64_t set_s;
};

static int by_age(const void *a, const void *b)
{
    const struct known_name *x = a, *y = b;

    return x->set_s < y->set_s ? 1 : x->set_s > y->set_s ? -1 : 0;
}

/* What a name stood for, if that image is known; else the file is none that anybody needs. */
static bool name_is_needed(struct imaged *d, const char *path)
{
    xeno_autofree char *name = NULL;
    char digest[XENO_DIGEST_TEXT];
    bool known;

    if (name_read(path, &name, digest, NULL) < 0)
        return false;
    pthread_mutex_lock(&d->mutex);
    known = image_find(d, digest) != NULL;
    pthread_mutex_unlock(&d->mutex);
    return known;
}

static void sweep_names(struct imaged *d)
{
    xeno_autofree char *folder = imaged_path(d, "names");
    xeno_autofree struct known_name *names = NULL;
    DIR *dir = opendir(folder);
    struct dirent *e;
    size_t count = 0;

    while (dir && (e = readdir(dir))) {
        char *path = xeno_asprintf("%s/%s", folder, e->d_name);
        struct stat st;

        if (e->d_name[0] != '.' && name_is_needed(d, path) && stat(path, &st) == 0) {
            names = xeno_grow(names, count + 1);
            names[count++] = (struct known_name){ path, st.st_mtim.tv_sec };
            continue;
        }
        if (e->d_name[0] != '.')
            unlink(path);
        free(path);
    }
    if (dir)
        closedir(dir);
    if (count > IMAGED_NAMES_MAX)
        qsort(names, count, sizeof *names, by_age);
    for (size_t i = 0; i < count; i++) {
        if (i >= IMAGED_NAMES_MAX)
            unlink(names[i].path);
        free(names[i].path);
    }
}

static void sweep_layers(struct imaged *d)
{
    xeno_autofree char *folder = imaged_path(d, "layers");
    DIR *dir = opendir(folder);
    struct dirent *e;

    while (dir && (e = readdir(dir))) {
        xeno_autofree char *path = xeno_asprintf("%s/%s", folder, e->d_name);
        xeno_autofree char *digest = xeno_asprintf("sha256:%s", e->d_name);
        const struct layer *l;

        if (e->d_name[0] == '.')
            continue;
        pthread_mutex_lock(&d->mutex);
        HASH_FIND_STR(d->layers, digest, l);
        if (!l)
            unlink(path);
        pthread_mutex_unlock(&d->mutex);
    }
    if (dir)
        closedir(dir);
}

void memory_sweep(struct imaged *d)
{
    pthread_mutex_lock(&d->files_mutex);
    sweep_names(d);
    sweep_layers(d);
    pthread_mutex_unlock(&d->files_mutex);
}

/* --- at start --- */

static int load_images(struct imaged *d, struct xeno_store *st, struct xeno_err *err)
{
    xeno_auto(xeno_store_list) list = NULL;
    int r = xeno_store_list(st, &list, err);

    for (size_t i = 0; r >= 0 && i < list->count; i++) {
        xeno_auto(xeno_image) im = NULL;
        struct xeno_err why = XENO_ERR_INIT;

        if (image_find(d, list->items[i].digest))
            continue;
        if (xeno_store_load(st, list->items[i].digest, &im, &why) < 0) {
            xeno_log_err(LOG_WARNING, "image.unreadable", &why, "image=%s", list->items[i].digest);
            xeno_store_remove(st, list->items[i].digest, NULL); /* it is resolved again */
            continue;
        }
        image_add(d, im)->used_s = used_at(d, im->digest);
    }
    return r < 0 ? r : 0;
}

int memory_open(struct imaged *d, struct xeno_err *err)
{
    xeno_autofree char *store = imaged_path(d, "store");
    xeno_autofree char *names = imaged_path(d, "names");
    xeno_autofree char *layers = imaged_path(d, "layers");
    xeno_auto(xeno_store) st = NULL;
    int r = xeno_store_open(store, XENO_STORE_CREATE, &st, err);

    if (r >= 0)
        r = xeno_mkdirs(AT_FDCWD, names, 0700, err);
    if (r >= 0)
        r = xeno_mkdirs(AT_FDCWD, layers, 0700, err);
    if (r >= 0)
        r = load_images(d, st, err);
    if (r >= 0)
        r = xeno_source_store(store, &d->local, err);
    return r < 0 ? r : 0;
}

void memory_close(struct imaged *d)
{
    struct image *im, *next;

    HASH_ITER (hh, d->images, im, next) {
        image_free(d, im);
    }
    if (d->local) {
        free(d->local->name);
        d->local->ops->free(d->local);
    }
}
