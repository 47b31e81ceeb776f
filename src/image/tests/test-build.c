/* src/image/tests/test-build.c - import, export, overlays: what goes in comes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "image/base.h"
#include "image/build.h"
#include "image/cache.h"
#include "image/tests/tar-make.h"

struct world {
    char *dir;
    struct xeno_store *st;
};

static int setup(void **state)
{
    struct world *w = xeno_new0(struct world);
    xeno_autofree char *images = NULL;

    w->dir = temp_new();
    images = temp_path(w->dir, "images");
    assert_int_equal(xeno_store_open(images, XENO_STORE_CREATE, &w->st, NULL), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    xeno_store_free(w->st);
    temp_drop(w->dir);
    free(w);
    return 0;
}

/* Make folders and files below the world: "a/b/" is a folder, "x>y" a link, others a file. */
static void plant(struct world *w, const char *top, const char *const *names)
{
    for (; *names; names++) {
        xeno_autofree char *path = xeno_asprintf("%s/%s/%s", w->dir, top, *names);
        char *slash = strrchr(path, '/'), *link = strchr(path, '>');

        if (link) {
            *link++ = '\0';
            *strrchr(path, '/') = '\0';
            assert_int_equal(xeno_mkdirs(AT_FDCWD, path, 0755, NULL), 0);
            path[strlen(path)] = '/';
            assert_int_equal(symlink(link, path), 0);
            continue;
        }
        *slash = '\0';
        assert_int_equal(xeno_mkdirs(AT_FDCWD, path, 0755, NULL), 0);
        *slash = '/';
        if (slash[1] != '\0')
            assert_int_equal(xeno_file_write(AT_FDCWD, path, 0644, *names, strlen(*names), NULL),
                             0);
    }
}

static void import_ok(struct world *w, struct xeno_import_opts o, const char *name,
                      struct xeno_made *made)
{
    xeno_autofree char *path = temp_path(w->dir, o.path);
    struct xeno_err err = XENO_ERR_INIT;
    int r;

    o.path = path;
    o.name = name;
    r = xeno_image_import(w->st, &o, made, &err);
    if (r < 0)
        print_message("%s\n", err.text);
    assert_int_equal(r, 0);
}

/* A file of an image, as it comes out of the cache. */
static void content_is(struct world *w, const char *ref, const char *name, const char *want)
{
    xeno_autofree char *cache = temp_path(w->dir, "cache"), *file = NULL, *text = NULL;
    xeno_auto(xeno_image) im = NULL;
    xeno_auto(xeno_cache) c = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    const char *digest;
    char **paths;
    size_t len;

    if (!can_confine())
        return;
    assert_int_equal(xeno_store_resolve(w->st, ref, NULL, &im, &err), 0);
    assert_int_equal(xeno_cache_open(cache, &c, &err), 0);
    digest = im->layers[im->layer_count - 1].digest;
    assert_int_equal(xeno_cache_ensure(c, w->st, "s", &digest, 1, NULL, &paths, &err), 0);
    file = temp_path(paths[0], name);
    xeno_cache_paths_free(paths, 1);
    assert_int_equal(xeno_file_read(AT_FDCWD, file, 1 << 20, &text, &len, &err), 0);
    assert_string_equal(text, want);
}

/* All names of an image with their types, sorted by the list of the layers' order. */
static const struct xeno_listed *in_image(struct world *w, const char *ref, const char *path,
                                          struct xeno_base **keep)
{
    xeno_auto(xeno_image) im = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    if (!*keep) {
        assert_int_equal(xeno_store_resolve(w->st, ref, NULL, &im, &err), 0);
        assert_int_equal(xeno_base_read(w->st, im, NULL, keep, &err), 0);
    }
    return xeno_base_get(*keep, path);
}

static const char *const rootfs[] = { "bin>usr/bin",
                                      "lib>usr/lib",
                                      "usr/bin/sh",
                                      "usr/lib/libc.so",
                                      "etc/passwd",
                                      "etc/apt/sources",
                                      "etc/apt/keys/one",
                                      "var/www/html/",
                                      "var/www/html/index",
                                      "var/run>/run",
                                      "run/",
                                      "loop>loop",
                                      "tmp/",
                                      NULL };

