/* src/cli/image.c - templates and overlays in an image store of this machine. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/image.h"
#include "cli/out.h"
#include "cli/profile.h"
#include "cli/progress.h"
#include "image/build.h"
#include "image/store.h"

#define STORE_OPTION                                                                               \
    {                                                                                              \
        "store", 0, "DIR", "image store (default: of the platform on this machine)", false,        \
            CLI_OFFER_DIR                                                                          \
    }
#define NAME_OPTION                                                                                \
    {                                                                                              \
        "name", 'n', "NAME", "its name here", false, 0                                             \
    }
#define MADE_OPTIONS                                                                               \
    { "compression", 0, "KIND", "zstd (default), gzip or none", false, 0 },                        \
        { "env", 'e', "NAME=VALUE", "default environment of its tasks", true, 0 },                 \
        { "arg", 0, "WORD", "default command of its tasks, word by word", true, 0 },               \
    {                                                                                              \
        "workdir", 'w', "DIR", "default folder of its tasks", false, 0                             \
    }

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

static int open_store(struct cli *cli, const struct cli_args *args, int mode,
                      struct xeno_store **ret, struct xeno_err *err)
{
    xeno_autofree char *path = cli_store_path(cli, cli_value(args, "store"));

    return xeno_store_open(path, mode, ret, err);
}

static int read_compression(const struct cli_args *args, enum xeno_compression *ret, bool *ret_set,
                            struct xeno_err *err)
{
    static const char *const names[] = {
        [XENO_COMPRESS_NONE] = "none", [XENO_COMPRESS_GZIP] = "gzip", [XENO_COMPRESS_ZSTD] = "zstd"
    };
    const char *text = cli_value(args, "compression");

    if (!text)
        return 0;
    for (size_t i = 0; i < XENO_LEN(names); i++)
        if (strcmp(names[i], text) == 0) {
            *ret = (enum xeno_compression)i;
            *ret_set = true;
            return 0;
        }
    return cli_usage(err, "--compression: zstd, gzip or none, not '%s'", text);
}

static struct xeno_image_defaults read_defaults(const struct cli_args *args)
{
    struct xeno_image_defaults d = { .cwd = cli_value(args, "workdir") };
    const char *const *list;
    size_t n;

    list = cli_values(args, "env", &n);
    d.env = n > 0 ? list : NULL;
    list = cli_values(args, "arg", &n);
    d.argv = n > 0 ? list : NULL;
    return d;
}

static void print_made(struct cli *cli, const char *name, const struct xeno_made *made)
{
    char size[32];

    if (cli->json) {
        struct xeno_json *j = xeno_json_object();

        xeno_json_set_str(j, "name", name);
        xeno_json_set_str(j, "digest", made->digest);
        xeno_json_set_int(j, "size_bytes", made->size_bytes);
        xeno_json_set_int(j, "unpacked_bytes", made->tar_bytes);
        xeno_json_set_int(j, "layers", (int64_t)made->layers);
        xeno_json_set_int(j, "entries", made->entries);
        xeno_json_set_int(j, "skipped", (int64_t)made->skipped);
        cli_json(j);
    }
    cli_say(cli, "%s%s%s", name ? name : "", name ? " " : "", made->digest);
    cli_note(cli, "%s in %zu layer%s, %" PRId64 " entries%s",
             xeno_size_text(made->size_bytes, size), made->layers, made->layers == 1 ? "" : "s",
             made->entries, made->skipped ? "; sockets and devices were left out" : "");
}

/* --- template build --- */

static const struct cli_option build_options[] = {
    STORE_OPTION,
    NAME_OPTION,
    { "include", 'i', "PACKAGES", "further packages, with commas between them", true, 0 },
    { "variant", 0, "VARIANT", "of mmdebstrap: minbase (default), apt, ...", false, 0 },
    { "source", 0, "LINE", "apt source line or file instead of the machine's own", true, 0 },
    MADE_OPTIONS,
    { NULL },
};

/* "a,b" "c" to a, b, c; the caller's. */
static char **split_packages(const struct cli_args *args)
{
    const char *const *list;
    char **all = xeno_new0_n(char *, 1);
    size_t n, count = 0;

    list = cli_values(args, "include", &n);
    for (size_t i = 0; i < n; i++)
        for (const char *p = list[i]; *p; p += strspn(p, ", ")) {
            size_t len = strcspn(p, ", ");

            if (len > 0) {
                all = xeno_grow(all, count + 2);
                all[count++] = xeno_strndup(p, len);
                all[count] = NULL;
            }
            p += len;
        }
    return all;
}

