/* src/cowfs/images-priv.h - what the files about images share. */
#ifndef XENO_COWFS_IMAGES_PRIV_H
#define XENO_COWFS_IMAGES_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "cowfs/images.h"
#include "image/registry.h"
#include "image/store.h"

struct xeno_cowfs_ahead;

struct xeno_cowfs_images {
    struct xeno_cowfs_images_opts opts;
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

    bool own;                  /* whose the files are: cowfs/layer-toc.h */
    atomic_size_t table_bytes; /* of memory, for tables */
    pthread_mutex_t mounting;  /* of the next two */
    struct mounted *mounted;   /* what mount files led to, by its name */
    struct opened *opened;     /* their layers, by digest or path */
};

/* --- images.c --- */

/* What the registry says the name stands for, or what is kept of it: its text, and the digest of
 * that. s: of the repository. */
int images_manifest(struct xeno_cowfs_images *im, const struct xeno_registry_name *name,
                    struct xeno_source *s, char **ret, size_t *ret_len,
                    char ret_digest[XENO_DIGEST_TEXT], struct xeno_err *err);
/* Keep it, for when nobody answers. */
int images_keep(const struct xeno_cowfs_images *im, const struct xeno_registry_name *name,
                const char *text, size_t len, struct xeno_err *err);
int images_registry(const struct xeno_cowfs_images *im, const struct xeno_registry_name *name,
                    struct xeno_source **ret, struct xeno_err *err);
/* With the image store, when there is one, and with `last` behind it, which is taken, also on
 * failure; NULL: with the image manager, when there is one. The caller's. */
int images_sources(const struct xeno_cowfs_images *im, struct xeno_source *last,
                   struct xeno_sources **ret, struct xeno_err *err);
void images_source_free(struct xeno_source *s); /* of nobody's */
/* A layer, the caller's, over sources that are borrowed until it is freed. */
int images_layer(struct xeno_cowfs_images *im, const struct xeno_layer *layer,
                 struct xeno_sources *sources, struct xeno_cowfs_layer **ret, struct xeno_err *err);
bool images_is_remote(const char *ref);

/* --- again.c --- */

/* The image manager as a source of the layers of `image`, "oci://HOST/REPO@DIGEST". */
int images_again(const struct xeno_cowfs_images *im, const char *image, struct xeno_source **ret,
                 struct xeno_err *err);

/* --- finder.c --- */

void images_forget_mounted(struct xeno_cowfs_images *im);
int64_t images_mounted_bytes(struct xeno_cowfs_images *im); /* that came from sources */

#endif
