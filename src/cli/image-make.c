/* src/cli/image-make.c - make, bring in and give out images. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/image.h"
#include "cli/out.h"
#include "cli/profile.h"
#include "cli/progress.h"
#include "image/build.h"

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

void cli_print_made(struct cli *cli, const char *name, const struct xeno_made *made)
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

const struct cli_option cli_template_build_options[] = {
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

int cli_template_build(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
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
        r = cli_store_open(cli, args, XENO_STORE_CREATE, &st, err);
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
    opts.defaults.created = xeno_wall(cli->env); /* what mmdebstrap finds differs by the day */
    opts.progress = &hook;
    r = xeno_template_build(st, &opts, &made, err);
    cli_progress_free(xeno_take(&p));
    cli_strv_free(packages);
    if (r < 0)
        return r;
    cli_print_made(cli, opts.name, &made);
    return CLI_OK;
}

/* --- template import --- */

const struct cli_option cli_template_import_options[] = {
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

int cli_template_import(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
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
        r = cli_store_open(cli, args, XENO_STORE_CREATE, &st, err);
    if (r < 0)
        return r;
    p = cli_progress_new(cli, "reading %s", args->words[0]);
    hook = cli_progress_hook(p);
    opts.progress = &hook;
    r = xeno_image_import(st, &opts, &made, err);
    cli_progress_free(xeno_take(&p));
    if (r < 0)
        return r;
    cli_print_made(cli, opts.name, &made);
    return CLI_OK;
}

/* --- overlay create --- */

const struct cli_option cli_overlay_create_options[] = {
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

int cli_overlay_create(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
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
        r = cli_store_open(cli, args, XENO_STORE_CREATE, &st, err);
    if (r < 0)
        return r;
    p = cli_progress_new(cli, "packing %s", opts.name);
    hook = cli_progress_hook(p);
    opts.progress = &hook;
    r = xeno_overlay_create(st, &opts, &made, err);
    cli_progress_free(xeno_take(&p));
    if (r < 0)
        return r;
    cli_print_made(cli, opts.name, &made);
    return CLI_OK;
}

/* --- template export --- */

const struct cli_option cli_template_export_options[] = {
    STORE_OPTION,
    { "compression", 0, "KIND", "of its layers: zstd, gzip or none (default: as stored)", false,
      0 },
    { NULL },
};

int cli_template_export(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
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
        r = cli_store_open(cli, args, XENO_STORE_READ, &st, err);
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