static int run_build(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(xeno_store) st = NULL;
    xeno_auto(cli_progress) p = NULL;
    struct xeno_progress hook;
    struct xeno_build_opts opts = { .from = args->words[0], .name = cli_value(args, "name") };
    struct xeno_made made;
    char **packages;
    size_t n;
    int r;

    r = read_compression(args, &opts.compression, &opts.compression_set, err);
    if (r == 0)
        r = open_store(cli, args, XENO_STORE_CREATE, &st, err);
    if (r < 0)
        return r;
    packages = split_packages(args);
    p = cli_progress_new(cli, "building %s", args->words[0]);
    hook = cli_progress_hook(p);
    opts.include = (const char *const *)packages;
    opts.variant = cli_value(args, "variant");
    opts.sources = cli_values(args, "source", &n);
    if (n == 0)
        opts.sources = NULL;
    opts.defaults = read_defaults(args);
    opts.progress = &hook;
    r = xeno_template_build(st, &opts, &made, err);
    cli_progress_free(xeno_take(&p));
    cli_strv_free(packages);
    if (r < 0)
        return r;
    print_made(cli, opts.name, &made);
    return CLI_OK;
}

/* --- template import --- */

static const struct cli_option import_options[] = {
    STORE_OPTION,
    NAME_OPTION,
    { "format", 0, "FORMAT", "dir, tar, oci or docker (default: by looking)", false, 0 },
    { "ref", 0, "NAME", "which image of an archive with several", false, 0 },
    { "as-overlay", 0, NULL, "a directory or tar is an overlay, not a template", false, 0 },
    { "keep-times", 0, NULL, "keep the times of a directory's files", false, 0 },
    MADE_OPTIONS,
    { NULL },
};

static int read_format(const struct cli_args *args, enum xeno_import_format *ret,
                       struct xeno_err *err)
{
    static const char *const names[] = { [XENO_IMPORT_AUTO] = "auto",
                                         [XENO_IMPORT_DIR] = "dir",
                                         [XENO_IMPORT_TAR] = "tar",
                                         [XENO_IMPORT_OCI] = "oci",
                                         [XENO_IMPORT_DOCKER] = "docker" };
    const char *text = cli_value(args, "format");

    for (size_t i = 0; i < XENO_LEN(names); i++)
        if (!text || strcmp(names[i], text) == 0) {
            *ret = (enum xeno_import_format)i;
            return 0;
        }
    return cli_usage(err, "--format: dir, tar, oci or docker, not '%s'", text);
}

static int run_import(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(xeno_store) st = NULL;
    xeno_auto(cli_progress) p = NULL;
    struct xeno_progress hook;
    struct xeno_import_opts opts = { .path = args->words[0],
                                     .name = cli_value(args, "name"),
                                     .ref = cli_value(args, "ref"),
                                     .keep_times = cli_flag(args, "keep-times"),
                                     .defaults = read_defaults(args) };
    struct xeno_made made;
    int r;

    opts.kind = cli_flag(args, "as-overlay") ? XENO_IMAGE_OVERLAY : XENO_IMAGE_TEMPLATE;
    r = read_format(args, &opts.format, err);
    if (r == 0)
        r = read_compression(args, &opts.compression, &opts.compression_set, err);
    if (r == 0)
        r = open_store(cli, args, XENO_STORE_CREATE, &st, err);
    if (r < 0)
        return r;
    p = cli_progress_new(cli, "reading %s", args->words[0]);
    hook = cli_progress_hook(p);
    opts.progress = &hook;
    r = xeno_image_import(st, &opts, &made, err);
    cli_progress_free(xeno_take(&p));
    if (r < 0)
        return r;
    print_made(cli, opts.name, &made);
    return CLI_OK;
}

/* --- template ls, show, rm; overlay ls --- */

static const struct cli_option store_options[] = { STORE_OPTION, { NULL } };

static struct xeno_json *image_json(const char *name, const struct xeno_image *im)
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
    for (char **p = im->env; p && *p; p++)
        xeno_json_append_str(env, *p);
    xeno_json_set(j, "env", env);
    for (char **p = im->argv; p && *p; p++)
        xeno_json_append_str(argv, *p);
    xeno_json_set(j, "argv", argv);
    xeno_json_set_str(j, "cwd", im->cwd);
    xeno_json_set_str(j, "user", im->user && *im->user ? im->user : NULL);
    return j;
}

