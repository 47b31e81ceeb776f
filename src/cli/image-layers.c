/* src/cli/image-layers.c - which layers the image of a session has. */
#include "cli/image-layers.h"

#include <errno.h>
#include <string.h>

#include "cli/image.h"
#include "cli/progress.h"
#include "cli/remote.h"
#include "cli/signed.h"
#include "image/store.h"

struct looking {
    struct cli *cli;
    bool far;
    struct xeno_store *store; /* of this machine; NULL: there is none */
    struct xeno_json *layers;
    size_t count;
};

static int take(struct looking *l, const struct xeno_image *im, struct xeno_err *err)
{
    if (im->layer_count > CLI_IMAGE_LAYERS_MAX - l->count)
        return xeno_fail(err, -E2BIG, "image.layers", "more than %d layers", CLI_IMAGE_LAYERS_MAX);
    for (size_t i = 0; i < im->layer_count; i++)
        xeno_json_append_str(l->layers, im->layers[i].digest);
    l->count += im->layer_count;
    return 0;
}

/* Returns: is it there? */
static bool look_here(struct looking *l, const char *ref, struct xeno_image **ret)
{
    return l->store && xeno_store_resolve(l->store, ref, NULL, ret, NULL) == 0;
}

static int look_there(struct looking *l, const char *ref, struct xeno_image **ret,
                      struct xeno_err *err)
{
    xeno_auto(cli_progress) p = cli_progress_new(l->cli, "asking what %.100s is", ref);
    xeno_auto(cli_remote) remote = NULL;
    xeno_autofree char *text = NULL;
    char digest[XENO_DIGEST_TEXT];
    size_t len;
    int r = cli_remote_open(l->cli, NULL, ref, NULL, false, &remote, err);

    (void)p; /* is drawn until we are back */
    if (r == 0)
        r = xeno_registry_manifest(remote->registry,
                                   remote->name.digest[0] ? remote->name.digest : remote->name.tag,
                                   NULL, &text, &len, digest, err);
    return r == 0 ? xeno_manifest_parse(text, len, ret, err) : r;
}

static int not_known(const char *ref, struct xeno_err *err)
{
    return xeno_fail(err, -ENOENT, "image.layers",
                     "which layers '%.200s' has is not known here (xeno template pull gets it, "
                     "oci://HOST/REPO[:TAG] names it anywhere)",
                     ref);
}

/* "oci://HOST/REPO[:TAG][@DIGEST]" */
static int look_oci(struct looking *l, const char *ref, struct xeno_image **ret,
                    struct xeno_err *err)
{
    struct xeno_registry_name name;
    int r = xeno_registry_name_parse(ref, &name, err);

    if (r < 0 || (name.digest[0] && look_here(l, name.digest, ret)))
        return r;
    return l->far ? look_there(l, ref, ret, err) : not_known(ref, err);
}

static int look(struct looking *l, const char *ref, struct xeno_err *err)
{
    xeno_auto(xeno_image) im = NULL;
    xeno_autofree char *pinned = NULL;
    int r = 0;

    if (l->far)
        r = cli_signed_pin(l->cli, ref, &pinned, err);
    if (r < 0)
        return r;
    ref = pinned ? pinned : ref;
    if (strncmp(ref, XENO_REGISTRY_SCHEME, strlen(XENO_REGISTRY_SCHEME)) == 0)
        r = look_oci(l, ref, &im, err);
    else
        r = look_here(l, ref, &im) ? 0 : not_known(ref, err);
    return r < 0 ? r : take(l, im, err);
}

static bool by_digest(const struct xeno_requirement *req)
{
    return req->overlay_count == 0 && strstr(req->template_ref, "sha256:");
}

int cli_image_layers(struct cli *cli, const struct xeno_requirement *req, bool far,
                     struct xeno_json *body, struct xeno_err *err)
{
    xeno_autofree char *path = cli_store_path(cli, NULL);
    xeno_auto(xeno_store) store = NULL;
    xeno_auto(xeno_json) layers = xeno_json_array();
    struct looking l = { .cli = cli, .far = far, .layers = layers };
    struct xeno_err why = XENO_ERR_INIT;
    int r = 0;

    if (xeno_store_open(path, XENO_STORE_READ, &store, NULL) == 0)
        l.store = store;
    if (*req->template_ref)
        r = look(&l, req->template_ref, &why);
    for (size_t i = 0; r == 0 && i < req->overlay_count; i++)
        r = look(&l, req->overlays[i], &why);
    if (r < 0 && by_digest(req))
        return 0;
    if (r < 0)
        return xeno_fail(err, r, why.token, "%s", why.text);
    if (l.count > 0)
        xeno_json_set(body, "layers", xeno_take(&layers));
    return 0;
}