static void folder(void **state)
{
    struct world *w = *state;
    struct xeno_import_opts o = { .path = "root" };
    struct xeno_made one, two;
    xeno_auto(xeno_image) im = NULL;
    struct xeno_base *base = NULL;
    xeno_autofree char *top = temp_path(w->dir, "root"), *from = NULL, *to = NULL;

    plant(w, "root", rootfs);
    from = temp_path(top, "usr/bin/sh");
    to = temp_path(top, "usr/bin/sh2");
    assert_int_equal(link(from, to), 0);
    assert_int_equal(chmod(top, 0700), 0); /* as mktemp -d makes it */
    import_ok(w, o, "root", &one);
    import_ok(w, o, "root2", &two);
    assert_string_equal(one.digest, two.digest); /* the same input, the same digest */
    assert_int_equal(one.layers, 1);
    assert_int_equal(xeno_store_resolve(w->st, "template://root", NULL, &im, NULL), 0);
    assert_int_equal(im->kind, XENO_IMAGE_TEMPLATE);
    assert_int_equal(im->layers[0].compression, XENO_COMPRESS_ZSTD);
    assert_string_equal(im->argv[0], "/bin/sh");
    assert_string_equal(im->created, "1970-01-01T00:00:00Z");
    assert_int_equal(in_image(w, "root", ".", &base)->mode, 0755);
    assert_int_equal(in_image(w, "root", "usr/bin/sh", &base)->type, XENO_TAR_FILE);
    assert_string_equal(in_image(w, "root", "bin", &base)->link, "usr/bin");
    assert_null(in_image(w, "root", "bin/sh", &base));
    content_is(w, "root", "usr/bin/sh", "usr/bin/sh");
    content_is(w, "root", "usr/bin/sh2", "usr/bin/sh");
    xeno_base_free(base);
}

static void tars(void **state)
{
    static const enum xeno_compression kinds[] = { XENO_COMPRESS_NONE, XENO_COMPRESS_GZIP,
                                                   XENO_COMPRESS_ZSTD };
    struct world *w = *state;
    xeno_autobuf b = XENO_BUF_INIT;
    struct xeno_made made;
    char diff_id[XENO_DIGEST_TEXT] = "";

    tar_add(&b, &(struct member){ '5', "etc" });
    tar_add(&b, &(struct member){ '0', "etc/passwd", .data = "root" });
    tar_end(&b);
    temp_write(w->dir, "a.tar", b.data, b.len);
    for (size_t i = 0; i < XENO_LEN(kinds); i++) {
        struct xeno_import_opts o = { .path = "a.tar",
                                      .compression = kinds[i],
                                      .compression_set = true };
        struct xeno_export_opts x = { .ref = "t" };
        xeno_auto(xeno_image) im = NULL;
        xeno_autofree char *path = temp_path(w->dir, "out.tar");
        struct xeno_err err = XENO_ERR_INIT;
        struct xeno_made back;

        import_ok(w, o, "t", &made);
        assert_int_equal(made.entries, 2);
        assert_int_equal(xeno_store_resolve(w->st, "t", NULL, &im, &err), 0);
        assert_int_equal(im->layers[0].compression, kinds[i]);
        /* As zstd it is packed anew, in pieces; else the tar is the one that came. */
        assert_int_equal(im->layers[0].toc.bytes > 0, kinds[i] == XENO_COMPRESS_ZSTD);
        if (diff_id[0] != '\0' && kinds[i] != XENO_COMPRESS_ZSTD)
            assert_string_equal(im->layers[0].diff_id, diff_id);
        snprintf(diff_id, sizeof(diff_id), "%s", im->layers[0].diff_id);

        /* Out and in again: the very same image, by name and by digest. */
        x.path = path;
        assert_int_equal(xeno_image_export(w->st, &x, &err), 0);
        assert_int_equal(xeno_store_remove(w->st, "t", &err), 0);
        assert_int_equal(xeno_store_collect(w->st, true, NULL, &err), 0);
        import_ok(w, (struct xeno_import_opts){ .path = "out.tar" }, NULL, &back);
        assert_string_equal(back.digest, made.digest);
        assert_int_equal(xeno_store_verify(w->st, "t", NULL, &err), 0);
    }
}

