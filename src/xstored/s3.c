/* src/xstored/s3.c - objects in a bucket of an object store that speaks the protocol of S3.
 *
 * In the bucket "HEX-NAME" is an object (64 digits, and 32 that were drawn for this copy of it) and
 * "mark" says whose the bucket is. Here are two folders, each as dir.c has them:
 *
 *     places   a file for each object, named by its HEX and holding its NAME; to be kept
 *     cache    stages, and copies of objects; what is in it can be lost
 *
 *     settle    the stage is sent as HEX-NAME; NAME is written to a stage of `places`
 *     publish   that stage becomes the place of HEX; the blob's own stage becomes a copy
 *     flush     the folder `places` is synced
 *
 *  1 A NAME is drawn for each settle() and never again, so that a request that comes late, of
 *    ours or of one killed before us, changes nothing that is relied on.
 *  2 A key is removed only after flush() made sure that no place names it.
 *  3 A key that no place names and no settle() is sending ("flight") is litter.
 *  4 A copy was compared with its digest and synced before it got its name.
 *  5 An object is called missing or damaged only while the mark is ours: a bucket that was
 *    mistaken for ours, or emptied, costs nothing but answers.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "base/enc.h"
#include "base/io.h"
#include "xstored/backend.h"

#define NAME_CHARS XSTORED_STAGE_CHARS
#define KEY_TEXT   (64 + 1 + NAME_CHARS + 1)
#define TIDY_KEYS  64
#define LOOK_KEYS  1000
#define LOOK_AGAIN xeno_s(86400)
#define READ_BYTES (256 << 10)
#define READS      2 /* of the same wrong bytes before they are believed */
#define MARK       "mark"
#define ID_FILE    "id"
#define LITTER_MAX 100000 /* the rest is found by the next look() */

struct flight {
    char id[XSTORED_STAGE_CHARS + 1]; /* of the stage */
    char key[KEY_TEXT];
    UT_hash_handle hh;
};

/* A copy, in the order of use; also one that is on its way. */
struct copy {
    char digest[XENO_DIGEST_TEXT];
    int64_t size;
    bool coming;
    UT_hash_handle hh;
};

struct keys {
    char (*key)[KEY_TEXT];
    size_t count, room;
};

struct s3 {
    struct xstored_objects base; /* first: the two pointers are one */
    struct xstored_objects *places, *cache;
    struct bucket *bucket;
    const struct xeno_env *env;
    char id[NAME_CHARS + 1]; /* ours, in the mark */
    atomic_bool fresh;       /* there was no place when we started */
    atomic_bool marked;      /* the mark was ours, once */
    int64_t cache_max;
    int dirfd;            /* of the places */
    char after[KEY_TEXT]; /* where tidy() is in the bucket */
    bool listed;          /* it was at the end */
    xeno_time look_again; /* monotonic */

    pthread_mutex_t lock; /* of what follows, and of changes to both folders' objects */
    pthread_cond_t came;
    struct flight *flights;
    struct copy *copies;
    int64_t cached;
    struct keys pending; /* until flush() */
    struct keys litter;  /* to be removed */
    struct keys evicted; /* digests of copies to be purged */
};

static const char *hex_of(const char *digest)
{
    return digest + strlen("sha256:");
}

static void key_name(const char *digest, const char *name, char out[KEY_TEXT])
{
    snprintf(out, KEY_TEXT, "%.64s-%.32s", hex_of(digest), name);
}

static void draw(const struct s3 *s, char name[NAME_CHARS + 1])
{
    uint8_t raw[NAME_CHARS / 2];

    xeno_random(s->env, raw, sizeof raw);
    xeno_hex(raw, sizeof raw, name);
}

/* Or a digest. */
static void add_key(struct keys *k, const char *key)
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
static int place_of(struct s3 *s, const char *digest, char name[NAME_CHARS + 1],
                    struct xeno_err *err)
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

/* --- copies; with the lock --- */

static struct copy *copy_of(struct s3 *s, const char *digest)
{
    struct copy *c;

    HASH_FIND_STR(s->copies, digest, c);
    return c;
}

static void drop_copy(struct s3 *s, struct copy *c)
{
    HASH_DEL(s->copies, c);
    s->cached -= c->size;
    free(c);
}

