/* src/cli/image-layers.h - which layers the image of a session has, so that an RD can say where
 * they are already (rfc/0019, `layers`).
 *
 * A name is looked for as a session's is: a signed one is what its publisher says, oci://HOST/REPO
 * is asked for at that registry, and any other is an image of the store on this machine, since what
 * XenoServers call their own images is theirs. A digest is looked for here first.
 */
#ifndef XENO_CLI_IMAGE_LAYERS_H
#define XENO_CLI_IMAGE_LAYERS_H

#include "cli/cli.h"
#include "json/json.h"
#include "spec/requirement.h"

#define CLI_IMAGE_LAYERS_MAX 128 /* what a question has room for */

/* Put the layers of template and overlays into the question `body`: those of all of them, or none.
 * `far`: publishers and registries may be asked. A template named by digest of which no more is
 * known is left to the RD, which knows whole images by digest, too.
 * Errors: -ENOENT image.layers: what a name stands for is not known here; those of the registry. */
int cli_image_layers(struct cli *cli, const struct xeno_requirement *req, bool far,
                     struct xeno_json *body, struct xeno_err *err);

#endif