/* That a layer holds mount files is noted in the manifest, also of another compression of it. */
static void mount_files(void **state)
{
    struct world *w = *state;
    xeno_autofree char *path = temp_path(w->dir, "out/");
    struct xeno_export_opts x = {
        .ref = "m", .path = path, .compression = XENO_COMPRESS_GZIP, .compression_set = true
    };
    struct xeno_import_opts tar = { .path = "a.tar" };
    xeno_auto(xeno_store) st = NULL;
    xeno_auto(xeno_image) im = NULL;
    xeno_auto(xeno_image) gz = NULL;
    xeno_autobuf b = XENO_BUF_INIT;
    struct xeno_made made;
    struct xeno_err err = XENO_ERR_INIT;

    tar_add(&b, &(struct member){ '0', "srv/.mount", .data = "template://a\n" });
    tar_end(&b);
    temp_write(w->dir, "a.tar", b.data, b.len);
    import_ok(w, tar, "m", &made);
    assert_int_equal(xeno_store_resolve(w->st, "m", NULL, &im, &err), 0);
    assert_true(im->layers[0].mounts);
    assert_int_equal(xeno_image_export(w->st, &x, &err), 0);
    assert_int_equal(xeno_store_open(path, XENO_STORE_READ, &st, &err), 0);
    assert_int_equal(xeno_store_resolve(st, "m", NULL, &gz, &err), 0);
    assert_int_equal(gz->layers[0].compression, XENO_COMPRESS_GZIP);
    assert_true(gz->layers[0].mounts);
}

static void converted(void **state)
{
    struct world *w = *state;
    struct xeno_import_opts o = { .path = "root" };
    xeno_autofree char *path = temp_path(w->dir, "gz.tar"), *folder_ = temp_path(w->dir, "lay/");
    struct xeno_export_opts x = {
        .ref = "root", .path = path, .compression = XENO_COMPRESS_GZIP, .compression_set = true
    };
    struct xeno_err err = XENO_ERR_INIT;
    xeno_auto(xeno_image) before = NULL;
    xeno_auto(xeno_image) after = NULL;
    struct xeno_made made;

    plant(w, "root", rootfs);
    import_ok(w, o, "root", &made);
    assert_int_equal(xeno_image_export(w->st, &x, &err), 0);
    import_ok(w, (struct xeno_import_opts){ .path = "gz.tar" }, "gz", &made);
    assert_int_equal(xeno_store_resolve(w->st, "root", NULL, &before, &err), 0);
    assert_int_equal(xeno_store_resolve(w->st, "gz", NULL, &after, &err), 0);
    assert_int_equal(after->layers[0].compression, XENO_COMPRESS_GZIP);
    assert_string_equal(after->layers[0].diff_id, before->layers[0].diff_id);
    assert_int_equal(after->kind, XENO_IMAGE_TEMPLATE);

    x = (struct xeno_export_opts){ .ref = "root", .path = folder_ };
    assert_int_equal(xeno_image_export(w->st, &x, &err), 0);
    import_ok(w, (struct xeno_import_opts){ .path = "lay" }, "again", &made);
    assert_string_equal(made.digest, before->digest);
}

