/* src/cli/image.c - templates and overlays of an image store: ls, show, rm; the table. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/image.h"
#include "cli/out.h"
#include "cli/profile.h"
#include "cli/progress.h"
#include "cli/signed.h"

char *cli_store_path(struct cli *cli, const char *given)
{
    const char *own = getenv("XENO_IMAGES"), *home = getenv("HOME");
    struct xeno_err ignored = XENO_ERR_INIT;

    if (given)
        return xeno_strdup(given);
    if (own && *own)
        return xeno_strdup(own);
    if (cli_profile_need(cli, &ignored) == 0 && cli->profile->images)
        return xeno_strdup(cli->profile->images);
    if (geteuid() == 0)
        return xeno_strdup(XENO_DATA_DIR "/platform/images");
    return xeno_asprintf("%s/.local/share/xeno/platform/images", home ? home : "");
}

int cli_store_open(struct cli *cli, const struct cli_args *args, int mode, struct xeno_store **ret,
                   struct xeno_err *err)
{
    xeno_autofree char *path = cli_store_path(cli, cli_value(args, "store"));

    return xeno_store_open(path, mode, ret, err);
}

/* --- template ls, show, rm; overlay ls --- */

static const struct cli_option store_options[] = { STORE_OPTION, { NULL } };

/* As far as its manifest says. */
static bool has_mounts(const struct xeno_image *im)
{
    for (size_t i = 0; i < im->layer_count; i++)
        if (im->layers[i].mounts)
            return true;
    return false;
}

static struct xeno_json *image_json(const char *name, const struct xeno_image *im,
                                    const struct xeno_seen_list *seen)
{
    struct xeno_json *j = xeno_json_object(), *layers = xeno_json_array();
    struct xeno_json *env = xeno_json_array(), *argv = xeno_json_array();

    xeno_json_set_str(j, "name", name && *name ? name : NULL);
    xeno_json_set_str(j, "digest", im->digest);
    xeno_json_set_str(j, "kind", xeno_image_kind_name(im->kind));
    xeno_json_set_str(j, "base", im->base[0] ? im->base : NULL);
    xeno_json_set_str(j, "arch", im->arch);
    xeno_json_set_str(j, "os", im->os);
    xeno_json_set_str(j, "created", im->created[0] ? im->created : NULL);
    xeno_json_set_int(j, "size_bytes", im->size_bytes);
    for (size_t i = 0; i < im->layer_count; i++)
        xeno_json_append_str(layers, im->layers[i].digest);
    xeno_json_set(j, "layers", layers);
    xeno_json_set_bool(j, "mounts", has_mounts(im));
    for (char **p = im->env; p && *p; p++)
        xeno_json_append_str(env, *p);
    xeno_json_set(j, "env", env);
    for (char **p = im->argv; p && *p; p++)
        xeno_json_append_str(argv, *p);
    xeno_json_set(j, "argv", argv);
    xeno_json_set_str(j, "cwd", im->cwd);
    xeno_json_set_str(j, "user", im->user && *im->user ? im->user : NULL);
    xeno_json_set(j, "signed", cli_signed_of(seen, im->digest));
    return j;
}

/* 1970 stands for "made so that the same input gives the same digest": it tells nobody anything. */
static void list_time(struct cli_table *t, const char *created)
{
    xeno_time at = xeno_ns(0);

    if (xeno_time_parse(created, &at, NULL) < 0)
        at = xeno_ns(0);
    cli_cell_time(t, at.ns / XENO_NS_PER_MS);
}

static void list_row(const struct cli *cli, struct cli_table *t, const struct xeno_store_entry *e,
                     const struct xeno_seen_list *seen)
{
    xeno_autofree char *by = cli_signed_short(cli, seen, e->digest);
    char size[32], digest[32];

    snprintf(digest, sizeof digest, "%.19s", e->digest);
    cli_cell_paint(t, e->name, CLI_BOLD);
    cli_cell(t, digest);
    if (!e->image) {
        cli_cell_paint(t, "broken", CLI_RED);
        cli_cell(t, NULL);
        cli_cell(t, e->problem);
        if (seen->count > 0)
            cli_cell(t, NULL);
        return;
    }
    cli_cell(t, xeno_image_kind_name(e->image->kind));
    cli_cell(t, xeno_size_text(e->image->size_bytes, size));
    list_time(t, e->image->created);
    if (seen->count > 0)
        cli_cell(t, by);
}

