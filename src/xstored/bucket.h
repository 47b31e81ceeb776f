/* src/xstored/bucket.h - keys and their bytes in a bucket of an object store that speaks the
 * protocol of S3.
 *
 * What is large goes in parts, which the store makes one object of at the end: a key has all of
 * its bytes or is not there. Parts of an upload that a crash broke off are kept, and paid for, by
 * the store until they are aborted.
 *
 * Keys are of the letters a-z A-Z 0-9 and "-._/" only, so that they are in a URL as they are.
 *
 * Errors of all: -EAGAIN store.away (tried until the patience was over; also when the bucket is not
 * there), -ECONNREFUSED store.denied (the key is not right or may not do that; TLS), -ECONNRESET
 * store.answer (it does not answer as S3 does), -ECANCELED store.stopped, and those named. Context:
 * helper threads; all block, many at once.
 */
#ifndef XENO_XSTORED_BUCKET_H
#define XENO_XSTORED_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/mem.h"

#define BUCKET_KEY_MAX 400

struct bucket;

struct bucket_opts {
    const struct xeno_env *env;
    const char *url; /* "https://HOST[:PORT]/BUCKET[/PREFIX]" */
    const char *region;
    const char *keys;    /* file, 0600: access key and secret, each a line */
    const char *ca_file; /* NULL: this machine's CAs */
    bool path_style;     /* else the bucket is the first label of the host's name */
    xeno_time patience;
    int64_t part_bytes; /* 0: 16 MiB */
};
/* Context: before the sandbox; says nothing to the network.
 * Errors: -EINVAL store.url, -EPERM store.keys. */
int bucket_new(const struct bucket_opts *opts, struct bucket **ret, struct xeno_err *err);
void bucket_free(struct bucket *b);
XENO_DEFINE_AUTO(bucket, bucket_free);
void bucket_stop(struct bucket *b); /* calls end soon; any thread */

/* The first `size` bytes of `fd`. It is durable there when this returns 0. After a failure it may
 * be there all the same. */
int bucket_put(struct bucket *b, const char *key, int fd, int64_t size, struct xeno_err *err);
/* `begin` again with each try. Errors: -ENOENT store.missing: the bucket is there, the key is not;
 * those of `sink`. */
int bucket_get(struct bucket *b, const char *key, int64_t rate,
               int (*begin)(void *arg, struct xeno_err *err),
               int (*sink)(const void *data, size_t len, void *arg, struct xeno_err *err),
               void *arg, struct xeno_err *err);
/* Missing: success. */
int bucket_remove(struct bucket *b, const char *key, struct xeno_err *err);
/* The first `max` keys that begin with `prefix` and come after `after`.
 * Returns: how many `each` was called with. */
int bucket_list(struct bucket *b, const char *prefix, const char *after, int max,
                void (*each)(const char *key, void *arg), void *arg, struct xeno_err *err);
/* Abort uploads in parts to keys that begin with `prefix`, unless `keep` says otherwise; at most a
 * thousand. */
int bucket_abort(struct bucket *b, const char *prefix, bool (*keep)(const char *key, void *arg),
                 void *arg, struct xeno_err *err);

#endif
