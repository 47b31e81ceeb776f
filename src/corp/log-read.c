/* src/corp/log-read.c - reading the log: stored nodes, proofs, entries. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "corp/log-priv.h"

/* --- stored nodes --- */

/* The part of a row that begins with node `at` and lies within `count` nodes from `first`. */
static int64_t copy_row(const struct xeno_hash *hashes, int64_t at, int64_t row_count,
                        int64_t first, int64_t count, struct xeno_hash *ret)
{
    int64_t from = at > first ? at : first;
    int64_t end = at + row_count < first + count ? at + row_count : first + count;

    if (from >= end)
        return 0;
    memcpy(ret + (from - first), hashes + (from - at), (size_t)(end - from) * sizeof *ret);
    return end - from;
}

static int read_nodes(struct xeno_db *db, int level, int64_t first, int64_t count,
                      struct xeno_hash *ret, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int64_t got = 0;
    int r = xeno_query_begin(
        db, &q, "SELECT n, hashes FROM log_hash WHERE n > $1 AND n < $2 ORDER BY n", err);

    if (r < 0)
        return r;
    xeno_query_int(&q, 1, log_key(level, first) - LOG_ROW);
    xeno_query_int(&q, 2, log_key(level, first + count));
    while ((r = xeno_query_step(&q, err)) > 0) {
        size_t len = 0;
        const void *hashes = xeno_query_col_blob(&q, 1, &len);

        got += copy_row(hashes, xeno_query_col_int(&q, 0) - log_key(level, 0),
                        (int64_t)(len / XENO_HASH_BYTES), first, count, ret);
    }
    if (r < 0)
        return r;
    if (got != count)
        return xeno_fail(err, -EUCLEAN, "log.broken",
                         "of the log's nodes of height %d, %" PRId64 " to %" PRId64
                         " are not all there",
                         level * LOG_STRIDE, first, first + count - 1);
    return 0;
}

static int source_node(void *ctx, int height, int64_t index, struct xeno_hash *ret,
                       struct xeno_err *err)
{
    const struct log_source *s = ctx;
    int level = height / LOG_STRIDE < LOG_LEVELS ? height / LOG_STRIDE : LOG_LEVELS - 1;
    int above = height - level * LOG_STRIDE;
    struct xeno_hash part[1 << LOG_STRIDE];
    int count = 1 << above;
    int r = read_nodes(s->db, level, index << above, count, part, err);

    if (r < 0)
        return r;
    for (; count > 1; count /= 2)
        for (int i = 0; i < count / 2; i++)
            part[i] = xeno_hash_node(&part[2 * i], &part[2 * i + 1]);
    *ret = part[0];
    return 0;
}

struct xeno_tree log_tree(struct log_source *s)
{
    return (struct xeno_tree){ source_node, s };
}

/* --- proofs --- */

static int check_size(const struct xeno_corp *corp, int64_t size, struct xeno_err *err)
{
    if (size <= corp->log->head.size)
        return 0;
    return xeno_fail(err, -ERANGE, "log.range",
                     "the newest head is of %" PRId64 " leaves, not %" PRId64, corp->log->head.size,
                     size);
}

int xeno_log_inclusion(struct xeno_corp *corp, int64_t n, int64_t size, struct xeno_hash *ret_leaf,
                       struct xeno_proof *ret, struct xeno_err *err)
{
    struct log_source source = { corp->db };
    struct xeno_tree tree = log_tree(&source);
    int r = check_size(corp, size, err);

    if (r == 0)
        r = xeno_inclusion_make(&tree, n, size, ret, err);
    if (r == 0)
        r = tree.node(tree.ctx, 0, n, ret_leaf, err);
    return r;
}

int xeno_log_consistency(struct xeno_corp *corp, int64_t first, int64_t second,
                         struct xeno_proof *ret, struct xeno_err *err)
{
    struct log_source source = { corp->db };
    struct xeno_tree tree = log_tree(&source);
    int r = check_size(corp, second, err);

    return r < 0 ? r : xeno_consistency_make(&tree, first, second, ret, err);
}

/* --- entries --- */

