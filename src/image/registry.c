/* src/image/registry.c - a repository, and the manifest that a name there stands for. */
#include "image/registry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <utlist.h>

#include "image/registry-priv.h"
#include "image/store.h"

#define NESTING_MAX 3 /* an index in an index ... */
#define ACCEPT                                                                                     \
    XENO_MT_MANIFEST ", " XENO_MT_INDEX ", application/vnd.docker.distribution.manifest.v2+json, " \
                     "application/vnd.docker.distribution.manifest.list.v2+json"

/* Registries leave the default port away in the URLs they give. */
static char *base_of(const char *base)
{
    size_t len = strlen(base);

    if (len > 4 && strncmp(base, "https://", 8) == 0 && strcmp(base + len - 4, ":443") == 0)
        len -= 4;
    if (len > 3 && strncmp(base, "http://", 7) == 0 && strcmp(base + len - 3, ":80") == 0)
        len -= 3;
    return xeno_strndup(base, len);
}

int xeno_registry_new(const struct xeno_registry_opts *o, struct xeno_registry **ret,
                      struct xeno_err *err)
{
    struct xeno_registry *r;

    if (!xeno_registry_repo_ok(o->repo) || (o->from && !xeno_registry_repo_ok(o->from)))
        return xeno_fail(err, -EINVAL, "oci.name", "'%.300s' is not the name of a repository",
                         o->from && xeno_registry_repo_ok(o->repo) ? o->from : o->repo);
    r = xeno_new0(struct xeno_registry);
    r->loop = sd_event_ref(o->loop);
    r->http = o->http;
    r->env = o->env;
    r->base = base_of(o->base);
    r->repo = xeno_strdup(o->repo);
    r->server_id = xeno_strdup(o->server_id);
    r->password = xeno_strdup(o->password);
    r->from = xeno_strdup(o->from);
    r->write = o->write;
    r->parallel = o->parallel ? o->parallel : REGISTRY_PARALLEL;
    r->pace_s = o->pace_s;
    r->wait_s = o->wait_s ? o->wait_s : REGISTRY_WAIT_S;
    *ret = r;
    return 0;
}

static void wipe_free(char *text)
{
    if (text)
        xeno_wipe(text, strlen(text));
    free(text);
}

void xeno_registry_free(struct xeno_registry *r)
{
    struct ask *a, *next;

    if (!r)
        return;
    registry_jobs_drop(r);
    DL_FOREACH_SAFE (r->asks, a, next) {
        registry_ask_cancel(a);
    }
    xeno_http_cancel(r->token_call);
    wipe_free(r->token);
    wipe_free(r->password);
    free(r->base);
    free(r->repo);
    free(r->server_id);
    free(r->from);
    sd_event_unref(r->loop);
    free(r);
}

const struct xeno_registry_count *xeno_registry_counted(const struct xeno_registry *r)
{
    return &r->count;
}

/* --- manifests --- */

static bool is_index_type(const char *type)
{
    return strncmp(type, XENO_MT_INDEX, sizeof(XENO_MT_INDEX) - 1) == 0 ||
           strncmp(type, "application/vnd.docker.distribution.manifest.list.v2+json", 57) == 0;
}

/* An index by its own word, or else by what only an index has: the header may be wrong. */
static bool is_index(const char *text, size_t len)
{
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top;
    const char *type = "";

    if (xeno_json_parse(text, len, XENO_MANIFEST_MAX_BYTES, &doc, NULL) < 0)
        return false;
    top = xeno_json_top(doc);
    if (xeno_json_str_opt(&top, "mediaType", 0, 255, &type, NULL) == 0 && *type)
        return is_index_type(type);
    for (size_t i = 0; xeno_json_key(&top, i); i++)
        if (strcmp(xeno_json_key(&top, i), "manifests") == 0)
            return true;
    return false;
}

static int differs(struct xeno_err *err, const char *who, const char *want, const char *have)
{
    return xeno_fail(err, -EBADMSG, "image.corrupt", "%s %.80s has the content of %s", who, want,
                     have);
}

/* One document, verified. size: what the index says; -1: nobody said. */
static int get_manifest(struct xeno_registry *r, const char *ref, int64_t size, char **ret,
                        size_t *ret_len, char ret_digest[XENO_DIGEST_TEXT], struct xeno_err *err)
{
    struct ask *a = registry_ask_new(r, "GET", xeno_asprintf("/v2/%s/manifests/%s", r->repo, ref));
    xeno_autofree char *text = NULL, *says = NULL;
    uint8_t sha[32];
    size_t len;
    int n;

    registry_ask_header(a, "Accept", xeno_strdup(ACCEPT));
    a->max_body = XENO_MANIFEST_MAX_BYTES;
    n = registry_ask_wait(a, NULL, &text, &len, "Docker-Content-Digest", &says, err);
    if (n < 0)
        return xeno_context(err, n, "manifest '%.80s'", ref);
    xeno_sha256_of(text, len, sha);
    xeno_digest_text(sha, ret_digest);
    if (xeno_digest_ok(ref) && strcmp(ref, ret_digest) != 0)
        return differs(err, "the manifest", ref, ret_digest);
    if (says && xeno_digest_ok(says) && strcmp(says, ret_digest) != 0)
        return differs(err, "what the registry says is", says, ret_digest);
    if (size >= 0 && (int64_t)len != size)
        return xeno_fail(err, -EBADMSG, "image.corrupt",
                         "the manifest %.80s has %zu bytes, not %lld", ref, len, (long long)size);
    *ret = xeno_take(&text);
    *ret_len = len;
    return 0;
}

static int choose(const char *text, size_t len, const char *arch, struct xeno_descriptor *ret,
                  struct xeno_err *err)
{
    xeno_auto(xeno_index) ix = NULL;
    int n = xeno_index_parse(text, len, &ix, err);

    if (n < 0)
        return xeno_context(err, n, "index");
    for (size_t i = 0; i < ix->count; i++) {
        const struct xeno_descriptor *d = &ix->items[i];

        if ((d->arch[0] == '\0' || strcmp(d->arch, arch) == 0) &&
            (d->os[0] == '\0' || strcmp(d->os, "linux") == 0)) {
            *ret = *d;
            ret->raw = NULL;
            return 0;
        }
    }
    return xeno_fail(err, -EINVAL, "image.arch", "it has no image for linux/%s", arch);
}

int xeno_registry_manifest(struct xeno_registry *r, const char *ref, const char *arch,
                           char **ret_text, size_t *ret_len, char ret_digest[XENO_DIGEST_TEXT],
                           struct xeno_err *err)
{
    struct xeno_descriptor d = { .size_bytes = -1 };
    char digest[XENO_DIGEST_TEXT];
    int n;

    for (int depth = 0; depth <= NESTING_MAX; depth++) {
        xeno_autofree char *text = NULL;
        size_t len = 0;

        n = get_manifest(r, depth == 0 ? ref : d.digest, d.size_bytes, &text, &len, digest, err);
        if (n < 0)
            return n;
        if (!is_index(text, len)) {
            snprintf(ret_digest, XENO_DIGEST_TEXT, "%s", digest);
            *ret_text = xeno_take(&text);
            *ret_len = len;
            return 0;
        }
        n = choose(text, len, arch ? arch : xeno_image_host_arch(), &d, err);
        if (n < 0)
            return n;
    }
    return xeno_fail(err, -EINVAL, "image.index", "indexes nested deeper than %d", NESTING_MAX);
}