static void list_row(struct cli_table *t, const struct xeno_store_entry *e)
{
    char size[32], digest[32];

    snprintf(digest, sizeof digest, "%.19s", e->digest);
    cli_cell_paint(t, e->name, CLI_BOLD);
    cli_cell(t, digest);
    if (!e->image) {
        cli_cell_paint(t, "broken", CLI_RED);
        cli_cell(t, NULL);
        cli_cell(t, e->problem);
        return;
    }
    cli_cell(t, xeno_image_kind_name(e->image->kind));
    cli_cell(t, xeno_size_text(e->image->size_bytes, size));
    cli_cell(t, e->image->created);
}

static int list_images(struct cli *cli, const struct cli_args *args, enum xeno_image_kind without,
                       const char *member, struct xeno_err *err)
{
    static const char *const heads[] = { "NAME", "DIGEST", "KIND", "SIZE", "CREATED" };
    cli_autotable t = cli_table_new(XENO_LEN(heads), heads, 1U << 3);
    xeno_auto(xeno_store) st = NULL;
    xeno_auto(xeno_store_list) list = NULL;
    struct xeno_json *all, *out;
    int r = open_store(cli, args, XENO_STORE_READ, &st, err);

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
        list_row(&t, e);
        if (e->image)
            xeno_json_append(out, image_json(e->name, e->image));
    }
    cli_table_print(cli, &t);
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

static void show_image(struct cli *cli, const char *name, const struct xeno_image *im)
{
    char size[32];

    cli_field(cli, "name", "%s", cli_clean(name));
    cli_field(cli, "kind", "%s", xeno_image_kind_name(im->kind));
    cli_field(cli, "digest", "%s", im->digest);
    if (im->base[0])
        cli_field(cli, "base", "%s", im->base);
    cli_field(cli, "machine", "%s/%s", cli_clean(im->os), cli_clean(im->arch));
    cli_field(cli, "size", "%s", xeno_size_text(im->size_bytes, size));
    for (size_t i = 0; i < im->layer_count; i++)
        cli_field(cli, i ? "" : "layers", "%s %s", im->layers[i].digest,
                  xeno_size_text(im->layers[i].size_bytes, size));
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
    struct xeno_progress hook;
    int r = open_store(cli, args, XENO_STORE_READ, &st, err);

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
    if (cli->json) {
        cli_json(image_json(args->words[0], im));
        return CLI_OK;
    }
    show_image(cli, args->words[0], im);
    if (cli_flag(args, "verify"))
        cli_say(cli, "every blob has the content its name says");
    return CLI_OK;
}

