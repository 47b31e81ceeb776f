/* src/cowfs/again.c - layers of an image that was mounted, from the image manager, which is told of
 * the image again when it has forgotten it: nobody but we know that a session needs it. */
#include <errno.h>
#include <string.h>

#include "cowfs/images-priv.h"
#include "image/agent.h"

struct again {
    struct xeno_source base; /* first, so the two pointers are one */
    struct xeno_agent *agent;
    struct xeno_source *inner;
    char *image; /* "oci://HOST/REPO@DIGEST" */
};

static int again_read(struct xeno_source *s, const char *digest, int64_t offset, void *buf,
                      size_t len, const struct xeno_source_want *want, struct xeno_err *err)
{
    struct again *a = (struct again *)s;
    xeno_auto(xeno_agent_image) found = NULL;
    struct xeno_err why = XENO_ERR_INIT;
    int r = a->inner->ops->read(a->inner, digest, offset, buf, len, want, &why);

    if (r != -ENOENT)
        return r < 0 ? xeno_fail(err, r, why.token, "%s", why.text) : r;
    r = xeno_agent_resolve(a->agent, a->image, XENO_IMAGE_ANY, &found, err);
    return r < 0 ? r : a->inner->ops->read(a->inner, digest, offset, buf, len, want, err);
}

static void again_free(struct xeno_source *s)
{
    struct again *a = (struct again *)s;

    images_source_free(a->inner);
    free(a->image);
    free(a);
}

static const struct xeno_source_ops again_ops = { .read = again_read, .free = again_free };

int images_again(const struct xeno_cowfs_images *im, const char *image, struct xeno_source **ret,
                 struct xeno_err *err)
{
    struct xeno_source *inner = NULL;
    struct again *a;
    int r = xeno_source_agent(im->agent, "xeno-imaged", &inner, err);

    if (r < 0)
        return r;
    a = xeno_new0(struct again);
    a->base.ops = &again_ops;
    a->base.name = xeno_strdup(inner->name);
    a->agent = im->agent;
    a->inner = inner;
    a->image = xeno_strdup(image);
    *ret = &a->base;
    return 0;
}
