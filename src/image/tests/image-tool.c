/* src/image/tests/image-tool.c - the image library from a shell, for the system tests.
 *
 * One call a line of arguments; prints what the call answers as words, or the error on stderr with
 * its token first, and exits 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "crypto/key.h"
#include "image/build.h"
#include "image/cache.h"
#include "image/layer.h"
#include "image/stack.h"

#define WORDS_MAX 64

static int fail(const struct xeno_err *err)
{
    fprintf(stderr, "%s: %s\n", err->token, err->text);
    return 1;
}

static int open_store(const char *path, struct xeno_store **ret, struct xeno_err *err)
{
    return xeno_store_open(path, XENO_STORE_CREATE, ret, err);
}

static int do_init(struct xeno_store *st, char **argv, struct xeno_err *err)
{
    (void)argv;
    (void)err;
    puts(xeno_store_path(st));
    return 0;
}

static int do_list(struct xeno_store *st, char **argv, struct xeno_err *err)
{
    xeno_auto(xeno_store_list) list = NULL;
    int r = xeno_store_list(st, &list, err);

    (void)argv;
    for (size_t i = 0; r >= 0 && i < list->count; i++) {
        const struct xeno_store_entry *e = &list->items[i];

        printf("%s %s %s %zu %lld %s\n", e->name[0] ? e->name : "-", e->digest,
               e->image ? xeno_image_kind_name(e->image->kind) : "broken",
               e->image ? e->image->layer_count : 0,
               e->image ? (long long)e->image->size_bytes : 0LL, e->problem);
    }
    return r;
}

static int do_resolve(struct xeno_store *st, char **argv, struct xeno_err *err)
{
    xeno_auto(xeno_image) im = NULL;
    int r = argv[1] ? xeno_store_stack(st, argv[0], (const char *const *)argv + 1,
                                       xeno_words_count(argv + 1), &im, err)
                    : xeno_store_resolve(st, argv[0], NULL, &im, err);

    if (r < 0)
        return r;
    printf("image %s %s\n", im->digest[0] ? im->digest : "-", xeno_image_kind_name(im->kind));
    for (size_t i = 0; i < im->layer_count; i++)
        printf("layer %s %s %lld\n", im->layers[i].digest, im->layers[i].diff_id,
               (long long)im->layers[i].size_bytes);
    for (size_t i = 0; im->env[i]; i++)
        printf("env %s\n", im->env[i]);
    for (size_t i = 0; im->argv[i]; i++)
        printf("arg %s\n", im->argv[i]);
    printf("cwd %s\n", im->cwd);
    return 0;
}

/* REF: the tables of its layers, a file a line, with the number of pieces. */
static int do_toc(struct xeno_store *st, char **argv, struct xeno_err *err)
{
    struct xeno_unpack_limits limits = XENO_UNPACK_LIMITS;
    xeno_auto(xeno_image) im = NULL;
    int r = xeno_store_resolve(st, argv[0], NULL, &im, err);

    for (size_t i = 0; r >= 0 && i < im->layer_count; i++) {
        xeno_auto(xeno_toc) toc = NULL;

        r = xeno_layer_toc(st, &im->layers[i], &limits, &toc, err);
        for (size_t k = 0; r >= 0 && k < toc->count; k++) {
            const struct xeno_toc_file *f = &toc->files[k];
            char sha[XENO_DIGEST_TEXT];

            xeno_digest_text(f->sha, sha);
            printf("%o %lld:%lld %lld %s %zu %s %s\n", f->mode, (long long)f->uid,
                   (long long)f->gid, (long long)f->size_bytes, sha, f->chunk_count, f->name,
                   f->link);
        }
    }
    return r;
}

/* REF DIR...: a stack's file, the image's layers by pieces below the directories. */
static int do_stack(struct xeno_store *st, char **argv, struct xeno_err *err)
{
    xeno_auto(xeno_stack) stack = xeno_stack_new();
    xeno_auto(xeno_image) im = NULL;
    xeno_autofree char *text = NULL;
    size_t len;
    int r = xeno_store_resolve(st, argv[0], NULL, &im, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < im->layer_count; i++)
        xeno_stack_add_layer(stack, &im->layers[i]);
    for (char **dir = argv + 1; *dir; dir++)
        xeno_stack_add_dir(stack, *dir);
    text = xeno_stack_format(stack, &len);
    puts(text);
    return 0;
}

