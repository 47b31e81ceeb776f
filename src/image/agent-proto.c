/* src/image/agent-proto.c - the image manager's messages, made and read. */
#include "image/agent-proto.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/enc.h"
#include "rpc/message.h"

#define WAIT_MAX_MS (XENO_AGENT_WAIT_MAX_S * INT64_C(1000))
#define HEX_LEN     64

/* --- which members an operation has --- */

enum {
    HAS_NAME = 1,
    HAS_LAYER = 2,
    HAS_RANGE = 4,
    HAS_LAYERS = 8,
    HAS_IMAGES = 16,
    MAY_WAIT = 32,
};
static const struct {
    const char *name;
    unsigned has;
} ops[XENO_AGENT_OPS] = {
    [XENO_AGENT_RESOLVE] = { "resolve", HAS_NAME | MAY_WAIT },
    [XENO_AGENT_FETCH] = { "fetch", HAS_LAYER | MAY_WAIT },
    [XENO_AGENT_READ] = { "read", HAS_LAYER | HAS_RANGE | MAY_WAIT },
    [XENO_AGENT_PROGRESS] = { "progress", HAS_LAYERS },
    [XENO_AGENT_KEEP] = { "keep", HAS_IMAGES },
    [XENO_AGENT_STATUS] = { "status", 0 },
};

static const char *const state_names[XENO_AGENT_STATES] = {
    [XENO_AGENT_UNKNOWN] = "unknown",   [XENO_AGENT_KNOWN] = "known",
    [XENO_AGENT_FETCHING] = "fetching", [XENO_AGENT_TABLE] = "table",
    [XENO_AGENT_STORED] = "whole",      [XENO_AGENT_FAILED] = "failed",
};

const char *xeno_agent_state_name(enum xeno_agent_state s)
{
    return s < XENO_AGENT_STATES ? state_names[s] : "?";
}

/* --- requests --- */

struct xeno_agent_request *xeno_agent_request_new(enum xeno_agent_op op)
{
    struct xeno_agent_request *q = xeno_new0(struct xeno_agent_request);

    q->op = op;
    return q;
}

void xeno_agent_request_free(struct xeno_agent_request *q)
{
    if (!q)
        return;
    free(q->digests);
    free(q);
}

void xeno_agent_request_digests(struct xeno_agent_request *q, const char *const *digests,
                                size_t count)
{
    free(q->digests);
    q->digests = xeno_alloc0(count + 1, XENO_DIGEST_TEXT);
    q->count = count;
    for (size_t i = 0; i < count; i++)
        snprintf(q->digests[i], XENO_DIGEST_TEXT, "%s", digests[i]);
}

static struct xeno_json *digests_json(const struct xeno_agent_request *q)
{
    struct xeno_json *arr = xeno_json_array();

    for (size_t i = 0; i < q->count; i++)
        xeno_json_append_str(arr, q->digests[i]);
    return arr;
}

static void set_hex(struct xeno_json *obj, const char *key, const uint8_t sha[32])
{
    char hex[HEX_LEN + 1];

    xeno_hex(sha, 32, hex);
    xeno_json_set_str(obj, key, hex);
}

char *xeno_agent_request_format(const struct xeno_agent_request *q, size_t *ret_len)
{
    xeno_auto(xeno_json) obj = xeno_json_object();
    unsigned has = ops[q->op].has;

    xeno_json_set_int(obj, "id", q->id);
    xeno_json_set_str(obj, "op", ops[q->op].name);
    if (has & HAS_NAME)
        xeno_json_set_str(obj, "name", q->name);
    if (q->kind != XENO_IMAGE_ANY)
        xeno_json_set_str(obj, "kind", xeno_image_kind_name(q->kind));
    if (has & HAS_LAYER)
        xeno_json_set_str(obj, "layer", q->layer);
    if (has & HAS_RANGE) {
        xeno_json_set_int(obj, "offset", q->offset);
        xeno_json_set_int(obj, "length", q->length);
    }
    if (q->has_sha)
        set_hex(obj, "sha256", q->sha);
    if (q->has_sha && q->size_bytes > 0)
        xeno_json_set_int(obj, "size", q->size_bytes);
    if (has & HAS_LAYERS)
        xeno_json_set(obj, "layers", digests_json(q));
    if (has & HAS_IMAGES)
        xeno_json_set(obj, "images", digests_json(q));
    if (q->more)
        xeno_json_set_bool(obj, "more", true);
    if ((has & MAY_WAIT) && q->wait.ns > 0)
        xeno_json_set_int(obj, "wait_ms", q->wait.ns / XENO_NS_PER_MS);
    return xeno_json_format(obj, false, ret_len);
}

