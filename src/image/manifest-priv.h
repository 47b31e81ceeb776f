/* src/image/manifest-priv.h - what reading and writing manifests share. */
#ifndef XENO_IMAGE_MANIFEST_PRIV_H
#define XENO_IMAGE_MANIFEST_PRIV_H

#include "image/manifest.h"

#define XENO_NOTE_NAME "org.opencontainers.image.ref.name"
#define XENO_NOTE_BASE "org.opencontainers.image.base.digest"
#define XENO_NOTE_KIND "org.xenoserver.image.kind"
/* Of what a session has written: the layers it ran over, bottom first, with spaces between. */
#define XENO_NOTE_OVER "org.xenoserver.image.over"
/* Of a layer: "yes" when it holds mount files (RFC 12). */
#define XENO_NOTE_MOUNTS "org.xenoserver.layer.mounts"
/* Of a layer: the table's digest, and "offset:bytes:raw bytes:1" (containers/storage). */
#define XENO_NOTE_TOC       "io.github.containers.zstd-chunked.manifest-checksum"
#define XENO_NOTE_TOC_PLACE "io.github.containers.zstd-chunked.manifest-position"
/* What containers/storage called them before 1.45 (podman and skopeo of Debian 12): only read. */
#define XENO_NOTE_TOC_OLD       "io.containers.zstd-chunked.manifest-checksum"
#define XENO_NOTE_TOC_PLACE_OLD "io.containers.zstd-chunked.manifest-position"

int xeno_read_descriptor(const struct xeno_json_at *at, struct xeno_descriptor *ret,
                         struct xeno_err *err);
int xeno_read_digest(const struct xeno_json_at *at, const char *key, char ret[XENO_DIGEST_TEXT],
                     struct xeno_err *err);
int xeno_read_version(const struct xeno_json_at *top, struct xeno_err *err);

#endif
