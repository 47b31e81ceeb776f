/* src/image/tests/test-manifest.c - index, manifest, config, names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image/manifest.h"

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B64 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define CONFIG                                                                                     \
    "\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":"           \
    "\"sha256:" A64 "\",\"size\":10}"
#define LAYER(type, size)                                                                          \
    "{\"mediaType\":\"" type "\",\"digest\":\"sha256:" B64 "\",\"size\":" size "}"

static void names(void **state)
{
    static const struct {
        const char *name;
        bool ok;
    } rows[] = {
        { "debian", true },
        { "debian-apache:latest", true },
        { "debian/12/current", true },
        { "docker.io/library/x:1.0_2", true },
        { "a--b", true },
        { "A@b+c", true },
        { "", false },
        { "a---b", false },
        { "a..b", false },
        { "-a", false },
        { "a-", false },
        { "a/", false },
        { "a b", false },
        { "../a", false },
        { "a\n", false },
        { "sha256:" A64, false },
    };
    char longest[XENO_IMAGE_NAME_MAX + 2];

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        print_message("'%s'\n", rows[i].name);
        assert_int_equal(xeno_image_name_ok(rows[i].name), rows[i].ok);
    }
    memset(longest, 'a', sizeof(longest) - 1);
    longest[XENO_IMAGE_NAME_MAX + 1] = '\0';
    assert_false(xeno_image_name_ok(longest));
    longest[XENO_IMAGE_NAME_MAX] = '\0';
    assert_true(xeno_image_name_ok(longest));
}

static const struct {
    const char *what, *text, *token; /* token NULL: fine */
} manifests[] = {
    { "no layers", "{\"schemaVersion\":2," CONFIG ",\"layers\":[]}", NULL },
    { "one", "{\"schemaVersion\":2," CONFIG ",\"layers\":[" LAYER(XENO_MT_LAYER_GZIP, "5") "]}",
      NULL },
    { "docker's",
      "{\"schemaVersion\":2," CONFIG
      ",\"layers\":[" LAYER("application/vnd.docker.image.rootfs.diff.tar.gzip", "5") "]}",
      NULL },
    { "unknown members pass",
      "{\"schemaVersion\":2,\"x\":{},\"annotations\":{\"a\":\"b\"}," CONFIG ",\"layers\":[]}",
      NULL },
    { "not JSON", "schemaVersion", "json.syntax" },
    { "a list", "[]", "json.type" },
    { "old version", "{\"schemaVersion\":1," CONFIG ",\"layers\":[]}", "image.manifest" },
    { "no config", "{\"schemaVersion\":2,\"layers\":[]}", "json.missing" },
    { "no layers member", "{\"schemaVersion\":2," CONFIG "}", "json.missing" },
    { "strange layer", "{\"schemaVersion\":2," CONFIG ",\"layers\":[" LAYER("text/html", "5") "]}",
      "image.media" },
    { "negative size",
      "{\"schemaVersion\":2," CONFIG ",\"layers\":[" LAYER(XENO_MT_LAYER, "-1") "]}",
      "json.range" },
    { "absurd size",
      "{\"schemaVersion\":2," CONFIG
      ",\"layers\":[" LAYER(XENO_MT_LAYER, "9223372036854775807") "]}",
      "json.range" },
    { "digest of another kind",
      "{\"schemaVersion\":2," CONFIG ",\"layers\":[{\"mediaType\":\"" XENO_MT_LAYER
      "\",\"digest\":\"sha512:00\",\"size\":1}]}",
      "image.digest" },
    { "digest that climbs",
      "{\"schemaVersion\":2," CONFIG ",\"layers\":[{\"mediaType\":\"" XENO_MT_LAYER
      "\",\"digest\":\"sha256:../../../../etc/passwd\",\"size\":1}]}",
      "image.digest" },
};

static void manifest_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(manifests); i++) {
        struct xeno_image *im = NULL;
        struct xeno_err err = XENO_ERR_INIT;
        int r = xeno_manifest_parse(manifests[i].text, strlen(manifests[i].text), &im, &err);

        print_message("%s: %s\n", manifests[i].what, err.text);
        assert_int_equal(r < 0, manifests[i].token != NULL);
        assert_int_equal(r < 0, im == NULL);
        if (r < 0)
            assert_string_equal(err.token, manifests[i].token);
        xeno_image_free(im);
    }
}

static void too_many_layers(void **state)
{
    xeno_autofree char *text = xeno_alloc0(1, 200 * 300);
    struct xeno_image *im = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    size_t n = 0;

    (void)state;
    n += (size_t)sprintf(text, "{\"schemaVersion\":2," CONFIG ",\"layers\":[");
    for (int i = 0; i <= XENO_LAYERS_MAX; i++)
        n += (size_t)sprintf(text + n, "%s" LAYER(XENO_MT_LAYER, "1"), i ? "," : "");
    n += (size_t)sprintf(text + n, "]}");
    assert_int_equal(xeno_manifest_parse(text, n, &im, &err), -EINVAL);
    assert_string_equal(err.token, "json.range");
}

static struct xeno_image *with_layers(size_t n)
{
    struct xeno_image *im = xeno_image_new();

    for (size_t i = 0; i < n; i++) {
        struct xeno_layer l = { .digest = "sha256:" A64,
                                .diff_id = "sha256:" B64,
                                .size_bytes = 9 };

        xeno_image_add_layer(im, &l);
    }
    return im;
}

