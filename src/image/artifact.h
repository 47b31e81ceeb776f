/* src/image/artifact.h - a small document at a registry, as an OCI artifact (image-spec v1.1).
 *
 * A manifest with an artifactType, the empty config and one layer, which is the document. So any
 * registry keeps it, beside the image it is about. Its digests are checked; what the document says,
 * and who says it, is the caller's matter: whoever may write there may put another one.
 *
 * Context: blocking; runs the registry's loop.
 */
#ifndef XENO_IMAGE_ARTIFACT_H
#define XENO_IMAGE_ARTIFACT_H

#include "image/registry.h"

struct xeno_artifact_type {
    const char *artifact; /* "application/vnd.xeno.name.v1" */
    const char *layer;    /* of the document itself */
};

/* Put it under `tag`, which may stand for another one before. `r` is made with `write`.
 * Errors: those of image/registry.h. */
int xeno_artifact_put(struct xeno_registry *r, const char *tag,
                      const struct xeno_artifact_type *type, const char *text, size_t len,
                      struct xeno_err *err);

/* Returns: 0 and the text, of at most `max` bytes, followed by a zero byte; the caller's.
 * Errors:  -ENOENT oci.unknown, -EPROTO oci.artifact (something else has that tag), -EFBIG
 *          oci.artifact, -EBADMSG image.corrupt, and others of image/registry.h and json.h. */
int xeno_artifact_get(struct xeno_registry *r, const char *tag,
                      const struct xeno_artifact_type *type, size_t max, char **ret,
                      size_t *ret_len, struct xeno_err *err);

#endif