static int read_digest(const struct xeno_json_at *at, const char *key, char to[XENO_DIGEST_TEXT],
                       struct xeno_err *err)
{
    const char *text;
    int r = xeno_json_str(at, key, 1, XENO_DIGEST_TEXT - 1, &text, err);

    if (r < 0)
        return r;
    if (!xeno_digest_ok(text))
        return xeno_fail(err, -EINVAL, "agent.digest", "%s '%s' is not a digest", key, text);
    strcpy(to, text); /* its length was checked */
    return 0;
}

/* Returns: 0; 1 when there is none. */
static int read_hex(const struct xeno_json_at *at, const char *key, uint8_t to[32],
                    struct xeno_err *err)
{
    const char *text;
    int r = xeno_json_str_opt(at, key, HEX_LEN, HEX_LEN, &text, err);

    if (r != 0)
        return r;
    if (!xeno_unhex(text, to, 32))
        return xeno_fail(err, -EINVAL, "agent.digest", "%s '%s' is not a digest", key, text);
    return 0;
}

static int read_digests(const struct xeno_json_at *at, const char *key, size_t max,
                        struct xeno_agent_request *q, struct xeno_err *err)
{
    struct xeno_json_at arr;
    size_t count;
    int r = xeno_json_arr(at, key, max, &arr, &count, err);

    if (r < 0)
        return r;
    q->digests = xeno_alloc0(count + 1, XENO_DIGEST_TEXT);
    for (; r == 0 && q->count < count; q->count++) {
        const char *text;

        r = xeno_json_item_str(&arr, q->count, 1, XENO_DIGEST_TEXT - 1, &text, err);
        if (r == 0 && !xeno_digest_ok(text))
            r = xeno_fail(err, -EINVAL, "agent.digest", "%s[%zu] is not a digest", key, q->count);
        if (r == 0)
            strcpy(q->digests[q->count], text);
    }
    return r;
}

/* Returns: the kind of that name; ANY for one that is none. */
static enum xeno_image_kind kind_of(const char *text)
{
    static const enum xeno_image_kind kinds[] = { XENO_IMAGE_TEMPLATE, XENO_IMAGE_OVERLAY };

    for (size_t i = 0; i < XENO_LEN(kinds); i++)
        if (strcmp(text, xeno_image_kind_name(kinds[i])) == 0)
            return kinds[i];
    return XENO_IMAGE_ANY;
}

static int read_name(const struct xeno_json_at *at, struct xeno_agent_request *q,
                     struct xeno_err *err)
{
    const char *name, *kind;
    int r = xeno_json_str(at, "name", 1, XENO_AGENT_NAME_MAX, &name, err);

    if (r < 0)
        return r;
    strcpy(q->name, name); /* its length was checked */
    r = xeno_json_str_opt(at, "kind", 1, 16, &kind, err);
    if (r != 0)
        return r < 0 ? r : 0;
    q->kind = kind_of(kind);
    if (q->kind == XENO_IMAGE_ANY)
        return xeno_fail(err, -EINVAL, "agent.kind", "kind '%s' is not template or overlay", kind);
    return 0;
}

static int read_range(const struct xeno_json_at *at, struct xeno_agent_request *q,
                      struct xeno_err *err)
{
    int r = xeno_json_int(at, "offset", 0, XENO_BLOB_MAX, &q->offset, err);