static void configs(void **state)
{
    static const struct {
        const char *what, *text, *token;
        size_t layers;
    } rows[] = {
        { "all of it",
          "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Env\":[\"A=1\",\"B=2\",\"A=3\","
          "\"novalue\",\"=x\"],\"Entrypoint\":[\"/e\"],\"Cmd\":[\"c\"],\"WorkingDir\":\"/w\",\"User\":"
          "\"www\"},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:" B64 "\"]}}",
          NULL, 1 },
        { "nulls as docker writes", "{\"config\":null,\"rootfs\":{\"diff_ids\":[]}}", NULL, 0 },
        { "nulls inside",
          "{\"config\":{\"Env\":null,\"Cmd\":null,\"User\":\"\"},\"rootfs\":{\"diff_ids\":[]}}",
          NULL, 0 },
        { "no rootfs", "{}", "json.missing", 0 },
        { "too few", "{\"rootfs\":{\"diff_ids\":[]}}", "image.layers", 1 },
        { "too many", "{\"rootfs\":{\"diff_ids\":[\"sha256:" B64 "\"]}}", "image.layers", 0 },
        { "no digest", "{\"rootfs\":{\"diff_ids\":[\"md5:1\"]}}", "image.digest", 1 },
        { "Cmd is a text", "{\"config\":{\"Cmd\":\"x\"},\"rootfs\":{\"diff_ids\":[]}}", "json.type",
          0 },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_auto(xeno_image) im = with_layers(rows[i].layers);
        struct xeno_err err = XENO_ERR_INIT;
        int r = xeno_config_parse(im, rows[i].text, strlen(rows[i].text), &err);

        print_message("%s: %s\n", rows[i].what, err.text);
        assert_int_equal(r < 0, rows[i].token != NULL);
        if (r < 0)
            assert_string_equal(err.token, rows[i].token);
        if (i > 0)
            continue;
        assert_string_equal(im->env[0], "A=3");
        assert_string_equal(im->env[1], "B=2");
        assert_null(im->env[2]);
        assert_string_equal(im->argv[0], "/e");
        assert_string_equal(im->argv[1], "c");
        assert_null(im->argv[2]);
        assert_string_equal(im->cwd, "/w");
        assert_string_equal(im->user, "www");
    }
}

static void round_trip(void **state)
{
    xeno_auto(xeno_image) im = with_layers(2);
    xeno_auto(xeno_image) back = NULL;
    xeno_autofree char *manifest = NULL, *config = NULL, *again = NULL;
    size_t mlen, clen, len;

    (void)state;
    im->kind = XENO_IMAGE_OVERLAY;
    im->layers[1].mounts = true;
    snprintf(im->base, sizeof(im->base), "sha256:" A64);
    snprintf(im->arch, sizeof(im->arch), "amd64");
    snprintf(im->os, sizeof(im->os), "linux");
    im->env = xeno_env_set(im->env, "X=y");
    config = xeno_config_format(im, &clen);
    snprintf(im->config.digest, sizeof(im->config.digest), "sha256:" B64);
    snprintf(im->config.media_type, sizeof(im->config.media_type), XENO_MT_CONFIG);
    manifest = xeno_manifest_format(im, &mlen);
    assert_int_equal(xeno_manifest_parse(manifest, mlen, &back, NULL), 0);
    assert_int_equal(xeno_config_parse(back, config, clen, NULL), 0);
    assert_int_equal(back->kind, XENO_IMAGE_OVERLAY);
    assert_string_equal(back->base, im->base);
    assert_int_equal(back->layer_count, 2);
    assert_string_equal(back->layers[1].diff_id, "sha256:" B64);
    assert_true(!back->layers[0].mounts && back->layers[1].mounts);
    again = xeno_manifest_format(back, &len);
    assert_string_equal(again, manifest);
}

/* What other tools wrote into an index survives our changes. */
static void index_keeps(void **state)
{
    static const char text[] =
        "{\"schemaVersion\":2,\"annotations\":{\"top\":\"t\"},\"manifests\":[{\"mediaType\":"
        "\"" XENO_MT_MANIFEST "\",\"digest\":\"sha256:" A64
        "\",\"size\":3,\"urls\":[\"u\"],\"annotations\":{\"org.opencontainers.image.ref.name\":\"old\","
        "\"other\":\"kept\"}},{\"mediaType\":\"application/x-unknown\",\"digest\":\"sha256:" B64
        "\",\"size\":4}]}";
    xeno_auto(xeno_index) ix = NULL;
    xeno_auto(xeno_index) again = NULL;
    xeno_autofree char *out = NULL, *out2 = NULL;
    struct xeno_descriptor d = { .digest = "sha256:" B64, .media_type = XENO_MT_MANIFEST };
    size_t len;

    (void)state;
    assert_int_equal(xeno_index_parse(text, sizeof(text) - 1, &ix, NULL), 0);
    assert_int_equal(ix->count, 2);
    assert_string_equal(ix->items[0].name, "old");
    xeno_index_rename(ix, 0, "new");
    xeno_index_add(ix, &d);
    out = xeno_index_format(ix, &len);
    for (const char *const *w =
             (const char *const[]){ "top", "urls", "kept", "\"new\"", "x-unknown", NULL };
         *w; w++)
        assert_non_null(strstr(out, *w));
    assert_null(strstr(out, "\"old\""));
    assert_int_equal(xeno_index_parse(out, len, &again, NULL), 0);
    assert_int_equal(again->count, 3);
    xeno_index_del(again, 1);
    xeno_index_rename(again, 0, "");
    assert_int_equal(again->count, 2);
    out2 = xeno_index_format(again, &len);
    assert_null(strstr(out2, "ref.name"));
    assert_null(strstr(out2, "x-unknown"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),      cmocka_unit_test(manifest_rows),
        cmocka_unit_test(configs),    cmocka_unit_test(too_many_layers),
        cmocka_unit_test(round_trip), cmocka_unit_test(index_keeps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
