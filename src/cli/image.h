/* src/cli/image.h - image stores, and the verbs on them, which are in two files. */
#ifndef XENO_CLI_IMAGE_H
#define XENO_CLI_IMAGE_H

#include "cli/args.h"
#include "cli/cli.h"
#include "image/store.h"

/* The image store: `given`, else $XENO_IMAGES, else the profile's, else the default platform's.
 * Returns: the caller's. */
char *cli_store_path(struct cli *cli, const char *given);

#define STORE_OPTION                                                                               \
    {                                                                                              \
        "store", 0, "DIR", "image store (default: of the platform on this machine)", false,        \
            CLI_OFFER_DIR                                                                          \
    }
int cli_store_open(struct cli *cli, const struct cli_args *args, int mode, struct xeno_store **ret,
                   struct xeno_err *err);

/* What a verb that made an image says of it. */
struct xeno_made;
void cli_print_made(struct cli *cli, const char *name, const struct xeno_made *made);

extern const struct cli_option cli_template_build_options[], cli_template_import_options[],
    cli_template_export_options[], cli_template_diff_options[], cli_overlay_create_options[],
    cli_push_options[], cli_pull_options[], cli_publish_options[], cli_overlay_tree_options[],
    cli_overlay_log_options[], cli_overlay_restore_options[];
int cli_template_build(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_template_import(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_template_export(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_template_diff(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
/* Of templates and of overlays: the verb's name says which. */
int cli_image_push(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_image_pull(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_publish(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_overlay_log(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_overlay_restore(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_overlay_tree(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int cli_overlay_create(struct cli *cli, const struct cli_args *args, struct xeno_err *err);

#endif
