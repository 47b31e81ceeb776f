/* src/xstored/s3.c - objects in a bucket: from stage to object, finding, opening. The rules are in
 * s3-priv.h. */
#include "xstored/s3-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/enc.h"
#include "base/io.h"

#define ID_FILE    "id"
#define LITTER_MAX 100000 /* the rest is found when the bucket is looked at again */

void s3_key(const char *digest, const char *name, char out[KEY_TEXT])
{
    snprintf(out, KEY_TEXT, "%.64s-%.32s", s3_hex(digest), name);
}

void s3_draw(const struct s3 *s, char name[NAME_CHARS + 1])
{
    uint8_t raw[NAME_CHARS / 2];

    xeno_random(s->env, raw, sizeof raw);
    xeno_hex(raw, sizeof raw, name);
}

/* Or a digest. */
void s3_add_key(struct keys *k, const char *key)
{
    if (k->count >= LITTER_MAX)
        return;
    if (k->count == k->room) {
        k->room = k->room ? 2 * k->room : 64;
        k->key = xeno_grow(k->key, k->room);
    }
    snprintf(k->key[k->count++], KEY_TEXT, "%s", key);
}

/* The name of the copy that counts. Errors: -ENOENT store.missing. */
int s3_place(struct s3 *s, const char *digest, char name[NAME_CHARS + 1], struct xeno_err *err)
{
    xeno_autoclose int fd = -1;
    uint8_t raw[NAME_CHARS / 2];
    int64_t size = 0;
    int r = s->places->back->find(s->places, digest, &fd, &size, err);

    if (r < 0)
        return r;
    name[NAME_CHARS] = '\0';
    if (size != NAME_CHARS || pread(fd, name, NAME_CHARS, 0) != NAME_CHARS ||
        !xeno_unhex(name, raw, sizeof raw))
        return xeno_fail(err, -EIO, "store.read", "the place of %s cannot be read", digest);
    return 0;
}

/* --- stages --- */

static int s3_stage_open(struct xstored_objects *o, const char *id, int *ret_fd, int64_t *ret_size,
                         struct xeno_err *err)
{
    struct s3 *s = (struct s3 *)o;

    return s->cache->back->stage_open(s->cache, id, ret_fd, ret_size, err);
}

static int s3_stage_add(struct xstored_objects *o, int fd, int64_t at, const void *data, size_t len,
                        struct xeno_err *err)
{
    struct s3 *s = (struct s3 *)o;

    return s->cache->back->stage_add(s->cache, fd, at, data, len, err);
}

/* What was sent of it and is not published is litter. */
void s3_end_flight(struct s3 *s, const char *id, bool failed)
{
    struct flight *f;

    HASH_FIND_STR(s->flights, id, f);
    if (!f)
        return;
    if (failed)
        s3_add_key(&s->litter, f->key);
    HASH_DEL(s->flights, f);
    free(f);
}

static int s3_stage_note(struct xstored_objects *o, const char *id, const char *note,
                         struct xeno_err *err)
{
    struct s3 *s = (struct s3 *)o;

    return s->cache->back->stage_note(s->cache, id, note, err);
}

static void s3_stage_drop(struct xstored_objects *o, const char *id)
{
    struct s3 *s = (struct s3 *)o;

    s->cache->back->stage_drop(s->cache, id);
    s->places->back->stage_drop(s->places, id);
    pthread_mutex_lock(&s->lock);
    s3_end_flight(s, id, true);
    pthread_mutex_unlock(&s->lock);
}

static int64_t s3_room(struct xstored_objects *o)
{
    struct s3 *s = (struct s3 *)o;

    return s->cache->back->room(s->cache);
}

static int s3_stages(struct xstored_objects *o,
                     void (*each)(const char *id, const char *note, void *arg), void *arg,
                     struct xeno_err *err)
{
    struct s3 *s = (struct s3 *)o;

    return s->cache->back->stages(s->cache, each, arg, err);
}

/* --- from stage to object --- */

int s3_write_place(struct s3 *s, const char *id, const char *digest, const char *name,
                   struct xeno_err *err)
{
    xeno_autoclose int fd = -1;
    int64_t size = 0;
    int r;

    s->places->back->stage_drop(s->places, id); /* an older one may be a place by now */
    r = s->places->back->stage_open(s->places, id, &fd, &size, err);

    if (r == 0)
        r = s->places->back->stage_add(s->places, fd, 0, name, NAME_CHARS, err);
    return r < 0 ? r : s->places->back->settle(s->places, id, digest, NAME_CHARS, err);
}

static int send_stage(struct s3 *s, const char *id, const char *key, int64_t size,
                      struct xeno_err *err)
{
    xeno_autoclose int fd = -1;
    int64_t there = 0;
    int r = s->cache->back->stage_open(s->cache, id, &fd, &there, err);