static void docker(void **state)
{
    struct world *w = *state;
    xeno_autobuf layer = XENO_BUF_INIT;
    xeno_autobuf all = XENO_BUF_INIT;
    xeno_autofree char *config = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    xeno_auto(xeno_image) im = NULL;
    struct xeno_layer l;
    struct xeno_made made;
    xeno_autofree char *path = temp_path(w->dir, "d.tar");
    struct xeno_import_opts o = { .path = path };

    tar_add(&layer, &(struct member){ '0', "hello", .data = "world" });
    tar_end(&layer);
    /* The layer as data of a member: our writer takes texts, so its zeros are put in by hand. */
    close(layer_fd(&layer, &l));
    config =
        xeno_asprintf("{\"architecture\":\"%s\",\"os\":\"linux\",\"config\":{\"Cmd\":[\"/h\"]},"
                      "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\",\"%s\"]}}",
                      xeno_image_host_arch(), l.diff_id, l.diff_id);
    tar_add(&all, &(struct member){ '0', "one/layer.tar", .size = (int64_t)layer.len });
    xeno_buf_add(&all, layer.data, layer.len);
    tar_add(&all, &(struct member){ '2', "two/layer.tar", .link = "../one/layer.tar" });
    tar_add(&all, &(struct member){ '0', "c.json", .data = config });
    tar_add(&all, &(struct member){ '0', "manifest.json",
                                    .data = "[{\"Config\":\"c.json\",\"RepoTags\":[\"my/app:1\"],"
                                            "\"Layers\":[\"one/layer.tar\",\"two/layer.tar\"]}]" });
    tar_end(&all);
    temp_write(w->dir, "d.tar", all.data, all.len);
    if (!can_confine())
        skip();
    assert_int_equal(xeno_image_import(w->st, &o, &made, &err), 0);
    assert_int_equal(made.layers, 2);
    assert_int_equal(xeno_store_resolve(w->st, "my/app:1", NULL, &im, &err), 0);
    assert_string_equal(im->argv[0], "/h");
    assert_int_equal(im->layers[0].compression, XENO_COMPRESS_ZSTD);
    assert_string_equal(im->layers[1].diff_id, l.diff_id);

    o.ref = "other";
    assert_int_equal(xeno_image_import(w->st, &o, &made, &err), -ENOENT);
    assert_string_equal(err.token, "image.ref");
}

/* A mount file that would be an error in each session is one here. */
static void bad_mount_files(void **state)
{
    static const char *const texts[] = { "template://a\n", "nobody\n" };
    struct world *w = *state;

    for (size_t i = 0; i < XENO_LEN(texts); i++) {
        xeno_autofree char *dir = xeno_asprintf("%s/m%zu", w->dir, i);
        xeno_autofree char *file = xeno_asprintf("m%zu/.mount", i);
        struct xeno_import_opts o = { .path = dir, .name = "m" };
        struct xeno_err err = XENO_ERR_INIT;
        struct xeno_made made;

        assert_int_equal(mkdir(dir, 0755), 0);
        temp_write(w->dir, file, texts[i], strlen(texts[i]));
        assert_int_equal(xeno_image_import(w->st, &o, &made, &err), i == 0 ? 0 : -EINVAL);
        print_message("%s\n", err.text);
        assert_string_equal(err.token, i == 0 ? "" : "mount.ref");
    }
}

