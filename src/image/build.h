/* src/image/build.h - make, bring in and give out images: one call a verb of the command line.
 *
 * Each call adds to the store whole or not at all: blobs first, the name last. Layers that come
 * from outside are checked as if unpacked (image/unpack.h) before the name appears, so an image in
 * the store is one that will start. Options are zeroed and filled in by name; strings are borrowed.
 *
 * Context: blocking, forks children; a command line program or a helper process, not a daemon's
 * loop.
 */
#ifndef XENO_IMAGE_BUILD_H
#define XENO_IMAGE_BUILD_H

#include "image/store.h"
#include "image/unpack.h"

/* What every verb that makes an image answers. */
struct xeno_made {
    char digest[XENO_DIGEST_TEXT]; /* of the manifest */
    int64_t size_bytes;            /* of its layers as stored */
    int64_t tar_bytes;             /* of its layers unpacked */
    size_t layers;
    int64_t entries; /* files, folders, links */
    size_t skipped;  /* sockets and devices left out of a directory */
};

/* Defaults a template gives to tasks; written into its config. */
struct xeno_image_defaults {
    const char *const *env;  /* "K=V", NULL-terminated; NULL: PATH only */
    const char *const *argv; /* NULL: /bin/sh */
    const char *cwd;         /* NULL: "/" */
    const char *arch;        /* OCI name ("amd64"); NULL: this machine's */
    xeno_time created;       /* wall clock; 0: 1970, so that the digest depends on the input only */
};

enum xeno_import_format {
    XENO_IMPORT_AUTO,  /* by looking at it */
    XENO_IMPORT_DIR,   /* a root file system */
    XENO_IMPORT_TAR,   /* of a root file system; plain, gzip or zstd ("-": standard input) */
    XENO_IMPORT_OCI,   /* an OCI layout: a directory or a tar of one */
    XENO_IMPORT_DOCKER /* `docker save`, `podman save`: a tar, plain or compressed */
};

struct xeno_import_opts {
    const char *path;
    enum xeno_import_format format;
    const char *name; /* the name here; required unless ref or the archive has one */
    const char *ref;  /* which image of an OCI layout or Docker archive; NULL: the only one */
    enum xeno_image_kind kind;               /* dir and tar: XENO_IMAGE_ANY means template */
    struct xeno_image_defaults defaults;     /* dir and tar */
    enum xeno_compression compression;       /* dir, tar and plain Docker layers */
    bool compression_set;                    /* false: zstd */
    bool keep_times;                         /* dir: times of the files instead of 1970 */
    const struct xeno_unpack_limits *limits; /* NULL: the defaults */
    const struct xeno_progress *progress;
};
/* Errors: -ENOENT image.source; -EINVAL image.format (neither of the above), image.name,
 *         image.ref (which of several?); those of unpack.h and manifest.h. */
int xeno_image_import(struct xeno_store *st, const struct xeno_import_opts *opts,
                      struct xeno_made *ret, struct xeno_err *err);

struct xeno_export_opts {
    const char *ref;
    const char *path; /* a tar ("-": standard output), or a folder when it ends in "/" */
    enum xeno_compression compression; /* of the layers, when compression_set */
    bool compression_set;              /* false: as stored. Tools older than 2022 want gzip */
    const struct xeno_progress *progress;
};
/* Write an OCI layout with this one image: `podman load`, `skopeo copy oci-archive:` read it. Every
 * blob is verified on the way. A tar is complete or not there. */
int xeno_image_export(struct xeno_store *st, const struct xeno_export_opts *opts,
                      struct xeno_err *err);

struct xeno_overlay_source {
    const char *dir;    /* a folder or one file on this machine */
    const char *target; /* where in the session: absolute; NULL: "/" */
};
struct xeno_overlay_opts {
    const char *name;
    const char *base; /* the template it goes over; required for `remove`, else NULL allowed */
    const struct xeno_overlay_source *sources;
    size_t source_count;
    const char *const *whiteouts; /* absolute names to hide, NULL-terminated; NULL: none */
    bool remove;     /* what `base` has below a target and the folder has not is hidden */
    bool keep_owner; /* else all belongs to 0:0 in the session */
    bool keep_times; /* else 1970: the same folders give the same digest */
    struct xeno_image_defaults defaults; /* env and argv NULL: none, those of the template hold */
    enum xeno_compression compression;
    bool compression_set; /* false: zstd */
    const struct xeno_progress *progress;
};
/* One layer from folders, each put below its target; links in `base` on the way to a target are
 * followed as a process in the session would (/lib is usr/lib), so no folder hides such a link.
 * Errors: -ENOENT image.source; -EINVAL overlay.target, image.name; -EEXIST overlay.twice (two
 *         sources give one file); those of resolve. */
int xeno_overlay_create(struct xeno_store *st, const struct xeno_overlay_opts *opts,
                        struct xeno_made *ret, struct xeno_err *err);

struct xeno_build_opts {
    const char *from; /* "debian:bookworm", "debian:12", "debian" (the host's), "ubuntu:jammy" */
    const char *name; /* NULL: made from `from` and `include`: "debian-bookworm-apache2" */
    const char *const *include; /* packages, NULL-terminated; NULL: none */
    const char *variant;        /* of mmdebstrap; NULL: "minbase" */
    const char *const *sources; /* apt source lines or files; NULL: the host's, else the default */
    struct xeno_image_defaults defaults; /* arch: build for that one; others as import */
    int64_t epoch_s; /* SOURCE_DATE_EPOCH of the build: no file is newer; 0: of the environment */
    enum xeno_compression compression;
    bool compression_set;                 /* false: zstd */
    const struct xeno_progress *progress; /* lines of mmdebstrap come as `text` */
};
/* Errors: -ENOENT build.tool (mmdebstrap is missing: which package to install), -EINVAL build.from,
 *         build.package, build.variant; -EIO build.failed with the tool's first error line;
 *         -ECANCELED image.cancelled. */
int xeno_template_build(struct xeno_store *st, const struct xeno_build_opts *opts,
                        struct xeno_made *ret, struct xeno_err *err);

#endif