    return r < 0 ? r : bucket_put(s->bucket, key, fd, size, err);
}

void s3_begin_flight(struct s3 *s, const char *id, const char *key)
{
    struct flight *f = xeno_new0(struct flight);

    snprintf(f->key, sizeof f->key, "%s", key);
    snprintf(f->id, sizeof f->id, "%s", id);
    pthread_mutex_lock(&s->lock);
    s3_end_flight(s, id, true);
    HASH_ADD_STR(s->flights, id, f);
    pthread_mutex_unlock(&s->lock);
}

static int s3_settle(struct xstored_objects *o, const char *id, const char *digest, int64_t size,
                     struct xeno_err *err)
{
    struct s3 *s = (struct s3 *)o;
    char name[NAME_CHARS + 1], key[KEY_TEXT];
    int r;

    s3_draw(s, name);
    s3_key(digest, name, key);
    s3_begin_flight(s, id, key);
    r = s->cache->back->settle(s->cache, id, digest, size, err);
    if (r == 0 && !s->marked)
        r = s3_check_mark(s, err);
    if (r == 0)
        r = send_stage(s, id, key, size, err);
    if (r == 0)
        r = s3_write_place(s, id, digest, name, err);
    if (r < 0) {
        pthread_mutex_lock(&s->lock);
        s3_end_flight(s, id, true);
        pthread_mutex_unlock(&s->lock);
    }
    return r;
}

int s3_place_copy(struct s3 *s, const char *id, const char *digest, struct xeno_err *err)
{
    char old[NAME_CHARS + 1] = "", now[NAME_CHARS + 1] = "", key[KEY_TEXT];
    xeno_autoclose int fd = -1;
    int64_t size = 0;
    int r;

    (void)s3_place(s, digest, old, NULL);
    r = s->places->back->publish(s->places, id, digest, err);
    if (r == 0)
        r = s3_place(s, digest, now, err);
    if (r < 0)
        return r;
    if (*old && strcmp(old, now) != 0) {
        s3_key(digest, old, key);
        s3_add_key(&s->pending, key);
    }
    s3_end_flight(s, id, false);
    /* Without a copy it is fetched when somebody asks for it. */
    if (s->cache->back->publish(s->cache, id, digest, NULL) == 0 &&
        s->cache->back->find(s->cache, digest, &fd, &size, NULL) == 0)
        (void)s3_add_copy(s, digest, size);
    s3_evict(s);
    return 0;
}

static int s3_publish(struct xstored_objects *o, const char *id, const char *digest,
                      struct xeno_err *err)
{
    struct s3 *s = (struct s3 *)o;
    int r;

    pthread_mutex_lock(&s->lock);
    r = s3_place_copy(s, id, digest, err);
    pthread_mutex_unlock(&s->lock);
    return r;
}

static int s3_flush(struct xstored_objects *o, struct xeno_err *err)
{
    struct s3 *s = (struct s3 *)o;
    int r = s->places->back->flush(s->places, err);

    if (r < 0)
        return r;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->pending.count; i++)
        s3_add_key(&s->litter, s->pending.key[i]);
    s->pending.count = 0;
    pthread_mutex_unlock(&s->lock);
    return 0;
}

/* --- reading --- */

static int s3_find(struct xstored_objects *o, const char *digest, int *ret_fd, int64_t *ret_size,
                   struct xeno_err *err)
{
    struct s3 *s = (struct s3 *)o;
    char name[NAME_CHARS + 1];
    int r;

    pthread_mutex_lock(&s->lock);
    r = s->cache->back->find(s->cache, digest, ret_fd, ret_size, NULL);
    s3_used(s, digest);
    if (r < 0)
        r = s3_place(s, digest, name, err);
    else
        r = 1;
    pthread_mutex_unlock(&s->lock);
    return r == 1  ? 0
           : r < 0 ? r
                   : xeno_fail(err, -EAGAIN, "store.elsewhere", "%s must be fetched", digest);
}

/* --- removing --- */

static int s3_remove(struct xstored_objects *o, const char *digest, struct xeno_err *err)
{
    struct s3 *s = (struct s3 *)o;
    char name[NAME_CHARS + 1], key[KEY_TEXT];
    struct copy *c;
    int r;

    pthread_mutex_lock(&s->lock);
    if (s3_place(s, digest, name, NULL) == 0) {
        s3_key(digest, name, key);
        s3_add_key(&s->pending, key);
    }
    r = s->places->back->remove(s->places, digest, err);
    c = s3_copy_of(s, digest);
    if (r == 0 && s->cache->back->remove(s->cache, digest, NULL) == 0 && c && !c->coming)
        s3_drop_copy(s, c);
    pthread_mutex_unlock(&s->lock);
    return r;
}

static void s3_purge(struct xstored_objects *o, const char *digest)
{
    struct s3 *s = (struct s3 *)o;

    s->places->back->purge(s->places, digest);
    s->cache->back->purge(s->cache, digest);
}

