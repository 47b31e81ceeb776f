/* src/xstored/meta-tend.c - what is over, what is damaged, and whether the sums are right. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "xstored/meta-priv.h"

/* --- what is over --- */

/* The one that is idle for longest. Returns: 1 or 0. */
static int next_idle(struct xeno_db *db, int64_t before_ms, char repo[XSTORED_NAME_MAX + 1],
                     char digest[XENO_DIGEST_TEXT], struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = xeno_query_begin(db, &q,
                             "SELECT repository, digest FROM link"
                             " WHERE needs = 0 AND since_ms < $1 ORDER BY since_ms LIMIT 1",
                             err);

    if (r < 0)
        return r;
    xeno_query_int(&q, 1, before_ms);
    r = xeno_query_step(&q, err);
    if (r > 0) {
        snprintf(repo, XSTORED_NAME_MAX + 1, "%s", xeno_query_col_text(&q, 0));
        snprintf(digest, XENO_DIGEST_TEXT, "%s", xeno_query_col_text(&q, 1));
    }
    return r;
}

int xstored_meta_expire(struct xeno_db *db, int64_t before_ms, int max, struct xeno_err *err)
{
    char repo[XSTORED_NAME_MAX + 1], digest[XENO_DIGEST_TEXT];
    int n = 0, r = 0;

    while (n < max && (r = next_idle(db, before_ms, repo, digest, err)) > 0) {
        r = meta_drop_link(db, repo, digest, err);
        if (r < 0)
            break;
        n++;
    }
    return r < 0 ? r : n;
}

/* The digest in the first column, and the number in the second. */
static int digest_row(struct xeno_query *q, char ret[XENO_DIGEST_TEXT], int64_t *ret_n,
                      struct xeno_err *err)
{
    int r = xeno_query_step(q, err);

    if (r > 0) {
        snprintf(ret, XENO_DIGEST_TEXT, "%s", xeno_query_col_text(q, 0));
        *ret_n = xeno_query_col_int(q, 1);
    }
    return r;
}

int xstored_meta_collect(struct xeno_db *db, char ret[XENO_DIGEST_TEXT], struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int64_t size = 0, damaged = 0;
    int r = xeno_query_begin(db, &q, "SELECT digest, size_bytes FROM blob WHERE links = 0 LIMIT 1",
                             err);

    if (r == 0)
        r = digest_row(&q, ret, &size, err);
    xeno_query_finish(&q);
    if (r <= 0)
        return r;
    r = xeno_db_one_int(db, 0, &damaged, err, "SELECT damaged FROM blob WHERE digest = $1", "t",
                        ret);
    if (r == 0)
        r = xeno_db_run(db, err, "DELETE FROM blob WHERE digest = $1", "t", ret);
    if (r >= 0)
        r = xeno_db_run(db, err,
                        "UPDATE total SET blobs = blobs - 1, bytes = bytes - $1,"
                        " damaged = damaged - $2 WHERE id = 1",
                        "ii", size, damaged);
    return r < 0 ? r : 1;
}

int xstored_meta_known(struct xeno_db *db, const char *digest, struct xeno_err *err)
{
    int64_t there = 0;
    int r =
        xeno_db_one_int(db, 0, &there, err, "SELECT 1 FROM blob WHERE digest = $1", "t", digest);

    return r < 0 ? r : (int)there;
}

/* --- damage --- */

int xstored_meta_next(struct xeno_db *db, const char *last, char ret[XENO_DIGEST_TEXT],
                      int64_t *ret_size, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = xeno_query_begin(db, &q,
                             "SELECT digest, size_bytes FROM blob"
                             " WHERE digest > $1 AND damaged = 0 ORDER BY digest LIMIT 1",
                             err);

    if (r < 0)
        return r;
    xeno_query_text(&q, 1, last);
    return digest_row(&q, ret, ret_size, err);
}

int xstored_meta_scrubbed(struct xeno_db *db, char ret[XENO_DIGEST_TEXT], struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = xeno_query_begin(db, &q, "SELECT scrubbed FROM total WHERE id = 1", err);

    if (r == 0)
        r = xeno_query_step(&q, err);
    if (r > 0)
        snprintf(ret, XENO_DIGEST_TEXT, "%s", xeno_query_col_text(&q, 0));
    return r < 0 ? r : 0;
}

int xstored_meta_scrubbed_to(struct xeno_db *db, const char *digest, struct xeno_err *err)
{
    int r = xeno_db_run(db, err, "UPDATE total SET scrubbed = $1 WHERE id = 1", "t", digest);

    return r < 0 ? r : 0;
}