static int list_images(struct cli *cli, const struct cli_args *args, enum xeno_image_kind without,
                       const char *member, struct xeno_err *err)
{
    static const char *const heads[] = { "NAME",    "DIGEST",    "KIND", "SIZE",
                                         "CREATED", "SIGNED AS", NULL };
    xeno_autofree char *path = cli_store_path(cli, cli_value(args, "store"));
    xeno_auto(xeno_seen_list) seen = cli_signed_list(path);
    cli_autotable t = cli_table_new(seen->count > 0 ? 6 : 5, heads, 1U << 3);
    xeno_auto(xeno_store) st = NULL;
    xeno_auto(xeno_store_list) list = NULL;
    struct xeno_json *all, *out;
    int r = cli_store_open(cli, args, XENO_STORE_READ, &st, err);

    if (r == 0)
        r = xeno_store_list(st, &list, err);
    if (r < 0)
        return r;
    all = xeno_json_object();
    out = xeno_json_array();
    xeno_json_set(all, member, out);
    for (size_t i = 0; i < list->count; i++) {
        const struct xeno_store_entry *e = &list->items[i];

        if (e->image && e->image->kind == without)
            continue;
        list_row(cli, &t, e, seen);
        if (e->image)
            xeno_json_append(out, image_json(e->name, e->image, seen));
    }
    cli_table_print_or(
        cli, &t,
        without == XENO_IMAGE_OVERLAY
            ? "no templates: make one: xeno template build debian:bookworm --name debian"
            : "no overlays: make one: xeno overlay create NAME FOLDER:/TARGET");
    if (cli->json)
        cli_json(all);
    else
        xeno_json_unref(all);
    return CLI_OK;
}

static int run_template_ls(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    return list_images(cli, args, XENO_IMAGE_OVERLAY, "templates", err);
}

static int run_overlay_ls(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    return list_images(cli, args, XENO_IMAGE_TEMPLATE, "overlays", err);
}

static const struct cli_option show_options[] = {
    STORE_OPTION,
    { "verify", 0, NULL, "read and check every blob of it", false, 0 },
    { NULL },
};

static void show_image(struct cli *cli, const char *name, const struct xeno_image *im,
                       const struct xeno_seen_list *seen)
{
    char size[32];

    cli_field(cli, "name", "%s", cli_clean(name));
    cli_field(cli, "kind", "%s", xeno_image_kind_name(im->kind));
    cli_field(cli, "digest", "%s", im->digest);
    cli_signed_show(cli, seen, im->digest);
    if (im->base[0])
        cli_field(cli, "base", "%s", im->base);
    cli_field(cli, "machine", "%s/%s", cli_clean(im->os), cli_clean(im->arch));
    cli_field(cli, "size", "%s", xeno_size_text(im->size_bytes, size));
    for (size_t i = 0; i < im->layer_count; i++)
        cli_field(cli, i ? "" : "layers", "%s %s", im->layers[i].digest,
                  xeno_size_text(im->layers[i].size_bytes, size));
    if (has_mounts(im))
        cli_field(cli, "mount files", "yes: xeno overlay tree %s", cli_clean(name));
    for (char **p = im->env; p && *p; p++)
        cli_field(cli, p == im->env ? "environment" : "", "%s", cli_clean(*p));
    for (char **p = im->argv; p && *p; p++)
        cli_field(cli, p == im->argv ? "command" : "", "%s", cli_clean(*p));
}

static int run_show(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(xeno_store) st = NULL;
    xeno_auto(xeno_image) im = NULL;
    xeno_auto(cli_progress) p = NULL;
    xeno_auto(xeno_seen_list) seen = NULL;
    struct xeno_progress hook;
    int r = cli_store_open(cli, args, XENO_STORE_READ, &st, err);

    if (r == 0)
        r = xeno_store_resolve(st, args->words[0], NULL, &im, err);
    if (r == 0 && cli_flag(args, "verify")) {
        p = cli_progress_new(cli, "verifying");
        hook = cli_progress_hook(p);
        r = xeno_store_verify(st, args->words[0], &hook, err);
        cli_progress_free(xeno_take(&p));
    }
    if (r < 0)
        return r;
    seen = cli_signed_list(xeno_store_path(st));
    if (cli->json) {
        cli_json(image_json(args->words[0], im, seen));
        return CLI_OK;
    }
    show_image(cli, args->words[0], im, seen);
    if (cli_flag(args, "verify"))
        cli_say(cli, "every blob has the content its name says");
    return CLI_OK;
}

static int run_rm(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(xeno_store) st = NULL;
    struct xeno_store_collected gone = { .blobs = 0 };
    char size[32];
    int r = cli_store_open(cli, args, XENO_STORE_WRITE, &st, err);

    for (int i = 0; r == 0 && i < args->word_count; i++)
        r = xeno_store_remove(st, args->words[i], err);
    if (r == 0)
        r = xeno_store_collect(st, true, &gone, err);
    if (r < 0)
        return r;
    if (cli->json) {
        struct xeno_json *j = xeno_json_object();

        xeno_json_set_int(j, "blobs", (int64_t)gone.blobs);
        xeno_json_set_int(j, "bytes", gone.bytes);
        cli_json(j);
    }
    cli_say(cli, "removed; %s are free again (sessions that run on it go on)",
            xeno_size_text(gone.bytes, size));
    return CLI_OK;
}