size_t log_charge_text(struct xeno_query *q, int column, char out[XENO_LEAF_MAX])
{
    size_t sha_len = 0;
    struct xeno_charge_leaf l = {
        .server = xeno_query_col_text(q, column),
        .order = xeno_query_col_text(q, column + 1),
        .epoch = xeno_query_col_int(q, column + 2),
        .session = xeno_query_col_text(q, column + 3),
        .seq = xeno_query_col_int(q, column + 4),
        .from_ms = xeno_query_col_int(q, column + 5),
        .to_ms = xeno_query_col_int(q, column + 6),
        .tariff = xeno_query_col_int(q, column + 7),
        .amount = xeno_query_col_int(q, column + 8),
        .sha = xeno_query_col_blob(q, column + 9, &sha_len),
    };

    l.sha_len = sha_len <= 32 ? sha_len : 32;
    return xeno_charge_leaf_text(&l, out);
}

void xeno_log_entries_release(struct xeno_log_entry *list, int count)
{
    for (int i = 0; i < count; i++)
        free(xeno_take(&list[i].text));
}

/* What is asked for: leaves from..end - 1. */
struct reading {
    struct xeno_corp *corp;
    int64_t reader; /* 0: an operator */
    bool server;
    int64_t from, end;
    int max;
};

static struct xeno_log_entry entry_of(int64_t n, int64_t entry, const char *text)
{
    return (struct xeno_log_entry){
        .n = n,
        .entry = entry,
        .hash = xeno_hash_leaf(text, strlen(text)),
        .text = xeno_strdup(text),
    };
}

#define ACTS       "SELECT leaf, body FROM log_act WHERE leaf >= $1 AND leaf < $2"
#define ACTS_ORDER " ORDER BY leaf LIMIT $3"
#define OF_BINDINGS(column)                                                                        \
    "SELECT b." column " FROM orders o JOIN binding b ON b.ord = o.n"                              \
    " WHERE o.client = $4 AND b." column " >= $1 AND b." column " < $2"

/* What a party may read: its own acts, and of a client what was done with its orders. */
static const char *acts_sql(const struct reading *d)
{
    if (d->reader == 0)
        return ACTS ACTS_ORDER;
    if (d->server)
        return ACTS " AND party = $4" ACTS_ORDER;
    return ACTS
        " AND party = $4 UNION ALL SELECT leaf, body FROM log_act WHERE leaf IN (" OF_BINDINGS(
            "leaf") " UNION ALL " OF_BINDINGS("end_leaf") ")" ACTS_ORDER;
}

static int read_acts(const struct reading *d, struct xeno_log_entry *ret, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int count = 0;
    int r = corp_query(d->corp, &q, acts_sql(d), err);

    if (r < 0)
        return r;
    xeno_query_int(&q, 1, d->from);
    xeno_query_int(&q, 2, d->end);
    xeno_query_int(&q, 3, d->max);
    if (d->reader != 0)
        xeno_query_int(&q, 4, d->reader);
    while (count < d->max && (r = corp_step(d->corp, &q, err)) > 0) {
        ret[count] = entry_of(xeno_query_col_int(&q, 0), 0, xeno_query_col_text(&q, 1));
        count++;
    }
    if (r < 0)
        xeno_log_entries_release(ret, count);
    return r < 0 ? r : count;
}

/* The first journal entry whose leaf, if it has one, is `leaf` or after. */
static int entry_from(const struct reading *d, int64_t leaf, int64_t *ret, struct xeno_err *err)
{
    return corp_one(d->corp, 0, ret, err,
                    "SELECT CASE WHEN $1 - leaf < count THEN entry + $1 - leaf"
                    " ELSE entry + count END"
                    " FROM log_charges WHERE leaf <= $1 ORDER BY leaf DESC LIMIT 1",
                    "i", leaf);
}

#define CHARGES                                                                                    \
    "SELECT l.leaf + e.n - l.entry, e.n, " LOG_CHARGE_COLUMNS " FROM entry e" LOG_CHARGE_JOINS     \
    " JOIN log_charges l ON l.entry = (SELECT max(x.entry) FROM log_charges x WHERE x.entry <= "   \
    "e.n)"                                                                                         \
    " WHERE e.kind = 3 AND e.n >= $1"
#define CHARGES_PAGE " ORDER BY e.n LIMIT $2"

