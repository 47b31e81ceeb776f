/* src/xis/replica-answer.c - what a node answers its peers: changes, hashes and lists, adverts. */
#include <errno.h>
#include <string.h>

#include "base/enc.h"
#include "xis/advert.h"
#include "xis/replica-priv.h"

#define SCAN     8192 /* places of the feed that one answer looks at */
#define LIST     2048 /* ids of one bucket in an answer */
#define LISTS    4096 /* ids in an answer */
#define PREFIXES 32
/* Once an answer's adverts are as long as this, the next may not fit. */
#define TEXTS_FULL (XENO_REPLICA_ANSWER - 3 * XENO_ADVERT_JWS_MAX)

/* An answer's entries as they gather. */
struct entries {
    struct xeno_json *list;
    size_t count, bytes;
};

static bool full(const struct entries *es)
{
    return es->count == XENO_REPLICA_PAGE || es->bytes > TEXTS_FULL;
}

/* What the host has not in that version is left out: its change will come. */
static void add_entry(struct xeno_replica *r, struct entries *es, const struct entry *e)
{
    struct xeno_replica_text t = { .jws = NULL };

    if (!r->host.load(r->host.user, &e->id, e->version, &t))
        return;
    xeno_json_append(es->list, xeno_replica_entry(e, &t));
    es->count++;
    es->bytes += t.jws_len + t.delta_len + 256;
}

static struct xeno_json *begin(const struct xeno_replica *r, int64_t n)
{
    struct xeno_json *o = xeno_json_object();

    xeno_json_set_int(o, "n", n);
    xeno_replica_put_origin(o, "epoch", r->origin);
    return o;
}

/* --- pull --- */

struct pull {
    uint64_t epoch;
    int64_t after;
    struct vector vector;
};

static int read_pull(const struct xeno_json_at *at, struct pull *p, struct xeno_err *err)
{
    static const char *const keys[] = { "epoch", "after", "vector", NULL };
    int r = xeno_json_only(at, keys, err);

    if (r == 0)
        r = xeno_replica_get_origin(at, "epoch", &p->epoch, err);
    if (r >= 0)
        r = xeno_json_int(at, "after", 0, XENO_REPLICA_SEQ, &p->after, err);
    if (r == 0)
        r = xeno_replica_get_vector(at, &p->vector, err);
    return r < 0 ? r : 0;
}

static int answer_pull(struct xeno_replica *r, const struct xeno_json_at *at, struct xeno_json *o,
                       struct xeno_err *err)
{
    struct entries es = { .list = NULL };
    struct pull p = { 0 };
    size_t i, seen = 0;
    int x = read_pull(at, &p, err);

    if (x < 0)
        return x;
    if ((p.epoch != 0 && p.epoch != r->origin) || p.after > r->pos) {
        xeno_json_set_bool(o, "gap", true);
        return 0;
    }
    es.list = xeno_json_array();
    for (i = xeno_replica_feed_from(r, p.after); i < r->feed_count && seen < SCAN && !full(&es);
         i++, seen++) {
        const struct entry *e = r->feed[i].e;

        p.after = r->feed[i].pos;
        if (e && (e->stamp.origin == 0 ||
                  xeno_replica_covers(&p.vector, e->stamp.origin) < e->stamp.seq))
            add_entry(r, &es, e);
    }
    xeno_json_set_int(o, "next", i < r->feed_count ? p.after : r->pos);
    xeno_json_set_bool(o, "more", i < r->feed_count);
    if (i == r->feed_count)
        xeno_json_set(o, "vector", xeno_replica_vector(r));
    xeno_json_set(o, "entries", es.list);
    return 0;
}

/* --- tree --- */

static void hex_append(struct xeno_json *list, const uint8_t hash[XENO_REPLICA_HASH])
{
    char text[2 * XENO_REPLICA_HASH + 1];

    xeno_hex(hash, XENO_REPLICA_HASH, text);
    xeno_json_append_str(list, text);
}

static void add_children(struct xeno_replica *r, const char *prefix, struct xeno_json *node)
{
    struct xeno_json *children = xeno_json_array();
    uint8_t hash[XENO_REPLICA_HASH];
    char text[2 * XENO_REPLICA_HASH + 1], child[3] = { 0 };
    size_t len = strlen(prefix);

    xeno_replica_hash(r, prefix, hash);
    xeno_hex(hash, sizeof hash, text);
    xeno_json_set_str(node, "hash", text);
    memcpy(child, prefix, len);
    for (size_t i = 0; i < LETTERS; i++) {
        child[len] = xeno_replica_letter(i);
        xeno_replica_hash(r, child, hash);
        hex_append(children, hash);
    }
    xeno_json_set(node, "children", children);
}

