/* src/corp/log.c - the log's end: appending leaves, writing them with the group, signing the head.
 */
#include "corp/log.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "corp/log-priv.h"

#define FRESH_MS 60000 /* a head is at most about so old */

/* --- appending --- */

static int flush_level(struct xeno_corp *corp, int level, struct xeno_err *err)
{
    struct log_level *l = &corp->log->levels[level];
    int r;

    if (l->count == 0)
        return 0;
    r = corp_run(corp, err, "INSERT INTO log_hash (n, hashes) VALUES ($1, $2)", "ib",
                 log_key(level, l->first), (const void *)l->pending,
                 (size_t)l->count * sizeof l->pending[0]);
    if (r < 0)
        return r;
    l->first += l->count;
    l->count = 0;
    return 0;
}

static int put(struct xeno_corp *corp, int level, const struct xeno_hash *hash,
               struct xeno_err *err)
{
    struct log_level *l = &corp->log->levels[level];

    l->pending[l->count++] = *hash;
    return l->count < LOG_ROW ? 0 : flush_level(corp, level, err);
}

static int append(struct xeno_corp *corp, const struct xeno_hash *leaf, struct xeno_err *err)
{
    struct corp_log *log = corp->log;
    struct xeno_hash h = *leaf;
    int height = 0, r;

    if (log->size >= XENO_TREE_MAX)
        return corp_seen(corp, xeno_fail(err, -EOVERFLOW, "log.range", "the log is full"));
    r = put(corp, 0, &h, err);
    while (r == 0 && (log->size >> height & 1)) {
        h = xeno_hash_node(&log->peaks[height++], &h);
        if (height % LOG_STRIDE == 0 && height / LOG_STRIDE < LOG_LEVELS)
            r = put(corp, height / LOG_STRIDE, &h, err);
    }
    if (r < 0)
        return r;
    log->peaks[height] = h;
    log->size++;
    return 0;
}

static int flush_run(struct xeno_corp *corp, struct xeno_err *err)
{
    struct corp_log *log = corp->log;
    int r = 0;

    if (log->run_count > 0)
        r = corp_run(corp, err, "INSERT INTO log_charges (leaf, entry, count) VALUES ($1, $2, $3)",
                     "iii", log->run_leaf, log->run_entry, log->run_count);
    log->run_count = 0;
    return r < 0 ? r : 0;
}

int corp_log_charge(struct xeno_corp *corp, int64_t entry, const struct xeno_hash *leaf,
                    struct xeno_err *err)
{
    struct corp_log *log = corp->log;
    int r = 0;

    if (log->run_entry + log->run_count != entry || log->run_leaf + log->run_count != log->size)
        r = flush_run(corp, err);
    if (r < 0)
        return r;
    if (log->run_count == 0) {
        log->run_leaf = log->size;
        log->run_entry = entry;
    }
    log->run_count++;
    return append(corp, leaf, err);
}

int64_t corp_log_next(const struct xeno_corp *corp)
{
    return corp->log->size;
}

int corp_log_text(struct xeno_corp *corp, int64_t party, const char *text, struct xeno_err *err)
{
    struct xeno_hash leaf = xeno_hash_leaf(text, strlen(text));
    int r = corp_run(corp, err, "INSERT INTO log_act (leaf, party, body) VALUES ($1, $2, $3)",
                     "iit", corp->log->size, party, text);

    return r < 0 ? r : append(corp, &leaf, err);
}

int corp_log_flush(struct xeno_corp *corp, struct xeno_err *err)
{
    int r = flush_run(corp, err);

    for (int level = 0; r == 0 && level < LOG_LEVELS; level++)
        r = flush_level(corp, level, err);
    return r;
}

/* --- the head --- */

static struct xeno_hash root_of(const struct corp_log *log)
{
    struct xeno_hash root = xeno_hash_empty();
    bool any = false;

    for (int h = 0; log->size >> h != 0; h++) {
        if (!(log->size >> h & 1))
            continue;
        root = any ? xeno_hash_node(&log->peaks[h], &root) : log->peaks[h];
        any = true;
    }
    return root;
}

