/* fuzz/image/fuzz-image-index.c - no index crashes its reader; one that is read can be changed,
 * written and read again, and says the same. */
#include "../fuzz/fuzz.h"

#include <string.h>

#include "image/manifest.h"

static struct xeno_index *again(const struct xeno_index *ix)
{
    struct xeno_index *back = NULL;
    xeno_autofree char *text = NULL;
    size_t len;

    text = xeno_index_format(ix, &len);
    if (len > XENO_MANIFEST_MAX_BYTES)
        return NULL;
    XENO_REQUIRE(xeno_index_parse(text, len, &back, NULL) == 0);
    return back;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    xeno_auto(xeno_index) ix = NULL;
    xeno_auto(xeno_index) back = NULL;
    xeno_auto(xeno_index) changed = NULL;

    if (xeno_index_parse((const char *)data, size, &ix, NULL) < 0)
        return 0;
    back = again(ix);
    if (!back)
        return 0;
    XENO_REQUIRE(back->count == ix->count);
    for (size_t i = 0; i < ix->count; i++) {
        XENO_REQUIRE(strcmp(back->items[i].digest, ix->items[i].digest) == 0);
        XENO_REQUIRE(strcmp(back->items[i].name, ix->items[i].name) == 0);
        XENO_REQUIRE(xeno_digest_ok(ix->items[i].digest));
    }
    if (ix->count == 0)
        return 0;
    xeno_index_rename(ix, 0, "fuzz");
    xeno_index_add(ix, &ix->items[0]);
    xeno_index_del(ix, 0);
    changed = again(ix);
    XENO_REQUIRE(!changed || strcmp(changed->items[ix->count - 1].name, "fuzz") == 0);
    return 0;
}
