/* src/task/oci/layers.h - how the layers of a session are to be stacked.
 *
 * A layer is there whole, unpacked in the layer cache, or it is read by pieces over its table of
 * contents. Where all are whole and none holds a mount file the kernel's overlayfs stacks them;
 * else xeno-cowfs does, by a file that says what is which (image/stack.h). In this order a layer
 * is:
 *   1. unpacked already;
 *   2. a blob of the operator's image store, and is unpacked now;
 *   3. fetched by the image manager (image/agent.h), which says whether it came whole, then it is
 *      unpacked now from the image manager's store, or can be read by pieces.
 *
 * The image manager faces the network and is not believed: where a table is, and its digest, is
 * taken from the manifests that the session names, by their digests, and from no other: an image of
 * a stranger may name the same layer with a table of its own.
 *
 * Context: a child process; unpacking and fetching take as long as they take.
 */
#ifndef XENO_TASK_OCI_LAYERS_H
#define XENO_TASK_OCI_LAYERS_H

#include "image/agent.h"
#include "image/stack.h"
#include "task/proto.h"

struct xeno_oci_layers {
    const char *cache;  /* of unpacked layers */
    const char *images; /* the operator's image store; need not be there */
    /* The image manager's store; "": there is no image manager, and what is not here is not had. */
    const char *imaged_store;
    /* Asks the image manager; never called without one. As xeno_agent_fetch(), from any thread. */
    int (*fetch)(void *arg, const char *layer, struct xeno_agent_fetched *ret,
                 struct xeno_err *err);
    void *arg;
};

/* Is a layer of `spec` neither unpacked nor a blob of the image store? Microseconds: for a daemon's
 * loop. */
bool xeno_oci_layers_away(const struct xeno_oci_layers *l, const struct xeno_task_spec *spec);

/* Have the image manager fetch what is away, several layers at a time. Nothing is unpacked. The
 * first that cannot be had is the end of it, after those under way. Errors: those of fetch. */
int xeno_oci_layers_fetch(const struct xeno_oci_layers *l, const struct xeno_task_spec *spec,
                          struct xeno_err *err);

/* Make the layers ready and pin those that are whole for `pin` (image/cache.h).
 *
 * before: how the session's layers were stacked when it was created; NULL: it is created now.
 * Returns: 0 and in *ret the stack for xeno-cowfs, the caller's, or NULL: overlayfs, lowers by
 * their names in the cache.
 * Errors: -EINVAL oci.layers no layer at all; -EINVAL oci.images the session's manifests do not say
 *         where the layer's table is; those of the cache, of the stores and of fetch. */
int xeno_oci_layers_ready(const struct xeno_oci_layers *l, const struct xeno_task_spec *spec,
                          const char *pin, const struct xeno_stack *before, struct xeno_stack **ret,
                          struct xeno_err *err);

#endif
