/* fuzz/image/fuzz-image-manifest.c - no manifest and no config crashes its reader; what is read can
 * be written and read again. The input is a manifest, a zero byte and a config. */
#include "../fuzz/fuzz.h"

#include <string.h>

#include "image/manifest.h"

static void both_ways(const struct xeno_image *im)
{
    xeno_auto(xeno_image) back = NULL;
    xeno_autofree char *manifest = NULL, *config = NULL;
    size_t mlen, clen;

    manifest = xeno_manifest_format(im, &mlen);
    config = xeno_config_format(im, &clen);
    if (mlen > XENO_MANIFEST_MAX_BYTES || clen > XENO_MANIFEST_MAX_BYTES)
        return;
    XENO_REQUIRE(xeno_manifest_parse(manifest, mlen, &back, NULL) == 0);
    XENO_REQUIRE(xeno_config_parse(back, config, clen, NULL) == 0);
    XENO_REQUIRE(back->layer_count == im->layer_count);
    XENO_REQUIRE(back->kind == im->kind);
    for (size_t i = 0; i < im->layer_count; i++) {
        XENO_REQUIRE(strcmp(back->layers[i].digest, im->layers[i].digest) == 0);
        XENO_REQUIRE(strcmp(back->layers[i].diff_id, im->layers[i].diff_id) == 0);
        XENO_REQUIRE(back->layers[i].compression == im->layers[i].compression);
    }
    XENO_REQUIRE(xeno_words_count(back->env) == xeno_words_count(im->env));
    XENO_REQUIRE(strcmp(back->cwd, im->cwd) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    size_t len = zero ? (size_t)(zero - data) : size;
    xeno_auto(xeno_image) im = NULL;

    if (xeno_manifest_parse((const char *)data, len, &im, NULL) < 0)
        return 0;
    XENO_REQUIRE(im->layer_count <= XENO_LAYERS_MAX);
    if (!zero || xeno_config_parse(im, (const char *)zero + 1, size - len - 1, NULL) < 0)
        return 0;
    both_ways(im);
    return 0;
}