static int read_charges(const struct reading *d, struct xeno_log_entry *ret, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    char text[XENO_LEAF_MAX];
    int64_t first = 0;
    int count = 0;
    int r = entry_from(d, d->from, &first, err);

    if (r >= 0)
        r = corp_query(d->corp, &q,
                       d->reader == 0 ? CHARGES CHARGES_PAGE
                       : d->server    ? CHARGES " AND e.server = $3" CHARGES_PAGE
                                      : CHARGES " AND e.client = $3" CHARGES_PAGE,
                       err);
    if (r < 0)
        return r;
    xeno_query_int(&q, 1, first);
    xeno_query_int(&q, 2, d->max);
    if (d->reader != 0)
        xeno_query_int(&q, 3, d->reader);
    while (count < d->max && (r = corp_step(d->corp, &q, err)) > 0) {
        if (xeno_query_col_int(&q, 0) >= d->end)
            break;
        (void)log_charge_text(&q, 2, text);
        ret[count++] = entry_of(xeno_query_col_int(&q, 0), xeno_query_col_int(&q, 1), text);
    }
    if (r < 0)
        xeno_log_entries_release(ret, count);
    return r < 0 ? r : count;
}

/* Two sorted lists into one of at most `max`; what is left over is released. */
static int merge(struct xeno_log_entry *a, int a_count, struct xeno_log_entry *b, int b_count,
                 int max, struct xeno_log_entry *ret)
{
    int i = 0, j = 0, n = 0;

    while (n < max && (i < a_count || j < b_count)) {
        if (j == b_count || (i < a_count && a[i].n < b[j].n))
            ret[n++] = a[i++];
        else
            ret[n++] = b[j++];
    }
    xeno_log_entries_release(a + i, a_count - i);
    xeno_log_entries_release(b + j, b_count - j);
    return n;
}

static int read_own(const struct reading *d, struct xeno_log_entry *ret, struct xeno_err *err)
{
    xeno_autofree struct xeno_log_entry *acts = xeno_new0_n(struct xeno_log_entry, (size_t)d->max);
    xeno_autofree struct xeno_log_entry *charges =
        xeno_new0_n(struct xeno_log_entry, (size_t)d->max);
    int act_count = read_acts(d, acts, err), charge_count;

    if (act_count < 0)
        return act_count;
    charge_count = read_charges(d, charges, err);
    if (charge_count < 0) {
        xeno_log_entries_release(acts, act_count);
        return charge_count;
    }
    return merge(acts, act_count, charges, charge_count, d->max, ret);
}

/* Every leaf of the range by its hash, and the reader's own with their texts. */
static int read_all(struct reading *d, struct xeno_log_entry *ret, struct xeno_err *err)
{
    int64_t count = d->end - d->from < d->max ? d->end - d->from : d->max;
    xeno_autofree struct xeno_log_entry *own = NULL;
    xeno_autofree struct xeno_hash *hashes = NULL;
    int r, own_count;

    if (count <= 0)
        return 0;
    own = xeno_new0_n(struct xeno_log_entry, (size_t)count);
    hashes = xeno_new0_n(struct xeno_hash, (size_t)count);
    r = read_nodes(d->corp->db, 0, d->from, count, hashes, err);
    if (r < 0)
        return r;
    d->end = d->from + count;
    d->max = (int)count;
    own_count = read_own(d, own, err);
    if (own_count < 0)
        return own_count;
    for (int i = 0; i < count; i++) {
        ret[i].n = d->from + i;
        ret[i].hash = hashes[i];
    }
    for (int i = 0; i < own_count; i++)
        ret[own[i].n - d->from] = own[i];
    return (int)count;
}

int xeno_log_entries(struct xeno_corp *corp, const char *id, bool all, int64_t from, int max,
                     struct xeno_log_entry *ret, struct xeno_err *err)
{
    struct reading d = { .corp = corp, .from = from, .end = corp->log->head.size, .max = max };
    struct corp_party *p = NULL;
    int r = id ? corp_party(corp, id, &p, err) : 0;

    if (r < 0)
        return r;
    if (p) {
        d.reader = p->n;
        d.server = p->kind != CORP_CLIENT;
    }
    return all ? read_all(&d, ret, err) : read_own(&d, ret, err);
}
