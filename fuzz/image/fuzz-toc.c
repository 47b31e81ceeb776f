/* fuzz/image/fuzz-toc.c - no table of contents crashes its reader; one that is read keeps the rules
 * of image/toc.h, and written and read again says the same. */
#include "../fuzz/fuzz.h"

#include <string.h>

#include "image/toc.h"

#define BLOB_BYTES 1000000

static void keeps_the_rules(const struct xeno_toc *t)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct xeno_toc_file *f = &t->files[i];
        int64_t at = 0, blob_at = 0;

        XENO_REQUIRE((f->chunk_count > 0) == (f->size_bytes > 0));
        for (size_t k = 0; k < f->chunk_count; k++) {
            const struct xeno_toc_chunk *c = &t->chunks[f->chunk + k];

            XENO_REQUIRE(c->file_offset == at && c->size_bytes > 0);
            XENO_REQUIRE(c->blob_offset >= blob_at && c->blob_bytes > 0);
            XENO_REQUIRE(c->zeros || c->size_bytes <= XENO_TOC_CHUNK_MAX);
            at += c->size_bytes;
            blob_at = c->blob_offset + c->blob_bytes;
        }
        XENO_REQUIRE(at == f->size_bytes && blob_at <= BLOB_BYTES);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct xeno_unpack_limits limits = XENO_UNPACK_LIMITS;
    xeno_auto(xeno_toc) t = NULL;
    xeno_auto(xeno_toc) back = NULL;
    xeno_autofree char *text = NULL;
    size_t len;

    if (xeno_toc_parse((const char *)data, size, BLOB_BYTES, &limits, &t, NULL) < 0)
        return 0;
    keeps_the_rules(t);
    text = xeno_toc_format(t, &len);
    XENO_REQUIRE(xeno_toc_parse(text, len, BLOB_BYTES, &limits, &back, NULL) == 0);
    XENO_REQUIRE(back->count == t->count && back->chunk_count == t->chunk_count);
    for (size_t i = 0; i < t->count; i++)
        XENO_REQUIRE(back->files[i].size_bytes == t->files[i].size_bytes);
    return 0;
}
