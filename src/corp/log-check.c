/* src/corp/log-check.c - the tree again, from the rows; shares no arithmetic with log.c. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "corp/log-priv.h"
#include "crypto/jws.h"

struct walk {
    struct xeno_db *db;
    /* Read side by side, each in its order; a flag says that its query stands on a row. */
    struct xeno_query acts, charges, runs, heads, hashes;
    bool act, charge, run, head, hash;
    int64_t n; /* the leaf that comes next */
    struct xeno_hash parts[49];
    int heights[49]; /* of the complete subtrees so far, from the left */
    int count;
};

static void walk_release(struct walk *w)
{
    xeno_query_finish(&w->acts);
    xeno_query_finish(&w->charges);
    xeno_query_finish(&w->runs);
    xeno_query_finish(&w->heads);
    xeno_query_finish(&w->hashes);
}

static int broken(struct xeno_err *err, const char *what, int64_t n)
{
    return xeno_fail(err, -EUCLEAN, "log.broken", "%s %" PRId64, what, n);
}

/* The next row, if any. */
static int next(struct xeno_query *q, bool *ret_row, struct xeno_err *err)
{
    int r = xeno_query_step(q, err);

    *ret_row = r > 0;
    return r < 0 ? r : 0;
}

static int begin(struct walk *w, struct xeno_err *err)
{
    int r = xeno_query_begin(w->db, &w->acts, "SELECT leaf, body FROM log_act ORDER BY leaf", err);

    if (r == 0)
        r = xeno_query_begin(w->db, &w->charges,
                             "SELECT e.n, " LOG_CHARGE_COLUMNS " FROM entry e" LOG_CHARGE_JOINS
                             " WHERE e.kind = 3 ORDER BY e.n",
                             err);
    if (r == 0)
        r = xeno_query_begin(w->db, &w->runs,
                             "SELECT leaf, entry, count FROM log_charges ORDER BY leaf", err);
    if (r == 0)
        r = xeno_query_begin(w->db, &w->heads, "SELECT size, signed FROM log_head ORDER BY size",
                             err);
    if (r == 0)
        r = xeno_query_begin(w->db, &w->hashes,
                             "SELECT n, hashes FROM log_hash WHERE n >= $1 ORDER BY n", err);
    if (r < 0)
        return r;
    xeno_query_int(&w->hashes, 1, log_key(0, 0));
    r = next(&w->hashes, &w->hash, err);
    if (r == 0)
        r = next(&w->acts, &w->act, err);
    if (r == 0)
        r = next(&w->charges, &w->charge, err);
    if (r == 0)
        r = next(&w->runs, &w->run, err);
    if (r == 0)
        r = next(&w->heads, &w->head, err);
    return r;
}

/* --- stored nodes --- */

/* It is in the row that the query stands on, or in the one after. */
static int check_leaf(struct walk *w, const struct xeno_hash *h, struct xeno_err *err)
{
    int64_t at = -1, count = 0;
    const void *hashes = NULL;
    size_t len = 0;

    for (int i = 0; w->hash && i < 2; i++) {
        at = w->n - (xeno_query_col_int(&w->hashes, 0) - log_key(0, 0));
        hashes = xeno_query_col_blob(&w->hashes, 1, &len);
        count = (int64_t)(len / sizeof *h);
        if (at < count)
            break;
        int r = next(&w->hashes, &w->hash, err);

        if (r < 0)
            return r;
    }
    if (!w->hash || at < 0 || at >= count ||
        memcmp((const struct xeno_hash *)hashes + at, h, sizeof *h) != 0)
        return broken(err, "the log has another hash, or none, for leaf", w->n);
    return 0;
}

static int check_node(struct walk *w, int height, int64_t index, const struct xeno_hash *h,
                      struct xeno_err *err)
{
    struct log_source source = { w->db };
    struct xeno_tree tree = log_tree(&source);
    struct xeno_hash stored;
    int r;

    if (height % LOG_STRIDE != 0 || height / LOG_STRIDE >= LOG_LEVELS)
        return 0;
    r = tree.node(tree.ctx, height, index, &stored, err);
    if (r < 0)
        return r;
    if (!xeno_hash_equal(&stored, h))
        return broken(err, "a stored node of the log is not that of its leaves: the last is", w->n);
    return 0;
}

static int add(struct walk *w, struct xeno_hash h, struct xeno_err *err)
{
    int height = 0;
    int r = check_leaf(w, &h, err);

    for (; r == 0 && w->count > 0 && w->heights[w->count - 1] == height; w->count--) {
        h = xeno_hash_node(&w->parts[w->count - 1], &h);
        height++;
        r = check_node(w, height, w->n >> height, &h, err);
    }
    w->parts[w->count] = h;
    w->heights[w->count++] = height;
    w->n++;
    return r;
}

/* --- heads --- */

