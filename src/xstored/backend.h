/* src/xstored/backend.h - where the bytes of a XenoStore are: a const table for each kind of place.
 *
 * Objects are immutable and named by their SHA-256. What arrives is staged under an id of its own,
 * and becomes an object in steps, so that the slow one stalls nobody:
 *
 *     stage_open, stage_add...   the loop; the bytes are kept, nobody can read them
 *     settle                     a helper thread; slow: the whole content is safe from a crash
 *     publish                    the writer thread; quick: from now on open() finds it
 *     flush                      the writer thread; once for all that were published since: durable
 *     stage_drop                 the loop, after the commit: the object stays
 *
 * An upload is acknowledged after flush() and the commit of its metadata; an object that nothing in
 * the metadata names is litter, which each() finds and remove() takes away. So a crash between any
 * two steps leaves litter at most.
 *
 * An object store spoken to by HTTP (s3.c) has no rename and takes large objects in parts: its
 * stage is a file here, settle() sends that in parts under a name of its own, publish() says which
 * name the digest has. Hence settle and publish are two, and only what is called on a helper may
 * wait for a network. What is there and not here find() says -EAGAIN of, and fetch() gets, whole
 * and compared with its digest.
 *
 * Context: open() and stage_*() on the loop's thread, stage_drop() and find() on any, and those
 * that say so; none keeps state between calls but the `struct xstored_objects`.
 */
#ifndef XENO_XSTORED_BACKEND_H
#define XENO_XSTORED_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/key.h"
#include "xstored/bucket.h"

#define XSTORED_STAGE_CHARS 32 /* of an id: hexadecimal */

struct xstored_objects;

/* All members are required but those of a place that is elsewhere, which has them all. A digest is
 * "sha256:HEX" and was checked. */
struct xstored_backend {
    const char *name;
    void (*close)(struct xstored_objects *o);

    /* A stage to read and to append to, made when it is not there; *ret_size is what it holds.
     * Errors: token store.write. */
    int (*stage_open)(struct xstored_objects *o, const char *id, int *ret_fd, int64_t *ret_size,
                      struct xeno_err *err);
    /* `at`: how much there is so far, and still is after a failure. Errors: -ENOSPC store.full,
     * token store.write. */
    int (*stage_add)(struct xstored_objects *o, int fd, int64_t at, const void *data, size_t len,
                     struct xeno_err *err);
    /* Say what a stage is for: a text that is there as long as the stage, also after a restart, if
     * not after a loss of power. Errors: as stage_add. */
    int (*stage_note)(struct xstored_objects *o, const char *id, const char *note,
                      struct xeno_err *err);
    void (*stage_drop)(struct xstored_objects *o, const char *id); /* and its note */
    /* How many bytes can still be staged, as far as anybody knows. */
    int64_t (*room)(struct xstored_objects *o);
    /* Call `each` for every note, and for every stage that has none (note NULL); it may drop the
     * stage. Context: before serving. */
    int (*stages)(struct xstored_objects *o,
                  void (*each)(const char *id, const char *note, void *arg), void *arg,
                  struct xeno_err *err);

    /* All `size` bytes of it, which have that digest. Context: a helper thread.
     * Errors: token store.write; elsewhere also those of bucket.h. */
    int (*settle)(struct xstored_objects *o, const char *id, const char *digest, int64_t size,
                  struct xeno_err *err);
    /* The stage stays until it is dropped, so that a crash before the commit loses none of it. An
     * object of that name is replaced, and so healed; whoever reads the old one goes on. Again
     * after it was done: no effect. Context: the writer. */
    int (*publish)(struct xstored_objects *o, const char *id, const char *digest,
                   struct xeno_err *err);
    int (*flush)(struct xstored_objects *o, struct xeno_err *err);

    /* Errors: -ENOENT store.missing; -EAGAIN store.elsewhere: fetch() has it. */
    int (*find)(struct xstored_objects *o, const char *digest, int *ret_fd, int64_t *ret_size,
                struct xeno_err *err);
    /* Nobody finds it any more; quick. Missing: success. Context: the writer. */
    int (*remove)(struct xstored_objects *o, const char *digest, struct xeno_err *err);
    /* Give back the room of what was removed; slow. Context: a helper thread. */
    void (*purge)(struct xstored_objects *o, const char *digest);
    /* Put it aside for people to look at, if it still is what `fd` has open. Returns: 1 when it
     * was, 0 when it has been replaced or removed since. Context: the writer. */
    int (*quarantine)(struct xstored_objects *o, const char *digest, int fd, struct xeno_err *err);
    /* The next objects, at most `max`, in the order of the place; *cursor is 0 at first.
     * Returns: how many; 0 at the end. Context: a helper, one at a time. */
    int (*each)(struct xstored_objects *o, int64_t *cursor, char (*ret)[XENO_DIGEST_TEXT], int max,
                struct xeno_err *err);

    /* --- of a place that is elsewhere; NULL: it is not --- */

    /* As find(), by the slow way; its content was compared with the digest. What turns out to be
     * damaged, or not there, in a place that otherwise is as it should be, is put aside.
     * Context: a helper. Errors: -EBADMSG store.damaged, -ENOENT store.missing, those of bucket.h,
     * and of stage_add(). */
    int (*fetch)(struct xstored_objects *o, const char *digest, int64_t size, int *ret_fd,
                 struct xeno_err *err);
    /* Read it again there, at `rate` bytes a second, as fetch() does, but keep nothing. What is bad
     * is made anew from a copy here, when there is a good one. Returns: 1 when it was. */
    int (*verify)(struct xstored_objects *o, const char *digest, int64_t size, int64_t rate,
                  struct xeno_err *err);
    /* Do some of what is left to do there. Context: a helper, one at a time.
     * Returns: 1 when there is more. */
    int (*tidy)(struct xstored_objects *o, struct xeno_err *err);
    /* What waits for the place ends soon. Any thread. */
    void (*stop)(struct xstored_objects *o);
};

struct xstored_objects {
    const struct xstored_backend *back;
};

/* Objects in a folder, which is made. Errors: token store.open. */
int xstored_dir_open(const char *where, struct xstored_objects **ret, struct xeno_err *err);

struct xstored_s3_opts {
    struct bucket_opts bucket;
    const char *dir;     /* which object has which key: to be kept */
    const char *cache;   /* stages, and copies of objects */
    int64_t cache_bytes; /* of the copies */
};
/* Objects in a bucket. Context: before the sandbox; says nothing to the network.
 * Errors: token store.open, those of bucket_new(). */
int xstored_s3_open(const struct xstored_s3_opts *opts, struct xstored_objects **ret,
                    struct xeno_err *err);

#endif
