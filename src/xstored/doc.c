/* src/xstored/doc.c - reading manifests. */
#include "xstored/doc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "xstored/names.h"

#define SIZE_MAX_BYTES INT64_C(0x4000000000) /* 256 GiB: as image/manifest.h has it */

static const struct {
    const char *type;
    bool index;
} kinds[] = {
    { "application/vnd.oci.image.manifest.v1+json", false },
    { XSTORED_MT_INDEX, true },
    { "application/vnd.docker.distribution.manifest.v2+json", false },
    { "application/vnd.docker.distribution.manifest.list.v2+json", true },
};

/* Layers that, by their type, need not be in the registry of their manifest. */
static const char *const elsewhere[] = {
    "application/vnd.oci.image.layer.nondistributable.",
    "application/vnd.docker.image.rootfs.foreign.",
};

void xstored_doc_free(struct xstored_doc *doc)
{
    if (!doc)
        return;
    free(doc->annotations);
    free(doc->refs);
    free(doc);
}

static int kind_of(const char *type, bool *ret_index, struct xeno_err *err)
{
    for (size_t i = 0; i < XENO_LEN(kinds); i++) {
        if (strcmp(kinds[i].type, type) == 0) {
            *ret_index = kinds[i].index;
            return 0;
        }
    }
    return xeno_fail(err, -EMEDIUMTYPE, "store.media_type",
                     "'%.100s' is no kind of manifest: image manifests and indexes of OCI and "
                     "Docker's schema 2 are",
                     type);
}

/* A descriptor; `ret_type` is borrowed from the document. */
static int read_descriptor(const struct xeno_json_at *at, struct xstored_ref *ret,
                           const char **ret_type, struct xeno_err *err)
{
    const char *digest = NULL;
    int r = xeno_json_str(at, "mediaType", 1, XSTORED_TYPE_MAX, ret_type, err);

    if (r == 0)
        r = xeno_json_str(at, "digest", 1, 200, &digest, err);
    if (r == 0)
        r = xeno_json_int(at, "size", 0, SIZE_MAX_BYTES, &ret->size_bytes, err);
    if (r == 0)
        r = xstored_digest_check(digest, err);
    if (r < 0)
        return r;
    snprintf(ret->digest, sizeof ret->digest, "%s", digest);
    return 0;
}

static bool is_elsewhere(const char *type)
{
    for (size_t i = 0; i < XENO_LEN(elsewhere); i++)
        if (strncmp(type, elsewhere[i], strlen(elsewhere[i])) == 0)
            return true;
    return false;
}

static int read_refs(struct xstored_doc *doc, const struct xeno_json_at *top, bool index,
                     struct xeno_err *err)
{
    struct xeno_json_at list;
    size_t count = 0;
    int r =
        xeno_json_arr(top, index ? "manifests" : "layers", XSTORED_DOC_REFS, &list, &count, err);

    if (r < 0)
        return r;
    doc->refs = xeno_new0_n(struct xstored_ref, count + 1); /* and the config */
    for (size_t i = 0; i < count; i++) {
        struct xeno_json_at at = xeno_json_item(&list, i);
        struct xstored_ref *ref = &doc->refs[doc->count];
        const char *type;

        r = read_descriptor(&at, ref, &type, err);
        if (r < 0)
            return r;
        ref->manifest = index;
        doc->count += !is_elsewhere(type);
    }
    return 0;
}

static int read_config(struct xstored_doc *doc, const struct xeno_json_at *top,
                       struct xeno_err *err)
{
    struct xeno_json_at at;
    const char *type;
    int r = xeno_json_obj(top, "config", &at, err);

    if (r == 0)
        r = read_descriptor(&at, &doc->refs[doc->count], &type, err);
    if (r < 0)
        return r;
    doc->count++;
    snprintf(doc->artifact_type, sizeof doc->artifact_type, "%s", type);
    return 0;
}

static int read_subject(struct xstored_doc *doc, const struct xeno_json_at *top,
                        struct xeno_err *err)
{
    struct xstored_ref ref;
    struct xeno_json_at at;
    const char *type;
    int r = xeno_json_obj_opt(top, "subject", &at, err);

    if (r != 0)
        return r < 0 ? r : 0;
    r = read_descriptor(&at, &ref, &type, err);
    if (r == 0)
        snprintf(doc->subject, sizeof doc->subject, "%s", ref.digest);
    return r;
}

static int read_words(struct xstored_doc *doc, const struct xeno_json_at *top, struct xeno_err *err)
{
    const char *type = doc->media_type, *artifact = doc->artifact_type;
    struct xeno_json_at at;
    int r = xeno_json_str_opt(top, "mediaType", 1, XSTORED_TYPE_MAX, &type, err);

    if (r >= 0 && strcmp(type, doc->media_type) != 0)
        return xeno_fail(err, -EINVAL, "store.manifest",
                         "mediaType is '%.100s', but it was sent as '%.100s'", type,
                         doc->media_type);
    if (r >= 0)
        r = xeno_json_str_opt(top, "artifactType", 0, XSTORED_TYPE_MAX, &artifact, err);
    if (r >= 0 && *artifact && artifact != doc->artifact_type)
        snprintf(doc->artifact_type, sizeof doc->artifact_type, "%s", artifact);
    if (r >= 0)
        r = xeno_json_obj_opt(top, "annotations", &at, err);
    if (r == 0)
        doc->annotations = xeno_json_format(at.j, false, NULL);
    return r < 0 ? r : 0;
}

static int check_version(const struct xeno_json_at *top, struct xeno_err *err)
{
    int64_t version;

    return xeno_json_int(top, "schemaVersion", 2, 2, &version, err);
}

int xstored_doc_parse(const char *text, size_t len, const char *content_type,
                      struct xstored_doc **ret, struct xeno_err *err)
{
    xeno_auto(xstored_doc) doc = xeno_new0(struct xstored_doc);
    xeno_auto(xeno_json) j = NULL;
    struct xeno_err why = XENO_ERR_INIT;
    struct xeno_json_at top;
    bool index = false;
    int r = kind_of(content_type, &index, err);

    if (r < 0)
        return r;
    snprintf(doc->media_type, sizeof doc->media_type, "%s", content_type);
    r = xeno_json_parse(text, len, XSTORED_DOC_MAX_BYTES, &j, &why);
    if (r == 0) {
        top = xeno_json_top(j);
        r = check_version(&top, &why);
    }
    if (r == 0)
        r = read_refs(doc, &top, index, &why);
    if (r == 0 && !index)
        r = read_config(doc, &top, &why);
    if (r == 0)
        r = read_subject(doc, &top, &why);
    if (r == 0)
        r = read_words(doc, &top, &why);
    if (r < 0)
        return xeno_fail(err, -EINVAL, "store.manifest", "the manifest: %s", why.text);
    *ret = xeno_take(&doc);
    return 0;
}

struct xeno_json *xstored_doc_descriptor(const struct xstored_doc *doc, const char *digest,
                                         int64_t size_bytes)
{
    struct xeno_json *j = xeno_json_object(), *annotations = NULL;

    xeno_json_set_str(j, "mediaType", doc->media_type);
    xeno_json_set_str(j, "digest", digest);
    xeno_json_set_int(j, "size", size_bytes);
    xeno_json_set_str(j, "artifactType", *doc->artifact_type ? doc->artifact_type : NULL);
    if (doc->annotations && xeno_json_parse(doc->annotations, strlen(doc->annotations),
                                            XSTORED_DOC_MAX_BYTES, &annotations, NULL) == 0)
        xeno_json_set(j, "annotations", annotations);
    return j;
}