/* Of a text of our own: the signature is looked at by whoever was given it. */
static int head_root(const char *text, int64_t *size, struct xeno_hash *root, struct xeno_err *err)
{
    xeno_auto(xeno_jws) jws = NULL;
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top;
    const char *hash;
    int r = xeno_jws_parse(text, strlen(text), &jws, err);

    if (r == 0)
        r = xeno_json_parse(jws->payload, jws->payload_len, XENO_LOG_HEAD_MAX, &doc, err);
    if (r < 0)
        return r;
    top = xeno_json_top(doc);
    r = xeno_json_int(&top, "size", 0, XENO_TREE_MAX, size, err);
    if (r == 0)
        r = xeno_json_str(&top, "root", 1, XENO_HASH_TEXT - 1, &hash, err);
    if (r == 0 && !xeno_hash_parse(hash, root))
        r = broken(err, "no root is in the kept head of leaves", *size);
    return r;
}

/* Heads that were given out for a tree of as many leaves as were seen so far. */
static int check_heads(struct walk *w, struct xeno_err *err)
{
    int r = 0;

    while (r == 0 && w->head && xeno_query_col_int(&w->heads, 0) == w->n) {
        struct xeno_hash root, said;
        int64_t size = -1;

        root = w->count > 0 ? w->parts[w->count - 1] : xeno_hash_empty();
        for (int i = w->count - 1; i > 0; i--)
            root = xeno_hash_node(&w->parts[i - 1], &root);
        r = head_root(xeno_query_col_text(&w->heads, 1), &size, &said, err);
        if (r == 0 && (size != w->n || !xeno_hash_equal(&root, &said)))
            r = broken(err, "the rows are not what was signed: the head of leaves", w->n);
        if (r == 0)
            r = next(&w->heads, &w->head, err);
    }
    return r;
}

/* --- leaves --- */

/* The leaf of the charge that comes next; -1 when it has none. */
static int charge_leaf(struct walk *w, int64_t *ret, struct xeno_err *err)
{
    int64_t n = w->charge ? xeno_query_col_int(&w->charges, 0) : 0;
    int r = 0;

    while (r == 0 && w->run &&
           n >= xeno_query_col_int(&w->runs, 1) + xeno_query_col_int(&w->runs, 2))
        r = next(&w->runs, &w->run, err);
    *ret = -1;
    if (w->charge && w->run && n >= xeno_query_col_int(&w->runs, 1))
        *ret = xeno_query_col_int(&w->runs, 0) + n - xeno_query_col_int(&w->runs, 1);
    return r;
}

static int one_leaf(struct walk *w, struct xeno_err *err)
{
    char text[XENO_LEAF_MAX];
    const char *body;
    int64_t at;
    int r;

    if (w->act && xeno_query_col_int(&w->acts, 0) == w->n) {
        body = xeno_query_col_text(&w->acts, 1);
        r = add(w, xeno_hash_leaf(body, strlen(body)), err);
        return r < 0 ? r : next(&w->acts, &w->act, err);
    }
    r = charge_leaf(w, &at, err);
    if (r < 0)
        return r;
    if (at != w->n)
        return broken(err, "there is nothing, or too much, for the log's leaf", w->n);
    r = add(w, xeno_hash_leaf(text, log_charge_text(&w->charges, 1, text)), err);
    return r < 0 ? r : next(&w->charges, &w->charge, err);
}

static const struct {
    const char *rule, *sql;
} rules[] = {
    { "every posted charge is a leaf, once: of another number of times",
      "SELECT (SELECT count(*) FROM entry WHERE kind = 3)"
      " - (SELECT coalesce(sum(count), 0) FROM log_charges)" },
    { "runs of charges touch or overlap wrongly, times",
      "SELECT count(*) FROM (SELECT entry - lag(entry + count, 1, 0) OVER (ORDER BY leaf) AS gap,"
      "  leaf - lag(leaf + count, 1, 0) OVER (ORDER BY leaf) AS apart FROM log_charges) AS r"
      " WHERE gap < 0 OR apart < 0" },
    { "hashes are not one a leaf: the log has other leaves by",
      "SELECT (SELECT coalesce(sum(length(hashes)), 0) FROM log_hash WHERE n >= 15 * 281474976710656)"
      " / 32 - (SELECT count(*) FROM log_act)"
      " - (SELECT coalesce(sum(count), 0) FROM log_charges)" },
};

int xeno_log_check(struct xeno_db *db, struct xeno_err *err)
{
    __attribute__((cleanup(walk_release))) struct walk w = { .db = db };
    int r = 0;

    for (size_t i = 0; r == 0 && i < XENO_LEN(rules); i++) {
        int64_t bad = 0;

        r = xeno_db_one_int(db, 0, &bad, err, rules[i].sql, "");
        if (r >= 0 && bad != 0)
            r = broken(err, rules[i].rule, bad);
    }
    if (r >= 0)
        r = begin(&w, err);
    while (r == 0 && (w.act || w.charge)) {
        r = check_heads(&w, err);
        if (r == 0)
            r = one_leaf(&w, err);
    }
    if (r == 0)
        r = check_heads(&w, err);
    if (r == 0 && w.head)
        r = broken(err, "more was signed than is there: a head of leaves",
                   xeno_query_col_int(&w.heads, 0));
    return r;
}