/* What `fd` has open is a copy: without it the object is fetched again. */
static int s3_quarantine(struct xstored_objects *o, const char *digest, int fd,
                         struct xeno_err *err)
{
    struct s3 *s = (struct s3 *)o;
    struct copy *c;
    int r;

    pthread_mutex_lock(&s->lock);
    r = s->cache->back->quarantine(s->cache, digest, fd, err);
    c = s3_copy_of(s, digest);
    if (r > 0 && c && !c->coming)
        s3_drop_copy(s, c);
    pthread_mutex_unlock(&s->lock);
    return r < 0 ? r : 0;
}

/* --- what is there --- */

static int s3_each(struct xstored_objects *o, int64_t *cursor, char (*ret)[XENO_DIGEST_TEXT],
                   int max, struct xeno_err *err)
{
    struct s3 *s = (struct s3 *)o;

    return s->places->back->each(s->places, cursor, ret, max, err);
}

static void s3_stop(struct xstored_objects *o)
{
    bucket_stop(((struct s3 *)o)->bucket);
}

/* --- opening and closing --- */

static void s3_close(struct xstored_objects *o)
{
    struct s3 *s = (struct s3 *)o;

    if (!s)
        return;
    while (s->flights)
        s3_end_flight(s, s->flights->id, false);
    while (s->copies)
        s3_drop_copy(s, s->copies);
    free(s->pending.key);
    free(s->litter.key);
    free(s->evicted.key);
    bucket_free(s->bucket);
    if (s->cache)
        s->cache->back->close(s->cache);
    if (s->places)
        s->places->back->close(s->places);
    if (s->dirfd >= 0)
        close(s->dirfd);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->came);
    free(s);
}

static const struct xstored_backend backend_s3 = {
    .name = "s3",
    .close = s3_close,
    .stage_open = s3_stage_open,
    .stage_add = s3_stage_add,
    .stage_note = s3_stage_note,
    .stage_drop = s3_stage_drop,
    .room = s3_room,
    .stages = s3_stages,
    .settle = s3_settle,
    .publish = s3_publish,
    .flush = s3_flush,
    .find = s3_find,
    .remove = s3_remove,
    .purge = s3_purge,
    .quarantine = s3_quarantine,
    .each = s3_each,
    .fetch = s3_fetch,
    .verify = s3_verify,
    .tidy = s3_tidy,
    .stop = s3_stop,
};

/* It was settled, and killed before it was published: its key is litter. */
static void drop_stage(const char *id, const char *note, void *arg)
{
    struct s3 *s = arg;

    (void)note;
    s->places->back->stage_drop(s->places, id);
}

/* Ours, drawn once. */
static int load_id(struct s3 *s, struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    uint8_t raw[NAME_CHARS / 2];
    size_t len = 0;
    int r = xeno_file_read(s->dirfd, ID_FILE, NAME_CHARS, &text, &len, NULL);

    if (r == 0 && len == NAME_CHARS && xeno_unhex(text, raw, sizeof raw)) {
        memcpy(s->id, text, NAME_CHARS);
        return 0;
    }
    if (r != -ENOENT)
        return xeno_fail(err, -EIO, "store.open",
                         "the file '" ID_FILE "' of the places is damaged");
    s3_draw(s, s->id);
    return xeno_file_write(s->dirfd, ID_FILE, 0600, s->id, NAME_CHARS, err);
}

static int load(struct s3 *s, const char *dir, struct xeno_err *err)
{
    char digest[XENO_DIGEST_TEXT];
    int64_t cursor = 0;
    int r;

    s->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dirfd < 0)
        return xeno_fail_errno(err, -errno, "store.open", "open folder '%s'", dir);
    r = load_id(s, err);
    if (r == 0)
        r = s->places->back->stages(s->places, drop_stage, s, err);
    if (r == 0)
        r = s->places->back->each(s->places, &cursor, &digest, 1, err);
    s->fresh = r == 0;
    return r < 0 ? r : s3_load_copies(s, err);
}

int xstored_s3_open(const struct xstored_s3_opts *opts, struct xstored_objects **ret,
                    struct xeno_err *err)
{
    struct s3 *s = xeno_new0(struct s3);
    int r;

    s->base.back = &backend_s3;
    s->env = opts->bucket.env;
    s->cache_max = opts->cache_bytes;
    s->dirfd = -1;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->came, NULL);
    r = bucket_new(&opts->bucket, &s->bucket, err);
    if (r == 0)
        r = xstored_dir_open(opts->dir, &s->places, err);
    if (r == 0)
        r = xstored_dir_open(opts->cache, &s->cache, err);
    if (r == 0)
        r = load(s, opts->dir, err);
    if (r < 0) {
        s3_close(&s->base);
        return r;
    }
    *ret = &s->base;
    return 0;
}
