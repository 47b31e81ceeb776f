/* src/xstored/s3-tidy.c - whose the bucket is, and what in it is litter. */
#include "xstored/s3-priv.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/enc.h"
#include "base/io.h"

#define MARK       "mark"
#define TIDY_KEYS  64
#define LOOK_KEYS  1000
#define LOOK_AGAIN xeno_s(86400)

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

    s3_draw(s, name);
    r = s->cache->back->stage_open(s->cache, name, &fd, &size, err);
    if (r == 0)
        r = s->cache->back->stage_add(s->cache, fd, 0, s->id, NAME_CHARS, err);
    if (r == 0)
        r = bucket_put(s->bucket, MARK, fd, NAME_CHARS, err);
    s->cache->back->stage_drop(s->cache, name);
    return r;
}

/* Errors: -EAGAIN store.mark: it is another's, or was ours and is no more. */
int s3_check_mark(struct s3 *s, struct xeno_err *err)
{
    struct text t = { .len = 0 };
    bool first = s->fresh && !s->marked; /* asked before: another thread may make it meanwhile */
    int r = bucket_get(s->bucket, MARK, 0, begin_text, add_text, &t, err);

    if (r == -ENOENT && first) {
        r = make_mark(s, err);
        if (r < 0)
            return r;
        s->fresh = false;
        return s3_check_mark(s, err);
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

/* --- litter --- */

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
    r = s3_place(s, digest, name, NULL);
    return r == -ENOENT || (r == 0 && strcmp(name, key + 65) != 0);
}

static void look_at_key(const char *key, void *arg)
{
    struct s3 *s = arg;

    snprintf(s->after, sizeof s->after, "%s", key);
    pthread_mutex_lock(&s->lock);
    if (is_litter(s, key))
        s3_add_key(&s->pending, key); /* its place may be gone, and not yet for good */
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
    r = s3_check_mark(s, err);
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

int s3_tidy(struct xstored_objects *o, struct xeno_err *err)
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
            s3_add_key(&s->litter, key);
            pthread_mutex_unlock(&s->lock);
        }
        more |= i == TIDY_KEYS - 1;
    }
    return r < 0 ? r : more;
}