int xstored_meta_damaged(struct xeno_db *db, const char *digest, struct xeno_err *err)
{
    int r = xeno_db_run(db, err, "UPDATE blob SET damaged = 1 WHERE digest = $1 AND damaged = 0",
                        "t", digest);

    if (r == 1)
        r = xeno_db_run(db, err, "UPDATE total SET damaged = damaged + 1 WHERE id = 1", "");
    return r < 0 ? r : 0;
}

int xstored_meta_healed(struct xeno_db *db, const char *digest, struct xeno_err *err)
{
    int r = xeno_db_run(db, err, "UPDATE blob SET damaged = 0 WHERE digest = $1 AND damaged <> 0",
                        "t", digest);

    if (r != 1)
        return r;
    r = xeno_db_run(db, err, "UPDATE total SET damaged = damaged - 1 WHERE id = 1", "");
    return r < 0 ? r : 1;
}

int xstored_meta_next_damaged(struct xeno_db *db, const char *last, char ret[XENO_DIGEST_TEXT],
                              int64_t *ret_size, char **ret_repo, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = xeno_query_begin(db, &q,
                             "SELECT b.digest, b.size_bytes, l.repository FROM blob b"
                             " JOIN link l ON l.digest = b.digest"
                             " WHERE b.digest > $1 AND b.damaged <> 0"
                             " ORDER BY b.digest, l.repository LIMIT 1",
                             err);

    if (r < 0)
        return r;
    xeno_query_text(&q, 1, last);
    r = digest_row(&q, ret, ret_size, err);
    if (r > 0)
        *ret_repo = xeno_strdup(xeno_query_col_text(&q, 2));
    return r;
}

int xstored_meta_total(struct xeno_db *db, struct xstored_total *ret, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = xeno_query_begin(db, &q, "SELECT blobs, bytes, damaged FROM total WHERE id = 1", err);

    if (r == 0)
        r = xeno_query_step(&q, err);
    if (r <= 0)
        return r < 0 ? r : xeno_fail(err, -EBADMSG, "store.books", "the totals are gone");
    *ret = (struct xstored_total){ .blobs = xeno_query_col_int(&q, 0),
                                   .bytes = xeno_query_col_int(&q, 1),
                                   .damaged = xeno_query_col_int(&q, 2) };
    return 0;
}

/* --- are the sums right? --- */

/* Each counts what breaks one of the rules of meta.h. */
static const struct {
    const char *what, *sql;
} rules[] = {
    { "bytes charged to an owner",
      "SELECT count(*) FROM owner o WHERE used_bytes <> (SELECT coalesce(sum(b.size_bytes), 0)"
      " FROM blob b WHERE b.digest IN (SELECT digest FROM link WHERE owner = o.id))" },
    { "entries of an owner",
      "SELECT count(*) FROM owner o WHERE entries <>"
      " (SELECT count(*) FROM link WHERE owner = o.id)"
      " + (SELECT count(*) FROM need n JOIN repository r ON r.name = n.repository"
      "    WHERE r.owner = o.id)"
      " + (SELECT count(*) FROM tag t JOIN repository r ON r.name = t.repository"
      "    WHERE r.owner = o.id)"
      " + (SELECT count(*) FROM head h JOIN repository r ON r.name = h.repository"
      "    WHERE r.owner = o.id)" },
    { "links of an object", "SELECT count(*) FROM blob b"
                            " WHERE links <> (SELECT count(*) FROM link WHERE digest = b.digest)" },
    { "needs of a link",
      "SELECT count(*) FROM link l WHERE needs <>"
      " (SELECT count(*) FROM need n WHERE n.repository = l.repository AND n.digest = l.digest)"
      " + (SELECT count(*) FROM manifest m"
      "    WHERE m.repository = l.repository AND m.digest = l.digest)" },
    { "the totals", "SELECT count(*) FROM total WHERE blobs <> (SELECT count(*) FROM blob)"
                    " OR bytes <> (SELECT coalesce(sum(size_bytes), 0) FROM blob)"
                    " OR damaged <> (SELECT coalesce(sum(damaged), 0) FROM blob)" },
    { "a repository without links",
      "SELECT count(*) FROM repository r"
      " WHERE NOT EXISTS (SELECT 1 FROM link WHERE repository = r.name)" },
};

int xstored_meta_check(struct xeno_db *db, struct xeno_err *err)
{
    for (size_t i = 0; i < XENO_LEN(rules); i++) {
        int64_t wrong = 0;
        int r = xeno_db_one_int(db, 0, &wrong, err, rules[i].sql, "");

        if (r < 0)
            return r;
        if (wrong)
            return xeno_fail(err, -EBADMSG, "store.books", "%s: %" PRId64 " rows are wrong",
                             rules[i].what, wrong);
    }
    return 0;
}