    if (r == 0)
        r = xeno_json_int(at, "length", 1, XENO_AGENT_READ_MAX, &q->length, err);
    if (r == 0)
        r = read_hex(at, "sha256", q->sha, err);
    if (r < 0)
        return r;
    q->has_sha = r == 0;
    r = xeno_json_int_opt(at, "size", 1, XENO_TOC_CHUNK_MAX, &q->size_bytes, err);
    if (r == 0 && !q->has_sha)
        return xeno_fail(err, -EINVAL, "json.missing", "size without sha256");
    return r < 0 ? r : 0;
}

static int read_members(const struct xeno_json_at *at, struct xeno_agent_request *q,
                        struct xeno_err *err)
{
    unsigned has = ops[q->op].has;
    int64_t wait_ms = 0;
    int r = 0;

    if (has & HAS_NAME)
        r = read_name(at, q, err);
    if (r >= 0 && (has & HAS_LAYER))
        r = read_digest(at, "layer", q->layer, err);
    if (r >= 0 && (has & HAS_RANGE))
        r = read_range(at, q, err);
    if (r >= 0 && (has & HAS_LAYERS))
        r = read_digests(at, "layers", XENO_AGENT_LAYERS_MAX, q, err);
    if (r >= 0 && (has & HAS_IMAGES))
        r = read_digests(at, "images", XENO_AGENT_KEEP_MAX, q, err);
    if (r >= 0 && (has & HAS_IMAGES))
        r = xeno_json_bool_opt(at, "more", &q->more, err);
    if (r >= 0 && (has & MAY_WAIT))
        r = xeno_json_int_opt(at, "wait_ms", 0, WAIT_MAX_MS, &wait_ms, err);
    q->wait = xeno_ms(wait_ms);
    return r < 0 ? r : 0;
}

static int check_members(const struct xeno_json_at *at, unsigned has, struct xeno_err *err)
{
    static const struct xeno_rpc_member members[] = {
        { HAS_NAME, "name" },    { HAS_NAME, "kind" },     { HAS_LAYER, "layer" },
        { HAS_RANGE, "offset" }, { HAS_RANGE, "length" },  { HAS_RANGE, "sha256" },
        { HAS_RANGE, "size" },   { HAS_LAYERS, "layers" }, { HAS_IMAGES, "images" },
        { HAS_IMAGES, "more" },  { MAY_WAIT, "wait_ms" },
    };
    _Static_assert(XENO_LEN(members) <= XENO_RPC_MEMBERS_MAX, "too many members");
    return xeno_rpc_only(at, members, XENO_LEN(members), has, err);
}

int xeno_agent_request_parse(const char *text, size_t len, struct xeno_agent_request **ret,
                             struct xeno_err *err)
{
    xeno_auto(xeno_json) root = NULL;
    xeno_auto(xeno_agent_request) q = xeno_agent_request_new(0);
    struct xeno_json_at top;
    const char *op;
    int r = xeno_json_parse(text, len, XENO_AGENT_FRAME_MAX, &root, err);

    if (r < 0)
        return r;
    top = xeno_json_top(root);
    r = xeno_rpc_head_read(&top, &q->id, &op, err);
    if (r < 0)
        return r;
    while (q->op < XENO_AGENT_OPS && strcmp(ops[q->op].name, op) != 0)
        q->op++;
    if (q->op == XENO_AGENT_OPS)
        return xeno_fail(err, -EINVAL, "agent.op", "there is no operation '%s'", op);
    r = check_members(&top, ops[q->op].has, err);
    if (r == 0)
        r = read_members(&top, q, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&q);
    return 0;
}

/* --- resolve --- */

void xeno_agent_image_free(struct xeno_agent_image *im)
{
    if (!im)
        return;
    free(im->name);
    free(im->layers);
    free(im);
}

struct xeno_json *xeno_agent_image_json(const struct xeno_agent_image *im)
{
    struct xeno_json *obj = xeno_json_object(), *layers = xeno_json_array();

    for (size_t i = 0; i < im->layer_count; i++) {
        struct xeno_json *one = xeno_json_object();

        xeno_json_set_str(one, "digest", im->layers[i].digest);
        xeno_json_set_int(one, "size", im->layers[i].size_bytes);
        xeno_json_set_bool(one, "table", im->layers[i].table);
        xeno_json_append(layers, one);
    }
    xeno_json_set_str(obj, "manifest", im->manifest);
    xeno_json_set_str(obj, "name", im->name);
    xeno_json_set_str(obj, "kind", xeno_image_kind_name(im->kind));
    xeno_json_set_bool(obj, "old", im->old);
    xeno_json_set(obj, "layers", layers);
    return obj;
}

