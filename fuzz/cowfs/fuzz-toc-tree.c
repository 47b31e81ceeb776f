/* fuzz/cowfs/fuzz-toc-tree.c - what a table that is read makes as a layer can be walked: each
 * object is found by its name, names are sorted, single and decent, pieces make up their files. */
#include "../fuzz/fuzz.h"

#include <string.h>

#include "cowfs/toc-tree.h"

#define BLOB_BYTES 1000000

static void check_file(const struct toc_tree *t, const struct object *o)
{
    XENO_REQUIRE(o->at + (size_t)o->count <= t->piece_count);
    XENO_REQUIRE((o->count > 0) == (o->size > 0));
    for (uint32_t i = o->at; i < o->at + o->count; i++) {
        int64_t end = i + 1 < o->at + o->count ? t->pieces[i + 1].file_offset : o->size;

        XENO_REQUIRE(end > t->pieces[i].file_offset);
        XENO_REQUIRE(t->pieces[i].blob_bytes == 0 ||
                     t->pieces[i].size == end - t->pieces[i].file_offset);
    }
    XENO_REQUIRE(o->count == 0 || t->pieces[o->at].file_offset == 0);
}

static void check_names(const struct toc_tree *t, uint32_t dir)
{
    const struct object *o = &t->objects[dir];

    XENO_REQUIRE(o->at + (size_t)o->count <= t->name_count);
    for (uint32_t i = o->at; i < o->at + o->count; i++) {
        const char *name = t->text + t->names[i].text;

        XENO_REQUIRE(*name && strlen(name) <= 255 && !strchr(name, '/'));
        XENO_REQUIRE(strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
        XENO_REQUIRE(i == o->at || strcmp(t->text + t->names[i - 1].text, name) < 0);
        XENO_REQUIRE(toc_tree_find(t, dir, name) == (int)t->names[i].object);
        /* A directory is made before what is in it, so no way down comes back. */
        XENO_REQUIRE(!S_ISDIR(t->objects[t->names[i].object].mode) || t->names[i].object > dir);
    }
}

static void check_object(const struct toc_tree *t, uint32_t i)
{
    const struct object *o = &t->objects[i];
    const char *at = NULL;
    struct toc_xattr x;

    while (toc_tree_xattr(t, o, &at, &x))
        XENO_REQUIRE((const char *)x.value + x.len < t->text + t->text_len);
    if (S_ISREG(o->mode))
        check_file(t, o);
    else if (S_ISDIR(o->mode))
        check_names(t, i);
    else
        XENO_REQUIRE(toc_tree_find(t, i, "x") < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct xeno_unpack_limits limits = XENO_UNPACK_LIMITS;
    struct toc_tree_opts opts = { .shift = size % 2 ? 0 : XENO_SUBID_BASE, .own = size % 3 == 0 };
    xeno_auto(xeno_toc) toc = NULL;
    struct toc_tree t;

    if (xeno_toc_parse((const char *)data, size, BLOB_BYTES, &limits, &toc, NULL) < 0 ||
        toc_tree_make(toc, &opts, &limits, &t, NULL) < 0)
        return 0;
    XENO_REQUIRE(t.object_count > 0 && S_ISDIR(t.objects[0].mode));
    for (uint32_t i = 0; i < t.object_count; i++)
        check_object(&t, i);
    toc_tree_release(&t);
    return 0;
}
