/* src/xstored/meta-paid.c - what certificates are about, and what happens to what none is about. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "keep/keep.h"
#include "xstored/meta-priv.h"

/* A manifest and all it needs, to the last layer. */
#define CLOSURE                                                                                    \
    "WITH RECURSIVE c (digest) AS (SELECT $2 UNION SELECT n.digest FROM need n"                    \
    " JOIN c ON n.manifest = c.digest WHERE n.repository = $1) "

/* One of the owner's repositories that has the manifest. */
static int find_repository(struct xeno_db *db, const char *owner, const char *digest,
                           char ret[XSTORED_NAME_MAX + 1], struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = xeno_query_begin(db, &q,
                             "SELECT l.repository FROM link l JOIN manifest m"
                             " ON m.repository = l.repository AND m.digest = l.digest"
                             " WHERE l.owner = $1 AND l.digest = $2 LIMIT 1",
                             err);

    if (r < 0)
        return r;
    xeno_query_text(&q, 1, owner);
    xeno_query_text(&q, 2, digest);
    r = xeno_query_step(&q, err);
    if (r > 0)
        snprintf(ret, XSTORED_NAME_MAX + 1, "%s", xeno_query_col_text(&q, 0));
    if (r == 0)
        r = xeno_fail(err, -ENOENT, "store.manifest_unknown",
                      "%s has no manifest %s here: push it first", owner, digest);
    return r < 0 ? r : 0;
}

int xstored_meta_matches(struct xeno_db *db, const struct xeno_writecert *c, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    char repo[XSTORED_NAME_MAX + 1];
    size_t i = 0;
    int r = find_repository(db, c->owner.s, c->digest, repo, err);

    if (r == 0)
        r = xeno_query_begin(db, &q,
                             CLOSURE "SELECT b.digest, b.size_bytes FROM c JOIN blob b"
                                     " ON b.digest = c.digest ORDER BY b.digest",
                             err);
    if (r < 0)
        return r;
    xeno_query_text(&q, 1, repo);
    xeno_query_text(&q, 2, c->digest);
    while ((r = xeno_query_step(&q, err)) > 0) {
        const char *digest = xeno_query_col_text(&q, 0);
        int64_t size = xeno_query_col_int(&q, 1);

        if (i >= c->count || strcmp(c->objects[i].digest, digest) != 0 ||
            c->objects[i].size != size)
            return xeno_fail(err, -EINVAL, "storage.objects",
                             "%s needs %s of %" PRId64
                             " bytes, and the certificate does not say so",
                             c->digest, digest, size);
        i++;
    }
    if (r == 0 && i < c->count)
        r = xeno_fail(err, -EINVAL, "storage.objects", "%s does not need %s", c->digest,
                      c->objects[i].digest);
    return r;
}

int xstored_meta_deletable(struct xeno_db *db, const char *repo, const char *ref,
                           struct xeno_err *err)
{
    struct xeno_id owner = xstored_name_owner(repo);
    int r = strchr(ref, ':') ? xeno_keep_covers(db, owner.s, ref, err) : 0;

    if (r > 0)
        return xeno_fail(err, -EBUSY, "store.certified",
                         "%s is paid for by a certificate: reclaim that first", ref);
    return r;
}

/* --- what nobody pays for --- */

#define COVERED(row)                                                                               \
    "EXISTS (SELECT 1 FROM certified o JOIN kept k ON k.n = o.cert WHERE o.digest = " row          \
    ".digest AND k.owner = r.owner AND k.state < 3)"

struct place {
    char repo[XSTORED_NAME_MAX + 1];
    char digest[XENO_DIGEST_TEXT];
};

/* The first row of `sql`, which may have one parameter. Returns: 1 or 0. */
static int find_place(struct xeno_db *db, const char *sql, int64_t before_ms, struct place *ret,
                      struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = xeno_query_begin(db, &q, sql, err);

    if (r < 0)
        return r;
    xeno_query_int(&q, 1, before_ms);
    r = xeno_query_step(&q, err);
    if (r > 0) {
        snprintf(ret->repo, sizeof ret->repo, "%s", xeno_query_col_text(&q, 0));
        snprintf(ret->digest, sizeof ret->digest, "%s", xeno_query_col_text(&q, 1));
    }
    return r;
}

static int note(struct xeno_db *db, const struct place *p, int64_t now_ms, struct xeno_err *err)
{
    int64_t size = 0;
    int r = xeno_db_one_int(db, 0, &size, err,
                            CLOSURE "SELECT sum(b.size_bytes) FROM c JOIN blob b"
                                    " ON b.digest = c.digest",
                            "tt", p->repo, p->digest);

    if (r == 0)
        r = xeno_db_run(db, err,
                        "INSERT INTO unpaid (repository, digest, since_ms) VALUES ($1, $2, $3)",
                        "tti", p->repo, p->digest, size <= XSTORED_UNPAID_MAX ? -1 : now_ms);
    return r < 0 ? r : 0;
}

static int note_new(struct xeno_db *db, int64_t now_ms, int max, struct xeno_err *err)
{
    struct place p;
    int r = 0;

    for (int i = 0; i < max && r >= 0; i++) {
        r = find_place(db,
                       "SELECT m.repository, m.digest FROM manifest m JOIN repository r"
                       " ON r.name = m.repository WHERE $1 >= 0 AND NOT EXISTS (SELECT 1 FROM"
                       " unpaid u WHERE u.repository = m.repository AND u.digest = m.digest)"
                       " AND NOT " COVERED("m") " LIMIT 1",
                       0, &p, err);
        if (r <= 0)
            break;
        r = note(db, &p, now_ms, err);
    }
    return r;
}

/* One that an index lists waits until that is gone. */
static int delete_old(struct xeno_db *db, int64_t now_ms, int64_t before_ms, int max,
                      struct xeno_err *err)
{
    struct place p;
    int n = 0, r = 0;

    for (int i = 0; i < max && r >= 0; i++) {
        r = find_place(db,
                       "SELECT repository, digest FROM unpaid WHERE since_ms >= 0"
                       " AND since_ms <= $1 ORDER BY since_ms LIMIT 1",
                       before_ms, &p, err);
        if (r <= 0)
            break;
        r = xstored_meta_delete(db, p.repo, p.digest, now_ms, err);
        n += r == 0;
        if (r == -EBUSY)
            r = xeno_db_run(db, err,
                            "UPDATE unpaid SET since_ms = $1 WHERE repository = $2 AND digest = $3",
                            "itt", before_ms + 1, p.repo, p.digest);
    }
    return r < 0 ? r : n;
}

int xstored_meta_unpaid(struct xeno_db *db, int64_t now_ms, int64_t grace_ms, int max,
                        struct xeno_err *err)
{
    int r = xeno_db_run(
        db, err,
        "DELETE FROM unpaid WHERE since_ms >= 0 AND EXISTS (SELECT 1"
        " FROM repository r WHERE r.name = unpaid.repository AND " COVERED("unpaid") ")",
        "");

    if (r >= 0)
        r = note_new(db, now_ms, max, err);
    return r < 0 ? r : delete_old(db, now_ms, now_ms - grace_ms, max, err);
}

int xstored_meta_all_free(struct xeno_db *db, struct xeno_err *err)
{
    int r = xeno_db_run(db, err, "DELETE FROM unpaid", "");

    return r < 0 ? r : 0;
}