static int read_layers(const struct xeno_json_at *ok, struct xeno_agent_image *im,
                       struct xeno_err *err)
{
    struct xeno_json_at arr;
    size_t count;
    int r = xeno_json_arr(ok, "layers", XENO_LAYERS_MAX, &arr, &count, err);

    if (r < 0)
        return r;
    im->layers = xeno_new0_n(struct xeno_agent_layer, count + 1);
    for (; r == 0 && im->layer_count < count; im->layer_count++) {
        struct xeno_json_at one = xeno_json_item(&arr, im->layer_count);
        struct xeno_agent_layer *l = &im->layers[im->layer_count];

        r = read_digest(&one, "digest", l->digest, err);
        if (r == 0)
            r = xeno_json_int(&one, "size", 0, XENO_BLOB_MAX, &l->size_bytes, err);
        if (r == 0)
            r = xeno_json_bool(&one, "table", &l->table, err);
    }
    return r;
}

int xeno_agent_image_read(const struct xeno_json_at *ok, struct xeno_agent_image **ret,
                          struct xeno_err *err)
{
    xeno_auto(xeno_agent_image) im = xeno_new0(struct xeno_agent_image);
    const char *name, *kind;
    int r = read_digest(ok, "manifest", im->manifest, err);

    if (r == 0)
        r = xeno_json_str(ok, "name", 1, XENO_AGENT_NAME_MAX, &name, err);
    if (r == 0)
        r = xeno_json_str(ok, "kind", 1, 16, &kind, err);
    if (r == 0)
        r = xeno_json_bool(ok, "old", &im->old, err);
    if (r == 0)
        r = read_layers(ok, im, err);
    if (r < 0)
        return r;
    im->name = xeno_strdup(name);
    im->kind = kind_of(kind);
    *ret = xeno_take(&im);
    return 0;
}

/* --- fetch --- */

struct xeno_json *xeno_agent_fetched_json(const struct xeno_agent_fetched *f)
{
    struct xeno_json *obj = xeno_json_object(), *table;

    xeno_json_set_str(obj, "way", f->way == XENO_AGENT_PIECES ? "pieces" : "whole");
    xeno_json_set_int(obj, "size", f->size_bytes);
    if (f->way == XENO_AGENT_WHOLE)
        return obj;
    table = xeno_json_object();
    xeno_json_set_int(table, "offset", f->table.offset);
    xeno_json_set_int(table, "size", f->table.bytes);
    xeno_json_set_int(table, "raw_size", f->table.raw_bytes);
    set_hex(table, "sha256", f->table.sha);
    xeno_json_set(obj, "table", table);
    return obj;
}

static int read_table(const struct xeno_json_at *ok, struct xeno_agent_fetched *f,
                      struct xeno_err *err)
{
    struct xeno_json_at at;
    int r = xeno_json_obj(ok, "table", &at, err);

    if (r == 0)
        r = xeno_json_int(&at, "offset", 0, f->size_bytes, &f->table.offset, err);
    if (r == 0)
        r = xeno_json_int(&at, "size", 1, XENO_TOC_MAX_BYTES, &f->table.bytes, err);
    if (r == 0)
        r = xeno_json_int(&at, "raw_size", 0, XENO_TOC_MAX_BYTES, &f->table.raw_bytes, err);
    if (r == 0)
        r = read_hex(&at, "sha256", f->table.sha, err);
    if (r == 0 && f->table.bytes > f->size_bytes - f->table.offset)
        r = xeno_fail(err, -EINVAL, "agent.range", "the table is not in the layer");
    return r == 1 ? xeno_fail(err, -EINVAL, "json.missing", "table.sha256 is missing") : r;
}