static int run_rm(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(xeno_store) st = NULL;
    struct xeno_store_collected gone = { .blobs = 0 };
    char size[32];
    int r = open_store(cli, args, XENO_STORE_WRITE, &st, err);

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

/* --- overlay create --- */

static const struct cli_option overlay_options[] = {
    STORE_OPTION,
    { "base", 'b', "TEMPLATE", "the template it goes over", false, CLI_OFFER_TEMPLATE },
    { "hide", 0, "PATH", "hide this file or folder of the template", true, 0 },
    { "replace", 0, NULL, "hide what the template has below the targets and the folders have not",
      false, 0 },
    { "keep-owner", 0, NULL, "keep owners; else all belongs to root of the session", false, 0 },
    { "keep-times", 0, NULL, "keep times; else the same folders give the same digest", false, 0 },
    MADE_OPTIONS,
    { NULL },
};

/* "DIR" or "DIR:TARGET". A colon of the folder's own name can be written as it is when the part
 * after the last one is not absolute. */
static void split_source(char *word, struct xeno_overlay_source *ret)
{
    char *colon = strrchr(word, ':');

    *ret = (struct xeno_overlay_source){ .dir = word };
    if (colon && colon[1] == '/') {
        *colon = '\0';
        ret->target = colon + 1;
    }
}

static int run_overlay(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(xeno_store) st = NULL;
    xeno_auto(cli_progress) p = NULL;
    xeno_autofree struct xeno_overlay_source *sources =
        xeno_new0_n(struct xeno_overlay_source, (size_t)args->word_count);
    struct xeno_progress hook;
    struct xeno_overlay_opts opts = { .name = args->words[0],
                                      .base = cli_value(args, "base"),
                                      .sources = sources,
                                      .source_count = (size_t)args->word_count - 1,
                                      .remove = cli_flag(args, "replace"),
                                      .keep_owner = cli_flag(args, "keep-owner"),
                                      .keep_times = cli_flag(args, "keep-times"),
                                      .defaults = read_defaults(args) };
    struct xeno_made made;
    size_t n;
    int r;

    for (int i = 1; i < args->word_count; i++)
        split_source(args->words[i], &sources[i - 1]);
    opts.whiteouts = cli_values(args, "hide", &n);
    if (n == 0)
        opts.whiteouts = NULL;
    r = read_compression(args, &opts.compression, &opts.compression_set, err);
    if (r == 0)
        r = open_store(cli, args, XENO_STORE_CREATE, &st, err);
    if (r < 0)
        return r;
    p = cli_progress_new(cli, "packing %s", opts.name);
    hook = cli_progress_hook(p);
    opts.progress = &hook;
    r = xeno_overlay_create(st, &opts, &made, err);
    cli_progress_free(xeno_take(&p));
    if (r < 0)
        return r;
    print_made(cli, opts.name, &made);
    return CLI_OK;
}

/* --- template export --- */

static const struct cli_option export_options[] = {
    STORE_OPTION,
    { "compression", 0, "KIND", "of its layers: zstd, gzip or none (default: as stored)", false,
      0 },
    { NULL },
};

static int run_export(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(xeno_store) st = NULL;
    xeno_auto(cli_progress) p = NULL;
    struct xeno_progress hook;
    struct xeno_export_opts opts = { .ref = args->words[0], .path = args->words[1] };
    int r;

    if (cli->json && strcmp(opts.path, "-") == 0)
        return cli_usage(err, "with --json standard output is taken: export to a file");
    r = read_compression(args, &opts.compression, &opts.compression_set, err);
    if (r == 0)
        r = open_store(cli, args, XENO_STORE_READ, &st, err);
    if (r < 0)
        return r;
    p = cli_progress_new(cli, "writing %s", opts.path);
    hook = cli_progress_hook(p);
    opts.progress = &hook;
    fflush(stdout);
    r = xeno_image_export(st, &opts, err);
    cli_progress_free(xeno_take(&p));
    if (r < 0)
        return r;
    if (cli->json) {
        struct xeno_json *j = xeno_json_object();

        xeno_json_set_str(j, "path", opts.path);
        cli_json(j);
    }
    cli_note(cli, "written: %s (podman load, skopeo copy oci-archive: read it)", opts.path);
    return CLI_OK;
}

const struct cli_command cli_image_commands[] = {
    { .name = "template build",
      .usage = "DISTRIBUTION:SUITE",
      .summary = "make a template of Debian packages, by mmdebstrap",
      .examples = "xeno template build debian:bookworm\n"
                  "xeno template build debian:bookworm --include apache2 --name debian-apache",
      .options = build_options,
      .min_words = 1,
      .max_words = 1,
      .run = run_build },
    { .name = "template import",
      .usage = "PATH",
      .summary = "bring in a folder, tar, OCI layout or docker archive as a template",
      .about = "Archives are unpacked by a process that can do nothing else; one that escapes its\n"
               "folder, holds devices or is a bomb is refused whole.",
      .examples = "xeno template import rootfs/ --name mine\n"
                  "docker save nginx | xeno template import - --name nginx\n"
                  "xeno template import layout/ --ref debian:12",
      .options = import_options,
      .min_words = 1,
      .max_words = 1,
      .run = run_import },
    { .name = "template export",
      .usage = "TEMPLATE PATH",
      .summary = "write a template or overlay as an OCI archive, or a layout when PATH ends in /",
      .examples = "xeno template export debian-apache apache.tar --compression gzip\n"
                  "xeno template export debian-apache - | podman load",
      .options = export_options,
      .min_words = 2,
      .max_words = 2,
      .offer = CLI_OFFER_TEMPLATE,
      .run = run_export },
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
      .summary = "make an overlay from folders: layers that go over a template",
      .examples = "xeno overlay create page ./html:/var/www/html --base debian-apache\n"
                  "xeno overlay create conf ./etc:/etc --hide /etc/motd",
      .options = overlay_options,
      .min_words = 2,
      .max_words = -1,
      .run = run_overlay },
    { .name = "overlay ls",
      .usage = "",
      .summary = "list overlays of an image store",
      .examples = "xeno overlay ls",
      .options = store_options,
      .run = run_overlay_ls },
    { NULL },
};