static struct copy *add_copy(struct s3 *s, const char *digest, int64_t size)
{
    struct copy *c = copy_of(s, digest);

    if (c)
        drop_copy(s, c);
    c = xeno_new0(struct copy);
    snprintf(c->digest, sizeof c->digest, "%s", digest);
    c->size = size;
    s->cached += size;
    HASH_ADD_STR(s->copies, digest, c);
    return c;
}

static void used(struct s3 *s, const char *digest)
{
    struct copy *c = copy_of(s, digest);

    if (!c || c->coming)
        return;
    HASH_DEL(s->copies, c);
    HASH_ADD_STR(s->copies, digest, c);
}

/* What was not used for longest goes. Who reads one goes on. */
static void evict(struct s3 *s)
{
    struct copy *c, *next;

    HASH_ITER (hh, s->copies, c, next) {
        if (s->cached <= s->cache_max)
            return;
        if (c->coming || s->cache->back->remove(s->cache, c->digest, NULL) < 0)
            continue;
        add_key(&s->evicted, c->digest);
        drop_copy(s, c);
    }
}

/* Its object is damaged, and it is no better. */
static void drop_bad_copy(struct s3 *s, const char *digest)
{
    struct copy *c = copy_of(s, digest);

    if (s->cache->back->remove(s->cache, digest, NULL) == 0)
        add_key(&s->evicted, digest);
    if (c && !c->coming)
        drop_copy(s, c);
}

/* --- whose the bucket is --- */

struct text {
    char at[NAME_CHARS + 1];
    size_t len;
};

static int begin_text(void *arg, struct xeno_err *err)
{
    (void)err;
    ((struct text *)arg)->len = 0;
    return 0;
}

static int add_text(const void *data, size_t len, void *arg, struct xeno_err *err)
{
    struct text *t = arg;

    if (len > NAME_CHARS - t->len)
        return xeno_fail(err, -EAGAIN, "store.mark", "the mark of the bucket is none of xstored's");
    memcpy(t->at + t->len, data, len);
    t->len += len;
    return 0;
}

/* Its first use: say that it is ours. */
static int make_mark(struct s3 *s, struct xeno_err *err)
{
    char name[NAME_CHARS + 1];
    xeno_autoclose int fd = -1;
    int64_t size = 0;
    int r;

    draw(s, name);
    r = s->cache->back->stage_open(s->cache, name, &fd, &size, err);
    if (r == 0)
        r = s->cache->back->stage_add(s->cache, fd, 0, s->id, NAME_CHARS, err);
    if (r == 0)
        r = bucket_put(s->bucket, MARK, fd, NAME_CHARS, err);
    s->cache->back->stage_drop(s->cache, name);
    return r;
}