int xeno_agent_fetched_read(const struct xeno_json_at *ok, struct xeno_agent_fetched *ret,
                            struct xeno_err *err)
{
    struct xeno_agent_fetched f = { .way = XENO_AGENT_WHOLE };
    const char *way;
    int r = xeno_json_str(ok, "way", 1, 16, &way, err);

    if (r == 0)
        r = xeno_json_int(ok, "size", 0, XENO_BLOB_MAX, &f.size_bytes, err);
    if (r < 0)
        return r;
    if (strcmp(way, "pieces") == 0) {
        f.way = XENO_AGENT_PIECES;
        r = read_table(ok, &f, err);
    } else if (strcmp(way, "whole") != 0) {
        r = xeno_fail(err, -EINVAL, "agent.answer", "way '%s' is not pieces or whole", way);
    }
    if (r < 0)
        return r;
    *ret = f;
    return 0;
}

/* --- progress --- */

static struct xeno_json *error_json(const struct xeno_err *why)
{
    struct xeno_err cut = *why;

    cut.text[XENO_AGENT_ERROR_MAX] = '\0';
    for (char *p = cut.text; *p; p++)
        if ((unsigned char)*p < ' ' || (unsigned char)*p >= 0x7f)
            *p = '?'; /* one byte stays one byte */
    return xeno_rpc_error_json(&cut);
}

struct xeno_json *xeno_agent_progress_json(const struct xeno_agent_progress *items, size_t count)
{
    struct xeno_json *obj = xeno_json_object(), *arr = xeno_json_array();

    for (size_t i = 0; i < count; i++) {
        struct xeno_json *one = xeno_json_object();

        xeno_json_set_str(one, "layer", items[i].layer);
        xeno_json_set_int(one, "size", items[i].size_bytes);
        xeno_json_set_int(one, "fetched", items[i].fetched_bytes);
        xeno_json_set_int(one, "total", items[i].total_bytes);
        xeno_json_set_str(one, "state", xeno_agent_state_name(items[i].state));
        if (items[i].error.code < 0)
            xeno_json_set(one, "error", error_json(&items[i].error));
        xeno_json_append(arr, one);
    }
    xeno_json_set(obj, "layers", arr);
    return obj;
}

static int read_progress(const struct xeno_json_at *at, struct xeno_agent_progress *p,
                         struct xeno_err *err)
{
    struct xeno_json_at error;
    const char *state;
    int r = read_digest(at, "layer", p->layer, err);

    if (r == 0)
        r = xeno_json_int(at, "size", 0, XENO_BLOB_MAX, &p->size_bytes, err);
    if (r == 0)
        r = xeno_json_int(at, "fetched", 0, INT64_MAX, &p->fetched_bytes, err);
    if (r == 0)
        r = xeno_json_int(at, "total", 0, INT64_MAX, &p->total_bytes, err);
    if (r == 0)
        r = xeno_json_str(at, "state", 1, 16, &state, err);
    if (r < 0)
        return r;
    while (p->state < XENO_AGENT_STATES && strcmp(state, state_names[p->state]) != 0)
        p->state++;
    if (p->state == XENO_AGENT_STATES)
        return xeno_fail(err, -EINVAL, "agent.answer", "there is no state '%s'", state);
    r = xeno_json_obj_opt(at, "error", &error, err);
    if (r == 0)
        r = xeno_rpc_error_read(&error, &p->error, err);
    return r < 0 ? r : 0;
}

int xeno_agent_progress_read(const struct xeno_json_at *ok, struct xeno_agent_progress *ret,
                             size_t count, struct xeno_err *err)
{
    struct xeno_json_at arr;
    size_t have;
    int r = xeno_json_arr(ok, "layers", XENO_AGENT_LAYERS_MAX, &arr, &have, err);

    if (r == 0 && have != count)
        r = xeno_fail(err, -EINVAL, "agent.answer", "it tells of %zu layers, not of %zu", have,
                      count);
    for (size_t i = 0; r == 0 && i < count; i++) {
        struct xeno_json_at one = xeno_json_item(&arr, i);

        ret[i] = (struct xeno_agent_progress){ .state = XENO_AGENT_UNKNOWN };
        r = read_progress(&one, &ret[i], err);
    }
    return r;
}
