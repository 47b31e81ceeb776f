/* fuzz/xstored/fuzz-registry-manifest.c - what is taken for a manifest names only digests, in
 * bounds, and can be listed as a referrer. The first byte says what it was sent as. */
#include <string.h>

#include "../fuzz.h"
#include "xstored/doc.h"

#define DIGEST "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const char *const types[] = {
    "application/vnd.oci.image.manifest.v1+json",
    XSTORED_MT_INDEX,
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
};

static void check_refs(const struct xstored_doc *doc, bool index)
{
    XENO_REQUIRE(doc->count <= XSTORED_DOC_REFS + 1);
    for (size_t i = 0; i < doc->count; i++) {
        XENO_REQUIRE(xeno_digest_ok(doc->refs[i].digest));
        XENO_REQUIRE(doc->refs[i].size_bytes >= 0 && doc->refs[i].manifest == index);
    }
    XENO_REQUIRE(*doc->subject == '\0' || xeno_digest_ok(doc->subject));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    xeno_auto(xstored_doc) doc = NULL;
    xeno_auto(xeno_json) descriptor = NULL;
    xeno_auto(xeno_json) again = NULL;
    xeno_autofree char *text = NULL;
    size_t kind, len;

    if (size < 1)
        return 0;
    kind = data[0] % (sizeof types / sizeof *types);
    if (xstored_doc_parse((const char *)data + 1, size - 1, types[kind], &doc, NULL) < 0)
        return 0;
    check_refs(doc, kind % 2 == 1);
    descriptor = xstored_doc_descriptor(doc, DIGEST, 1);
    text = xeno_json_format(descriptor, false, &len);
    XENO_REQUIRE(xeno_json_parse(text, len, 2 * XSTORED_DOC_MAX_BYTES, &again, NULL) == 0);
    return 0;
}
