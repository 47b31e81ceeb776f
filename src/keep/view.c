/* src/keep/view.c - certificates as their owner sees them, and whether the books are right. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "keep/row.h"

#define DAY_MS INT64_C(86400000)

static const char *const states[] = { "", "asked", "kept", "ended" };

static void put_text(struct xeno_db *db, int64_t n, const char *sql, const char *name,
                     struct xeno_json *to)
{
    xeno_autofree char *text = NULL;

    if (keep_text(db, n, sql, &text, NULL) == 0 && text)
        xeno_json_set_str(to, name, text);
}

/* As it would be charged now. */
static struct xeno_json *row_json(struct xeno_db *db, const struct keep_row *row, bool whole,
                                  int64_t now_ms)
{
    struct xeno_json *o = xeno_json_object();
    struct keep_row r = *row;

    if (r.state == KEEP_KEPT)
        keep_advance(&r, now_ms < r.end_ms ? now_ms : r.end_ms);
    xeno_json_set_str(o, "certificate", r.id);
    xeno_json_set_str(o, "state", states[r.state]);
    xeno_json_set_str(o, "reason", *r.why ? r.why : NULL);
    xeno_json_set_str(o, "digest", r.digest);
    xeno_json_set_int(o, "size_bytes", r.size);
    xeno_json_set_int(o, "copies", r.copies);
    xeno_json_set_str(o, "order", r.order);
    xeno_json_set_int(o, "price", r.price);
    xeno_json_set_int(o, "expires_ms", r.expires_ms);
    if (r.copy > 0) {
        xeno_json_set_int(o, "copy", r.copy);
        xeno_json_set_int(o, "from_ms", r.from_ms);
        xeno_json_set_int(o, "ends_ms", r.end_ms);
        xeno_json_set_int(o, "paying_bytes", r.paying);
        xeno_json_set_int(o, "spent", r.state == KEEP_KEPT ? keep_owed(&r) : r.charged);
        xeno_json_set_int(o, "charged", r.charged);
        xeno_json_set_int(o, "posted", r.posted);
        xeno_json_set_int(o, "left", r.budget - r.charged);
    }
    if (whole) {
        put_text(db, r.n, "SELECT receipt FROM kept WHERE n = $1", "receipt", o);
        put_text(db, r.n, "SELECT reclaimed FROM kept WHERE n = $1", "reclaim_receipt", o);
        xeno_json_set(o, "refused", xeno_outbox_refused(db, r.id));
    }
    return o;
}

int xeno_keep_view(struct xeno_db *db, const char *owner, const char *id, int64_t now_ms,
                   struct xeno_json **ret, struct xeno_err *err)
{
    struct keep_row row;
    int r = keep_find_text(db, KEEP_SELECT "WHERE id = $1", id, &row, err);

    if (r < 0)
        return r;
    if (r == 0 || strcmp(row.owner, owner) != 0)
        return xeno_fail(err, -ENOENT, "storage.unknown", "you have no certificate %.40s here", id);
    *ret = row_json(db, &row, true, now_ms);
    return 0;
}

int xeno_keep_list(struct xeno_db *db, const char *owner, int max, int64_t now_ms,
                   struct xeno_json **ret, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    struct xeno_json *list;
    int r = xeno_query_begin(db, &q, KEEP_SELECT "WHERE owner = $1 ORDER BY n DESC LIMIT $2", err);

    if (r < 0)
        return r;
    xeno_query_text(&q, 1, owner);
    xeno_query_int(&q, 2, max);
    list = xeno_json_array();
    while ((r = xeno_query_step(&q, err)) > 0) {
        struct keep_row row;

        keep_row_from(&q, &row);
        xeno_json_append(list, row_json(db, &row, false, now_ms));
    }
    if (r < 0) {
        xeno_json_unref(list);
        return r;
    }
    *ret = list;
    return 0;
}

int xeno_keep_covers(struct xeno_db *db, const char *owner, const char *digest,
                     struct xeno_err *err)
{
    int64_t there = 0;
    int r = xeno_db_one_int(db, 0, &there, err,
                            "SELECT 1 FROM certified o JOIN kept k ON k.n = o.cert"
                            " WHERE o.digest = $1 AND k.owner = $2 AND k.state < 3 LIMIT 1",
                            "tt", digest, owner);

