/* src/image/build-priv.h - what the builders share. */
#ifndef XENO_IMAGE_BUILD_PRIV_H
#define XENO_IMAGE_BUILD_PRIV_H

#include "image/build.h"
#include "image/layer.h"
#include "image/pack.h"
#include "image/scan.h"

extern const struct xeno_unpack_limits xeno_unpack_defaults;

/* Tell progress; -ECANCELED image.cancelled when it says stop. */
int xeno_progress_tell(const struct xeno_progress *p, const struct xeno_progress_at *at,
                       struct xeno_err *err);

/* Would the layer, a blob of the store, unpack? Its diff_id is filled in when it was "", and
 * whether it holds mount files. Adds to *made. */
int xeno_layer_check(struct xeno_store *st, struct xeno_layer *layer,
                     const struct xeno_unpack_limits *limits, const struct xeno_progress *progress,
                     struct xeno_made *made, struct xeno_err *err);

/* The same content, compressed as `c`, as a blob of `to`. The blob is read from fd. */
int xeno_layer_convert(struct xeno_store *to, int fd, const struct xeno_layer *from,
                       enum xeno_compression c, const struct xeno_unpack_limits *limits,
                       const struct xeno_progress *progress, struct xeno_layer *ret,
                       struct xeno_err *err);

/* The members of a tar, read from fd, as a zstd:chunked blob of `to`. from: digest "" and size -1
 * when they are not known. ret->diff_id is "": to be filled in by xeno_layer_check(). */
int xeno_layer_repack(struct xeno_store *to, int fd, const struct xeno_layer *from,
                      const struct xeno_unpack_limits *limits, const struct xeno_progress *progress,
                      struct xeno_layer *ret, struct xeno_err *err);

/* An image of one layer with these defaults, named. argv NULL: `shell` says whether /bin/sh. */
int xeno_image_finish(struct xeno_store *st, const struct xeno_layer *layer,
                      enum xeno_image_kind kind, const struct xeno_image_defaults *d, bool shell,
                      const char *base, const char *name, struct xeno_made *made,
                      struct xeno_err *err);

/* The same check for every verb, before any work. */
int xeno_name_check(const char *name, struct xeno_err *err);

struct xeno_copy_opts {
    const char *digest; /* of the manifest */
    const char *name;   /* in `to`; NULL: none */
    bool check;         /* also whether each layer would unpack */
    enum xeno_compression compression;
    bool compression_set;
    const struct xeno_unpack_limits *limits;
    const struct xeno_progress *progress;
};
/* Copy an image from layout to layout, verifying every byte. */
int xeno_copy_image(struct xeno_store *from, struct xeno_store *to,
                    const struct xeno_copy_opts *opts, struct xeno_made *made,
                    struct xeno_err *err);

/* A folder of our own below .tmp/ of the store; the caller removes it. Returned: its path. */
int xeno_store_tmpdir(struct xeno_store *st, char **ret_path, struct xeno_err *err);

/* The images of an archive of `docker save` that was unpacked at `dir`. */
int xeno_docker_import(struct xeno_store *st, const char *dir, const struct xeno_import_opts *opts,
                       struct xeno_made *made, struct xeno_err *err);

/* Compression by the first bytes of a file; leaves the offset at 0. */
int xeno_compression_of(int fd, enum xeno_compression *ret, struct xeno_err *err);

#endif