void corp_log_committed(struct xeno_corp *corp)
{
    struct corp_log *log = corp->log;
    xeno_time now = xeno_wall(corp->env);

    if (log->head_text && log->head.size == log->size &&
        now.ns - log->head.time.ns < FRESH_MS * XENO_NS_PER_MS)
        return;
    log->head = (struct xeno_log_head){
        .corp = corp->id,
        .size = log->size,
        .root = root_of(log),
        .time = xeno_ms(now.ns / XENO_NS_PER_MS),
    };
    free(log->head_text);
    log->head_text = xeno_log_head_sign(corp->ca_key, log->size, &log->head.root, log->head.time);
}

const char *xeno_log_head_text(const struct xeno_corp *corp)
{
    return corp->log->head_text;
}

const struct xeno_log_head *xeno_log_head(const struct xeno_corp *corp)
{
    return &corp->log->head;
}

/* Of the heads that were given out some stay, for the day the tables are doubted. */
int corp_tick_log(struct xeno_corp *corp, struct xeno_err *err)
{
    struct corp_log *log = corp->log;
    int64_t now = xeno_corp_now_ms(corp);
    int r;

    if (log->head.size == 0 || now - log->kept_ms < FRESH_MS)
        return 0;
    r = corp_run(corp, err,
                 "INSERT INTO log_head (size, time_ms, signed) VALUES ($1, $2, $3)"
                 " ON CONFLICT (size) DO NOTHING",
                 "iit", log->head.size, log->head.time.ns / XENO_NS_PER_MS, log->head_text);
    if (r < 0)
        return r;
    log->kept_ms = now;
    return 0;
}

/* --- opening --- */

/* How many leaves the rows hold: those of level 0 come last. */
static int stored_size(struct xeno_corp *corp, int64_t *ret, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    size_t len = 0;
    int r = xeno_query_begin(corp->db, &q, "SELECT n, hashes FROM log_hash ORDER BY n DESC LIMIT 1",
                             err);

    if (r == 0)
        r = xeno_query_step(&q, err);
    if (r < 0)
        return r;
    *ret = 0;
    if (r > 0) {
        (void)xeno_query_col_blob(&q, 1, &len);
        *ret = xeno_query_col_int(&q, 0) - log_key(0, 0) + (int64_t)(len / XENO_HASH_BYTES);
    }
    return 0;
}

int corp_log_load(struct xeno_corp *corp, struct xeno_err *err)
{
    struct log_source source = { corp->db };
    struct xeno_tree tree = log_tree(&source);
    struct corp_log *log = corp->log;
    int r = stored_size(corp, &log->size, err);

    for (int h = 0; r == 0 && log->size >> h != 0; h++)
        if (log->size >> h & 1)
            r = tree.node(tree.ctx, h, (log->size >> h) - 1, &log->peaks[h], err);
    for (int level = 0; level < LOG_LEVELS; level++) {
        log->levels[level].first = log->size >> level * LOG_STRIDE;
        log->levels[level].count = 0;
    }
    log->run_count = 0;
    return r;
}

/* Charges that were posted before there was a log come first, in their order. */
static int append_older(struct xeno_corp *corp, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    char text[XENO_LEAF_MAX];
    int r = corp_query(corp, &q,
                       "SELECT e.n, " LOG_CHARGE_COLUMNS " FROM entry e" LOG_CHARGE_JOINS
                       " WHERE e.kind = 3 ORDER BY e.n",
                       err);

    while (r >= 0 && (r = corp_step(corp, &q, err)) > 0) {
        struct xeno_hash leaf = xeno_hash_leaf(text, log_charge_text(&q, 1, text));

        r = corp_log_charge(corp, xeno_query_col_int(&q, 0), &leaf, err);
    }
    return r;
}

static int begin_log(struct xeno_corp *corp, struct xeno_err *err)
{
    int r;

    if (corp->log->size > 0)
        return 0;
    r = corp_log_act(corp, 0, err, "\"act\":\"log\",\"corp\":\"%s\"", corp->id.s);
    return r < 0 ? r : append_older(corp, err);
}

int corp_log_open(struct xeno_corp *corp, struct xeno_err *err)
{
    int r;

    corp->log = xeno_new0(struct corp_log);
    r = corp_log_load(corp, err);
    if (r == 0)
        r = xeno_corp_begin(corp, err);
    if (r < 0)
        return r;
    r = begin_log(corp, err);
    if (r == 0)
        return xeno_corp_commit(corp, err);
    xeno_corp_rollback(corp);
    return r;
}

void corp_log_free(struct xeno_corp *corp)
{
    if (!corp->log)
        return;
    free(corp->log->head_text);
    free(corp->log);
}