    return r < 0 ? r : (int)there;
}

int xeno_keep_object(struct xeno_db *db, const char *id, const char *digest, int64_t *ret_size,
                     struct xeno_err *err)
{
    int64_t size = -1;
    int r = xeno_db_one_int(db, -1, &size, err,
                            "SELECT o.size FROM certified o JOIN kept k ON k.n = o.cert"
                            " WHERE k.id = $1 AND o.digest = $2 AND k.state = 2",
                            "tt", id, digest);

    if (r < 0)
        return r;
    if (size < 0)
        return xeno_fail(err, -ENOENT, "storage.unknown",
                         "certificate %.40s is not kept here, or has no %.80s", id, digest);
    *ret_size = size;
    return 0;
}

int xeno_keep_sums(struct xeno_db *db, const char *owner, struct xeno_keep_sums *ret,
                   struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    struct keep_row row;
    int r = xeno_query_begin(db, &q, KEEP_SELECT "WHERE owner = $1", err);

    if (r < 0)
        return r;
    *ret = (struct xeno_keep_sums){ .kept = 0 };
    xeno_query_text(&q, 1, owner);
    while ((r = xeno_query_step(&q, err)) > 0) {
        keep_row_from(&q, &row);
        ret->charged += row.charged;
        ret->posted += row.posted;
        if (row.state != KEEP_KEPT)
            continue;
        ret->kept++;
        ret->paying_bytes += row.paying;
        ret->per_day += xeno_stored_cost(row.paying, row.price, DAY_MS);
    }
    return r;
}

/* --- are the books right? --- */

/* Each counts what breaks a rule of keep.h. */
static const struct {
    const char *what, *sql;
} rules[] = {
    { "charged is posted, refused and in the outbox",
      "SELECT count(*) FROM kept k WHERE charged <> posted + refused"
      " + (SELECT coalesce(sum(amount), 0) FROM outbox WHERE session = k.id)" },
    { "charges have no gaps",
      "SELECT count(*) FROM kept k WHERE (SELECT count(*) FROM outbox WHERE session = k.id) <>"
      " (SELECT count(DISTINCT seq) FROM outbox WHERE session = k.id AND seq <= k.seq)" },
    { "an object is paid for by the oldest certificate that is kept",
      "SELECT count(*) FROM kept k WHERE paying <> CASE WHEN state <> 2 THEN 0 ELSE"
      " (SELECT coalesce(sum(o.size), 0) FROM certified o WHERE o.cert = k.n AND k.rank ="
      "  (SELECT min(j.rank) FROM certified p JOIN kept j ON j.n = p.cert"
      "   WHERE p.digest = o.digest AND j.owner = k.owner AND j.state = 2)) END" },
    { "no more is charged than the order had",
      "SELECT count(*) FROM kept WHERE charged > budget OR charged < 0" },
    { "the objects of a certificate are as large as it says",
      "SELECT count(*) FROM kept k WHERE size <>"
      " (SELECT coalesce(sum(size), 0) FROM certified WHERE cert = k.n)" },
    { "only what has ended is released", "SELECT count(*) FROM kept"
                                         " WHERE release_due <> 0 AND state <> 3" },
};

/* What was told in charges is what they came to. */
static int check_owed(struct xeno_db *db, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = xeno_query_begin(db, &q, KEEP_SELECT, err);

    while (r >= 0 && (r = xeno_query_step(&q, err)) > 0) {
        struct keep_row row;

        keep_row_from(&q, &row);
        row.total = row.told;
        if (row.charged != keep_owed(&row))
            return xeno_fail(err, -EUCLEAN, "storage.books",
                             "certificate %s: charged %" PRId64 ", and %" PRId64
                             " are owed for what was told",
                             row.id, row.charged, keep_owed(&row));
    }
    return r;
}

int xeno_keep_check(struct xeno_db *db, struct xeno_err *err)
{
    for (size_t i = 0; i < XENO_LEN(rules); i++) {
        int64_t wrong = 0;
        int r = xeno_db_one_int(db, 0, &wrong, err, rules[i].sql, "");

        if (r < 0)
            return r;
        if (wrong)
            return xeno_fail(err, -EUCLEAN, "storage.books",
                             "rule \"%s\" is broken %" PRId64 " times", rules[i].what, wrong);
    }
    return check_owed(db, err);
}
