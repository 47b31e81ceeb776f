/* src/image/artifact.c - a small document at a registry: put there, and fetched. */
#include "image/artifact.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image/registry-priv.h"

#define EMPTY_TYPE "application/vnd.oci.empty.v1+json"
#define EMPTY      "{}"

static void digest_of(const char *text, size_t len, char out[XENO_DIGEST_TEXT])
{
    uint8_t sha[32];

    xeno_sha256_of(text, len, sha);
    xeno_digest_text(sha, out);
}

/* --- putting --- */

static int put_blob(struct xeno_registry *r, const char *text, size_t len, struct xeno_err *err)
{
    xeno_autofree char *where = NULL;
    char digest[XENO_DIGEST_TEXT];
    const char *path;
    struct ask *a;
    int n;

    digest_of(text, len, digest);
    a = registry_ask_new(r, "HEAD", xeno_asprintf("/v2/%s/blobs/%s", r->repo, digest));
    if (registry_ask_wait(a, NULL, NULL, NULL, NULL, NULL, NULL) == 0)
        return 0; /* any trouble comes again with the upload */
    a = registry_ask_new(r, "POST", xeno_asprintf("/v2/%s/blobs/uploads/", r->repo));
    n = registry_ask_wait(a, NULL, NULL, NULL, "Location", &where, err);
    if (n < 0)
        return n;
    path = registry_upload_path(r, where);
    if (!path)
        return xeno_fail(err, -EPROTO, "oci.answer",
                         "%s names no place of its own for the upload, but '%.200s'", r->base,
                         where ? where : "");
    a = registry_ask_new(
        r, "PUT", xeno_asprintf("%s%cdigest=%s", path, strchr(path, '?') ? '&' : '?', digest));
    a->type = "application/octet-stream";
    a->body = xeno_strndup(text, len);
    a->body_len = len;
    return registry_ask_wait(a, NULL, NULL, NULL, NULL, NULL, err);
}

static struct xeno_json *part_json(const char *type, const char *text, size_t len)
{
    struct xeno_json *j = xeno_json_object();
    char digest[XENO_DIGEST_TEXT];

    digest_of(text, len, digest);
    xeno_json_set_str(j, "mediaType", type);
    xeno_json_set_str(j, "digest", digest);
    xeno_json_set_int(j, "size", (int64_t)len);
    return j;
}

static char *manifest_text(const struct xeno_artifact_type *type, const char *text, size_t len,
                           size_t *ret_len)
{
    xeno_auto(xeno_json) doc = xeno_json_object();
    struct xeno_json *layers = xeno_json_array();

    xeno_json_set_int(doc, "schemaVersion", 2);
    xeno_json_set_str(doc, "mediaType", XENO_MT_MANIFEST);
    xeno_json_set_str(doc, "artifactType", type->artifact);
    xeno_json_set(doc, "config", part_json(EMPTY_TYPE, EMPTY, strlen(EMPTY)));
    xeno_json_append(layers, part_json(type->layer, text, len));
    xeno_json_set(doc, "layers", layers);
    return xeno_json_format(doc, false, ret_len);
}

int xeno_artifact_put(struct xeno_registry *r, const char *tag,
                      const struct xeno_artifact_type *type, const char *text, size_t len,
                      struct xeno_err *err)
{
    struct ask *a;
    int n = put_blob(r, EMPTY, strlen(EMPTY), err);

    if (n >= 0)
        n = put_blob(r, text, len, err);
    if (n < 0)
        return n;
    a = registry_ask_new(r, "PUT", xeno_asprintf("/v2/%s/manifests/%s", r->repo, tag));
    a->type = XENO_MT_MANIFEST;
    a->body = manifest_text(type, text, len, &a->body_len);
    n = registry_ask_wait(a, NULL, NULL, NULL, NULL, NULL, err);
    return n < 0 ? xeno_context(err, n, "manifest '%.80s'", tag) : 0;
}

/* --- fetching --- */

static int not_one(const char *tag, const struct xeno_artifact_type *type, struct xeno_err *err)
{
    return xeno_fail(err, -EPROTO, "oci.artifact", "'%.80s' is not an artifact of type %s", tag,
                     type->artifact);
}

static int read_part(const char *tag, const struct xeno_artifact_type *type, const char *text,
                     size_t len, char ret_digest[XENO_DIGEST_TEXT], int64_t *ret_size,
                     struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top, layers, layer;
    const char *artifact = "", *media = NULL, *digest = NULL;
    size_t count;
    int n = xeno_json_parse(text, len, XENO_MANIFEST_MAX_BYTES, &doc, err);

    if (n < 0)
        return n;
    top = xeno_json_top(doc);
    n = xeno_json_str_opt(&top, "artifactType", 0, 255, &artifact, err);
    if (n < 0)
        return n;
    if (strcmp(artifact, type->artifact) != 0)
        return not_one(tag, type, err);
    n = xeno_json_arr(&top, "layers", 1, &layers, &count, err);
    if (n < 0)
        return n;
    if (count != 1)
        return not_one(tag, type, err);
    layer = xeno_json_item(&layers, 0);
    n = xeno_json_str(&layer, "mediaType", 1, 255, &media, err);
    if (n >= 0)
        n = xeno_json_str(&layer, "digest", 1, XENO_DIGEST_TEXT - 1, &digest, err);
    if (n >= 0)
        n = xeno_json_int(&layer, "size", 1, INT64_MAX, ret_size, err);
    if (n < 0)
        return n;
    if (strcmp(media, type->layer) != 0 || !xeno_digest_ok(digest))
        return not_one(tag, type, err);
    snprintf(ret_digest, XENO_DIGEST_TEXT, "%s", digest);
    return 0;
}

int xeno_artifact_get(struct xeno_registry *r, const char *tag,
                      const struct xeno_artifact_type *type, size_t max, char **ret,
                      size_t *ret_len, struct xeno_err *err)
{
    xeno_autofree char *manifest = NULL, *text = NULL;
    char digest[XENO_DIGEST_TEXT], have[XENO_DIGEST_TEXT];
    size_t len;
    int64_t size = 0;
    int n = xeno_registry_manifest(r, tag, NULL, &manifest, &len, digest, err);

    if (n >= 0)
        n = read_part(tag, type, manifest, len, digest, &size, err);
    if (n < 0)
        return n;
    if (size > (int64_t)max)
        return xeno_fail(err, -EFBIG, "oci.artifact",
                         "'%.80s' has %lld bytes, and at most %zu are read", tag, (long long)size,
                         max);
    text = xeno_alloc0(1, (size_t)size + 1);
    n = xeno_registry_read_all(r, digest, (size_t)size, text, err);
    if (n < 0)
        return n;
    digest_of(text, (size_t)size, have);
    if (strcmp(have, digest) != 0)
        return xeno_fail(err, -EBADMSG, "image.corrupt", "blob %s has the content of %s", digest,
                         have);
    *ret = xeno_take(&text);
    *ret_len = (size_t)size;
    return 0;
}
