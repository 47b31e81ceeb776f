/* src/xstored/upload.h - uploads that are open: what has arrived of a blob so far.
 *
 * An upload is a stage of the backend, the hash of what is in it, and a note that tells its
 * repository after a restart, unless the whole blob comes in one request. One request at a time may
 * add to it ("busy"). What arrived stays when a connection breaks, so that the client can go on
 * from there. Its bytes count towards the owner's quota.
 *
 *     new --add...--> finish: is an object, the stage is dropped
 *                \--> drop: by the client, by its age, or because its digest was another
 *
 * Context: the loop's thread; the helper that finishes a busy upload may use its hash.
 */
#ifndef XENO_XSTORED_UPLOAD_H
#define XENO_XSTORED_UPLOAD_H

#include <uthash.h>

#include "xstored/xstored.h"

/* What an owner has open. */
struct xstored_use {
    char owner[XENO_ID_CHARS + 1];
    int64_t uploads, bytes;
    UT_hash_handle hh;
};

struct xstored_upload {
    char id[XSTORED_STAGE_CHARS + 1];
    char *repo;
    struct xstored_use *use;
    int64_t size;            /* bytes in the stage */
    struct xeno_sha256 *sha; /* of those; NULL: not known since the restart */
    bool busy;               /* a request or a job has it */
    bool kept;               /* it has a note */
    int64_t touched_ms;      /* wall clock */
    UT_hash_handle hh;
};

/* Busy at first. Errors: -EUSERS store.uploads. */
int xstored_upload_new(struct xstored *d, const char *repo, struct xstored_upload **ret,
                       struct xeno_err *err);
/* From now on it outlives a restart. Errors: token store.write, -ENOSPC store.full. */
int xstored_upload_keep(struct xstored *d, struct xstored_upload *u, struct xeno_err *err);
/* Errors: -ENOENT store.upload, -EBUSY store.upload_busy. */
int xstored_upload_take(struct xstored *d, const char *repo, const char *id,
                        struct xstored_upload **ret, struct xeno_err *err);
/* It may be taken again. */
void xstored_upload_release(struct xstored *d, struct xstored_upload *u);
/* So much more is in the stage. */
void xstored_upload_grew(struct xstored_upload *u, size_t bytes);
/* Nothing is done to its stage. */
void xstored_upload_forget(struct xstored *d, struct xstored_upload *u);
/* Its stage goes, too. */
void xstored_upload_drop(struct xstored *d, struct xstored_upload *u);

/* At start: those with a note go on, stages without one are removed. */
int xstored_uploads_load(struct xstored *d, struct xeno_err *err);
/* Drop those that nothing was added to for long. */
void xstored_uploads_expire(struct xstored *d);
void xstored_uploads_release(struct xstored *d);

/* --- finish.c --- */
/* Make the upload, which is busy, an object of its repository, and answer q. */
void xstored_finish(struct xstored *d, struct xeno_http_req *q, struct xstored_upload *u,
                    const char *digest);

#endif
