/* src/corp/log-check.c - the tree again, from the rows; shares no arithmetic with log.c. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "corp/log-priv.h"
#include "crypto/jws.h"

struct walk {
    struct xeno_db *db;
    struct xeno_query acts, charges, heads;
    bool act, charge, head; /* each query stands on a row */
    int64_t n;              /* the leaf that comes next */
    struct xeno_hash parts[49];
    int heights[49]; /* of the complete subtrees so far, from the left */
    int count;
};

static void walk_release(struct walk *w)
{
    xeno_query_finish(&w->acts);
    xeno_query_finish(&w->charges);
    xeno_query_finish(&w->heads);
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
                             "SELECT l.leaf + e.n - l.entry, l.count, " LOG_CHARGE_COLUMNS
                             " FROM log_charges l JOIN entry e ON e.n >= l.entry"
                             " AND e.n < l.entry + l.count AND e.kind = 3" LOG_CHARGE_JOINS
                             " ORDER BY l.leaf, e.n",
                             err);
    if (r == 0)
        r = xeno_query_begin(w->db, &w->heads, "SELECT size, signed FROM log_head ORDER BY size",
                             err);
    if (r == 0)
        r = next(&w->acts, &w->act, err);
    if (r == 0)
        r = next(&w->charges, &w->charge, err);
    if (r == 0)
        r = next(&w->heads, &w->head, err);
    return r;
}

/* --- stored nodes --- */

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
        return broken(err,
                      height ? "a stored node of the log is not that of its leaves: the last is"
                             : "the log has another hash for leaf",
                      w->n);
    return 0;
}

static int add(struct walk *w, struct xeno_hash h, struct xeno_err *err)
{
    int height = 0;
    int r = check_node(w, 0, w->n, &h, err);

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

static int one_leaf(struct walk *w, struct xeno_err *err)
{
    char text[XENO_LEAF_MAX];
    const char *body;
    int r;

    if (w->act && xeno_query_col_int(&w->acts, 0) == w->n) {
        body = xeno_query_col_text(&w->acts, 1);
        r = add(w, xeno_hash_leaf(body, strlen(body)), err);
        return r < 0 ? r : next(&w->acts, &w->act, err);
    }
    if (!w->charge || xeno_query_col_int(&w->charges, 0) != w->n)
        return broken(err, "there is nothing, or too much, for the log's leaf", w->n);
    r = add(w, xeno_hash_leaf(text, log_charge_text(&w->charges, 2, text)), err);
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
