/* src/xstored/doc.h - a manifest as a registry sees it: what it is, and what it needs.
 *
 * Image manifests and indexes of the OCI image specification and the two that Docker made before
 * it. Of the content only what decides is read: media types, descriptors, subject. Pure.
 */
#ifndef XENO_XSTORED_DOC_H
#define XENO_XSTORED_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "crypto/key.h"
#include "json/json.h"

#define XSTORED_DOC_MAX_BYTES (4 << 20) /* what the specification advises */
#define XSTORED_DOC_REFS      4096      /* descriptors in one manifest */
#define XSTORED_TYPE_MAX      255       /* letters of a media type (RFC 6838 4.2) */

#define XSTORED_MT_INDEX "application/vnd.oci.image.index.v1+json"

/* Something a manifest points to. */
struct xstored_ref {
    char digest[XENO_DIGEST_TEXT];
    int64_t size_bytes;
    bool manifest; /* it is one itself, listed in an index */
};

struct xstored_doc {
    char media_type[XSTORED_TYPE_MAX + 1];
    char artifact_type[XSTORED_TYPE_MAX + 1]; /* its own, or its config's; "" */
    char subject[XENO_DIGEST_TEXT];           /* "": refers to nothing */
    char *annotations;                        /* JSON; NULL: none */
    size_t count;
    struct xstored_ref *refs; /* which must be there; those that are elsewhere are left out */
};
void xstored_doc_free(struct xstored_doc *doc);
XENO_DEFINE_AUTO(xstored_doc, xstored_doc_free);

/* content_type: of the request, without parameters.
 * Errors: -EMEDIUMTYPE store.media_type (no kind of manifest known here), -EINVAL store.manifest.
 */
int xstored_doc_parse(const char *text, size_t len, const char *content_type,
                      struct xstored_doc **ret, struct xeno_err *err);

/* How a list of referrers describes it. */
struct xeno_json *xstored_doc_descriptor(const struct xstored_doc *doc, const char *digest,
                                         int64_t size_bytes);

#endif