static void bad_imports(void **state)
{
    static const struct {
        const char *what;
        struct member m[4];
        const char *name, *token;
    } rows[] = {
        { "no name", { { '0', "a" } }, NULL, "image.name" },
        { "bad name", { { '0', "a" } }, "a b", "image.name" },
        { "hostile", { { '0', "../a" } }, "x", "unpack.name" },
        { "device", { { '3', "dev/null" } }, "x", "unpack.type" },
        { "docker that climbs",
          { { '0', "manifest.json",
              .data = "[{\"Config\":\"../../etc/passwd\",\"Layers\":[],\"RepoTags\":[\"x\"]}]" } },
          "x",
          "image.source" },
        { "docker link that climbs",
          { { '2', "l", .link = "/etc/passwd" },
            { '0', "manifest.json", .data = "[{\"Config\":\"l\",\"Layers\":[\"l\"]}]" } },
          "x",
          "image.source" },
        { "docker of nothing", { { '0', "manifest.json", .data = "[]" } }, "x", "image.ref" },
        { "docker nonsense", { { '0', "manifest.json", .data = "{}" } }, "x", "image.ref" },
        { "layout without index",
          { { '0', "oci-layout", .data = "{\"imageLayoutVersion\":\"1.0.0\"}" } },
          "x",
          "io.open" },
        { "layout with a link for an index",
          { { '0', "oci-layout", .data = "{\"imageLayoutVersion\":\"1.0.0\"}" },
            { '2', "index.json", .link = "/etc/passwd" } },
          "x",
          "io.open" },
    };
    struct world *w = *state;

    if (!can_confine())
        skip();
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_autobuf b = XENO_BUF_INIT;
        xeno_autofree char *path = temp_path(w->dir, "bad.tar");
        struct xeno_import_opts o = { .path = path, .name = rows[i].name };
        struct xeno_err err = XENO_ERR_INIT;
        struct xeno_store_list *list = NULL;
        struct xeno_made made;
        int r;

        for (size_t k = 0; k < 4 && rows[i].m[k].type; k++)
            tar_add(&b, &rows[i].m[k]);
        tar_end(&b);
        temp_write(w->dir, "bad.tar", b.data, b.len);
        r = xeno_image_import(w->st, &o, &made, &err);
        print_message("%s: %s: %s\n", rows[i].what, err.token, err.text);
        assert_true(r < 0);
        assert_string_equal(err.token, rows[i].token);
        assert_int_equal(xeno_store_list(w->st, &list, &err), 0);
        assert_int_equal(list->count, 0);
        xeno_store_list_free(list);
    }
}

static struct xeno_made overlay(struct world *w, struct xeno_overlay_opts o)
{
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_made made = { .layers = 0 };
    int r = xeno_overlay_create(w->st, &o, &made, &err);

    if (r < 0)
        print_message("%s\n", err.text);
    assert_int_equal(r, 0);
    return made;
}

static void overlays(void **state)
{
    static const char *const site[] = { "index", "img/logo", NULL };
    static const char *const sys[] = { "lib/x/plugin", "bin/tool", "var/run/pid", "opt/new/f",
                                       NULL };
    struct world *w = *state;
    struct xeno_import_opts o = { .path = "root" };
    xeno_autofree char *site_dir = temp_path(w->dir, "site"), *sys_dir = temp_path(w->dir, "sys");
    struct xeno_overlay_source src[] = { { site_dir, "/var/www/html" }, { sys_dir, "/" } };
    struct xeno_overlay_opts v = {
        .name = "site", .base = "root", .sources = src, .source_count = 2
    };
    struct xeno_base *base = NULL;
    struct xeno_made made, again;
    xeno_auto(xeno_image) im = NULL;
    xeno_autofree char *tmp = xeno_asprintf("%s/root/tmp", w->dir);

    plant(w, "root", rootfs);
    assert_int_equal(chmod(tmp, 01777), 0);
    import_ok(w, o, "root", &made);
    plant(w, "site", site);
    plant(w, "sys", sys);
    assert_int_equal(chmod(site_dir, 0700), 0); /* the template's folder keeps its own mode */
    made = overlay(w, v);
    v.name = "site2";
    again = overlay(w, v);
    assert_string_equal(made.digest, again.digest);
    assert_int_equal(xeno_store_resolve(w->st, "overlay://site", NULL, &im, NULL), 0);
    assert_int_equal(im->kind, XENO_IMAGE_OVERLAY);
    assert_int_equal(im->layer_count, 1);
    assert_true(xeno_digest_ok(im->base));
    assert_non_null(in_image(w, "site", "var/www/html/img/logo", &base));
    assert_int_equal(xeno_base_get(base, "var/www/html")->mode, 0755);
    content_is(w, "site", "var/www/html/img/logo", "img/logo");
    /* Links of the template are followed, not hidden. */
    assert_non_null(xeno_base_get(base, "usr/lib/x/plugin"));
    assert_non_null(xeno_base_get(base, "usr/bin/tool"));
    assert_non_null(xeno_base_get(base, "run/pid"));
    assert_null(xeno_base_get(base, "lib"));
    assert_null(xeno_base_get(base, "bin"));
    assert_non_null(xeno_base_get(base, "opt/new/f"));
    xeno_base_free(base);

    /* A folder on the way has the template's mode: /tmp stays everybody's. */
    base = NULL;
    v = (struct xeno_overlay_opts){ .name = "t",
                                    .base = "root",
                                    .source_count = 1,
                                    .sources =
                                        &(struct xeno_overlay_source){ site_dir, "/tmp/x" } };
    (void)overlay(w, v);
    assert_int_equal(in_image(w, "t", "tmp", &base)->mode, 01777);
    xeno_base_free(base);
}

