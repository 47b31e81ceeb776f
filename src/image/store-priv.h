/* src/image/store-priv.h - the inside of a store, for the files that make it up. */
#ifndef XENO_IMAGE_STORE_PRIV_H
#define XENO_IMAGE_STORE_PRIV_H

#include "image/store.h"

#define XENO_STORE_BLOBS "blobs/sha256"
#define XENO_STORE_TMP   ".tmp"

struct xeno_store {
    char *path;
    int dirfd;
    int mode;
    int lockfd; /* .lock, held shared while holds > 0; -1 else */
    int holds;
};

/* "blobs/sha256/HEX" */
#define XENO_BLOB_PATH 80
void xeno_blob_path(const char *digest, char out[XENO_BLOB_PATH]);

/* Take `name` (".lock", ".index.lock") by flock(2) operation `op`; the caller closes *ret_fd. */
int xeno_store_flock(struct xeno_store *st, const char *name, int op, int *ret_fd,
                     struct xeno_err *err);

int xeno_store_index(struct xeno_store *st, struct xeno_index **ret, struct xeno_err *err);
/* Call with .index.lock held. */
int xeno_store_index_write(struct xeno_store *st, const struct xeno_index *ix,
                           struct xeno_err *err);
/* Read index.json, let `fn` change it, write it, with the lock held. fn returns < 0 to give up. */
int xeno_store_index_change(struct xeno_store *st,
                            int (*fn)(struct xeno_index *ix, void *arg, struct xeno_err *err),
                            void *arg, struct xeno_err *err);

/* Read the blob of a layer and check it; progress: it is so far of `total` with `before` read
 * already. Errors: -EBADMSG image.corrupt, -ECANCELED image.cancelled. */
int xeno_store_verify_blob(struct xeno_store *st, const struct xeno_layer *l, int64_t before,
                           int64_t total, const struct xeno_progress *progress,
                           struct xeno_err *err);

/* What "template://NAME" and the like ask for. */
struct xeno_image_ref {
    enum xeno_image_kind kind; /* XENO_IMAGE_ANY without a scheme */
    bool by_digest;
    const char *text; /* NAME or "sha256:HEX"; borrowed */
};
int xeno_image_ref_parse(const char *ref, struct xeno_image_ref *ret, struct xeno_err *err);
/* The item of the index that has the name; -1 when there is none. */
ssize_t xeno_index_find(const struct xeno_index *ix, const char *name);

#endif
