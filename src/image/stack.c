/* src/image/stack.c - the file that says which layers lie over each other (RFC 14). */
#include "image/stack.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define VERSION 1

struct xeno_stack *xeno_stack_new(void)
{
    return xeno_new0(struct xeno_stack);
}

void xeno_stack_free(struct xeno_stack *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++)
        free(s->parts[i].dir);
    free(s->parts);
    free(s);
}

static struct xeno_stack_part *add(struct xeno_stack *s)
{
    s->parts = xeno_grow(s->parts, s->count + 1);
    s->parts[s->count] = (struct xeno_stack_part){ .dir = NULL };
    return &s->parts[s->count++];
}

void xeno_stack_add_dir(struct xeno_stack *s, const char *dir)
{
    add(s)->dir = xeno_strdup(dir);
}

void xeno_stack_add_layer(struct xeno_stack *s, const struct xeno_layer *layer)
{
    add(s)->layer = *layer;
}

bool xeno_stack_by_pieces(const struct xeno_stack *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (!s->parts[i].dir)
            return true;
    return false;
}

/* --- writing --- */

static struct xeno_json *table_json(const struct xeno_toc_place *toc)
{
    struct xeno_json *obj = xeno_json_object();
    char digest[XENO_DIGEST_TEXT];

    xeno_digest_text(toc->sha, digest);
    xeno_json_set_int(obj, "offset", toc->offset);
    xeno_json_set_int(obj, "size", toc->bytes);
    xeno_json_set_int(obj, "raw_size", toc->raw_bytes);
    xeno_json_set_str(obj, "digest", digest);
    return obj;
}

char *xeno_stack_format(const struct xeno_stack *s, size_t *ret_len)
{
    xeno_auto(xeno_json) doc = xeno_json_object();
    struct xeno_json *list = xeno_json_array();

    xeno_json_set_int(doc, "version", VERSION);
    for (size_t i = 0; i < s->count; i++) {
        const struct xeno_stack_part *p = &s->parts[i];
        struct xeno_json *item = xeno_json_object();

        if (p->dir) {
            xeno_json_set_str(item, "dir", p->dir);
        } else {
            xeno_json_set_str(item, "layer", p->layer.digest);
            xeno_json_set_int(item, "size", p->layer.size_bytes);
            xeno_json_set(item, "table", table_json(&p->layer.toc));
        }
        xeno_json_append(list, item);
    }
    xeno_json_set(doc, "layers", list);
    return xeno_json_format(doc, false, ret_len);
}

/* --- reading --- */

static int read_digest(const struct xeno_json_at *at, const char *key, uint8_t ret_sha[32],
                       const char **ret_text, struct xeno_err *err)
{
    int r = xeno_json_str(at, key, 1, XENO_DIGEST_TEXT - 1, ret_text, err);

    if (r == 0 && !xeno_digest_parse(*ret_text, ret_sha))
        r = xeno_fail(err, -EINVAL, "image.stack", "%s.%s is no digest", at->path, key);
    return r;
}

static int read_table(const struct xeno_json_at *at, int64_t blob_bytes, struct xeno_toc_place *ret,
                      struct xeno_err *err)
{
    static const char *const keys[] = { "offset", "size", "raw_size", "digest", NULL };
    const char *digest;
    int r = xeno_json_only(at, keys, err);

    if (r == 0)
        r = xeno_json_int(at, "offset", 0, blob_bytes, &ret->offset, err);
    if (r == 0)
        r = xeno_json_int(at, "size", 1, blob_bytes - ret->offset, &ret->bytes, err);
    if (r == 0)
        r = xeno_json_int(at, "raw_size", 1, XENO_BLOB_MAX, &ret->raw_bytes, err);
    return r < 0 ? r : read_digest(at, "digest", ret->sha, &digest, err);
}

static int read_layer(const struct xeno_json_at *at, struct xeno_stack *s, struct xeno_err *err)
{
    static const char *const keys[] = { "layer", "size", "table", NULL };
    struct xeno_layer layer = { .compression = XENO_COMPRESS_ZSTD };
    struct xeno_json_at table;
    const char *digest;
    uint8_t sha[32];
    int r = xeno_json_only(at, keys, err);

    if (r == 0)
        r = read_digest(at, "layer", sha, &digest, err);
    if (r == 0)
        r = xeno_json_int(at, "size", 1, XENO_BLOB_MAX, &layer.size_bytes, err);
    if (r == 0)
        r = xeno_json_obj(at, "table", &table, err);
    if (r == 0)
        r = read_table(&table, layer.size_bytes, &layer.toc, err);
    if (r < 0)
        return r;
    strcpy(layer.digest, digest);
    xeno_stack_add_layer(s, &layer);
    return 0;
}

static int read_part(const struct xeno_json_at *at, struct xeno_stack *s, struct xeno_err *err)
{
    static const char *const keys[] = { "dir", NULL };
    const char *dir = NULL;
    int r = xeno_json_str_opt(at, "dir", 1, PATH_MAX - 1, &dir, err);

    if (r < 0)
        return r;
    if (!dir)
        return read_layer(at, s, err);
    if (*dir != '/')
        return xeno_fail(err, -EINVAL, "image.stack", "%s.dir is not an absolute path", at->path);
    r = xeno_json_only(at, keys, err);
    if (r == 0)
        xeno_stack_add_dir(s, dir);
    return r;
}

int xeno_stack_parse(const char *text, size_t len, struct xeno_stack **ret, struct xeno_err *err)
{
    static const char *const keys[] = { "version", "layers", NULL };
    xeno_auto(xeno_stack) s = xeno_stack_new();
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top, list;
    int64_t version;
    size_t count;
    int r = xeno_json_parse(text, len, XENO_STACK_MAX_BYTES, &doc, err);

    if (r < 0)
        return r;
    top = xeno_json_top(doc);
    r = xeno_json_int(&top, "version", VERSION, VERSION, &version, err);
    if (r == 0)
        r = xeno_json_only(&top, keys, err);
    if (r == 0)
        r = xeno_json_arr(&top, "layers", XENO_STACK_MAX, &list, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        struct xeno_json_at item = xeno_json_item(&list, i);

        r = read_part(&item, s, err);
    }
    if (r == 0 && s->count == 0)
        r = xeno_fail(err, -EINVAL, "image.stack", "there is no layer in it");
    if (r < 0)
        return r;
    *ret = xeno_take(&s);
    return 0;
}
