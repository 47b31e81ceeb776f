/* src/xstored/s3-priv.h - objects in a bucket of an object store that speaks the protocol of S3:
 * what its files share.
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
#ifndef XENO_XSTORED_S3_PRIV_H
#define XENO_XSTORED_S3_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <uthash.h>

#include "xstored/backend.h"

#define NAME_CHARS XSTORED_STAGE_CHARS
#define KEY_TEXT   (64 + 1 + NAME_CHARS + 1)

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

static inline const char *s3_hex(const char *digest)
{
    return digest + strlen("sha256:");
}

/* --- s3.c --- */
void s3_key(const char *digest, const char *name, char out[KEY_TEXT]);
void s3_draw(const struct s3 *s, char name[NAME_CHARS + 1]);
void s3_add_key(struct keys *k, const char *key); /* or a digest; with the lock */
/* The name of the copy that counts. Errors: -ENOENT store.missing. */
int s3_place(struct s3 *s, const char *digest, char name[NAME_CHARS + 1], struct xeno_err *err);
void s3_begin_flight(struct s3 *s, const char *id, const char *key);
/* What was sent of it and is not published is litter. With the lock. */
void s3_end_flight(struct s3 *s, const char *id, bool failed);
/* NAME, as a stage of the places; and that stage as the place of the digest, with the lock. */
int s3_write_place(struct s3 *s, const char *id, const char *digest, const char *name,
                   struct xeno_err *err);
int s3_place_copy(struct s3 *s, const char *id, const char *digest, struct xeno_err *err);

/* --- s3-copy.c: the cache; with the lock --- */
struct copy *s3_copy_of(struct s3 *s, const char *digest);
struct copy *s3_add_copy(struct s3 *s, const char *digest, int64_t size);
void s3_drop_copy(struct s3 *s, struct copy *c); /* its file is gone */
void s3_used(struct s3 *s, const char *digest);
void s3_evict(struct s3 *s);                             /* down to the limit */
void s3_drop_bad_copy(struct s3 *s, const char *digest); /* with its file */
/* Those of an earlier run. Context: at start. */
int s3_load_copies(struct s3 *s, struct xeno_err *err);

/* --- s3-read.c, s3-tidy.c: as backend.h has them --- */
int s3_fetch(struct xstored_objects *o, const char *digest, int64_t size, int *ret_fd,
             struct xeno_err *err);
int s3_verify(struct xstored_objects *o, const char *digest, int64_t size, int64_t rate,
              struct xeno_err *err);
int s3_tidy(struct xstored_objects *o, struct xeno_err *err);
/* Is the bucket ours? Errors: -EAGAIN store.mark: it is another's, or was ours and is no more. */
int s3_check_mark(struct s3 *s, struct xeno_err *err);

#endif