#define PUSH_ABOUT                                                                                 \
    "WHERE is oci://HOST[:PORT]/REPO[:TAG], or its name in the default store (xeno store\n"        \
    "use), where NAME alone is ID/NAME with your id; without WHERE it is NAME. What the\n"         \
    "registry has is not sent again."
#define PULL_ABOUT                                                                                 \
    "WHERE is oci://HOST[:PORT]/REPO[:TAG|@DIGEST], or its name in the default store (xeno\n"      \
    "store use). Every byte is checked by digest. Of a layer with a table of contents only\n"      \
    "those pieces are fetched that no layer here has.\n"                                           \
    "\n"                                                                                           \
    "With template:// or overlay:// before it, PUBLISHER/NAME/VERSION is what its publisher\n"     \
    "signed: an id or one of xeno publisher ls, or without PUBLISHER you. A statement older\n"     \
    "than one seen before is refused."
#define PUBLISH_ABOUT                                                                              \
    "You sign what NAME/VERSION stands for; others call it ID/NAME/VERSION with your id. The\n"    \
    "image and the statement are sent to your folder of the default store, or to --to.\n"          \
    "Without --move you promise that it never stands for anything else. With it you may\n"         \
    "publish other images under it, and publish it again before its lifetime ends."

const struct cli_command cli_image_commands[] = {
    { .name = "template build",
      .usage = "DISTRIBUTION:SUITE",
      .summary = "make a template of Debian packages, by mmdebstrap",
      .examples = "xeno template build debian:bookworm\n"
                  "xeno template build debian:bookworm --include apache2 --name debian-apache",
      .options = cli_template_build_options,
      .min_words = 1,
      .max_words = 1,
      .run = cli_template_build },
    { .name = "template import",
      .usage = "PATH",
      .summary = "make a template of a folder, tar, OCI or docker archive",
      .about = "Archives are unpacked by a process that can do nothing else; one that escapes its\n"
               "folder, holds devices or is a bomb is refused whole.",
      .examples = "xeno template import rootfs/ --name mine\n"
                  "docker save nginx | xeno template import - --name nginx\n"
                  "xeno template import layout/ --ref debian:12",
      .options = cli_template_import_options,
      .min_words = 1,
      .max_words = 1,
      .run = cli_template_import },
    { .name = "template export",
      .usage = "TEMPLATE PATH",
      .summary = "write a template or overlay as an OCI archive or layout",
      .about =
          "PATH is a file for an archive, a folder when it ends in '/', '-' for standard output.",
      .examples = "xeno template export debian-apache apache.tar --compression gzip\n"
                  "xeno template export debian-apache - | podman load",
      .options = cli_template_export_options,
      .min_words = 2,
      .max_words = 2,
      .offer = CLI_OFFER_TEMPLATE,
      .run = cli_template_export },
    { .name = "template ls",
      .usage = "",
      .summary = "list templates of an image store",
      .examples = "xeno template ls\nxeno template ls --json | jq -r '.templates[].name'",
      .options = store_options,
      .run = run_template_ls },
    { .name = "template show",
      .usage = "TEMPLATE",
      .summary = "show a template: digest, layers, environment, command",
      .examples = "xeno template show debian-apache\nxeno template show debian-apache --verify",
      .options = show_options,
      .min_words = 1,
      .max_words = 1,
      .offer = CLI_OFFER_TEMPLATE,
      .run = run_show },
    { .name = "template diff",
      .usage = "OLD NEW",
      .summary = "compare two images: files, and the bytes that are new",
      .about =
          "Files are marked + added, - removed, ~ changed, m other mode, owner or attributes.\n"
          "New are the pieces of layers that nobody has who has OLD. Layers that another\n"
          "program made have no table of contents; only those both stand on are passed over.",
      .examples = "xeno template diff debian-apache:1 debian-apache:2\n"
                  "xeno template diff debian page --json | jq .new_bytes",
      .options = cli_template_diff_options,
      .min_words = 2,
      .max_words = 2,
      .offer = CLI_OFFER_TEMPLATE,
      .run = cli_template_diff },
    { .name = "template push",
      .usage = "TEMPLATE [WHERE]",
      .summary = "send a template to a XenoStore or another OCI registry",
      .about = PUSH_ABOUT,
      .examples = "xeno template push debian-apache\n"
                  "xeno template push debian oci://registry.example.org/me/debian:12",
      .options = cli_push_options,
      .min_words = 1,
      .max_words = 2,
      .offer = CLI_OFFER_TEMPLATE,
      .run = cli_image_push },
    { .name = "template pull",
      .usage = "WHERE",
      .summary = "fetch a template from a XenoStore or another OCI registry",
      .about = PULL_ABOUT,
      .examples = "xeno template pull debian-apache\n"
                  "xeno template pull oci://registry.example.org/library/debian:12 --name debian\n"
                  "xeno template pull template://debian/12/current",
      .options = cli_pull_options,
      .min_words = 1,
      .max_words = 1,
      .run = cli_image_pull },
    { .name = "template publish",
      .usage = "TEMPLATE template://NAME/VERSION",
      .summary = "send a template and sign a name that stands for it",
      .about = PUBLISH_ABOUT,
      .examples = "xeno template publish debian template://12/2026-11-01\n"
                  "xeno template publish debian template://12/current --move --lifetime 30d",
      .options = cli_publish_options,
      .min_words = 2,
      .max_words = 2,
      .offer = CLI_OFFER_TEMPLATE,
      .run = cli_publish },
    { .name = "template rm",
      .usage = "TEMPLATE...",
      .summary = "remove templates or overlays, and what only they needed",
      .examples = "xeno template rm debian-apache",
      .options = store_options,
      .min_words = 1,
      .max_words = -1,
      .offer = CLI_OFFER_TEMPLATE,
      .run = run_rm },
    { .name = "overlay create",
      .usage = "NAME FOLDER[:TARGET]...",
      .summary = "make an overlay, layers over a template, from folders",
      .examples = "xeno overlay create page ./html:/var/www/html --base debian-apache\n"
                  "xeno overlay create conf ./etc:/etc --hide /etc/motd",
      .options = cli_overlay_create_options,
      .min_words = 2,
      .max_words = -1,
      .run = cli_overlay_create },
    { .name = "overlay push",
      .usage = "OVERLAY [WHERE]",
      .summary = "send an overlay to a XenoStore or another OCI registry",
      .about = PUSH_ABOUT,
      .examples = "xeno overlay push page\n"
                  "xeno overlay push page oci://registry.example.org/me/page:2",
      .options = cli_push_options,
      .min_words = 1,
      .max_words = 2,
      .offer = CLI_OFFER_OVERLAY,
      .run = cli_image_push },
    { .name = "overlay pull",
      .usage = "WHERE",
      .summary = "fetch an overlay from a XenoStore or another OCI registry",
      .about = PULL_ABOUT,
      .examples = "xeno overlay pull page:2",
      .options = cli_pull_options,
      .min_words = 1,
      .max_words = 1,
      .run = cli_image_pull },
    { .name = "overlay publish",
      .usage = "OVERLAY overlay://NAME/VERSION",
      .summary = "send an overlay and sign a name that stands for it",
      .about = PUBLISH_ABOUT,
      .examples = "xeno overlay publish page overlay://page/2",
      .options = cli_publish_options,
      .min_words = 2,
      .max_words = 2,
      .offer = CLI_OFFER_OVERLAY,
      .run = cli_publish },
    { .name = "overlay tree",
      .usage = "IMAGE",
      .summary = "show layers, and what their .mount files name",
      .about =
          "IMAGE is an overlay or template of the image store, or oci://HOST/REPO[:TAG|@DIGEST].\n"
          "A file .mount in a directory of a layer lists images to lie below that layer there;\n"
          "what it names is looked up here as well, eight deep at most. Layers stand topmost\n"
          "first. A name without a digest may stand for another image when a session starts.\n"
          "The exit status is 1 when something cannot be found or read.",
      .examples = "xeno overlay tree page\n"
                  "xeno overlay tree oci://registry.example.org/me/page:2",
      .options = cli_overlay_tree_options,
      .min_words = 1,
      .max_words = 1,
      .offer = CLI_OFFER_OVERLAY,
      .run = cli_overlay_tree },
    { .name = "overlay log",
      .usage = "WHERE",
      .summary = "show what a tag at your XenoStore stood for before",
      .about =
          "What a tag stood for is kept for some time after something else took its place, or it\n"
          "was deleted, and counts as yours. Neither this nor restore works with a pass, so what\n"
          "a tool or a session overwrote can be seen and undone, by you only.",
      .examples = "xeno overlay log page:2",
      .options = cli_overlay_log_options,
      .min_words = 1,
      .max_words = 1,
      .run = cli_overlay_log },
    { .name = "overlay restore",
      .usage = "WHERE",
      .summary = "let a tag stand for what it stood for before",
      .examples = "xeno overlay restore page:2 --to 3",
      .options = cli_overlay_restore_options,
      .min_words = 1,
      .max_words = 1,
      .run = cli_overlay_restore },
    { .name = "overlay ls",
      .usage = "",
      .summary = "list overlays of an image store",
      .examples = "xeno overlay ls",
      .options = store_options,
      .run = run_overlay_ls },
    { NULL },
};
