/* src/cli/image.h - where images are. */
#ifndef XENO_CLI_IMAGE_H
#define XENO_CLI_IMAGE_H

#include "cli/cli.h"

/* The image store: `given`, else $XENO_IMAGES, else the profile's, else the default platform's.
 * Returns: the caller's. */
char *cli_store_path(struct cli *cli, const char *given);

#endif