static int do_tag(struct xeno_store *st, char **argv, struct xeno_err *err)
{
    return xeno_store_tag(st, argv[0], argv[1], err);
}

static int do_rm(struct xeno_store *st, char **argv, struct xeno_err *err)
{
    return xeno_store_remove(st, argv[0], err);
}

static int do_verify(struct xeno_store *st, char **argv, struct xeno_err *err)
{
    return xeno_store_verify(st, argv[0], NULL, err);
}

static int do_gc(struct xeno_store *st, char **argv, struct xeno_err *err)
{
    struct xeno_store_collected got;
    int r = xeno_store_collect(st, argv[0] && strcmp(argv[0], "unnamed") == 0, &got, err);

    if (r >= 0)
        printf("%zu %zu %lld\n", got.blobs, got.images, (long long)got.bytes);
    return r;
}

/* CACHE SESSION REF [OVERLAY...]: pin and unpack, print the folders bottom first. */
static int do_ensure(struct xeno_store *st, char **argv, struct xeno_err *err)
{
    const char *digests[XENO_LAYERS_MAX];
    xeno_auto(xeno_cache) c = NULL;
    xeno_auto(xeno_image) im = NULL;
    char **paths;
    int r = xeno_store_stack(st, argv[2], (const char *const *)argv + 3, xeno_words_count(argv + 3),
                             &im, err);

    if (r >= 0)
        r = xeno_cache_open(argv[0], &c, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < im->layer_count; i++)
        digests[i] = im->layers[i].digest;
    r = xeno_cache_ensure(c, st, argv[1], digests, im->layer_count, NULL, &paths, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < im->layer_count; i++)
        puts(paths[i]);
    xeno_cache_paths_free(paths, im->layer_count);
    return 0;
}

static int do_unpin(struct xeno_store *st, char **argv, struct xeno_err *err)
{
    xeno_auto(xeno_cache) c = NULL;
    int r = xeno_cache_open(argv[0], &c, err);

    (void)st;
    return r < 0 ? r : xeno_cache_unpin(c, argv[1], err);
}

static int do_collect(struct xeno_store *st, char **argv, struct xeno_err *err)
{
    xeno_auto(xeno_cache) c = NULL;
    struct xeno_cache_use use = { .layers = 0 };
    int r = xeno_cache_open(argv[0], &c, err);

    (void)st;
    if (r >= 0)
        r = xeno_cache_collect(c, argv[1] ? atoll(argv[1]) : 0, &use, err);
    if (r >= 0)
        printf("%zu %zu %lld removed %zu %lld\n", use.layers, use.pinned, (long long)use.bytes,
               use.removed, (long long)use.removed_bytes);
    return r;
}

static bool show(void *arg, const struct xeno_progress_at *at)
{
    (void)arg;
    if (at->text && strcmp(at->phase, "build") == 0)
        fprintf(stderr, "%s\n", at->text);
    return true;
}

static const struct xeno_progress progress = { .fn = show };

static void print_made(const struct xeno_made *m)
{
    printf("%s layers %zu size %lld tar %lld entries %lld skipped %zu\n", m->digest, m->layers,
           (long long)m->size_bytes, (long long)m->tar_bytes, (long long)m->entries, m->skipped);
}

static bool compression(const char *word, enum xeno_compression *ret)
{
    *ret = word && strcmp(word, "gzip") == 0   ? XENO_COMPRESS_GZIP
           : word && strcmp(word, "zstd") == 0 ? XENO_COMPRESS_ZSTD
                                               : XENO_COMPRESS_NONE;
    return word != NULL;
}