static void hiding(void **state)
{
    static const char *const apt[] = { "keys/two", NULL };
    static const char *const hide[] = { "/bin/sh", NULL };
    struct world *w = *state;
    struct xeno_import_opts o = { .path = "root" };
    xeno_autofree char *apt_dir = temp_path(w->dir, "apt");
    struct xeno_overlay_source src[] = { { apt_dir, "/etc/apt" } };
    struct xeno_overlay_opts v = { .name = "less",
                                   .base = "root",
                                   .sources = src,
                                   .source_count = 1,
                                   .remove = true,
                                   .whiteouts = hide };
    struct xeno_err err = XENO_ERR_INIT;
    xeno_auto(xeno_image) im = NULL;
    xeno_auto(xeno_base) all = NULL;
    static const char *const over[] = { "overlay://less" };
    struct xeno_made made;

    plant(w, "root", rootfs);
    plant(w, "apt", apt);
    import_ok(w, o, "root", &made);
    (void)overlay(w, v);
    assert_int_equal(xeno_store_stack(w->st, "root", over, 1, &im, &err), 0);
    assert_int_equal(xeno_base_read(w->st, im, NULL, &all, &err), 0);
    assert_null(xeno_base_get(all, "etc/apt/sources"));
    assert_null(xeno_base_get(all, "etc/apt/keys/one"));
    assert_non_null(xeno_base_get(all, "etc/apt/keys/two"));
    assert_non_null(xeno_base_get(all, "etc/passwd"));
    assert_null(xeno_base_get(all, "usr/bin/sh"));
    assert_non_null(xeno_base_get(all, "bin"));

    v.base = NULL;
    assert_int_equal(xeno_overlay_create(w->st, &v, &made, &err), -EINVAL);
    v.base = "root";
    v.whiteouts = (const char *const[]){ "/no/such", NULL };
    assert_int_equal(xeno_overlay_create(w->st, &v, &made, &err), -ENOENT);
}

static void bad_overlays(void **state)
{
    static const char *const site[] = { "index", NULL }, *const evil[] = { ".wh.passwd", NULL };
    struct world *w = *state;
    xeno_autofree char *site_dir = temp_path(w->dir, "site"), *evil_dir = temp_path(w->dir, "evil");
    const struct {
        struct xeno_overlay_source src[2];
        const char *token;
    } rows[] = {
        { { { "/no/such/folder", "/" } }, "image.source" },
        { { { site_dir, "var" } }, "overlay.target" },
        { { { site_dir, "/loop/x" } }, "overlay.target" },
        { { { evil_dir, "/" } }, "unpack.name" },
        { { { site_dir, "/a" }, { site_dir, "/a" } }, "overlay.twice" },
    };
    struct xeno_import_opts o = { .path = "root" };
    struct xeno_made made;

    plant(w, "root", rootfs);
    plant(w, "site", site);
    plant(w, "evil", evil);
    import_ok(w, o, "root", &made);
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_overlay_opts v = { .name = "o", .base = "root", .sources = rows[i].src };
        struct xeno_err err = XENO_ERR_INIT;

        v.source_count = rows[i].src[1].dir ? 2 : 1;
        assert_true(xeno_overlay_create(w->st, &v, &made, &err) < 0);
        print_message("%s: %s\n", err.token, err.text);
        assert_string_equal(err.token, rows[i].token);
    }
}