/* Errors: -EAGAIN store.mark: it is another's, or was ours and is no more. */
static int check_mark(struct s3 *s, struct xeno_err *err)
{
    struct text t = { .len = 0 };
    int r = bucket_get(s->bucket, MARK, 0, begin_text, add_text, &t, err);

    if (r == -ENOENT && s->fresh && !s->marked) {
        r = make_mark(s, err);
        if (r < 0)
            return r;
        s->fresh = false;
        return check_mark(s, err);
    }
    if (r == -ENOENT)
        return xeno_fail(err, -EAGAIN, "store.mark",
                         "the bucket has lost its mark: is it the one that was used before?");
    if (r < 0)
        return r;
    if (t.len != NAME_CHARS || memcmp(t.at, s->id, NAME_CHARS) != 0)
        return xeno_fail(err, -EAGAIN, "store.mark",
                         "the bucket is used by another xstored: give each a prefix of its own");
    s->marked = true;
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
static void end_flight(struct s3 *s, const char *id, bool failed)
{
    struct flight *f;

    HASH_FIND_STR(s->flights, id, f);
    if (!f)
        return;
    if (failed)
        add_key(&s->litter, f->key);
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
    end_flight(s, id, true);
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

static int write_place(struct s3 *s, const char *id, const char *digest, const char *name,
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

static void begin_flight(struct s3 *s, const char *id, const char *key)
{
    struct flight *f = xeno_new0(struct flight);

    snprintf(f->key, sizeof f->key, "%s", key);
    snprintf(f->id, sizeof f->id, "%s", id);
    pthread_mutex_lock(&s->lock);
    end_flight(s, id, true);
    HASH_ADD_STR(s->flights, id, f);
    pthread_mutex_unlock(&s->lock);
}

static int s3_settle(struct xstored_objects *o, const char *id, const char *digest, int64_t size,
                     struct xeno_err *err)
{
    struct s3 *s = (struct s3 *)o;
    char name[NAME_CHARS + 1], key[KEY_TEXT];
    int r;

    draw(s, name);
    key_name(digest, name, key);
    begin_flight(s, id, key);
    r = s->cache->back->settle(s->cache, id, digest, size, err);
    if (r == 0 && !s->marked)
        r = check_mark(s, err);
    if (r == 0)
        r = send_stage(s, id, key, size, err);
    if (r == 0)
        r = write_place(s, id, digest, name, err);
    if (r < 0) {
        pthread_mutex_lock(&s->lock);
        end_flight(s, id, true);
        pthread_mutex_unlock(&s->lock);
    }
    return r;
}

static int publish(struct s3 *s, const char *id, const char *digest, struct xeno_err *err)
{
    char old[NAME_CHARS + 1] = "", now[NAME_CHARS + 1] = "", key[KEY_TEXT];
    xeno_autoclose int fd = -1;
    int64_t size = 0;
    int r;

    (void)place_of(s, digest, old, NULL);
    r = s->places->back->publish(s->places, id, digest, err);
    if (r == 0)
        r = place_of(s, digest, now, err);
    if (r < 0)
        return r;
    if (*old && strcmp(old, now) != 0) {
        key_name(digest, old, key);
        add_key(&s->pending, key);
    }
    end_flight(s, id, false);
    /* Without a copy it is fetched when somebody asks for it. */
    if (s->cache->back->publish(s->cache, id, digest, NULL) == 0 &&
        s->cache->back->find(s->cache, digest, &fd, &size, NULL) == 0)
        (void)add_copy(s, digest, size);
    evict(s);
    return 0;
}

static int s3_publish(struct xstored_objects *o, const char *id, const char *digest,
                      struct xeno_err *err)
{
    struct s3 *s = (struct s3 *)o;
    int r;

    pthread_mutex_lock(&s->lock);
    r = publish(s, id, digest, err);
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
        add_key(&s->litter, s->pending.key[i]);
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
    used(s, digest);
    if (r < 0)
        r = place_of(s, digest, name, err);
    else
        r = 1;
    pthread_mutex_unlock(&s->lock);
    return r == 1  ? 0
           : r < 0 ? r
                   : xeno_fail(err, -EAGAIN, "store.elsewhere", "%s must be fetched", digest);
}

/* What comes of an object: hashed, and kept unless fd is -1. */
struct intake {
    struct s3 *s;
    struct xeno_sha256 *sha;
    int fd;
    int64_t at, size;
};

static int begin_intake(void *arg, struct xeno_err *err)
{
    struct intake *in = arg;
    uint8_t sum[32];

    xeno_sha256_end(in->sha, sum);
    in->at = 0;
    if (in->fd >= 0 && ftruncate(in->fd, 0) < 0)
        return xeno_fail_errno(err, -errno, "store.write", "%s", "fetch an object");
    return 0;
}

static int add_intake(const void *data, size_t len, void *arg, struct xeno_err *err)
{
    struct intake *in = arg;
    int r = 0;

    if ((int64_t)len > in->size - in->at)
        return xeno_fail(err, -EBADMSG, "store.damaged", "it has more bytes than it should");
    xeno_sha256_add(in->sha, data, len);
    if (in->fd >= 0)
        r = in->s->cache->back->stage_add(in->s->cache, in->fd, in->at, data, len, err);
    in->at += (int64_t)len;
    return r;
}

/* Returns: 0 when all of it came and is right. Errors: -EBADMSG store.damaged. */
static int take_in(struct intake *in, const char *digest, const char *name, int64_t rate,
                   struct xeno_err *err)
{
    char key[KEY_TEXT], have[XENO_DIGEST_TEXT];
    uint8_t sum[32];
    int r;

    key_name(digest, name, key);
    r = bucket_get(in->s->bucket, key, rate, begin_intake, add_intake, in, err);
    if (r < 0)
        return r;
    xeno_sha256_end(in->sha, sum);
    xeno_digest_text(sum, have);
    if (in->at == in->size && strcmp(have, digest) == 0)
        return 0;
    return xeno_fail(err, -EBADMSG, "store.damaged", "%s is damaged in the object store: key %s",
                     digest, key);
}

static bool is_right(int fd, const char *digest, int64_t size)
{
    xeno_auto(xeno_sha256) sha = xeno_sha256_new();
    xeno_autofree char *buf = xeno_alloc0(1, READ_BYTES);
    char have[XENO_DIGEST_TEXT];
    uint8_t sum[32];
    int64_t at = 0;
    ssize_t n;

    while ((n = pread(fd, buf, READ_BYTES, at)) > 0) {
        xeno_sha256_add(sha, buf, (size_t)n);
        at += n;
    }
    xeno_sha256_end(sha, sum);
    xeno_digest_text(sum, have);
    return n == 0 && at == size && strcmp(have, digest) == 0;
}

/* From a copy here, under a key of its own. Errors: -ENOENT: there is no good one. */
static int heal(struct s3 *s, const char *digest, int64_t size, struct xeno_err *err)
{
    char id[XSTORED_STAGE_CHARS + 1], name[NAME_CHARS + 1], key[KEY_TEXT];
    xeno_autoclose int fd = -1;
    int64_t there = 0;
    int r;

    if (s->cache->back->find(s->cache, digest, &fd, &there, NULL) < 0 ||
        !is_right(fd, digest, size))
        return -ENOENT;
    draw(s, id);
    draw(s, name);
    key_name(digest, name, key);
    begin_flight(s, id, key);
    r = bucket_put(s->bucket, key, fd, size, err);
    if (r == 0)
        r = write_place(s, id, digest, name, err);
    pthread_mutex_lock(&s->lock);
    if (r == 0)
        r = publish(s, id, digest, err);
    end_flight(s, id, true);
    pthread_mutex_unlock(&s->lock);
    if (r == 0 && fsync(s->dirfd) < 0)
        r = xeno_fail_errno(err, -errno, "store.write", "sync %s", "the places");
    s->places->back->stage_drop(s->places, id);
    return r;
}

/* It is what was said of it, unless somebody put it again meanwhile. */
static int put_aside(struct s3 *s, const char *digest, const char *name, int code,
                     struct xeno_err *err)
{
    char now[NAME_CHARS + 1] = "";
    xeno_autoclose int fd = -1;
    int64_t size;

    pthread_mutex_lock(&s->lock);
    if (place_of(s, digest, now, NULL) == 0 && strcmp(now, name) != 0)
        code = xeno_fail(err, -EAGAIN, "store.away", "%s was put again: try again", digest);
    else if (s->places->back->find(s->places, digest, &fd, &size, NULL) == 0)
        (void)s->places->back->quarantine(s->places, digest, fd, NULL);
    if (code != -EAGAIN)
        drop_bad_copy(s, digest);
    pthread_mutex_unlock(&s->lock);
    return code;
}

/* Returns: 1 when it is right again; else `code` with err, or why nobody knows. */
static int is_bad(struct s3 *s, const char *digest, const char *name, int64_t size, int code,
                  struct xeno_err *err)
{
    struct xeno_err e = XENO_ERR_INIT;
    int r = check_mark(s, &e);

    if (r == 0)
        r = heal(s, digest, size, &e);
    if (r == 0)
        return 1;
    if (r == -ENOENT)
        return put_aside(s, digest, name, code, err);
    if (err)
        *err = e;
    return r;
}

/* Read it until it is right, or was wrong often enough; fd -1: keep nothing.
 * Returns: 1 when it was bad, and was healed from a copy. */
static int read_right(struct s3 *s, const char *digest, int64_t size, int fd, int64_t rate,
                      struct xeno_err *err)
{
    xeno_auto(xeno_sha256) sha = xeno_sha256_new();
    struct intake in = { .s = s, .sha = sha, .fd = fd, .size = size };
    char name[NAME_CHARS + 1];
    int r = 0;

    for (int i = 0; i < READS; i++) {
        r = place_of(s, digest, name, err);
        if (r < 0)
            return r;
        r = take_in(&in, digest, name, rate, err);
        if (r != -EBADMSG && r != -ENOENT)
            return r;
    }
    return is_bad(s, digest, name, size, r, err);
}

static int s3_verify(struct xstored_objects *o, const char *digest, int64_t size, int64_t rate,
                     struct xeno_err *err)
{
    return read_right((struct s3 *)o, digest, size, -1, rate, err);
}

/* Returns: 0 when it is ours to fetch, 1 when it has come meanwhile. */
static int begin_fetch(struct s3 *s, const char *digest, int64_t size, int *ret_fd)
{
    struct copy *c;
    int64_t there;
    int r = 0;

    pthread_mutex_lock(&s->lock);
    while ((c = copy_of(s, digest)) != NULL && c->coming)
        pthread_cond_wait(&s->came, &s->lock);
    if (s->cache->back->find(s->cache, digest, ret_fd, &there, NULL) == 0)
        r = 1;
    else
        add_copy(s, digest, size)->coming = true;
    evict(s);
    pthread_mutex_unlock(&s->lock);
    return r;
}

static int end_fetch(struct s3 *s, const char *digest, const char *id, int r, int *ret_fd,
                     struct xeno_err *err)
{
    struct copy *c;
    int64_t there;

    pthread_mutex_lock(&s->lock);
    c = copy_of(s, digest);
    if (r == 0)
        r = s->cache->back->publish(s->cache, id, digest, err);
    if (r == 0)
        r = s->cache->back->find(s->cache, digest, ret_fd, &there, err);
    if (r == 0 && c)
        c->coming = false;
    else if (c && c->coming)
        drop_copy(s, c);
    evict(s);
    pthread_cond_broadcast(&s->came);
    pthread_mutex_unlock(&s->lock);
    return r;
}

static int s3_fetch(struct xstored_objects *o, const char *digest, int64_t size, int *ret_fd,
                    struct xeno_err *err)
{
    struct s3 *s = (struct s3 *)o;
    char id[XSTORED_STAGE_CHARS + 1];
    xeno_autoclose int fd = -1;
    int64_t there = 0;
    int r;

    if (begin_fetch(s, digest, size, ret_fd) == 1)
        return 0;
    draw(s, id);
    r = s->cache->back->stage_open(s->cache, id, &fd, &there, err);
    if (r == 0)
        r = read_right(s, digest, size, fd, 0, err);
    if (r > 0)
        r = xeno_fail(err, -EAGAIN, "store.away", "%s was healed: try again", digest);
    if (r == 0)
        r = s->cache->back->settle(s->cache, id, digest, size, err);
    r = end_fetch(s, digest, id, r, ret_fd, err);
    s->cache->back->stage_drop(s->cache, id);
    return r;
}

/* --- removing --- */

static int s3_remove(struct xstored_objects *o, const char *digest, struct xeno_err *err)
{
    struct s3 *s = (struct s3 *)o;
    char name[NAME_CHARS + 1], key[KEY_TEXT];
    struct copy *c;
    int r;

    pthread_mutex_lock(&s->lock);
    if (place_of(s, digest, name, NULL) == 0) {
        key_name(digest, name, key);
        add_key(&s->pending, key);
    }
    r = s->places->back->remove(s->places, digest, err);
    c = copy_of(s, digest);
    if (r == 0 && s->cache->back->remove(s->cache, digest, NULL) == 0 && c && !c->coming)
        drop_copy(s, c);
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
    c = copy_of(s, digest);
    if (r > 0 && c && !c->coming)
        drop_copy(s, c);
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

static bool is_flight(const struct s3 *s, const char *key)
{
    for (const struct flight *f = s->flights; f; f = f->hh.next)
        if (strcmp(f->key, key) == 0)
            return true;
    return false;
}

/* One that was put aside is for people to look at. */
static bool is_aside(const struct s3 *s, const char *hex, const char *name)
{
    xeno_autofree char *path = xeno_asprintf("bad-%.64s", hex);
    xeno_autofree char *text = NULL;
    size_t len = 0;

    return xeno_file_read(s->dirfd, path, NAME_CHARS, &text, &len, NULL) == 0 &&
           len == NAME_CHARS && memcmp(text, name, NAME_CHARS) == 0;
}

/* Nothing relies on it, and nothing will. With the lock. */
static bool is_litter(struct s3 *s, const char *key)
{
    char digest[XENO_DIGEST_TEXT], name[NAME_CHARS + 1];
    uint8_t sha[32], raw[NAME_CHARS / 2];
    int r;

    if (strlen(key) != KEY_TEXT - 1 || key[64] != '-' || !xeno_unhex(key + 65, raw, sizeof raw))
        return false;
    snprintf(digest, sizeof digest, "sha256:%.64s", key);
    if (!xeno_unhex(digest + strlen("sha256:"), sha, sizeof sha) || is_flight(s, key) ||
        is_aside(s, key, key + 65))
        return false;
    r = place_of(s, digest, name, NULL);
    return r == -ENOENT || (r == 0 && strcmp(name, key + 65) != 0);
}

static void look_at_key(const char *key, void *arg)
{
    struct s3 *s = arg;

    snprintf(s->after, sizeof s->after, "%s", key);
    pthread_mutex_lock(&s->lock);
    if (is_litter(s, key))
        add_key(&s->pending, key); /* its place may be gone, and not yet for good */
    pthread_mutex_unlock(&s->lock);
}

static bool keep_upload(const char *key, void *arg)
{
    struct s3 *s = arg;
    bool keep;

    pthread_mutex_lock(&s->lock);
    keep = is_flight(s, key);
    pthread_mutex_unlock(&s->lock);
    return keep;
}

/* A page of what is in the bucket; from the start once a day. */
static int look(struct s3 *s, struct xeno_err *err)
{
    xeno_time now = xeno_mono(s->env);
    int n, r = 0;

    if (s->listed && now.ns < s->look_again.ns)
        return 0;
    r = check_mark(s, err);
    if (r == 0 && s->listed)
        s->after[0] = '\0';
    if (r == 0 && !*s->after)
        r = bucket_abort(s->bucket, "", keep_upload, s, err);
    if (r < 0)
        return r;
    s->listed = false;
    n = bucket_list(s->bucket, "", s->after, LOOK_KEYS, look_at_key, s, err);
    if (n < 0)
        return n;
    s->listed = n == 0;
    s->look_again = xeno_time_add(now, LOOK_AGAIN);
    return !s->listed;
}

/* Returns: 1 with one, 0: there is none. */
static int take_key(struct s3 *s, struct keys *k, char key[KEY_TEXT])
{
    int r = 0;

    pthread_mutex_lock(&s->lock);
    if (k->count > 0) {
        memcpy(key, k->key[--k->count], KEY_TEXT);
        r = 1;
    }
    pthread_mutex_unlock(&s->lock);
    return r;
}

static int s3_tidy(struct xstored_objects *o, struct xeno_err *err)
{
    struct s3 *s = (struct s3 *)o;
    char key[KEY_TEXT];
    int r, more;

    while (take_key(s, &s->evicted, key))
        s->cache->back->purge(s->cache, key);
    r = more = look(s, err);
    for (int i = 0; r >= 0 && i < TIDY_KEYS && take_key(s, &s->litter, key); i++) {
        r = bucket_remove(s->bucket, key, err);
        if (r < 0) {
            pthread_mutex_lock(&s->lock);
            add_key(&s->litter, key);
            pthread_mutex_unlock(&s->lock);
        }
        more |= i == TIDY_KEYS - 1;
    }
    return r < 0 ? r : more;
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
        end_flight(s, s->flights->id, false);
    while (s->copies)
        drop_copy(s, s->copies);
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

static void drop_file(struct s3 *s, const char *digest)
{
    (void)s->cache->back->remove(s->cache, digest, NULL);
    s->cache->back->purge(s->cache, digest);
}

/* Copies of an earlier run; one without a place is of no use. */
static int load_copies(struct s3 *s, struct xeno_err *err)
{
    char digest[XENO_DIGEST_TEXT], name[NAME_CHARS + 1];
    int64_t cursor = 0, size = 0;
    int r;

    while ((r = s->cache->back->each(s->cache, &cursor, &digest, 1, err)) > 0) {
        xeno_autoclose int fd = -1;

        if (s->cache->back->find(s->cache, digest, &fd, &size, NULL) < 0)
            continue;
        if (place_of(s, digest, name, NULL) == 0)
            (void)add_copy(s, digest, size);
        else
            drop_file(s, digest);
    }
    if (r == 0)
        evict(s);
    return r;
}

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
    draw(s, s->id);
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
    return r < 0 ? r : load_copies(s, err);
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