/* PATH NAME [COMPRESSION [REF]] */
static int do_import(struct xeno_store *st, char **argv, struct xeno_err *err)
{
    struct xeno_import_opts o = { .path = argv[0], .progress = &progress };
    struct xeno_made made;
    int r;

    o.name = strcmp(argv[1], "-") == 0 ? NULL : argv[1];
    o.compression_set = argv[2] && strcmp(argv[2], "-") != 0;
    (void)compression(argv[2], &o.compression);
    o.ref = argv[2] ? argv[3] : NULL;
    r = xeno_image_import(st, &o, &made, err);
    if (r >= 0)
        print_made(&made);
    return r;
}

/* REF PATH [COMPRESSION] */
static int do_export(struct xeno_store *st, char **argv, struct xeno_err *err)
{
    struct xeno_export_opts o = { .ref = argv[0], .path = argv[1] };

    o.compression_set = compression(argv[2], &o.compression);
    return xeno_image_export(st, &o, err);
}

/* NAME BASE|- (--delete | --hide=PATH | DIR=TARGET)... */
static int do_overlay(struct xeno_store *st, char **argv, struct xeno_err *err)
{
    struct xeno_overlay_source sources[WORDS_MAX];
    const char *hide[WORDS_MAX + 1];
    struct xeno_overlay_opts o = { .name = argv[0], .sources = sources, .whiteouts = hide };
    struct xeno_made made;
    size_t hidden = 0;
    int r;

    o.base = strcmp(argv[1], "-") == 0 ? NULL : argv[1];
    for (char **a = argv + 2; *a && o.source_count < WORDS_MAX && hidden < WORDS_MAX; a++) {
        char *eq = strchr(*a, '=');

        if (strcmp(*a, "--delete") == 0) {
            o.remove = true;
        } else if (strncmp(*a, "--hide=", 7) == 0) {
            hide[hidden++] = *a + 7;
        } else {
            if (eq)
                *eq++ = '\0';
            sources[o.source_count++] = (struct xeno_overlay_source){ .dir = *a, .target = eq };
        }
    }
    hide[hidden] = NULL;
    r = xeno_overlay_create(st, &o, &made, err);
    if (r >= 0)
        print_made(&made);
    return r;
}

/* FROM NAME|- PACKAGE... */
static int do_build(struct xeno_store *st, char **argv, struct xeno_err *err)
{
    struct xeno_build_opts o = { .from = argv[0],
                                 .include = (const char *const *)argv + 2,
                                 .progress = &progress };
    struct xeno_made made;
    int r;

    o.name = strcmp(argv[1], "-") == 0 ? NULL : argv[1];
    r = xeno_template_build(st, &o, &made, err);
    if (r >= 0)
        print_made(&made);
    return r;
}

static const struct {
    const char *name;
    size_t min_args;
    int (*run)(struct xeno_store *st, char **argv, struct xeno_err *err);
} verbs[] = {
    { "init", 0, do_init },     { "list", 0, do_list },     { "resolve", 1, do_resolve },
    { "stack", 1, do_stack },   { "toc", 1, do_toc },       { "tag", 2, do_tag },
    { "rm", 1, do_rm },         { "gc", 0, do_gc },         { "verify", 1, do_verify },
    { "ensure", 3, do_ensure }, { "unpin", 2, do_unpin },   { "collect", 1, do_collect },
    { "import", 2, do_import }, { "export", 2, do_export }, { "overlay", 3, do_overlay },
    { "build", 2, do_build },
};

int main(int argc, char **argv)
{
    struct xeno_err err = XENO_ERR_INIT;
    xeno_auto(xeno_store) st = NULL;

    xeno_crypto_init();
    for (size_t i = 0; argc >= 3 && i < XENO_LEN(verbs); i++) {
        if (strcmp(argv[2], verbs[i].name) != 0 || (size_t)argc - 3 < verbs[i].min_args)
            continue;
        if (open_store(argv[1], &st, &err) < 0)
            return fail(&err);
        return verbs[i].run(st, argv + 3, &err) < 0 ? fail(&err) : 0;
    }
    fprintf(stderr, "usage: image-tool STORE VERB ARGUMENT...\n");
    return 2;
}