static void links_followed(void **state)
{
    static const struct {
        const char *path, *all, *but_last;
    } rows[] = {
        { "/usr/bin", "usr/bin", "usr/bin" },
        { "/bin", "usr/bin", "bin" },
        { "/bin/x", "usr/bin/x", "usr/bin/x" },
        { "//bin/./x/", "usr/bin/x", "usr/bin/x" },
        { "/var/run/x", "run/x", "run/x" },
        { "/bin/../lib/y", "usr/lib/y", "usr/lib/y" },
        { "/../../etc", "etc", "etc" },
        { "/", ".", "." },
        { "/none/at/all", "none/at/all", "none/at/all" },
    };
    struct world *w = *state;
    struct xeno_base *base = NULL;
    struct xeno_made made;
    struct xeno_err err = XENO_ERR_INIT;
    char out[4096];

    plant(w, "root", rootfs);
    import_ok(w, (struct xeno_import_opts){ .path = "root" }, "root", &made);
    (void)in_image(w, "root", "bin", &base);
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        print_message("%s\n", rows[i].path);
        assert_int_equal(xeno_base_resolve(base, rows[i].path, true, out, &err), 0);
        assert_string_equal(out, rows[i].all);
        assert_int_equal(xeno_base_resolve(base, rows[i].path, false, out, &err), 0);
        assert_string_equal(out, rows[i].but_last);
    }
    assert_int_equal(xeno_base_resolve(base, "/loop", true, out, &err), -ELOOP);
    xeno_base_free(base);
}

static bool stop(void *arg, const struct xeno_progress_at *at)
{
    (void)arg;
    (void)at;
    return false;
}

static void cancelled(void **state)
{
    static const struct xeno_progress progress = { .fn = stop };
    struct world *w = *state;
    xeno_autofree char *path = temp_path(w->dir, "root");
    struct xeno_import_opts o = { .path = path, .name = "x", .progress = &progress };
    struct xeno_store_collected got;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_made made;

    plant(w, "root", rootfs);
    assert_int_equal(xeno_image_import(w->st, &o, &made, &err), -ECANCELED);
    assert_int_equal(xeno_store_collect(w->st, true, &got, &err), 0);
    assert_int_equal(got.blobs, 0);
}

static void bad_builds(void **state)
{
    static const char *const ok[] = { "apache2", NULL }, *const option[] = { "--x", NULL },
                             *const comma[] = { "a,b", NULL };
    static const struct {
        const char *from, *variant;
        const char *const *include;
        const char *name, *token;
    } rows[] = {
        { "gentoo:x", NULL, ok, "n", "build.from" },
        { "debian:../x", NULL, ok, "n", "build.from" },
        { "debian:-x", NULL, ok, "n", "build.from" },
        { "debian:", NULL, ok, "n", "build.from" },
        { "debian:12", "large", ok, "n", "build.variant" },
        { "debian:12", NULL, option, "n", "build.package" },
        { "debian:12", NULL, comma, "n", "build.package" },
        { "debian:12", NULL, ok, "no good", "image.name" },
    };
    struct world *w = *state;

    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_build_opts o = { .from = rows[i].from,
                                     .variant = rows[i].variant,
                                     .include = rows[i].include,
                                     .name = rows[i].name };
        struct xeno_err err = XENO_ERR_INIT;
        struct xeno_made made;

        assert_true(xeno_template_build(w->st, &o, &made, &err) < 0);
        print_message("%s: %s\n", err.token, err.text);
        assert_string_equal(err.token, rows[i].token);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(folder, setup, teardown),
        cmocka_unit_test_setup_teardown(tars, setup, teardown),
        cmocka_unit_test_setup_teardown(mount_files, setup, teardown),
        cmocka_unit_test_setup_teardown(converted, setup, teardown),
        cmocka_unit_test_setup_teardown(docker, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_mount_files, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_imports, setup, teardown),
        cmocka_unit_test_setup_teardown(overlays, setup, teardown),
        cmocka_unit_test_setup_teardown(hiding, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_overlays, setup, teardown),
        cmocka_unit_test_setup_teardown(links_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(cancelled, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_builds, setup, teardown),
    };

    xeno_crypto_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