/* Returns: how many ids it has. */
static size_t add_list(struct xeno_replica *r, const char *prefix, const char *after,
                       struct xeno_json *node)
{
    const struct bucket *b = xeno_replica_bucket(r, prefix);
    struct xeno_json *versions = xeno_json_object();
    size_t i = 0, count = 0;

    while (i < b->count && strcmp(b->entries[i]->id.s, after) <= 0)
        i++;
    for (; i < b->count && count < LIST; i++, count++)
        xeno_json_set_int(versions, b->entries[i]->id.s, b->entries[i]->version);
    xeno_json_set(node, "versions", versions);
    xeno_json_set_bool(node, "more", i < b->count);
    return count;
}

static int read_prefix(const struct xeno_json_at *at, const char **ret_prefix,
                       const char **ret_after, struct xeno_err *err)
{
    int r = xeno_json_str(at, "prefix", 0, 2, ret_prefix, err);

    if (r == 0 && !xeno_replica_prefix_ok(*ret_prefix))
        r = xeno_fail(err, -EINVAL, "replica.question", "%s: prefix is letters of ids", at->path);
    if (r == 0)
        r = xeno_json_str_opt(at, "after", XENO_ID_CHARS, XENO_ID_CHARS, ret_after, err);
    return r < 0 ? r : 0;
}

static int answer_tree(struct xeno_replica *r, const struct xeno_json_at *at, size_t count,
                       struct xeno_json *o, struct xeno_err *err)
{
    xeno_auto(xeno_json) nodes = xeno_json_array();
    size_t listed = 0;

    for (size_t i = 0; i < count && listed < LISTS; i++) {
        struct xeno_json_at item = xeno_json_item(at, i);
        const char *prefix, *after = "";
        xeno_auto(xeno_json) node = xeno_json_object();
        int x = read_prefix(&item, &prefix, &after, err);

        if (x < 0)
            return x;
        xeno_json_set_str(node, "prefix", prefix);
        if (strlen(prefix) == 2)
            listed += add_list(r, prefix, after, node);
        else
            add_children(r, prefix, node);
        xeno_json_append(nodes, xeno_take(&node));
    }
    xeno_json_set_int(o, "next", r->pos);
    xeno_json_set(o, "vector", xeno_replica_vector(r));
    xeno_json_set(o, "nodes", xeno_take(&nodes));
    return 0;
}

/* --- fetch --- */

static int answer_fetch(struct xeno_replica *r, const struct xeno_json_at *at, size_t count,
                        struct xeno_json *o, struct xeno_err *err)
{
    xeno_auto(xeno_json) list = xeno_json_array();
    struct entries es = { .list = list };

    for (size_t i = 0; i < count && !full(&es); i++) {
        const struct entry *e;
        const char *id;
        int x = xeno_json_item_str(at, i, XENO_ID_CHARS, XENO_ID_CHARS, &id, err);

        if (x < 0)
            return x;
        e = xeno_replica_find(r, id);
        if (e && !e->gone)
            add_entry(r, &es, e);
    }
    xeno_json_set(o, "entries", xeno_take(&list));
    return 0;
}

/* --- */

static int answer(struct xeno_replica *r, const struct xeno_json_at *top, struct xeno_json *o,
                  struct xeno_err *err)
{
    static const char *const keys[] = { "n", "pull", "tree", "fetch", NULL };
    struct xeno_json_at at;
    size_t count;
    int x = xeno_json_only(top, keys, err);

    if (x < 0)
        return x;
    x = xeno_json_obj_opt(top, "pull", &at, err);
    if (x <= 0)
        return x < 0 ? x : answer_pull(r, &at, o, err);
    x = xeno_json_arr_opt(top, "tree", PREFIXES, &at, &count, err);
    if (x <= 0)
        return x < 0 ? x : answer_tree(r, &at, count, o, err);
    x = xeno_json_arr_opt(top, "fetch", XENO_REPLICA_PAGE, &at, &count, err);
    if (x <= 0)
        return x < 0 ? x : answer_fetch(r, &at, count, o, err);
    return xeno_fail(err, -EINVAL, "replica.question", "none of 'pull', 'tree' and 'fetch'");
}

int xeno_replica_answer(struct xeno_replica *r, const char *text, size_t len, char **ret,
                        size_t *ret_len, struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = NULL;
    xeno_auto(xeno_json) o = NULL;
    struct xeno_json_at top;
    int64_t n;
    int x = xeno_json_parse(text, len, XENO_REPLICA_ASK, &doc, err);

    if (x < 0)
        return x;
    top = xeno_json_top(doc);
    x = xeno_json_int(&top, "n", 0, XENO_REPLICA_SEQ, &n, err);
    if (x < 0)
        return x;
    xeno_replica_age(r);
    o = begin(r, n);
    x = answer(r, &top, o, err);
    if (x < 0)
        return x;
    *ret = xeno_json_format(o, false, ret_len);
    return 0;
}
